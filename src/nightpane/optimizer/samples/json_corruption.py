"""JSON corruption: an answer that begins as JSON, and is none."""

from __future__ import annotations

from nightpane.optimizer.samples.facts import Exchange, Finding, Reading
from nightpane.optimizer.samples.formats import asks_for_json, broken_json
from nightpane.optimizer.words import code

__all__ = ["detect"]

# What a recording puts where it cut a text itself.
_MARKS = ("[truncated]", "[cut", "[redacted", "…")


def detect(reading: Reading) -> Finding | None:
    """Return the first answer that does not parse."""
    read = [(place, one) for place, one in enumerate(reading.exchanges) if _is_readable(one)]
    broken = [(place, one, why) for place, one in read if (why := broken_json(one.text))]
    if not broken:
        return None
    place, one, why = broken[0]
    asked = asks_for_json(one.asked)
    wish = f", though the prompt says {code(asked, 70)}" if asked else ""
    which = (
        "The answer begins as JSON and does not parse"
        if len(reading.exchanges) == 1
        else f"{len(broken)} of its {len(reading.exchanges)} answers begin as JSON and do not parse"
    )
    return Finding("json_corruption", f"{which} ({code(why, 90)}){wish}.", at=place)


def _is_readable(one: Exchange) -> bool:
    return (
        one.succeeded
        and one.whole
        and not one.tools
        and not one.text.rstrip("`\n ").endswith(_MARKS)
    )
