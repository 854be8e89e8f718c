"""Where OpenTelemetry exporters post: OTLP over HTTP, in protobuf and in JSON.

Spans and log records about models become PostHog's AI events and go the way of all events; other
spans, other records and metrics are taken and not stored, and the answer says so.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from nightpane.errors import OtlpError
from nightpane.otel import (
    Memory,
    Translation,
    events_of_logs,
    events_of_spans,
    json_wire,
    proto_wire,
    read_baggage,
)
from nightpane.server.body import MIB, inflate
from nightpane.server.capture import (
    AI_EVENT_LIMIT_BYTES,
    Intake,
    both,
    intake,
    parse,
    quiet_when_gone,
)
from nightpane.server.errors import CaptureRefusal, JsonResponse
from nightpane.server.ingest import Batch, check_token, stored_events
from nightpane.store import StoredEvent

__all__ = ["Shared", "routes"]

_BODY_LIMIT_BYTES = 10 * MIB
_MAX_ITEMS = 10_000
_JSON, _PROTOBUF = "application/json", "application/x-protobuf"
# HTTP status to gRPC code, in which google.rpc.Status speaks.
_CODES = {400: 3, 401: 16, 408: 4, 413: 8, 415: 3, 503: 14}


@dataclass(slots=True)
class Shared:
    """What the routes share: the memory between requests, held by one thread at a time."""

    memory: Memory = field(default_factory=Memory)
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True, slots=True)
class _Signal:
    """One of OTLP's signals: how its requests are read, and what its answer calls a refused one."""

    rejected: str
    noun: str
    read_json: Callable[[Any], list[Any]]
    read_protobuf: Callable[[bytes], list[Any]]
    translate: Callable[..., Translation]


_TRACES = _Signal(
    "rejectedSpans", "spans", json_wire.read_traces, proto_wire.read_traces, events_of_spans
)
_LOGS = _Signal(
    "rejectedLogRecords", "records", json_wire.read_logs, proto_wire.read_logs, events_of_logs
)


def _receive(signal: _Signal) -> Callable[[Request], Any]:
    async def receive(request: Request) -> Response:
        take = intake(request)
        shared: Shared = request.app.state.otel
        token = _token(request)
        check_token(token, take.keys)
        content_type = _content_type(request)
        encoding = request.headers.get("content-encoding", "").strip().lower()
        baggage = read_baggage(request.headers.get("baggage", ""))
        raw = await take.body(request, _BODY_LIMIT_BYTES)

        def make() -> tuple[list[StoredEvent], Translation]:
            body = _inflated(raw, encoding)
            told = (
                signal.read_protobuf(body)
                if content_type == _PROTOBUF
                else (signal.read_json(parse(body)))
            )
            if len(told) > _MAX_ITEMS:
                raise CaptureRefusal(
                    413, f"{len(told)} {signal.noun} in a request; at most {_MAX_ITEMS} are taken"
                )
            with shared.lock:
                made = signal.translate(told, baggage=baggage, memory=shared.memory)
            return _stored(made, token, take), made

        made: Translation = await take.store_events(raw, make)
        return _answer(content_type, signal.rejected, made.refused, _remark(made, signal.noun))

    return _speaking_otlp(receive)


async def _receive_metrics(request: Request) -> Response:
    """Take metrics and drop them: the pane has no place for them."""
    take = intake(request)
    check_token(_token(request), take.keys)
    content_type = _content_type(request)
    await take.body(request, _BODY_LIMIT_BYTES)
    return _answer(content_type, "rejectedDataPoints", 0, "metrics are not stored")


def _stored(made: Translation, token: str, take: Intake) -> list[StoredEvent]:
    """Return the events for the store; one that is too large is refused alone."""
    events: list[StoredEvent] = []
    now = take.now()
    for one in made.events:
        batch = Batch(token, [one], None)
        try:
            events += stored_events(batch, now, AI_EVENT_LIMIT_BYTES, take.prices)
        except CaptureRefusal as refusal:
            made.refuse(str(refusal))
    return events


def _remark(made: Translation, noun: str) -> str:
    if made.refused:
        return f"{made.refused} {noun} refused: {made.refusal}"
    if made.passed_over:
        return f"{made.passed_over} {noun} not stored: they are not about model calls"
    return ""


def _token(request: Request) -> str:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return token.strip()
    token = request.query_params.get("token") or request.query_params.get("api_key") or ""
    if not token:
        raise CaptureRefusal(401, "no API key: set the header 'Authorization: Bearer phc_…'")
    return token


def _content_type(request: Request) -> str:
    found = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if found in (_PROTOBUF, "application/protobuf"):
        return _PROTOBUF
    if found in (_JSON, "text/plain", ""):  # browsers send JSON as text to spare a preflight
        return _JSON
    raise CaptureRefusal(415, f"content type {found!r} is not OTLP: use {_PROTOBUF} or {_JSON}")


def _inflated(raw: bytes, encoding: str) -> bytes:
    if raw[:2] == b"\x1f\x8b":
        encoding = "gzip"
    if encoding in ("", "identity"):
        return raw
    return inflate(raw, encoding, _BODY_LIMIT_BYTES)


def _speaking_otlp(handler: Callable[[Request], Any]) -> Callable[[Request], Any]:
    """Answer refusals as OTLP has it: a google.rpc.Status in the request's own encoding."""

    async def guarded(request: Request) -> Response:
        try:
            answer: Response = await handler(request)
        except CaptureRefusal as refusal:
            return _refusal(request, refusal.status, str(refusal), refusal.headers)
        except OtlpError as error:
            return _refusal(request, 400, str(error), {})
        return answer

    return quiet_when_gone(guarded)


def _refusal(request: Request, status: int, message: str, headers: Mapping[str, str]) -> Response:
    code = _CODES.get(status, 2)
    if "protobuf" in request.headers.get("content-type", ""):
        return Response(_pair(code, message), status, dict(headers), _PROTOBUF)
    return JsonResponse({"code": code, "message": message}, status, dict(headers))


def _answer(content_type: str, name: str, refused: int, remark: str) -> Response:
    """Return an export response; it says what was refused, or only remarks on what was taken."""
    if content_type == _PROTOBUF:
        inner = _pair(refused, remark)
        return Response(_field(1, inner) if inner else b"", media_type=_PROTOBUF)
    if not refused and not remark:
        return JsonResponse({})
    about: dict[str, Any] = {"errorMessage": remark}
    if refused:
        about[name] = str(refused)
    return JsonResponse({"partialSuccess": about})


def _pair(number: int, text: str) -> bytes:
    """Return a protobuf message of a number (field 1) and a text (field 2), both optional.

    google.rpc.Status and OTLP's partial successes are all of this form.
    """
    encoded = b"\x08" + _varint(number) if number else b""
    return encoded + _field(2, text.encode()) if text else encoded


def _field(number: int, data: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(data)) + data


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])


_BASES = ("/i/v0/ai/otel/", "/i/v0/llma_otel/")
_traces, _logs = _receive(_TRACES), _receive(_LOGS)
_metrics = _speaking_otlp(_receive_metrics)
routes: list[Route] = [
    route
    for path, handler in (
        *((base, _traces) for base in _BASES),
        *((base + "v1/traces/", _traces) for base in _BASES),
        *((base + "v1/logs/", _logs) for base in _BASES),
        *((base + "v1/metrics/", _metrics) for base in _BASES),
        ("/i/v1/traces/", _traces),
        ("/i/v1/logs/", _logs),
        ("/i/v1/metrics/", _metrics),
    )
    for route in both(path, handler, ["POST"])
]
