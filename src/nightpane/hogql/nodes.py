"""The syntax tree of a HogQL query, as frozen values.

Only what is declared here can reach the printer: a node or a field of a node that the grammar
knows and this module does not is refused by name, so a newer grammar cannot open a hole.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeAlias
from uuid import UUID

from nightpane.errors import HogQLError

__all__ = [
    "CTE",
    "Alias",
    "And",
    "ArithmeticOperation",
    "Array",
    "ArrayAccess",
    "ArraySlice",
    "BetweenExpr",
    "Call",
    "ColumnsExpr",
    "CompareOperation",
    "Constant",
    "Dict",
    "ExprCall",
    "Field",
    "GroupingSet",
    "IsDistinctFrom",
    "JoinConstraint",
    "JoinExpr",
    "Lambda",
    "LimitByExpr",
    "Literal",
    "Node",
    "Not",
    "Or",
    "OrderExpr",
    "Placeholder",
    "Query",
    "RatioExpr",
    "SampleExpr",
    "SelectQuery",
    "SelectSetNode",
    "SelectSetQuery",
    "TryCast",
    "Tuple",
    "TupleAccess",
    "TypeCast",
    "WindowExpr",
    "WindowFrameExpr",
    "WindowFunction",
    "WithFillExpr",
    "build",
    "children",
]

Literal: TypeAlias = bool | int | float | str | Decimal | date | datetime | UUID | None
"""What a constant can be: from the text of the query, or from its ``values``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Any node; ``start`` and ``end`` are character offsets into the query."""

    start: int | None = field(default=None, compare=False)
    end: int | None = field(default=None, compare=False)

    def error(self, message: str, code: str = "hogql_query_error") -> HogQLError:
        """Return the error that points at this node."""
        return HogQLError(message, start=self.start, end=self.end, code=code)


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant(Node):
    value: Literal = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Field(Node):
    chain: tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placeholder(Node):
    expr: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias(Node):
    alias: str
    expr: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Node):
    name: str
    args: tuple[Node, ...] = ()
    params: tuple[Node, ...] | None = None
    distinct: bool = False
    filter_expr: Node | None = None
    order_by: tuple[Node, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExprCall(Node):
    expr: Node
    args: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ArithmeticOperation(Node):
    op: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareOperation(Node):
    op: str
    left: Node
    right: Node
    is_null_comparison_style: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class IsDistinctFrom(Node):
    left: Node
    right: Node
    negated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BetweenExpr(Node):
    expr: Node
    low: Node
    high: Node
    negated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class And(Node):
    exprs: tuple[Node, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Or(Node):
    exprs: tuple[Node, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Not(Node):
    expr: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Array(Node):
    exprs: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuple(Node):
    exprs: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Dict(Node):
    items: tuple[tuple[Node, Node], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayAccess(Node):
    array: Node
    property: Node
    nullish: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ArraySlice(Node):
    array: Node
    start_expr: Node | None = None
    end_expr: Node | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TupleAccess(Node):
    tuple: Node
    index: int
    nullish: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Lambda(Node):
    args: tuple[str, ...]
    expr: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeCast(Node):
    expr: Node
    type_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TryCast(Node):
    expr: Node
    type_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnsExpr(Node):
    all_columns: bool = False
    exclude: tuple[str, ...] = ()
    regex: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WithFillExpr(Node):
    from_value: Node | None = None
    to_value: Node | None = None
    step_value: Node | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderExpr(Node):
    expr: Node
    order: str = "ASC"
    with_fill: WithFillExpr | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowFrameExpr(Node):
    frame_type: str
    frame_value: Node | int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowExpr(Node):
    partition_by: tuple[Node, ...] | None = None
    order_by: tuple[OrderExpr, ...] | None = None
    frame_method: str | None = None
    frame_start: WindowFrameExpr | None = None
    frame_end: WindowFrameExpr | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowFunction(Node):
    name: str
    args: tuple[Node, ...] | None = None
    exprs: tuple[Node, ...] | None = None
    over_expr: WindowExpr | None = None
    over_identifier: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupingSet(Node):
    exprs: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitByExpr(Node):
    n: Node
    exprs: tuple[Node, ...]
    offset_value: Node | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RatioExpr(Node):
    left: Node
    right: Node | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleExpr(Node):
    sample_value: Node
    offset_value: Node | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinConstraint(Node):
    expr: Node
    constraint_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinExpr(Node):
    table: Node
    table_args: tuple[Node, ...] | None = None
    alias: str | None = None
    column_aliases: tuple[str, ...] | None = None
    table_final: bool | None = None
    sample: SampleExpr | None = None
    constraint: JoinConstraint | None = None
    join_type: str | None = None
    next_join: JoinExpr | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CTE(Node):
    name: str
    expr: Node
    cte_type: str
    columns: tuple[str, ...] | None = None
    materialized: bool | None = None
    recursive: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectQuery(Node):
    select: tuple[Node, ...]
    distinct: bool | None = None
    ctes: tuple[CTE, ...] | None = None
    select_from: JoinExpr | None = None
    array_join_op: str | None = None
    array_join_list: tuple[Node, ...] | None = None
    prewhere: Node | None = None
    where: Node | None = None
    group_by: tuple[Node, ...] | None = None
    group_by_mode: str | None = None
    having: Node | None = None
    window_exprs: tuple[tuple[str, WindowExpr], ...] | None = None
    qualify: Node | None = None
    order_by: tuple[OrderExpr, ...] | None = None
    limit_by: LimitByExpr | None = None
    limit: Node | None = None
    limit_with_ties: bool | None = None
    offset: Node | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectSetNode(Node):
    select_query: Node
    set_operator: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectSetQuery(Node):
    initial_select_query: Node
    subsequent_select_queries: tuple[SelectSetNode, ...]
    ctes: tuple[CTE, ...] | None = None
    order_by: tuple[OrderExpr, ...] | None = None
    limit_by: LimitByExpr | None = None
    limit: Node | None = None
    limit_with_ties: bool | None = None
    offset: Node | None = None


Query: TypeAlias = SelectQuery | SelectSetQuery

_KINDS: dict[str, type[Node]] = {kind.__name__: kind for kind in Node.__subclasses__()}
_DECLARED = {kind: frozenset(item.name for item in fields(kind)) for kind in _KINDS.values()}
_NAMES = {
    "HogQLXTag": "HTML-like tags",
    "PivotExpr": "PIVOT",
    "UnpivotExpr": "UNPIVOT",
    "ValuesQuery": "VALUES",
    "SpreadExpr": "The spread operator",
    "InterpolateExpr": "INTERPOLATE",
}


def build(tree: Any) -> Any:
    """Return the node for the grammar's JSON. Raises HogQLError for a construct not known here."""
    if isinstance(tree, list):
        return tuple(build(item) for item in tree)
    if not isinstance(tree, dict):
        return tree
    start, end = _offset(tree.get("start")), _offset(tree.get("end"))
    name = tree.get("node")
    if name is None:
        return tuple((key, build(value)) for key, value in tree.items())
    kind = _KINDS.get(name)
    if kind is None:
        what = _NAMES.get(name, f"The construct {name}")
        raise HogQLError(f"{what} is not supported", start=start, end=end)
    given: dict[str, Any] = {"start": start, "end": end}
    known = _DECLARED[kind]
    for key, value in tree.items():
        if key in ("node", "start", "end"):
            continue
        if key == "value_type":
            given["value"] = _number(tree["value"])
        elif key in known:
            given.setdefault(key, build(value))
        elif value not in (None, False, [], {}):
            raise HogQLError(f"{key!r} of {name} is not supported", start=start, end=end)
    return kind(**given)


def children(node: Node) -> list[Any]:
    """Return every value held by a node, its position left out."""
    return [getattr(node, item.name) for item in fields(node) if item.name not in ("start", "end")]


def _offset(position: Any) -> int | None:
    return int(position["offset"]) if isinstance(position, dict) else None


def _number(text: Any) -> int | float:
    # Numbers that JSON cannot hold arrive as text: Infinity, NaN, integers beyond 64 bits.
    if isinstance(text, str) and text.lstrip("+-").isdigit():
        return int(text)
    return float(text)
