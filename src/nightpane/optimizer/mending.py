"""Reading JSON that may be cut off: what a capture limit or a substring leaves of a document.

A cut text is closed where it ends, or after its last whole value, whichever parses. Never fails and
never takes more than one pass over the text.
"""

from __future__ import annotations

import json
import re
from typing import Any

__all__ = ["MOST_CHARS", "UNREADABLE", "read"]

MOST_CHARS = 4_000_000
"""Of a text; what lies beyond counts as cut off."""
UNREADABLE: Any = object()
_DEEPEST = 200
_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{},"]', re.DOTALL)
_CLOSING = {"[": "]", "{": "}"}


def read(text: str) -> tuple[Any, bool]:
    """Return the value of a JSON text, and whether it was whole; ``UNREADABLE`` for no JSON."""
    whole = len(text) <= MOST_CHARS
    try:
        if whole:
            return json.loads(text), True
    except (ValueError, RecursionError):
        pass
    if text[:1] not in _CLOSING:
        return UNREADABLE, False
    for candidate in _closed(text[:MOST_CHARS]):
        try:
            return json.loads(candidate), False
        except (ValueError, RecursionError):
            continue
    return UNREADABLE, False


def _closed(text: str) -> list[str]:
    """Return the text closed where it ends, and closed after its last whole value."""
    open_: list[str] = []
    end, in_string = "", False
    at, before = 0, ""
    for token in _TOKEN.finditer(text):
        mark = token.group()
        if mark in _CLOSING:
            open_.append(_CLOSING[mark])
            if len(open_) > _DEEPEST:
                return []
            at, before = token.end(), "".join(reversed(open_))
        elif mark in ("]", "}"):
            if not open_ or open_.pop() != mark:
                return []
            at, before = token.end(), "".join(reversed(open_))
        elif mark == ",":
            at, before = token.start(), "".join(reversed(open_))
        elif mark == '"':
            in_string = True
            break
    end = "".join(reversed(open_))
    # An escape that was cut in two would escape the closing quote.
    tail = re.sub(r"\\(?:u[0-9a-fA-F]{0,3})?$", "", text) if _is_cut_escape(text) else text
    return [tail + ('"' if in_string else "") + end, text[:at] + before]


def _is_cut_escape(text: str) -> bool:
    ending = re.search(r"(\\+)(?:u[0-9a-fA-F]{0,3})?$", text[-300:])
    return ending is not None and len(ending[1]) % 2 == 1
