"""Two board queries through the HTTP query API against hand-written ClickHouse SQL, on one store.

    python bench/query.py [EVENTS]

Makes a store of EVENTS events (3,000,000 when not given) inside ClickHouse, serves it on a loopback
port from this process, and asks in turn, HTTP and SQL alternating. Prints one JSON line: medians in
milliseconds and their ratio. The query condition cache is off, so that repeating a query is honest.
``parse_ms`` is what the very first compilation of each query cost, ``compile_ms`` the later ones.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn

from nightpane import hogql
from nightpane.server.app import create_app
from nightpane.server.hogql_run import compile_for
from nightpane.server.keys import Keys, load_or_create
from nightpane.store import ReadLimits, Store
from nightpane.store.engine import Engine
from nightpane.store.migrations import migrate

REPEATS = 15
BLOCK = 500_000
# One in ten events is a scored round, four in ten are model calls, the rest the steps around them.
FILL = """
INSERT INTO nightpane.events
  (uuid, event, timestamp, created_at, distinct_id, person_id, properties, `mat_project`,
   `mat_client`, `mat_agent`, `mat_run_id`, `mat_round_id`, `mat_score`, `mat_cost_usd`,
   `mat_task_type`, `mat_phase`, `mat_$ai_model`, `mat_$ai_latency`, `mat_$ai_input_tokens`,
   `mat_$ai_output_tokens`, `mat_$ai_total_cost_usd`, `mat_$ai_is_error`, `mat_$ai_trace_id`, props)
WITH
  number % 10 AS k,
  k = 0 AS scored,
  k BETWEEN 1 AND 4 AS call,
  cityHash64(number) AS h,
  ['autoagent', 'autoresearch', 'gtm-autoresearch'][h % 3 + 1] AS project_,
  ['ar.propose', 'ar.critique', 'aa.refine', 'gtm.rewrite', 'gtm.score'][h % 5 + 1] AS task_,
  now64(6, 'UTC') - toIntervalSecond(intDiv(number * 7776000, {total})) AS at_,
  leftPad(toString(intDiv(number, 20)), 26, '0') AS round_
SELECT
  generateUUIDv4(number),
  ['round_scored', '$ai_generation', 'step.plan'][if(scored, 1, if(call, 2, 3))],
  at_, at_, concat(project_, ':internal:coder'), toUUID('00000000-0000-0000-0000-000000000001'),
  concat('{{"project":"', project_, '","text":"', hex(h), '"}}'), project_, 'internal', 'coder',
  leftPad(toString(intDiv(number, 4000)), 26, '0'), round_,
  if(scored, (h % 100000) / 100000, NULL), if(call, (h % 997) / 10000, NULL),
  if(call, task_, NULL), if(call, 'proposal', NULL), if(call, 'model-a', NULL),
  if(call, (h % 9000) / 1000, NULL), if(call, h % 8000, NULL), if(call, h % 900, NULL),
  if(call, (h % 997) / 10000, NULL), if(call, h % 50 = 0, NULL), round_,
  concat('{{"dim_a":"', toString((h % 100) / 100), '","$lib":"posthog-python"}}')
FROM numbers({start}, {count})
"""
QUERIES: dict[str, tuple[str, str]] = {
    "score_trend": (
        """SELECT toDate(timestamp) AS day, properties.project AS project,
  max(toFloat(properties.score)) AS best_score, count() AS n_rounds
FROM events
WHERE event = 'round_scored' AND timestamp > now() - INTERVAL 30 DAY
GROUP BY day, project ORDER BY day DESC""",
        """SELECT toDate(timestamp) AS day, mat_project AS project,
  max(mat_score) AS best_score, count() AS n_rounds
FROM nightpane.events
WHERE event = 'round_scored' AND timestamp > now64(6, 'UTC') - INTERVAL 30 DAY
GROUP BY day, project ORDER BY day DESC LIMIT 101""",
    ),
    "per_operation": (
        """SELECT properties.task_type AS operation, properties.$ai_model AS model,
  count() AS calls,
  countIf(properties.$ai_is_error) AS errors, sum(properties.$ai_total_cost_usd) AS cost_usd,
  sum(properties.$ai_input_tokens) AS tokens, quantileExact(0.95)(properties.$ai_latency) AS p95_s
