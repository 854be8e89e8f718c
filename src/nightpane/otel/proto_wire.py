"""OTLP/protobuf to spans and log records, and back; needs the ``server`` extra's protobuf types."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from nightpane.errors import MissingExtraError, OtlpError
from nightpane.otel.json_wire import write_traces as json_traces
from nightpane.otel.model import LogRecord, Source, Span, SpanEvent

if TYPE_CHECKING:
    from google.protobuf.message import Message  # type: ignore[import-untyped]

__all__ = ["read_logs", "read_traces", "refused_spans", "write_traces"]

_ERROR_STATUS = 2


def read_traces(raw: bytes) -> list[Span]:
    """Return the spans of an encoded ``ExportTraceServiceRequest``. Raises OtlpError."""
    request = _parsed(_messages().ExportTraceServiceRequest(), raw)
    return [
        _span(span, source)
        for group in request.resource_spans
        for resource in [_attributes(group.resource.attributes)]
        for scope in group.scope_spans
        for source in [Source(resource, scope.scope.name, scope.scope.version)]
        for span in scope.spans
    ]


def read_logs(raw: bytes) -> list[LogRecord]:
    """Return the records of an encoded ``ExportLogsServiceRequest``. Raises OtlpError."""
    request = _parsed(_messages().ExportLogsServiceRequest(), raw)
    return [
        _record(record, source)
        for group in request.resource_logs
        for resource in [_attributes(group.resource.attributes)]
        for scope in group.scope_logs
        for source in [Source(resource, scope.scope.name, scope.scope.version)]
        for record in scope.log_records
    ]


def write_traces(spans: Iterable[Span]) -> bytes:
    """Return the encoded ``ExportTraceServiceRequest`` of some spans."""
    from google.protobuf import json_format  # type: ignore[import-untyped]

    request = _messages().ExportTraceServiceRequest()
    document = json_traces(spans)
    for group in document["resourceSpans"]:
        for scope in group["scopeSpans"]:
            for span in scope["spans"]:
                _ids_in_base64(span)
    encoded: bytes = json_format.ParseDict(document, request).SerializeToString()
    return encoded


def refused_spans(raw: bytes) -> int:
    """Return how many spans an encoded ``ExportTraceServiceResponse`` says were refused."""
    try:
        answer = _parsed(_messages().ExportTraceServiceResponse(), raw)
    except OtlpError:
        return 0  # an answer in another form still means that it was taken
    return int(answer.partial_success.rejected_spans)


class _Messages:
    """The message types."""

    ExportTraceServiceResponse: Callable[[], Any]
    ExportTraceServiceRequest: Callable[[], Any]
    ExportLogsServiceRequest: Callable[[], Any]


def _messages() -> _Messages:
    try:
        from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
        from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
    except ImportError as error:
        raise MissingExtraError("server") from error
    found = _Messages()
    found.ExportTraceServiceRequest = trace_service_pb2.ExportTraceServiceRequest
    found.ExportTraceServiceResponse = trace_service_pb2.ExportTraceServiceResponse
    found.ExportLogsServiceRequest = logs_service_pb2.ExportLogsServiceRequest
    return found


def _parsed(request: Message, raw: bytes) -> Any:
    from google.protobuf.message import DecodeError

    try:
        request.ParseFromString(raw)
    except (DecodeError, RuntimeError) as error:
        raise OtlpError(
            f"the body ({len(raw)} bytes) is no protobuf of this OTLP request: {error}"
        ) from error
    return request


def _span(span: Any, source: Source) -> Span:
    return Span(
        trace_id=_id(span.trace_id, 16),
        span_id=_id(span.span_id, 8),
        parent_id=_id(span.parent_span_id, 8),
        name=span.name,
        kind=span.kind,
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        attributes=_attributes(span.attributes),
        events=tuple(
            SpanEvent(event.name, event.time_unix_nano, _attributes(event.attributes))
            for event in span.events
        ),
        failed=span.status.code == _ERROR_STATUS,
        status_message=span.status.message,
        source=source,
    )


def _record(record: Any, source: Source) -> LogRecord:
    attributes = _attributes(record.attributes)
    return LogRecord(
        event_name=record.event_name or str(attributes.get("event.name") or ""),
        trace_id=_id(record.trace_id, 16),
        span_id=_id(record.span_id, 8),
        time_ns=record.time_unix_nano or record.observed_time_unix_nano,
        attributes=attributes,
        body=_value(record.body),
        source=source,
    )


def _id(raw: bytes, size_bytes: int) -> str:
    return raw.hex() if len(raw) == size_bytes and any(raw) else ""


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: Any) -> Any:
    """Return an ``AnyValue`` as a plain value; protobuf's own limit bounds its depth."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    found = getattr(value, kind)
    if kind == "array_value":
        return [_value(one) for one in found.values]
    if kind == "kvlist_value":
        return _attributes(found.values)
    if kind == "bytes_value":
        return found.hex()
    if kind == "double_value":
        return found if math.isfinite(found) else None
    return found


def _ids_in_base64(span: dict[str, Any]) -> None:
    """Turn the hex ids of OTLP/JSON into what protobuf's JSON holds bytes in."""
    import base64

    for name in ("traceId", "spanId", "parentSpanId"):
        if name in span:
            span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
