"""Reading: within limits that cannot be lifted, without writing, and beside the writer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.store.support import column, event

from nightpane.store import QueryLimitError, ReadLimits, Store, StoreError


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    limits = ReadLimits(
        max_execution_time_s=1, max_memory_bytes=100_000_000, max_result_rows=1000, connections=2
    )
    with Store.open(Path(tmp_path_factory.mktemp("reads")), limits=limits) as opened:
        opened.insert([event("read", {"n": n}) for n in range(10)])
        yield opened


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count() FROM numbers(1000000000000)",
        "SELECT sleep(3)",
        "SELECT groupArray(number) FROM numbers(1000000000)",
        "SELECT number FROM numbers(5000)",
        "SELECT count() FROM numbers(1000000) a CROSS JOIN numbers(1000000) b",
    ],
)
def test_a_query_stops_at_its_limit(store: Store, sql: str) -> None:
    start = time.monotonic()
    with pytest.raises(QueryLimitError):
        store.read(sql)
    assert time.monotonic() - start < 10
    assert column(store, "SELECT 1") == [1]


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO nightpane.persons (id) VALUES (generateUUIDv4())",
        "DROP TABLE nightpane.events",
        "ALTER TABLE nightpane.events DELETE WHERE 1",
        "CREATE TABLE nightpane.x (a Int8) ENGINE = Memory",
        "SET readonly = 0",
        "SELECT 1 SETTINGS max_execution_time = 100",
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SELECT * FROM url('http://127.0.0.1:9/', 'LineAsString')",
        "SYSTEM SHUTDOWN",
    ],
)
def test_a_reader_cannot_write_or_reach_out(store: Store, sql: str) -> None:
    with pytest.raises(StoreError):
        store.read(sql)
    assert column(store, "SELECT count() FROM nightpane.events") == [10]


def test_an_error_leaves_nothing_for_the_next_answer(store: Store) -> None:
    for sql in ("SELECT throwIf(number = 3) AS left_over FROM numbers(10)", "SELECT nonsense"):
        for _ in range(4):
            with pytest.raises(StoreError):
                store.read(sql)
            answer = store.read("SELECT 1 AS one")
            assert (answer.columns, answer.rows) == (["one"], [[1]])


def test_an_empty_answer_still_has_its_columns(store: Store) -> None:
    answer = store.read("SELECT event, timestamp FROM nightpane.events WHERE event = 'none'")
    assert answer.columns == ["event", "timestamp"]
    assert answer.types == ["LowCardinality(String)", "DateTime64(6, 'UTC')"]
    assert answer.rows == []


def test_more_queries_than_connections_wait_for_their_turn(store: Store) -> None:
    got: list[int] = []

    def ask() -> None:
        got.append(column(store, "SELECT sleep(0.1) + 1")[0])

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [1] * 6


def test_a_long_query_does_not_hold_up_the_writer(store: Store) -> None:
    stopped: list[bool] = []

    def long() -> None:
        try:
            store.read("SELECT sleep(0.9)")
        except QueryLimitError:
            stopped.append(False)
        stopped.append(True)

    thread = threading.Thread(target=long)
    thread.start()
    assert store.insert([event("beside")]) == 1
    assert stopped == []
    thread.join()


def test_parameters_cannot_leave_their_place(store: Store) -> None:
    nasty = "x' OR 1 = 1; DROP TABLE nightpane.events --\\"
    assert column(store, "SELECT {given:String}", given=nasty) == [nasty]
    sql = "SELECT count() FROM nightpane.events WHERE event = {given:String}"
    assert column(store, sql, given=nasty) == [0]