FROM events WHERE event = '$ai_generation' AND properties.task_type != 'none'
GROUP BY operation, model ORDER BY calls DESC""",
        """SELECT mat_task_type AS operation, `mat_$ai_model` AS model, count() AS calls,
  countIf(`mat_$ai_is_error`) AS errors, sum(`mat_$ai_total_cost_usd`) AS cost_usd,
  sum(`mat_$ai_input_tokens`) AS tokens, quantileExact(0.95)(`mat_$ai_latency`) AS p95_s
FROM nightpane.events
WHERE event = '$ai_generation' AND (mat_task_type != 'none' OR mat_task_type IS NULL)
GROUP BY operation, model ORDER BY calls DESC LIMIT 101""",
    ),
    "cold_property": (
        """SELECT properties.dim_a AS a, count() AS n FROM events
WHERE event = 'round_scored' GROUP BY a ORDER BY n DESC, a LIMIT 20""",
        """SELECT props.dim_a.:String AS a, count() AS n FROM nightpane.events
WHERE event = 'round_scored' GROUP BY a ORDER BY n DESC, a LIMIT 21""",
    ),
    "one_round": (
        """SELECT event, timestamp, properties.$ai_latency FROM events
WHERE properties.round_id = '00000000000000000000001234' ORDER BY timestamp""",
        """SELECT event, timestamp, `mat_$ai_latency` FROM nightpane.events
WHERE mat_round_id = '00000000000000000000001234' ORDER BY timestamp LIMIT 101""",
    ),
}


class Limits(ReadLimits):
    """The server's limits, without the cache that makes a repeated scan look fast."""

    def settings(self) -> dict[str, str | int]:
        return {"use_query_condition_cache": 0, **ReadLimits.settings(self)}


def fill(data_dir: Path, events: int) -> None:
    data_dir.mkdir(parents=True)
    engine = Engine(data_dir / "chdb")
    connection = engine.connect()
    migrate(connection)
    for start in range(0, events, BLOCK):
        count = min(BLOCK, events - start)
        connection.ask(FILL.format(start=start, count=count, total=events), "Null")
    connection.close()
    engine.close()


def serve(store: Store, keys: Keys) -> tuple[uvicorn.Server, str]:
    config = uvicorn.Config(create_app(store, keys), port=0, log_level="error")
    server = uvicorn.Server(config)
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    return server, f"http://127.0.0.1:{port}/api/projects/@current/query/"


def post(url: str, key: str, query: str) -> list[Any]:
    body = json.dumps({"query": {"kind": "HogQLQuery", "query": query}}).encode()
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, body, headers)) as answer:
        return json.load(answer)["results"]


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    result = work()
    return (time.perf_counter() - started) * 1e3, result


def measure(store: Store, url: str, key: str, query: str, sql: str) -> dict[str, Any]:
    parse_ms, _ = timed(lambda: compile_for(store, query))
    compile_ms = statistics.median(timed(lambda: compile_for(store, query))[0] for _ in range(9))
    http_ms, sql_ms = [], []
    for _ in range(REPEATS):
        took, rows = timed(lambda: post(url, key, query))
        http_ms.append(took)
        took, plain = timed(lambda: store.read(sql))
        sql_ms.append(took)
        assert len(rows) == min(len(plain.rows), 100) or len(rows) == len(plain.rows) - 1
    http, hand = statistics.median(http_ms), statistics.median(sql_ms)
    return {
        "http_ms": round(http, 1),
        "sql_ms": round(hand, 1),
        "ratio": round(http / hand, 2),
        "parse_ms": round(parse_ms, 1),
        "compile_ms": round(compile_ms, 2),
        "rows": len(rows),
    }


def main() -> None:
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 3_000_000
    with tempfile.TemporaryDirectory(prefix="nightpane-bench-") as folder:
        data_dir = Path(folder) / "data"
        hogql.warm_up()  # as the server does when it starts
        fill(data_dir, events)
        with Store.open(data_dir, limits=Limits()) as store:
            keys = load_or_create(data_dir)
            server, url = serve(store, keys)
            key = keys.personal_api_key
            found = {name: measure(store, url, key, *pair) for name, pair in QUERIES.items()}
            server.should_exit = True
    print(json.dumps({"bench": "query", "events": events, "repeats": REPEATS, **found}))


if __name__ == "__main__":
    main()
