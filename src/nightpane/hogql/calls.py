"""Function calls: found in the allow-list, their arguments counted, their NULLs looked after."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

from nightpane.errors import HogQLError
from nightpane.hogql import nodes as n
from nightpane.hogql.compare import compare
from nightpane.hogql.conversions import CONVERSIONS
from nightpane.hogql.functions import TEXT_TO_ARRAY, Function, find, names
from nightpane.hogql.literals import identifier, string
from nightpane.hogql.relations import suggest
from nightpane.hogql.scope import check_name, nested
from nightpane.hogql.state import Cx, Expr
from nightpane.hogql.types import (
    ANY,
    ARRAY,
    BOOL,
    DATE,
    DATETIME,
    FLOAT,
    INT,
    INTERVAL,
    MAP,
    STRING,
    TUPLE,
    UUID_,
    Type,
    common,
)

__all__ = ["arguments", "call", "cast", "check_arity", "condition", "result_type"]

Translate: TypeAlias = Callable[[Cx, n.Node], Expr]

_KINDS = {
    "int": INT,
    "float": FLOAT,
    "number": FLOAT,
    "bool": BOOL,
    "string": STRING,
    "date": DATE,
    "datetime": DATETIME,
    "uuid": UUID_,
    "array": ARRAY,
    "tuple": TUPLE,
    "map": MAP,
    "interval": INTERVAL,
    "any": ANY,
}
_CASTS = {
    "toInt": (
        "int integer bigint smallint tinyint int8 int16 int32 int64 uint8 uint16 uint32 uint64"
    ),
    "toFloat": "float double real float32 float64 numeric decimal number",
    "toString": "string text varchar char",
    "toBool": "bool boolean",
    "toDate": "date",
    "toDateTime": "datetime timestamp timestamptz datetime64",
    "toUUID": "uuid",
}
_CAST_BY = {word: name for name, words in _CASTS.items() for word in words.split()}
_TYPE_WORDS = (
    "String Bool UUID Date Date32 DateTime DateTime64 Float32 Float64 Array Nullable Tuple Map"
    " Int8 Int16 Int32 Int64 Int128 Int256 UInt8 UInt16 UInt32 UInt64 UInt128 UInt256"
    " Decimal Decimal32 Decimal64 Decimal128 LowCardinality UTC"
)
_TYPE_NAMES = frozenset(_TYPE_WORDS.split())
_BY_SECONDS = ("windowFunnel", "sequenceMatch", "sequenceCount")
_NEVER = {
    "matchesAction": "there are no actions here",
    "inCohort": "there are no cohorts here",
    "recordingButton": "there are no recordings here",
    "sparkline": "it draws in PostHog's own pages only",
    "explainCSPReport": "it draws in PostHog's own pages only",
}


def call(cx: Cx, node: n.Call, translate: Translate) -> Expr:
    """Return the translation of a function call."""
    if node.name == "exists":
        return _exists(cx, node, translate)
    if node.name == "_caseWithExpression":
        return _case(cx, node, translate)
    if node.name.lower() in ("cast", "trycast", "try_cast"):
        return _cast_call(cx, node, translate)
    function = find(node.name)
    if function is None:
        raise unsupported(node.name, node)
    check_arity(function, node, len(node.args), len(node.params or ()))
    if node.order_by:
        raise node.error("ORDER BY inside a function call is not supported: use arraySort")
    if function.aggregate:
        return _aggregate(cx, function, node, translate)
    if node.distinct or node.filter_expr is not None:
        raise node.error(f"DISTINCT and FILTER are for aggregations, which {node.name!r} is not")
    parts = arguments(cx.value(), function, node.args, translate)
    convert = CONVERSIONS.get(function.name) or CONVERSIONS.get(function.engine)
    if convert is not None:
        result = convert(cx, node, parts)
        return replace(result, aggregate=_inner(parts))
    return _plain(function, node, parts)


def condition(cx: Cx, node: n.Node, translate: Translate) -> Expr:
    """Return an expression as a condition: a property without a type is true when it says true."""
    value = translate(cx, node)
    if value.text:
        sql = f"equals({value.sql}, 'true')"
        if not cx.condition:
            return Expr(f"ifNull({sql}, 0)", BOOL, value.aggregate)
        return Expr(sql, BOOL.null(), value.aggregate)
    return value


def arguments(
    cx: Cx, function: Function, args: tuple[n.Node, ...], translate: Translate
) -> list[Expr]:
    """Return the translated arguments; lambdas where a function takes them, conditions as such."""
    tests = _conditions(function, len(args))
    parts = []
    for at, arg in enumerate(args):
        if isinstance(arg, n.Lambda):
            parts.append(_lambda(cx, arg, translate))
        elif at in tests:
            parts.append(condition(cx.test() if function.name != "not" else cx, arg, translate))
        elif isinstance(arg, n.Field) and arg.chain == ("*",) and function.name == "count":
            continue
        else:
            parts.append(translate(cx, arg))
    return parts


def check_arity(function: Function, node: Any, count: int, params: int = 0) -> None:
    """Raise HogQLError in PostHog's words when there are too few or too many arguments."""
    what = "Aggregation" if function.aggregate else "Function"
    for noun, found, least, most in (
        ("parameter", params, function.least_params, function.most_params),
        ("argument", count, function.least, function.most),
    ):
        if found >= least and (most is None or found <= most):
            continue
        if most is None:
            wanted = f"at least {_plural(least, noun)}"
        elif least == most:
            wanted = _plural(least, noun)
        else:
            wanted = f"between {least} and {_plural(most, noun)}"
        raise node.error(f"{what} '{node.name}' expects {wanted}, found {found}")


