"""One piece of the real text for a recommendation: the words, without the JSON around them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from nightpane.optimizer.recommendations.facts import Excerpt
from nightpane.optimizer.recommendations.reading import Seen

__all__ = ["excerpt"]

_LONGEST = 400
_MARK = " […]"
_TEXT = re.compile(r'"(?:content|text|arguments)"\s*:\s*"((?:[^"\\]|\\.)*)')


def excerpt(which: Excerpt, seen: Sequence[Seen]) -> str:
    """Return the first text there is of the kind asked for, else of the prompt; "" without any."""
    for kind in (which, "prompt"):
        for one in seen:
            if text := _words(getattr(one, kind)):
                return text if len(text) <= _LONGEST else text[:_LONGEST] + _MARK
    return ""


def _words(recorded: str) -> str:
    """Return the text in what may be JSON that is cut off, as it was written."""
    parts = [_decoded(part) for part in _TEXT.findall(recorded)]
    text = "\n".join(part for part in parts if part.strip())
    return text.strip() or (
        "" if recorded.strip() in ("", "[]", "{}", "null") else recorded.strip()
    )


def _decoded(part: str) -> str:
    try:
        return str(json.loads(f'"{part}"', strict=False))
    except ValueError:
        return part  # cut off within an escape
