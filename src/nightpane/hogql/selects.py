"""SELECT and the set operators, printed clause by clause."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nightpane.hogql import nodes as n
from nightpane.hogql.columns import Column, select_list
from nightpane.hogql.literals import identifier
from nightpane.hogql.orders import order_list
from nightpane.hogql.scope import Scope, check_name
from nightpane.hogql.sources import Source, add_sources
from nightpane.hogql.state import Cx, Expr
from nightpane.hogql.types import Type, common

if TYPE_CHECKING:
    from nightpane.hogql.calls import Translate

__all__ = ["Limits", "Selected", "select", "subselect", "whole_number"]

_SET = {
    "UNION ALL": "UNION ALL",
    "UNION DISTINCT": "UNION DISTINCT",
    "INTERSECT": "INTERSECT DISTINCT",
    "INTERSECT DISTINCT": "INTERSECT DISTINCT",
    "INTERSECT ALL": "INTERSECT ALL",
    "EXCEPT": "EXCEPT DISTINCT",
    "EXCEPT DISTINCT": "EXCEPT DISTINCT",
    "EXCEPT ALL": "EXCEPT ALL",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """The LIMIT and OFFSET to print, in place of the query's own."""

    limit: int | None
    offset: int | None = None
    with_ties: bool = False

    def sql(self) -> str:
        """Return the clauses."""
        text = f" LIMIT {self.limit}" if self.limit is not None else ""
        if self.limit is not None and self.offset:
            text += f" OFFSET {self.offset}"
        elif self.offset:
            text = f" OFFSET {self.offset}"
        return text + (" WITH TIES" if self.with_ties and text else "")


@dataclass(frozen=True, slots=True)
class Selected:
    """A translated query and the columns it gives."""

    text: str
    columns: tuple[tuple[str, Type], ...]


def subselect(
    cx: Cx,
    node: n.Node,
    translate: Translate,
    *,
    names: tuple[str, ...] | None = None,
) -> tuple[str, dict[str, Type]]:
    """Return a query inside another: its text and its columns, each under a name of its own."""
    inner = replace(cx, condition=False, join=False, aggregate=None, place="select")
    found = select(inner, node, translate, limits=None, names=names, named=True)
    return found.text, dict(found.columns)


def select(
    cx: Cx,
    node: n.Node,
    translate: Translate,
    *,
    limits: Limits | None,
    names: tuple[str, ...] | None = None,
    named: bool = False,
) -> Selected:
    """Return a translated query. ``limits`` replace its own; ``named`` gives each column a name."""
    if isinstance(node, n.SelectSetQuery):
        return _set_query(cx, node, translate, limits=limits, names=names)
    if not isinstance(node, n.SelectQuery):
        raise node.error("a SELECT was expected")
    return _select(cx, node, translate, limits=limits, names=names, named=named)


def whole_number(node: n.Node | None, what: str) -> int | None:
    """Return the constant of LIMIT or OFFSET. Raises HogQLError when it is anything else."""
    if node is None:
        return None
    if not isinstance(node, n.Constant) or type(node.value) is not int or node.value < 0:
        raise node.error(f"{what} must be a whole number")
    return node.value


def _select(
    cx: Cx,
    node: n.SelectQuery,
    translate: Translate,
    *,
    limits: Limits | None,
    names: tuple[str, ...] | None,
    named: bool,
) -> Selected:
    cx = replace(cx, scope=Scope(), ctes=_with(cx, node.ctes))
    cx.scope.column_cte = lambda where, name: _column_cte(where, name, translate)
    sources = add_sources(cx, node.select_from, translate, subselect)
    array_join = _array_join(cx, node, translate)
    cx.scope.windows.update(name for name, _ in node.window_exprs or ())
    columns = select_list(cx, node.select, translate)
    listed, outputs = _print_columns(columns, names, node, named=named)
    body = _clauses(cx, node, translate, limits)
    source = f" FROM {''.join(item.sql(cx) for item in sources)}" if sources else ""
    distinct = "DISTINCT " if node.distinct else ""
    return Selected(f"SELECT {distinct}{listed}{source}{array_join}{body}", outputs)