def result_type(function: Function, parts: list[Expr]) -> Type:
    """Return the type of a call's result."""
    types = [part.type for part in parts]
    word = function.result.rstrip("!?")
    nullable = any(kind.nullable for kind in types)
    if word in ("same", "arg1"):
        kind = types[0] if types else ANY
        nullable = kind.nullable or (nullable and not function.aggregate)
    elif word == "arg2":
        kind = types[1] if len(types) > 1 else ANY
    elif word == "items":
        kind = (types[0].item if types else None) or ANY
    elif word in ("common", "branches", "coalesce"):
        return _chosen(word, types)
    else:
        kind = _KINDS[word]
    if word == "number" and all(kind.kind == "int" for kind in types):
        kind = INT
    if function.result.endswith("!"):
        return kind.null(False)
    kind = replace(kind, text=False) if kind.text else kind
    return kind.null(nullable or function.result.endswith("?") or kind.kind == "any")


def unsupported(name: str, node: n.Node) -> HogQLError:
    """Return the error for a function that cannot be called."""
    if name in _NEVER:
        return node.error(f"Unsupported function call '{name}(...)': {_NEVER[name]}")
    near = suggest(name, names())
    near = re.sub(r"'(\w+)'", r"'\1(...)'", near)
    return node.error(f"Unsupported function call '{name}(...)'{near}")


def cast(cx: Cx, value: Expr, type_name: str, node: n.Node) -> Expr:
    """Return a value cast to a named type; NULL where it does not fit."""
    word = re.sub(r"\(.*\)$", "", type_name.strip()).lower()
    inner = re.fullmatch(r"nullable\((.+)\)", type_name.strip(), re.IGNORECASE)
    if inner:
        return cast(cx, value, inner.group(1), node)
    items = re.fullmatch(r"array\((.+)\)", type_name.strip(), re.IGNORECASE)
    if items:
        name = f"_{cx.state.fresh()}"
        item = cast(cx, Expr(name, value.type.item or ANY), items.group(1), node)
        sql = f"arrayMap({name} -> {item.sql}, {value.sql})"
        return Expr(sql, replace(ARRAY, item=item.type), value.aggregate)
    function = _CAST_BY.get(word)
    if function is None:
        raise node.error(f"Unsupported type cast to '{type_name}'")
    result = CONVERSIONS[function](cx, n.Call(name=function), [value])
    return replace(result, aggregate=value.aggregate)


def _plain(function: Function, node: n.Call, parts: list[Expr]) -> Expr:
    _check_type_names(function, node)
    kind = result_type(function, parts)
    texts = [part.sql for part in parts]
    if function.name in TEXT_TO_ARRAY:
        # An array cannot be NULL in ClickHouse, so a NULL text is read as an empty one.
        texts = [
            f"ifNull({part.sql}, '')" if part.type.nullable and part.type.kind == "string" else sql
            for part, sql in zip(parts, texts, strict=True)
        ]
    if node.params:
        raise node.error(f"Function '{node.name}' takes no parameters in a second pair of brackets")
    return Expr(f"{function.engine}({', '.join(texts)})", kind, _inner(parts))


