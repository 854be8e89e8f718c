"""Events per second until queryable over HTTP, against raw chDB inserting the same rows.

Both write the same generations of some 2.5 KB into the same schema, in the same run: the raw side
in INSERTs of ready-made rows with the table's own fsync, the HTTP side as JSON bodies of as many
events from concurrent clients, timed until the query API counts them all. nightpane's own sender
puts 500 events into a request. Prints one JSON line.

    python bench/ingest.py [--events 20000] [--batch 500] [--clients 4]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import sys
import tempfile
import time
import uuid
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from nightpane.ids import deterministic_ulid
from nightpane.testing import LocalServer


def generation(rng: random.Random, words: list[str], number: int) -> dict[str, Any]:
    """Return the properties of one model call, about 2.5 KB of JSON."""

    def text(chars: int) -> str:
        return " ".join(rng.choice(words) for _ in range(chars // 9))

    round_id = deterministic_ulid(1_795_000_000_000 + number // 6, "round")
    return {
        "project": rng.choice(["autoresearch", "autoagent", "gtm-autoresearch"]),
        "client": "internal",
        "run_id": deterministic_ulid(1_795_000_000_000 + number // 500, "run"),
        "round_id": round_id,
        "agent": rng.choice(["planner", "coder", "critic"]),
        "git_sha": "abc1234",
        "ts": time.time(),
        "$ai_trace_id": round_id,
        "$ai_model": rng.choice(["claude", "gpt", "gemini"]),
        "$ai_provider": "openai",
        "$ai_span_name": rng.choice(["plan", "code", "critic"]),
        "$ai_input_tokens": rng.randint(1, 5000),
        "$ai_output_tokens": rng.randint(1, 500),
        "$ai_total_cost_usd": rng.random(),
        "$ai_latency": rng.random() * 5,
        "$ai_http_status": 200,
        "$ai_is_error": False,
        "$lib": "posthog-python",
        "$lib_version": "7.91.1",
        "$os": "Linux",
        "temperature_c": rng.randint(1, 99),
        "$ai_input": [{"role": "user", "content": text(1250)}],
        "$ai_output_choices": [{"role": "assistant", "content": text(500)}],
    }


def make_events(count: int) -> list[dict[str, Any]]:
    """Return events as a client sends them."""
    rng = random.Random(1)
    words = [f"{rng.getrandbits(32):08x}" for _ in range(2000)]
    now = time.time()
    return [
        {
            "event": "$ai_generation" if number % 6 else "round_scored",
            "uuid": str(uuid.uuid4()),
            "distinct_id": "autoresearch:internal:coder",
            "timestamp": datetime.fromtimestamp(now - rng.random() * 2_000_000, UTC).isoformat(),
            "properties": generation(rng, words, number),
        }
        for number in range(count)
    ]


def raw(count: int, batch: int, results: multiprocessing.Queue[float]) -> None:
    """Insert ready-made rows straight into chDB; put the events per second."""
    from nightpane.store import Store, StoredEvent
    from nightpane.store.events import person_uuid, to_row
    from nightpane.store.writer import INSERT_SETTINGS

    rows = [
        to_row(
            StoredEvent(
                uuid=event["uuid"],
                event=event["event"],
                distinct_id=event["distinct_id"],
                timestamp=datetime.fromisoformat(event["timestamp"]),
                properties=event["properties"],
            ),
            person_uuid(event["distinct_id"]),
        ).line
        for event in make_events(count)
    ]
    chunks = [b"\n".join(rows[at : at + batch]) for at in range(0, count, batch)]
    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder)) as store:
        connection = store._engine.connect()
        start = time.perf_counter()
        for chunk in chunks:
            connection.insert("nightpane.events", chunk, INSERT_SETTINGS)
        results.put(count / (time.perf_counter() - start))
        connection.close()


def client(host: str, bodies: list[bytes], go: Any) -> None:
    """Post ready-made bodies one after the other over one connection."""
    connection = HTTPConnection(host.removeprefix("http://"))
    go.wait()
    for body in bodies:
        connection.request("POST", "/batch/", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            sys.exit(f"the server answered {answer.status}: {text!r}")


def over_http(count: int, batch: int, clients: int) -> tuple[float, float]:
    """Return events per second until queryable, and until acknowledged."""
    with tempfile.TemporaryDirectory() as folder, LocalServer(Path(folder)) as server:
        events = make_events(count)
        bodies = [
            json.dumps({"api_key": server.api_key, "batch": events[at : at + batch]}).encode()
            for at in range(0, count, batch)
        ]
        go = multiprocessing.Event()
        workers = [
            multiprocessing.Process(target=client, args=(server.host, bodies[n::clients], go))
            for n in range(clients)
        ]
        for worker in workers:
            worker.start()
        query = server.query()
        query.hogql("select count() from events")  # parsed and cached, as in any running server
        time.sleep(0.5)
        start = time.perf_counter()
        go.set()
        for worker in workers:
            worker.join()
        acknowledged = time.perf_counter() - start
        while query.hogql("select count() from events").rows[0][0] < count:
            time.sleep(0.005)
        return count / (time.perf_counter() - start), count / acknowledged


def main() -> None:
    """Run both sides and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--batch", type=int, default=500)
    parser.add_argument("--clients", type=int, default=4)
    given = parser.parse_args()
    results: multiprocessing.Queue[float] = multiprocessing.Queue()
    process = multiprocessing.Process(target=raw, args=(given.events, given.batch, results))
    process.start()
    raw_per_s = results.get()
    process.join()
    http_per_s, acknowledged_per_s = over_http(given.events, given.batch, given.clients)
    sample = make_events(100)
    print(
        json.dumps(
            {
                "bench": "ingest",
                "events": given.events,
                "batch": given.batch,
                "clients": given.clients,
                "event_bytes": len(json.dumps(sample)) // len(sample),
                "raw_chdb_events_per_s": round(raw_per_s),
                "http_queryable_events_per_s": round(http_per_s),
                "http_acknowledged_events_per_s": round(acknowledged_per_s),
                "ratio": round(http_per_s / raw_per_s, 3),
            }
        )
    )


if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    main()
