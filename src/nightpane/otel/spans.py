"""Spans to PostHog's AI events.

A span is a generation when it is one call of a model. A span around other calls that repeats their
tokens (an agent, a framework's wrapper) is a ``$ai_span``, so that sums over calls count each call
once. Spans that know nothing of models are kept only where a kept span lies below them: then every
parent can be found.
"""

from __future__ import annotations

from collections import Counter
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
    ordered = _children_first(usable)
    places = _places(ordered, place_of(baggage or {}), memory)
    for span in ordered:
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


def _children_first(spans: Mapping[_Key, Span]) -> list[Span]:
    """Return the spans so that each comes after those below it; loops come last."""
    waits_for = Counter((span.trace_id, span.parent_id) for span in spans.values())
    ready = [key for key in spans if not waits_for[key]]
    ordered: dict[_Key, Span] = {}
    while ready:
        key = ready.pop()
        span = ordered[key] = spans[key]
        above = (span.trace_id, span.parent_id)
        waits_for[above] -= 1
        if above in spans and not waits_for[above]:
            ready.append(above)
    return [*ordered.values(), *(span for key, span in spans.items() if key not in ordered)]


def _places(ordered: Sequence[Span], baggage: Place, memory: Memory) -> dict[_Key, Place]:
    """Return each span's place: its own, its ancestors', its process's, its request's, its trace's.

    A trace lends its round to the spans that lack one only when it has a single one.
    """
    inherited: dict[_Key, Place] = {}
    for span in reversed(ordered):
        place = place_of(span.attributes)
        memory.know_round(span.trace_id, place)
        above = inherited.get((span.trace_id, span.parent_id))
        inherited[span.trace_id, span.span_id] = place if above is None else place.within(above)
    resources = {id(span.source): place_of(span.source.resource) for span in ordered}
    found: dict[_Key, Place] = {}
    for span in ordered:
        key = (span.trace_id, span.span_id)
        place = inherited[key].within(resources[id(span.source)]).within(baggage)
        found[key] = place.within(memory.round_of(span.trace_id))
    return found
