"""Rounds as OpenTelemetry traces: read by HogQL, so from PostHog and from a local server alike.

A round is a trace, its id the round's 128 bits. Below the root span stand steps, suites, cases and
model calls, nested by ``$ai_parent_id``; every other event is an event of the span it happened in.
Ids follow from the events' own, so exporting again gives the same spans.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from nightpane.ids import is_ulid, ulid_hex
from nightpane.otel.model import Source, Span, SpanEvent
from nightpane.otel.semconv import attributes_of_call, attributes_of_work, json_text
from nightpane.query import Query

__all__ = ["export_rounds", "spans_of_round"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EVENTS_A_PAGE = 500
_ROUNDS_A_PAGE = 1_000
_CALLS = ("$ai_generation", "$ai_embedding")
_WORK = ("$ai_span", "$ai_trace")
_CRASHES = ("crash", "timeout", "exception", "interrupted", "invalid")
_PLACE = ("round_id", "run_id", "project", "client", "agent")
_HEX_SPAN = re.compile(r"[0-9a-f]{16}")
_HEX_TRACE = re.compile(r"[0-9a-f]{32}")
_INTERNAL, _CLIENT = 1, 3
_MAX_EVENT_CHARS = 4_000


def export_rounds(
    query: Query,
    *,
    round_id: str | None = None,
    run_id: str | None = None,
    since: datetime | None = None,
) -> Iterator[list[Span]]:
    """Yield the spans of each round, the oldest round first, its root span first.

    The rounds are one, those of a run, or those that began at or after a time; all without any.
    Raises what the query raises.
    """
    for one in [round_id] if round_id is not None else _round_ids(query, run_id, since):
        spans = spans_of_round(one, _events(query, one))
        if spans:
            yield spans


def spans_of_round(round_id: str, events: Iterable[Mapping[str, Any]]) -> list[Span]:
    """Return the spans of one round's events (uuid, event, timestamp, properties), root first."""
    root = _Node(round_id, "round", properties={"round_id": round_id})
    nodes: dict[str, _Node] = {round_id: root}
    others: list[_Told] = []
    for row in events:
        told = _Told.of(row)
        root.touch(told.start_us, told.end_us)
        root.take_place(told.properties)
        key = told.node_id
        if key is None or key == round_id:
            others.append(told)
        else:
            nodes.setdefault(key, _Node(key, "")).add(told)
    if root.start_us is None:
        return []
    for told in others:
        parent = nodes.get(str(told.properties.get("$ai_parent_id")), root)
        parent.events.append(told)
    root.absorb(others)
    ids = _Ids(round_id)
    return [node.span(ids, nodes, root) for node in nodes.values()]


@dataclass(frozen=True, slots=True)
class _Told:
    """One event with the time it covers, in microseconds."""

    uuid: str
    event: str
    properties: Mapping[str, Any]
    start_us: int
    end_us: int

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> _Told:
        properties = row["properties"]
        if isinstance(properties, str):
            properties = json.loads(properties)
        at_us = _microseconds(row["timestamp"])
        length_us = _length_us(properties)
        # OpenTelemetry's events bear the time a call began, the SDKs' the time it ended.
        begins = properties.get("$ai_ingestion_source") == "otel"
        start_us, end_us = (at_us, at_us + length_us) if begins else (at_us - length_us, at_us)
        return cls(str(row["uuid"]), str(row["event"]), properties, start_us, end_us)

    @property
    def node_id(self) -> str | None:
        """The id of the span this event is, or is a part of; None for one that is none."""
        about = self.properties
        if self.event in (*_CALLS, *_WORK):
            return str(about.get("$ai_span_id") or about.get("$ai_generation_id") or self.uuid)
        if self.event.startswith("step.") or self.event == "eval.run":
            stated = about.get("$ai_span_id") or about.get("step_id") or about.get("suite_id")
            return str(stated or self.uuid)
        if self.event == "eval.case":
            case = f"{about.get('suite_id')}:{about.get('case_id')}"
            return str(about.get("$ai_span_id") or case)
        return None

    @property
    def parent_id(self) -> str | None:
        """The id of what it happened in, None for the round itself."""
        stated = self.properties.get("$ai_parent_id")
        if stated is None and self.event == "eval.case":
            stated = self.properties.get("suite_id")
        return None if stated is None else str(stated)


