"""Reads a segment in batches, past damage, from where it was delivered to.

It never changes a segment and never refuses one: what cannot be read is told, with its place.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from nightpane.client.destination import Destination
from nightpane.client.spool import frames
from nightpane.client.spool.files import Files

__all__ = ["Batch", "Item", "count_pending", "read_batch", "read_destination"]

_HEADER_WINDOW_BYTES = 64 * 1024
_WINDOW_BYTES = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Item:
    """One event's JSON, and the offset behind it."""

    payload: bytes
    end: int


@dataclass(slots=True)
class Batch:
    """Events that lie together, what was lost before, between or after them, and where to go on."""

    items: list[Item] = field(default_factory=list)
    gaps: list[frames.Gap] = field(default_factory=list)
    end: int = 0


def read_destination(files: Files, fd: int) -> Destination | None:
    """Return where a segment's events go; None when its header is damaged beyond reading.

    The header lies there twice, so that one flipped byte does not cost it. Raises ValueError when
    the segment has a format this version does not know.
    """
    for found in frames.scan(files.read(fd, _HEADER_WINDOW_BYTES, 0), last=False):
        if isinstance(found, frames.Frame):
            if found.kind == frames.HEADER:
                return Destination.from_header(found.payload)
            return None
    return None


def read_batch(
    files: Files, fd: int, start: int, end: int, *, max_events: int, max_bytes: int
) -> Batch:
    """Return the next events between two offsets of a segment, at least one if there is any."""
    batch, taken = Batch(end=start), 0
    window = max(_WINDOW_BYTES, max_bytes)
    while batch.end < end and not batch.items:
        data = _read(files, fd, batch.end, min(end, batch.end + window))
        if not data:
            break
        base = batch.end
        last = base + len(data) >= end
        for found in frames.scan(data, last=last):
            if isinstance(found, frames.Gap):
                gap = frames.Gap(base + found.start, base + found.end, found.frames)
                batch.gaps.append(gap)
            elif found.kind == frames.EVENT:
                size = len(found.payload)
                if batch.items and (taken + size > max_bytes or len(batch.items) >= max_events):
                    return batch
                taken += size
                batch.items.append(Item(found.payload, base + found.end))
            batch.end = base + found.end
        if batch.end == base and not last:
            # A frame larger than the window: look at more of the segment at once.
            window *= 2
    return batch


def count_pending(files: Files, fd: int, start: int, end: int) -> int:
    """Return how many events lie between two offsets."""
    total = 0
    while True:
        batch = read_batch(files, fd, start, end, max_events=10_000, max_bytes=_WINDOW_BYTES)
        if batch.end == start:
            return total
        total, start = total + len(batch.items), batch.end


def _read(files: Files, fd: int, start: int, end: int) -> bytes:
    parts = []
    while start < end:
        part = files.read(fd, end - start, start)
        if not part:
            break
        parts.append(part)
        start += len(part)
    return b"".join(parts)
