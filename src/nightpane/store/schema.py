"""The physical layout of the store: tables, typed columns, and how a property becomes a column.

Hot properties have a typed column of their own, cold ones a path in the JSON column ``props``,
heavy ones are only in ``properties``, the text that gives back what was sent. Nothing here runs
SQL.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = [
    "DATABASE",
    "HEAVY",
    "HOT",
    "MIGRATIONS",
    "PERSON_EVENTS",
    "escape_key",
    "hot_column",
]

DATABASE = "nightpane"

_TEXT = "Nullable(String)"
_WORD = "LowCardinality(Nullable(String))"
_NUMBER = "Nullable(Float64)"
_BOOL = "Nullable(Bool)"

HOT: Mapping[str, str] = {
    "project": _WORD,
    "client": _WORD,
    "run_id": _TEXT,
    "round_id": _TEXT,
    "agent": _WORD,
    "git_sha": _WORD,
    "model": _WORD,
    "score": _NUMBER,
    "cost_usd": _NUMBER,
    "delta": _NUMBER,
    "new_best": _NUMBER,
    "baseline_score": _NUMBER,
    "failure_mode": _WORD,
    "reason": _TEXT,
    "direction": _WORD,
    "metric": _WORD,
    "task_type": _WORD,
    "phase": _WORD,
    "tool": _WORD,
    "ok": _BOOL,
    "$session_id": _TEXT,
    "$ai_trace_id": _TEXT,
    "$ai_parent_id": _TEXT,
    "$ai_span_id": _TEXT,
    "$ai_span_name": _WORD,
    "$ai_model": _WORD,
    "$ai_provider": _WORD,
    "$ai_input_tokens": _NUMBER,
    "$ai_output_tokens": _NUMBER,
    "$ai_total_cost_usd": _NUMBER,
    "$ai_latency": _NUMBER,
    "$ai_http_status": _NUMBER,
    "$ai_is_error": _BOOL,
}

HEAVY: frozenset[str] = frozenset(
    {
        "$ai_input",
        "$ai_output_choices",
        "$ai_output",
        "$ai_input_state",
        "$ai_output_state",
        "$ai_tools",
        "$ai_instructions",
        "diff",
        "$exception_list",
    }
)

PERSON_EVENTS: frozenset[str] = frozenset(
    {"$identify", "$create_alias", "$merge_dangerously", "$set"}
)


def hot_column(name: str) -> str:
    """Return the typed column of a hot property."""
    return f"mat_{name}"


def escape_key(name: str) -> str:
    """Return the path of a cold property in ``props``: no dots, never empty, reversible.

    A dot would make a nested path and an empty path cannot be named in SQL, so both are escaped
    with a percent sign, which is escaped itself.
    """
    return name.replace("%", "%25").replace(".", "%2E") or "%"


# Parts below 64 MB keep their columns in one file, so that an fsync and a merge cost little. Both
# fsync settings together make a part and its name durable before the INSERT returns.
_DURABLE = "fsync_after_insert = 1, fsync_part_directory = 1"

_MAT = ",\n".join(f"  `{hot_column(name)}` {kind} CODEC(ZSTD(1))" for name, kind in HOT.items())

_EVENTS = f"""
CREATE TABLE IF NOT EXISTS {DATABASE}.events (
  uuid UUID,
  event LowCardinality(String),
  timestamp DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
  created_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
  distinct_id String CODEC(ZSTD(1)),
  person_id UUID CODEC(ZSTD(1)),
  properties String CODEC(ZSTD(1)),
{_MAT},
  props JSON(max_dynamic_paths = 256, max_dynamic_types = 2) CODEC(ZSTD(1)),
  INDEX by_uuid uuid TYPE bloom_filter(0.01) GRANULARITY 4,
  INDEX by_round `mat_round_id` TYPE bloom_filter(0.01) GRANULARITY 4,
  INDEX by_trace `mat_$ai_trace_id` TYPE bloom_filter(0.01) GRANULARITY 4,
  INDEX by_session `mat_$session_id` TYPE bloom_filter(0.01) GRANULARITY 4
) ENGINE = MergeTree ORDER BY (event, timestamp)
SETTINGS index_granularity = 1024, min_bytes_for_wide_part = 67108864, auto_statistics_types = '',
  {_DURABLE}
"""

_PERSONS = f"""
CREATE TABLE IF NOT EXISTS {DATABASE}.persons (
  id UUID,
  properties String CODEC(ZSTD(1)),
  created_at DateTime64(6, 'UTC'),
  is_identified UInt8,
  version UInt64
) ENGINE = ReplacingMergeTree(version) ORDER BY id SETTINGS {_DURABLE}
"""

_PERSON_DISTINCT_IDS = f"""
CREATE TABLE IF NOT EXISTS {DATABASE}.person_distinct_ids (
  distinct_id String CODEC(ZSTD(1)),
  person_id UUID,
  version UInt64
) ENGINE = ReplacingMergeTree(version) ORDER BY distinct_id SETTINGS {_DURABLE}
"""

_PROPERTY_DEFINITIONS = f"""
CREATE TABLE IF NOT EXISTS {DATABASE}.property_definitions (
  name String,
  property_type LowCardinality(String),
  version UInt64
) ENGINE = ReplacingMergeTree(version) ORDER BY name SETTINGS {_DURABLE}
"""

MIGRATIONS: tuple[tuple[str, str], ...] = (
    ("0001_events", _EVENTS),
    ("0002_persons", _PERSONS),
    ("0003_person_distinct_ids", _PERSON_DISTINCT_IDS),
    ("0004_property_definitions", _PROPERTY_DEFINITIONS),
)
"""Named steps, in order. Each can be run again after a crash in the middle of it."""