@dataclass(slots=True)
class _Node:
    """A span in the making: what one id's events tell."""

    key: str
    name: str
    parent_id: str | None = None
    uuid: str = ""
    event: str = ""
    properties: dict[str, Any] = field(default_factory=dict)
    start_us: int | None = None
    end_us: int = 0
    events: list[_Told] = field(default_factory=list)

    def touch(self, start_us: int, end_us: int) -> None:
        """Stretch over a time."""
        self.start_us = start_us if self.start_us is None else min(self.start_us, start_us)
        self.end_us = max(self.end_us, end_us)

    def take_place(self, properties: Mapping[str, Any]) -> None:
        """Keep where in the loop it is, as the first event that says so has it."""
        for name in _PLACE:
            if properties.get(name) is not None:
                self.properties.setdefault(name, properties[name])

    def add(self, told: _Told) -> None:
        """Take in an event that is this span, or a part of it (a call, then its return)."""
        self.touch(told.start_us, told.end_us)
        self.uuid = self.uuid or told.uuid
        self.parent_id = self.parent_id or told.parent_id
        if not self.event or told.event in (*_CALLS, "step.tool_called", "eval.run"):
            self.event = told.event
        self.properties |= told.properties

    def absorb(self, told: Iterable[_Told]) -> None:
        """Take a round's own events for what they say of the round."""
        for one in told:
            if one.event == "round_started":
                self.uuid = one.uuid
            if one.event in ("round_started", "round_scored", "round_kept", "round_reverted"):
                self.properties |= one.properties
                self.event = one.event

    def span(self, ids: _Ids, nodes: Mapping[str, _Node], root: _Node) -> Span:
        """Return the span."""
        is_root = self is root
        parent = None if is_root else self._parent(nodes, root)
        failure = self._failure()
        start_us = 0 if self.start_us is None else self.start_us
        return Span(
            trace_id=ids.trace_id,
            span_id=ids.span_id(self.key),
            parent_id="" if parent is None else ids.span_id(parent.key),
            name=self._name(),
            kind=_CLIENT if self.event in _CALLS else _INTERNAL,
            start_ns=start_us * 1_000,
            end_ns=self.end_us * 1_000,
            attributes=self._attributes(parent),
            events=tuple(_span_event(told) for told in self.events),
            failed=failure is not None,
            status_message=failure or "",
            source=ids.source(root.properties),
        )

    def _parent(self, nodes: Mapping[str, _Node], root: _Node) -> _Node:
        """Return the node above; the root when none is found, or when it would stand below."""
        found = nodes.get(self.parent_id or "", root)
        above, seen = found, {self.key}
        while above is not root:
            if above.key in seen:
                return root
            seen.add(above.key)
            above = nodes.get(above.parent_id or "", root)
        return found

    def _name(self) -> str:
        about = self.properties
        if self.name:
            return self.name
        if self.event.startswith("step.tool"):
            return f"execute_tool {about.get('tool') or ''}".strip()
        if self.event == "eval.run":
            return f"suite {about.get('suite') or ''}".strip()
        if self.event == "eval.case":
            return f"case {about.get('case_id') or ''}".strip()
        if self.event in _CALLS:
            operation = "embeddings" if self.event == "$ai_embedding" else "chat"
            return str(
                about.get("$ai_span_name") or f"{operation} {about.get('$ai_model') or ''}".strip()
            )
        return str(about.get("$ai_span_name") or about.get("$ai_trace_name") or self.event)

    def _failure(self) -> str | None:
        """Return why it failed, None when it did not."""
        about = self.properties
        if about.get("$ai_is_error") in (True, "true"):
            return json_text(about.get("$ai_error") or "")
        if about.get("ok") is False or about.get("passed") is False:
            return str(about.get("error") or about.get("rationale") or "")
        if about.get("crashed") is True or about.get("failure_mode") in _CRASHES:
            return str(about.get("reason") or about.get("failure_mode") or "")
        return None

    def _attributes(self, parent: _Node | None) -> dict[str, Any]:
        about = self.properties
        if self.event in _CALLS:
            found = attributes_of_call(self.event, about)
        elif self.event in _WORK:
            found = attributes_of_work(about)
        elif self.event.startswith("step.tool"):
            found = _tool_attributes(about)
        else:
            found = _own_attributes(about)
        found |= {
            f"nightpane.{name}": about[name] for name in _PLACE if about.get(name) is not None
        }
        found["$ai_span_id"] = self.key
        if parent is not None:
            found["$ai_parent_id"] = parent.key
        if self.event:
            found["nightpane.event"] = self.event
        if self.uuid:
            found["nightpane.uuid"] = self.uuid
        return found


