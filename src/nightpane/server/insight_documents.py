"""The management API of insights: saved queries, PostHog's own shape.

Kept as they were sent; ``result`` is worked out from events when ``refresh`` asks for it, never
kept. Only a query that this server answers is taken.
"""

from __future__ import annotations

import json
import secrets
import string
from collections.abc import Callable, Mapping
from typing import Any

from starlette.datastructures import State
from starlette.requests import Request
from starlette.routing import Route

from nightpane.definitions import Document
from nightpane.errors import HogQLError, QueryLimitError
from nightpane.server import tiles
from nightpane.server.errors import ApiRefusal
from nightpane.server.feature_flags import no_delete
from nightpane.server.fields import Field, accepted, is_true, now, tags
from nightpane.server.query import KINDS, answer_node, unwrap
from nightpane.server.rest import USER, definitions_of, invalid, not_found, paged, route

__all__ = ["KIND", "overrides", "routes", "shown", "wants_result"]

KIND = "insight"
_ALPHABET = string.ascii_letters + string.digits
_KEPT = ("false", "0", "", "force_cache")


def _query(name: str, value: dict[str, Any]) -> dict[str, Any]:
    kind = unwrap(value).get("kind")
    if kind not in KINDS:
        raise invalid(name, f"Unsupported query kind: {kind!r}. Use one of {', '.join(KINDS)}.")
    return value


_FIELDS = {
    "name": Field(kind=str, nullable=True, max_length=400),
    "derived_name": Field(kind=str, nullable=True, max_length=400),
    "description": Field(kind=str, nullable=True, max_length=400),
    "query": Field(kind=dict, nullable=True, read=_query),
    "order": Field(kind=int, nullable=True),
    "tags": Field(kind=list, default=[], read=tags),
    "favorited": Field(kind=bool, default=False),
    "saved": Field(kind=bool, default=False),
    "deleted": Field(kind=bool, default=False),
}
_DASHBOARDS = {"dashboards": Field(kind=list)}
# A change of these is one of the insight itself.
_MATERIAL = {"name", "description", "query"}


def _list(request: Request, _body: dict[str, Any]) -> Any:
    definitions = definitions_of(request)
    query = request.query_params
    placed = tiles.live(definitions)
    wanted = _filter(query, placed)
    found = [one for one in definitions.list(KIND) if wanted(one)]
    order = query.get("order", "-last_modified_at")
    by = order.removeprefix("-")
    if by not in ("name", "created_at", "updated_at", "last_modified_at"):
        raise invalid("order", f"{order!r} is not a field insights are ordered by.")
    found.sort(key=lambda one: (one[by] or "", one["id"]), reverse=order != by)
    page = paged(request, found)
    return {**page, "results": [shown(request, one, placed) for one in page["results"]]}


def _create(request: Request, body: dict[str, Any]) -> Any:
    if body.get("filters"):
        raise invalid("filters", "Filters are PostHog's old form of an insight: use query.")
    defaults = {name: one.default for name, one in _FIELDS.items()}
    document = {**defaults, **accepted(_FIELDS, body), "short_id": _short_id()}
    document |= {"created_by": USER, "last_modified_by": USER, "last_modified_at": now()}
    definitions = definitions_of(request)
    with definitions.transaction():
        made = definitions.create(KIND, document)
        for one in accepted(_DASHBOARDS, body).values():
            tiles.replace_dashboards(definitions, made["id"], one)
        return shown(request, made, tiles.live(definitions)), 201


def _get(request: Request, _body: dict[str, Any]) -> Any:
    placed = tiles.live(definitions_of(request))
    return shown(request, _found(request), placed, result=wants_result(request))


def _change(request: Request, body: dict[str, Any]) -> Any:
    if body.get("filters"):
        raise invalid("filters", "Filters are PostHog's old form of an insight: use query.")
    definitions = definitions_of(request)
    changes = accepted(_FIELDS, body)
    if _MATERIAL & set(changes):
        changes |= {"last_modified_at": now(), "last_modified_by": USER}
    with definitions.transaction():
        before = _found(request, deleted=True)
        changed = definitions.update(KIND, before["id"], changes)
        if not changed["deleted"]:
            for one in accepted(_DASHBOARDS, body).values():
                tiles.replace_dashboards(definitions, changed["id"], one)
        return shown(request, changed, tiles.live(definitions))


def _found(request: Request, *, deleted: bool = False) -> Document:
    """Return the insight that the path names by its id or short id. Raises ApiRefusal (404)."""
    text = request.path_params["id"]
    for one in definitions_of(request).list(KIND, deleted=deleted):
        if text in (str(one["id"]), one["short_id"]):
            return one
    raise not_found()


