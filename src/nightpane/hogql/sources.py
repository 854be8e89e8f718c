"""FROM and JOIN: which table each name is, and how the tables are tied together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nightpane.hogql import nodes as n
from nightpane.hogql.compare import compare_values
from nightpane.hogql.relations import (
    Events,
    Numbers,
    Persons,
    Relation,
    Sessions,
    Subquery,
    suggest,
)
from nightpane.hogql.scope import check_name
from nightpane.hogql.state import Cx, Expr

if TYPE_CHECKING:
    from collections.abc import Callable

    from nightpane.hogql.calls import Translate
    from nightpane.hogql.types import Type

    Subselect = Callable[..., tuple[str, dict[str, Type]]]

__all__ = ["TABLES", "Source", "add_sources"]

TABLES = ("events", "persons", "sessions", "numbers")
_MOST_NUMBERS = 1_000_000
_JOINS = {
    **{name: name for name in ("CROSS JOIN", "INNER JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN")},
    "JOIN": "INNER JOIN",
    "LEFT OUTER JOIN": "LEFT JOIN",
    "RIGHT OUTER JOIN": "RIGHT JOIN",
    "FULL OUTER JOIN": "FULL JOIN",
    "OUTER JOIN": "FULL JOIN",
    **{
        f"{side}{kind} JOIN": f"{side}{kind} JOIN"
        for side in ("LEFT ", "RIGHT ")
        for kind in ("ANY", "SEMI", "ANTI")
    },
    "ANY JOIN": "ANY INNER JOIN",
    "ANY INNER JOIN": "ANY INNER JOIN",
    "INNER ANY JOIN": "ANY INNER JOIN",
    "ASOF JOIN": "ASOF JOIN",
    "INNER ASOF JOIN": "ASOF JOIN",
    "ASOF INNER JOIN": "ASOF JOIN",
    "LEFT ASOF JOIN": "ASOF LEFT JOIN",
}


@dataclass(frozen=True, slots=True)
class Source:
    """One table of FROM and how it is joined to those before it."""

    relation: Relation
    join: str = ""
    on: str = ""

    def sql(self, cx: Cx) -> str:
        """Return its text, once the rest of the query has said what it needs of it."""
        state = cx.state
        # What is joined lazily is found out first: it decides the columns of the table itself.
        joins = self.relation.joins(state)
        text = self.relation.sql(state)
        lead = f" {self.join} " if self.join else ""
        return f"{lead}{text}{f' ON {self.on}' if self.on else ''}{joins}"


def add_sources(
    cx: Cx, node: n.JoinExpr | None, translate: Translate, subselect: Subselect
) -> list[Source]:
    """Return the tables of FROM, each made known to the scope. Raises HogQLError."""
    found: list[Source] = []
    while node is not None:
        relation = _relation(cx, node, translate, subselect)
        if cx.scope.relation(relation.name) and relation.name:
            raise node.error(
                f'Already have joined a table called "{relation.name}". '
                "Can't join another one with the same name."
            )
        if not found:
            cx.scope.relations.append(relation)
            found.append(Source(relation))
        else:
            found.append(_joined(cx, node, relation, translate))
        node = node.next_join
    return found


def _joined(cx: Cx, node: n.JoinExpr, relation: Relation, translate: Translate) -> Source:
    words = " ".join((node.join_type or "JOIN").upper().split())
    join = _JOINS.get(words)
    if join is None:
        raise node.error(f"{words} is not supported")
    before = list(cx.scope.relations)
    cx.scope.relations.append(relation)
    constraint = node.constraint
    if join == "CROSS JOIN":
        if constraint is not None:
            raise node.error("CROSS JOIN takes no condition")
        return Source(relation, join)
    if constraint is None:
        raise node.error(f"{words} needs a condition: ON or USING")
    inside = replace(cx, join=True, place="join")
    if constraint.constraint_type == "ON":
        return Source(relation, join, translate(inside, constraint.expr).sql)
    if "ASOF" in join:
        raise node.error("ASOF JOIN needs ON")
    exprs = constraint.expr.exprs if isinstance(constraint.expr, n.Tuple) else (constraint.expr,)
    conditions = [_using(inside, join, before, relation, expr) for expr in exprs]
    return Source(relation, join, " AND ".join(conditions))


def _using(cx: Cx, join: str, before: list[Relation], relation: Relation, node: n.Node) -> str:
    """Return the condition for one column of USING, and make the column known as one."""
    field = node.expr if isinstance(node, n.Alias) else node
    if not isinstance(field, n.Field) or len(field.chain) != 1:
        raise node.error("USING takes names of columns")
    name = str(field.chain[0])
    left = cx.scope.using.get(name)
    if left is None:
        owners = [item for item in before if item.has(name)]
        if len(owners) != 1:
            raise node.error(
                f"Field not found: {name}"
                if not owners
                else f"Ambiguous query. Found multiple sources for field: {name}"
            )
        left = owners[0].read(cx.state, [name], field)
    right = relation.read(cx.state, [name], field)
    cx.scope.using[name] = _merged(join, left, right)
    return compare_values(cx, "==", (left, field), (right, field)).sql


def _merged(join: str, left: Expr, right: Expr) -> Expr:
    if join.startswith("RIGHT"):
        return right
    if not join.startswith("FULL"):
        return left
    # A side without a partner holds its type's default: then the other side has the value.
    if left.type.nullable:
        return replace(left, sql=f"ifNull({left.sql}, {right.sql})")
    default = f"defaultValueOfTypeName(toTypeName({left.sql}))"
    return replace(left, sql=f"if({left.sql} = {default}, {right.sql}, {left.sql})")


def _relation(cx: Cx, node: n.JoinExpr, translate: Translate, subselect: Subselect) -> Relation:
    if node.sample is not None:
        raise node.sample.error(
            "SAMPLE is not supported: every query reads all events, so leave it out"
        )
    if node.table_final:
        raise node.error("The FINAL keyword is not supported in HogQL as it causes slow queries")
    alias = check_name(node.alias, node) if node.alias is not None else ""
    table = node.table
    if isinstance(table, n.SelectQuery | n.SelectSetQuery):
        text, columns = subselect(cx, table, translate, names=node.column_aliases)
        return Subquery(alias, cx.state.fresh(), text, columns)
    if not isinstance(table, n.Field):
        raise table.error("FROM takes a table or a subquery")
    return _named(cx, node, table, alias, translate, subselect)


def _named(
    cx: Cx,
    node: n.JoinExpr,
    table: n.Field,
    alias: str,
    translate: Translate,
    subselect: Subselect,
) -> Relation:
    name = ".".join(str(part) for part in table.chain)
    label = alias or name
    known = cx.ctes.get(name)
    if known is not None and node.table_args is None:
        cte, ctes = known
        if cte.cte_type != "subquery":
            raise table.error(f'"{name}" is a value, not a table: write WITH {name} AS (SELECT …)')
        inner = replace(cx, ctes=ctes)
        text, columns = subselect(
            inner, cte.expr, translate, names=node.column_aliases or cte.columns
        )
        return Subquery(label, cx.state.fresh(), text, columns)
    if name == "numbers" and node.table_args is not None:
        return _numbers(cx, node, label)
    if name not in TABLES or node.table_args is not None or name == "numbers":
        raise table.error(f'Unknown table "{name}".{_near(cx, name)}', "hogql_query_error")
    if node.column_aliases:
        raise node.error(f'the columns of "{name}" cannot be renamed here: use a subquery')
    cx.state.tables.add(name)
    if name == "events":
        return Events(label, cx.state.fresh(), cx.state.person_overrides)
    return (Persons if name == "persons" else Sessions)(label, cx.state.fresh())


def _near(cx: Cx, name: str) -> str:
    return suggest(name, [*TABLES[:3], *cx.ctes]).removeprefix(".")


def _numbers(cx: Cx, node: n.JoinExpr, label: str) -> Relation:
    values = []
    for item in node.table_args or ():
        if not isinstance(item, n.Constant) or type(item.value) is not int or item.value < 0:
            raise item.error(
                "numbers() takes whole numbers: numbers(count) or numbers(first, count)"
            )
        values.append(item.value)
    if len(values) not in (1, 2):
        raise node.error(
            f"Function 'numbers' expects between 1 and 2 arguments, found {len(values)}"
        )
    first, count = (0, values[0]) if len(values) == 1 else (values[0], values[1])
    if count > _MOST_NUMBERS or first > 2**62:
        raise node.error(f"numbers() gives at most {_MOST_NUMBERS:,} rows, not {count:,}")
    return Numbers(label, cx.state.fresh(), first, count)
