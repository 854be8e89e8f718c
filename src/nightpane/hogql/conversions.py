"""Functions whose ClickHouse form depends on what they are given, or on the project's timezone.

PostHog's conversions give NULL where ClickHouse's would fail; a column that already has the type is
left as it is, so that the engine reads nothing but the column.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from nightpane.hogql import nodes as n
from nightpane.hogql.compare import read_time
from nightpane.hogql.literals import datetime_sql, literal, string
from nightpane.hogql.state import Cx, Expr
from nightpane.hogql.types import (
    ANY,
    ARRAY,
    BOOL,
    DATE,
    DATETIME,
    FLOAT,
    INT,
    STRING,
    UUID_,
    Type,
)

__all__ = ["CONVERSIONS"]

_Convert: TypeAlias = Callable[[Cx, n.Call, list[Expr]], Expr]

_UNITS = {
    "second": "Second",
    "minute": "Minute",
    "hour": "Hour",
    "day": "Day",
    "week": "Week",
    "month": "Month",
    "quarter": "Quarter",
    "year": "Year",
    "millisecond": "Millisecond",
    "microsecond": "Microsecond",
}
_SHORT = {"ss": "second", "mi": "minute", "hh": "hour", "dd": "day", "wk": "week", "mm": "month"}


def _zone(cx: Cx) -> str:
    return string(cx.state.timezone)


def _constant_text(node: n.Call, at: int) -> str | None:
    if at < len(node.args):
        arg = node.args[at]
        if isinstance(arg, n.Constant) and isinstance(arg.value, str):
            return arg.value
    return None


def _to_float(_: Cx, __: n.Call, parts: list[Expr]) -> Expr:
    value = parts[0]
    if value.type.kind == "float":
        return Expr(value.sql, value.type)
    if value.type.kind == "int":
        return Expr(f"toFloat64({value.sql})", FLOAT.null(value.type.nullable))
    return Expr(f"accurateCastOrNull({value.sql}, 'Float64')", FLOAT.null())


def _to_int(_: Cx, __: n.Call, parts: list[Expr]) -> Expr:
    return Expr(f"accurateCastOrNull({parts[0].sql}, 'Int64')", INT.null())


def _or(name: str, kind: Type, engine_cast: str) -> _Convert:
    """Return OrZero and OrDefault: they read the raw text of a property, not its typed value."""

    def convert(_: Cx, __: n.Call, parts: list[Expr]) -> Expr:
        value = parts[0]
        rest = "".join(f", {part.sql}" for part in parts[1:])
        if value.raw is not None:
            return Expr(f"{name}({value.raw}{rest})", kind.null())
        if value.type.kind == "string":
            return Expr(f"{name}({value.sql}{rest})", kind.null(value.type.nullable))
        if value.type.kind == "float" and kind.kind == "float":
            return Expr(value.sql, value.type)
        other = parts[1].sql if len(parts) > 1 else "0"
        sql = f"ifNull(accurateCastOrNull({value.sql}, '{engine_cast}'), {other})"
        if value.type.nullable:
            sql = f"if(isNull({value.sql}), NULL, {sql})"
        return Expr(sql, kind.null(value.type.nullable))

    return convert


def _to_string(_: Cx, node: n.Call, parts: list[Expr]) -> Expr:
    value = parts[0]
    if len(parts) == 1 and value.type.kind == "string":
        return Expr(value.sql, STRING.null(value.type.nullable))
    listed = ", ".join(part.sql for part in parts)
    nullable = value.type.nullable or node.name == "toNullableString"
    return Expr(f"toString({listed})", STRING.null(nullable))


def _to_bool(_: Cx, __: n.Call, parts: list[Expr]) -> Expr:
    value = parts[0]
    if value.type.kind == "bool":
        return Expr(value.sql, value.type)
    if value.type.kind == "int":
        return Expr(f"toBool({value.sql})", BOOL.null(value.type.nullable))
    return Expr(f"accurateCastOrNull({value.sql}, 'Bool')", BOOL.null())


def _to_uuid(_: Cx, __: n.Call, parts: list[Expr]) -> Expr:
    if parts[0].type.kind == "uuid":
        return parts[0]
    return Expr(f"accurateCastOrNull({parts[0].sql}, 'UUID')", UUID_.null())


def _to_decimal(_: Cx, node: n.Call, parts: list[Expr]) -> Expr:
    scale = node.args[1]
    value = scale.value if isinstance(scale, n.Constant) else None
    if not isinstance(value, int) or not 0 <= value <= 18:
        raise scale.error("the scale of toDecimal is a whole number from 0 to 18")
    return Expr(f"accurateCastOrNull({parts[0].sql}, 'Decimal64({value})')", ANY)


def _to_date(cx: Cx, node: n.Call, parts: list[Expr]) -> Expr:
    value = parts[0]
    text = _constant_text(node, 0)
    if text is not None and (moment := read_time(text, cx.state.timezone)):
        return Expr(literal(moment.date(), cx.state.timezone), DATE)
    if value.type.temporal or value.type.kind == "int":
        return Expr(f"toDate({value.sql})", DATE.null(value.type.nullable))
    return Expr(f"toDate({_parsed(cx, value)})", DATE.null())


def _to_datetime(cx: Cx, node: n.Call, parts: list[Expr]) -> Expr:
    value = parts[0]
    zone = parts[1].sql if len(parts) > 1 else _zone(cx)
    text = _constant_text(node, 0)
    if text is not None and len(parts) == 1 and (moment := read_time(text, cx.state.timezone)):
        return Expr(datetime_sql(moment, cx.state.timezone), DATETIME)
    if value.type.kind in ("date", "datetime", "int", "float"):
        return Expr(f"toDateTime({value.sql}, {zone})", DATETIME.null(value.type.nullable))
    return Expr(_parsed(cx, value, zone), DATETIME.null())


def _to_datetime_us(cx: Cx, _: n.Call, parts: list[Expr]) -> Expr:
    zone = parts[1].sql if len(parts) > 1 else _zone(cx)
    text = f"toString({parts[0].sql})"
    return Expr(f"parseDateTime64BestEffortUSOrNull({text}, 6, {zone})", DATETIME.null())


def _to_datetime64(cx: Cx, _: n.Call, parts: list[Expr]) -> Expr:
    scale = parts[1].sql if len(parts) > 1 else "6"
    zone = parts[2].sql if len(parts) > 2 else _zone(cx)
    value = parts[0]
    if value.type.kind == "string" or value.type.kind == "any":
        parsed = f"parseDateTime64BestEffortOrNull(toString({value.sql}), {scale}, {zone})"
        return Expr(parsed, DATETIME.null())
    sql = f"toDateTime64({value.sql}, {scale}, {zone})"
    return Expr(sql, DATETIME.null(value.type.nullable))


def _parsed(cx: Cx, value: Expr, zone: str | None = None) -> str:
    text = value.sql if value.type.kind == "string" else f"toString({value.sql})"
    return f"parseDateTime64BestEffortOrNull({text}, 6, {zone or _zone(cx)})"


def _now(cx: Cx, _: n.Call, __: list[Expr]) -> Expr:
    return Expr(f"now64(6, {_zone(cx)})", DATETIME)


def _today(cx: Cx, _: n.Call, __: list[Expr]) -> Expr:
    return Expr(f"toDate(now64(6, {_zone(cx)}))", DATE)


def _yesterday(cx: Cx, _: n.Call, __: list[Expr]) -> Expr:
    return Expr(f"minus(toDate(now64(6, {_zone(cx)})), 1)", DATE)


def _concat(_: Cx, __: n.Call, parts: list[Expr]) -> Expr:
    """Return texts joined: everything is made a text and NULL an empty one, as PostHog does."""
    texts = []
    for part in parts:
        sql = part.sql if part.type.kind == "string" else f"toString({part.sql})"
        texts.append(f"ifNull({sql}, '')" if part.type.nullable else sql)
    if len(texts) == 1:
        return Expr(texts[0], STRING)
    return Expr(f"concat({', '.join(texts)})", STRING)


def _trunc(cx: Cx, node: n.Call, parts: list[Expr]) -> Expr:
    text = _constant_text(node, 0)
    unit = (text or "").lower()
    if unit not in _UNITS:
        raise node.error(f"dateTrunc needs a unit ({', '.join(_UNITS)}), not {text!r}")
    zone = parts[2].sql if len(parts) > 2 else None
    value = parts[1]
    if value.type.kind == "string":
        value = Expr(_parsed(cx, value, zone), DATETIME.null())
    kind = DATE if unit in ("week", "month", "quarter", "year") else DATETIME
    listed = ", ".join([string(unit), value.sql, *([zone] if zone else [])])
    return Expr(f"dateTrunc({listed})", kind.null(value.type.nullable))


def _shift(name: str) -> _Convert:
    def convert(_: Cx, node: n.Call, parts: list[Expr]) -> Expr:
        if len(parts) == 2:
            value, step = parts[0], parts[1].sql
        else:
            unit = _constant_text(node, 0)
            if unit is None and isinstance(node.args[0], n.Field):
                unit = str(node.args[0].chain[-1])
            word = (unit or "").lower().removesuffix("s")
            word = _SHORT.get(word, word)
            if word not in _UNITS:
                raise node.error(f"{node.name} needs a unit ({', '.join(_UNITS)}), not {unit!r}")
            value, step = parts[2], f"toInterval{_UNITS[word]}({parts[1].sql})"
        kind = DATETIME if value.type.temporal else ANY
        return Expr(f"{name}({value.sql}, {step})", kind.null(value.type.nullable))

    return convert


def _diff(cx: Cx, node: n.Call, parts: list[Expr]) -> Expr:
    """Return a difference in time; texts are read as times first."""
    unit = _constant_text(node, 0)
    if unit is None:
        raise node.error(f"{node.name} needs a unit as its first argument, such as 'day'")
    times = []
    for at in (1, 2):
        value = parts[at]
        text = _constant_text(node, at)
        if text is not None and (moment := read_time(text, cx.state.timezone)):
            value = Expr(datetime_sql(moment, cx.state.timezone), DATETIME)
        elif value.type.kind == "string":
            value = Expr(_parsed(cx, value), DATETIME.null())
        times.append(value)
    zone = f", {parts[3].sql}" if len(parts) > 3 else ""
    name = "age" if node.name == "age" else "dateDiff"
    word = _SHORT.get(unit.lower(), unit.lower())
    sql = f"{name}({string(word)}, {times[0].sql}, {times[1].sql}{zone})"
    return Expr(sql, INT.null(any(value.type.nullable for value in times)))


def _date_part(_: Cx, node: n.Call, parts: list[Expr]) -> Expr:
    engines = {
        "year": "toYear",
        "quarter": "toQuarter",
        "month": "toMonth",
        "week": "toISOWeek",
        "day": "toDayOfMonth",
        "hour": "toHour",
        "minute": "toMinute",
        "second": "toSecond",
        "dow": "toDayOfWeek",
        "doy": "toDayOfYear",
        "epoch": "toUnixTimestamp",
    }
    part = (_constant_text(node, 0) or "").lower()
    if part not in engines:
        raise node.error(f"date_part knows {', '.join(engines)}, not {part!r}")
    return Expr(f"{engines[part]}({parts[1].sql})", INT.null(parts[1].type.nullable))


def _timezone(_: Cx, node: n.Call, parts: list[Expr]) -> Expr:
    value, zone = (parts[1], parts[0]) if node.name == "timezone" else (parts[0], parts[1])
    return Expr(f"toTimeZone({value.sql}, {zone.sql})", DATETIME.null(value.type.nullable))


def _semver(_: Cx, __: n.Call, parts: list[Expr]) -> Expr:
    text = f"ifNull(toString({parts[0].sql}), '')"
    numbers = f"extractAll({text}, '[0-9]+')"
    return Expr(f"arrayMap(_v -> toInt64OrZero(_v), {numbers})", ARRAY)


def _if_null(_: Cx, __: n.Call, parts: list[Expr]) -> Expr:
    value, other = parts
    if value.type.kind == "any" or other.type.kind in ("any", value.type.kind, "null"):
        kind = value.type if value.type.kind != "null" else other.type
    else:
        kind = value.type if value.type.kind == other.type.kind else ANY
    if value.type.numeric and other.type.numeric:
        kind = FLOAT if "float" in (value.type.kind, other.type.kind) else INT
    return Expr(f"ifNull({value.sql}, {other.sql})", kind.null(other.type.nullable))


CONVERSIONS: dict[str, _Convert] = {
    "toFloat": _to_float,
    "toInt": _to_int,
    "toFloat64OrZero": _or("toFloat64OrZero", FLOAT, "Float64"),
    "toFloat64OrDefault": _or("toFloat64OrDefault", FLOAT, "Float64"),
    "toInt64OrZero": _or("toInt64OrZero", INT, "Int64"),
    "toInt64OrDefault": _or("toInt64OrDefault", INT, "Int64"),
    "toString": _to_string,
    "toBool": _to_bool,
    "toUUID": _to_uuid,
    "toUUIDOrNull": _to_uuid,
    "toDecimal": _to_decimal,
    "toDate": _to_date,
    "toDateTime": _to_datetime,
    "toDateTimeUS": _to_datetime_us,
    "toDateTime64": _to_datetime64,
    "now": _now,
    "today": _today,
    "yesterday": _yesterday,
    "concat": _concat,
    "dateTrunc": _trunc,
    "dateAdd": _shift("plus"),
    "dateSub": _shift("minus"),
    "timestampAdd": _shift("plus"),
    "timestampSub": _shift("minus"),
    "dateDiff": _diff,
    "age": _diff,
    "date_part": _date_part,
    "toTimeZone": _timezone,
    "sortableSemVer": _semver,
    "ifNull": _if_null,
}
