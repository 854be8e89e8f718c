"""The trace optimizer: what a project's model calls cost, why, and what to change this week.

Reads ``$ai_generation`` through the query API alone, so PostHog and the local server give the same
report. One module a step, in the order of ``runner``; each takes the steps before it as values.
"""

from __future__ import annotations

from nightpane.optimizer.model import Analysis, Options, Target
from nightpane.optimizer.runner import Result, optimize

__all__ = ["Analysis", "Options", "Result", "Target", "optimize"]
