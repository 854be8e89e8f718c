"""OpenTelemetry in and out: OTLP to PostHog's AI events, and rounds to OTLP.

The translation is pure; rounds are read through the query API alone, and only ``Receiver`` sends.
"""

from __future__ import annotations

from nightpane.otel.correlation import read_baggage
from nightpane.otel.events import Translation
from nightpane.otel.logs import events_of_logs
from nightpane.otel.memory import Memory
from nightpane.otel.model import LogRecord, Source, Span, SpanEvent
from nightpane.otel.post import FORMATS, Receiver, encode
from nightpane.otel.rounds import export_rounds, spans_of_round
from nightpane.otel.spans import events_of_spans

__all__ = [
    "FORMATS",
    "LogRecord",
    "Memory",
    "Receiver",
    "Source",
    "Span",
    "SpanEvent",
    "Translation",
    "encode",
    "events_of_logs",
    "events_of_spans",
    "export_rounds",
    "read_baggage",
    "spans_of_round",
]
