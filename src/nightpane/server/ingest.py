"""From what a client sent to what is stored: PostHog's rules for one event.

The rules are those of PostHog's capture service, v0; capture v1 shares the parts that agree.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from nightpane.ids import uuid7
from nightpane.prices import Table
from nightpane.server.ai_properties import ADDED_LIMIT_BYTES, prepare
from nightpane.server.auth import same
from nightpane.server.errors import CaptureRefusal
from nightpane.server.keys import Keys
from nightpane.server.times import event_time, parse_time, skew
from nightpane.store import StoredEvent
from nightpane.store.json_text import dumps

__all__ = [
    "Batch",
    "canonical_uuid",
    "check_token",
    "is_illegal_distinct_id",
    "prepared_json",
    "read_batch",
    "stored_events",
]

MAX_NAME_CHARS = 200
MAX_DISTINCT_ID_CHARS = 200
_CANONICAL = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_PERSON_KEYS = ("$set", "$set_once", "$unset")
_ILLEGAL = frozenset(
    {
        *("0", "[object object]", "anonymous", "anonymous-user", "backend", "distinct_id"),
        *("distinctid", "email", "false", "guest", "id", "nan", "none", "not_authenticated"),
        *("null", "system", "true", "undefined", "user", str(UUID(int=0))),
    }
)


@dataclass(frozen=True, slots=True)
class Batch:
    """What one v0 request brings: its token, its events as sent, and when it was sent."""

    token: str
    events: list[Any]
    sent_at: datetime | None


def read_batch(payload: Any, *, query: Mapping[str, str]) -> Batch:
    """Return the batch in a parsed v0 body: a batch object, an array, or one event.

    Raises CaptureRefusal: 400 when it holds no event, 401 when it names no token or several.
    """
    sent_at: Any = None
    if isinstance(payload, dict) and "batch" in payload:
        events = payload["batch"]
        if not isinstance(events, list):
            raise _unparsable("'batch' must be an array of events")
        tokens = {_token(payload)} - {None}
        sent_at = payload.get("sent_at")
    elif isinstance(payload, dict | list):
        events = payload if isinstance(payload, list) else [payload]
        tokens = {_event_token(event) for event in events} - {None}
        sent_at = payload.get("sent_at") if isinstance(payload, dict) else None
    else:
        raise _unparsable("expected an object or an array")
    if not events:
        raise CaptureRefusal(400, "request holds no event", tag="empty_batch")
    if len(tokens) > 1:
        raise CaptureRefusal(
            401, "events submitted with different api_key values", tag="invalid_api_token"
        )
    token = next(iter(tokens), None) or query.get("token") or query.get("api_key")
    if not token:
        raise CaptureRefusal(401, "event submitted without an api_key", tag="invalid_api_token")
    return Batch(token, events, _sent_at(sent_at, query))


def check_token(token: str, keys: Keys) -> None:
    """Raise CaptureRefusal (401) unless the token is the project's API key."""
    if same(token, keys.api_key):
        return
    if token.startswith("phx_"):
        raise CaptureRefusal(
            401,
            "API key is not valid: personal API keys (phx_) cannot send events, use the project's "
            "(phc_)",
            tag="invalid_api_token",
        )
    raise CaptureRefusal(401, "API key is not valid for this server", tag="invalid_api_token")


def prepared_json(
    event: str, properties: dict[str, Any], distinct_id: str, limit_bytes: int, prices: Table
) -> str | None:
    """Add what the server knows of an event to its properties and return their JSON text.

    None when what was sent is larger than the limit.
    """
    before = len(properties)
    prepare(event, properties, distinct_id, prices)
    if len(properties) > before:
        limit_bytes += ADDED_LIMIT_BYTES
    text = dumps(properties)
    if len(text) * 4 > limit_bytes and len(text.encode()) > limit_bytes:
        return None
    return text


