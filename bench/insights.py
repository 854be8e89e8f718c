"""Insight queries on one store, in this process: what the first answer costs and what the next do.

    python bench/insights.py [EVENTS]

Makes the store of ``bench/query.py`` with EVENTS events over 90 days (1,000,000 when not given).
Prints one JSON line: ``first_ms`` has the parsing of a text never seen before, ``next_ms`` is the
median of later ones. The query condition cache is off, so that repeating a query is honest.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from nightpane import hogql, insights
from nightpane.server.hogql_run import run_hogql
from nightpane.store import Store
from query import Limits, fill, timed  # the other benchmark of this folder

REPEATS = 9
FUNNEL = [{"event": name} for name in ("step.plan", "$ai_generation", "round_scored")]
LAST_MONTH = {"dateRange": {"date_from": "-30d"}}
COST = {"event": "$ai_generation", "math": "sum", "math_property": "$ai_total_cost_usd"}
CALLS = {"event": "$ai_generation"}
CALL = {"id": "$ai_generation", "type": "events"}
NODES: dict[str, dict[str, Any]] = {
    "count by day": {"kind": "TrendsQuery", "series": [CALLS], **LAST_MONTH},
    "cost by day and task, compared": {
        "kind": "TrendsQuery",
        "series": [COST],
        "breakdownFilter": {"breakdown": "task_type"},
        "compareFilter": {"compare": True},
        **LAST_MONTH,
    },
    "p95 latency, cost per call": {
        "kind": "TrendsQuery",
        "series": [{**CALLS, "math": "p95", "math_property": "$ai_latency"}, COST, CALLS],
        "trendsFilter": {"formulas": ["A", "B / C"]},
        **LAST_MONTH,
    },
    "weekly active": {
        "kind": "TrendsQuery",
        "series": [{"event": None, "math": "weekly_active"}],
        **LAST_MONTH,
    },
    "stickiness": {"kind": "StickinessQuery", "series": [CALLS], **LAST_MONTH},
    "lifecycle": {"kind": "LifecycleQuery", "series": [CALLS], **LAST_MONTH},
    "funnel of rounds": {
        "kind": "FunnelsQuery",
        "series": FUNNEL,
        "funnelsFilter": {"funnelAggregateByHogQL": "properties.round_id"},
        **LAST_MONTH,
    },
    "funnel of agents": {"kind": "FunnelsQuery", "series": FUNNEL, **LAST_MONTH},
    "funnel of agents, strict, by day": {
        "kind": "FunnelsQuery",
        "series": FUNNEL,
        "funnelsFilter": {
            "funnelOrderType": "strict",
            "funnelVizType": "trends",
            "funnelWindowInterval": 1,
            "funnelWindowIntervalUnit": "hour",
        },
        **LAST_MONTH,
    },
    "retention by day": {
        "kind": "RetentionQuery",
        "retentionFilter": {"targetEntity": CALL, "returningEntity": CALL},
        **LAST_MONTH,
    },
    "retention, first time, by week": {
        "kind": "RetentionQuery",
        "retentionFilter": {
            "targetEntity": CALL,
            "returningEntity": {"id": "round_scored", "type": "events"},
            "retentionType": "retention_first_time",
            "period": "Week",
        },
        **LAST_MONTH,
    },
    "actors of a day": {
        "kind": "ActorsQuery",
        "source": {
            "kind": "InsightActorsQuery",
            "day": f"{datetime.now(UTC) - timedelta(days=3):%Y-%m-%d}",
            "source": {"kind": "TrendsQuery", "series": [CALLS], **LAST_MONTH},
        },
    },
    "actors dropped from a funnel": {
        "kind": "ActorsQuery",
        "source": {
            "kind": "FunnelsActorsQuery",
            "funnelStep": -2,
            "source": {"kind": "FunnelsQuery", "series": FUNNEL, **LAST_MONTH},
        },
    },
    "traces": {"kind": "TracesQuery", "limit": 20, **LAST_MONTH},
    "paths": {
        "kind": "PathsQuery",
        "pathsFilter": {"includeEventTypes": ["custom_event"]},
        **LAST_MONTH,
    },
    "paths from a point": {
        "kind": "PathsQuery",
        "pathsFilter": {"includeEventTypes": ["custom_event"], "startPoint": "step.plan"},
        **LAST_MONTH,
    },
    "newest 100 events": {"kind": "EventsQuery", "select": ["*"], "event": "round_scored"},
}


def main() -> None:
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    found = {}
    with tempfile.TemporaryDirectory(prefix="nightpane-bench-") as folder:
        data_dir = Path(folder) / "data"
        hogql.warm_up()  # as the server does when it starts
        fill(data_dir, events)
        with Store.open(data_dir, limits=Limits()) as store:
            for name, node in NODES.items():

                def ask(node: dict[str, Any] = node) -> Any:
                    context = insights.Context(now=datetime.now(UTC))
                    return insights.answer(node, context, lambda q, v: run_hogql(store, q, v))

                first_ms, _ = timed(ask)
                next_ms = statistics.median(timed(ask)[0] for _ in range(REPEATS))
                found[name] = {"first_ms": round(first_ms), "next_ms": round(next_ms)}
    print(json.dumps({"bench": "insights", "events": events, "repeats": REPEATS, **found}))


if __name__ == "__main__":
    main()
