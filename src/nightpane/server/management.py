"""The few management routes that unchanged clients ask before they do anything else.

One user, one organization, one project: enough for PostHog's own tools to find their way. All need
the personal API key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from nightpane.ids import deterministic_uuid
from nightpane.server.auth import require_personal_key
from nightpane.server.capture import both
from nightpane.server.errors import ApiRefusal, JsonResponse
from nightpane.server.keys import Keys
from nightpane.store import Store

__all__ = ["routes"]

_ORGANIZATION = deterministic_uuid("organization")
_USER = deterministic_uuid("user")
_PAGE = 100
_MOST = 1_000

Answer = Callable[[Request], Any]


def _project(keys: Keys) -> dict[str, Any]:
    return {
        "id": keys.project_id,
        "uuid": deterministic_uuid("project", str(keys.project_id)),
        "organization": _ORGANIZATION,
        "name": "nightpane",
        "api_token": keys.api_key,
        "timezone": "UTC",
        "is_demo": False,
        "access_control": False,
        "effective_membership_level": 15,
    }


def _organization(keys: Keys) -> dict[str, Any]:
    return {
        "id": _ORGANIZATION,
        "name": "local",
        "slug": "local",
        "membership_level": 15,
        "teams": [_project(keys)],
        "projects": [_project(keys)],
    }


def _user(request: Request) -> dict[str, Any]:
    keys = _keys(request)
    return {
        "id": 1,
        "uuid": _USER,
        "distinct_id": "local:internal:owner",
        "first_name": "local",
        "email": "owner@localhost",
        "team": _project(keys),
        "organization": _organization(keys),
        "organizations": [_organization(keys)],
    }


def _personal_key(request: Request) -> dict[str, Any]:
    keys = _keys(request)
    return {
        "id": "local",
        "label": "nightpane up",
        "scopes": ["*"],
        "scoped_teams": [keys.project_id],
        "scoped_organizations": [_ORGANIZATION],
        "mask_value": f"phx_...{keys.personal_api_key[-4:]}",
    }


def _projects(request: Request) -> dict[str, Any]:
    return _listing([_project(_keys(request))])


def _organizations(request: Request) -> dict[str, Any]:
    return _listing([_organization(_keys(request))])


def _one_project(request: Request) -> dict[str, Any]:
    _check_project(request)
    return _project(_keys(request))


def _one_organization(request: Request) -> dict[str, Any]:
    if request.path_params["organization"] not in ("@current", _ORGANIZATION):
        raise _not_found()
    return _organization(_keys(request))


def _property_definitions(request: Request) -> dict[str, Any]:
    _check_project(request)
    store: Store = request.app.state.store
    search = request.query_params.get("search", "").lower()
    found = [
        {
            "id": deterministic_uuid("property", name),
            "name": name,
            "property_type": kind,
            "is_numerical": kind == "Numeric",
        }
        for name, kind in sorted(dict(store.property_types).items())
        if search in name.lower()
    ]
    return _paged(request, found)


def _event_definitions(request: Request) -> dict[str, Any]:
    _check_project(request)
    store: Store = request.app.state.store
    search = request.query_params.get("search", "").lower()
    answer = store.read(
        "SELECT event, max(timestamp), min(created_at) FROM nightpane.events "
        "GROUP BY event ORDER BY event LIMIT 10000"
    )
    found = [
        {
            "id": deterministic_uuid("event", name),
            "name": name,
            "last_seen_at": last,
            "created_at": first,
        }
        for name, last, first in answer.rows
        if search in name.lower()
    ]
    return _paged(request, found)


def _keys(request: Request) -> Keys:
    keys: Keys = request.app.state.keys
    return keys


def _check_project(request: Request) -> None:
    if request.path_params["project"] not in ("@current", str(_keys(request).project_id)):
        raise _not_found()


def _not_found() -> ApiRefusal:
    return ApiRefusal(404, "invalid_request", "not_found", "Not found.")


def _listing(results: list[Any]) -> dict[str, Any]:
    return {"count": len(results), "next": None, "previous": None, "results": results}


def _paged(request: Request, found: list[Any]) -> dict[str, Any]:
    try:
        limit = min(max(int(request.query_params.get("limit", _PAGE)), 1), _MOST)
        offset = max(int(request.query_params.get("offset", 0)), 0)
    except ValueError as error:
        raise ApiRefusal(
            400, "validation_error", "invalid", "limit and offset must be numbers"
        ) from error
    url = request.url.include_query_params
    more = offset + limit < len(found)
    return {
        "count": len(found),
        "next": str(url(limit=limit, offset=offset + limit)) if more else None,
        "previous": str(url(limit=limit, offset=max(offset - limit, 0))) if offset else None,
        "results": found[offset : offset + limit],
    }


def _get(path: str, answer: Answer) -> list[Route]:
    async def handler(request: Request) -> Response:
        require_personal_key(request)
        return JsonResponse(await asyncio.to_thread(answer, request))

    return both(path, handler, ["GET"])


routes: list[Route] = [
    *_get("/api/users/@me/", _user),
    *_get("/api/personal_api_keys/@current/", _personal_key),
    *_get("/api/organizations/", _organizations),
    *_get("/api/organizations/{organization}/", _one_organization),
    *_get("/api/organizations/{organization}/projects/", _projects),
]
for _kind in ("projects", "environments"):
    routes += [
        *_get(f"/api/{_kind}/", _projects),
        *_get(f"/api/{_kind}/{{project}}/", _one_project),
        *_get(f"/api/{_kind}/{{project}}/property_definitions/", _property_definitions),
        *_get(f"/api/{_kind}/{{project}}/event_definitions/", _event_definitions),
    ]
