"""Cost of ``track()`` on the caller's thread against the plain SDK's ``capture()``; events lost.

    python bench/track.py

Prints one JSON line. Both send to a server on this machine that takes everything; calls of the two
alternate in blocks, so that both meet the same machine. ``dropped_*`` counts events of a tight loop
of 20,000 that were not taken; ``survived_kill_*`` how many of 1,000 a server has got after the
process was ended by SIGKILL and another one was started (for nightpane) as the last call returned.
"""

from __future__ import annotations

import gzip
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

CALLS = 5_000
BLOCK = 50
TIGHT = 20_000
KILLED = 1_000

PROPERTIES = {
    **{f"text_{at}": "some sixty characters of text, for the size of an event" for at in range(33)},
    **{f"number_{at}": at * 1.25 for at in range(10)},
    "score": 0.75,
    "metric": "val_loss",
}  # fmt: skip
KEY = "phc_bench"


class Taker(BaseHTTPRequestHandler):
    """Takes every batch and remembers the events' uuids."""

    protocol_version = "HTTP/1.1"
    uuids: ClassVar[set[str]] = set()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if body[:2] == b"\x1f\x8b":
            body = gzip.decompress(body)
        self.uuids.update(event["uuid"] for event in json.loads(body)["batch"])
        self.send_response(200)
        self.send_header("Content-Length", "15")
        self.end_headers()
        self.wfile.write(b'{"status":"Ok"}')

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def serve() -> None:
    """Run the server in a process of its own; the parent asks for counts by GET."""

    class WithCount(Taker):
        def do_GET(self) -> None:
            body = str(len(self.uuids)).encode()
            self.uuids.clear()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), WithCount)
    print(server.server_address[1], flush=True)
    server.serve_forever()


def make(kind: str, host: str) -> tuple[Callable[[], object], Callable[[], object]]:
    """Return a call that tracks one event, and one that waits for delivery."""
    if kind == "plain":
        import posthog

        client = posthog.Posthog(KEY, host=host)
        return lambda: client.capture(
            "round_kept", distinct_id="bench:internal:coder", properties=PROPERTIES
        ), client.flush
    import nightpane
    from nightpane.ids import new_ulid

    pane = nightpane.Pane("bench", api_key=KEY, host=host)
    round_id = new_ulid()
    return lambda: pane.track(
        "round_kept", agent="coder", round_id=round_id, **PROPERTIES
    ), pane.flush


def child(kind: str, host: str) -> None:
    """Track, say so, and wait to be killed."""
    call, _ = make(kind, host)
    for _ in range(KILLED):
        call()
    print("done", flush=True)
    threading.Event().wait()


def killed(kind: str, host: str) -> int:
    """Return how many of 1,000 events the server has after a SIGKILL."""
    ask(host)
    process = subprocess.Popen(
        [sys.executable, __file__, "child", kind, host], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    if kind == "nightpane":
        command = [sys.executable, "-m", "nightpane", "spool", "flush", "--json"]
        subprocess.run(command, capture_output=True)
    return ask(host)


def ask(host: str) -> int:
    """Return how many events the server has taken, and let it forget them."""
    import requests

    return int(requests.get(host, timeout=30).text)


def main() -> None:
    """Measure and print."""
    server = subprocess.Popen(
        [sys.executable, __file__, "serve"], stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    host = f"http://127.0.0.1:{server.stdout.readline().strip()}"
    with tempfile.TemporaryDirectory() as state:
        os.environ["NIGHTPANE_STATE_DIR"] = state
        # Both begin without a thread's backlog: what is measured is the caller's own work.
        calls = {kind: make(kind, host) for kind in ("nightpane", "plain")}
        taken_us: dict[str, list[float]] = {kind: [] for kind in calls}
        for _ in range(CALLS // BLOCK):
            for kind, (call, wait) in calls.items():
                for _ in range(BLOCK):
                    began = time.perf_counter_ns()
                    call()
                    taken_us[kind].append((time.perf_counter_ns() - began) / 1000)
                wait()
        dropped, tight_us = {}, {}
        for kind, (call, _) in calls.items():
            began = time.perf_counter_ns()
            dropped[kind] = sum(call() is None for _ in range(TIGHT))
            tight_us[kind] = (time.perf_counter_ns() - began) / 1000 / TIGHT
        for _, wait in calls.values():
            wait()
        survived = {kind: killed(kind, host) for kind in calls}
    server.kill()
    server.wait()
    server.stdout.close()
    medians = {kind: statistics.median(values) for kind, values in taken_us.items()}
    percentile = {kind: statistics.quantiles(v, n=100)[98] for kind, v in taken_us.items()}
    print(
        json.dumps(
            {
                "bench": "track",
                "event_bytes": len(json.dumps(PROPERTIES)),
                "median_us": {kind: round(value, 1) for kind, value in medians.items()},
                "p99_us": {kind: round(value, 1) for kind, value in percentile.items()},
                "ratio": round(medians["nightpane"] / medians["plain"], 3),
                "tight_loop_us": {kind: round(value, 1) for kind, value in tight_us.items()},
                "dropped_of_20000": dropped,
                "survived_kill_of_1000": survived,
            }
        )
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve()
    elif sys.argv[1:2] == ["child"]:
        child(*sys.argv[2:4])
    else:
        main()
