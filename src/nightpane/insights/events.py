"""``EventsQuery``: events, or figures over them, in the columns that are asked for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from nightpane.errors import HogQLError
from nightpane.insights.dates import moment_of
from nightpane.insights.filters import Filters
from nightpane.insights.question import Context, Question, Values
from nightpane.insights.reading import Fields, wrong

__all__ = ["Column", "build", "has_aggregate", "one_expression", "results", "texts", "types"]
__all__ += ["unnamed"]

_STAR: tuple[str, ...] = (
    "uuid",
    "event",
    "properties",
    "timestamp",
    "distinct_id",
    "elements_chain",
    "created_at",
)
_STAR += ("person_mode",)
_PERSON = ("person_id", "person.created_at", "person.properties", "distinct_id")
_DISPLAY = ("person.properties.email", "person.properties.name", "person_id", "distinct_id")
_WHOLE = {"*": _STAR, "person": _PERSON, "person_display_name": _DISPLAY}
_DEFAULT_LIMIT, _MOST = 100, 50_000
# PostHog shows no event of the future, but for clocks that are a little ahead.
_AHEAD = timedelta(seconds=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column that was asked for: its text, and the expressions it is put together from."""

    text: str
    name: str
    parts: tuple[str, ...]
    is_aggregate: bool = False


def build(query: Fields, context: Context) -> tuple[Question, list[Column]]:
    """Return the one query of an ``EventsQuery``, and its columns. Raises InsightError."""
    query.refuse("actionId", "actionSteps", why="there are no actions here.")
    query.refuse("source", why="persons of an insight are not listed here.")
    columns = [_column(text, query.at("select")) for text in texts(query, "select")]
    if not columns:
        raise wrong(query.at("select"), "at least one column is required.")
    values = Values()
    shown = [part for column in columns for part in column.parts]
    where = "\n    and ".join(_conditions(query, values, context))
    text = f"select {', '.join(shown)}\nfrom events as e\nwhere {where}"
    groups = [unnamed(part) for one in columns if not one.is_aggregate for part in one.parts]
    if any(column.is_aggregate for column in columns) and groups:
        text += f"\ngroup by {', '.join(groups)}"
    order = [
        one_expression(one, query.at("orderBy"), order=True) for one in texts(query, "orderBy")
    ]
    order = order or _default_order(columns)
    if order:
        text += f"\norder by {', '.join(order)}"
    limit = query.whole("limit", least=1) or _DEFAULT_LIMIT
    text += f"\nlimit {min(limit, _MOST)} offset {query.whole('offset') or 0}"
    return Question(text, values.given), columns


def results(columns: Sequence[Column], rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Return the rows with one value for each column that was asked for."""
    return [[_value(column, parts) for column, parts in _split(columns, row)] for row in rows]


def types(columns: Sequence[Column], given: Sequence[Sequence[str]]) -> list[str]:
    """Return the type of each column."""
    kinds = [kind for _, kind in given]
    return [
        parts[0] if column.name not in _WHOLE else f"Tuple({', '.join(parts)})"
        for column, parts in _split(columns, kinds)
    ]


def _split(columns: Sequence[Column], row: Sequence[Any]) -> list[tuple[Column, Sequence[Any]]]:
    found, at = [], 0
    for column in columns:
        found.append((column, row[at : at + len(column.parts)]))
        at += len(column.parts)
    return found


def _value(column: Column, parts: Sequence[Any]) -> Any:
    if column.name == "*":
        event = dict(zip(_STAR, parts, strict=True))
        return {**event, "properties": json.loads(event["properties"] or "{}")}
    if column.name == "person":
        person, created_at, properties, distinct_id = parts
        if created_at is None:
            return {"distinct_id": distinct_id}
        known = {"uuid": person, "created_at": created_at, "distinct_id": distinct_id}
        return {**known, "properties": json.loads(properties or "{}")}
    if column.name == "person_display_name":
        email, name, person, distinct_id = parts
        shown = email or name or distinct_id
        return {"display_name": shown, "id": person, "distinct_id": distinct_id}
    return parts[0]


def _conditions(query: Fields, values: Values, context: Context) -> list[str]:
    filters = Filters(values, context)
    found = [f"({one_expression(one, query.at('where'))})" for one in texts(query, "where")]
    for name in ("properties", "fixedProperties"):
        condition = filters.of(query.given.get(name), query.at(name))
        found += [] if condition is None else [condition]
    names = [name for name in (query.text("event"), *texts(query, "events")) if name]
    if names:
        found.append(f"event in {values.place(names)}")
    person = query.text("personId")
    if person:
        found.append(f"person_id = {values.place(person)}")
    now, zone = context.now, context.timezone
    before, after = query.text("before"), query.text("after") or "-24h"
    until = moment_of(before, now, zone, query.at("before")) if before else now + _AHEAD
    found.append(f"timestamp < {values.place(until)}")
    if after != "all":
        found.append(f"timestamp > {values.place(moment_of(after, now, zone, query.at('after')))}")
    return found


def _default_order(columns: Sequence[Column]) -> list[str]:
    aggregates = [unnamed(column.parts[0]) for column in columns if column.is_aggregate]
    if "count()" in aggregates:
        return ["count() desc"]
    if aggregates:
        return [f"{aggregates[0]} desc"]
    names = [column.name for column in columns]
    if "timestamp" in names or "*" in names:
        return ["timestamp desc"]
    return [f"{unnamed(columns[0].parts[0])} asc"]


def _column(text: str, attr: str) -> Column:
    name = text.split("--")[0].strip()
    if name in _WHOLE:
        return Column(text=text, name=name, parts=_WHOLE[name])
    part = one_expression(text, attr)
    return Column(text=text, name=name, parts=(part,), is_aggregate=has_aggregate(part))


def one_expression(text: str, attr: str, *, order: bool = False) -> str:
    """Return one expression, which was parsed alone; one to order by may say in which direction."""
    from nightpane.hogql.parse import parse_expression

    direction = ""
    if order:
        word = text.rsplit(None, 1)[-1].lower() if text.strip() else ""
        if word in ("asc", "desc"):
            text, direction = text.rstrip()[: -len(word)], f" {word}"
    try:
        tree = parse_expression(text)
    except HogQLError as error:
        raise wrong(attr, f"{text!r} cannot be read: {error.message}") from error
    return text[tree.start : tree.end] + direction


def unnamed(text: str) -> str:
    """Return an expression without the name that it gives itself: one is named only once."""
    from nightpane.hogql.nodes import Alias
    from nightpane.hogql.parse import parse_expression

    tree = parse_expression(text)
    return text[tree.expr.start : tree.expr.end] if isinstance(tree, Alias) else text


def has_aggregate(text: str) -> bool:
    from nightpane.hogql.functions import find
    from nightpane.hogql.nodes import Call, Node, WindowFunction, children
    from nightpane.hogql.parse import parse_expression

    waiting: list[Any] = [parse_expression(text)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, tuple):
            waiting.extend(node)
        elif isinstance(node, Node) and not isinstance(node, WindowFunction):
            function = find(node.name) if isinstance(node, Call) else None
            if function is not None and function.aggregate:
                return True
            waiting.extend(children(node))
    return False


def texts(query: Fields, name: str) -> list[str]:
    found = query.items(name)
    for item in found:
        if not isinstance(item, str):
            raise wrong(query.at(name), f"must be a list of texts, not with {item!r}.")
    return found
