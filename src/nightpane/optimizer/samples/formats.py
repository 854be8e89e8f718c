"""The format a prompt asks for, and what an answer makes of it.

Only a plain demand counts: one for JSON in so many words, not negated and not conditional, in the
system's message or at either end of the user's. What a document quotes is no demand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from nightpane.optimizer.messages import Message

__all__ = ["asks_for_json", "broken_json", "holds_json"]

_ENDS = 1500
"""Characters at either end of a user's message in which a demand may stand."""
_SYSTEM = 6000
_ASKS = re.compile(
    r"(?:^|[.!?:;\n#*>-]\s*|\b(?:must|should|always|please|only|will|to|and|then)\s+)"
    r"(?:only\s+)?(?:respond|reply|answer|return|output|produce|emit)\b"
    r"(?P<how>[^.!?\n]{0,60}?)\bjson\b(?P<rest>[^.!?\n]{0,80})",
    re.IGNORECASE,
)
_NOT = re.compile(
    r"\b(?:not|no|never|don't|without|instead of|rather than|unlike|if|when|unless|or)\b",
    re.IGNORECASE,
)
_FENCE = re.compile(r"```(?:json|JSON)?[ \t]*\n(.*?)(?:\n[ \t]*```|\Z)", re.DOTALL)
_BEGINS = re.compile(r"\{\s*(?:\"|\}|$)|\[\s*(?:\{\s*\"|\[|\"[^\"\n]*\"\s*[,\]])")
_MOST = 300_000


def asks_for_json(asked: Sequence[Message]) -> str:
    """Return the words in which a prompt demands JSON, "" when it does not."""
    system = [one.text[:_SYSTEM] for one in asked if one.role == "system"]
    user = [one.text for one in asked if one.role == "user" and one.text]
    last = user[-1] if user else ""
    ends = [last] if len(last) <= 2 * _ENDS else [last[:_ENDS], last[-_ENDS:]]
    for text in [*ends, *system]:
        for found in _ASKS.finditer(text):
            sentence = text[max(0, found.start() - 60) : found.start()].rpartition("\n")[2]
            around = f"{re.split(r'[.!?]', sentence)[-1]} {found['how']} {found['rest']}"
            if not _NOT.search(around):
                return found.group().strip(" .!?:;\n#*>-")
    return ""


def broken_json(text: str) -> str | None:
    """Return why a text that begins as JSON is none; None when it is, or does not begin as JSON.

    A fence around it is tolerated, as are one value a line, and words after a closed fence.
    """
    body = _unfenced(text)
    if not _BEGINS.match(body) or len(body) > _MOST:
        return None
    try:
        json.loads(body)
    except RecursionError:
        return None
    except ValueError as error:
        return None if _is_lines(body) else _told(error)
    return None


def _told(error: ValueError) -> str:
    if not isinstance(error, json.JSONDecodeError):
        return "a number is too long"
    what = error.msg[:1].lower() + error.msg[1:]
    return f"{what} at character {error.pos:,} of {len(error.doc):,}"


def _is_lines(body: str) -> bool:
    try:
        return all(isinstance(json.loads(line), dict) for line in body.splitlines() if line.strip())
    except (ValueError, RecursionError):
        return False


def _unfenced(text: str) -> str:
    text = text.strip()
    if text.startswith("```"):
        fence = _FENCE.match(text)
        if fence is not None:
            return fence[1].strip()
    return text


def holds_json(text: str) -> bool:
    """Return whether there is anything like JSON in a text: a brace or bracket that opens it."""
    return any(mark in text for mark in ("{", "[")) or text.strip() in ("true", "false", "null")
