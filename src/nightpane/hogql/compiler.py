"""HogQL to ClickHouse: the whole way, from text to the statement the engine runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from nightpane.errors import HogQLError
from nightpane.hogql import nodes as n
from nightpane.hogql.expressions import translate
from nightpane.hogql.layout import Layout
from nightpane.hogql.parse import parse_query
from nightpane.hogql.placeholders import fill
from nightpane.hogql.scope import Scope
from nightpane.hogql.selects import Limits, select, whole_number
from nightpane.hogql.state import Cx, State

__all__ = ["DEFAULT_LIMIT", "MAX_LIMIT", "Compiled", "compile"]

DEFAULT_LIMIT = 100
MAX_LIMIT = 50_000
"""PostHog's own: rows of a query that names no limit, and the most a query can ask for."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """A query ready to run.

    ``limit`` is what the caller may see; the statement asks for one row more, so that it shows
    whether there are any (``ties`` tells that it does not, since rows that tie are all kept).
    """

    sql: str
    columns: tuple[str, ...]
    limit: int
    offset: int
    tables: tuple[str, ...]
    ties: bool = False
    parameters: Mapping[str, Any] = field(default_factory=dict)


def compile(  # noqa: A001 (the verb of the trade; always called as hogql.compile)
    query: str,
    *,
    layout: Layout,
    property_types: Mapping[str, str],
    timezone: str = "UTC",
    values: Mapping[str, Any] | None = None,
    variables: Mapping[str, Any] | None = None,
    filters: Mapping[str, Any] | None = None,
    person_overrides: bool = False,
    max_limit: int = MAX_LIMIT,
) -> Compiled:
    """Return the ClickHouse statement for a HogQL query.

    ``values`` fill ``{name}``, ``variables`` (PostHog's request field) ``{variables.name}`` and
    ``filters`` ``{filters}``. Raises HogQLError with the place of what is refused.
    """
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise HogQLError(f"there is no timezone called {timezone!r}") from error
    try:
        tree = fill(parse_query(query), timezone, values or {}, variables or {}, filters or {})
        state = State(
            layout=layout,
            property_types=property_types,
            timezone=timezone,
            source=query,
            max_rows=max_limit,
            person_overrides=person_overrides,
        )
        return _compile(tree, state)
    except RecursionError as error:
        raise HogQLError("the query is nested too deeply: split it with WITH") from error


def _compile(tree: n.Query, state: State) -> Compiled:
    limit = whole_number(tree.limit, "LIMIT")
    offset = whole_number(tree.offset, "OFFSET") or 0
    if limit is None:
        limit = state.max_rows if offset else DEFAULT_LIMIT
    limit = min(limit, state.max_rows)
    ties = bool(tree.limit_with_ties)
    limits = Limits(limit if ties else limit + 1, offset, ties)
    found = select(Cx(state, Scope()), tree, translate, limits=limits)
    return Compiled(
        sql=found.text,
        columns=tuple(name for name, _ in found.columns),
        limit=limit,
        offset=offset,
        tables=tuple(sorted(state.tables)),
        ties=ties,
    )
