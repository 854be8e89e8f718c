"""The whole optimizer report on many generations: seconds, memory, queries.

    python bench/optimizer.py [GENERATIONS] [--keep DIR]

Makes a store of GENERATIONS model calls (1,000,000 when not given; some 2 KB each, 12 operations
in traces of one to nine calls over 30 days) inside ClickHouse, serves it from a process of its own
and runs the report in another. Prints one JSON line. ``peak_mb`` is the optimizer's process.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from nightpane.store import Store
from nightpane.store.engine import Engine
from nightpane.store.migrations import migrate
from nightpane.testing import LocalServer

BLOCK = 100_000
# Call number n belongs to trace n/4 (rounded down); an operation has a model and a usual size.
FILL = """
INSERT INTO nightpane.events
  (uuid, event, timestamp, created_at, distinct_id, person_id, properties,
   `mat_$ai_trace_id`, `mat_$ai_span_name`, `mat_$ai_model`, `mat_$ai_provider`,
   `mat_$ai_input_tokens`, `mat_$ai_output_tokens`, `mat_$ai_total_cost_usd`, `mat_$ai_latency`,
   `mat_$ai_http_status`, `mat_$ai_is_error`, `mat_project`, props)
WITH
  cityHash64(number) AS h,
  intDiv(number, 4) AS trace_,
  cityHash64(trace_, 7) AS th,
  th % 12 AS k,
  ['plan', 'draft', 'critique', 'classify', 'extract', 'search', 'rank', 'rewrite', 'summarise',
   'judge', 'route', 'agent'][k + 1] AS op_,
  ['gpt-4o', 'claude-sonnet-4-5', 'gpt-4o-mini'][k % 3 + 1] AS model_,
  ['openai', 'anthropic', 'openai'][k % 3 + 1] AS provider_,
  [2.5, 3.0, 0.15][k % 3 + 1] / 1e6 AS in_price,
  [10.0, 15.0, 0.6][k % 3 + 1] / 1e6 AS out_price,
  toUInt32(200 + h % 500 + if(k = 11, (number % 4) * 900, 0)) AS in_,
  toUInt32(20 + cityHash64(number, 3) % 300) AS out_,
  h % 97 = 0 AS failed,
  in_ * in_price + out_ * out_price AS cost_,
  toIntervalMillisecond(60000 + intDiv(({total} - number) * 2591000000, {total})) AS ago_,
  now64(6, 'UTC') - ago_ AS at_,
  concat('t-', hex(th)) AS trace_id,
  concat('[{{"role":"system","content":"You do ', op_, '."}},{{"role":"user","content":"',
    if(k = 4, repeat(hex(cityHash64(h % 50)), 90), repeat(hex(h), 90)), '"}}]') AS input_,
  concat('[{{"role":"assistant","content":"', repeat(hex(cityHash64(h, 5)), 20), '"}}]') AS output_,
  round(0.4 + out_ / 90, 3) AS latency_
SELECT
  generateUUIDv4(number), '$ai_generation', at_, at_, 'bench:internal:agent',
  toUUID('00000000-0000-0000-0000-000000000001'),
  concat('{{"$ai_trace_id":"', trace_id, '","$ai_span_name":"', op_, '","$ai_model":"', model_,
    '","$ai_provider":"', provider_, '","$ai_input_tokens":', toString(in_),
    ',"$ai_output_tokens":', toString(out_), ',"$ai_total_cost_usd":', toString(cost_),
    ',"$ai_latency":', toString(latency_), ',"$ai_stop_reason":"stop","$ai_input":', input_,
    ',"$ai_output_choices":', output_, '}}'),
  trace_id, op_, model_, provider_, in_, out_, cost_, latency_, if(failed, 500, 200),
  failed, 'bench',
  '{{"$ai_stop_reason":"stop","$lib":"posthog-python"}}'
FROM numbers({start}, {count})
"""


def fill(data_dir: Path, generations: int) -> None:
    Store.open(data_dir).close()  # its keys and definitions
    engine = Engine(data_dir / "chdb")
    connection = engine.connect()
    migrate(connection)
    for start in range(0, generations, BLOCK):
        count = min(BLOCK, generations - start)
        connection.ask(FILL.format(start=start, count=count, total=generations), "Null")
    connection.close()
    engine.close()


def measure(folder: Path, generations: int) -> dict[str, Any]:
    with LocalServer(folder) as server:
        results = folder / f"results-{time.time_ns()}"
        command = [sys.executable, "-m", "nightpane", "optimize", "--results-dir", str(results)]
        command += ["--no-live-prices", "--json"]
        out, err = folder / "out.json", folder / "err.txt"
        with out.open("wb") as to, err.open("wb") as errors:
            started = time.perf_counter()
            process = subprocess.Popen(command, env=server.environ, stdout=to, stderr=errors)
            # wait4 tells of this process alone; the children's maximum would be the server's.
            _, status, used = os.wait4(process.pid, 0)
            took_s = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        raise SystemExit(err.read_text("utf-8"))
    return {
        "bench": "optimizer",
        "generations": generations,
        "seconds": round(took_s, 2),
        "peak_mb": round(used.ru_maxrss / 1024),
        "queries": json.loads(out.read_bytes())["queries"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("generations", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--keep", type=Path, help="a folder to fill once and use again")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nightpane-bench-") as temporary:
        folder = asked.keep or Path(temporary) / "data"
        if not folder.exists():
            # In a process of its own: what that one used would count for its children too.
            maker = multiprocessing.get_context("spawn").Process(
                target=fill, args=(folder, asked.generations)
            )
            maker.start()
            maker.join()
        print(json.dumps(measure(folder, asked.generations)))


if __name__ == "__main__":
    main()
