"""The store: the events of one project on disk, in an embedded ClickHouse owned by one process.

Everything that is written goes through its one writer and everything that is read through its
read-only connections. It must never acknowledge what is not on disk, never keep a uuid twice, and
never be handed SQL that came from outside.
"""

from __future__ import annotations

import atexit
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any

from nightpane.catalog import property_types
from nightpane.errors import StoreError
from nightpane.store.engine import Engine
from nightpane.store.events import Row, StoredEvent, to_row
from nightpane.store.json_text import loads
from nightpane.store.lock import StoreLock
from nightpane.store.migrations import migrate
from nightpane.store.persons import Persons
from nightpane.store.properties import PropertyTypes
from nightpane.store.reader import ReadLimits, ReadPool, ReadResult
from nightpane.store.schema import DATABASE
from nightpane.store.writer import Submission, Writer

__all__ = ["Store"]


class Store:
    """An open store. Safe to use from any thread; ``close`` it, or use it in a ``with``."""

    def __init__(
        self,
        data_dir: Path,
        lock: StoreLock,
        engine: Engine,
        limits: ReadLimits,
    ) -> None:
        self.data_dir = data_dir
        self._lock = lock
        self._engine = engine
        self._types = PropertyTypes(property_types())
        self._persons = Persons()
        self._readers = ReadPool(engine, limits)
        connection = engine.connect()
        migrate(connection)
        self._types.load(connection)
        self._persons.load(connection)
        self._writer = Writer(connection, self._persons, self._types)
        self._writer.start()
        self._closed = False
        self._opened_ns = time.time_ns()
        # The engine must be closed before the interpreter ends: it crashes otherwise.
        atexit.register(self.close)

    @classmethod
    def open(cls, data_dir: Path, *, limits: ReadLimits | None = None) -> Store:
        """Return the store in a folder, made on first use (0700) and brought up to date.

        Raises StoreLockedError when another process has it, StoreError when it cannot be opened and
        MissingExtraError without the extra ``server``. A process can open one store at a time.
        """
        data_dir = Path(data_dir).expanduser().absolute()
        try:
            data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = StoreLock.acquire(data_dir)
        except OSError as error:
            raise StoreError(f"the data folder {data_dir} cannot be used: {error}") from error
        try:
            return cls(data_dir, lock, Engine(data_dir / "chdb"), limits or ReadLimits())
        except BaseException:
            lock.release()
            raise

    @property
    def property_types(self) -> Mapping[str, str]:
        """The type of each property seen: Numeric, Boolean, DateTime or String. A live view."""
        return self._types.view

    @property
    def mark(self) -> str:
        """What changes with each write, before it is acknowledged, and with each opening."""
        return f"{self._opened_ns:x}-{self._writer.writes}"

    @property
    def has_person_overrides(self) -> bool:
        """Whether any distinct id was merged, so that ``person_distinct_ids`` overrides events."""
        return bool(self._persons.overrides)

    def person_id(self, distinct_id: str) -> str:
        """Return the id of the person that a distinct id belongs to now."""
        return self._persons.person_id(distinct_id)

    def person(self, distinct_id: str) -> tuple[str, dict[str, Any]]:
        """Return the id and the properties of the person that a distinct id belongs to now.

        Raises as ``read`` does.
        """
        person_id = self._persons.person_id(distinct_id)
        rows = self.read(
            f"SELECT properties FROM {DATABASE}.persons FINAL WHERE id = {{id:UUID}}",  # noqa: S608
            {"id": person_id},
        ).rows
        properties = loads(rows[0][0].encode()) if rows else {}
        return person_id, properties if isinstance(properties, dict) else {}

    def announce(self, host: str) -> None:
        """Write into the lock where the owner listens, for the message to whoever comes second."""
        self._lock.announce(host)

    def insert(self, events: Sequence[StoredEvent]) -> int:
        """Store events and return how many were new, once they are on disk.

        Raises StoreBusyError when too much is waiting and StoreError when they cannot be stored;
        sending them again is always safe.
        """
        return self.submit(events).result()

    def submit(self, events: Sequence[StoredEvent]) -> Future[int]:
        """Queue events; the future is done as ``insert`` returns. Raises StoreBusyError at once."""
        rows: list[Row] = []
        changes = []
        for event in events:
            self._types.learn(event.properties)
            if (change := self._persons.change(event)) is not None:
                changes.append(change)
            rows.append(to_row(event, self._persons.person_id(event.distinct_id)))
        size_bytes = sum(len(row.line) for row in rows)
        return self._writer.submit(Submission(rows, changes, size_bytes))

    def read(self, sql: str, parameters: Mapping[str, Any] | None = None) -> ReadResult:
        """Return the answer to one ClickHouse SELECT, which must not come from outside.

        ``parameters`` fill its ``{name:Type}`` places. Raises QueryLimitError when it reaches a
        limit of time, memory or rows, and StoreError for anything else the engine refuses.
        """
        return self._readers.read(sql, parameters)

    def export(self, sql: str, form: str) -> bytes:
        """Return the answer to such a SELECT as a file of one of ClickHouse's formats.

        Raises as ``read`` does.
        """
        return self._readers.export(sql, form)

    def close(self) -> None:
        """Write what is waiting, wait for running queries, and give the store back."""
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        self._writer.close()
        self._readers.close()
        self._engine.close()
        self._lock.release()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
