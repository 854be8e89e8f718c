"""Regular expressions in conditions, on text that others send.

Python's engine can take for ever over a repeated group that holds a repetition or a choice, and no
clock stops it: such patterns are not evaluated, and long texts are not searched.
"""

from __future__ import annotations

import re
from functools import lru_cache

from nightpane.flags.model import UnknownError

__all__ = ["check", "search"]

_LONGEST_TEXT = 1_000
_LONGEST_PATTERN = 500
_TOKEN = re.compile(
    r"(?P<atom>\\.|\[\^?\]?(?:\\.|[^\]\\])*\])"
    r"|(?P<open>\((?:\?(?:P?<\w+>|<?[:=!]))?)|(?P<close>\))"
    r"|(?P<repeat>[*+]|\{[0-9]+,?[0-9]*\})|(?P<choice>[|?])|(?P<end>\$)|(?P<other>.)",
    re.DOTALL,
)


def search(pattern: str, value: str) -> bool | None:
    """Tell whether a pattern is found in a text; None for one that is no regular expression.

    Raises UnknownError for a pattern that is not evaluated, or too long a text.
    """
    compiled = _compile(pattern)
    if compiled is None:
        return None
    if len(value) > _LONGEST_TEXT:
        raise UnknownError(f"a text of {len(value)} characters is not searched", final=True)
    return compiled.search(value) is not None


def check(pattern: str) -> str | None:
    """Return what is wrong with a pattern, None when it can be used."""
    try:
        return None if _compile(pattern) is not None else "it is no regular expression"
    except UnknownError as error:
        return str(error)


@lru_cache(maxsize=256)
def _compile(pattern: str) -> re.Pattern[str] | None:
    if len(pattern) > _LONGEST_PATTERN:
        raise UnknownError(f"a pattern of {len(pattern)} characters is not used", final=True)
    strict = _strict_end(pattern)
    try:
        return re.compile(strict)
    except (re.error, RecursionError, OverflowError):
        return None


def _strict_end(pattern: str) -> str:
    """Have ``$`` mean the end alone, as in the service; refuse what could search for ever."""
    out: list[str] = []
    risky = [False]  # for each open group: whether it holds a repetition or a choice
    closed_risky = False
    for token in _TOKEN.finditer(pattern):
        kind, written = token.lastgroup, token[0]
        if kind == "repeat" and closed_risky:
            raise UnknownError(
                f"the pattern {pattern!r} repeats a group that holds a repetition or a choice: "
                "it could search for ever, and is not used",
                final=True,
            )
        closed_risky = False
        if kind == "open":
            risky.append(False)
        elif kind == "close" and len(risky) > 1:
            closed_risky = risky.pop()
            risky[-1] |= closed_risky
        elif kind in ("repeat", "choice"):
            risky[-1] = True
        out.append(r"\Z" if kind == "end" else written)
    return "".join(out)
