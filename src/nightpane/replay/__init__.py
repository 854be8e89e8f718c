"""A round replayed as one trace: its events, from every process, as one tree in time.

Reads by HogQL alone, so the same from PostHog and from a local server.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from nightpane.query import Query
from nightpane.replay.build import build
from nightpane.replay.jsonable import to_json
from nightpane.replay.model import Link, Neighbours, Node, RoundFacts, Tokens, Trace
from nightpane.replay.queries import (
    LIMIT,
    clickhouse_time,
    count_events,
    read_contents,
    read_events,
)
from nightpane.replay.rounds import find_round, neighbours_of

__all__ = [
    "LIMIT",
    "Link",
    "Neighbours",
    "Node",
    "RoundFacts",
    "Tokens",
    "Trace",
    "build",
    "count_events",
    "find_round",
    "read_contents",
    "read_round",
    "to_json",
    "window",
]


def read_round(query: Query, round_id: str) -> Trace | None:
    """Return a round's trace with its neighbours, None when it has no event.

    Raises what the query raises.
    """
    rows = read_events(query, round_id)
    if not rows:
        return None
    trace = build(round_id, rows)
    before = clickhouse_time(trace.started_at)
    beside = neighbours_of(query, trace.round, trace.nodes, before)
    return replace(trace, neighbours=beside)


def window(trace: Trace) -> tuple[datetime, datetime]:
    """Return the earliest and latest time that an event of the trace may bear."""
    first, last = trace.from_ms, trace.until_ms
    return (
        trace.started_at + timedelta(milliseconds=first - 1000),
        trace.started_at + timedelta(milliseconds=last + 1000),
    )
