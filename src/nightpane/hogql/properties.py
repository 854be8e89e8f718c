"""Reading properties: from a typed column, a path of the JSON column, or the JSON text.

PostHog's rule: untyped access always gives a nullable string (strings unquoted, everything else as
its JSON text); a property definition then casts it, and what cannot be cast is NULL.
"""

from __future__ import annotations

from nightpane.errors import HogQLError
from nightpane.hogql.layout import ALWAYS_STRING, clickhouse_type
from nightpane.hogql.literals import identifier, string
from nightpane.hogql.nodes import Node
from nightpane.hogql.state import Expr, State
from nightpane.hogql.types import BOOL, DATETIME, FLOAT, STRING, Type

__all__ = ["cast_text", "event_property", "inside", "text_property"]

_TEXT = STRING.null()
_ZERO = "SQL indexes start from one, not from zero. E.g: array[1]"


def event_property(state: State, table: str, keys: list[str | int], node: Node) -> Expr:
    """Return a property of the events table known as ``table`` in the query."""
    head = str(keys[0])
    layout = state.layout
    document = f"{table}.properties"
    if len(keys) > 1:
        if head in layout.hot or head in layout.heavy:
            return Expr(_path(document, keys, node), _TEXT, text=True)
        return inside(Expr(_cold(table, head), _TEXT), keys[1:], node)
    if head in layout.hot:
        column = f"{table}.{identifier('mat_' + head)}"
        return _typed(state, head, column, clickhouse_type(layout.hot[head]))
    if head in layout.heavy:
        return Expr(_path(document, keys, node), _TEXT, text=True)
    return _typed(state, head, _cold(table, head), _TEXT)


def text_property(state: State, document: str, keys: list[str | int], node: Node) -> Expr:
    """Return a property read out of JSON text, typed by its definition."""
    sql = _path(document, keys, node)
    if len(keys) > 1:
        return Expr(sql, _TEXT, text=True)
    return _typed(state, str(keys[0]), sql, _TEXT)


def inside(text: Expr, keys: list[str | int], node: Node) -> Expr:
    """Return what lies at ``keys`` inside a JSON text."""
    return Expr(_path(text.sql, keys, node, nullable=text.type.nullable), _TEXT, text=True)


def cast_text(definition: str | None, sql: str, timezone: str) -> Expr:
    """Return a text cast as a property definition says; NULL where it does not fit."""
    if definition == "Numeric":
        return Expr(f"accurateCastOrNull({sql}, 'Float64')", FLOAT.null(), raw=sql)
    if definition == "Boolean":
        return Expr(
            f"CAST(transform({sql}, ['true', 'false'], [true, false], NULL), 'Nullable(Bool)')",
            BOOL.null(),
            raw=sql,
        )
    if definition == "DateTime":
        zone = string(timezone)
        return Expr(f"parseDateTime64BestEffortOrNull({sql}, 6, {zone})", DATETIME.null(), raw=sql)
    return Expr(sql, _TEXT, text=True)


def _typed(state: State, name: str, sql: str, stored: Type) -> Expr:
    definition = None if name in ALWAYS_STRING else state.property_types.get(name)
    if stored.kind != "string":
        # The column was typed when the event came in, by the same definition.
        return Expr(sql, stored)
    typed = cast_text(definition, sql, state.timezone)
    return typed if typed.raw else Expr(sql, stored, text=True)


def _cold(table: str, key: str) -> str:
    path = key.replace("%", "%25").replace(".", "%2E") or "%"
    return f"{table}.props.{identifier(path)}.:String"


def _path(document: str, keys: list[str | int], node: Node, *, nullable: bool = False) -> str:
    parts = ", ".join(_key(key, node) for key in keys)
    text = f"ifNull({document}, '')" if nullable else document
    raw = f"JSONExtractRaw({text}, {parts})"
    return (
        f"if(startsWith({raw}, '\"'), JSONExtractString({text}, {parts}),"
        f" nullIf(nullIf({raw}, ''), 'null'))"
    )


def _key(key: str | int, node: Node) -> str:
    if isinstance(key, int):
        if key == 0:
            raise HogQLError(_ZERO, start=node.start, end=node.end, code="hogql_query_error")
        return str(key)
    return string(key)
