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
from nightpane.server.rest import (
    USER,
    check_project,
    get,
    invalid,
    keys_of,
    listing,
    not_found,
    paged,
)
from nightpane.store import Store
from nightpane.store.json_text import dumps, loads

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


def _property_definitions(request: Request) -> dict[str, Any]:
    check_project(request)
    store: Store = request.app.state.store
    types = dict(store.property_types)
    seen = _names_seen(store, request)
    search = request.query_params.get("search", "").lower()
    found = [
        {
            "id": deterministic_uuid("property", name),
            "name": name,
            "property_type": types.get(name),
            "is_numerical": types.get(name) == "Numeric",
            "is_seen_on_filtered_events": None if seen is None else True,
        }
        for name in sorted(types if seen is None else seen)
        if search in name.lower()
    ]
    return paged(request, found)


def _names_seen(store: Store, request: Request) -> set[str] | None:
    """Return the properties of persons, or of the named events' latest, None when all are asked."""
    given = request.query_params
    if given.get("type") == "person":
        return _names(store, "SELECT properties FROM nightpane.persons FINAL", {})
    if given.get("filter_by_event_names", "").lower() != "true":
        return None
    try:
        names = loads((given.get("event_names") or "[]").encode())
    except ValueError:
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise invalid("event_names", 'Expected a list of texts as JSON, such as ["round_kept"].')
    latest = (
        "SELECT properties FROM nightpane.events WHERE event IN "
        "JSONExtract({names:String}, 'Array(String)') ORDER BY timestamp DESC LIMIT 1000"
    )
    return _names(store, latest, {"names": dumps(names)})


def _names(store: Store, properties: str, values: dict[str, Any]) -> set[str]:
    answer = store.read(
        f"SELECT DISTINCT arrayJoin(JSONExtractKeys(properties)) FROM ({properties})",  # noqa: S608 (texts of our own)
        values,
    )
    return {name for (name,) in answer.rows}


def _event_definitions(request: Request) -> dict[str, Any]:
    check_project(request)
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
    return paged(request, found)


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
        *get(f"/api/{_kind}/{{project}}/property_definitions/", _property_definitions),
        *get(f"/api/{_kind}/{{project}}/event_definitions/", _event_definitions),
    ]