def _with(cx: Cx, ctes: tuple[n.CTE, ...] | None) -> dict[str, tuple[n.CTE, object]]:
    known = dict(cx.ctes)
    for cte in ctes or ():
        if cte.recursive:
            raise cte.error("WITH RECURSIVE is not supported")
        # An expression sees those before it, not itself.
        known[check_name(cte.name, cte)] = (cte, dict(known))
    return known


def _column_cte(cx: Cx, name: str, translate: Translate) -> Expr | None:
    found = cx.ctes.get(name)
    if found is None or found[0].cte_type == "subquery":
        return None
    cte, ctes = found
    value = translate(replace(cx, ctes=ctes), cte.expr)
    return replace(value, sql=f"({value.sql})") if not value.sql.startswith("(") else value


def _array_join(cx: Cx, node: n.SelectQuery, translate: Translate) -> str:
    if not node.array_join_list:
        return ""
    word = (node.array_join_op or "ARRAY JOIN").upper()
    if word not in ("ARRAY JOIN", "LEFT ARRAY JOIN", "INNER ARRAY JOIN"):
        raise node.error(f"{word} is not supported")
    if not cx.scope.relations:
        raise node.error("ARRAY JOIN needs a table")
    parts = []
    known: dict[str, Expr] = {}
    for item in node.array_join_list:
        if not isinstance(item, n.Alias):
            raise item.error("ARRAY JOIN arrays must have an alias")
        value = translate(replace(cx, place="array_join"), item.expr)
        name = identifier(check_name(item.alias, item))
        parts.append(f"{value.sql} AS {name}")
        kind = value.type.item or Type("any", nullable=True)
        known[item.alias] = Expr(name, kind)
    cx.scope.aliases.update(known)
    return f" {word.removeprefix('INNER ')} {', '.join(parts)}"


def _print_columns(
    columns: list[Column], names: tuple[str, ...] | None, node: n.Node, *, named: bool
) -> tuple[str, tuple[tuple[str, Type], ...]]:
    if names is not None and len(names) != len(columns):
        raise node.error(f"{len(names)} column names are given for {len(columns)} columns")
    own = {column.name for column in columns if column.aliased}
    parts: list[str] = []
    outputs: dict[str, Type] = {}
    for at, column in enumerate(columns):
        name = names[at] if names is not None else column.name
        sql = column.value.sql
        if column.aliased:
            sql = f"{sql} AS {identifier(column.name)}"
        if name in outputs or (name in own and not column.aliased and names is None):
            # Of several columns with one name, the aliased one or the first can be asked for.
            name = f"{name}__{at}"
        if (named or names is not None) and not (column.aliased and column.name == name):
            sql = (
                f"({sql}) AS {identifier(name)}"
                if column.aliased
                else f"{sql} AS {identifier(name)}"
            )
        outputs[name] = column.type
        parts.append(sql)
    if named or names is not None:
        return ", ".join(parts), tuple(outputs.items())
    return ", ".join(parts), tuple((column.name, column.type) for column in columns)


def _clauses(cx: Cx, node: n.SelectQuery, translate: Translate, limits: Limits | None) -> str:
    from nightpane.hogql.calls import condition

    text = ""
    tests = [item for item in (node.prewhere, node.where) if item is not None]
    if tests:
        place = replace(cx.test(), place="where")
        parts = [condition(place, item, translate).sql for item in tests]
        text += f" WHERE {parts[0] if len(parts) == 1 else f'and({parts[0]}, {parts[1]})'}"
    text += _group_by(replace(cx, place="group_by"), node, translate)
    if node.having is not None:
        place = replace(cx.test(), place="having")
        text += f" HAVING {condition(place, node.having, translate).sql}"
    text += _windows(cx, node, translate)
    if node.qualify is not None:
        place = replace(cx.test(), place="having")
        text += f" QUALIFY {condition(place, node.qualify, translate).sql}"
    late = replace(cx, place="order_by")
    if node.order_by:
        text += f" ORDER BY {order_list(late, node.order_by, translate)}"
    text += _limit_by(late, node.limit_by, translate)
    return text + (limits or _own_limits(cx, node)).sql()


