"""The spool's folder: which segments lie in it, how far each is delivered, what was set aside.

    <ulid>-<pid>.new    being made; becomes .seg once it is locked and has its header
    <ulid>-<pid>.seg    holds events that are not all delivered; its writer or deliverer locks it
    <ulid>-<pid>.ack    how far its segment is delivered
    <ulid>-<pid>.sent   delivered to the end; deleted after a day, or sooner when space is short
    refused.jsonl       events the destination refused for good, each with the reason
    lost.jsonl          stretches of segments that could not be read, each with its place and date

It never deletes an event that is neither delivered nor set aside.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nightpane.client.spool.files import Files
from nightpane.ids import is_ulid, ulid_ms

__all__ = ["Ack", "SegmentName", "SpoolFolder"]

_SENT_KEPT_S = 24 * 3600.0
_NEW_KEPT_S = 60.0


@dataclass(frozen=True, slots=True)
class Ack:
    """How far a segment is settled: a byte offset, and the events behind it by outcome."""

    offset: int = 0
    delivered: int = 0
    refused: int = 0
    lost: int = 0

    def text(self) -> str:
        """Return the form on disk."""
        counts = {"delivered": self.delivered, "refused": self.refused, "lost": self.lost}
        return json.dumps({"offset": self.offset, **counts})

    @classmethod
    def parse(cls, text: str) -> Ack:
        """Read the form on disk; what is damaged counts as nothing delivered, which is safe."""
        try:
            read = json.loads(text)
            numbers = [int(read[name]) for name in ("offset", "delivered", "refused", "lost")]
        except (ValueError, TypeError, KeyError):
            return cls()
        return cls(*numbers) if min(numbers) >= 0 else cls()


@dataclass(frozen=True, slots=True, order=True)
class SegmentName:
    """A segment's name in parts; they sort in the order they were begun."""

    stem: str
    suffix: str
    size_bytes: int

    @property
    def pid(self) -> int:
        """The process that wrote it."""
        return int(self.stem.partition("-")[2])

    @property
    def began_s(self) -> float:
        """When it was begun, seconds since the epoch."""
        return ulid_ms(self.stem[:26]) / 1000


