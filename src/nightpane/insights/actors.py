"""``ActorsQuery``: persons, all of them or those behind a figure of an insight, in one query.

Persons are joined with the distinct ids that their events carry only when these are asked for:
that reads every event.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nightpane.errors import HogQLError
from nightpane.insights.actors_source import Source, of_figure
from nightpane.insights.events import has_aggregate, one_expression, texts, unnamed
from nightpane.insights.filters import Filters
from nightpane.insights.question import Context, Question, Values, quoted
from nightpane.insights.reading import Fields, wrong

__all__ = ["Actors", "build", "results"]

_PERSON: tuple[str, ...] = (
    "person.id",
    "person.created_at",
    "person.properties",
    "person.is_identified",
    "named.distinct_ids",
)
# What a person is called, as PostHog lists them.
_CALLED = (
    "coalesce(nullIf(person.properties.email, ''), nullIf(person.properties.name, ''), "
    "toString(person.id))"
)
_DISPLAY = (_CALLED, "person.id")
_WHOLE = {"actor": _PERSON, "person": _PERSON, "person_display_name": _DISPLAY}
_FIXED = {"person.$delete": ("1",), "id": ("person.id",), "matched_recordings": ()}
_FIGURES = ("InsightActorsQuery", "StickinessActorsQuery", "FunnelsActorsQuery")
_IDS = ("group_key", "actor_id", "person_id")
_DEFAULT_LIMIT, _MOST = 100, 50_000
_NAMES = """left join (
    select person_id as named_id, groupUniqArray(distinct_id) as distinct_ids
    from events
    group by named_id
) as named on named.named_id = person.id"""


@dataclass(frozen=True, slots=True)
class _Column:
    text: str
    parts: tuple[str, ...]
    is_aggregate: bool = False


@dataclass(frozen=True, slots=True)
class Actors:
    """The columns that were asked for."""

    columns: tuple[_Column, ...]

    @property
    def names(self) -> list[str]:
        """Return the columns as they were asked for."""
        return [column.text for column in self.columns]


def build(query: Fields, context: Context) -> tuple[Question, Actors]:
    """Return the one query of an ``ActorsQuery``, and its columns. Raises InsightError."""
    query.refuse("filters_override", why="filter the insight in source.")
    values = Values()
    source = _source(query, context, values)
    asked = texts(query, "select") or ["person", "id", "person.$delete"]
    if source and source.counted and not query.given.get("select"):
        asked.append("event_distinct_ids")
    read = Actors(tuple(_column(text, query.at("select")) for text in asked))
    shown = [part for column in read.columns for part in column.parts] or ["person.id"]
    conditions = _conditions(query, context, values)
    order = _order(query, read)
    named = any("named." in part for part in (*shown, *conditions))
    text = _flags(source, [*asked, *texts(query, "orderBy")])
    text += f"select {', '.join(shown)}\n{_from(source)}" + (f"\n{_NAMES}" if named else "")
    if conditions:
        text += f"\nwhere {' and '.join(conditions)}"
    parts = [part for one in read.columns if not one.is_aggregate for part in one.parts]
    groups = [unnamed(part) for part in parts if part != "1"]
    if any(column.is_aggregate for column in read.columns):
        text += f"\ngroup by {', '.join(groups)}" if groups else ""
    else:
        order.append("person.id asc")
    limit = min(query.whole("limit", least=1) or _DEFAULT_LIMIT, _MOST)
    text += f"\norder by {', '.join(order)}" if order else ""
    # Placeholders, so that the next page is not a new text to be parsed.
    text += f"\nlimit {values.place(limit)} offset {values.place(query.whole('offset') or 0)}"
    return Question(text, values.given), read


def results(
    read: Actors, rows: Sequence[Sequence[Any]], types: Sequence[Sequence[str]]
) -> tuple[list[list[Any]], list[str]]:
    """Return the rows with one value for each column that was asked for, and the types."""
    kinds = [kind for _, kind in types]
    shown = [[_value(column, parts) for column, parts in _split(read, row)] for row in rows]
    named = [
        kind[0] if len(kind) == 1 else f"Tuple({', '.join(kind)})" if kind else "Array(Nothing)"
        for _, kind in _split(read, kinds)
    ]
    return shown, named


def _split(read: Actors, row: Sequence[Any]) -> list[tuple[_Column, Sequence[Any]]]:
    found, at = [], 0
    for column in read.columns:
        found.append((column, row[at : at + len(column.parts)]))
        at += len(column.parts)
    return found


def _value(column: _Column, parts: Sequence[Any]) -> Any:
    if column.parts == _PERSON:
        person, created_at, properties, is_identified, distinct_ids = parts
        return {
            "id": person,
            "properties": json.loads(properties or "{}"),
            "is_identified": bool(is_identified),
            "created_at": created_at,
            "distinct_ids": sorted(distinct_ids),
        }
    if column.parts == _DISPLAY:
        return {"display_name": parts[0], "id": parts[1]}
    # There are no recordings here.
    return parts[0] if column.parts else []


def _column(text: str, attr: str) -> _Column:
    name = text.split("--")[0].strip()
    if name in _WHOLE:
        return _Column(text, _WHOLE[name])
    if name == "group":
        raise wrong(attr, "there are no groups here.")
    if name in _FIXED:
        return _Column(text, _FIXED[name])
    part = one_expression(text, attr)
    return _Column(text, (part,), has_aggregate(part))


def _conditions(query: Fields, context: Context, values: Values) -> list[str]:
    filters = Filters(values, context, of_persons=True)
    found = []
    for name in ("properties", "fixedProperties"):
        condition = filters.of(query.given.get(name), query.at(name))
        found += [] if condition is None else [condition]
    if search := query.text("search"):
        text = search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        place = values.place(f"%{text}%")
        seen = [f"person.properties.{name} ilike {place}" for name in ("email", "name")]
        seen.append(f"toString(person.id) ilike {place}")
        seen.append(f"arrayExists(x -> x ilike {place}, named.distinct_ids)")
        found.append(f"({' or '.join(seen)})")
    return found


def _order(query: Fields, read: Actors) -> list[str]:
    """Return what is ordered by; persons are by what they are called, as in PostHog."""
    attr, given = query.at("orderBy"), texts(query, "orderBy")
    if given:
        return [_ordered(one, attr) for one in given]
    figures = [unnamed(column.parts[0]) for column in read.columns if column.is_aggregate]
    if figures:
        return [f"{'count()' if 'count()' in figures else figures[0]} desc"]
    return ["created_at desc"] if "created_at" in read.names else _first(read)


def _first(read: Actors) -> list[str]:
    parts = read.columns[0].parts
    return [f"{unnamed(parts[0])} asc"] if parts and parts[0] not in ("1", "person.id") else []


def _ordered(text: str, attr: str) -> str:
    words = text.replace("-- Person", "").split()
    names = dict.fromkeys(("actor", "person"), "person.properties.email")
    names |= {"id": "person.id", "person_display_name": _CALLED}
    if words and words[0] in names and len(words) <= 2:
        return one_expression(" ".join([names[words[0]], *words[1:]]), attr, order=True)
    return one_expression(text, attr, order=True)


def _flags(source: Source | None, asked: Sequence[str]) -> str:
    """Return a WITH of the columns ``day_0`` and so on that are asked for of a retention.

    They say whether somebody is counted so many intervals later.
    """
    if source is None or not source.intervals:
        return ""
    found = re.findall(rf"\b{source.interval}_([0-9]{{1,4}})\b", " ".join(asked))
    numbers = sorted({int(text) for text in found if text == str(int(text))})
    flags = [
        f"has(appearances, {number}) as {source.interval}_{number}"
        for number in numbers
        if number < source.intervals
    ]
    return f"with {', '.join(flags)}\n" if flags else ""


def _from(source: Source | None) -> str:
    if source is None:
        return "from persons as person"
    # Fixed texts only: values are placeholders.
    return f"""from (
{source.text}
) as source
inner join persons as person on toString(person.id) = toString(source.{quoted(source.id_column)})"""


def _source(query: Fields, context: Context, values: Values) -> Source | None:
    given = query.part("source")
    if given is None:
        return None
    kind = given.text("kind")
    if kind in _FIGURES:
        return of_figure(given, context, values)
    if kind != "HogQLQuery":
        known = ", ".join((*_FIGURES, "HogQLQuery"))
        raise wrong(given.at("kind"), f"{kind!r} is not a source of persons here: {known} are.")
    given.refuse("filters", "variables", why="write them in the query.")
    return _written(given, values)


def _written(given: Fields, values: Values) -> Source:
    """Return a query that a person wrote: read alone first, with values of its own only."""
    from nightpane.hogql.nodes import SelectQuery
    from nightpane.hogql.parse import parse_query

    text, own = given.text("query") or "", given.part("values")
    named: Mapping[str, Any] = own.given if own else {}
    try:
        tree = parse_query(text)
    except HogQLError as error:
        raise wrong(given.at("query"), f"it cannot be read: {error.message}") from error
    for name in _placeholders(tree):
        if name not in named:
            raise wrong(given.at("query"), f"the placeholder {{{name}}} has no value in values.")
    for name in named:
        if re.fullmatch(r"value_\d+", name):
            raise wrong(given.at("values"), f"{name!r} is a name that is taken: choose another.")
    values.given.update(named)
    first: Any = tree
    while not isinstance(first, SelectQuery):
        first = first.initial_select_query
    return Source(text[tree.start : tree.end], _id_column(first.select, given))


def _id_column(select: Sequence[Any], given: Fields) -> str:
    """Return the column with persons' ids: PostHog's rule is its name."""
    from nightpane.hogql.nodes import Alias, Field

    names = [
        one.alias if isinstance(one, Alias) else str(one.chain[-1])
        for one in select
        if isinstance(one, Alias | Field)
    ]
    for name in (*(one for one in _IDS if one in names), *names):
        if "id" in name.lower() or name in _IDS:
            return name
    raise wrong(given.at("query"), "a column with the ids of persons is needed: name it actor_id.")


def _placeholders(tree: Any) -> list[str]:
    from nightpane.hogql.nodes import Field, Node, Placeholder, children

    found, waiting = [], [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Placeholder):
            found.append(str(node.expr.chain[0]) if isinstance(node.expr, Field) else "")
        elif isinstance(node, tuple):
            waiting.extend(node)
        elif isinstance(node, Node):
            waiting.extend(children(node))
    return found
