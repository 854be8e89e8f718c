"""The loop's own memory: what has happened, a line an entry, on disk before anything follows.

It lets a loop that was killed at any point go on without repeating or losing a round. One process
at a time has a journal; a torn last line is an entry that never happened.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from nightpane.errors import LoopError

__all__ = ["Entry", "Journal"]

Entry = dict[str, Any]


class Journal:
    """The entries of one target, oldest first. Made by ``Journal.open``."""

    def __init__(self, path: Path, file: IO[bytes], entries: list[Entry]) -> None:
        self.path = path
        self._file = file
        self._entries = entries
        self._size = file.tell()

    @classmethod
    @contextmanager
    def open(cls, folder: Path) -> Iterator[Journal]:
        """Give the journal kept in a folder, made on first use, locked until it is left.

        Raises LoopError when another process has it, or when a line before the last is damaged.
        """
        path = folder / "journal.jsonl"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = path.open("a+b")
        except OSError as error:
            raise LoopError(f"the journal {path} cannot be used: {error}") from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise LoopError(
                    f"another loop works on this target: it holds {path}; wait for it or stop it"
                ) from error
            entries, end = _read(file, path)
            if end is not None:
                file.truncate(end)
            file.seek(0, os.SEEK_END)
            yield cls(path, file, entries)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What has happened so far."""
        return tuple(self._entries)

    def write(self, kind: str, **facts: Any) -> Entry:
        """Add an entry and return it, once it is on disk.

        Raises LoopError when it cannot be written, or when somebody else has written in between.
        """
        entry = {"kind": kind, **facts}
        line = json.dumps(entry, ensure_ascii=False, allow_nan=False).encode("utf-8") + b"\n"
        try:
            if not self._is_ours():
                raise LoopError(f"the journal {self.path} was changed by somebody else")
            self._file.write(line)
            self._file.flush()
            os.fsync(self._file.fileno())
            self._size += len(line)
        except OSError as error:
            raise LoopError(f"the journal {self.path} cannot be written: {error}") from error
        self._entries.append(entry)
        return entry

    def _is_ours(self) -> bool:
        """Return whether the file is still the one that was opened, and as long as it was left."""
        if not self.path.exists():
            return False
        there, ours = self.path.stat(), os.fstat(self._file.fileno())
        return os.path.samestat(there, ours) and ours.st_size == self._size

    def since(self, kind: str) -> tuple[Entry, ...]:
        """Return the entries from the last one of a kind on; none when there is none."""
        for at in range(len(self._entries) - 1, -1, -1):
            if self._entries[at]["kind"] == kind:
                return tuple(self._entries[at:])
        return ()


def _read(file: IO[bytes], path: Path) -> tuple[list[Entry], int | None]:
    """Return the entries, and where a torn last line begins."""
    file.seek(0)
    entries: list[Entry] = []
    position = 0
    lines = file.readlines()
    for number, line in enumerate(lines, 1):
        entry = _entry(line)
        if entry is None:
            if number < len(lines):
                raise LoopError(
                    f"line {number} of the journal {path} is damaged: put back a copy, or move the "
                    "file away to begin a new run"
                )
            return entries, position
        entries.append(entry)
        position += len(line)
    return entries, None


def _entry(line: bytes) -> Entry | None:
    if not line.endswith(b"\n"):
        return None
    try:
        found: Mapping[str, Any] | Any = json.loads(line)
    except ValueError:
        return None
    return dict(found) if isinstance(found, dict) and isinstance(found.get("kind"), str) else None
