"""Appends events to this process's own segment: one lock, one write(2), no waiting for the disk.

When ``append`` returns, the event is with the kernel and outlives the process; ``sync`` puts it on
the disk itself. It never writes into another process's segment, never deletes an undelivered event,
and leaves no half frame behind a failed write.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from nightpane.client.destination import Destination
from nightpane.client.spool import frames
from nightpane.client.spool.folder import SpoolFolder, own_stem
from nightpane.errors import SpoolError, SpoolFullError
from nightpane.ids import new_ulid

__all__ = ["DEFAULT_MAX_BYTES", "SEGMENT_BYTES", "Active", "SpoolWriter"]

DEFAULT_MAX_BYTES = 2 * 1024**3
SEGMENT_BYTES = 8 * 1024**2

_RECOUNT_S = 0.5


@dataclass(slots=True)
class Active:
    """The segment being written: ``end`` is behind its last whole frame."""

    stem: str
    fd: int
    start: int
    end: int
    events: int = 0
    synced: int = 0


class SpoolWriter:
    """Owns one segment at a time in ``folder``, for events that go to ``destination``."""

    def __init__(
        self,
        folder: SpoolFolder,
        destination: Destination,
        *,
        max_bytes: int = DEFAULT_MAX_BYTES,
        segment_bytes: int = SEGMENT_BYTES,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = folder
        self.destination = destination
        self.max_bytes = max_bytes
        self._segment_bytes = min(segment_bytes, max(4096, max_bytes // 8))
        self._monotonic = monotonic
        self._files = folder.files
        # Re-entrant: a signal handler or a finaliser may track() while this thread writes.
        self._lock = threading.RLock()
        self._active: Active | None = None
        self._sync_lock = threading.RLock()
        self._sealed: dict[str, int] = {}
        self._written: set[str] = set()
        self._leased: str | None = None
        self._others_bytes = 0
        self._full_until = 0.0

    def append(self, payload: bytes) -> None:
        """Write one event. Raises SpoolFullError when there is no room, SpoolError on a fault."""
        frame = frames.encode(payload)
        with self._lock:
            try:
                active = self._room_for(len(frame))
                self._write(active, frame)
            except OSError as error:
                raise SpoolError(
                    f"the spool in {self.folder.path} cannot be written: {error}; "
                    "free space there or set NIGHTPANE_SPOOL_DIR to another folder"
                ) from error

    @property
    def active(self) -> Active | None:
        """The segment being written, None before the first event."""
        return self._active

    @property
    def is_synced(self) -> bool:
        """Whether everything written is on the disk itself."""
        active = self._active
        return not self._sealed and (active is None or active.synced == active.end)

    def undelivered(self, acked_offset: int) -> bool:
        """Tell whether anything written here still waits; ``acked_offset`` is the active one's."""
        with self._lock:
            active, written = self._active, set(self._written)
        if active is not None:
            written.discard(active.stem)
            if acked_offset < active.end:
                return True
        # Another process may have delivered a full segment: then it has lost its name.
        gone = {stem for stem in written if not self.folder.file(stem, "seg").exists()}
        with self._lock:
            self._written -= gone
        return bool(written - gone)

    def sync(self) -> None:
        """Put what is written on the disk itself, and let go of full segments. Raises SpoolError.

        Never called on the thread that tracks.
        """
        with self._sync_lock:
            with self._lock:
                active = self._active
                end = active.end if active else 0
                sealed = dict(self._sealed)
            try:
                for stem, fd in sealed.items():
                    if stem in self._sealed:
                        self._files.sync(fd)
                        self._let_go(stem)
                if active is not None and active.synced < end:
                    self._sync_active(active, end)
            except OSError as error:
                place = self.folder.path
                raise SpoolError(f"the spool in {place} cannot be synced: {error}") from error

    def lease(self, stem: str) -> tuple[int, int] | None:
        """Hold one of the own segments for delivery: its descriptor, and the end of what it holds.

        Until ``release``, its lock stays with this process even when it is full meanwhile.
        """
        with self._lock:
            if self._active is not None and self._active.stem == stem:
                self._leased = stem
                return self._active.fd, self._active.end
            if stem in self._sealed:
                self._leased = stem
                return self._sealed[stem], self._files.size(self._sealed[stem])
            return None

    def release(self) -> None:
        """End the lease."""
        with self._lock:
            self._leased = None

    def seal(self) -> None:
        """Close the segment being written; the next event begins another."""
        with self._lock:
            self._seal()

    def close(self) -> None:
        """Seal, sync and let go of everything, for any process to deliver. Raises SpoolError."""
        self.seal()
        try:
            self.sync()
        finally:
            for stem in list(self._sealed):
                self._let_go(stem)

    def room_was_made(self) -> None:
        """Try again at once after the spool was full."""
        self._full_until = 0.0

    def after_fork(self) -> None:
        """Forget the parent's segments in a child, without ending the parent's locks."""
        held = list(self._sealed.values()) + ([self._active.fd] if self._active else [])
        for fd in held:
            with suppress(OSError):
                self._files.close(fd)
        self._lock, self._sync_lock = threading.RLock(), threading.RLock()
        self._active, self._sealed, self._leased = None, {}, None
        self._written = set()
        self._full_until = 0.0

    def _room_for(self, size: int) -> Active:
        active = self._active
        if active is not None and active.end + size > self._segment_bytes and active.events:
            self._seal()
            active = None
        own = active.end if active is not None else 0
        if active is None or own + self._others_bytes + size > self.max_bytes:
            self._make_room(size, own)
        return active if active is not None else self._begin()

    def _make_room(self, size: int, own: int) -> None:
        now = self._monotonic()
        if now >= self._full_until:
            total = self.folder.make_room(size, self.max_bytes)
            self._others_bytes = total - own
            if total + size <= self.max_bytes:
                return
            self._full_until = now + _RECOUNT_S
        raise SpoolFullError(
            f"the spool in {self.folder.path} holds its limit of {self.max_bytes} bytes, all of "
            "it undelivered: start the server or raise max_spool_bytes"
        )

    def _begin(self) -> Active:
        stem = own_stem(new_ulid())
        path = self.folder.file(stem, "new")
        self._files.make_folder(self.folder.path)
        fd = self._files.create(path)
        try:
            if not self._files.lock(fd):
                raise OSError(f"{path} was locked by another process as soon as it was made")
            header = frames.encode(self.destination.header(began=stem), frames.HEADER) * 2
            written = self._files.write(fd, header)
            if written != len(header):
                raise OSError(f"only {written} of {len(header)} bytes could be written to {path}")
            # Named only now: whoever finds a segment finds it locked and with its header.
            self._files.replace(path, self.folder.file(stem, "seg"))
        except BaseException:
            self._files.close(fd)
            with suppress(OSError):
                self._files.remove(path)
            raise
        self._active = Active(stem, fd, len(header), len(header))
        self._written.add(stem)
        return self._active

    def _write(self, active: Active, frame: bytes) -> None:
        try:
            written = self._files.write(active.fd, frame)
            if written != len(frame):
                raise OSError(f"the disk took only {written} of {len(frame)} bytes")
        except OSError:
            self._cut_back(active)
            raise
        active.end += len(frame)
        active.events += 1

    def _cut_back(self, active: Active) -> None:
        try:
            self._files.truncate(active.fd, active.end)
        except OSError:
            # Whatever is behind the last frame stays there; the reader passes over it.
            self._seal()

    def _seal(self) -> None:
        active, self._active = self._active, None
        if active is None:
            return
        self._sealed[active.stem] = active.fd
        self._others_bytes += active.end

    def _let_go(self, stem: str) -> None:
        with self._lock:
            if stem != self._leased and stem in self._sealed:
                self._files.close(self._sealed.pop(stem))

    def _sync_active(self, active: Active, end: int) -> None:
        # A copy: the number may be closed, and taken by another file, while the disk works.
        with self._lock:
            if self._active is not active:
                return
            copy = self._files.duplicate(active.fd)
        try:
            self._files.sync(copy)
            if not self._files.is_named(copy, self.folder.file(active.stem, "seg")):
                self._rescue(active)
            elif active.synced == 0:
                self._files.sync_folder(self.folder.path)
        finally:
            self._files.close(copy)
        active.synced = end

    def _rescue(self, lost: Active) -> None:
        """Write a segment again whose file was deleted under us, into a new one."""
        with self._lock:
            if self._active is not lost:
                return
            data = self._files.read(lost.fd, lost.end - lost.start, lost.start)
            self._active = None
            fresh = self._begin()
            self._write(fresh, data)
            fresh.events = lost.events
            self._files.close(lost.fd)
            self._written.discard(lost.stem)
