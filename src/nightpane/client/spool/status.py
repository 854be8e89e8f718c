"""What a spool folder holds, without changing anything in it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from nightpane.client.spool.files import Files
from nightpane.client.spool.folder import SpoolFolder
from nightpane.client.spool.reader import count_pending, read_destination

__all__ = ["SpoolStatus", "WaitingSegment", "status"]


@dataclass(frozen=True, slots=True)
class WaitingSegment:
    """A segment with events that wait. ``is_held``: a living process writes or delivers it."""

    name: str
    pid: int
    began_s: float
    events: int
    pending_bytes: int
    destination: str
    is_held: bool


@dataclass(frozen=True, slots=True)
class SpoolStatus:
    """A spool folder at one moment. ``refused`` counts the events set aside, by reason."""

    path: Path
    total_bytes: int
    waiting: tuple[WaitingSegment, ...] = ()
    sent_segments: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    lost_frames: int = 0

    @property
    def pending_events(self) -> int:
        """Events that are not delivered yet."""
        return sum(segment.events for segment in self.waiting)

    @property
    def pending_bytes(self) -> int:
        """Bytes of segments that are not delivered yet."""
        return sum(segment.pending_bytes for segment in self.waiting)

    @property
    def refused_events(self) -> int:
        """Events that a destination refused for good."""
        return sum(self.refused.values())


def status(path: Path, files: Files | None = None) -> SpoolStatus:
    """Return what the spool folder at ``path`` holds; an absent folder holds nothing."""
    folder = SpoolFolder(path, files)
    found = [_waiting(folder, name.stem) for name in folder.names("seg")]
    return SpoolStatus(
        path=path,
        total_bytes=folder.total_bytes(),
        waiting=tuple(segment for segment in found if segment is not None and segment.events),
        sent_segments=len(folder.names("sent")),
        refused=dict(Counter(str(note.get("reason")) for note in folder.refused())),
        lost_frames=sum(int(note.get("frames", 1)) for note in folder.lost()),
    )


def _waiting(folder: SpoolFolder, stem: str) -> WaitingSegment | None:
    files = folder.files
    try:
        fd = files.open(folder.file(stem, "seg"))
    except FileNotFoundError:
        return None
    try:
        start, end = folder.read_ack(stem).offset, files.size(fd)
        name = next(name for name in folder.names("seg") if name.stem == stem)
        return WaitingSegment(
            name=f"{stem}.seg",
            pid=name.pid,
            began_s=name.began_s,
            events=count_pending(files, fd, start, end),
            pending_bytes=max(0, end - start),
            destination=_destination(folder, fd),
            # Trying the lock takes it for an instant only: the descriptor is closed below.
            is_held=not files.lock(fd),
        )
    except StopIteration:
        return None
    finally:
        files.close(fd)


def _destination(folder: SpoolFolder, fd: int) -> str:
    try:
        destination = read_destination(folder.files, fd)
    except ValueError as error:
        return str(error)
    if destination is None:
        return "unknown: its header is damaged"
    if destination.host is not None:
        return destination.host
    return "the local server" if destination.api_key else "whatever is configured"
