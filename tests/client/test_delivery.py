"""Delivery over real HTTP: threads, flush, the end of a process, servers that misbehave."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.client.support import Recorder, read_events, until

import nightpane
from nightpane.client.transport import HttpTransport, TransportError

Make = Callable[..., nightpane.Pane]


def test_events_arrive_without_a_flush(make_pane: Make) -> None:
    with Recorder() as server:
        pane = make_pane(host=server.host, transport=None)
        sent = [pane.track("hello", agent="a", at=at) for at in range(50)]
        until(lambda: len(server.events) == 50, "delivery")
        assert [event["uuid"] for event in server.events] == sent
        assert server.headers[0]["content-encoding"] == "gzip"
        assert server.headers[0]["user-agent"].startswith("nightpane/")
        assert "authorization" not in server.headers[0]


def test_one_connection_serves_many_batches(make_pane: Make) -> None:
    with Recorder() as server:
        pane = make_pane(host=server.host, transport=None)
        for _ in range(5):
            pane.track("hello", agent="a")
            assert pane.flush(10)
        assert len(server.bodies) == 5
        assert server.connections == 1


def test_flush_waits_through_failures(make_pane: Make) -> None:
    with Recorder(503, 500, 200) as server:
        pane = make_pane(host=server.host, transport=None)
        pane.track("hello", agent="a")
        assert pane.flush(15)
        assert len(server.bodies) == 3
        assert pane.health().retries == 2


def test_flush_gives_up_in_time_and_says_so(make_pane: Make) -> None:
    with Recorder() as server:
        server.hold.clear()
        pane = make_pane(host=server.host, transport=None)
        pane.track("hello", agent="a")
        began = time.monotonic()
        assert not pane.flush(0.2)
        assert time.monotonic() - began < 2
        server.hold.set()
        assert pane.flush(15)


def test_track_does_not_wait_for_a_server_that_hangs(make_pane: Make) -> None:
    with Recorder() as server:
        server.hold.clear()
        pane = make_pane(host=server.host, transport=None)
        pane.track("hello", agent="a")
        until(lambda: bool(server.bodies), "the first request")
        took = []
        for at in range(500):
            began = time.perf_counter()
            assert pane.track("hello", agent="a", at=at) is not None
            took.append(time.perf_counter() - began)
        assert sorted(took)[250] < 0.005
        health = pane.health()
        assert (health.written, health.delivered) == (501, 0)
        until(lambda: pane._writer.is_synced, "the sync beside a hanging request")
        server.hold.set()
        assert pane.flush(15)


def test_netrc_and_proxies_stay_out_of_loopback(
    make_pane: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with Recorder() as server:
        pane = make_pane(host=server.host, transport=None)
        pane.track("hello", agent="a")
        assert pane.flush(10)
        assert "authorization" not in server.headers[0]


def dripping(listener: socket.socket, stop: threading.Event) -> None:
    """Answer each connection with one byte a moment, for ever."""
    connection, _ = listener.accept()
    with connection:
        connection.recv(65536)
        while not stop.wait(0.01):
            try:
                connection.send(b"H")
            except OSError:
                return


def test_an_answer_that_drips_is_cut_off() -> None:
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=dripping, args=(listener, stop), daemon=True)
        server.start()
        transport = HttpTransport(total_s=0.3)
        watching = threading.Event()

        def watch() -> None:
            while not watching.wait(0.02):
                transport.abort_overdue()

        watcher = threading.Thread(target=watch)
        watcher.start()
        began = time.monotonic()
        with pytest.raises(TransportError):
            transport.post(f"http://127.0.0.1:{listener.getsockname()[1]}/batch/", b"{}", {})
        assert time.monotonic() - began < 5
        watching.set()
        watcher.join()
        stop.set()
        server.join()
        transport.close()


def test_a_refused_connection_is_said_plainly() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(TransportError, match="Connection refused"):
        HttpTransport().post(f"http://127.0.0.1:{port}/batch/", b"{}", {})


LOOP = """
import sys, nightpane
pane = nightpane.Pane("autoresearch", api_key="phc_test", host={host!r}, spool_dir={spool!r})
for at in range({count}):
    print(pane.track("hello", agent="a", at=at), flush=True)
{after}
"""


def run_loop(host: str, spool: Path, *, after: str = "", count: int = 20) -> list[str]:
    code = LOOP.format(host=host, spool=str(spool), count=count, after=after)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr or after, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("after", ["", "sys.exit(3)", "raise RuntimeError('broken')"])
def test_the_end_of_a_process_delivers(spool_dir: Path, after: str) -> None:
    with Recorder() as server:
        sent = run_loop(server.host, spool_dir, after=after)
        assert [event["uuid"] for event in server.events] == sent
        assert list(spool_dir.glob("*.seg")) == []


def test_what_a_process_could_not_deliver_the_next_one_does(spool_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    began = time.monotonic()
    first = run_loop(f"http://127.0.0.1:{port}", spool_dir)
    assert time.monotonic() - began < 15
    killed = run_loop(
        f"http://127.0.0.1:{port}", spool_dir, after="import os; os.kill(os.getpid(), 9)"
    )
    assert len(first) == len(killed) == 20
    with Recorder() as server:
        for path in spool_dir.glob("*.seg"):
            # The same host at another port: the header names it, so it is written anew here.
            readdress(path, f"http://127.0.0.1:{port}", server.host)
        third = run_loop(server.host, spool_dir, count=1)
        until(lambda: len(server.events) == 41, "delivery of what was left")
        assert [event["uuid"] for event in server.events] == [*first, *killed, *third]


def readdress(path: Path, old: str, new: str) -> None:
    """Point a segment at another port: as if the same server had come back."""
    from nightpane.client.spool import frames

    parts = []
    for found in frames.scan(path.read_bytes()):
        assert isinstance(found, frames.Frame)
        payload = found.payload
        if found.kind == frames.HEADER:
            header = json.loads(payload)
            assert header["host"] == old
            payload = json.dumps({**header, "host": new}).encode()
        parts.append(frames.encode(payload, found.kind))
    path.write_bytes(b"".join(parts))
    path.with_suffix(".ack").unlink(missing_ok=True)


def test_a_hanging_server_does_not_hold_up_the_end(spool_dir: Path) -> None:
    with Recorder() as server:
        server.hold.clear()
        began = time.monotonic()
        sent = run_loop(server.host, spool_dir)
        assert time.monotonic() - began < 20
        assert [event["uuid"] for event in read_events(spool_dir)] == sent


def test_sigterm_is_as_deadly_as_before(spool_dir: Path) -> None:
    with Recorder() as server:
        code = LOOP.format(host=server.host, spool=str(spool_dir), count=1, after="") + (
            "import time\n"
            "with pane.run() as run, run.round(agent='a') as round_:\n"
            "    print('ready', flush=True)\n"
            "    time.sleep(60)\n"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stderr is not None
        while process.stdout.readline().strip() != "ready":
            pass
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == -signal.SIGTERM
        process.stdout.close()
        process.stderr.close()
        names = [event["event"] for event in server.events]
        assert names == ["hello", "round_started", "round_reverted", "stop_triggered"]
        reverted, stopped = (event["properties"] for event in server.events[-2:])
        assert (reverted["failure_mode"], reverted["reason"]) == ("interrupted", "SIGTERM")
        assert stopped["reason"] == "interrupted"


def test_a_handler_of_the_loops_own_is_left_alone(make_pane: Make) -> None:
    calls: list[int] = []

    def mine(number: int, _: object) -> None:
        calls.append(number)

    before = signal.signal(signal.SIGTERM, mine)
    try:
        pane = make_pane()
        with pane.run():
            assert signal.getsignal(signal.SIGTERM) is mine
            os.kill(os.getpid(), signal.SIGTERM)
        assert calls == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)
    with make_pane().run():
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
        with make_pane().run():
            pass
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
