"""The one writer: gathers what arrives together into one durable INSERT, and keeps each uuid once.

An event is acknowledged after the INSERT that holds it is on disk, never before. What waits is
bounded: when the disk cannot keep up, the next one is told to come back later.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from uuid import UUID

from nightpane.errors import StoreBusyError, StoreError
from nightpane.store.dedup import UuidIndex
from nightpane.store.engine import Connection
from nightpane.store.events import Row
from nightpane.store.persons import PersonChange, Persons
from nightpane.store.properties import PropertyTypes
from nightpane.store.schema import DATABASE

__all__ = ["Submission", "Writer"]

_GROUP_ROWS = 4_000
_GROUP_BYTES = 16 * 1024 * 1024
_LINGER_S = 0.01
_MAX_PENDING_BYTES = 128 * 1024 * 1024

# The values of ``props`` are texts: nothing may make dates or numbers of them. A small new part is
# read whole anyway, so its skip indexes are left to the merge.
INSERT_SETTINGS = (
    "input_format_parallel_parsing = 0, input_format_try_infer_dates = 0, "
    "input_format_try_infer_datetimes = 0, input_format_json_try_infer_numbers_from_strings = 0, "
    "max_insert_threads = 1, async_insert = 0, materialize_skip_indexes_on_insert = 0"
)


@dataclass(slots=True)
class Submission:
    """Rows that are acknowledged together; ``done`` gets the number of them that were new."""

    rows: Sequence[Row]
    changes: Sequence[PersonChange]
    size_bytes: int
    done: Future[int] = field(default_factory=Future)


class Writer:
    """A thread that owns the writing connection."""

    def __init__(
        self,
        connection: Connection,
        persons: Persons,
        types: PropertyTypes,
        *,
        max_pending_bytes: int = _MAX_PENDING_BYTES,
    ) -> None:
        self._connection = connection
        self._persons = persons
        self._types = types
        self._index = UuidIndex()
        self._pending: deque[Submission] = deque()
        self._pending_bytes = 0
        self._max_pending_bytes = max_pending_bytes
        self._condition = threading.Condition()
        self._last_rows = 0
        self._closing = False
        self._broken: StoreError | None = None
        self.writes = 0
        """How often it has written; counted before what was written is acknowledged."""
        self._thread = threading.Thread(target=self._run, name="nightpane-writer", daemon=True)

    def start(self) -> None:
        """Start writing; what is submitted before the uuids are loaded waits for them."""
        self._thread.start()

    def submit(self, submission: Submission) -> Future[int]:
        """Queue rows; the future is done once they are on disk.

        Raises StoreBusyError when too much is waiting and StoreError when the store is closing.
        """
        with self._condition:
            if self._closing:
                raise StoreError("the store is closing: send the events again later")
            waiting = self._pending_bytes
            if waiting and waiting + submission.size_bytes > self._max_pending_bytes:
                raise StoreBusyError(
                    f"{waiting} bytes are waiting to be written, the limit is "
                    f"{self._max_pending_bytes}: send the events again later"
                )
            self._pending.append(submission)
            self._pending_bytes += submission.size_bytes
            self._condition.notify()
        return submission.done

    def close(self) -> None:
        """Write what is waiting, then stop."""
        with self._condition:
            self._closing = True
            self._condition.notify()
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        try:
            self._load()
        except StoreError as error:
            self._broken = error
        while group := self._next():
            self._commit(group)
            with self._condition:
                self._pending_bytes -= sum(submission.size_bytes for submission in group)

    def _load(self) -> None:
        for chunk in self._connection.chunks(f"SELECT uuid FROM {DATABASE}.events", "RowBinary"):  # noqa: S608
            self._index.load(chunk)

    def _next(self) -> list[Submission]:
        """Return what waits, up to one group; an empty list when there will be no more."""
        with self._condition:
            self._condition.wait_for(lambda: self._pending or self._closing)
            # Clients that were answered together come back together: a moment's wait for as many
            # rows as last time saves INSERTs, each of which costs far more than the wait.
            self._condition.wait_for(
                lambda: self._closing or self._waiting_rows() >= self._last_rows, _LINGER_S
            )
            group: list[Submission] = []
            rows = size_bytes = 0
            while self._pending and rows < _GROUP_ROWS and size_bytes < _GROUP_BYTES:
                submission = self._pending.popleft()
                group.append(submission)
                rows += len(submission.rows)
                size_bytes += submission.size_bytes
            self._last_rows = min(rows, _GROUP_ROWS) if len(group) > 1 else 0
            return group

    def _waiting_rows(self) -> int:
        return sum(len(submission.rows) for submission in self._pending)

    def _commit(self, group: list[Submission]) -> None:
        try:
            if self._broken:
                raise self._broken
            new = self._write(group)
        except StoreError as error:
            if len(group) == 1 or self._broken:
                for submission in group:
                    submission.done.set_exception(error)
                return
            # One bad neighbour must not refuse the others: each on its own.
            for submission in group:
                self._commit([submission])
        except BaseException as error:
            for submission in group:
                submission.done.set_exception(error)
            raise
        else:
            for submission, count in zip(group, new, strict=True):
                submission.done.set_result(count)

    def _write(self, group: list[Submission]) -> list[int]:
        """Store a group; return how many rows of each submission were new."""
        self._types.save(self._connection)
        changes = [change for submission in group for change in submission.changes]
        self._persons.apply(self._connection, changes)
        stored = self._stored([row.key for submission in group for row in submission.rows])
        fresh: dict[bytes, bytes] = {}
        new = []
        for submission in group:
            before = len(fresh)
            for row in submission.rows:
                if row.key not in stored:
                    fresh.setdefault(row.key, row.line)
            new.append(len(fresh) - before)
        if fresh:
            # Entered first: should the INSERT fail half-way, a retry is then looked up on disk.
            self._index.add(list(fresh))
            try:
                self._connection.insert(
                    f"{DATABASE}.events", b"\n".join(fresh.values()), INSERT_SETTINGS
                )
            finally:
                self.writes += 1
        return new

    def _stored(self, keys: list[bytes]) -> set[bytes]:
        """Return those of the uuids that are on disk."""
        if not keys:
            return set()
        flags = self._index.perhaps_has(keys)
        suspects = [key for key, perhaps in zip(keys, flags, strict=True) if perhaps]
        found: set[bytes] = set()
        for start in range(0, len(suspects), 5_000):
            listed = ", ".join(f"'{UUID(bytes=key)}'" for key in suspects[start : start + 5_000])
            answer = self._connection.ask(
                f"SELECT uuid FROM {DATABASE}.events WHERE uuid IN ({listed})",  # noqa: S608
                "TSV",
            )
            found |= {bytes.fromhex(line.replace("-", "")) for line in answer.decode().split()}
        return found
