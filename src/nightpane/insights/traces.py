"""``TracesQuery`` and ``TraceQuery``: model calls by trace, in one HogQL query each.

A trace is every AI event of one ``$ai_trace_id``; here that is a round's id. PostHog's list looks
ten minutes around its range; here a trace that has an event in the range is shown whole, however
long it ran.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from nightpane.insights.dates import read_period
from nightpane.insights.filters import Filters
from nightpane.insights.question import Context, Question, Values
from nightpane.insights.reading import Fields, wrong

__all__ = ["build_list", "build_one", "page", "result"]

_EVENTS = (
    "event in ('$ai_trace', '$ai_span', '$ai_generation', '$ai_embedding', '$ai_metric', "
    "'$ai_feedback')"
)
_TRACE = "ifNull(toString(properties.$ai_trace_id), '')"
_DEFAULT_LIMIT, _MOST = 100, 1_000

# Named once and never nested: each bracket inside another doubles what the grammar takes.
_NAMED: Mapping[str, str] = {
    "its_trace": _TRACE,
    "its_parent": "ifNull(toString(properties.$ai_parent_id), '')",
    "its_session": "toString(properties.$ai_session_id)",
    "its_latency": "toFloat(properties.$ai_latency)",
    "its_input": "toFloat(properties.$ai_input_tokens)",
    "its_output": "toFloat(properties.$ai_output_tokens)",
    "its_input_usd": "toFloat(properties.$ai_input_cost_usd)",
    "its_output_usd": "toFloat(properties.$ai_output_cost_usd)",
    "its_total_usd": "toFloat(properties.$ai_total_cost_usd)",
    "its_input_state": "toString(properties.$ai_input_state)",
    "its_output_state": "toString(properties.$ai_output_state)",
    "its_span_name": "nullIf(toString(properties.$ai_span_name), '')",
    "its_trace_name": "nullIf(toString(properties.$ai_trace_name), '')",
    "its_name": "coalesce(its_span_name, its_trace_name)",
    "its_uuid": "toString(uuid)",
    "whole": "tuple(timestamp, its_uuid, event, properties)",
    "is_trace": "event = '$ai_trace'",
    "is_counted": "event in ('$ai_generation', '$ai_embedding')",
    "is_timed_call": "event = '$ai_generation' and its_latency > 0",
    "is_timed_other": "event != '$ai_generation' and its_latency > 0",
}
_COLUMNS: Mapping[str, str] = {
    "id": "its_trace",
    "first_at": "min(timestamp)",
    "first_distinct_id": "argMin(distinct_id, timestamp)",
    "trace_distinct_id": "argMinIf(distinct_id, timestamp, is_trace)",
    "first_person_id": "argMin(person_id, timestamp)",
    "person_created_at": "argMin(person.created_at, timestamp)",
    "person_properties": "argMin(person.properties, timestamp)",
    "ai_session_id": "max(its_session)",
    "latency_elsewhere": "countIf(is_timed_other)",
    "latency_of_calls": "sumIf(its_latency, is_timed_call)",
    "latency_of_children": "sumIf(its_latency, its_parent in ('', its_trace))",
    "input_tokens": "sumIf(its_input, is_counted)",
    "output_tokens": "sumIf(its_output, is_counted)",
    "input_cost": "sumIf(its_input_usd, is_counted)",
    "output_cost": "sumIf(its_output_usd, is_counted)",
    "total_cost": "sumIf(its_total_usd, is_counted)",
    "input_state": "argMinIf(its_input_state, timestamp, is_trace)",
    "output_state": "argMinIf(its_output_state, timestamp, is_trace)",
    "name_of_trace": "argMinIf(its_name, timestamp, is_trace)",
    "name_of_first": "argMin(its_name, timestamp)",
}
_OF_LIST_NAMED: Mapping[str, str] = {
    "its_failure": "toString(properties.$ai_is_error)",
    "its_support": "toString(properties.ai_support_impersonated)",
    "its_error": "ifNull(toString(properties.$ai_error), '')",
    "its_tools": "toString(properties.$ai_tools_called)",
}
_OF_LIST: Mapping[str, str] = {
    "error_count": "countIf(its_failure in ('true', '1') or its_error != '')",
    "is_support_trace": "countIf(its_support = 'true')",
    "tools": "groupArrayIf(its_tools, event = '$ai_generation' and its_tools != '')",
    "events": "groupArrayIf(whole, event in ('$ai_metric', '$ai_feedback') or "
    "its_parent = its_trace)",
}
_OF_ONE: Mapping[str, str] = {"events": "groupArrayIf(whole, not is_trace)"}


def build_list(query: Fields, context: Context) -> Question:
    """Return the one query of a ``TracesQuery``, newest first. Raises InsightError."""
    query.refuse("groupKey", "groupTypeIndex", why="there are no groups here.")
    if query.flag("randomOrder"):
        raise wrong(query.at("randomOrder"), "traces are not drawn at random here.")
    values = Values()
    period = read_period(query, "minute", context.now, context.timezone)
    conditions = [f"timestamp <= {values.place(period.end)}"]
    if period.since is not None:
        conditions.append(f"timestamp >= {values.place(period.since)}")
    condition = Filters(values, context).of(query.given.get("properties"), query.at("properties"))
    conditions += [] if condition is None else [condition]
    if person := query.text("personId"):
        conditions.append(f"person_id = {values.place(person)}")
    if query.flag("filterSupportTraces"):
        conditions.append("coalesce(toString(properties.ai_support_impersonated), '') != 'true'")
    limit, offset = _limits(query)
    chosen = " and ".join(conditions)
    # A page is cut in the order it is shown in, by whole traces, or one would be on two pages.
    text = (  # Every value is a placeholder's.
        f"{_select({**_NAMED, **_OF_LIST_NAMED}, {**_COLUMNS, **_OF_LIST})}\n"  # noqa: S608
        f"where {_EVENTS}\n    and its_trace in (\n"
        f"        select {_TRACE} as one from events where {_EVENTS} and one != ''\n"
        f"        group by one having countIf({chosen}) > 0\n"
        f"        order by min(timestamp) desc, one\n"
        f"        limit {values.place(limit + 1)} offset {values.place(offset)}\n    )\n"
        f"group by id\norder by first_at desc, id\nlimit {values.place(limit + 1)}"
    )
    return Question(text, values.given)


def build_one(query: Fields, context: Context) -> Question:
    """Return the one query of a ``TraceQuery``. Raises InsightError without a trace."""
    trace = query.text("traceId")
    if not trace:
        raise wrong(query.at("traceId"), "a trace's id is required.")
    values = Values()
    conditions = [_EVENTS, f"its_trace = {values.place(trace)}"]
    condition = Filters(values, context).of(query.given.get("properties"), query.at("properties"))
    conditions += [] if condition is None else [condition]
    text = (
        f"{_select(_NAMED, {**_COLUMNS, **_OF_ONE})}\nwhere " + "\n    and ".join(conditions)
        + "\ngroup by id"
    )  # fmt: skip
    return Question(text, values.given)


def page(query: Fields, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return PostHog's ``results``, ``hasMore``, ``limit`` and ``offset`` of a list."""
    limit, offset = _limits(query)
    shown = [{**result(row), **_listed(row)} for row in rows[:limit]]
    return {"results": shown, "hasMore": len(rows) > limit, "limit": limit, "offset": offset}