class SpoolFolder:
    """Reads and changes what lies in one spool folder."""

    def __init__(
        self, path: Path, files: Files | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self.path = path
        self.files = files or Files()
        self._clock = clock

    def names(self, *suffixes: str) -> list[SegmentName]:
        """Return the segments with these suffixes, the oldest first."""
        found = []
        for name, size in self.files.listing(self.path):
            stem, _, suffix = name.rpartition(".")
            ulid, _, pid = stem.partition("-")
            if suffix in suffixes and is_ulid(ulid) and pid.isdecimal():
                found.append(SegmentName(stem, suffix, size))
        return sorted(found)

    def file(self, stem: str, suffix: str) -> Path:
        """Return the path of one of a segment's files."""
        return self.path / f"{stem}.{suffix}"

    def total_bytes(self) -> int:
        """Return how much disk the spool takes, all of its files together."""
        return sum(size for _, size in self.files.listing(self.path))

    def read_ack(self, stem: str) -> Ack:
        """Return how far a segment is settled; nothing when that is not known."""
        try:
            return Ack.parse(self.files.read_text(self.file(stem, "ack")))
        except (OSError, UnicodeDecodeError):
            # Without it everything is sent again: the events' uuids make that harmless.
            return Ack()

    def write_ack(self, stem: str, ack: Ack) -> None:
        """Remember how far a segment is settled, in one step."""
        temporary = self.file(stem, "ack-new")
        fd = self.files.append_to(temporary)
        try:
            self.files.truncate(fd, 0)
            self._write_all(fd, ack.text().encode())
        finally:
            self.files.close(fd)
        self.files.replace(temporary, self.file(stem, "ack"))

    def mark_sent(self, stem: str) -> None:
        """Remember that a segment is delivered to its end. The caller holds its lock."""
        self.files.replace(self.file(stem, "seg"), self.file(stem, "sent"))
        self.files.remove(self.file(stem, "ack"))

    def remove_empty(self, stem: str) -> None:
        """Delete a segment that never held an event. The caller holds its lock."""
        self.files.remove(self.file(stem, "seg"))
        self.files.remove(self.file(stem, "ack"))

    def make_room(self, needed_bytes: int, max_bytes: int) -> int:
        """Delete delivered segments, the oldest first, until ``needed_bytes`` more fit.

        Returns how many bytes the spool takes then.
        """
        total = self.total_bytes()
        for name in self.names("sent"):
            if total + needed_bytes <= max_bytes:
                break
            self.files.remove(self.file(name.stem, "sent"))
            total -= name.size_bytes
        return total

    def tidy(self) -> None:
        """Delete what nobody needs: segments delivered a day ago, files never finished."""
        now = self._clock()
        for name in self.names("sent"):
            if now - name.began_s > _SENT_KEPT_S:
                self.files.remove(self.file(name.stem, "sent"))
        for name in self.names("new"):
            if now - name.began_s > _NEW_KEPT_S:
                self._remove_unfinished(self.file(name.stem, "new"))
        segments = {name.stem for name in self.names("seg")}
        for name in self.names("ack", "ack-new"):
            if name.stem not in segments and now - name.began_s > _NEW_KEPT_S:
                self.files.remove(self.file(name.stem, name.suffix))

    def _remove_unfinished(self, path: Path) -> None:
        with suppress(FileNotFoundError):
            fd = self.files.open(path)
            try:
                if self.files.lock(fd):
                    self.files.remove(path)
            finally:
                self.files.close(fd)

    def set_aside(self, payload: bytes, reason: str) -> None:
        """Keep an event the destination refused for good, with the reason."""
        event = payload.decode("utf-8", "replace")
        self._note("refused.jsonl", {"reason": reason, "event": event})

    def record_lost(self, stem: str, start: int, end: int, frames: int, why: str) -> None:
        """Keep the place of a stretch that could not be read."""
        place = {"segment": stem, "start": start, "end": end, "frames": frames, "reason": why}
        self._note("lost.jsonl", place)

    def refused(self) -> list[dict[str, Any]]:
        """Return the events set aside, each once, with ``reason``, ``at_s`` and ``event``."""
        by_event = {str(note.get("event")): note for note in self._notes("refused.jsonl")}
        return list(by_event.values())

    def lost(self) -> list[dict[str, Any]]:
        """Return the stretches that could not be read, each once."""
        notes = self._notes("lost.jsonl")
        return list({(note.get("segment"), note.get("start")): note for note in notes}.values())

    def clear_refused(self) -> None:
        """Forget the events set aside: the caller has spooled them again."""
        self.files.remove(self.path / "refused.jsonl")

    def _note(self, name: str, note: dict[str, Any]) -> None:
        line = json.dumps({"at_s": round(self._clock(), 3), **note}) + "\n"
        fd = self.files.append_to(self.path / name)
        try:
            self._write_all(fd, line.encode())
            self.files.sync(fd)
        finally:
            self.files.close(fd)

    def _notes(self, name: str) -> Iterator[dict[str, Any]]:
        try:
            text = self.files.read_text(self.path / name)
        except (FileNotFoundError, UnicodeDecodeError):
            return
        for line in text.splitlines():
            try:
                note = json.loads(line)
            except ValueError:
                # A line cut short by a crash: its event is still in the segment, or sent again.
                continue
            if isinstance(note, dict):
                yield note

    def _write_all(self, fd: int, data: bytes) -> None:
        written = self.files.write(fd, data)
        if written != len(data):
            raise OSError(f"only {written} of {len(data)} bytes could be written in {self.path}")


def own_stem(ulid: str) -> str:
    """Return the stem of a segment this process begins."""
    return f"{ulid}-{os.getpid()}"
