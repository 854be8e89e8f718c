"""Log records of the GenAI conventions to PostHog's AI events.

A record that holds a whole call becomes a generation, unless the call's span has told of it
already; then, as with records that hold messages alone, it becomes a span below the call with what
was said. An evaluation's result becomes ``$ai_evaluation``, as in PostHog.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nightpane.ids import deterministic_uuid
from nightpane.otel.attributes import number, pruned, text
from nightpane.otel.content import calls_content, is_message_event, work_content
from nightpane.otel.correlation import Place, distinct_id, place_of
from nightpane.otel.events import Translation, base, event, event_uuid, outcome, stated
from nightpane.otel.fields import described, usage
from nightpane.otel.kinds import SPAN, kind_of
from nightpane.otel.memory import Memory
from nightpane.otel.model import LogRecord, SpanEvent

__all__ = ["events_of_logs"]

_DETAILS = "gen_ai.client.inference.operation.details"
_EVALUATION = "gen_ai.evaluation.result"


def events_of_logs(
    records: Iterable[LogRecord],
    *,
    baggage: Mapping[str, str] | None = None,
    memory: Memory | None = None,
) -> Translation:
    """Return the AI events of some log records; other records are passed over.

    ``baggage`` and ``memory`` as for spans. Never raises for what records hold.
    """
    memory = Memory() if memory is None else memory
    made = Translation()
    outer = place_of(baggage or {})
    messages: dict[tuple[str, str], list[LogRecord]] = {}
    for record in records:
        if record.event_name == _DETAILS:
            made.events.append(_call(record, _place(record, outer, memory), memory))
        elif record.event_name == _EVALUATION:
            _evaluation(record, _place(record, outer, memory), made)
        elif is_message_event(record.event_name) and record.span_id:
            messages.setdefault((record.trace_id, record.span_id), []).append(record)
        else:
            made.passed_over += 1
    for told in messages.values():
        made.events.append(_said(told, _place(told[0], outer, memory)))
    return made


def _place(record: LogRecord, outer: Place, memory: Memory) -> Place:
    own = place_of(record.attributes)
    memory.know_round(record.trace_id, own)
    place = own.within(place_of(record.source.resource)).within(outer)
    return place.within(memory.round_of(record.trace_id))


def _call(record: LogRecord, place: Place, memory: Memory) -> dict[str, Any]:
    """Return the event of a record that holds a whole call."""
    attributes = {**record.attributes, **_members(record.body)}
    told_by_span = (
        bool(record.span_id) and memory.teller(record.trace_id, record.span_id, "log") == "span"
    )
    kind = SPAN if told_by_span else kind_of("", attributes) or SPAN
    properties = _common(record, place, "details") | described(attributes)
    if kind == SPAN:
        properties |= work_content(attributes, ())
    else:
        properties |= calls_content(attributes, ()) | usage(attributes)
    properties |= outcome(attributes, (), False, "") | stated(attributes)
    properties["$ai_span_name"] = " ".join(
        one
        for one in (text(attributes.get("gen_ai.operation.name")), properties.get("$ai_model"))
        if one
    )
    return _event(kind, record, place, properties, "details")


def _said(records: list[LogRecord], place: Place) -> dict[str, Any]:
    """Return one span with the messages that records of one call hold."""
    first = records[0]
    told = [
        SpanEvent(one.event_name, attributes={**one.attributes, **_members(one.body)})
        for one in records
    ]
    properties = _common(first, place, "messages") | work_content({}, told)
    properties["$ai_span_name"] = "messages"
    return _event(SPAN, first, place, properties, "messages")


def _evaluation(record: LogRecord, place: Place, made: Translation) -> None:
    about = record.attributes
    name = text(about.get("gen_ai.evaluation.name"))
    label = text(about.get("gen_ai.evaluation.score.label"))
    score = number(about.get("gen_ai.evaluation.score.value"))
    if name is None or (label is None and score is None):
        made.refuse("an evaluation has no gen_ai.evaluation.name, or neither score nor label")
        return
    properties = _common(record, place, "evaluation") | pruned(
        {
            "$ai_evaluation_id": deterministic_uuid("otel-evaluation", name),
            "$ai_evaluation_name": name,
            "$ai_evaluation_type": "imported",
            "$ai_evaluation_runtime": "otel",
            "$ai_evaluation_result": score if label is None else label,
            "$ai_evaluation_reasoning": text(about.get("gen_ai.evaluation.explanation")),
            "$ai_score": score,
            "$ai_target_id": record.span_id or None,
        }
    )
    made.events.append(
        _event("$ai_evaluation", record, place, properties, "evaluation", name, str(record.time_ns))
    )


def _common(record: LogRecord, place: Place, part: str) -> dict[str, Any]:
    """Return what every record's event has; its parent is the span it was written in."""
    properties = base(record.attributes, record.source)
    if record.trace_id:
        properties["$ai_trace_id"] = record.trace_id
    properties["$ai_span_id"] = f"{record.span_id or deterministic_uuid(*_seed(record))}:{part}"
    properties |= place.properties(root=not record.span_id)
    properties.setdefault("$ai_trace_id", properties["$ai_span_id"])
    if record.span_id:
        properties["$ai_parent_id"] = record.span_id
    return properties


def _event(
    kind: str, record: LogRecord, place: Place, properties: dict[str, Any], *parts: str
) -> dict[str, Any]:
    ids = (record.trace_id, record.span_id) if record.span_id else _seed(record)
    return event(
        kind,
        uuid=event_uuid(record.attributes, "log", *ids, *parts),
        time_ns=record.time_ns,
        who=distinct_id(
            place, record.attributes, record.source.resource, properties["$ai_trace_id"]
        ),
        properties=properties,
    )


def _seed(record: LogRecord) -> tuple[str, ...]:
    """Return what tells a record outside of any span from others."""
    return (
        record.trace_id,
        str(record.time_ns),
        record.event_name,
        repr(sorted(record.attributes.items(), key=lambda item: item[0])),
        repr(record.body),
    )


def _members(body: Any) -> dict[str, Any]:
    return body if isinstance(body, dict) else {}
