"""Comparisons with PostHog's treatment of NULL, and literals read as the type they meet.

PostHog: ``=`` is false when one side is NULL and true when both are; ``!=`` is its opposite; ``<``
and its kin are false. Where NULL counts as false anyway (WHERE, HAVING, ``countIf``), the guard is
left out, so that the engine sees a plain comparison of a column.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID
from zoneinfo import ZoneInfo

from nightpane.hogql import nodes as n
from nightpane.hogql.literals import datetime_sql, literal, string
from nightpane.hogql.state import Cx, Expr
from nightpane.hogql.types import BOOL, FLOAT, STRING, Type

if TYPE_CHECKING:
    from collections.abc import Callable

    Translate = Callable[[Cx, n.Node], Expr]

__all__ = ["compare", "compare_values", "is_distinct", "read_time"]

_FUNCTIONS = {
    "==": "equals",
    "!=": "notEquals",
    "<": "less",
    "<=": "lessOrEquals",
    ">": "greater",
    ">=": "greaterOrEquals",
    "like": "like",
    "ilike": "ilike",
    "not like": "notLike",
    "not ilike": "notILike",
}
_OPPOSITE = {"!=", "not like", "not ilike", "!~", "!~*"}
_BOTH_NULL = {"==", "like", "ilike", "=~", "=~*"}
_PATTERNS = {"like", "ilike", "not like", "not ilike", "=~", "!~", "=~*", "!~*"}
_EXACT = 2**53
_TIME = re.compile(r"\d{4}-\d{1,2}-\d{1,2}")


def compare(cx: Cx, node: n.CompareOperation, translate: Translate) -> Expr:
    """Return the translation of one comparison."""
    op = node.op
    if op in ("in cohort", "not in cohort"):
        raise node.error("IN COHORT is not supported: there are no cohorts here")
    inner = cx.value()
    if op in ("in", "not in"):
        return _membership(inner, node, translate, negated=op == "not in")
    for side, other in ((node.right, node.left), (node.left, node.right)):
        if isinstance(side, n.Constant) and side.value is None:
            return _with_null(op, translate(inner, other))
    left, right = translate(inner, node.left), translate(inner, node.right)
    return compare_values(cx, op, (left, node.left), (right, node.right))


def compare_values(cx: Cx, op: str, left: tuple[Expr, n.Node], right: tuple[Expr, n.Node]) -> Expr:
    """Return the comparison of two translated expressions, given with their nodes."""
    a, b = _fit(cx, op, left, right)
    aggregate = a.aggregate or b.aggregate
    sql = _operator(op, a.sql, b.sql)
    if cx.join or not (a.type.nullable or b.type.nullable):
        return Expr(sql, BOOL, aggregate)
    both = a.type.nullable and b.type.nullable
    if op in _BOTH_NULL and both:
        return Expr(f"ifNull({sql}, isNull({a.sql}) AND isNull({b.sql}))", BOOL, aggregate)
    if op in _OPPOSITE:
        instead = f"isNotNull({a.sql}) OR isNotNull({b.sql})" if both else "1"
        return Expr(f"ifNull({sql}, {instead})", BOOL, aggregate)
    if cx.condition:
        return Expr(sql, BOOL, aggregate)
    return Expr(f"ifNull({sql}, 0)", BOOL, aggregate)


def is_distinct(cx: Cx, node: n.IsDistinctFrom, translate: Translate) -> Expr:
    """Return ``IS [NOT] DISTINCT FROM``; the grammar says ``negated`` for NOT."""
    plain = n.CompareOperation(
        op="==" if node.negated else "!=",
        left=node.left,
        right=node.right,
        start=node.start,
        end=node.end,
    )
    return compare(cx.value(), plain, translate)


def read_time(text: str, timezone: str) -> datetime | None:
    """Return the instant a text names, in this timezone unless it names one; None if none."""
    if not _TIME.match(text.strip()):
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(timezone))


def _operator(op: str, left: str, right: str) -> str:
    if op in _FUNCTIONS:
        return f"{_FUNCTIONS[op]}({left}, {right})"
    pattern = f"concat('(?i)', {right})" if op.endswith("*") else right
    sql = f"match({left}, {pattern})"
    return f"not({sql})" if op.startswith("!") else sql


def _with_null(op: str, other: Expr) -> Expr:
    if op == "==":
        return Expr(f"isNull({other.sql})", BOOL, other.aggregate)
    if op == "!=":
        return Expr(f"isNotNull({other.sql})", BOOL, other.aggregate)
    # Nothing is like, below or above NULL; and everything that is something is unlike it.
    if op in _OPPOSITE:
        return Expr(f"isNotNull({other.sql})", BOOL, other.aggregate)
    if op in _BOTH_NULL:
        return Expr(f"isNull({other.sql})", BOOL, other.aggregate)
    return Expr(f"and(isNull({other.sql}), 0)", BOOL, other.aggregate)


def _fit(cx: Cx, op: str, left: tuple[Expr, n.Node], right: tuple[Expr, n.Node]) -> list[Expr]:
    (a, a_node), (b, b_node) = left, right
    if op in _PATTERNS:
        return [_as_text(a), _as_text(b)]
    if isinstance(b_node, n.Constant) and not isinstance(a_node, n.Constant):
        return list(_literal(cx, a, b, b_node))
    if isinstance(a_node, n.Constant) and not isinstance(b_node, n.Constant):
        return list(reversed(_literal(cx, b, a, a_node)))
    return list(_columns(cx, a, b))


def _as_text(value: Expr) -> Expr:
    if value.type.kind in ("int", "float", "bool", "uuid", "date", "datetime"):
        return Expr(f"toString({value.sql})", STRING.null(value.type.nullable), value.aggregate)
    return value


def _literal(cx: Cx, value: Expr, constant: Expr, node: n.Constant) -> tuple[Expr, Expr]:
    """Return a column and a literal as two things that can be compared."""
    kind, given = value.type.kind, node.value
    if isinstance(given, str):
        return _text_literal(cx, value, constant, given)
    if kind == "string" and isinstance(given, bool):
        return value, Expr(string("true" if given else "false"), STRING)
    if kind == "string" and isinstance(given, int) and abs(given) > _EXACT:
        return value, Expr(string(str(given)), STRING)
    if kind == "string" and isinstance(given, int | float):
        sql = f"toFloat64OrNull(toString({value.sql}))"
        return Expr(sql, FLOAT.null(), value.aggregate), constant
    if kind == "bool" and given in (0, 1):
        return value, Expr("true" if given else "false", BOOL)
    return value, constant


def _text_literal(cx: Cx, value: Expr, constant: Expr, given: str) -> tuple[Expr, Expr]:
    kind = value.type.kind
    timezone = cx.state.timezone
    if kind in ("date", "datetime"):
        moment = read_time(given, timezone)
        if moment is None:
            return _as_text(value), constant
        if kind == "date" and len(given.strip()) <= 10:
            return value, Expr(literal(moment.date(), timezone), value.type.null(False))
        return value, Expr(datetime_sql(moment, timezone), Type("datetime"))
    if kind == "bool" and given.lower() in ("true", "false", "1", "0"):
        return value, Expr("true" if given.lower() in ("true", "1") else "false", BOOL)
    if kind in ("int", "float") and (number := _number(given)) is not None:
        return value, Expr(literal(number, timezone), FLOAT)
    if kind == "uuid" and _is_uuid(given):
        return value, Expr(f"toUUID({constant.sql})", Type("uuid"))
    return _as_text(value), constant


def _columns(cx: Cx, a: Expr, b: Expr) -> tuple[Expr, Expr]:
    """Return two columns of different kinds as two things that can be compared."""
    kinds = {a.type.kind, b.type.kind}
    if len(kinds) == 1 or "string" not in kinds:
        return a, b
    other = (kinds - {"string"}).pop()
    if other in ("int", "float"):
        return _cast(a, "toFloat64OrNull(toString({}))"), _cast(b, "toFloat64OrNull(toString({}))")
    if other in ("date", "datetime"):
        zone = string(cx.state.timezone)
        form = f"parseDateTime64BestEffortOrNull({{}}, 6, {zone})"
        return _cast(a, form), _cast(b, form)
    if other in ("uuid", "bool"):
        return _as_text(a), _as_text(b)
    return a, b


def _cast(value: Expr, form: str) -> Expr:
    if value.type.kind != "string":
        return value
    return Expr(form.format(value.sql), Type("any", nullable=True), value.aggregate)


def _membership(cx: Cx, node: n.CompareOperation, translate: Translate, *, negated: bool) -> Expr:
    left = translate(cx, node.left)
    name = "notIn" if negated else "in"
    right = node.right
    if isinstance(right, n.SelectQuery | n.SelectSetQuery):
        # The reader's setting transform_null_in makes NULL a value like any other here.
        return Expr(f"{name}({left.sql}, {translate(cx, right).sql})", BOOL, left.aggregate)
    items: list[n.Node] | None = None
    if isinstance(right, n.Tuple | n.Array):
        items = list(right.exprs)
    elif isinstance(right, n.Constant):
        items = [right]
    if items is None:
        has = f"has({translate(cx, right).sql}, {left.sql})"
        return Expr(f"not({has})" if negated else has, BOOL, left.aggregate)
    if not items:
        return Expr("1" if negated else "0", BOOL, left.aggregate)
    if isinstance(node.left, n.Tuple) or not all(isinstance(item, n.Constant) for item in items):
        return _any_of(cx, node, items, translate, negated=negated)
    return _in_list(cx, left, items, name)


def _any_of(
    cx: Cx,
    node: n.CompareOperation,
    items: list[n.Node],
    translate: Translate,
    *,
    negated: bool,
) -> Expr:
    """Return a membership among expressions, or of a tuple among tuples."""
    if isinstance(node.left, n.Tuple) and all(isinstance(item, n.Tuple) for item in items):
        left = translate(cx, node.left)
        listed = ", ".join(translate(cx, item).sql for item in items)
        return Expr(f"{'notIn' if negated else 'in'}({left.sql}, ({listed},))", BOOL)
    parts = [
        compare(cx, n.CompareOperation(op="==", left=node.left, right=item), translate)
        for item in items
    ]
    sql = " OR ".join(part.sql for part in parts)
    return Expr(f"not({sql})" if negated else f"({sql})", BOOL, parts[0].aggregate)


def _in_list(cx: Cx, left: Expr, items: list[Any], name: str) -> Expr:
    values = [item.value for item in items]
    if left.type.kind == "string" and any(isinstance(value, str) for value in values):
        # One text among them makes them all texts: 5 is then '5'.
        items = [n.Constant(value=value if value is None else _spelled(value)) for value in values]
    fitted: list[Expr] = []
    column = left
    for item in items:
        constant = Expr(literal(item.value, cx.state.timezone), STRING)
        if item.value is None:
            fitted.append(Expr("NULL", STRING))
            continue
        value, constant = _literal(cx, left, constant, item)
        if value.sql != left.sql and left.type.kind != "string":
            continue  # a text that no number, time or uuid can equal
        column = value
        fitted.append(constant)
    if not fitted:
        return Expr("1" if name == "notIn" else "0", BOOL, left.aggregate)
    listed = ", ".join(item.sql for item in fitted)
    return Expr(f"{name}({column.sql}, ({listed},))", BOOL, left.aggregate)


def _spelled(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _number(text: str) -> int | float | None:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return None


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
