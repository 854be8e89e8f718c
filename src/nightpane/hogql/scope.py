"""Names in a SELECT: what each one means, and in which order places are searched.

A name is a lambda's argument, then a table (when something follows it), then an alias, then a
column of exactly one table. Where an alias holds an aggregate and cannot be meant (WHERE, GROUP
BY), the column of that name is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from nightpane.errors import HogQLError
from nightpane.hogql.literals import identifier
from nightpane.hogql.nodes import Alias, Field, Node
from nightpane.hogql.relations import Relation, access, suggest
from nightpane.hogql.schema import EVENT_COLUMNS
from nightpane.hogql.state import Cx, Expr
from nightpane.hogql.types import Type

__all__ = ["Scope", "check_name", "nested", "resolve"]

_RESERVED = ("team_id", "true", "false", "null")
_BEFORE_AGGREGATION = ("where", "group_by", "array_join")


@dataclass(slots=True)
class Scope:
    """The names one SELECT can see.

    ``pending`` are aliases of the SELECT list not met yet; ``define`` translates one when it is
    asked for early. ``using`` holds the columns joined by USING, which belong to no single table.
    """

    relations: list[Relation] = field(default_factory=list)
    aliases: dict[str, Expr] = field(default_factory=dict)
    pending: dict[str, Alias] = field(default_factory=dict)
    using: dict[str, Expr] = field(default_factory=dict)
    lambdas: Mapping[str, Type] = field(default_factory=dict)
    windows: set[str] = field(default_factory=set)
    define: Callable[[Alias], None] | None = None
    column_cte: Callable[[Cx, str], Expr | None] | None = None

    def inside_lambda(self, arguments: Mapping[str, Type]) -> Scope:
        """Return the same names and a lambda's arguments in front of them."""
        return replace(self, lambdas={**self.lambdas, **arguments})

    def relation(self, name: str) -> Relation | None:
        """Return the table of that name."""
        return next((item for item in self.relations if item.name == name), None)


def check_name(name: str, node: Node) -> str:
    """Return a name that may be an alias. Raises HogQLError in PostHog's words otherwise."""
    if name.lower() in _RESERVED:
        raise node.error(f'"{name}" cannot be an alias or identifier, as it\'s a reserved keyword')
    if "%" in name:
        raise node.error(
            f'The HogQL identifier "{name}" is not permitted as it contains the "%" character'
        )
    if not name:
        raise node.error("An alias cannot be empty")
    return name


def resolve(cx: Cx, node: Field) -> Expr:
    """Return what a field means here. Raises HogQLError when nothing has that name, or two do."""
    keys = list(node.chain)
    name = str(keys[0])
    scope = cx.scope
    if name in scope.lambdas:
        kind = scope.lambdas[name]
        return access(cx.state, Expr(identifier(name), kind, text=kind.text), keys[1:], node)
    if len(keys) > 1 and (relation := scope.relation(name)):
        return relation.read(cx.state, keys[1:], node)
    value = _alias(cx, name, node)
    if value is not None:
        return access(cx.state, value, keys[1:], node)
    return _column(cx, name, keys, node)


def _alias(cx: Cx, name: str, node: Field) -> Expr | None:
    scope = cx.scope
    known = scope.aliases.get(name)
    if known is None and name in scope.pending and not _sources(scope, name):
        pending = scope.pending.pop(name)
        if scope.define is not None:
            scope.define(pending)
        known = scope.aliases.get(name)
    if known is None:
        return None
    if known.aggregate:
        if cx.place in _BEFORE_AGGREGATION and _sources(scope, name):
            return None
        if cx.aggregate:
            raise nested(known.aggregate, cx.aggregate, node)
    return known


def _column(cx: Cx, name: str, keys: list[str | int], node: Field) -> Expr:
    scope = cx.scope
    if name in scope.using:
        return access(cx.state, scope.using[name], keys[1:], node)
    found = _sources(scope, name)
    if len(found) == 1:
        return found[0].read(cx.state, keys, node)
    if found:
        raise node.error(f"Ambiguous query. Found multiple sources for field: {name}")
    if scope.column_cte and (value := scope.column_cte(cx, name)):
        return access(cx.state, value, keys[1:], node)
    if scope.relation(name):
        raise node.error(f"Can't select a table when a column is expected: {name}")
    raise node.error(f"Unable to resolve field: {name}{_hint(cx, name)}")


def nested(inner: str, outer: str, node: Node) -> HogQLError:
    """Return the error for an aggregate inside another."""
    return node.error(
        f"Aggregation '{inner}' cannot be nested inside another aggregation '{outer}'."
    )


def _sources(scope: Scope, name: str) -> list[Relation]:
    return [relation for relation in scope.relations if relation.has(name)]


def _hint(cx: Cx, name: str) -> str:
    reads_events = any(relation.has("properties") for relation in cx.scope.relations)
    if reads_events and name in cx.state.property_types:
        return f". Perhaps you meant 'properties.{name}'?"
    there = {*cx.scope.aliases, *(EVENT_COLUMNS if reads_events else ())}
    for relation in cx.scope.relations:
        there.update(relation.star())
    return suggest(name, there)
