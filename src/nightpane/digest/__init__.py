"""The morning: what happened last night, as one value, drawn as a terminal page, Markdown, HTML,
a Slack message or JSON.

Knows only the query API. Every figure comes from one of the queries the digest carries. ``build``
gives what the page shows, ``compare`` the whole digest.
"""

from nightpane.digest.build import build, newest
from nightpane.digest.compare import compare
from nightpane.digest.compared import Change, Digest
from nightpane.digest.html import to_html
from nightpane.digest.jsonable import to_json, whole_json
from nightpane.digest.links import Links
from nightpane.digest.markdown import to_markdown
from nightpane.digest.message import to_slack
from nightpane.digest.model import (
    Cost,
    Counts,
    Loop,
    Morning,
    Quiet,
    Round,
    ScoreLine,
    Stage,
    Standing,
)
from nightpane.digest.nights import Night, night_of
from nightpane.digest.page import Page, page

__all__ = [
    "Change",
    "Cost",
    "Counts",
    "Digest",
    "Links",
    "Loop",
    "Morning",
    "Night",
    "Page",
    "Quiet",
    "Round",
    "ScoreLine",
    "Stage",
    "Standing",
    "build",
    "compare",
    "newest",
    "night_of",
    "page",
    "to_html",
    "to_json",
    "to_markdown",
    "to_slack",
    "whole_json",
]
