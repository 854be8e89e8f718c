"""Where events arrive in the newer protocol: PostHog's capture v1, which answers for each event.

Headers say who sends and when; a batch with a fault in its frame is refused whole, a bad event in a
good batch is dropped by name and its neighbours are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from nightpane.prices import Table
from nightpane.server.body import MIB, inflate
from nightpane.server.capture import (
    BATCH_LIMIT_BYTES,
    EVENT_LIMIT_BYTES,
    both,
    intake,
    parse,
    quiet_when_gone,
)
from nightpane.server.errors import CaptureRefusal, JsonResponse
from nightpane.server.ingest import (
    MAX_DISTINCT_ID_CHARS,
    MAX_NAME_CHARS,
    canonical_uuid,
    check_token,
    is_illegal_distinct_id,
    prepared_json,
)
from nightpane.server.times import event_time, parse_time, skew
from nightpane.store import StoredEvent

__all__ = ["routes"]

COMPRESSED_LIMIT_BYTES = 10 * MIB
_RETRY_AFTER_S = 2
_REQUIRED = (
    "authorization",
    "posthog-sdk-info",
    "posthog-attempt",
    "posthog-request-id",
    "posthog-request-timestamp",
)
# Option: its JSON type, and the property it becomes.
_OPTIONS: Mapping[str, tuple[type, str]] = {
    "cookieless_mode": (bool, "$cookieless_mode"),
    "disable_skew_correction": (bool, "$ignore_sent_at"),
    "disable_skew_adjustment": (bool, "$ignore_sent_at"),
    "product_tour_id": (str, "$product_tour_id"),
    "process_person_profile": (bool, "$process_person_profile"),
}


@dataclass(frozen=True, slots=True)
class _Frame:
    """What the headers say."""

    token: str
    library: str
    library_version: str
    request_id: str
    sent_at: datetime


class _Dropped(Exception):  # noqa: N818 (an answer about one event, not a fault)
    """One event is left out; the text is capture v1's word for why."""


async def _capture(request: Request) -> Response:
    request_id = request.headers.get("posthog-request-id", "")
    headers = {"PostHog-Request-Id": request_id} if canonical_uuid(request_id) else {}
    try:
        results = await _take(request)
    except CaptureRefusal as refusal:
        body = {
            "error": refusal.tag or "service_unavailable",
            "error_description": str(refusal),
            "error_uri": None,
        }
        return JsonResponse(
            body, status_code=refusal.status, headers={**headers, **refusal.headers}
        )
    return JsonResponse({"results": results}, headers=headers)


async def _take(request: Request) -> dict[str, Any]:
    take = intake(request)
    frame = _frame(request.headers)
    check_token(frame.token, take.keys)
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip()
    if kind.lower() != "application/json":
        raise CaptureRefusal(
            415, f"content type {kind!r} is not application/json", tag="unsupported_content_type"
        )
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    raw = await take.body(request, COMPRESSED_LIMIT_BYTES)
    if not raw:
        raise CaptureRefusal(400, "request has an empty body", tag="empty_body")

    def make() -> tuple[list[StoredEvent], dict[str, Any]]:
        text = raw if encoding == "identity" else inflate(raw, encoding, BATCH_LIMIT_BYTES)
        return _read(_batch(parse(text)), frame, take.now(), take.prices)

    results: dict[str, Any] = await take.store_events(raw, make)
    return results


def _frame(headers: Mapping[str, str]) -> _Frame:
    if missing := [name for name in _REQUIRED if not headers.get(name)]:
        if missing == ["authorization"]:
            raise CaptureRefusal(401, "no API key in Authorization", tag="invalid_api_token")
        raise CaptureRefusal(
            400, f"missing headers: {', '.join(missing)}", tag="missing_required_headers"
        )
    kind, _, token = headers["authorization"].partition(" ")
    if kind.lower() != "bearer" or not token.strip():
        raise CaptureRefusal(401, "Authorization is not Bearer", tag="invalid_api_token")
    library, _, version = headers["posthog-sdk-info"].partition("/")
    sent_at = parse_time(headers["posthog-request-timestamp"])
    checks = {
        "PostHog-Attempt": headers["posthog-attempt"].isdecimal()
        and int(headers["posthog-attempt"]) > 0,
        "PostHog-Request-Id": canonical_uuid(headers["posthog-request-id"]) is not None,
        "PostHog-Request-Timestamp": sent_at is not None,
        "PostHog-Sdk-Info": bool(library and version),
    }
    for name, good in checks.items():
        if not good:
            raise CaptureRefusal(400, f"invalid value of header {name}", tag="invalid_header_value")
    assert sent_at is not None  # noqa: S101 (checked above, told to the type checker)
    return _Frame(token.strip(), library, version, headers["posthog-request-id"], sent_at)