def result(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as PostHog's LLMTrace. Tokens and costs are of generations and embeddings alone;
    costs in USD to ten decimals, latency in seconds to two."""
    distinct_id = row["trace_distinct_id"] or row["first_distinct_id"]
    calls_only = row["latency_elsewhere"] == 0 and row["latency_of_calls"]
    latency = row["latency_of_calls"] if calls_only else row["latency_of_children"]
    created_at = row["person_created_at"]
    return {
        "id": row["id"],
        "aiSessionId": row["ai_session_id"] or None,
        "createdAt": row["first_at"],
        "distinctId": distinct_id,
        "person": {
            "uuid": str(row["first_person_id"]),
            "distinct_id": distinct_id,
            "created_at": created_at,
            "properties": json.loads(row["person_properties"] or "{}"),
        },
        "totalLatency": round(latency or 0.0, 2),
        "inputTokens": row["input_tokens"] or None,
        "outputTokens": row["output_tokens"] or None,
        "inputCost": _usd(row["input_cost"]),
        "outputCost": _usd(row["output_cost"]),
        "totalCost": _usd(row["total_cost"]),
        "inputState": _read(row["input_state"]),
        "outputState": _read(row["output_state"]),
        "traceName": row["name_of_trace"] or row["name_of_first"] or None,
        "events": [_event(one) for one in sorted(row["events"], key=lambda one: (one[0], one[1]))],
    }


def _listed(row: Mapping[str, Any]) -> dict[str, Any]:
    tools = [name for names in row["tools"] for name in str(names).split(",") if name]
    return {
        "errorCount": row["error_count"],
        "isSupportTrace": bool(row["is_support_trace"]),
        "tools": list(dict.fromkeys(tools)),
    }


def _event(one: Sequence[Any]) -> dict[str, Any]:
    timestamp, uuid, event, properties = one
    return {
        "id": uuid,
        "event": event,
        "createdAt": timestamp,
        "properties": json.loads(properties or "{}"),
    }


def _select(named: Mapping[str, str], columns: Mapping[str, str]) -> str:
    names, shown = (
        ",\n    ".join(f"{expression} as {name}" for name, expression in each.items())
        for each in (named, columns)
    )
    return f"with {names}\nselect\n    {shown}\nfrom events"


def _limits(query: Fields) -> tuple[int, int]:
    limit = query.whole("limit", least=1) or _DEFAULT_LIMIT
    return min(limit, _MOST), query.whole("offset") or 0


def _usd(value: float | None) -> float | None:
    return round(value, 10) or None if value else None


def _read(text: str | None) -> Any:
    """Return a state as it was sent: JSON where it is, else the text."""
    if not text:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text
