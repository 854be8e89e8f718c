"""Feature flags: there are none, and every client hears so in the shape it understands.

v=4 (Python), v=2 (Node, browser), no version and ``/decide/`` (older ones), and the definitions
that servers poll for local evaluation.
"""

from __future__ import annotations

import time
import uuid
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from nightpane.server.auth import require_personal_key, same
from nightpane.server.body import MIB, decode_payload
from nightpane.server.capture import both, intake, parse, quiet_when_gone
from nightpane.server.errors import ApiRefusal, CaptureRefusal, JsonResponse
from nightpane.server.ingest import check_token
from nightpane.server.remote_config import remote_config

__all__ = ["routes"]

_LIMIT_BYTES = 2 * MIB
_ETAG = '"no-flags"'


async def _flags(request: Request) -> Response:
    take = intake(request)
    query = request.query_params
    raw = await take.body(request, _LIMIT_BYTES)
    body: Any = {}
    if raw or query.get("data"):
        body = parse(
            decode_payload(
                raw,
                limit_bytes=_LIMIT_BYTES,
                compression=query.get("compression", ""),
                data=query.get("data"),
            )
        )
    if not isinstance(body, dict):
        raise CaptureRefusal(400, "failed to parse request: expected an object")
    token = body.get("token") or body.get("api_key") or query.get("token") or query.get("api_key")
    if not isinstance(token, str):
        raise CaptureRefusal(401, "request has no API key")
    check_token(token, take.keys)
    answer = _answer(query.get("v"))
    if query.get("config") in ("true", "1") or request.url.path.startswith("/decide"):
        answer = {**remote_config(token), **answer}
    return JsonResponse(answer)


def _answer(version: str | None) -> dict[str, Any]:
    common = {
        "errorsWhileComputingFlags": False,
        "requestId": str(uuid.uuid4()),
        "evaluatedAt": int(time.time() * 1000),
    }
    if version in ("1", None) or not str(version).isdecimal():
        empty: Any = [] if version == "1" else {}
        return {"featureFlags": empty, "featureFlagPayloads": {}, **common}
    if version == "3":  # the last version of /decide/
        return {"featureFlags": {}, "featureFlagPayloads": {}, "flags": {}, **common}
    return {"flags": {}, **common}


async def _definitions(request: Request) -> Response:
    require_personal_key(request)
    token = request.query_params.get("token")
    if token is not None and not same(token, request.app.state.keys.api_key):
        raise ApiRefusal(
            401,
            "authentication_error",
            "authentication_failed",
            "The project API key in 'token' is not this server's.",
        )
    headers = {"ETag": _ETAG, "Cache-Control": "private, must-revalidate"}
    if _ETAG in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    body: dict[str, Any] = {"flags": [], "group_type_mapping": {}, "cohorts": {}}
    return JsonResponse(body, headers=headers)


routes: list[Route] = [
    *both("/flags/definitions/", _definitions, ["GET"]),
    *both("/api/feature_flag/local_evaluation/", _definitions, ["GET"]),
    *both("/flags/", quiet_when_gone(_flags), ["GET", "POST"]),
    *both("/decide/", quiet_when_gone(_flags), ["GET", "POST"]),
]
