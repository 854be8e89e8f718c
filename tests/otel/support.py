"""Spans of tests: one model call, with what a test wants of it."""

from __future__ import annotations

from typing import Any

from nightpane.otel import Source, Span, SpanEvent, Translation, events_of_spans

__all__ = ["TRACE", "one", "properties", "span", "told"]

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
START_NS = 1_764_000_000_000_000_000


def span(span_id: str = "00f067aa0ba902b7", /, parent: str = "", **more: Any) -> Span:
    """Return a span of 2.5 s; ``more`` are its fields."""
    given = {"start_ns": START_NS, "end_ns": START_NS + 2_500_000_000, "name": "a span", **more}
    return Span(trace_id=TRACE, span_id=span_id, parent_id=parent, **given)


def one(attributes: dict[str, Any], *events: SpanEvent, **more: Any) -> dict[str, Any]:
    """Return the event that a lone span with these attributes becomes."""
    made = events_of_spans([span(attributes=attributes, events=events, **more)])
    (event,) = made.events
    return event


def properties(attributes: dict[str, Any], *events: SpanEvent, **more: Any) -> dict[str, Any]:
    """Return the properties of that event."""
    found: dict[str, Any] = one(attributes, *events, **more)["properties"]
    return found


def told(made: Translation) -> dict[str, dict[str, Any]]:
    """Return events by span id."""
    return {event["properties"]["$ai_span_id"]: event for event in made.events}


def source(scope: str) -> Source:
    """Return a process with one instrumentation library."""
    return Source({"service.name": "loop", "host.name": "secret-host"}, scope, "1.2.3")
