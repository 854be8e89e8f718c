"""From a query node to PostHog's response, by way of one HogQL query."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from nightpane.errors import HogQLError
from nightpane.insights import (
    actors,
    events,
    funnels,
    funnels_query,
    funnels_result,
    lifecycle,
    paths,
    paths_query,
    retention,
    retention_query,
    retention_result,
    stickiness,
    traces,
    trends,
    trends_result,
)
from nightpane.insights.dates import Period
from nightpane.insights.labels import iso
from nightpane.insights.question import Context, Question
from nightpane.insights.reading import Fields

__all__ = ["KINDS", "Run", "answer"]

Run = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]
"""Runs a HogQL query with the values of its placeholders and returns PostHog's response to it."""

_KEPT: tuple[str, ...] = (
    "timings",
    "modifiers",
    "query_status",
    "is_cached",
    "cache_key",
    "cache_target_age",
)
_KEPT += ("last_refresh", "next_allowed_client_refresh_time", "timezone", "calculation_trigger")


def answer(node: Mapping[str, Any], context: Context, run: Run) -> dict[str, Any]:
    """Return PostHog's response to a node whose kind is one of ``KINDS``.

    Its ``filters_override`` (a dashboard's dates and filters, which PostHog's request has beside
    the node) replaces the dates and adds to the filters. Raises InsightError for a node that is
    not well formed, and HogQLError for an expression in it that is refused.
    """
    return KINDS[str(node.get("kind"))](Fields(_overridden(Fields(node))), context, run)


def _overridden(query: Fields) -> dict[str, Any]:
    """Return a node with the dates and filters of the dashboard it is shown on."""
    found, given = dict(query.given), query.part("filters_override")
    if given is None:
        return found
    if given.text("date_from") or given.text("date_to"):
        kept = ("date_from", "date_to", "explicitDate")
        found["dateRange"] = {name: given.given.get(name) for name in kept}
        found |= {"after": given.text("date_from") or "all", "before": given.text("date_to")}
    if given.given.get("properties"):
        both = (found.get("properties"), given.given["properties"])
        groups = [one if isinstance(one, Mapping) else {"values": one} for one in both if one]
        found["properties"] = {"type": "AND", "values": groups}
    if given.given.get("breakdown_filter"):
        found["breakdownFilter"] = given.given["breakdown_filter"]
    return found


def _trends(query: Fields, context: Context, run: Run) -> dict[str, Any]:
    read = trends.read_trends(query, context)
    question = trends.build(read, query, context)
    response = _run(run, question)
    rows = _rows(response)
    read = read.starting(_earliest(rows, read.periods[0]))
    found = trends_result.results(read, rows, context)
    others = any(trends_result.is_other(_value(row)) for row in rows)
    return _response(response, question, found, read.periods[0], hasMore=others)


def _stickiness(query: Fields, context: Context, run: Run) -> dict[str, Any]:
    read = stickiness.read_stickiness(query, context)
    question = stickiness.build(read, query, context)
    response = _run(run, question)
    rows = _rows(response)
    read = read.starting(_earliest(rows, read.periods[0]))
    return _response(response, question, stickiness.results(read, rows), read.periods[0])


def _lifecycle(query: Fields, context: Context, run: Run) -> dict[str, Any]:
    read = lifecycle.read_lifecycle(query, context)
    question = lifecycle.build(read, query, context)
    response = _run(run, question)
    rows = _rows(response)
    read = read.starting(_earliest(rows, read.period))
    return _response(response, question, lifecycle.results(read, rows), read.period)


def _funnels(query: Fields, context: Context, run: Run) -> dict[str, Any]:
    read = funnels.read_funnel(query, context)
    question = funnels_query.build(read, query, context)
    response = _run(run, question)
    rows = _rows(response)
    read = read.starting(_earliest(rows, read.periods[0]))
    found = funnels_result.results(read, rows, context)
    total = rows[0].get("total") if rows else None
    return _response(response, question, found, read.periods[0], total_median_conversion_time=total)


