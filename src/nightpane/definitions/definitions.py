"""The project's own documents, in one SQLite file beside the store.

Events are many and never change; definitions are few and change by hand, so they live in a database
made for that. One process owns the file, as it owns the store. It must never acknowledge a change
that is not on disk, never give an id twice, and never throw a document away: deleting one marks it.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from nightpane.errors import StoreError, StoreLockedError

__all__ = ["FILE_NAME", "Definitions", "Document"]

Document = dict[str, Any]

FILE_NAME = "definitions.sqlite3"

_FORMAT = 1
_SCHEMA = """
CREATE TABLE documents (
    kind TEXT NOT NULL,
    id INTEGER NOT NULL,
    document TEXT NOT NULL,
    deleted INTEGER NOT NULL,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID
"""
_COLUMNS = "id, document, deleted, version, created_at, updated_at"
# Given by the database, whatever a document says of itself.
_MANAGED = ("id", "version", "created_at", "updated_at")


class Definitions:
    """Documents by kind and integer id. Safe to use from any thread; ``close`` it, or use ``with``.

    A document is a JSON object. What is returned has ``id``, ``version`` (1, then one more with
    each change), ``created_at`` and ``updated_at`` (ISO 8601, UTC) and ``deleted`` beside its own
    members, and is the caller's to keep.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        name: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._connection = connection
        self._name = name
        self._clock = clock
        self._lock = threading.RLock()
        self._depth = 0
        self._revision = 0
        self._close = weakref.finalize(self, connection.close)
        self._prepare()

    @classmethod
    def open(
        cls, data_dir: Path, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> Definitions:
        """Return the definitions kept in a data folder, made on first use (readable by its owner).

        Raises StoreLockedError when another process has them and StoreError when the file cannot be
        used, is damaged, or was written by a newer nightpane.
        """
        path = Path(data_dir).expanduser().absolute() / FILE_NAME
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            connection = sqlite3.connect(path, timeout=0, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"the definitions in {path} cannot be used: {error}") from error
        return cls(connection, str(path), clock)

    @classmethod
    def in_memory(cls) -> Definitions:
        """Return definitions that are gone with the process."""
        return cls(sqlite3.connect(":memory:", check_same_thread=False), "memory")

    @property
    def revision(self) -> int:
        """A number that grows with each transaction: equal means nothing changed since."""
        return self._revision

    def list(self, kind: str, *, deleted: bool = False) -> list[Document]:
        """Return the documents of a kind by id; with ``deleted`` the deleted ones too."""
        where = "kind = ?" if deleted else "kind = ? AND NOT deleted"
        with self._reading():
            rows = self._connection.execute(
                f"SELECT {_COLUMNS} FROM documents WHERE {where} ORDER BY id",  # noqa: S608 (two texts of our own)
                (kind,),
            ).fetchall()
        return [_document(row) for row in rows]

    def get(self, kind: str, document_id: int) -> Document | None:
        """Return a document, deleted or not; None when there never was one of this id."""
        with self._reading():
            row = self._connection.execute(
                f"SELECT {_COLUMNS} FROM documents WHERE kind = ? AND id = ?",  # noqa: S608
                (kind, document_id),
            ).fetchone()
        return None if row is None else _document(row)

    def create(self, kind: str, document: Mapping[str, Any]) -> Document:
        """Keep a new document and return it with its id, once it is on disk."""
        with self.transaction():
            (last,) = self._connection.execute(
                "SELECT coalesce(max(id), 0) FROM documents WHERE kind = ?", (kind,)
            ).fetchone()
            now = self._now()
            own, deleted = self._own(kind, document)
            row = (last + 1, own, deleted, 1, now, now)
            self._connection.execute(
                "INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?)", (kind, *row)
            )
        return _document(row)

    def update(self, kind: str, document_id: int, changes: Mapping[str, Any]) -> Document:
        """Replace the members that ``changes`` names and return the document, once on disk.

        Raises StoreError when there is no such document.
        """
        with self.transaction():
            before = self.get(kind, document_id)
            if before is None:
                raise StoreError(f"there is no {kind} {document_id} in {self._name}")
            own, deleted = self._own(kind, {**before, **changes})
            version, now = before["version"] + 1, self._now()
            row = (document_id, own, deleted, version, before["created_at"], now)
            self._connection.execute(
                "UPDATE documents SET document = ?, deleted = ?, version = ?, updated_at = ? "
                "WHERE kind = ? AND id = ?",
                (own, deleted, version, now, kind, document_id),
            )
        return _document(row)

    def delete(self, kind: str, document_id: int) -> Document:
        """Mark a document deleted and return it. Raises StoreError when there is none."""
        return self.update(kind, document_id, {"deleted": True})

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Make what is done inside happen together or, when it raises, not at all.

        One thread is inside at a time; one inside another is part of the outer one.
        """
        with self._lock, self._failures():
            outermost = self._depth == 0
            if outermost:
                self._connection.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
                if outermost:
                    self._connection.commit()
            except BaseException:
                if outermost:
                    self._connection.rollback()
                raise
            finally:
                self._depth -= 1
                # Also when nothing came of it: it may have been read from inside.
                self._revision += outermost

    def close(self) -> None:
        """Give the file back to whoever opens it next."""
        with self._lock:
            self._close()

    def __enter__(self) -> Definitions:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _prepare(self) -> None:
        run = self._connection.execute
        self._connection.isolation_level = None  # transactions begin where this class says
        try:
            # Held from the first read to the end of the process, however that comes.
            run("PRAGMA locking_mode = EXCLUSIVE")
            run("PRAGMA journal_mode = WAL")
            run("PRAGMA synchronous = FULL")
            (found,) = run("PRAGMA user_version").fetchone()
            if found > _FORMAT:
                raise StoreError(
                    f"the definitions in {self._name} have format {found}, written by a newer "
                    f"nightpane; this one reads up to {_FORMAT}: upgrade it with "
                    "python -m pip install -U nightpane"
                )
            (state,) = run("PRAGMA quick_check(1)").fetchone()
            if state != "ok":
                raise sqlite3.DatabaseError(state.replace("\n", " "))
            run("BEGIN IMMEDIATE")
            if found == 0:
                run(_SCHEMA)
                run(f"PRAGMA user_version = {_FORMAT}")
            run("COMMIT")
        except sqlite3.Error as error:
            self.close()
            raise self._refusal(error) from error
        except StoreError:
            self.close()
            raise

    def _refusal(self, error: sqlite3.Error) -> StoreError:
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith(("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN")):
            return StoreError(
                f"the definitions in {self._name} cannot be written ({error}): look at the disk's "
                "free space and the folder's permissions"
            )
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return StoreLockedError(
                f"the definitions in {self._name} are in use by another process: stop it, or give "
                "another --data-dir"
            )
        return StoreError(
            f"the definitions in {self._name} cannot be read ({error}): put a copy back in its "
            "place, or move the file away to start without flags, cohorts and experiments; the "
            "events in the store are not touched by it"
        )

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        with self._lock, self._failures():
            yield

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._refusal(error) from error

    def _own(self, kind: str, document: Mapping[str, Any]) -> tuple[str, int]:
        """Return a document's own members as text, and whether it is deleted."""
        own = {name: value for name, value in document.items() if name not in _MANAGED}
        deleted = bool(own.pop("deleted", False))
        try:
            return json.dumps(own, ensure_ascii=False, allow_nan=False), int(deleted)
        except (TypeError, ValueError, RecursionError) as error:
            raise StoreError(f"a {kind} cannot be kept: it is not JSON ({error})") from error

    def _now(self) -> str:
        return (
            self._clock().astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        )


def _document(row: tuple[int, str, int, int, str, str]) -> Document:
    document_id, own, deleted, version, created_at, updated_at = row
    return {
        "id": document_id,
        **json.loads(own),
        "deleted": bool(deleted),
        "version": version,
        "created_at": created_at,
        "updated_at": updated_at,
    }
