"""Spans to PostHog's AI events.

A span is a generation when it is one call of a model. A span around other calls that repeats their
tokens (an agent, a framework's wrapper) is a ``$ai_span``, so that sums over calls count each call
once. Spans that know nothing of models are kept only where a kept span lies below them: then every
parent can be found.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nightpane.otel.content import calls_content, work_content
from nightpane.otel.correlation import Place, distinct_id, place_of
from nightpane.otel.events import (
    Translation,
    base,
    event,
    event_uuid,
    expanded,
    outcome,
    stated,
)
from nightpane.otel.fields import described, usage
from nightpane.otel.kinds import EMBEDDING, SPAN, kind_of, span_type
from nightpane.otel.memory import Below, Memory, Tokens
from nightpane.otel.model import Span

__all__ = ["events_of_spans"]

_MAX_ANCESTORS = 64
_Key = tuple[str, str]


def events_of_spans(
    spans: Iterable[Span],
    *,
    baggage: Mapping[str, str] | None = None,
    memory: Memory | None = None,
) -> Translation:
    """Return the AI events of some spans; the same spans give the same events, uuids included.

    ``baggage`` is that of the request that brought them. ``memory`` carries what must be known of
    earlier requests; without one, these spans stand alone. Never raises for what spans hold.
    """
    memory = Memory() if memory is None else memory
    made = Translation()
    usable: dict[_Key, Span] = {}
    for span in spans:
        if span.trace_id and span.span_id:
            usable.setdefault((span.trace_id, span.span_id), span)
        else:
            made.refuse(f"span {span.name[:80]!r} has no valid trace id or span id")
    places = _places(usable, place_of(baggage or {}))
    for span in _children_first(usable):
        translated = _event(span, places[span.trace_id, span.span_id], memory)
        if translated is None:
            made.passed_over += 1
        else:
            made.events.append(translated)
    return made


def _event(span: Span, place: Place, memory: Memory) -> dict[str, Any] | None:
    """Return the event of a span, None when it has nothing to do with a model."""
    attributes = expanded(span.attributes)
    below = memory.below(span.trace_id, span.span_id)
    kind = kind_of(span.name, attributes)
    if kind is None:
        if not below.children:
            return None
        kind = SPAN
    used = usage(attributes)
    if kind != SPAN:
        kind = _own_call(span, kind, used, below, memory)
    if kind != SPAN:
        below = Below(below.children, below.calls + 1, _sum(_tokens(used), below.tokens))
    parent_id = "" if span.parent_id == span.span_id else span.parent_id
    if parent_id:
        memory.add_child(span.trace_id, parent_id, span.span_id, below)
    return _made(span, kind, attributes, used, place, parent_id)


def _own_call(span: Span, kind: str, used: Mapping[str, Any], below: Below, memory: Memory) -> str:
    """Return the kind of a span that looks like a call: a span when the call is told elsewhere."""
    repeats = below.calls and _tokens(used) in ((0, 0), below.tokens)
    if repeats or memory.teller(span.trace_id, span.span_id, "span") == "log":
        return SPAN
    return kind


def _made(
    span: Span,
    kind: str,
    attributes: Mapping[str, Any],
    used: dict[str, Any],
    place: Place,
    parent_id: str,
) -> dict[str, Any]:
    properties = base(attributes, span.source)
    properties |= described(attributes)
    if kind == SPAN:
        properties |= work_content(attributes, span.events)
        if used:
            properties["$ai_usage"] = used
    else:
        properties |= calls_content(attributes, span.events) | used
        if kind == EMBEDDING:
            properties.pop("$ai_output_choices", None)
    properties |= outcome(attributes, span.events, span.failed, span.status_message)
    properties |= _named(span, kind, attributes)
    if parent_id:
        properties["$ai_parent_id"] = parent_id
    properties |= place.properties(root=not parent_id)
    properties |= stated(attributes)
    return event(
        kind,
        uuid=event_uuid(attributes, span.trace_id, span.span_id),
        time_ns=span.start_ns or span.end_ns,
        who=distinct_id(place, attributes, span.source.resource, span.trace_id),
        properties=properties,
    )


def _named(span: Span, kind: str, attributes: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "$ai_trace_id": span.trace_id,
        "$ai_span_id": span.span_id,
        "$ai_span_name": span.name,
    }
    if kind == SPAN:
        work = span_type(attributes)
        if work is not None:
            found["$ai_span_type"] = work
        tool = attributes.get("ai.toolCall.name")
        if isinstance(tool, str) and tool:
            found["$ai_span_name"] = tool
    if span.end_ns > span.start_ns > 0:
        found["$ai_latency"] = (span.end_ns - span.start_ns) / 1e9
    return found


def _tokens(used: Mapping[str, Any]) -> Tokens:
    return used.get("$ai_input_tokens", 0), used.get("$ai_output_tokens", 0)


def _sum(one: Tokens, other: Tokens) -> Tokens:
    return one[0] + other[0], one[1] + other[1]


def _ancestors(span: Span, spans: Mapping[_Key, Span]) -> list[Span]:
    """Return the ancestors among these spans, nearest first, as far as they are followed."""
    found: list[Span] = []
    above = spans.get((span.trace_id, span.parent_id))
    while above is not None and above is not span and len(found) < _MAX_ANCESTORS:
        found.append(above)
        above = spans.get((above.trace_id, above.parent_id))
    return found


def _children_first(spans: Mapping[_Key, Span]) -> Sequence[Span]:
    return sorted(spans.values(), key=lambda span: -len(_ancestors(span, spans)))


def _places(spans: Mapping[_Key, Span], baggage: Place) -> dict[_Key, Place]:
    """Return each span's place: its own, its ancestors', its process's, its request's, its trace's.

    A trace lends its round to the spans that lack one only when it has a single one.
    """
    own = {key: place_of(span.attributes) for key, span in spans.items()}
    resources = {id(span.source): place_of(span.source.resource) for span in spans.values()}
    of_trace: dict[str, Place | None] = {}
    for (trace_id, _), place in own.items():
        if place.round_id is not None:
            known = of_trace.setdefault(trace_id, place)
            if known is not None and known.round_id != place.round_id:
                of_trace[trace_id] = None
    found: dict[_Key, Place] = {}
    for key, span in spans.items():
        place = own[key]
        for above in _ancestors(span, spans):
            place = place.within(own[above.trace_id, above.span_id])
        place = place.within(resources[id(span.source)]).within(baggage)
        found[key] = place.within(of_trace.get(span.trace_id) or Place())
    return found
