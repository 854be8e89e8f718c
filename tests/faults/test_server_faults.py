"""The server killed, stopped, started twice and overfed: what was acknowledged is there, once."""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest
import requests

from nightpane.testing import LocalServer

KILLS = int(os.environ.get("NIGHTPANE_TEST_KILLS", "5"))
SENDERS = 3


def batch(server: LocalServer, ids: list[str], event: str = "killed") -> bytes:
    events = [
        {
            "event": event,
            "uuid": one,
            "distinct_id": "autoresearch:internal:coder",
            "properties": {"n": n, "text": "x" * 500},
        }
        for n, one in enumerate(ids)
    ]
    return json.dumps({"api_key": server.api_key, "batch": events}).encode()


def post(host: str, body: bytes) -> int:
    connection = HTTPConnection(host.removeprefix("http://"), timeout=20)
    try:
        connection.request("POST", "/batch/", body)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def stored(server: LocalServer, event: str = "killed") -> list[str]:
    sql = "select toString(uuid) from events where event = {event} limit 50000"
    return [row[0] for row in server.query().hogql(sql, {"event": event}).rows]


def test_kill_9_during_ingestion_loses_nothing_acknowledged(tmp_path: Path) -> None:
    seed = int(os.environ.get("NIGHTPANE_TEST_SEED", "20261123"))
    rng = random.Random(seed)
    acknowledged: set[str] = set()
    unanswered: list[list[str]] = []
    server = LocalServer(tmp_path)
    server.start()
    for _ in range(KILLS):
        stop = threading.Event()

        def send(stop: threading.Event = stop) -> None:
            while not stop.is_set():
                ids = [str(uuid.UUID(int=rng.getrandbits(128))) for _ in range(rng.randint(1, 60))]
                try:
                    if post(server.host, batch(server, ids)) == 200:
                        acknowledged.update(ids)
                except (OSError, HTTPException):
                    unanswered.append(ids)
                    return

        before = len(acknowledged)
        senders = [threading.Thread(target=send) for _ in range(SENDERS)]
        for sender in senders:
            sender.start()
        deadline = time.monotonic() + 20
        while len(acknowledged) == before and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(rng.random() * 0.15)  # a random moment is what is tested
        server.kill()
        stop.set()
        for sender in senders:
            sender.join()
        server.start()
        found = stored(server)
        assert len(found) == len(set(found)), f"an event is there twice (seed {seed})"
        missing = acknowledged - set(found)
        assert not missing, f"{len(missing)} acknowledged events are gone (seed {seed})"
        # The client does what clients do: it sends again what was not answered.
        while unanswered:
            ids = unanswered.pop()
            assert post(server.host, batch(server, ids)) == 200
            acknowledged.update(ids)
    assert sorted(stored(server)) == sorted(acknowledged)
    assert len(acknowledged) > KILLS
    assert server.terminate() == 0


def test_sigterm_ends_cleanly_with_everything_written(tmp_path: Path) -> None:
    server = LocalServer(tmp_path)
    server.start()
    ids = [[str(uuid.uuid4()) for _ in range(40)] for _ in range(40)]
    acknowledged: list[str] = []

    def send(chunks: list[list[str]]) -> None:
        for chunk in chunks:
            try:
                if post(server.host, batch(server, chunk)) == 200:
                    acknowledged.extend(chunk)
            except (OSError, HTTPException):
                return

    senders = [threading.Thread(target=send, args=(ids[n::4],)) for n in range(4)]
    for sender in senders:
        sender.start()
    while len(acknowledged) < 200:
        time.sleep(0.001)
    start = time.monotonic()
    assert server.terminate() == 0
    assert time.monotonic() - start < 10
    for sender in senders:
        sender.join()
    assert not list((server.state_dir / "servers").iterdir())
    assert "Traceback" not in server.log
    with server:
        assert set(acknowledged) <= set(stored(server))


def nightpane(server: LocalServer, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nightpane", *arguments],
        env={**server.environ, "POSTHOG_HOST": "", "POSTHOG_API_KEY": ""},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_second_server_is_told_who_has_the_data(server: LocalServer) -> None:
    done = nightpane(server, "up", "--port", "0", "--data-dir", str(server.data_dir))
    assert done.returncode == 3
    assert f"in use by process {server.pid}, which listens at {server.host}" in done.stderr
    assert done.stdout == ""
    assert post(server.host, batch(server, [str(uuid.uuid4())])) == 200


def test_a_port_that_is_taken_is_a_usage_error(server: LocalServer, tmp_path: Path) -> None:
    port = server.host.rsplit(":", 1)[1]
    done = nightpane(server, "up", "--port", port, "--data-dir", str(tmp_path))
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr


def test_the_network_is_only_for_who_asks(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nightpane", "up", "--host", "0.0.0.0", "--data-dir", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "add --allow-network if that is meant" in done.stderr
    assert not (tmp_path / "keys.json").exists()


def test_env_prints_what_a_client_needs(server: LocalServer, tmp_path: Path) -> None:
    lines = nightpane(server, "env", "--data-dir", str(server.data_dir)).stdout
    told = nightpane(server, "env", "--json", "--data-dir", str(server.data_dir))
    assert json.loads(told.stdout) == {
        "POSTHOG_HOST": server.host,
        "POSTHOG_PROJECT_ID": "1",
        "POSTHOG_API_KEY": server.api_key,
        "POSTHOG_PERSONAL_API_KEY": server.personal_api_key,
    }
    shell = f'{lines}\necho "$POSTHOG_HOST $POSTHOG_API_KEY"'
    done = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == [server.host, server.api_key]
    gone = nightpane(server, "env", "--data-dir", str(tmp_path))
    assert (gone.returncode, "start one with 'nightpane up'" in gone.stderr) == (2, True)


def test_bombs_do_not_grow_the_server(server: LocalServer) -> None:
    def rss_mb(pid: int) -> float:
        status = Path(f"/proc/{pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024

    bomb = gzip.compress(b"[" + b" " * 100_000_000)
    assert post(server.host, batch(server, [str(uuid.uuid4())])) == 200
    before = rss_mb(server.pid)
    threads = [
        threading.Thread(target=lambda: [post(server.host, bomb) for _ in range(4)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert post(server.host, bomb) == 413
    assert rss_mb(server.pid) - before < 200
    assert post(server.host, batch(server, [str(uuid.uuid4())], "after")) == 200
    assert len(stored(server, "after")) == 1


def test_a_stopped_server_goes_on_where_it_was(server: LocalServer) -> None:
    os.kill(server.pid, signal.SIGSTOP)
    with pytest.raises(requests.Timeout):
        requests.get(server.host + "/_readiness", timeout=0.3)
    os.kill(server.pid, signal.SIGCONT)
    assert requests.get(server.host + "/_readiness", timeout=20).status_code == 200
    assert post(server.host, batch(server, [str(uuid.uuid4())], "continued")) == 200
