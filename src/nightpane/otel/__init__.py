"""OpenTelemetry in and out: OTLP to PostHog's AI events, and rounds to OTLP.

Nothing here touches the network, the disk or the store: the server brings requests in, the command
line sends rounds out.
"""

from __future__ import annotations

from nightpane.otel.correlation import read_baggage
from nightpane.otel.events import Translation
from nightpane.otel.logs import events_of_logs
from nightpane.otel.memory import Memory
from nightpane.otel.model import LogRecord, Source, Span, SpanEvent
from nightpane.otel.spans import events_of_spans

__all__ = [
    "LogRecord",
    "Memory",
    "Source",
    "Span",
    "SpanEvent",
    "Translation",
    "events_of_logs",
    "events_of_spans",
    "read_baggage",
]