def _filter(query: Mapping[str, str], placed: list[Document]) -> Callable[[Document], bool]:
    """Return the test that an address asks for. Raises ApiRefusal (400)."""
    search = query.get("search", "").lower()
    short_id, saved = query.get("short_id"), query.get("saved")
    tagged, boards = _listed(query, "tags"), _listed(query, "dashboards")
    on: dict[int, set[int]] = {}
    for tile in placed:
        on.setdefault(tile["insight_id"], set()).add(tile["dashboard_id"])

    def wanted(one: Document) -> bool:
        texts = (one["name"], one["derived_name"], one["description"], *one["tags"])
        is_saved = one["saved"] or one["id"] in on
        return (
            short_id in (None, one["short_id"])
            and any(search in (text or "").lower() for text in texts)
            and (saved is None or is_saved is is_true(saved))
            and (one["favorited"] or "favorited" not in query)
            and (not tagged or bool(set(tagged) & set(one["tags"])))
            and (not boards or {str(each) for each in on.get(one["id"], ())} >= set(boards))
        )

    return wanted


def _listed(query: Mapping[str, str], name: str) -> list[str]:
    """Return a parameter that is a JSON list, or words with commas."""
    text = query.get(name, "")
    try:
        found = json.loads(text) if text.startswith("[") else text.split(",")
    except ValueError as error:
        raise invalid(name, f"{name} must be a JSON list.", code="invalid") from error
    return [str(one) for one in found if one != ""]


def wants_result(request: Request) -> bool:
    """Tell whether the address asks for results to be worked out."""
    return request.query_params.get("refresh", "").lower() not in _KEPT


def overrides(request: Request) -> dict[str, Any]:
    """Return the filters and variables that an address sets for this once.

    Raises ApiRefusal (400).
    """
    found = {}
    for name in ("filters_override", "variables_override"):
        try:
            value = json.loads(request.query_params.get(name) or "{}")
        except ValueError as error:
            raise invalid(name, f"{name} must be JSON.", code="invalid") from error
        if not isinstance(value, dict):
            raise invalid(name, f"{name} must be an object.", code="invalid")
        if value:
            found[name] = value
    return found


def shown(
    request: Request,
    document: Document,
    placed: list[Document],
    *,
    result: bool = False,
    more: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return an insight as PostHog shows it; ``more`` are overrides of a dashboard's.

    ``result`` has its query run. Raises ApiRefusal (400, 504) when that cannot be.
    """
    own = [tile for tile in placed if tile["insight_id"] == document["id"]]
    answer: dict[str, Any] = {}
    if result and document["query"]:
        answer = _run(request.app.state, document["query"], {**(more or {}), **overrides(request)})
    return {
        **{name: value for name, value in document.items() if name != "version"},
        "filters": {},
        "dashboards": [tile["dashboard_id"] for tile in own],
        "dashboard_tiles": [
            {"id": tile["id"], "dashboard_id": tile["dashboard_id"], "deleted": False}
            for tile in own
        ],
        "result": answer.get("results"),
        **{name: answer.get(name) for name in ("columns", "types", "hogql", "timezone")},
        "hasMore": answer.get("hasMore"),
        "last_refresh": now() if answer else None,
        **dict.fromkeys(("cache_target_age", "next_allowed_client_refresh", "query_status")),
        "is_cached": False,
        "is_sample": False,
        "refreshing": False,
        "effective_restriction_level": 21,
        "effective_privilege_level": 37,
        "user_access_level": "manager",
        "alerts": [],
    }


def _run(state: State, query: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    node = unwrap(query)
    chosen = more.get("filters_override")
    if chosen and node.get("kind") == "HogQLQuery":
        dates = {name: chosen[name] for name in ("date_from", "date_to") if chosen.get(name)}
        filters = {"dateRange": dates, "properties": chosen.get("properties") or []}
        more = {**more, "filters_override": filters}
    try:
        return answer_node(state.store, state.definitions, node, more)
    except HogQLError as error:
        raise invalid("query", error.message, code=error.code) from error
    except QueryLimitError as error:
        raise ApiRefusal(504, "server_error", "query_limit", str(error)) from error


def _short_id() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(8))


routes: list[Route] = []
for _scope in ("projects", "environments"):
    _at = f"/api/{_scope}/{{project}}/insights/"
    routes += route(_at, get=_list, post=_create)
    routes += route(f"{_at}{{id}}/", get=_get, patch=_change, put=_change, delete=no_delete)
