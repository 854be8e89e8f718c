"""Numbers as clients send them: exact, and never negative."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

__all__ = ["number", "plain"]

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")
_MOST = 10**15
_LONGEST = 40


def number(value: Any) -> Decimal | None:
    """Return a number or the text of one, None for all else.

    A negative one and one of a quadrillion or more is no count and no price: None as well.
    """
    kind = type(value)
    if kind is int:
        return Decimal(value) if 0 <= value < _MOST else None
    if kind is float:
        return Decimal(repr(value)) if 0 <= value < _MOST else None
    if kind is str and len(value) <= _LONGEST:
        text = value.strip()
        if _NUMBER.fullmatch(text):
            exact = Decimal(text)
            return exact if 0 <= exact < _MOST else None
    return None


def plain(exact: Decimal | None) -> int | float | None:
    """Return a number as JSON has it: whole ones without a point."""
    if exact is None:
        return None
    return int(exact) if exact == exact.to_integral_value() else float(exact)
