"""What is asked of the query API: a few constant texts, values beside them.

Reads the light columns of a round's events in one query; prompts, answers and diffs, which may be
megabytes, are read for the few events that somebody opens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from nightpane.ids import is_ulid, session_id_from_ulid
from nightpane.query import Query

__all__ = ["LIMIT", "TEXT_CHARS", "clickhouse_time", "count_events", "read_contents", "read_events"]

LIMIT = 20_000
"""Events of a round that are read; of a larger one the earliest are, and it is said."""
TEXT_CHARS = 300
"""Characters of a long text that are read with the tree; the whole is in the event's details."""
_CONTENTS_AT_ONCE = 100

_PLAIN = (
    *("round_id", "run_id", "project", "client", "agent", "git_sha"),
    *("$ai_trace_id", "$ai_span_id", "$ai_parent_id", "$ai_generation_id"),
    *("$ai_target_event_id", "$ai_completion_id", "$ai_span_name", "$ai_trace_name"),
    *("$ai_model", "$ai_provider", "$ai_latency", "$ai_is_error", "$ai_http_status"),
    *("$ai_input_tokens", "$ai_output_tokens", "$ai_reasoning_tokens"),
    *("$ai_cache_read_input_tokens", "$ai_cache_creation_input_tokens"),
    *("$ai_total_cost_usd", "$ai_cost_model_source", "$ai_ingestion_source"),
    *("$ai_metric_name", "$ai_metric_value", "$ai_evaluation_name"),
    *("phase", "task_type", "step_id", "suite_id", "suite", "case_id", "dim", "passed"),
    *("tool", "ok", "latency_ms", "apply_latency_ms", "attempt", "cause", "source"),
    *("score", "metric", "direction", "delta", "new_best", "baseline_score"),
    *("prior_score", "new_score", "failure_mode", "crashed", "cost_usd", "model", "target"),
    *("prompt_tokens", "completion_tokens", "from_model", "to_model"),
)
_LONG = (
    *("$ai_error", "$ai_feedback_text", "$ai_evaluation_result", "error", "reason", "summary"),
    *("plan", "verdict", "rationale", "value", "args_json", "result_json"),
)
# Events of other processes may name the round by its trace or session alone. A session may hold
# more than one round: what names another round is not of this one.
_OF_ROUND = """where properties.round_id = {id}
    or properties.$ai_trace_id = {id}
    or (properties.$session_id = {session} and properties.round_id is null)"""


def _columns() -> str:
    plain = [f"properties.{name} as `{name}`" for name in _PLAIN]
    cut = f"1, {TEXT_CHARS}"
    long = [f"substring(toString(properties.{name}), {cut}) as `{name}`" for name in _LONG]
    return ",\n    ".join(["toString(uuid) as id", "event", "timestamp", *plain, *long])


_EVENTS = f"""select
    {_columns()}
from events
{_OF_ROUND}
order by timestamp, id
limit {LIMIT + 1}"""  # noqa: S608 (fixed texts only: values are placeholders)

_COUNT = f"select count() from events {_OF_ROUND}"  # noqa: S608 (fixed texts only)

_CONTENTS = f"""select toString(uuid) as id, event, timestamp, distinct_id, properties
from events
where id in {{uuids}} and timestamp >= toDateTime64({{since}}, 6)
    and timestamp <= toDateTime64({{until}}, 6)
order by timestamp, id
limit {_CONTENTS_AT_ONCE}"""  # noqa: S608 (fixed texts only: values are placeholders)


def read_events(query: Query, round_id: str) -> list[dict[str, Any]]:
    """Return a round's events, the earliest first: light columns, absent ones left out.

    At most ``LIMIT + 1``; the one above tells that there are more. Raises what the query raises.
    """
    answer = query.hogql(_EVENTS, _values(round_id))
    columns = answer.columns
    return [
        {name: value for name, value in zip(columns, row, strict=True) if value is not None}
        for row in answer.rows
    ]


def count_events(query: Query, round_id: str) -> int:
    """Return how many events the round has: grows when one arrives. Raises as the query does."""
    return int(query.hogql(_COUNT, _values(round_id)).rows[0][0])


def read_contents(
    query: Query, uuids: Sequence[str], *, since: datetime, until: datetime
) -> list[dict[str, Any]]:
    """Return events in full: ``id``, ``event``, ``timestamp``, ``distinct_id``, ``properties``.

    ``since`` and ``until`` bound their timestamps, which is what makes them quick to find.
    """
    found: list[dict[str, Any]] = []
    times = {"since": clickhouse_time(since), "until": clickhouse_time(until)}
    for i in range(0, len(uuids), _CONTENTS_AT_ONCE):
        some = list(uuids[i : i + _CONTENTS_AT_ONCE])
        found += query.hogql(_CONTENTS, {"uuids": some, **times}).dicts()
    return found


def _values(round_id: str) -> Mapping[str, str]:
    # A round whose id is no ULID has no session of its own: nothing has this one.
    session = session_id_from_ulid(round_id) if is_ulid(round_id) else f"none of {round_id}"
    return {"id": round_id, "session": session}


def clickhouse_time(moment: datetime) -> str:
    """Return a time (UTC) as ``toDateTime64`` reads it."""
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")
