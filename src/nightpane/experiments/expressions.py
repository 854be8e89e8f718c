"""What of a metric becomes HogQL text: property names, property filters, ``math_hogql``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nightpane.errors import ExperimentError, HogQLError

__all__ = ["event_condition", "field", "split_math"]

_COMPARISONS = {"exact": "=", "is_not": "!=", "regex": "=~", "not_regex": "!~"}
_COMPARISONS |= {"icontains": "ilike", "not_icontains": "not ilike"}
_NUMERIC = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_NEGATED = ("is_not", "not_regex", "not_icontains")
_AGGREGATES = {"sum": "sum", "avg": "avg", "min": "min", "max": "max", "count": "count"}
_AGGREGATES |= {"uniq": "uniq", "uniqExact": "uniq"}


def field(key: str) -> str:
    """Return a property of an event as HogQL, whatever characters its name has."""
    return "properties.`" + key.replace("\\", "\\\\").replace("`", "``") + "`"


def event_condition(event: str | None, properties: Any, values: dict[str, Any]) -> str:
    """Return the condition of an event's name and property filters; ``values`` are added to."""
    tests = [] if event is None else [f"event = {_place(event, values)}"]
    tests += [_property(item, values) for item in _list(properties)]
    return " and ".join(tests) or "true"


def split_math(text: Any) -> tuple[str, str]:
    """Return the expression inside a ``math_hogql`` and the aggregation around it.

    One aggregation of one expression, such as ``sum(properties.cost_usd)``; an expression alone
    is summed. Raises ExperimentError for anything else.
    """
    from nightpane.hogql.functions import find
    from nightpane.hogql.nodes import Call, Node, Placeholder

    tree = _parsed(text, "math_hogql")
    inner: Node = tree
    aggregate = "sum"
    if isinstance(tree, Call) and tree.name in _AGGREGATES and len(tree.args) <= 1:
        aggregate = _AGGREGATES[tree.name]
        if tree.distinct or tree.filter_expr is not None or tree.params:
            raise _unclear(text)
        if not tree.args:
            return "1", "count"
        inner = tree.args[0]
    for node in _nodes(inner):
        function = find(node.name) if isinstance(node, Call) else None
        if isinstance(node, Placeholder) or (function is not None and function.aggregate):
            raise _unclear(text)
    value = text[inner.start : inner.end]
    return f"(\n{value}\n)" if aggregate in (
        "count",
        "uniq",
    ) else f"toFloat(\n{value}\n)", aggregate


def _property(item: Any, values: dict[str, Any]) -> str:
    if not isinstance(item, Mapping) or not isinstance(item.get("key"), str):
        raise _filter(f"A property filter is an object with a key, not {item!r}.")
    kind, key = item.get("type") or "event", item["key"]
    if kind == "hogql":
        tree = _parsed(key, "properties")
        return f"(\n{key[tree.start : tree.end]}\n)"
    if kind != "event":
        raise _filter(f"Property filters of type {kind!r} are not supported: event, hogql are.")
    operator, value = item.get("operator") or "exact", item.get("value")
    if operator in ("is_set", "is_not_set"):
        return f"{field(key)} is {'not ' if operator == 'is_set' else ''}null"
    if operator in _NUMERIC:
        return f"toFloat({field(key)}) {_NUMERIC[operator]} {_place(_number(value), values)}"
    if operator not in _COMPARISONS:
        raise _filter(f"The operator {operator!r} of a property filter is not supported.")
    tests = []
    for one in value if isinstance(value, list) else [value]:
        text = _text(one)
        given = f"%{_literally(text)}%" if operator.endswith("icontains") else text
        place = _place(given, values)
        tests.append(f"toString({field(key)}) {_COMPARISONS[operator]} {place}")
    joined = " and " if operator in _NEGATED else " or "
    return f"({joined.join(tests)})" if tests else "false"


def _parsed(text: Any, name: str) -> Any:
    from nightpane.hogql.parse import parse_expression

    if not isinstance(text, str) or not text.strip():
        raise ExperimentError(f"{name}: an expression of HogQL is required.", attr="metric")
    try:
        return parse_expression(text)
    except HogQLError as error:
        raise ExperimentError(f"{name} cannot be read: {error}", attr="metric") from error


def _nodes(node: Any) -> Iterator[Any]:
    from nightpane.hogql.nodes import Node, children

    if isinstance(node, Node):
        yield node
        for child in children(node):
            yield from _nodes(child)
    elif isinstance(node, tuple):
        for child in node:
            yield from _nodes(child)


def _list(given: Any) -> list[Any]:
    if given is None:
        return []
    if not isinstance(given, list):
        raise _filter("properties must be a list.")
    return given


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise _filter(f"A property filter compares with a text, number or boolean, not {value!r}.")


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise _filter(f"A property filter compares with a number here, not {value!r}.") from None


def _literally(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _place(value: Any, values: dict[str, Any]) -> str:
    name = f"given_{len(values)}"
    values[name] = value
    return f"{{{name}}}"


def _filter(text: str) -> ExperimentError:
    return ExperimentError(text, attr="metric")


def _unclear(text: str) -> ExperimentError:
    return ExperimentError(
        f"math_hogql {text!r} must be one aggregation ({', '.join(_AGGREGATES)}) of one "
        "expression, or an expression to sum.",
        attr="metric",
    )
