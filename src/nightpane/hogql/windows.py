"""Window functions and the windows they look through."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nightpane.hogql import nodes as n
from nightpane.hogql.calls import arguments, check_arity, result_type, unsupported
from nightpane.hogql.functions import WINDOW_ONLY, find
from nightpane.hogql.literals import identifier
from nightpane.hogql.orders import order_list
from nightpane.hogql.state import Cx, Expr

if TYPE_CHECKING:
    from nightpane.hogql.calls import Translate

__all__ = ["window", "window_function"]

_BOUNDS = {"PRECEDING", "FOLLOWING", "CURRENT ROW"}


def window_function(cx: Cx, node: n.WindowFunction, translate: Translate) -> Expr:
    """Return ``function(…) OVER (…)``."""
    function = WINDOW_ONLY.get(node.name)
    if function is None:
        function = find(node.name)
        if function is None or not function.aggregate:
            raise unsupported(node.name, node)
    # f(x) has its arguments in exprs; f(p)(x) has parameters there and arguments in args.
    exprs, args = node.exprs or (), node.args or ()
    params, args = (exprs, args) if args else ((), exprs)
    check_arity(function, node, len(args), len(params))
    inner = cx.value()
    parts = arguments(inner, function, args, translate)
    for item in params:
        if not isinstance(item, n.Constant):
            raise item.error("a parameter of an aggregation must be a constant")
    listed = ", ".join(translate(inner, item).sql for item in params)
    call = f"{function.engine}{f'({listed})' if params else ''}"
    call += f"({', '.join(part.sql for part in parts)})"
    if node.over_identifier is not None:
        if node.over_identifier not in cx.scope.windows:
            raise node.error(f"Unknown window: {node.over_identifier}")
        over = identifier(node.over_identifier)
    else:
        over = f"({window(inner, node.over_expr or n.WindowExpr(), translate)})"
    inside = next((part.aggregate for part in parts if part.aggregate), None)
    return Expr(f"{call} OVER {over}", result_type(function, parts), inside)


def window(cx: Cx, node: n.WindowExpr, translate: Translate) -> str:
    """Return what stands in a window's brackets."""
    parts = []
    if node.partition_by:
        listed = ", ".join(translate(cx, item).sql for item in node.partition_by)
        parts.append(f"PARTITION BY {listed}")
    if node.order_by:
        parts.append(f"ORDER BY {order_list(cx, node.order_by, translate)}")
    if node.frame_method and node.frame_start:
        if node.frame_method not in ("ROWS", "RANGE"):
            raise node.error(f"{node.frame_method} frames are not supported")
        start = _bound(cx, node.frame_start, translate)
        if node.frame_end:
            end = _bound(cx, node.frame_end, translate)
            parts.append(f"{node.frame_method} BETWEEN {start} AND {end}")
        else:
            parts.append(f"{node.frame_method} {start}")
    return " ".join(parts)


def _bound(cx: Cx, node: n.WindowFrameExpr, translate: Translate) -> str:
    if node.frame_type not in _BOUNDS:
        raise node.error(f"{node.frame_type} cannot bound a window")
    if node.frame_type == "CURRENT ROW":
        return "CURRENT ROW"
    value = node.frame_value
    if value is None:
        return f"UNBOUNDED {node.frame_type}"
    if isinstance(value, int):
        return f"{value} {node.frame_type}"
    if isinstance(value, n.Constant) and isinstance(value.value, int):
        return f"{value.value} {node.frame_type}"
    return f"{translate(replace(cx, condition=False), value).sql} {node.frame_type}"
