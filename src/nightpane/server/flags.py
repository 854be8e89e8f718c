"""Feature flags as clients ask for them: evaluated here, or as definitions to evaluate themselves.

v=4 (Python) and v=2 (Node, browser) get the same records; no version and ``/decide/`` (older
clients) get values by key.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from nightpane.errors import StoreError
from nightpane.flags import Context, Result
from nightpane.server.auth import require_personal_key, same
from nightpane.server.body import MIB, decode_payload
from nightpane.server.capture import both, intake, parse, quiet_when_gone
from nightpane.server.errors import ApiRefusal, CaptureRefusal, JsonResponse
from nightpane.server.flag_state import FlagState, Ready
from nightpane.server.ingest import check_token
from nightpane.server.remote_config import remote_config
from nightpane.server.rest import check_project, not_found
from nightpane.store import Store

__all__ = ["evaluate", "record", "routes"]

_LIMIT_BYTES = 2 * MIB
_SERVER_CLIENTS = ("posthog-python", "posthog-node", "posthog-go", "posthog-ruby", "posthog-php")


def evaluate(
    ready: Ready, store: Store, body: Mapping[str, Any], *, runtime: str | None = None
) -> dict[str, Result]:
    """Return what the flags come to for whom a request's body names.

    What is stored of the person counts where the request says nothing. Raises StoreError.
    """
    distinct_id = body.get("distinct_id")
    distinct_id = "" if distinct_id is None else str(distinct_id)
    keys = body.get("flag_keys_to_evaluate") or body.get("flag_keys")
    wanted = {
        key
        for key, flag in ready.flags.flags.items()
        if (not isinstance(keys, list) or key in keys) and _is_for(flag, body, runtime)
    }
    if not wanted or body.get("disable_flags") is True:
        return {}
    person_id, stored = store.person(distinct_id) if distinct_id else ("", {})
    anonymous = body.get("$anon_distinct_id")
    device = body.get("$device_id") or body.get("device_id")
    groups = _mapping(body.get("groups") or body.get("$groups"))
    context = Context(
        distinct_id,
        {**stored, **_mapping(body.get("person_properties"))},
        groups={name: str(key) for name, key in groups.items() if isinstance(key, str | int)},
        group_properties={
            name: _mapping(given) for name, given in _mapping(body.get("group_properties")).items()
        },
        device_id=None if device is None else str(device),
        anonymous_id=anonymous if isinstance(anonymous, str) else None,
        cohorts=ready.cohorts_of(distinct_id, person_id),
    )
    return ready.flags.evaluate(context, wanted)


def record(ready: Ready, key: str, result: Result) -> dict[str, Any]:
    """Return a flag's result as v=2 and v=4 clients read it, in one record for both."""
    flag = ready.flags.flags[key]
    answer: dict[str, Any] = {
        "key": key,
        "enabled": result.enabled,
        "variant": result.variant,
        "value": result.value,
        "reason": {
            "code": result.reason,
            "condition_index": result.condition_index,
            "description": result.description,
        },
        "metadata": {
            "id": flag["id"],
            "version": flag["version"],
            "description": flag.get("name") or None,
            "payload": _payload(ready, key, result.value),
            "has_experiment": key in ready.experiments,
        },
    }
    if result.value is None:
        answer["failed"] = True
    return answer


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
    answer = await asyncio.to_thread(_answer, request, body)
    if query.get("config") in ("true", "1") or request.url.path.startswith("/decide"):
        answer = {**remote_config(token), **answer}
    return JsonResponse(answer)