class _Ids:
    """The OpenTelemetry ids of one round."""

    def __init__(self, round_id: str) -> None:
        if is_ulid(round_id):
            self.trace_id = ulid_hex(round_id)
        elif _HEX_TRACE.fullmatch(round_id):
            self.trace_id = round_id
        else:
            self.trace_id = _digest(round_id)[:32]
        self._source: Source | None = None

    def span_id(self, key: str) -> str:
        """Return a span's id: an OpenTelemetry id as it is, any other one's digest."""
        return key if _HEX_SPAN.fullmatch(key) else _digest(f"{self.trace_id}/{key}")[:16]

    def source(self, place: Mapping[str, Any]) -> Source:
        """Return the resource all spans of the round share."""
        if self._source is None:
            service = str(place.get("project") or "nightpane")
            self._source = Source({"service.name": service}, "nightpane")
        return self._source


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _tool_attributes(about: Mapping[str, Any]) -> dict[str, Any]:
    found = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": about.get("tool"),
        "gen_ai.tool.call.id": about.get("step_id"),
        "gen_ai.tool.call.arguments": about.get("args_json"),
        "gen_ai.tool.call.result": about.get("result_json"),
    }
    return {name: value for name, value in found.items() if value is not None} | _own_attributes(
        {name: about[name] for name in ("task_type", "result_bytes", "attempt") if name in about}
    )


def _own_attributes(about: Mapping[str, Any]) -> dict[str, Any]:
    """Return a nightpane event's own properties as attributes, texts cut."""
    return {
        f"nightpane.{name}": _short(value)
        for name, value in about.items()
        if not name.startswith("$") and name not in ("ts", "git_sha") and value is not None
    }


def _span_event(told: _Told) -> SpanEvent:
    return SpanEvent(told.event, told.start_us * 1_000, _own_attributes(told.properties))


def _short(value: Any) -> Any:
    if isinstance(value, bool | int | float):
        return value
    return json_text(value)[:_MAX_EVENT_CHARS]


def _microseconds(moment: Any) -> int:
    found = moment if isinstance(moment, datetime) else datetime.fromisoformat(str(moment))
    if found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    return (found - _EPOCH) // timedelta(microseconds=1)


def _length_us(properties: Mapping[str, Any]) -> int:
    """Return how long an event took: PostHog's latency is in seconds, nightpane's in ms."""
    for name, factor in (("$ai_latency", 1_000_000), ("latency_ms", 1_000)):
        value = properties.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9:
            return round(value * factor)
    return 0


def _round_ids(query: Query, run_id: str | None, since: datetime | None) -> Iterator[str]:
    conditions = ["properties.round_id is not null"]
    values: dict[str, Any] = {}
    if run_id is not None:
        conditions.append("properties.run_id = {run_id}")
        values["run_id"] = run_id
    having = ""
    if since is not None:
        having = "having started >= toDateTime({since})"
        values["since"] = since.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    text = f"""select toString(properties.round_id) as id, min(timestamp) as started
        from events where {" and ".join(conditions)}
        group by id {having} order by started, id"""  # noqa: S608 (fixed texts only)
    yield from (str(row[0]) for row in _paged(query, text, values, _ROUNDS_A_PAGE))


def _events(query: Query, round_id: str) -> Iterator[dict[str, Any]]:
    text = """select uuid, event, timestamp, properties from events
        where properties.round_id = {id} or properties.$ai_trace_id = {id}
        order by timestamp, uuid"""
    names = ("uuid", "event", "timestamp", "properties")
    for row in _paged(query, text, {"id": round_id}, _EVENTS_A_PAGE):
        yield dict(zip(names, row, strict=True))


def _paged(query: Query, text: str, values: dict[str, Any], size: int) -> Iterator[list[Any]]:
    offset = 0
    while True:
        rows = query.hogql(f"{text} limit {size} offset {offset}", values).rows
        yield from rows
        if len(rows) < size:
            return
        offset += size