def _retention(query: Fields, context: Context, run: Run) -> dict[str, Any]:
    read = retention.read_retention(query, context)
    question = retention_query.build(read, query, context)
    response = _run(run, question)
    rows = _rows(response)
    read = read.starting(_earliest(rows, read.period))
    return _response(response, question, retention_result.results(read, rows), read.period)


def _paths(query: Fields, context: Context, run: Run) -> dict[str, Any]:
    read = paths.read_paths(query, context)
    question = paths_query.build(read, query, context)
    response = _run(run, question)
    rows = _rows(response)
    period = read.period.starting(_earliest(rows, read.period))
    return _response(response, question, paths.results(rows), period)


def _events(query: Fields, context: Context, run: Run) -> dict[str, Any]:
    question, columns = events.build(query, context)
    response = _run(run, question)
    return {
        "results": events.results(columns, response["results"]),
        "columns": [column.text for column in columns],
        "types": events.types(columns, response["types"]),
        "hogql": question.written(),
        "error": None,
        **{name: response.get(name) for name in (*_KEPT, "hasMore", "limit", "offset")},
    }


def _actors(query: Fields, context: Context, run: Run) -> dict[str, Any]:
    question, read = actors.build(query, context)
    response = _run(run, question)
    results, types = actors.results(read, response["results"], response["types"])
    return {
        "results": results,
        "columns": read.names,
        "types": types,
        "missing_actors_count": 0,
        "hogql": question.written(),
        "error": None,
        **{name: response.get(name) for name in (*_KEPT, "hasMore", "limit", "offset")},
    }


def _traces(query: Fields, context: Context, run: Run) -> dict[str, Any]:
    question = traces.build_list(query, context)
    response = _run(run, question)
    return _of_traces(response, question, **traces.page(query, _rows(response)))


def _trace(query: Fields, context: Context, run: Run) -> dict[str, Any]:
    question = traces.build_one(query, context)
    response = _run(run, question)
    return _of_traces(response, question, results=[traces.result(row) for row in _rows(response)])


def _of_traces(response: Mapping[str, Any], question: Question, **more: Any) -> dict[str, Any]:
    return {
        "columns": response["columns"],
        "hogql": question.written(),
        "error": None,
        **{name: response.get(name) for name in _KEPT},
        **more,
    }


def _run(run: Run, question: Question) -> Mapping[str, Any]:
    try:
        return run(question.query, question.values)
    except HogQLError as error:
        # Its place is one in the query made here, which nobody wrote.
        raise HogQLError(error.message, code=error.code) from error


def _rows(response: Mapping[str, Any]) -> list[dict[str, Any]]:
    names = response["columns"]
    return [dict(zip(names, row, strict=True)) for row in response["results"]]


def _value(row: Mapping[str, Any]) -> Any:
    return row.get("value")


def _earliest(rows: list[dict[str, Any]], period: Period) -> datetime | None:
    text = rows[0].get("earliest") if rows else None
    return None if text is None else trends_result.moment(str(text), period)


def _response(
    response: Mapping[str, Any], question: Question, results: Any, period: Period, **more: Any
) -> dict[str, Any]:
    start = None if period.start is None else iso(period.start)
    return {
        "results": results,
        "hogql": question.written(),
        "error": None,
        "resolved_date_range": {"date_from": start, "date_to": iso(period.end)},
        **{name: response.get(name) for name in _KEPT},
        **more,
    }


KINDS: Mapping[str, Callable[[Fields, Context, Run], dict[str, Any]]] = {
    "TrendsQuery": _trends,
    "StickinessQuery": _stickiness,
    "LifecycleQuery": _lifecycle,
    "EventsQuery": _events,
    "FunnelsQuery": _funnels,
    "RetentionQuery": _retention,
    "PathsQuery": _paths,
    "ActorsQuery": _actors,
    "TracesQuery": _traces,
    "TraceQuery": _trace,
}
