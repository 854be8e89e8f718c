"""The list of a SELECT: what stands in it, ``*`` written out, and the names of the columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nightpane.hogql import nodes as n
from nightpane.hogql.literals import identifier
from nightpane.hogql.names import column_name
from nightpane.hogql.relations import Relation
from nightpane.hogql.scope import check_name
from nightpane.hogql.state import Cx, Expr
from nightpane.hogql.types import Type

if TYPE_CHECKING:
    from nightpane.hogql.calls import Translate

__all__ = ["Column", "select_list"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a result: its name, its text, and whether the query named it itself."""

    name: str
    value: Expr
    aliased: bool

    @property
    def type(self) -> Type:
        """Its type as a query around this one sees it."""
        kind = self.value.type
        return replace(kind, text=True) if self.value.text else kind


def select_list(cx: Cx, items: tuple[n.Node, ...], translate: Translate) -> list[Column]:
    """Return the columns of a SELECT list. Raises HogQLError."""
    scope = cx.scope
    defined: dict[int, Expr] = {}

    def define(alias: n.Alias) -> None:
        name = check_name(alias.alias, alias)
        value = translate(replace(cx, place="select", aggregate=None), alias.expr)
        if name in scope.aliases:
            raise alias.error(f"Cannot redefine an alias with the name: {name}")
        defined[id(alias)] = value
        scope.aliases[name] = replace(value, sql=identifier(name))

    scope.define = define
    scope.pending.update(
        (item.alias, item) for item in reversed(items) if isinstance(item, n.Alias)
    )
    found: list[Column] = []
    for item in items:
        if isinstance(item, n.Alias):
            if id(item) not in defined:
                scope.pending.pop(item.alias, None)
                define(item)
            found.append(Column(item.alias, defined[id(item)], aliased=True))
        elif isinstance(item, n.ColumnsExpr) or _is_star(item):
            found.extend(_starred(cx, item))
        else:
            found.append(Column(column_name(item), translate(cx, item), aliased=False))
    return found


def _is_star(item: n.Node) -> bool:
    return isinstance(item, n.Field) and item.chain[-1] == "*"


def _starred(cx: Cx, item: n.Node) -> Iterator[Column]:
    relations = _owners(cx, item)
    names = [(relation, name) for relation in relations for name in relation.star()]
    if isinstance(item, n.ColumnsExpr):
        names = _chosen(item, names)
        if not names:
            raise item.error("no column is left to select")
    for relation, name in names:
        value = relation.read(cx.state, [name], item)
        yield Column(name, value, aliased=False)


def _owners(cx: Cx, item: n.Node) -> list[Relation]:
    relations = cx.scope.relations
    if not relations:
        raise item.error("Cannot use '*' when there are no tables in the query")
    if isinstance(item, n.Field) and len(item.chain) > 1:
        name = ".".join(str(part) for part in item.chain[:-1])
        relation = cx.scope.relation(name)
        if relation is None:
            raise item.error(f'Unknown table "{name}".')
        return [relation]
    if len(relations) > 1:
        raise item.error(
            "Cannot use '*' without table name when there are multiple tables in the query"
        )
    return list(relations)


def _chosen(item: n.ColumnsExpr, names: list[tuple[Relation, str]]) -> list[tuple[Relation, str]]:
    if item.regex is not None:
        # A pattern would be run here, where no limit of time holds.
        raise item.error("COLUMNS('pattern') is not supported: use * EXCLUDE (…)")
    there = {name for _, name in names}
    for name in item.exclude:
        if name not in there:
            raise item.error(f"Field not found: {name}")
    return [pair for pair in names if pair[1] not in item.exclude]
