"""OTLP/JSON to spans and log records, and back.

The encoding is protobuf's JSON with OTLP's exceptions: trace and span ids are hex, enums are
numbers, 64-bit integers are texts (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding).
Reading is lenient in what real exporters vary: enum names, snake_case, base64 ids, numbers.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from nightpane.errors import OtlpError
from nightpane.otel.model import LogRecord, Source, Span, SpanEvent

__all__ = ["read_logs", "read_traces", "write_traces"]

_MAX_DEPTH = 32
_ERROR_STATUS = (2, "2", "STATUS_CODE_ERROR")
_KINDS = {
    f"SPAN_KIND_{name}": number
    for number, name in enumerate(
        ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
    )
}


def read_traces(payload: Any) -> list[Span]:
    """Return the spans of a parsed ``ExportTraceServiceRequest``. Raises OtlpError."""
    return [
        _span(span, source)
        for source, scope in _scopes(payload, "resourceSpans", "scopeSpans")
        for span in _objects(scope, "spans")
    ]


def read_logs(payload: Any) -> list[LogRecord]:
    """Return the records of a parsed ``ExportLogsServiceRequest``. Raises OtlpError."""
    return [
        _record(record, source)
        for source, scope in _scopes(payload, "resourceLogs", "scopeLogs")
        for record in _objects(scope, "logRecords")
    ]


def write_traces(spans: Iterable[Span]) -> dict[str, Any]:
    """Return the ``ExportTraceServiceRequest`` of some spans, one resource per source."""
    groups: list[tuple[Source, list[Span]]] = []
    for span in spans:
        if not groups or groups[-1][0] != span.source:
            groups.append((span.source, []))
        groups[-1][1].append(span)
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": _key_values(source.resource)},
                "scopeSpans": [
                    {
                        "scope": {"name": source.scope, "version": source.scope_version},
                        "spans": [_span_document(span) for span in members],
                    }
                ],
            }
            for source, members in groups
        ]
    }


def _scopes(payload: Any, outer: str, inner: str) -> Iterator[tuple[Source, Mapping[str, Any]]]:
    if not isinstance(payload, Mapping):
        raise OtlpError(f"an OTLP request is an object with {outer!r}, not {_kind(payload)}")
    for resource_group in _objects(payload, outer):
        resource = _attributes(_object(resource_group, "resource"))
        for group in _objects(resource_group, inner):
            scope = _object(group, "scope")
            yield Source(resource, _text(scope, "name"), _text(scope, "version")), group


def _span(span: Mapping[str, Any], source: Source) -> Span:
    status = _object(span, "status")
    kind = _get(span, "kind")
    return Span(
        trace_id=_id(_get(span, "traceId"), 16),
        span_id=_id(_get(span, "spanId"), 8),
        parent_id=_id(_get(span, "parentSpanId"), 8),
        name=_text(span, "name"),
        kind=kind if type(kind) is int else _KINDS.get(str(kind), 0),
        start_ns=_whole(_get(span, "startTimeUnixNano")),
        end_ns=_whole(_get(span, "endTimeUnixNano")),
        attributes=_attributes(span),
        events=tuple(
            SpanEvent(_text(event, "name"), _whole(_get(event, "timeUnixNano")), _attributes(event))
            for event in _objects(span, "events")
        ),
        failed=_get(status, "code") in _ERROR_STATUS,
        status_message=_text(status, "message"),
        source=source,
    )


def _record(record: Mapping[str, Any], source: Source) -> LogRecord:
    attributes = _attributes(record)
    time_ns = _whole(_get(record, "timeUnixNano"))
    return LogRecord(
        # Before the field existed, SDKs named an event by an attribute.
        event_name=_text(record, "eventName") or str(attributes.get("event.name") or ""),
        trace_id=_id(_get(record, "traceId"), 16),
        span_id=_id(_get(record, "spanId"), 8),
        time_ns=time_ns or _whole(_get(record, "observedTimeUnixNano")),
        attributes=attributes,
        body=_value(_get(record, "body"), 1),
        source=source,
    )


def _get(holder: Mapping[str, Any], name: str) -> Any:
    """Return a field by its camelCase name, or as protobuf spells it."""
    if name in holder:
        return holder[name]
    return holder.get("".join(f"_{c.lower()}" if c.isupper() else c for c in name))


def _objects(holder: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    found = _get(holder, name)
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(one, Mapping) for one in found):
        raise OtlpError(f"{name!r} is a list of objects in OTLP, not {_kind(found)}")
    return found


def _object(holder: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = _get(holder, name)
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise OtlpError(f"{name!r} is an object in OTLP, not {_kind(found)}")
    return found


def _kind(value: Any) -> str:
    return f"{type(value).__name__} {str(value)[:40]!r}"


def _text(holder: Mapping[str, Any], name: str) -> str:
    value = _get(holder, name)
    return value if isinstance(value, str) else ""


def _id(value: Any, size_bytes: int) -> str:
    """Return an id in hex, empty when there is none of this size, or only zeros."""
    if not isinstance(value, str):
        return ""
    try:
        if len(value) == 2 * size_bytes:
            raw = bytes.fromhex(value)
        else:
            raw = base64.b64decode(value, validate=True)
    except (ValueError, binascii.Error):
        return ""
    return raw.hex() if len(raw) == size_bytes and any(raw) else ""


def _whole(value: Any) -> int:
    """Return an unsigned 64-bit number given as number or text, 0 when it is none."""
    if isinstance(value, str) and len(value) <= 20 and value.isascii() and value.isdecimal():
        value = int(value)
    if isinstance(value, float) and math.isfinite(value):
        value = int(value)
    ok = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 64
    return value if ok else 0


def _attributes(holder: Mapping[str, Any], depth: int = 0) -> dict[str, Any]:
    name = "values" if depth else "attributes"
    return {
        key: _value(_get(pair, "value"), depth + 1)
        for pair in _objects(holder, name)
        if isinstance(key := _get(pair, "key"), str)
    }


def _value(value: Any, depth: int) -> Any:
    """Return an ``AnyValue`` as a plain value; None for none, or one nested too deeply."""
    if not isinstance(value, Mapping) or depth > _MAX_DEPTH:
        return None
    for name, read in _READERS:
        if (found := _get(value, name)) is not None:
            return read(found, depth)
    return None


def _integer(value: Any, depth: int) -> int | None:  # noqa: ARG001 (a reader's signature)
    try:
        return int(value) if not isinstance(value, str) or len(value) <= 20 else None
    except (TypeError, ValueError, OverflowError):
        return None


def _double(value: Any, depth: int) -> float | None:  # noqa: ARG001
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def _bytes(value: Any, depth: int) -> str:  # noqa: ARG001
    """Return bytes in hex, as PostHog keeps them."""
    try:
        return base64.b64decode(value, validate=True).hex()
    except (TypeError, ValueError, binascii.Error):
        return str(value)


def _array(value: Any, depth: int) -> list[Any]:
    members = _get(value, "values") if isinstance(value, Mapping) else None
    return [_value(one, depth + 1) for one in members] if isinstance(members, list) else []


def _map(value: Any, depth: int) -> dict[str, Any]:
    return _attributes(value, depth) if isinstance(value, Mapping) else {}


_READERS: tuple[tuple[str, Callable[[Any, int], Any]], ...] = (
    ("stringValue", lambda value, _: value if isinstance(value, str) else str(value)),
    ("intValue", _integer),
    ("boolValue", lambda value, _: bool(value)),
    ("doubleValue", _double),
    ("arrayValue", _array),
    ("kvlistValue", _map),
    ("bytesValue", _bytes),
)


def _span_document(span: Span) -> dict[str, Any]:
    document: dict[str, Any] = {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        "name": span.name,
        "kind": span.kind,
        "startTimeUnixNano": str(span.start_ns),
        "endTimeUnixNano": str(span.end_ns),
        "attributes": _key_values(span.attributes),
        "status": {"code": 2, "message": span.status_message} if span.failed else {},
    }
    if span.parent_id:
        document["parentSpanId"] = span.parent_id
    if span.events:
        document["events"] = [
            {
                "name": event.name,
                "timeUnixNano": str(event.time_ns),
                "attributes": _key_values(event.attributes),
            }
            for event in span.events
        ]
    return document


def _key_values(attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"key": key, "value": _any_value(value)}
        for key, value in attributes.items()
        if value is not None
    ]


def _any_value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int) and -(1 << 63) <= value < 1 << 63:
        return {"intValue": str(value)}
    if isinstance(value, int | float):
        return {"doubleValue": float(value)}
    if isinstance(value, list | tuple):
        return {"arrayValue": {"values": [_any_value(one) for one in value]}}
    if isinstance(value, Mapping):
        return {"kvlistValue": {"values": _key_values(value)}}
    return {} if value is None else {"stringValue": str(value)}
