"""Constants and identifiers as ClickHouse text.

Everything a caller can choose freely (strings, property keys, aliases) passes through here and
nowhere else, so there is one place where a quote could be missed.
"""

from __future__ import annotations

import math
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

from nightpane.errors import HogQLError
from nightpane.hogql.nodes import Literal

__all__ = ["datetime_sql", "identifier", "literal", "string"]

_ESCAPES = {
    "\\": "\\\\",
    "'": "\\'",
    "`": "\\`",
    "\0": "\\0",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\a": "\\a",
    "\v": "\\v",
}
_TABLE = str.maketrans(_ESCAPES)


def string(text: str) -> str:
    """Return a ClickHouse string literal. Raises HogQLError for half a surrogate pair."""
    return f"'{_escaped(text)}'"


def identifier(name: str) -> str:
    """Return a quoted ClickHouse identifier."""
    return f"`{_escaped(name)}`"


def literal(value: Literal, timezone: str) -> str:
    """Return any constant as ClickHouse text; dates and times keep their type."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return _integer(value)
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, str):
        return string(value)
    if isinstance(value, datetime):
        return datetime_sql(value, timezone)
    if isinstance(value, date):
        wide = "" if 1970 <= value.year < 2149 else "32"
        return f"toDate{wide}('{value.isoformat()}')"
    if isinstance(value, UUID):
        return f"toUUID('{value}')"
    if isinstance(value, Decimal):
        return _float(float(value))
    raise HogQLError(f"a value of type {type(value).__name__} cannot be used in a query")


def datetime_sql(value: datetime, timezone: str) -> str:
    """Return an instant as a DateTime64; one without a zone is read in ``timezone``."""
    local = value if value.tzinfo else value.replace(tzinfo=ZoneInfo(timezone))
    local = local.astimezone(ZoneInfo(timezone))
    text = local.strftime("%Y-%m-%d %H:%M:%S.%f")
    return f"toDateTime64('{text.rjust(26, '0')}', 6, {string(timezone)})"


def _escaped(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise HogQLError("a text holds half of a surrogate pair, which is no character") from error
    return text.translate(_TABLE)


def _integer(value: int) -> str:
    if -(2**63) <= value < 2**64:
        return str(value)
    if -(2**255) <= value < 2**255:
        return f"toInt256('{value}')"
    raise HogQLError(f"the integer {str(value)[:20]}… is beyond 256 bits")


def _float(value: float) -> str:
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    text = repr(value)
    # Without a point or an exponent ClickHouse would read an integer.
    return text if "." in text or "e" in text else f"{text}.0"
