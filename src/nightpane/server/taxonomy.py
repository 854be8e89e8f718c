"""Which events and properties there are: PostHog's definitions, read from what arrived.

Nothing is kept for them but the types of properties; a definition cannot be edited.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from nightpane.ids import deterministic_uuid
from nightpane.server.fields import is_true
from nightpane.server.rest import get, invalid, paged
from nightpane.store import Store
from nightpane.store.json_text import dumps, loads

__all__ = ["routes"]

_LATEST = """SELECT properties FROM nightpane.events
WHERE event IN JSONExtract({names:String}, 'Array(String)')
ORDER BY timestamp DESC LIMIT 1000"""


def _property_definitions(request: Request) -> dict[str, Any]:
    store: Store = request.app.state.store
    types = dict(store.property_types)
    seen = _names_seen(store, request)
    wanted = _wanted(request)
    found = [
        {
            "id": deterministic_uuid("property", name),
            "name": name,
            "property_type": types.get(name),
            "is_numerical": types.get(name) == "Numeric",
            "is_seen_on_filtered_events": None if seen is None else True,
        }
        for name in sorted(types if seen is None else seen)
        if wanted(name)
    ]
    return paged(request, found)


def _wanted(request: Request) -> Callable[[str], bool]:
    """Return the test of a property's name that an address asks for. Raises ApiRefusal (400)."""
    given = request.query_params
    search = given.get("search", "").lower()
    left_out = set(_listed(request, "excluded_properties"))
    # Names that start with $ are PostHog's own.
    no_core = is_true(given.get("exclude_core_properties", ""))
    of_flags = given.get("is_feature_flag")

    def wanted(name: str) -> bool:
        return (
            search in name.lower()
            and name not in left_out
            and not (no_core and name.startswith("$"))
            and (of_flags is None or name.startswith("$feature/") is is_true(of_flags))
        )

    return wanted


def _names_seen(store: Store, request: Request) -> set[str] | None:
    """Return the properties of persons, or of the named events' latest, None when all are asked."""
    given = request.query_params
    kind = given.get("type", "event")
    if kind == "person":
        return _names(store, "SELECT properties FROM nightpane.persons FINAL", {})
    if kind != "event":
        return set()
    if not is_true(given.get("filter_by_event_names", "")):
        return None
    return _names(store, _LATEST, {"names": dumps(_listed(request, "event_names"))})


def _listed(request: Request, name: str) -> list[str]:
    try:
        names = loads((request.query_params.get(name) or "[]").encode())
    except ValueError:
        names = None
    if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
        raise invalid(name, 'Expected a list of texts as JSON, such as ["round_kept"].')
    return names


def _names(store: Store, properties: str, values: dict[str, Any]) -> set[str]:
    answer = store.read(
        f"SELECT DISTINCT arrayJoin(JSONExtractKeys(properties)) FROM ({properties})",  # noqa: S608 (texts of our own)
        values,
    )
    return {name for (name,) in answer.rows}


def _event_definitions(request: Request) -> dict[str, Any]:
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


routes: list[Route] = []
for _scope in ("projects", "environments"):
    _at = f"/api/{_scope}/{{project}}/"
    routes += get(f"{_at}property_definitions/", _property_definitions)
    routes += get(f"{_at}event_definitions/", _event_definitions)
