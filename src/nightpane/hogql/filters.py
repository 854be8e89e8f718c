"""PostHog's request ``filters`` (a date range, property filters) as the condition ``{filters}``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from nightpane.errors import HogQLError
from nightpane.hogql import nodes as n
from nightpane.hogql.compare import read_time
from nightpane.hogql.parse import parse_expression

__all__ = ["filter_expression", "relative_date"]

_TRUE = n.Constant(value=True)
_RELATIVE = re.compile(r"-?(\d+)([hdwmqyMs])(Start|End)?")
_START = re.compile(r"([hdwmqy])Start")
_OPERATORS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "is_date_after": ">"}
_OPERATORS |= {"is_date_before": "<", "regex": "=~", "not_regex": "!~"}

Constant = Callable[[Any, n.Node], n.Node]


def filter_expression(
    filters: Mapping[str, Any], timezone: str, constant: Constant, *, now: datetime | None = None
) -> n.Node:
    """Return what the request's filters ask of ``timestamp`` and of properties; true without any.

    Raises HogQLError (code ``invalid_property_filter``) for a filter that is not understood.
    ``filterTestAccounts`` asks nothing: no test accounts are configured here.
    """
    tests: list[n.Node] = []
    span = _expected(filters.get("dateRange") or {}, Mapping, "dateRange", "an object")
    given = _expected(filters.get("properties") or [], list, "properties", "a list")
    moment = now or datetime.now(UTC)
    for key, op in (("date_from", ">="), ("date_to", "<=")):
        bound = relative_date(span.get(key), timezone, moment, end=key == "date_to")
        if bound is not None:
            field = n.Field(chain=("timestamp",))
            tests.append(n.CompareOperation(op=op, left=field, right=n.Constant(value=bound)))
    tests.extend(_property(item, constant) for item in given)
    if not tests:
        return _TRUE
    return tests[0] if len(tests) == 1 else n.And(exprs=tuple(tests))


def relative_date(text: Any, timezone: str, now: datetime, *, end: bool = False) -> datetime | None:
    """Return the instant PostHog's date words name: ``-7d``, ``mStart``, ``2026-01-31``, ``all``.

    A bare date that ends a range stands for its last moment. Raises HogQLError.
    """
    if text is None or text in ("", "all"):
        return None
    local = now.astimezone(ZoneInfo(timezone))
    text = str(text)
    if match := _START.fullmatch(text):
        return _floor(local, match.group(1))
    if match := _RELATIVE.fullmatch(text):
        count, unit, edge = int(match.group(1)), match.group(2), match.group(3)
        moment = _back(local, count, unit)
        if edge == "Start" or (edge is None and unit in "dwmqy" and not end):
            return _floor(moment, "d" if edge is None else unit)
        if edge == "End" or (edge is None and unit in "dwmqy"):
            return _floor(moment, "d") + timedelta(days=1, microseconds=-1)
        return moment
    found = read_time(text, timezone)
    if found is None:
        raise HogQLError(f"a date range cannot be read: {text!r}", code="invalid")
    if end and len(text) <= 10:
        return found + timedelta(days=1, microseconds=-1)
    return found


def _back(moment: datetime, count: int, unit: str) -> datetime:
    steps = {"s": 1, "M": 60, "h": 3600, "d": 86400, "w": 604800}
    try:
        if unit in steps:
            return moment - timedelta(seconds=count * steps[unit])
        months = {"m": 1, "q": 3, "y": 12}[unit] * count
        month0 = moment.year * 12 + moment.month - 1 - months
        first = moment.replace(year=month0 // 12, month=month0 % 12 + 1, day=1)
        following = (first + timedelta(days=32)).replace(day=1)
        return first.replace(day=min(moment.day, (following - timedelta(days=1)).day))
    except (OverflowError, ValueError) as error:
        raise HogQLError(
            f"a date range reaches back too far: -{count}{unit}", code="invalid"
        ) from error


def _floor(moment: datetime, unit: str) -> datetime:
    hour = moment.replace(minute=0, second=0, microsecond=0)
    if unit == "h":
        return hour
    day = hour.replace(hour=0)
    if unit == "w":
        return day - timedelta(days=(day.weekday() + 1) % 7)
    if unit == "m":
        return day.replace(day=1)
    if unit == "q":
        return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
    return day.replace(month=1, day=1) if unit == "y" else day


def _expected(value: Any, kind: type, name: str, words: str) -> Any:
    if not isinstance(value, kind):
        raise HogQLError(f"{name} of the filters must be {words}", code="invalid_property_filter")
    return value


def _property(item: Any, constant: Constant) -> n.Node:
    if not isinstance(item, Mapping):
        raise HogQLError("a property filter must be an object", code="invalid_property_filter")
    if "values" in item and "key" not in item:
        return _group(item, constant)
    kind, key = item.get("type") or "event", item.get("key")
    if kind == "hogql":
        tree: n.Node = _unplaced(parse_expression(str(key)))
        return tree
    places: dict[str, tuple[str, ...]] = {
        "event": ("properties",),
        "feature": ("properties",),
        "person": ("person", "properties"),
        "session": ("session",),
        "event_metadata": (),
    }
    if kind not in places or not isinstance(key, str):
        raise HogQLError(
            f"property filters of type {kind!r} are not supported: hogql, {', '.join(places)} are",
            code="invalid_property_filter",
        )
    field = n.Field(chain=(*places[kind], key))
    return _test(field, str(item.get("operator") or "exact"), item.get("value"), constant)


def _group(item: Mapping[str, Any], constant: Constant) -> n.Node:
    given = _expected(item["values"], list, "values", "a list")
    parts = tuple(_property(part, constant) for part in given)
    if not parts:
        return _TRUE
    joined = n.Or if str(item.get("type")).upper() == "OR" else n.And
    return joined(exprs=parts) if len(parts) > 1 else parts[0]


def _test(field: n.Field, operator: str, value: Any, constant: Constant) -> n.Node:
    null = n.Constant(value=None)
    nowhere = n.Node()
    if operator == "is_set":
        return n.CompareOperation(op="!=", left=field, right=null)
    if operator == "is_not_set":
        return n.CompareOperation(op="==", left=field, right=null)
    values = list(value) if isinstance(value, list | tuple) else [value]
    negated = operator in ("is_not", "not_icontains", "not_regex")
    parts: list[n.Node] = []
    for one in values:
        given = constant(one, nowhere)
        if operator in ("exact", "is_not", "is_date_exact"):
            op = "!=" if negated else "=="
        elif operator in ("icontains", "not_icontains"):
            op = "not ilike" if negated else "ilike"
            given = n.Constant(value=f"%{_literal_pattern(str(one))}%")
        elif operator in _OPERATORS:
            op = _OPERATORS[operator]
        else:
            raise HogQLError(
                f"the operator {operator!r} of a property filter is not supported",
                code="invalid_property_filter",
            )
        parts.append(n.CompareOperation(op=op, left=field, right=given))
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return _TRUE if negated else n.Constant(value=False)
    return n.And(exprs=tuple(parts)) if negated else n.Or(exprs=tuple(parts))


def _literal_pattern(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _unplaced(node: Any) -> Any:
    """Return a tree without positions: they would point into another text."""
    if isinstance(node, tuple):
        return tuple(_unplaced(item) for item in node)
    if not isinstance(node, n.Node):
        return node
    names = [name for name in type(node).__dataclass_fields__ if name not in ("start", "end")]
    changed = {name: _unplaced(getattr(node, name)) for name in names}
    return replace(node, **changed, start=None, end=None)
