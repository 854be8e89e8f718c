"""PostHog's insights: a query node in, one HogQL query, PostHog's result out.

Pure: nothing here reads an event, it only says which query would. A node that cannot be answered as
PostHog would is refused with the path of the field, never answered in part.
"""

from nightpane.insights.answer import KINDS, answer
from nightpane.insights.question import Context, Question

__all__ = ["KINDS", "Context", "Question", "answer"]
