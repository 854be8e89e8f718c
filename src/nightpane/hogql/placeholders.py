"""``{placeholders}`` filled in the tree, never in the text: a value can only become a constant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

from nightpane.hogql import nodes as n
from nightpane.hogql.filters import filter_expression

__all__ = ["constant", "fill"]

_T = TypeVar("_T", bound=n.Node)
_MOST_ITEMS = 10_000


def fill(
    tree: _T,
    timezone: str,
    values: Mapping[str, Any],
    variables: Mapping[str, Any],
    filters: Mapping[str, Any],
) -> _T:
    """Return the tree with every placeholder filled. Raises HogQLError for one without a value."""
    named = {
        str(item.get("code_name")): item for item in variables.values() if isinstance(item, Mapping)
    }

    def find(node: n.Placeholder) -> n.Node:
        if not isinstance(node.expr, n.Field):
            raise node.error("a placeholder is a name, such as {project}")
        name, *rest = (str(part) for part in node.expr.chain)
        if name == "filters" and "filters" not in values:
            if rest:
                raise node.error(f"Unresolved placeholder: {{{name}.{'.'.join(rest)}}}")
            return filter_expression(filters, timezone, constant)
        if name == "variables" and "variables" not in values:
            return _variable(node, rest, named)
        value: Any = values
        for part in (name, *rest):
            if not isinstance(value, Mapping) or part not in value:
                text = ".".join((name, *rest))
                raise node.error(f'Unresolved placeholder: {{{text}}}: give it a value in "values"')
            value = value[part]
        return constant(value, node)

    filled: _T = _walk(tree, find)
    return filled


def constant(value: Any, at: n.Node) -> n.Node:
    """Return a value as a constant, or an array of them. Raises HogQLError for anything else."""
    if isinstance(value, list | tuple | set | frozenset):
        if len(value) > _MOST_ITEMS:
            raise at.error(f"a list of {len(value):,} values: at most {_MOST_ITEMS:,} are taken")
        items = tuple(constant(item, at) for item in value)
        return n.Array(exprs=items, start=at.start, end=at.end)
    if value is None or isinstance(
        value, bool | int | float | str | Decimal | date | datetime | UUID
    ):
        return n.Constant(value=value, start=at.start, end=at.end)
    raise at.error(f"a value of type {type(value).__name__} cannot stand in a query")


def _variable(node: n.Placeholder, rest: list[str], named: Mapping[str, Any]) -> n.Node:
    name = ".".join(rest)
    item = named.get(name)
    if item is None:
        raise node.error(f"Variable {name} is missing from query")
    return constant(None if item.get("isNull") else item.get("value"), node)


def _walk(node: Any, find: Any) -> Any:
    if isinstance(node, n.Placeholder):
        return find(node)
    if isinstance(node, tuple):
        done = tuple(_walk(item, find) for item in node)
        return node if all(a is b for a, b in zip(done, node, strict=True)) else done
    if not isinstance(node, n.Node):
        return node
    changed = {}
    for item in fields(node):
        if item.name in ("start", "end"):
            continue
        before = getattr(node, item.name)
        if isinstance(before, n.Node | tuple):
            after = _walk(before, find)
            if after is not before:
                changed[item.name] = after
    return replace(node, **changed) if changed else node
