"""What a file of recorded model calls says, whichever tool wrote it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

__all__ = ["Messages", "Recorded", "Trace", "TraceFile", "Unread", "moment"]

Kind = Literal["$ai_generation", "$ai_embedding", "$ai_span"]

# What one call's messages may take: a long session would otherwise be kept once for each turn.
_MAX_INPUT_CHARS = 1_000_000


@dataclass(frozen=True, slots=True)
class Recorded:
    """One recorded event: a model call, or a span around some.

    ``ended_at`` is when it was over, None when the file does not say. ``properties`` are
    PostHog's, with their ``$ai_`` names; ``ordinal`` is its place in the trace.
    """

    kind: Kind
    ordinal: int
    span_id: str
    ended_at: datetime | None
    properties: Mapping[str, Any]
    parent_id: str | None = None


@dataclass(frozen=True, slots=True)
class Trace:
    """One trace: a session, a trajectory, a request. ``properties`` go on its ``$ai_trace``."""

    trace_id: str
    name: str
    events: tuple[Recorded, ...]
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unread:
    """A line or record that says nothing that can be understood."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class TraceFile:
    """A file that was recognised. ``traces`` reads it; ``agent`` is the tool that wrote it."""

    path: Path
    format: str
    agent: str
    traces: Callable[[], Iterator[Trace | Unread]]
    notes: tuple[str, ...] = ()


class Messages:
    """The conversation so far, as the next call sends it."""

    def __init__(self) -> None:
        self._messages: list[Any] = []
        self._sizes: list[int] = []

    def add(self, message: Any) -> None:
        """Append one message."""
        self._messages.append(message)
        self._sizes.append(len(str(message)))

    def sent(self) -> list[Any]:
        """Return the messages, without the oldest but the first when they are too long to keep."""
        if sum(self._sizes) <= _MAX_INPUT_CHARS:
            return list(self._messages)
        room, first = _MAX_INPUT_CHARS - self._sizes[0], len(self._messages)
        while first > 1 and self._sizes[first - 1] <= room:
            first -= 1
            room -= self._sizes[first]
        left_out = {"role": "system", "content": f"[{first - 1} earlier messages are not kept]"}
        return [self._messages[0], left_out, *self._messages[first:]]

    def __len__(self) -> int:
        return len(self._messages)


def moment(value: Any) -> datetime | None:
    """Return a time given as ISO text or as seconds since the epoch, None for anything else."""
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
        if isinstance(value, str):
            when = datetime.fromisoformat(value)
            return when.replace(tzinfo=UTC) if when.utcoffset() is None else when.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None
