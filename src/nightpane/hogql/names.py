"""Expressions back to HogQL: the names of result columns that were given no alias."""

from __future__ import annotations

import re
from typing import Any

from nightpane.hogql import nodes as n
from nightpane.hogql.literals import string

__all__ = ["column_name", "hogql"]

_PLAIN = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_ARITHMETIC = {"+": "plus", "-": "minus", "*": "multiply", "/": "divide", "%": "modulo"}
_COMPARE = {
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
    "in": "in",
    "not in": "notIn",
}


def column_name(node: n.Node) -> str:
    """Return the name PostHog gives a column: its alias, a field's last part, or its text."""
    if isinstance(node, n.Alias):
        return node.alias
    if isinstance(node, n.Field):
        return str(node.chain[-1])
    if isinstance(node, n.ArrayAccess) and isinstance(node.property, n.Constant):
        return str(node.property.value)
    return hogql(node)


def hogql(node: Any) -> str:  # noqa: C901 (one line a node)
    """Return an expression in HogQL's own words."""
    if node is None:
        return ""
    match node:
        case n.Constant():
            return _constant(node.value)
        case n.Field():
            return ".".join(_name(part) for part in node.chain)
        case n.Alias():
            return f"{hogql(node.expr)} AS {_name(node.alias)}"
        case n.Call():
            inside = ("DISTINCT " if node.distinct else "") + _list(node.args)
            params = f"({_list(node.params)})" if node.params else ""
            return f"{node.name}{params}({inside})"
        case n.ArithmeticOperation():
            return f"{_ARITHMETIC.get(node.op, node.op)}({hogql(node.left)}, {hogql(node.right)})"
        case n.CompareOperation():
            if node.op not in _COMPARE:
                return f"{hogql(node.left)} {node.op} {hogql(node.right)}"
            return f"{_COMPARE[node.op]}({hogql(node.left)}, {hogql(node.right)})"
        case n.And():
            return f"and({_list(node.exprs)})"
        case n.Or():
            return f"or({_list(node.exprs)})"
        case n.Not():
            return f"not({hogql(node.expr)})"
        case n.Array():
            return f"[{_list(node.exprs)}]"
        case n.Tuple():
            return f"tuple({_list(node.exprs)})"
        case n.Dict():
            return "{" + ", ".join(f"{hogql(k)}: {hogql(v)}" for k, v in node.items) + "}"
        case n.ArrayAccess():
            return f"{hogql(node.array)}[{hogql(node.property)}]"
        case n.TupleAccess():
            return f"{hogql(node.tuple)}.{node.index}"
        case n.Lambda():
            return f"({', '.join(_name(arg) for arg in node.args)}) -> {hogql(node.expr)}"
        case n.WindowFunction():
            inside = _list(node.exprs or ()) + (f")({_list(node.args)}" if node.args else "")
            return f"{node.name}({inside}) OVER ({_name(node.over_identifier or '')})"
        case n.TypeCast() | n.TryCast():
            return f"cast({hogql(node.expr)}, {string(node.type_name)})"
        case n.BetweenExpr():
            word = "NOT BETWEEN" if node.negated else "BETWEEN"
            return f"{hogql(node.expr)} {word} {hogql(node.low)} AND {hogql(node.high)}"
        case n.SelectQuery() | n.SelectSetQuery():
            return "(SELECT)"
    return type(node).__name__.lower()


def _list(nodes: Any) -> str:
    return ", ".join(hogql(node) for node in nodes)


def _name(part: str | int) -> str:
    text = str(part)
    return text if not text or _PLAIN.fullmatch(text) or text.isdigit() else f"`{text}`"


def _constant(value: n.Literal) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    return string(value) if isinstance(value, str) else str(value)
