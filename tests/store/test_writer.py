"""The writer: what waits is bounded, and one bad neighbour does not refuse the others."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from nightpane.errors import StoreBusyError, StoreError
from nightpane.store.events import Row
from nightpane.store.persons import Persons
from nightpane.store.properties import PropertyTypes
from nightpane.store.writer import Submission, Writer


class FakeConnection:
    """Keeps the rows in memory; refuses any INSERT that holds ``bad``; can be made to wait."""

    def __init__(self) -> None:
        self.inserts: list[list[bytes]] = []
        self.stored: set[str] = set()
        self.may_write = threading.Event()
        self.may_write.set()

    def chunks(self, sql: str, form: str) -> Iterator[bytes]:
        return iter(())

    def ask(self, sql: str, form: str) -> bytes:
        return "\n".join(one for one in self.stored if one in sql).encode()

    def insert(self, table: str, rows: bytes, settings: str) -> None:
        self.may_write.wait(10)
        lines = rows.split(b"\n")
        self.inserts.append(lines)
        if b"bad" in lines:
            raise StoreError("Code: 27. cannot parse the row")
        self.stored |= {line.decode() for line in lines}

    def close(self) -> None:
        pass


def submission(*lines: bytes, size_bytes: int = 10) -> Submission:
    rows = [
        Row(uuid.UUID(line.decode()).bytes if line != b"bad" else b"b" * 16, line) for line in lines
    ]
    return Submission(rows, [], size_bytes)


def line() -> bytes:
    return str(uuid.uuid4()).encode()


@pytest.fixture
def connection() -> FakeConnection:
    return FakeConnection()


@pytest.fixture
def writer(connection: FakeConnection) -> Iterator[Writer]:
    made = Writer(connection, Persons(), PropertyTypes({}), max_pending_bytes=100)  # type: ignore[arg-type]
    made.start()
    yield made
    connection.may_write.set()
    made.close()


def test_what_arrives_together_is_one_insert(writer: Writer, connection: FakeConnection) -> None:
    connection.may_write.clear()
    futures: list[Future[int]] = [writer.submit(submission(line()))]
    while not connection.inserts and writer._pending:
        pass
    futures += [writer.submit(submission(line(), line(), size_bytes=5)) for _ in range(10)]
    connection.may_write.set()
    assert [future.result(10) for future in futures] == [1] + [2] * 10
    assert len(connection.inserts) <= 3
    assert sum(len(lines) for lines in connection.inserts) == 21


def test_too_much_waiting_is_refused_at_once(writer: Writer, connection: FakeConnection) -> None:
    connection.may_write.clear()
    first = writer.submit(submission(line(), size_bytes=1000))
    with pytest.raises(StoreBusyError, match="1000 bytes are waiting to be written"):
        writer.submit(submission(line(), size_bytes=1))
    connection.may_write.set()
    assert first.result(10) == 1
    while writer._pending_bytes:
        pass
    assert writer.submit(submission(line())).result(10) == 1


def test_a_refused_row_costs_only_its_own_request(
    writer: Writer, connection: FakeConnection
) -> None:
    connection.may_write.clear()
    head = writer.submit(submission(line()))
    while writer._pending:
        pass
    good, bad, fine = (writer.submit(submission(one)) for one in (line(), b"bad", line()))
    connection.may_write.set()
    assert [head.result(10), good.result(10), fine.result(10)] == [1, 1, 1]
    with pytest.raises(StoreError, match="cannot parse the row"):
        bad.result(10)


def test_a_failed_insert_can_be_sent_again(writer: Writer, connection: FakeConnection) -> None:
    one = line()
    with pytest.raises(StoreError):
        writer.submit(submission(one, b"bad")).result(10)
    assert writer.submit(submission(one)).result(10) == 1
    assert writer.submit(submission(one)).result(10) == 0


def test_a_store_whose_uuids_cannot_be_read_takes_nothing(connection: FakeConnection) -> None:
    def broken(sql: str, form: str) -> Iterator[bytes]:
        raise StoreError("the disk is gone")

    connection.chunks = broken  # type: ignore[method-assign]
    writer = Writer(connection, Persons(), PropertyTypes({}))  # type: ignore[arg-type]
    writer.start()
    with pytest.raises(StoreError, match="the disk is gone"):
        writer.submit(submission(line())).result(10)
    writer.close()
    assert connection.inserts == []
