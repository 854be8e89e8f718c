"""Where a single AI event with large parts arrives: PostHog's multipart route.

The first part is the event, further parts hold its properties or single large ones
(``event.properties.$ai_input``), which are put back into the event's properties.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from nightpane.server.body import MIB, inflate
from nightpane.server.capture import both, intake, parse, quiet_when_gone
from nightpane.server.errors import CaptureRefusal, JsonResponse
from nightpane.server.ingest import Batch, check_token, stored_events
from nightpane.store import StoredEvent

__all__ = ["routes"]

_BODY_LIMIT_BYTES = 27 * MIB
_PARTS_LIMIT_BYTES = 25 * MIB
_EVENT_LIMIT_BYTES = 32 * 1024
_EVENT_AND_PROPERTIES_LIMIT_BYTES = 960 * 1024
_MAX_PARTS = 100
_PREFIX = "event.properties."
_NAME = re.compile(r'name="([^"]*)"')


@dataclass(frozen=True, slots=True)
class _Part:
    """One part of the form."""

    name: str
    content_type: str
    encoding: str
    data: bytes


async def _capture(request: Request) -> Response:
    take = intake(request)
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer":
        raise CaptureRefusal(401, "no API key in the Authorization header")
    check_token(token.strip(), take.keys)
    boundary = _boundary(request.headers.get("content-type", ""))
    raw = await take.body(request, _BODY_LIMIT_BYTES)

    def make() -> tuple[list[StoredEvent], list[_Part]]:
        body = inflate(raw, "gzip", _BODY_LIMIT_BYTES) if raw[:2] == b"\x1f\x8b" else raw
        parts = _parts(body, boundary)
        event = _event(parts)
        batch = Batch(token, [event], None)
        return stored_events(batch, take.now(), _BODY_LIMIT_BYTES, take.prices), parts

    parts: list[_Part] = await take.store_events(raw, make)
    accepted = [
        {
            "name": part.name,
            "length": len(part.data),
            "content-type": part.content_type or None,
            "content-encoding": part.encoding or None,
        }
        for part in parts
    ]
    return JsonResponse({"accepted_parts": accepted})


def _boundary(content_type: str) -> bytes:
    kind, _, rest = content_type.partition(";")
    match = re.search(r'boundary="?([^";]+)"?', rest)
    if kind.strip().lower() != "multipart/form-data" or match is None:
        raise CaptureRefusal(415, "expected multipart/form-data with a boundary")
    return match.group(1).encode("latin-1")


def _parts(body: bytes, boundary: bytes) -> list[_Part]:
    """Return the parts of a multipart body. Raises CaptureRefusal (400, 413)."""
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary)
    if len(pieces) < 3 or not pieces[-1].startswith(b"--"):
        raise CaptureRefusal(400, "failed to parse request: multipart body is cut short")
    if len(pieces) > _MAX_PARTS:
        raise CaptureRefusal(400, f"failed to parse request: more than {_MAX_PARTS} parts")
    parts = [_part(piece) for piece in pieces[1:-1]]
    if sum(len(part.data) for part in parts) > _PARTS_LIMIT_BYTES:
        raise CaptureRefusal(413, f"the parts are larger than {_PARTS_LIMIT_BYTES} bytes")
    return parts


def _part(piece: bytes) -> _Part:
    head, found, data = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (
            line.partition(":") for line in head.decode("utf-8", "replace").split("\r\n")
        )
    }
    name = _NAME.search(headers.get("content-disposition", ""))
    if not found or name is None:
        raise CaptureRefusal(400, "failed to parse request: a part has no name")
    encoding = headers.get("content-encoding", "")
    if encoding:
        data = inflate(data, encoding, _PARTS_LIMIT_BYTES)
    return _Part(name.group(1), headers.get("content-type", ""), encoding, data)


def _event(parts: list[_Part]) -> dict[str, Any]:
    if parts[0].name != "event":
        raise CaptureRefusal(400, "the first part must be 'event'")
    if len(parts[0].data) > _EVENT_LIMIT_BYTES:
        raise CaptureRefusal(413, f"the part 'event' is larger than {_EVENT_LIMIT_BYTES} bytes")
    event = parse(parts[0].data)
    if not isinstance(event, dict):
        raise CaptureRefusal(400, "failed to parse request: 'event' must be an object")
    properties = dict(event.get("properties") or {})
    small = len(parts[0].data)
    for part in parts[1:]:
        if part.name == "event.properties":
            small += len(part.data)
            more = parse(part.data)
            if not isinstance(more, dict):
                raise CaptureRefusal(400, "'event.properties' must be an object")
            properties |= more
        elif part.name.startswith(_PREFIX):
            properties[part.name.removeprefix(_PREFIX)] = _value(part)
        else:
            raise CaptureRefusal(400, f"unknown part {part.name!r}")
    if small > _EVENT_AND_PROPERTIES_LIMIT_BYTES:
        raise CaptureRefusal(
            413, f"event and properties exceed {_EVENT_AND_PROPERTIES_LIMIT_BYTES} bytes"
        )
    name = event.get("event")
    if not isinstance(name, str) or not name.startswith("$ai_"):
        raise CaptureRefusal(400, f"event {name!r} is not an AI event: its name must begin $ai_")
    if not properties.get("$ai_model"):
        raise CaptureRefusal(400, "the event has no '$ai_model'")
    return {**event, "properties": properties}


def _value(part: _Part) -> Any:
    """Return what a part stands for: JSON, text, or bytes as a data: address."""
    kind = part.content_type.partition(";")[0].strip().lower()
    if kind == "application/json":
        return parse(part.data)
    if kind.startswith("text/"):
        return part.data.decode("utf-8", "replace")
    return f"data:{kind};base64,{base64.b64encode(part.data).decode()}"


routes: list[Route] = both("/i/v0/ai/", quiet_when_gone(_capture), ["POST"])
