"""JSON as clients send it, read and written without changing a value.

orjson alone would turn an integer beyond 64 bits into a float and refuse a lone surrogate, so such
texts take the slower way through the standard library. What JSON or UTF-8 cannot hold (NaN,
infinities, lone surrogates) is normalised, never refused: one odd value must not cost its batch.
"""

from __future__ import annotations

import json
import math
from typing import Any

import orjson

__all__ = ["dumps", "loads"]

# Digits become '0', all else a space: a run of digits is then found by a plain search.
_DIGITS = bytes(0x30 if 0x30 <= char <= 0x39 else 0x20 for char in range(256))
_LONG = 19  # shortest integer that may not fit 64 bits
_RUN = b"0" * _LONG


def loads(raw: bytes) -> Any:
    """Return the value of a JSON text, integers exact whatever their size.

    NaN, Infinity and numbers beyond a double's range become None; lone surrogates become U+FFFD.
    Raises ValueError when it is no JSON, is not UTF-8, or is nested too deeply (1,024 levels).
    """
    if not _may_hold_long_integer(raw):
        try:
            return orjson.loads(raw)
        except orjson.JSONDecodeError:
            pass  # perhaps only NaN or a lone surrogate: the slow reader decides
    try:
        return _clean(json.loads(raw, parse_constant=lambda _: None))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def dumps(value: Any) -> str:
    """Return the JSON text of a value, compact, integers exact whatever their size."""
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        return json.dumps(_clean(value), ensure_ascii=False, separators=(",", ":"))


def _may_hold_long_integer(raw: bytes) -> bool:
    """Tell whether 19 digits follow each other, other than behind a decimal point."""
    mask = raw.translate(_DIGITS)
    start = mask.find(_RUN)
    while start >= 0:
        if raw[start - 1 : start] != b".":
            return True
        end = mask.find(b" ", start)
        start = mask.find(_RUN, end) if end >= 0 else -1
    return False


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {_text(key): _clean(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return value


def _text(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        # Pairs that were escaped one by one are joined; what is still alone is replaced.
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value