def stored_events(
    batch: Batch, now: datetime, limit_bytes: int, prices: Table
) -> list[StoredEvent]:
    """Return the events of a v0 batch, ready for the store, AI events with what they cost.

    Raises CaptureRefusal when any of them has no name, no distinct id or an unreadable uuid (400),
    or properties beyond the limit (413): as in PostHog, the whole request is refused then.
    """
    ahead = skew(batch.sent_at, now)
    return [_stored_event(event, now, ahead, limit_bytes, prices) for event in batch.events]


def _stored_event(
    event: Any, now: datetime, ahead: timedelta, limit_bytes: int, prices: Table
) -> StoredEvent:
    if not isinstance(event, dict):
        raise _unparsable("each event must be an object")
    name = event.get("event")
    if name is None or name == "":
        raise CaptureRefusal(400, "event submitted with an empty event name")
    if not isinstance(name, str):
        raise _unparsable("'event' must be a string")
    properties = event.get("properties")
    if properties is None:
        properties = {}
    elif not isinstance(properties, dict):
        raise _unparsable("'properties' must be an object")
    for key in _PERSON_KEYS:
        if key in event:
            _fold(properties, key, event[key])
    if properties.get("$ignore_sent_at"):
        ahead = timedelta()
    distinct_id = _distinct_id(event, properties)
    text = prepared_json(name, properties, distinct_id, limit_bytes, prices)
    if text is None:
        raise CaptureRefusal(
            413, f"event is larger than {limit_bytes} bytes", tag="payload_too_large"
        )
    return StoredEvent(
        uuid=_uuid(event.get("uuid")),
        event=name[:MAX_NAME_CHARS],
        distinct_id=distinct_id,
        timestamp=event_time(
            event.get("timestamp"), now=now, ahead=ahead, offset_ms=event.get("offset")
        ),
        properties=properties,
        created_at=now,
        process_person=properties.get("$process_person_profile") is not False,
        properties_json=text,
    )


def canonical_uuid(value: object) -> str | None:
    """Return a uuid in its canonical spelling, None when it is none."""
    if not isinstance(value, str):
        return None
    if _CANONICAL.fullmatch(value):
        return value
    try:
        return str(UUID(value))
    except ValueError:
        return None


def is_illegal_distinct_id(distinct_id: str) -> bool:
    """Tell whether a distinct id is one of the words that stand for nobody in particular."""
    return distinct_id.strip().lower() in _ILLEGAL


def _uuid(value: Any) -> str:
    if value is None or value == "":
        return str(uuid7())
    found = canonical_uuid(value)
    if found is None:
        raise _unparsable("'uuid' is not a valid UUID")
    return found


def _distinct_id(event: Mapping[str, Any], properties: Mapping[str, Any]) -> str:
    for value in (
        event.get("distinct_id"),
        event.get("$distinct_id"),
        properties.get("distinct_id"),
    ):
        if value is not None and value != "":
            text = value if isinstance(value, str) else dumps(value)
            return text.replace("\0", "\ufffd")[:MAX_DISTINCT_ID_CHARS]
    raise CaptureRefusal(400, "event submitted without a distinct_id")


def _fold(properties: dict[str, Any], key: str, value: Any) -> None:
    """Move what the event says about its person beside what its properties say."""
    inner = properties.get(key)
    if isinstance(value, dict) and isinstance(inner, dict):
        properties[key] = {**value, **inner}
    elif inner is None and value is not None:
        properties[key] = value


def _token(payload: Mapping[str, Any]) -> str | None:
    for key in ("api_key", "token"):
        value = payload.get(key)
        if isinstance(value, str) and value:
            return value
    return None


def _event_token(event: Any) -> str | None:
    if not isinstance(event, dict):
        return None
    token = _token(event) or event.get("$token")
    properties = event.get("properties")
    if not token and isinstance(properties, dict):
        token = properties.get("token")
    return token if isinstance(token, str) and token else None


def _sent_at(value: Any, query: Mapping[str, str]) -> datetime | None:
    if value is None:
        value = query.get("sent_at") or query.get("_")
    return parse_time(value)


def _unparsable(why: str) -> CaptureRefusal:
    return CaptureRefusal(400, f"failed to parse request: {why}", tag="request_parsing_error")
