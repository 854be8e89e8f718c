"""``PathsQuery``: what persons do one after the other, as edges between numbered steps.

What is read here is what is answered: a field that would change the paths and cannot be answered is
refused, never left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nightpane.insights.dates import Period, floor, read_period
from nightpane.insights.question import Context, expression
from nightpane.insights.reading import Fields, wrong

__all__ = ["Edge", "Paths", "read_edge", "read_paths", "results"]

_TYPES = ("$pageview", "$screen", "custom_event", "hogql")
_STEPS, _EDGES = 5, 50
_MOST_STEPS, _MOST_EDGES, _MOST_RULES = 1_000, 10_000, 100
_OF_ACTORS = ("pathStartKey", "pathEndKey", "pathDropoffKey")


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """A paths query that was read.

    ``types`` are the kinds of events asked for, all when empty; ``expression`` the HogQL of an
    event's name, None for the name itself; ``cleaning`` pairs of a regular expression and what
    replaces it; ``groupings`` pairs of what is shown and the regular expression it stands for.
    ``least`` and ``most`` are how often an edge is taken.
    """

    period: Period
    since: datetime | None
    types: tuple[str, ...]
    expression: str | None
    excluded: tuple[str, ...]
    cleaning: tuple[tuple[str, str], ...]
    groupings: tuple[tuple[str, str], ...]
    start: str | None
    end: str | None
    steps: int
    edges: int
    least: int | None
    most: int | None

    def asks_for(self, kind: str) -> bool:
        """Say whether events of a kind are shown as such; without kinds, all not excluded are."""
        return kind in self.types if self.types else kind not in self.excluded


@dataclass(frozen=True, slots=True)
class Edge:
    """Steps as the results name them, such as ``2_/pricing``: the one an edge comes from, the one
    it goes to, and the last one of a way."""

    start: str | None
    end: str | None
    last: str | None


def read_paths(query: Fields, context: Context) -> Paths:
    """Return a ``PathsQuery``. Raises InsightError naming the field that is wrong."""
    shown = _shown(query)
    shown.refuse(*_OF_ACTORS, why="it asks who went that way: ask an ActorsQuery.")
    return _read(query, shown, context)


def read_edge(query: Fields, context: Context) -> tuple[Paths, Edge]:
    """Return a ``PathsQuery`` that says whose ways are asked for. Raises InsightError."""
    shown = _shown(query)
    start, end, last = (shown.text(name) or None for name in _OF_ACTORS)
    # As in PostHog, where a way ended is all that counts then.
    edge = Edge(None, None, last) if last else Edge(start, end, None)
    return _read(query, shown, context), edge


def _shown(query: Fields) -> Fields:
    return query.part("pathsFilter") or Fields({}, query.at("pathsFilter"))


def _read(query: Fields, shown: Fields, context: Context) -> Paths:
    query.refuse("aggregation_group_type_index", why="there are no groups here.")
    query.refuse("funnelPathsFilter", why="paths around a funnel's steps are not answered here.")
    query.refuse("breakdownFilter", "compareFilter", why="paths have none.")
    types = _texts(shown, "includeEventTypes")
    for kind in types:
        if kind not in _TYPES:
            attr = shown.at("includeEventTypes")
            raise wrong(attr, f"{kind!r} is not one of {', '.join(_TYPES)}.")
    written = shown.text("pathsHogQLExpression")
    shown.flag("pathReplacements")  # Of the project, which has none here.
    period = read_period(query, "day", context.now, context.timezone)
    exact = (query.part("dateRange") or Fields({})).flag("explicitDate")
    since = period.start if exact or period.start is None else floor(period.start, "day")
    return Paths(
        period=period,
        since=since,
        types=types,
        expression=expression(written, shown.at("pathsHogQLExpression")) if written else None,
        excluded=_texts(shown, "excludeEvents"),
        cleaning=_cleaning(shown),
        groupings=tuple((text, _pattern(text)) for text in _texts(shown, "pathGroupings")),
        start=_point(shown, "startPoint"),
        end=_point(shown, "endPoint"),
        steps=shown.whole("stepLimit", most=_MOST_STEPS) or _STEPS,
        edges=shown.whole("edgeLimit", most=_MOST_EDGES) or _EDGES,
        least=shown.whole("minEdgeWeight") or None,
        most=shown.whole("maxEdgeWeight") or None,
    )


def results(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return PostHog's ``results``: the edges that a first step leads to, times in milliseconds.

    Those whose way from a first step fell to a limit are left out, as in PostHog.
    """
    onward: dict[str, list[str]] = {}
    for row in rows:
        onward.setdefault(row["source"], []).append(row["target"])
    reached: set[str] = set()
    waiting = [source for source in onward if source.startswith("1_")]
    while waiting:
        step = waiting.pop()
        if step not in reached:
            reached.add(step)
            waiting += onward.get(step, [])
    names = ("source", "target", "value", "average_conversion_time")
    return [{name: row[name] for name in names} for row in rows if row["source"] in reached]


def _texts(shown: Fields, name: str) -> tuple[str, ...]:
    found = shown.items(name)
    if len(found) > _MOST_RULES:
        raise wrong(shown.at(name), f"{len(found)} are more than {_MOST_RULES}.")
    for place, one in enumerate(found):
        if not isinstance(one, str):
            raise wrong(f"{shown.at(name)}.{place}", f"must be a text, not {one!r}.")
    return tuple(found)


def _cleaning(shown: Fields) -> tuple[tuple[str, str], ...]:
    found = []
    for rule in shown.parts("localPathCleaningFilters"):
        pattern = rule.text("regex")
        if not pattern:
            raise wrong(rule.at("regex"), "a rule needs a regular expression.")
        found.append((pattern, rule.text("alias") or ""))
    if len(found) > _MOST_RULES:
        raise wrong(shown.at("localPathCleaningFilters"), f"at most {_MOST_RULES} rules.")
    return tuple(found)


def _pattern(grouping: str) -> str:
    """Return the regular expression of a grouping, whose ``*`` is anything."""
    return ".*".join(re.escape(part) for part in grouping.split("*"))


def _point(shown: Fields, name: str) -> str | None:
    """Return a point without the slash at its end, which page addresses are shown without too."""
    text = shown.text(name)
    if text and len(text) > 1 and text.endswith("/"):
        return text[:-1]
    return text or None
