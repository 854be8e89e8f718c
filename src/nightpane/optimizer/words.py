"""A report's figures as text, and text from the data made safe for Markdown.

Operation names, ids, prompts and errors are whatever a program or a stranger wrote: they appear in
code spans and fenced blocks only, which nothing inside can leave.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence

__all__ = ["block", "cell", "code", "count", "number", "percent", "plain", "python", "table", "usd"]

_BAR = re.compile(r"(?<!\\)\|")
_TICKS = re.compile(r"`+")


def usd(value: float) -> str:
    """Return an amount in dollars: to the cent, or to two significant digits when it is less."""
    if value and abs(value) < 1:
        digits = min(12, max(2, 1 - math.floor(math.log10(abs(value)))))
        return f"${value:,.{digits}f}"
    return f"${value:,.2f}"


def count(value: float) -> str:
    """Return a whole number with separators."""
    return f"{round(value):,}"


def number(value: float) -> str:
    """Return a number with three significant digits, whole where it is large."""
    return count(value) if abs(value) >= 1000 else f"{value:.3g}"


def percent(share: float) -> str:
    """Return a share as a percentage: whole from 10 %, with a decimal below."""
    return f"{100 * share:.0f} %" if share >= 0.0995 or share == 0 else f"{100 * share:.1f} %"


def plain(text: str, longest: int = 120) -> str:
    """Return text on one line without control or direction characters, cut."""
    kept = "".join(
        " " if char.isspace() else "�" if unicodedata.category(char) in ("Cc", "Cf", "Cs") else char
        for char in text[: longest * 4]
    )
    kept = " ".join(kept.split())
    return kept if len(kept) <= longest else kept[: longest - 1] + "…"


def cell(prose: str, longest: int = 200) -> str:
    """Return Markdown prose as it may stand in a table's cell."""
    return _BAR.sub(r"\\|", plain(prose, longest))


def code(text: str, longest: int = 120) -> str:
    """Return text as a code span that is safe in a table's cell too."""
    kept = plain(text, longest).replace("|", r"\|") or " "
    fence = "`" * (max(map(len, _TICKS.findall(kept)), default=0) + 1)
    pad = " " if kept.startswith("`") or kept.endswith("`") else ""
    return f"{fence}{pad}{kept}{pad}{fence}"


def block(text: str, language: str = "text") -> str:
    """Return text as a fenced block; line breaks stay, other control characters do not."""
    kept = "".join(
        char
        if char in "\n\t" or unicodedata.category(char) not in ("Cc", "Cf", "Cs")
        else ""
        if char == "\r"
        else "�"
        for char in text
    )
    fence = "`" * max(3, max(map(len, _TICKS.findall(kept)), default=0) + 1)
    return f"{fence}{language}\n{kept.rstrip()}\n{fence}"


def python(text: str) -> str:
    """Return Python as a fenced block."""
    return block(text, "python")


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, left: int = 1, last: int = 0
) -> str:
    """Return a Markdown table: the first ``left`` and the ``last`` columns hold text, the others
    figures, which are aligned right."""
    figures = len(head) - left - last
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * left + "---:|" * figures + "---|" * last]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines)
