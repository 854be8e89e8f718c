"""Property values as PostHog's flag service compares them: as text, as truth, as numbers."""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal
from typing import Any

from nightpane.flags.model import UnknownError

__all__ = ["ascii_lower", "is_truth", "number", "text", "truth"]

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def text(value: Any) -> str:
    """Return a value as text: strings as they are, the rest as compact JSON with sorted keys."""
    return value if isinstance(value, str) else _json(value)


def ascii_lower(value: Any) -> str:
    """Return a value as text with the letters A to Z, and no others, in lower case."""
    return text(value).translate(_LOWER)


def is_truth(value: Any) -> bool:
    """Tell whether a filter's value is a boolean, or text or a list that means booleans."""
    if isinstance(value, str):
        return value.lower() in ("true", "false")
    if isinstance(value, list):
        return all(is_truth(item) for item in value)
    return isinstance(value, bool)


def truth(value: Any) -> bool:
    """Tell whether a value means true."""
    if isinstance(value, str):
        return value.lower() == "true"
    if isinstance(value, list):
        return all(truth(item) for item in value)
    return value is True


def number(value: Any) -> float | None:
    """Return a value as a finite number, None when it is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def _json(value: Any) -> str:
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, list):
        return f"[{','.join(_json(item) for item in value)}]"
    if isinstance(value, dict):
        items = sorted((str(name), item) for name, item in value.items())
        return "{" + ",".join(f"{_json(name)}:{_json(item)}" for name, item in items) + "}"
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise UnknownError(f"a {type(value).__name__} is no JSON value") from error


def _float(value: float) -> str:
    """Write a float as the service's JSON library does: exponents signed and without zeros."""
    if not math.isfinite(value):
        raise UnknownError(f"{value} is no JSON value")
    written = repr(value)
    mantissa, e, exponent = written.partition("e")
    if not e:
        return written
    if -6 < int(exponent) < 0:
        return format(Decimal(written), "f")
    return f"{mantissa}e{int(exponent):+d}"
