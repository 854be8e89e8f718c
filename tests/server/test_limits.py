"""What the server does when a client is slow, when the store is, and when there is too much."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
import uvicorn
from hypothesis import given
from hypothesis import strategies as st

from nightpane.errors import StoreBusyError, StoreError
from nightpane.server import protocol
from nightpane.server.app import create_app
from nightpane.server.capture import Limits
from nightpane.server.keys import Keys
from nightpane.server.protocol import GuardedProtocol
from nightpane.server.times import event_time, parse_time, skew
from nightpane.store import StoredEvent

KEYS = Keys(1, "phc_test", "phx_test", "token")
BODY = {"api_key": "phc_test", "batch": [{"event": "x", "distinct_id": "a"}]}


class SlowStore:
    """Takes events and acknowledges them when told to."""

    def __init__(self) -> None:
        self.waiting: list[Future[int]] = []
        self.error: StoreError | None = None

    def submit(self, events: list[StoredEvent]) -> Future[int]:
        if self.error:
            raise self.error
        self.waiting.append(Future())
        return self.waiting[-1]


@contextmanager
def serving(store: SlowStore, limits: Limits) -> Iterator[str]:
    app = create_app(store, KEYS, limits=limits)  # type: ignore[arg-type]
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, http=GuardedProtocol, log_level="critical", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@pytest.fixture
def store() -> SlowStore:
    return SlowStore()


def wait(condition: Any) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def talk(host: str, head: bytes) -> bytes:
    address = host.removeprefix("http://").split(":")
    with socket.create_connection((address[0], int(address[1])), timeout=10) as connection:
        connection.sendall(head)
        return connection.recv(400)


def test_an_acknowledgement_waits_for_the_disk(store: SlowStore) -> None:
    with serving(store, Limits()) as host:
        got: list[int] = []

        def post() -> None:
            got.append(requests.post(host + "/batch/", json=BODY, timeout=10).status_code)

        thread = threading.Thread(target=post)
        thread.start()
        wait(lambda: store.waiting)
        assert requests.get(host + "/_readiness", timeout=10).status_code == 200
        assert got == []
        store.waiting[0].set_result(1)
        thread.join()
        assert got == [200]


@pytest.mark.parametrize(
    "error", [StoreBusyError("too much is waiting"), StoreError("the disk is full")]
)
@pytest.mark.parametrize("late", [False, True])
def test_what_could_not_be_stored_is_503_and_to_be_sent_again(
    store: SlowStore, error: StoreError, late: bool
) -> None:
    with serving(store, Limits()) as host:
        if late:
            threading.Thread(
                target=lambda: (wait(lambda: store.waiting), store.waiting[0].set_exception(error))
            ).start()
        else:
            store.error = error
        answer = requests.post(host + "/batch/", json=BODY, timeout=10)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert str(error) in answer.text


def test_more_than_fits_in_memory_is_503(store: SlowStore) -> None:
    with serving(store, Limits(max_in_flight_bytes=100)) as host:
        first = threading.Thread(
            target=lambda: requests.post(host + "/batch/", json=BODY, timeout=10)
        )
        first.start()
        wait(lambda: store.waiting)
        refused = requests.post(host + "/batch/", json=BODY, timeout=10)
        assert (refused.status_code, "too many events" in refused.text) == (503, True)
        store.waiting[0].set_result(1)
        first.join()
        second = threading.Thread(
            target=lambda: requests.post(host + "/batch/", json=BODY, timeout=10)
        )
        second.start()
        wait(lambda: len(store.waiting) == 2)
        store.waiting[1].set_result(1)
        second.join()


def test_a_body_that_does_not_come_is_408(store: SlowStore) -> None:
    head = b"POST /batch/ HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"
    with serving(store, Limits(body_timeout_s=0.1)) as host:
        answer = talk(host, head)
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"text/plain" in answer


def test_a_head_that_does_not_end_is_cut_off(
    store: SlowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "_HEAD_TIMEOUT_S", 0.1)
    with serving(store, Limits()) as host:
        assert talk(host, b"POST /batch/ HTT").startswith(b"HTTP/1.1 408")
        assert talk(host, b"").startswith(b"HTTP/1.1 408")
        large = b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000
        assert talk(host, large).startswith(b"HTTP/1.1 431")
        assert talk(host, b"nonsense\r\n\r\n").startswith(b"HTTP/1.1 400")


def test_many_idle_connections_do_not_keep_others_out(store: SlowStore) -> None:
    with serving(store, Limits()) as host:
        address = host.removeprefix("http://").split(":")
        idle = [socket.create_connection((address[0], int(address[1]))) for _ in range(300)]
        assert requests.get(host + "/_readiness", timeout=10).status_code == 200
        for connection in idle:
            connection.close()


# Times

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("2026-11-23T01:02:03Z", "2026-11-23T01:02:03+00:00"),
        ("2026-11-23T01:02:03.123456789Z", "2026-11-23T01:02:03.123456+00:00"),
        ("2026-11-23T01:02:03", "2026-11-23T01:02:03+00:00"),
        ("2026-11-23 01:02:03+03", "2026-11-22T22:02:03+00:00"),
        ("2026-11-23T01:02:03-0130", "2026-11-23T02:32:03+00:00"),
        ("2026-11-23", "2026-11-23T00:00:00+00:00"),
        ("2026/11/3", "2026-11-03T00:00:00+00:00"),
        ("2026/11/23 01:02:03", "2026-11-23T01:02:03+00:00"),
        ("Mon, 23 Nov 2026 01:02:03 +0000", "2026-11-23T01:02:03+00:00"),
        (1795395723, "2026-11-23T01:02:03+00:00"),
        (1795395723000, "2026-11-23T01:02:03+00:00"),
        ("1795395723", "2026-11-23T01:02:03+00:00"),
        (1795395723.5, "2026-11-23T01:02:03.500000+00:00"),
        ("12026-01-01", "1970-01-01T00:00:00+00:00"),
        (1e300, "1970-01-01T00:00:00+00:00"),
        (float("nan"), None),
        ("yesterday", None),
        ("", None),
        ("2026-13-45", None),
        (None, None),
        (True, None),
        ({"a": 1}, None),
        ("2" * 5000, None),
    ],
)
def test_a_time_is_read_in_each_of_its_spellings(value: Any, found: str | None) -> None:
    moment = parse_time(value)
    assert (moment.isoformat() if moment else None) == found


@given(
    st.one_of(
        st.text(max_size=80),
        st.floats(),
        st.integers(),
        st.datetimes().map(str),
        st.datetimes(timezones=st.timezones()).map(lambda moment: moment.isoformat()),
        st.none(),
    ),
    st.one_of(st.none(), st.floats(), st.integers(), st.text(max_size=5)),
    st.one_of(st.none(), st.datetimes(timezones=st.just(UTC))),
)
def test_any_time_at_all_gives_a_time_not_far_ahead(
    value: Any, offset_ms: Any, sent_at: datetime | None
) -> None:
    ahead = skew(sent_at, NOW)
    found = event_time(value, now=NOW, ahead=ahead, offset_ms=offset_ms)
    assert found.tzinfo is not None
    assert (found - NOW).total_seconds() <= 23 * 3600