def _group_by(cx: Cx, node: n.SelectQuery, translate: Translate) -> str:
    mode = node.group_by_mode
    if mode == "all":
        return " GROUP BY ALL"
    if not node.group_by:
        return ""
    if mode == "grouping_sets":
        sets = []
        for item in node.group_by:
            exprs = item.exprs if isinstance(item, n.GroupingSet) else (item,)
            sets.append(f"({', '.join(translate(cx, expr).sql for expr in exprs)})")
        return f" GROUP BY GROUPING SETS ({', '.join(sets)})"
    listed = ", ".join(translate(cx, item).sql for item in node.group_by)
    if mode in ("rollup", "cube"):
        return f" GROUP BY {mode.upper()}({listed})"
    if mode is not None:
        raise node.error(f"GROUP BY {mode} is not supported")
    return f" GROUP BY {listed}"


def _windows(cx: Cx, node: n.SelectQuery, translate: Translate) -> str:
    from nightpane.hogql.windows import window

    if not node.window_exprs:
        return ""
    parts = [
        f"{identifier(name)} AS ({window(cx, item, translate)})" for name, item in node.window_exprs
    ]
    return f" WINDOW {', '.join(parts)}"


def _limit_by(cx: Cx, node: n.LimitByExpr | None, translate: Translate) -> str:
    if node is None:
        return ""
    count = whole_number(node.n, "LIMIT BY")
    offset = whole_number(node.offset_value, "OFFSET")
    listed = ", ".join(translate(cx, item).sql for item in node.exprs)
    return f" LIMIT {count}{f' OFFSET {offset}' if offset else ''} BY {listed}"


def _own_limits(cx: Cx, node: n.SelectQuery | n.SelectSetQuery) -> Limits:
    limit = whole_number(node.limit, "LIMIT")
    if limit is not None:
        limit = min(limit, cx.state.max_rows)
    return Limits(limit, whole_number(node.offset, "OFFSET"), bool(node.limit_with_ties))


def _set_query(
    cx: Cx,
    node: n.SelectSetQuery,
    translate: Translate,
    *,
    limits: Limits | None,
    names: tuple[str, ...] | None,
) -> Selected:
    cx = replace(cx, ctes=_with(cx, node.ctes))
    first = node.initial_select_query
    if isinstance(first, n.SelectQuery):
        # WITH before the first SELECT belongs to all of them.
        cx = replace(cx, ctes=_with(cx, first.ctes))
    parts = [select(cx, first, translate, limits=None, names=names, named=True)]
    text = f"({parts[0].text})"
    for item in node.subsequent_select_queries:
        operator = _SET.get(item.set_operator)
        if operator is None:
            raise item.error(f"{item.set_operator} is not supported")
        part = select(cx, item.select_query, translate, limits=None, named=True)
        if len(part.columns) != len(parts[0].columns):
            raise item.error(
                f"{item.set_operator} joins queries of {len(parts[0].columns)} and "
                f"{len(part.columns)} columns"
            )
        parts.append(part)
        text += f" {operator} ({part.text})"
    columns = tuple(
        (name, common([part.columns[at][1] for part in parts]))
        for at, (name, _) in enumerate(parts[0].columns)
    )
    return _ordered_set(cx, node, translate, Selected(text, columns), limits)


def _ordered_set(
    cx: Cx,
    node: n.SelectSetQuery,
    translate: Translate,
    found: Selected,
    limits: Limits | None,
) -> Selected:
    """Return a set query with the clauses that stand after all of it."""
    limits = limits or _own_limits(cx, node)
    if not (node.order_by or node.limit_by or limits.sql()):
        return found
    from nightpane.hogql.relations import Subquery

    relation = Subquery("", cx.state.fresh(), found.text, dict(found.columns))
    inner = replace(cx, scope=Scope(relations=[relation]), place="order_by")
    text = f"SELECT * FROM {Source(relation).sql(inner)}"  # noqa: S608 (printed by us)
    if node.order_by:
        text += f" ORDER BY {order_list(inner, node.order_by, translate)}"
    text += _limit_by(inner, node.limit_by, translate)
    return Selected(text + limits.sql(), found.columns)