def _aggregate(cx: Cx, function: Function, node: n.Call, translate: Translate) -> Expr:
    if cx.aggregate:
        raise nested(node.name, cx.aggregate, node)
    inner = replace(cx.value(), aggregate=node.name)
    parts = arguments(inner, function, node.args, translate)
    if function.name in _BY_SECONDS and parts[0].type.kind == "datetime":
        # They take no fractions of a second, which every time here has.
        parts[0] = replace(parts[0], sql=f"toDateTime({parts[0].sql})")
    params = ""
    if node.params:
        params = f"({', '.join(_parameter(inner, item, translate) for item in node.params)})"
    words = "DISTINCT " if node.distinct and parts else ""
    sql = f"{function.engine}{params}({words}{', '.join(part.sql for part in parts)})"
    if node.filter_expr is not None:
        test = condition(inner.test(), node.filter_expr, translate)
        sql = f"{sql} FILTER (WHERE {test.sql})"
    return Expr(sql, result_type(function, parts), aggregate=node.name)


def _parameter(cx: Cx, node: n.Node, translate: Translate) -> str:
    if not isinstance(node, n.Constant):
        raise node.error("a parameter of an aggregation must be a constant")
    return translate(cx, node).sql


def _lambda(cx: Cx, node: n.Lambda, translate: Translate) -> Expr:
    names_ = [check_name(name, node) for name in node.args]
    scope = cx.scope.inside_lambda(dict.fromkeys(names_, ANY))
    body = translate(replace(cx, scope=scope, condition=False), node.expr)
    listed = ", ".join(identifier(name) for name in names_)
    return Expr(f"({listed}) -> {body.sql}", ANY.null(False), body.aggregate)


def _conditions(function: Function, count: int) -> set[int]:
    """Return which arguments are conditions."""
    if function.name in ("if", "and", "or", "not", "xor"):
        return {0} if function.name == "if" else set(range(count))
    if function.name == "multiIf":
        return set(range(0, count - 1, 2))
    if function.aggregate and function.engine.endswith("If"):
        return {count - 1}
    if function.name in ("windowFunnel", "sequenceMatch", "sequenceCount"):
        return set(range(1, count))
    return set(range(count)) if function.name == "retention" else set()


def _case(cx: Cx, node: n.Call, translate: Translate) -> Expr:
    subject, *rest = node.args
    parts, kinds = [], []
    for at in range(0, len(rest) - 1, 2):
        test = n.CompareOperation(op="==", left=subject, right=rest[at])
        value = translate(cx.value(), rest[at + 1])
        parts += [compare(cx.test(), test, translate).sql, value.sql]
        kinds.append(value)
    last = translate(cx.value(), rest[-1]) if len(rest) % 2 else Expr("NULL", ANY)
    kinds.append(last)
    sql = f"multiIf({', '.join([*parts, last.sql])})"
    return Expr(sql, common([value.type for value in kinds]), _inner(kinds))


def _exists(cx: Cx, node: n.Call, translate: Translate) -> Expr:
    if len(node.args) != 1 or not isinstance(node.args[0], n.SelectQuery | n.SelectSetQuery):
        raise node.error("EXISTS takes one subquery")
    return Expr(f"exists{translate(cx.value(), node.args[0]).sql}", BOOL)


def _cast_call(cx: Cx, node: n.Call, translate: Translate) -> Expr:
    if len(node.args) != 2 or not isinstance(node.args[1], n.Constant):
        raise node.error("cast takes a value and the name of a type")
    return cast(cx, translate(cx.value(), node.args[0]), str(node.args[1].value), node)


def _check_type_names(function: Function, node: n.Call) -> None:
    """Refuse a type name that could be more than one: it goes to the engine's type parser."""
    if function.name not in ("JSONExtract", "JSONExtractKeysAndValues", "accurateCastOrNull"):
        return
    last = node.args[-1]
    if not isinstance(last, n.Constant) or not isinstance(last.value, str):
        raise last.error(f"{node.name} needs the name of a type as its last argument")
    words = re.findall(r"[A-Za-z_]\w*", last.value)
    if not re.fullmatch(r"[\w(), ']+", last.value) or not _TYPE_NAMES.issuperset(words):
        raise last.error(f"Unsupported type in {node.name}: {string(last.value)}")


def _chosen(word: str, types: list[Type]) -> Type:
    if word == "branches":
        if len(types) == 3:
            return common(types[1:])
        values = [*types[1:-1:2], types[-1]]
        return common(values)
    kind = common(types)
    if word == "coalesce":
        return kind.null(all(item.nullable for item in types))
    return kind


def _inner(parts: list[Expr]) -> str | None:
    return next((part.aggregate for part in parts if part.aggregate), None)


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
