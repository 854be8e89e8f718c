"""OpenTelemetry's spans and log records as plain values, whatever wire format they came in.

Ids are lower-case hex, times nanoseconds since the epoch, attribute values plain JSON values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["LogRecord", "Source", "Span", "SpanEvent"]

Attributes = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Source:
    """Who emitted it: the resource (a process), and the instrumentation library's scope."""

    resource: Attributes = field(default_factory=dict)
    scope: str = ""
    scope_version: str = ""


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """Something that happened during a span."""

    name: str
    time_ns: int = 0
    attributes: Attributes = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One span; ``parent_id`` is empty for a root, an id that was unusable is empty as well.

    ``kind`` is OpenTelemetry's number (1 internal, 3 client).
    """

    trace_id: str
    span_id: str
    parent_id: str = ""
    name: str = ""
    kind: int = 1
    start_ns: int = 0
    end_ns: int = 0
    attributes: Attributes = field(default_factory=dict)
    events: tuple[SpanEvent, ...] = ()
    failed: bool = False
    status_message: str = ""
    source: Source = field(default_factory=Source)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRecord:
    """One log record; ``event_name`` makes it an event, empty ids leave it outside of any span."""

    event_name: str
    trace_id: str = ""
    span_id: str = ""
    time_ns: int = 0
    attributes: Attributes = field(default_factory=dict)
    body: Any = None
    source: Source = field(default_factory=Source)