def _batch(payload: Any) -> list[Mapping[str, Any]]:
    """Return the events of a body whose frame is sound. Raises CaptureRefusal (400)."""
    batch = payload.get("batch") if isinstance(payload, dict) else None
    if not isinstance(batch, list) or not all(isinstance(event, dict) for event in batch):
        raise CaptureRefusal(400, "'batch' must be an array of objects", tag="invalid_batch")
    if not batch:
        raise CaptureRefusal(400, "the batch holds no event", tag="empty_batch")
    seen: set[str] = set()
    for event in batch:
        uuid = canonical_uuid(event.get("uuid"))
        if uuid is None:
            raise CaptureRefusal(400, "an event has no valid 'uuid'", tag="missing_event_uuid")
        if uuid in seen:
            raise CaptureRefusal(
                400, f"two events have the uuid {uuid}", tag="duplicate_event_uuid"
            )
        seen.add(uuid)
        _check_options(event.get("options"))
    return batch


def _check_options(options: Any) -> None:
    if options is None:
        return
    if not isinstance(options, dict):
        raise CaptureRefusal(400, "'options' must be an object", tag="request_parsing_error")
    for name, (kind, _) in _OPTIONS.items():
        value = options.get(name)
        if value is not None and not isinstance(value, kind):
            raise CaptureRefusal(
                400, f"option {name!r} must be a {kind.__name__}", tag="request_parsing_error"
            )


def _read(
    batch: list[Mapping[str, Any]], frame: _Frame, now: datetime, prices: Table
) -> tuple[list[StoredEvent], dict[str, Any]]:
    ahead = skew(frame.sent_at, now)
    events: list[StoredEvent] = []
    results: dict[str, Any] = {}
    for event in batch:
        uuid = str(event["uuid"])
        try:
            events.append(_stored_event(event, frame, now, ahead, prices))
            results[uuid] = {"result": "ok"}
        except _Dropped as dropped:
            results[uuid] = {"result": "drop", "details": str(dropped)}
    return events, results


def _stored_event(
    event: Mapping[str, Any], frame: _Frame, now: datetime, ahead: timedelta, prices: Table
) -> StoredEvent:
    name = event.get("event")
    if not isinstance(name, str) or not name:
        raise _Dropped("missing_event_name")
    if len(name) > MAX_NAME_CHARS:
        raise _Dropped("event_name_too_long")
    distinct_id = _distinct_id(event.get("distinct_id"))
    properties = event.get("properties")
    if properties is None:
        properties = {}
    if not isinstance(properties, dict):
        raise _Dropped("malformed_event_properties")
    if parse_time(event.get("timestamp")) is None:
        raise _Dropped("invalid_event_timestamp")
    _reinject(properties, event, frame)
    if properties.get("$ignore_sent_at"):
        ahead = timedelta()
    text = prepared_json(name, properties, distinct_id, EVENT_LIMIT_BYTES, prices)
    if text is None:
        raise _Dropped("ai_event_too_big" if name.startswith("$ai_") else "event_too_big")
    return StoredEvent(
        uuid=canonical_uuid(event["uuid"]) or "",
        event=name,
        distinct_id=distinct_id,
        timestamp=event_time(event.get("timestamp"), now=now, ahead=ahead),
        properties=properties,
        created_at=now,
        process_person=properties.get("$process_person_profile") is not False,
        properties_json=text,
    )


def _distinct_id(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _Dropped("missing_distinct_id")
    if len(value) > MAX_DISTINCT_ID_CHARS:
        raise _Dropped("distinct_id_too_large")
    if is_illegal_distinct_id(value):
        raise _Dropped("invalid_distinct_id")
    return value.replace("\0", "\ufffd")


def _reinject(properties: dict[str, Any], event: Mapping[str, Any], frame: _Frame) -> None:
    """Put back into the properties what the protocol carries beside them."""
    for key in ("session_id", "window_id"):
        if event.get(key) is not None:
            properties[f"${key}"] = event[key]
    options = event.get("options") or {}
    for option, (_, name) in _OPTIONS.items():
        if options.get(option) is not None:
            properties[name] = options[option]
    properties["$lib"] = frame.library
    properties["$lib_version"] = frame.library_version


_handler: Callable[[Request], Any] = quiet_when_gone(_capture)
routes: list[Route] = [
    *both("/i/v1/analytics/events/", _handler, ["POST"]),
    *both("/i/v1/general/events/", _handler, ["POST"]),
]
