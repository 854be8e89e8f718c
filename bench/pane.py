"""Times what the page and the morning ask on a store of many events; prints one JSON line.

    python bench/pane.py [--events 1000000] [--data-dir DIR]

The times are of the query alone, warm (the second of two), inside one process; ``parse_ms`` is what
the grammar took the first time it met the text. A data folder that holds a store is used as it is.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from nightpane.boards import BOARDS, LISTS, ROUNDS, HogQL, Scope
from nightpane.digest import evidence, night_of, queries
from nightpane.ids import deterministic_ulid, deterministic_uuid
from nightpane.server.query import InProcessQuery
from nightpane.store import Store
from nightpane.store.events import StoredEvent

NEWEST = datetime(2026, 6, 1, 6, tzinfo=UTC)
PER_ROUND = 16
DAYS = 90
_STAGES = ("round_started", "proposal_generated", "proposal_applied", "round_scored")


def events(count: int) -> Iterator[StoredEvent]:
    """Give rounds of 16 events, model calls among them, over 90 days and three projects."""
    rng = random.Random(1)
    rounds = count // PER_ROUND
    for i in range(rounds):
        at = NEWEST - timedelta(days=DAYS) * (1 - i / rounds)
        project = ("autoresearch", "autoagent", "gtm-autoresearch")[i % 3]
        round_id = deterministic_ulid(int(at.timestamp() * 1000), str(i))
        envelope = {"project": project, "client": "internal", "round_id": round_id}
        envelope |= {"run_id": f"run-{project}-{at:%Y-%m-%d}", "agent": "coder"}
        call = {"$ai_trace_id": round_id, "$ai_model": "m", "$ai_input": "text " * 100}
        call |= {"$ai_total_cost_usd": rng.random() / 100, "$ai_input_tokens": 900}
        end = "round_kept" if rng.random() < 0.2 else "round_reverted"
        names = [*_STAGES, *["$ai_generation"] * (PER_ROUND - len(_STAGES) - 1), end]
        for j, name in enumerate(names):
            told: dict[str, Any] = {}
            if name == "round_scored":
                told = {"score": rng.random(), "metric": "m", "direction": "max"}
            if name == "round_reverted":
                told = {"failure_mode": "score_missed"}
            yield StoredEvent(
                uuid=deterministic_uuid(str(i), str(j)),
                event=name,
                distinct_id=f"{project}:internal:coder",
                timestamp=at + timedelta(seconds=j),
                properties={**envelope, **told, **(call if name == "$ai_generation" else {})},
            )


def fill(store: Store, count: int) -> None:
    """Insert the events in thousands."""
    batch: list[StoredEvent] = []
    for entry in events(count):
        batch.append(entry)
        if len(batch) == 5000:
            store.insert(batch)
            batch = []
    store.insert(batch)


def questions() -> dict[str, HogQL]:
    """Return what the page, its digest and the morning ask of a night and of 30 days."""
    night, scope = night_of(NEWEST, UTC), Scope()
    wide = Scope(start=night.end - timedelta(days=30), end=night.end, timezone="UTC")
    narrow = Scope(start=night.start, end=night.end)
    found = {
        "digest latest": queries.latest(scope, NEWEST),
        "digest loops": queries.loops(scope, night),
        "digest words": queries.words(scope, night),
        "digest series": queries.series(scope, night),
        **{f"morning {name}": asked for name, asked in evidence.questions(scope, night).items()},
    }
    for board in (*BOARDS.values(), *LISTS.values()):
        found[board.name] = board.hogql(narrow if board is ROUNDS else wide)
    return found


def main() -> None:
    """Print the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--data-dir", type=Path, default=None)
    given = parser.parse_args()
    folder = given.data_dir or Path(tempfile.mkdtemp())
    is_new = not (folder / "keys.json").exists() and not any(folder.glob("*"))
    with Store.open(folder) as store:
        if is_new:
            fill(store, given.events)
        query = InProcessQuery(store)
        stored = query.hogql("select count() from events").rows[0][0]
        times: dict[str, Any] = {}
        for name, question in questions().items():
            first = _time_ms(query, question)
            warm = _time_ms(query, question)
            times[name] = {"ms": warm, "parse_ms": max(0, first - warm)}
        total = sum(entry["ms"] for entry in times.values())
        print(json.dumps({"bench": "pane", "events": stored, "total_ms": total, "queries": times}))


def _time_ms(query: InProcessQuery, question: HogQL) -> int:
    started = time.perf_counter()
    query.hogql(question.query, question.values)
    return round((time.perf_counter() - started) * 1000)


if __name__ == "__main__":
    main()