def _answer(request: Request, body: Mapping[str, Any]) -> dict[str, Any]:
    common: dict[str, Any] = {
        "errorsWhileComputingFlags": False,
        "requestId": str(uuid.uuid4()),
        "evaluatedAt": int(time.time() * 1000),
    }
    if request.query_params.get("only_evaluate_survey_feature_flags") in ("true", "1"):
        return {**_by_version(request, {}, {}, {}), **common}
    try:
        ready = _state(request).ready()
        results = evaluate(ready, _store(request), body, runtime=_runtime(request, body))
    except StoreError:
        return {**_by_version(request, {}, {}, {}), **common, "errorsWhileComputingFlags": True}
    common["errorsWhileComputingFlags"] = any(one.value is None for one in results.values())
    records = {key: record(ready, key, result) for key, result in results.items()}
    values = {key: one.value for key, one in results.items() if one.value is not None}
    payloads = {
        key: payload
        for key, result in results.items()
        if (payload := _payload(ready, key, result.value)) is not None
    }
    return {**_by_version(request, records, values, payloads), **common}


def _by_version(
    request: Request,
    records: dict[str, Any],
    values: dict[str, Any],
    payloads: dict[str, Any],
) -> dict[str, Any]:
    """Return the results in the shape that the path and ``v`` ask for."""
    version = request.query_params.get("v") or "1"
    number = int(version) if version.isdecimal() else 1
    if number >= (4 if request.url.path.startswith("/decide") else 2):
        return {"flags": records}
    if not request.url.path.startswith("/decide"):
        return {"featureFlags": values, "featureFlagPayloads": payloads}
    enabled = {key: value for key, value in values.items() if value}
    if number == 1:
        return {"featureFlags": list(enabled)}
    if number == 2:
        return {"featureFlags": enabled}
    return {"featureFlags": values, "featureFlagPayloads": payloads}


def _payload(ready: Ready, key: str, value: bool | str | None) -> str | None:
    """Return what a flag carries for a value, as JSON text."""
    payload = ready.flags.payload(key, value)
    if payload is None or isinstance(payload, str):
        return payload
    return orjson.dumps(payload).decode()


def _is_for(flag: Mapping[str, Any], body: Mapping[str, Any], runtime: str | None) -> bool:
    """Tell whether a flag is meant for where and for what the request asks."""
    meant = flag.get("evaluation_runtime") or "all"
    if runtime is not None and meant not in ("all", runtime):
        return False
    needed, given = flag.get("evaluation_contexts") or [], body.get("evaluation_contexts")
    return not needed or not isinstance(given, list) or any(one in given for one in needed)


def _runtime(request: Request, body: Mapping[str, Any]) -> str | None:
    """Return whether a server's or a page's client asks, None when that cannot be told."""
    told = body.get("evaluation_runtime")
    if told in ("client", "server"):
        return str(told)
    if "origin" in request.headers or "sec-fetch-mode" in request.headers:
        return "client"
    agent = request.headers.get("user-agent", "").lower()
    return "server" if agent.startswith(_SERVER_CLIENTS) else None


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
    ready = await asyncio.to_thread(_state(request).ready)
    headers = {"ETag": ready.etag, "Cache-Control": "private, must-revalidate"}
    if ready.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(ready.definitions, media_type="application/json", headers=headers)


async def _remote_config(request: Request) -> Response:
    require_personal_key(request)
    check_project(request)
    ready = await asyncio.to_thread(_state(request).ready)
    flag = ready.flags.find(request.path_params["key"])
    if flag is None or not flag.get("is_remote_configuration"):
        raise not_found()
    return JsonResponse(_payload(ready, flag["key"], True))


def _state(request: Request) -> FlagState:
    state: FlagState = request.app.state.flags
    return state


def _store(request: Request) -> Store:
    """Return the server's store."""
    store: Store = request.app.state.store
    return store


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


_REMOTE_CONFIG = "{project}/feature_flags/{key}/remote_config/"

routes: list[Route] = [
    *both("/flags/definitions/", _definitions, ["GET"]),
    *both("/api/feature_flag/local_evaluation/", _definitions, ["GET"]),
    *both("/flags/", quiet_when_gone(_flags), ["GET", "POST"]),
    *both("/decide/", quiet_when_gone(_flags), ["GET", "POST"]),
    *both(f"/api/projects/{_REMOTE_CONFIG}", _remote_config, ["GET"]),
    *both(f"/api/environments/{_REMOTE_CONFIG}", _remote_config, ["GET"]),
]
