"""Every kind of expression, in ClickHouse's words. Nothing is copied: all is printed anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from nightpane.hogql import nodes as n
from nightpane.hogql.calls import call, cast, condition
from nightpane.hogql.compare import compare, is_distinct
from nightpane.hogql.literals import identifier, literal
from nightpane.hogql.scope import check_name, resolve
from nightpane.hogql.selects import subselect
from nightpane.hogql.state import Cx, Expr
from nightpane.hogql.types import (
    ANY,
    ARRAY,
    BOOL,
    DATETIME,
    FLOAT,
    INT,
    MAP,
    NULL,
    STRING,
    TUPLE,
    UUID_,
    Type,
    common,
)
from nightpane.hogql.windows import window_function

__all__ = ["translate"]

_DEEPEST = 400
_ARITHMETIC = {"+": "plus", "-": "minus", "*": "multiply", "/": "divide", "%": "modulo"}


def translate(cx: Cx, node: n.Node) -> Expr:
    """Return an expression in ClickHouse's words. Raises HogQLError pointing at what is refused."""
    if cx.depth > _DEEPEST:
        raise node.error("the query is nested too deeply: split it with WITH")
    handler = _HANDLERS.get(type(node))
    if handler is None:
        raise node.error(f"{type(node).__name__} cannot stand here")
    return handler(replace(cx, depth=cx.depth + 1), node)


def _constant(cx: Cx, node: n.Constant) -> Expr:
    value = node.value
    kinds: list[tuple[Any, Type]] = [(bool, BOOL), (int, INT), (float, FLOAT), (str, STRING)]
    kind = next((kind for python, kind in kinds if isinstance(value, python)), DATETIME)
    if value is None:
        kind = NULL
    elif type(value).__name__ == "UUID":
        kind = UUID_
    elif type(value).__name__ == "Decimal":
        kind = FLOAT
    elif type(value).__name__ == "date":
        kind = Type("date")
    return Expr(literal(value, cx.state.timezone), kind)


def _field(cx: Cx, node: n.Field) -> Expr:
    if node.chain[-1] == "*":
        raise node.error("Cannot use '*' here: it stands for columns of a SELECT only")
    return resolve(cx, node)


def _placeholder(_: Cx, node: n.Placeholder) -> Expr:
    raise node.error("Placeholders, such as {name}, are not supported in this context")


def _alias(cx: Cx, node: n.Alias) -> Expr:
    name = check_name(node.alias, node)
    value = translate(cx, node.expr)
    if name in cx.scope.aliases:
        raise node.error(f"Cannot redefine an alias with the name: {name}")
    cx.scope.pending.pop(name, None)
    cx.scope.aliases[name] = replace(value, sql=identifier(name))
    return replace(value, sql=f"({value.sql} AS {identifier(name)})")


def _arithmetic(cx: Cx, node: n.ArithmeticOperation) -> Expr:
    cx = cx.value()
    left, right = translate(cx, node.left), translate(cx, node.right)
    kind = _arithmetic_type(node.op, left.type, right.type)
    sql = f"{_ARITHMETIC[node.op]}({left.sql}, {right.sql})"
    return Expr(sql, kind, left.aggregate or right.aggregate)


def _arithmetic_type(op: str, left: Type, right: Type) -> Type:
    nullable = left.nullable or right.nullable
    if left.temporal and right.kind == "interval":
        return DATETIME.null(nullable)
    if right.temporal and left.kind == "interval":
        return DATETIME.null(nullable)
    if left.numeric and right.numeric:
        kind = INT if op != "/" and left.kind == right.kind == "int" else FLOAT
        return kind.null(nullable)
    if left.kind == "date" and right.kind == "int":
        return left.null(nullable)
    return ANY.null(nullable)


def _logical(name: str) -> Callable[[Cx, Any], Expr]:
    def translate_all(cx: Cx, node: n.And | n.Or) -> Expr:
        parts = [condition(cx, item, translate) for item in node.exprs]
        nullable = any(part.type.nullable for part in parts)
        aggregate = next((part.aggregate for part in parts if part.aggregate), None)
        sql = f"{name}({', '.join(part.sql for part in parts)})"
        return Expr(sql, BOOL.null(nullable), aggregate)

    return translate_all


def _not(cx: Cx, node: n.Not) -> Expr:
    value = condition(cx.value(), node.expr, translate)
    return Expr(f"not({value.sql})", BOOL.null(value.type.nullable), value.aggregate)


def _between(cx: Cx, node: n.BetweenExpr) -> Expr:
    low = n.CompareOperation(op=">=", left=node.expr, right=node.low)
    high = n.CompareOperation(op="<=", left=node.expr, right=node.high)
    both = n.And(exprs=(low, high), start=node.start, end=node.end)
    return translate(cx, n.Not(expr=both) if node.negated else both)


def _compare(cx: Cx, node: n.CompareOperation) -> Expr:
    return compare(cx, node, translate)


def _distinct(cx: Cx, node: n.IsDistinctFrom) -> Expr:
    return is_distinct(cx, node, translate)


def _call(cx: Cx, node: n.Call) -> Expr:
    return call(cx, node, translate)


def _window(cx: Cx, node: n.WindowFunction) -> Expr:
    return window_function(cx, node, translate)


def _expr_call(_: Cx, node: n.ExprCall) -> Expr:
    raise node.error("You can only call simple functions in HogQL, not expressions")


