"""Times every board on a store of many events of every kind; prints one JSON line.

    python bench/boards.py [--events 1000000] [--data-dir DIR]

``cold_ms`` is the first time a board is asked in this process, over 30 days: with the text's parse
on a new folder, without it on one used before, as after a server's restart. ``warm_ms`` is the best
of three after that. One board after the other, inside one process, without HTTP. A data folder that
holds a store is used as it is.
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

from nightpane import hogql
from nightpane.boards import BOARDS, HogQL, Scope
from nightpane.ids import deterministic_ulid, deterministic_uuid
from nightpane.server.query import InProcessQuery
from nightpane.store import Store
from nightpane.store.events import StoredEvent

NEWEST = datetime(2026, 6, 1, 6, tzinfo=UTC)
DAYS = 90
PER_ROUND = 18
_PROJECTS = ("autoresearch", "autoagent", "gtm-autoresearch")
_MODELS = ("haiku-4-5", "sonnet-4-5", "opus-4-5")
_TASKS = ("ar.propose", "aa.refine", "gtm.rewrite", "gtm.score")
_DIMS = ("clarity", "coverage", "naming", "safety")


def events(count: int) -> Iterator[StoredEvent]:
    """Give rounds of some 18 events over 90 days and three projects."""
    draw = random.Random(1)
    rounds = count // PER_ROUND
    for number in range(rounds):
        at = NEWEST - timedelta(days=DAYS) * (1 - number / rounds)
        project = _PROJECTS[number % 3]
        round_id = deterministic_ulid(int(at.timestamp() * 1000), str(number))
        envelope = {"project": project, "client": "internal", "round_id": round_id}
        envelope |= {"run_id": f"run-{project}-{at:%Y-%m-%d}", "agent": "coder"}
        for place, (name, told) in enumerate(_round(draw, round_id)):
            yield StoredEvent(
                uuid=deterministic_uuid(str(number), str(place)),
                event=name,
                distinct_id=f"{project}:internal:coder",
                timestamp=at + timedelta(seconds=place),
                properties={**envelope, **told},
            )


def _round(draw: random.Random, round_id: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "round_started", {}
    yield "proposal_generated", {}
    yield "proposal_applied", {}
    for place in range(6):
        cost_usd = draw.random() / 100
        model = draw.choice(_MODELS)
        yield (
            "$ai_generation",
            {
                "$ai_trace_id": round_id,
                "$ai_span_id": f"{round_id}-{place}",
                "$ai_model": model,
                "$ai_input": "text " * 100,
                "$ai_total_cost_usd": cost_usd,
                "$ai_input_tokens": draw.randrange(200, 4000),
                "$ai_output_tokens": draw.randrange(20, 900),
                "$ai_latency": draw.random() * 9,
                "phase": draw.choice(("proposal", "critique", "score", "refine")),
            },
        )
        if place < 2:
            routed = {"model_used": model, "task_type": draw.choice(_TASKS), "cost_usd": cost_usd}
            routed |= {"$ai_span_id": f"{round_id}-{place}", "quality_score": draw.random()}
            yield "token_machine.request", routed
    for _ in range(4):
        ok = draw.random() > 0.1
        yield "step.tool_returned", {"tool": draw.choice(("run", "read", "edit")), "ok": ok}
    yield "eval.regression", {"case_id": "c", "dim": draw.choice(_DIMS), "delta": -0.1}
    rare = draw.random()
    if rare < 0.05:
        yield "token_machine.anomaly", {"type": "wrong_model", "task_type": draw.choice(_TASKS)}
    elif rare < 0.1:
        yield "model_escalated", {"from_model": _MODELS[0], "to_model": draw.choice(_MODELS[1:])}
    elif rare < 0.15:
        yield "stop_triggered", {"reason": draw.choice(("plateau", "budget", "max_rounds"))}
    dims = {f"dim_{name}": draw.random() for name in _DIMS}
    scored = {"score": draw.random(), "metric": "m", "direction": "max", **dims}
    yield "round_scored", scored
    if draw.random() < 0.2:
        yield "round_kept", {}
    else:
        yield "round_reverted", {"failure_mode": "score_missed"}


def fill(store: Store, count: int) -> None:
    """Insert the events in thousands."""
    batch: list[StoredEvent] = []
    for entry in events(count):
        batch.append(entry)
        if len(batch) == 5000:
            store.insert(batch)
            batch = []
    store.insert(batch)


def main() -> None:
    """Print the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--data-dir", type=Path, default=None)
    given = parser.parse_args()
    folder = given.data_dir or Path(tempfile.mkdtemp())
    is_new = not any(folder.glob("*"))
    hogql.keep_trees(folder / "trees")
    with Store.open(folder) as store:
        if is_new:
            fill(store, given.events)
        query = InProcessQuery(store)
        stored = query.hogql("select count() from events").rows[0][0]
        scope = Scope(start=NEWEST - timedelta(days=30), end=NEWEST, timezone="UTC")
        times: dict[str, Any] = {}
        for board in BOARDS.values():
            question = board.hogql(scope)
            cold = _time_ms(query, question)
            warm = min(_time_ms(query, question) for _ in range(3))
            times[board.slug] = {"cold_ms": cold, "warm_ms": warm}
        totals = {
            name: sum(entry[name] for entry in times.values()) for name in ("cold_ms", "warm_ms")
        }
        print(json.dumps({"bench": "boards", "events": stored, **totals, "boards": times}))


def _time_ms(query: InProcessQuery, question: HogQL) -> int:
    started = time.perf_counter()
    query.hogql(question.query, question.values)
    return round((time.perf_counter() - started) * 1000)


if __name__ == "__main__":
    main()
