"""The morning: what happened last night, as one value, drawn as a terminal page, Markdown or JSON.

Knows only the query API. Every figure comes from one of the queries the digest carries.
"""

from nightpane.digest.build import build
from nightpane.digest.jsonable import to_json
from nightpane.digest.markdown import to_markdown
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

__all__ = [
    "Cost",
    "Counts",
    "Loop",
    "Morning",
    "Night",
    "Quiet",
    "Round",
    "ScoreLine",
    "Stage",
    "Standing",
    "build",
    "night_of",
    "to_json",
    "to_markdown",
]
