"""The few management routes that unchanged clients ask before they do anything else.

One user, one organization, one project: enough for PostHog's own tools to find their way. All need
the personal API key.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from nightpane.ids import deterministic_uuid
from nightpane.server.keys import Keys
from nightpane.server.rest import USER, check_project, get, keys_of, listing, not_found

__all__ = ["routes"]

_ORGANIZATION = deterministic_uuid("organization")


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
    keys = keys_of(request)
    return {
        **USER,
        "team": _project(keys),
        "organization": _organization(keys),
        "organizations": [_organization(keys)],
    }


def _personal_key(request: Request) -> dict[str, Any]:
    keys = keys_of(request)
    return {
        "id": "local",
        "label": "nightpane up",
        "scopes": ["*"],
        # As PostHog tells of a key that is for everything there is.
        "scoped_teams": [],
        "scoped_organizations": [],
        "mask_value": f"phx_...{keys.personal_api_key[-4:]}",
    }


def _projects(request: Request) -> dict[str, Any]:
    return listing([_project(keys_of(request))])


def _organizations(request: Request) -> dict[str, Any]:
    return listing([_organization(keys_of(request))])


def _one_project(request: Request) -> dict[str, Any]:
    check_project(request)
    return _project(keys_of(request))


def _one_organization(request: Request) -> dict[str, Any]:
    if request.path_params["organization"] not in ("@current", _ORGANIZATION):
        raise not_found()
    return _organization(keys_of(request))


routes: list[Route] = [
    *get("/api/users/@me/", _user),
    *get("/api/personal_api_keys/@current/", _personal_key),
    *get("/api/organizations/", _organizations),
    *get("/api/organizations/{organization}/", _one_organization),
    *get("/api/organizations/{organization}/projects/", _projects),
]
for _kind in ("projects", "environments"):
    routes += [
        *get(f"/api/{_kind}/", _projects),
        *get(f"/api/{_kind}/{{project}}/", _one_project),
    ]
