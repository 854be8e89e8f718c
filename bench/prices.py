"""What pricing adds to ingest: CPU time for an event, for loading the table, for a new name.

Prices the model calls of the ingest benchmark in this process; no server. Prints one JSON line.

    python bench/prices.py [--events 5000]
"""

from __future__ import annotations

import argparse
import json
import time
import tracemalloc
from typing import Any

from ingest import make_events
from nightpane import prices
from nightpane.prices.load import _shipped as shipped
from nightpane.server.ai_properties import prepare


def us_per_event(events: list[dict[str, Any]], table: prices.Table, model: str | None) -> float:
    """Return the microseconds of CPU that the additions take, the best of five passes."""
    best = float("inf")
    for _ in range(5):
        copies = [(one["event"], dict(one["properties"])) for one in events]
        for _, properties in copies:
            if model is not None:
                properties["$ai_model"] = model
                del properties["$ai_total_cost_usd"]
        start = time.process_time()
        for name, properties in copies:
            prepare(name, properties, "someone", table)
        best = min(best, time.process_time() - start)
    return best / len(events) * 1e6


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=5_000)
    given = parser.parse_args()
    start = time.perf_counter()
    table = prices.load()
    load_ms = (time.perf_counter() - start) * 1e3
    start = time.perf_counter()
    table.find("gpt-4o-2031-01-01", "openai")
    first_ms = (time.perf_counter() - start) * 1e3
    start = time.perf_counter()
    for number in range(100):
        table.find(f"unheard-of-{number}", "openai")
    new_name_ms = (time.perf_counter() - start) * 1e3 / 100
    tracemalloc.start()
    own = prices.Table(json.loads(json.dumps(shipped())))
    own.find("gpt-4o-2031-01-01")
    memory_mb = tracemalloc.get_traced_memory()[0] / 1e6
    tracemalloc.stop()
    events = make_events(given.events)
    calls = [one for one in events if one["event"] == "$ai_generation"]
    others = [one for one in events if one["event"] != "$ai_generation"]
    figures = {
        "bench": "prices",
        "table_load_ms": load_ms,
        "first_name_ms": first_ms,
        "unknown_name_ms": new_name_ms,
        "table_memory_mb": memory_mb,
        "generation_us": us_per_event(calls, table, "claude-sonnet-4-5"),
        "unpriced_generation_us": us_per_event(calls, table, "unheard-of"),
        "other_event_us": us_per_event(others, table, None),
    }
    print(
        json.dumps(
            {name: round(v, 2) if isinstance(v, float) else v for name, v in figures.items()}
        )
    )


if __name__ == "__main__":
    main()