def _array(cx: Cx, node: n.Array) -> Expr:
    parts = [translate(cx.value(), item) for item in node.exprs]
    kind = replace(ARRAY, item=common([part.type for part in parts])) if parts else ARRAY
    return Expr(f"[{', '.join(part.sql for part in parts)}]", kind, _aggregate(parts))


def _tuple(cx: Cx, node: n.Tuple) -> Expr:
    parts = [translate(cx.value(), item) for item in node.exprs]
    return Expr(f"tuple({', '.join(part.sql for part in parts)})", TUPLE, _aggregate(parts))


def _dict(cx: Cx, node: n.Dict) -> Expr:
    parts = [translate(cx.value(), item) for pair in node.items for item in pair]
    return Expr(f"map({', '.join(part.sql for part in parts)})", MAP, _aggregate(parts))


def _aggregate(parts: list[Expr]) -> str | None:
    return next((part.aggregate for part in parts if part.aggregate), None)


def _array_access(cx: Cx, node: n.ArrayAccess) -> Expr:
    chain = _chain(node)
    if chain is not None:
        return resolve(cx, chain)  # a key may be '*', which is no column here
    cx = cx.value()
    array, index = translate(cx, node.array), translate(cx, node.property)
    if isinstance(node.property, n.Constant):
        if node.property.value == 0 and not isinstance(node.property.value, bool):
            raise node.error("SQL indexes start from one, not from zero. E.g: array[1]")
        if array.text or array.type.kind == "string":
            return _inside(cx, array, node.property)
    item = array.type.item or ANY
    sql = f"arrayElement({array.sql}, {index.sql})"
    return Expr(sql, item, array.aggregate or index.aggregate)


def _inside(cx: Cx, array: Expr, key: n.Constant) -> Expr:
    from nightpane.hogql.relations import access

    if not isinstance(key.value, str | int):
        raise key.error("a key is a text or a whole number")
    return replace(access(cx.state, array, [key.value], key), aggregate=array.aggregate)


def _chain(node: n.ArrayAccess) -> n.Field | None:
    """Return ``properties['a']`` as the field it is, None when it is an array's element."""
    key = node.property
    if not isinstance(key, n.Constant) or isinstance(key.value, bool):
        return None
    base: n.Node | None = node.array
    if isinstance(base, n.ArrayAccess):
        base = _chain(base)
    if not isinstance(base, n.Field) or not isinstance(key.value, str | int):
        return None
    if "properties" not in base.chain and isinstance(key.value, int):
        return None
    if base.chain[-1] == "properties" or "properties" in base.chain[:-1]:
        return replace(base, chain=(*base.chain, key.value), end=node.end)
    return None


def _slice(cx: Cx, node: n.ArraySlice) -> Expr:
    cx = cx.value()
    array = translate(cx, node.array)
    start = translate(cx, node.start_expr).sql if node.start_expr else "1"
    if node.end_expr is None:
        return Expr(f"arraySlice({array.sql}, {start})", array.type, array.aggregate)
    length = f"{translate(cx, node.end_expr).sql} - {start} + 1"
    return Expr(f"arraySlice({array.sql}, {start}, {length})", array.type, array.aggregate)


def _tuple_access(cx: Cx, node: n.TupleAccess) -> Expr:
    if node.index == 0:
        raise node.error("SQL indexes start from one, not from zero. E.g: array[1]")
    if isinstance(node.tuple, n.Field) and "properties" in node.tuple.chain[:-1]:
        return translate(cx, replace(node.tuple, chain=(*node.tuple.chain, node.index)))
    value = translate(cx.value(), node.tuple)
    if value.type.kind == "array":
        sql = f"arrayElement({value.sql}, {node.index})"
        return Expr(sql, value.type.item or ANY, value.aggregate)
    return Expr(f"tupleElement({value.sql}, {node.index})", ANY, value.aggregate)


def _lambda(_: Cx, node: n.Lambda) -> Expr:
    raise node.error("a lambda can only be an argument of a function that takes one")


def _cast(cx: Cx, node: n.TypeCast | n.TryCast) -> Expr:
    return cast(cx, translate(cx.value(), node.expr), node.type_name, node)


def _subquery(cx: Cx, node: n.SelectQuery | n.SelectSetQuery) -> Expr:
    text, columns = subselect(cx, node, translate)
    kind = next(iter(columns.values())) if len(columns) == 1 else TUPLE
    return Expr(f"({text})", kind.null() if kind.kind != "array" else kind)


def _columns_expr(_: Cx, node: n.ColumnsExpr) -> Expr:
    raise node.error("COLUMNS can only stand in the list of a SELECT")


_HANDLERS: dict[type[n.Node], Callable[[Cx, Any], Expr]] = {
    n.Constant: _constant,
    n.Field: _field,
    n.Placeholder: _placeholder,
    n.Alias: _alias,
    n.ArithmeticOperation: _arithmetic,
    n.And: _logical("and"),
    n.Or: _logical("or"),
    n.Not: _not,
    n.BetweenExpr: _between,
    n.CompareOperation: _compare,
    n.IsDistinctFrom: _distinct,
    n.Call: _call,
    n.WindowFunction: _window,
    n.ExprCall: _expr_call,
    n.Array: _array,
    n.Tuple: _tuple,
    n.Dict: _dict,
    n.ArrayAccess: _array_access,
    n.ArraySlice: _slice,
    n.TupleAccess: _tuple_access,
    n.Lambda: _lambda,
    n.TypeCast: _cast,
    n.TryCast: _cast,
    n.SelectQuery: _subquery,
    n.SelectSetQuery: _subquery,
    n.ColumnsExpr: _columns_expr,
}
