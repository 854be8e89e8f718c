"""What single cells mean: numbers, points in time, missing values, commits.

Every function takes any text and returns None where the text is not plainly what it looks for.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Any

from nightpane.ledgers.model import Moment

__all__ = [
    "as_commit",
    "as_moment",
    "as_number",
    "is_hash",
    "is_missing",
    "json_safe",
    "number_in",
    "words",
]

_MISSING = {"", "-", "--", "---", "–", "—", "n/a", "na", "none", "null", "nil", "nan", "?", "tbd"}
_NUMBER = re.compile(
    r"(?P<about>[~≈]?)\s*[$€£]?"
    r"(?P<digits>[+\-−]?(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?)"
    r"\s*(?:%|x|×|[a-zA-Zµμ]{1,5}(?:/[a-zA-Z]{1,6})?)?"
    r"(?:\s*(?:±|\+/-|\+-)\s*[\d.]+(?:[eE][+-]?\d{1,4})?\s*%?)?"
)
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
_COMMIT = re.compile(r"[0-9a-f]{6,40}(?:[-_+*]?dirty)?", re.IGNORECASE)
_NAME = re.compile(r"[\w.+/\-:#@*]{1,64}")
_COMPACT = re.compile(r"(\d{4})(\d\d)(\d\d)[T_\- ]?(\d\d)(\d\d)(\d\d)?(Z?)")
_FORMATS = ("%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%d %b %Y %H:%M:%S", "%a %b %d %H:%M:%S %Y")
_DATE_ONLY = re.compile(r"\d{4}-\d\d-\d\d")
_EARLIEST, _LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
# Seconds, milliseconds, microseconds, nanoseconds: what number of each lies in 2000–2100.
_EPOCH_UNITS = (1, 1_000, 1_000_000, 1_000_000_000)
_MAX_DEPTH = 8


def words(text: str) -> frozenset[str]:
    """Return the set of the words in a text: a readable way to write a vocabulary."""
    return frozenset(text.split())


def is_missing(text: str) -> bool:
    """Tell whether a cell is one of the usual ways to write "nothing here"."""
    return text.strip().strip("`*_\"'").lower() in _MISSING


def as_number(value: Any, *, decimal_comma: bool = False) -> float | None:
    """Return the finite number in a cell, without its unit or spread; None for anything else.

    ``58.4%`` is 58.4, ``1,234`` is 1234, ``0.98 ± 0.01`` is 0.98, ``~0.79`` is 0.79. With
    ``decimal_comma``, ``0,998`` is 0.998.
    """
    parsed = number_in(value, decimal_comma=decimal_comma)
    return None if parsed is None else parsed[0]


def number_in(value: Any, *, decimal_comma: bool = False) -> tuple[float, bool] | None:
    """Return a cell's number and whether it is written as a measurement (not as "about")."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return _finite(value, True)
    if not isinstance(value, str) or len(value) > 60:
        return None
    text = value.strip().strip("`*_\"'").strip()
    if decimal_comma and _DECIMAL_COMMA.fullmatch(text):
        text = text.replace(",", ".")
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    digits = match["digits"].replace(",", "").replace("−", "-")
    return _finite(digits, not match["about"])


def _finite(value: str | float, measured: bool) -> tuple[float, bool] | None:
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return (number, measured) if math.isfinite(number) else None


def as_commit(value: Any) -> str | None:
    """Return a commit as the ledger names it, None for the ways to say that there is none."""
    if not isinstance(value, str):
        return None
    text = value.strip().strip("`*").strip()
    if is_missing(text) or not _NAME.fullmatch(text):
        return None
    return text


def is_hash(text: str) -> bool:
    """Tell whether a text has the form of an abbreviated or whole git hash."""
    return _COMMIT.fullmatch(text) is not None


def as_moment(value: Any) -> Moment | None:
    """Return the point in time a cell holds: ISO 8601, a few common forms, or an epoch number.

    Without a time zone it is taken as UTC. Outside the years 2000 to 2099 it is no timestamp.
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return _from_epoch(float(value)) if abs(value) < 1e20 else None
    if not isinstance(value, str):
        return None
    text = value.strip().strip("`*\"'")
    if not 8 <= len(text) <= 40:
        return None
    if _DATE_ONLY.fullmatch(text):
        return _moment(_iso(text), exact=False)
    if match := _COMPACT.fullmatch(text):
        year, month, day, hour, minute, second, _ = match.groups()
        text = f"{year}-{month}-{day}T{hour}:{minute}:{second or '00'}"
    elif re.fullmatch(r"\d{10,19}(?:\.\d+)?", text):
        return _from_epoch(float(text))
    elif "-" not in text and "/" not in text and ":" not in text:
        return None
    return _moment(_iso(text) or _by_format(text))


def _iso(text: str) -> datetime | None:
    text = text.removesuffix(" UTC").replace(",", ".")
    try:
        return datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        return None


def _by_format(text: str) -> datetime | None:
    for form in _FORMATS:
        try:
            return datetime.strptime(text, form)
        except ValueError:
            continue
    return None


def _moment(at: datetime | None, *, exact: bool = True) -> Moment | None:
    if at is None:
        return None
    try:
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (OverflowError, ValueError):
        return None
    return Moment(at, exact) if _EARLIEST <= at < _LATEST else None


def _from_epoch(number: float) -> Moment | None:
    for unit in _EPOCH_UNITS:
        seconds = number / unit
        if _EARLIEST.timestamp() <= seconds < _LATEST.timestamp():
            return _moment(datetime.fromtimestamp(seconds, UTC))
    return None


def json_safe(value: Any, depth: int = 0) -> Any:
    """Return a value that any JSON writer takes: no NaN, no lone surrogates, not too deep."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int):
        return value
    if depth >= _MAX_DEPTH:
        return "…"
    if isinstance(value, dict):
        return {json_safe(str(k)): json_safe(v, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [json_safe(item, depth + 1) for item in value]
    return json_safe(str(value))
