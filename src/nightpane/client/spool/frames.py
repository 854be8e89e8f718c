"""How one event lies in a segment: a mark, a length, a checksum, the event's JSON.

The mark begins and ends with bytes that UTF-8 never contains, and a payload is UTF-8, so after
damage the next mark is surely a frame's: one flipped byte costs one frame.

    3 bytes   mark FE 4E 50, then 1 byte kind: H header, E event
    4 bytes   length of the payload, little endian
    4 bytes   CRC-32 of the payload, seeded with kind and length
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["EVENT", "HEADER", "MAX_PAYLOAD_BYTES", "Frame", "Gap", "encode", "scan"]

HEADER = b"H"
EVENT = b"E"
MAX_PAYLOAD_BYTES = 16 * 1024 * 1024 - 1
OVERHEAD_BYTES = 12

_MARK = b"\xfeNP"
_PREFIX = struct.Struct("<4sII")
_KINDS = (_MARK + HEADER, _MARK + EVENT)


@dataclass(frozen=True, slots=True)
class Frame:
    """A whole frame: where it starts, its kind and payload, and where the next one starts."""

    start: int
    kind: bytes
    payload: bytes
    end: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Bytes that hold no whole frame: a torn end or damage. ``frames`` is how many were lost."""

    start: int
    end: int
    frames: int


def encode(payload: bytes, kind: bytes = EVENT) -> bytes:
    """Return the frame that holds ``payload``."""
    size = len(payload)
    return _PREFIX.pack(_MARK + kind, size, _checksum(kind, payload)) + payload


def _checksum(kind: bytes, payload: bytes) -> int:
    return zlib.crc32(payload, kind[0] << 24 | len(payload))


def scan(data: bytes, *, last: bool = True) -> Iterator[Frame | Gap]:
    """Yield every whole frame in ``data``, and the gaps between them, in order.

    ``last`` tells that nothing follows ``data``. Without it, an end that may go on is not yielded:
    read on from the last ``end``.
    """
    position, size = 0, len(data)
    while position < size:
        frame = _frame_at(data, position)
        if frame is None:
            following = _next_frame(data, position + 1)
            if following is None:
                if last:
                    yield _gap(data, position, size)
                return
            yield _gap(data, position, following.start)
            frame = following
        yield frame
        position = frame.end


def _frame_at(data: bytes, position: int) -> Frame | None:
    if position + OVERHEAD_BYTES > len(data):
        return None
    mark, size, checksum = _PREFIX.unpack_from(data, position)
    end = position + OVERHEAD_BYTES + size
    if mark not in _KINDS or size > MAX_PAYLOAD_BYTES or end > len(data):
        return None
    payload = data[position + OVERHEAD_BYTES : end]
    if _checksum(mark[3:], payload) != checksum:
        return None
    return Frame(position, mark[3:], payload, end)


def _next_frame(data: bytes, position: int) -> Frame | None:
    while (position := data.find(_MARK, position)) >= 0:
        if (frame := _frame_at(data, position)) is not None:
            return frame
        position += 1
    return None


def _gap(data: bytes, start: int, end: int) -> Gap:
    # A gap whose own mark was damaged still held a frame.
    return Gap(start, end, max(1, data.count(_MARK, start, end)))
