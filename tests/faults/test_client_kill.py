"""SIGKILL at any moment: every event whose ``track()`` had returned is there afterwards, once."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from tests.client.support import Network, Recorder, read_events, until

import nightpane

# Four threads, segments small enough to turn over, and a server that takes what it can meanwhile.
LOOP = """
import sys, threading, nightpane
pane = nightpane.Pane("autoresearch", api_key="phc_test", host=sys.argv[1], spool_dir=sys.argv[2])
pane._writer._segment_bytes = 50_000
lock = threading.Lock()

def work(name):
    at = 0
    while True:
        at += 1
        made = pane.track("hello", agent=name, at=at, text="x" * (at * 37 % 3000))
        with lock:
            sys.stdout.write(made + "\\n")
            sys.stdout.flush()

for name in "abcd":
    threading.Thread(target=work, args=(name,)).start()
"""


def emit_and_kill(host: str, spool: Path, after_s: float) -> list[str]:
    """Run the loop, end it by SIGKILL, return the uuids whose ``track()`` had returned."""
    process = subprocess.Popen(
        [sys.executable, "-c", LOOP, host, str(spool)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    lines = [process.stdout.readline()]
    deadline = time.monotonic() + after_s
    while time.monotonic() < deadline:
        lines.append(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    lines += process.stdout.readlines()
    process.wait()
    process.stdout.close()
    return [line.strip() for line in lines if len(line) == 37]


@pytest.mark.parametrize("seed", range(2))
def test_kill_9_loses_nothing_that_returned(tmp_path: Path, seed: int) -> None:
    moments = random.Random(seed)
    acknowledged: list[str] = []
    with Recorder() as server:
        for _ in range(4):
            acknowledged += emit_and_kill(server.host, tmp_path, moments.uniform(0.0, 0.4))
        with nightpane.Pane(
            "autoresearch", api_key="phc_test", host=server.host, spool_dir=tmp_path
        ) as pane:
            last = pane.track("last", agent="a")
            assert pane.flush(30)
            until(lambda: len(list(tmp_path.glob("*.seg"))) == 1, "delivery of what was left")
        delivered = Counter(event["uuid"] for event in server.events)
    assert len(acknowledged) > 100
    assert last is not None
    assert set(acknowledged) <= set(delivered), "an event was lost whose track() had returned"
    # A batch whose answer was lost is sent again; nothing else is.
    repeated = sum(1 for times in delivered.values() if times > 1)
    assert repeated <= 3 * 500
    assert max(delivered.values()) <= 2
    assert len(delivered) <= len(acknowledged) + 1 + 3 * 4, (
        "at most the event in each thread's hand"
    )


def test_kill_9_with_the_server_away_for_the_whole_run(tmp_path: Path) -> None:
    acknowledged = emit_and_kill("http://127.0.0.1:9", tmp_path, 0.3)
    acknowledged += emit_and_kill("http://127.0.0.1:9", tmp_path, 0.1)
    on_disk = [event["uuid"] for event in read_events(tmp_path)]
    assert len(on_disk) == len(set(on_disk))
    assert set(acknowledged) <= set(on_disk)
    network = Network()
    with nightpane.Pane(
        "autoresearch",
        api_key="phc_test",
        host="http://127.0.0.1:9",
        spool_dir=tmp_path,
        transport=network,
    ) as pane:
        pane.track("last", agent="a")
        assert pane.flush(10)
    assert set(acknowledged) <= {event["uuid"] for event in network.events}
    assert max(Counter(event["uuid"] for event in network.events).values()) == 1
    assert list(tmp_path.glob("lost.jsonl")) == [] or pane.health().lost_frames <= 2
