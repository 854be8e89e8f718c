"""The management API of annotations: moments with a text, drawn as lines on every chart.

Kept as they were sent. Deleting one marks it; a PATCH with ``deleted: false`` brings it back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from nightpane.definitions import Definitions, Document
from nightpane.server.feature_flags import no_delete
from nightpane.server.fields import Field, accepted, is_true, moment, parsed, tags
from nightpane.server.rest import USER, definitions_of, invalid, not_found, paged, route

__all__ = ["routes"]

_KIND = "annotation"
_SCOPES = ("dashboard_item", "dashboard", "project", "organization", "tag")
_PAGE = 1_000
_FIELDS = {
    "content": Field(kind=str, nullable=True, max_length=8192),
    "date_marker": Field(kind=str, nullable=True, read=moment),
    "creation_type": Field(kind=str, default="USR", choices=("USR", "GIT")),
    "scope": Field(kind=str, default="dashboard_item", choices=_SCOPES),
    "dashboard_item": Field(kind=int, nullable=True),
    "dashboard_id": Field(kind=int, nullable=True),
    "emoji": Field(kind=str, nullable=True, max_length=16, read=lambda _, value: value or None),
    "hidden_in_user_interface": Field(kind=bool, nullable=True),
    "tags": Field(kind=list, default=[], read=tags),
    "deleted": Field(kind=bool, default=False),
}
# What an annotation stands on, and the field that names it.
_PARENTS = {"dashboard_item": "insight", "dashboard_id": "dashboard"}


def _list(request: Request, _body: dict[str, Any]) -> Any:
    definitions = definitions_of(request)
    wanted = _filter(request.query_params)
    found = [
        one for one in definitions.list(_KIND) if wanted(one) and _has_parents(definitions, one)
    ]
    found.sort(key=lambda one: (one["date_marker"] or "", one["id"]), reverse=True)
    page = paged(request, found, default=_PAGE)
    return {**page, "results": [_shown(definitions, one) for one in page["results"]]}


def _create(request: Request, body: dict[str, Any]) -> Any:
    definitions = definitions_of(request)
    defaults = {name: one.default for name, one in _FIELDS.items()}
    document = {**defaults, **accepted(_FIELDS, body), "created_by": USER}
    with definitions.transaction():
        _check(definitions, document)
        return _shown(definitions, definitions.create(_KIND, document)), 201


def _get(request: Request, _body: dict[str, Any]) -> Any:
    return _shown(definitions_of(request), _found(request))


def _change(request: Request, body: dict[str, Any]) -> Any:
    definitions = definitions_of(request)
    changes = accepted(_FIELDS, body)
    with definitions.transaction():
        document = _found(request, deleted=True)
        _check(definitions, {**document, **changes}, changes)
        return _shown(definitions, definitions.update(_KIND, document["id"], changes))


def _found(request: Request, *, deleted: bool = False) -> Document:
    """Return the annotation the path names, as long as what it stands on is there."""
    text = request.path_params["id"]
    definitions = definitions_of(request)
    found = definitions.get(_KIND, int(text)) if text.isdecimal() and len(text) < 19 else None
    if found is None or (found["deleted"] and not deleted) or not _has_parents(definitions, found):
        raise not_found()
    return found


def _check(
    definitions: Definitions, document: Mapping[str, Any], changes: Mapping[str, Any] | None = None
) -> None:
    """Refuse an annotation that hangs on nothing. Raises ApiRefusal (400)."""
    for name, kind in _PARENTS.items():
        parent = (document if changes is None else changes).get(name)
        if parent is not None and _live(definitions, kind, parent) is None:
            raise invalid(name, f"{kind.capitalize()} not found.", code="does_not_exist")
    if document["scope"] == "tag" and not document["tags"]:
        raise invalid("tags", "At least one tag is required when scope is 'tag'.")
    if document["scope"] != "tag" and document["tags"]:
        raise invalid("tags", "Tags can only be set when scope is 'tag'.")


def _filter(query: Mapping[str, str]) -> Callable[[Document], bool]:
    """Return the test that an address asks for. Raises ApiRefusal (400)."""
    search = query.get("search", "").lower()
    scope = {"insight": "dashboard_item"}.get(query.get("scope", ""), query.get("scope"))
    if scope and scope not in (*_SCOPES, "recording"):
        raise invalid(None, f"Invalid scope: {scope}")
    since, until = _date(query, "date_from"), _date(query, "date_to")
    if since and until and since > until:
        raise invalid(None, "Invalid date range: date_from must be before date_to")
    hidden, emoji = query.get("hidden_in_user_interface"), query.get("is_emoji")

    def wanted(one: Document) -> bool:
        at = parsed("date_marker", one["date_marker"]) if one["date_marker"] else None
        return (
            search in (one["content"] or "").lower()
            and (not scope or one["scope"] == scope)
            and (since is None or (at is not None and at >= since))
            and (until is None or (at is not None and at <= until))
            and (hidden is None or bool(one["hidden_in_user_interface"]) is is_true(hidden))
            and (emoji is None or (one["emoji"] is not None) is is_true(emoji))
        )

    return wanted


def _date(query: Mapping[str, str], name: str) -> datetime | None:
    return parsed(name, query[name]) if query.get(name) else None


def _live(definitions: Definitions, kind: str, document_id: int) -> Document | None:
    # An id beyond SQLite's integers names nothing.
    found = definitions.get(kind, document_id) if 0 < document_id < 2**63 else None
    return None if found is None or found["deleted"] else found


def _has_parents(definitions: Definitions, document: Document) -> bool:
    return all(
        document[name] is None or _live(definitions, kind, document[name]) is not None
        for name, kind in _PARENTS.items()
    )


def _shown(definitions: Definitions, document: Document) -> dict[str, Any]:
    parents = {
        name: definitions.get(kind, document[name]) or {} if document[name] is not None else {}
        for name, kind in _PARENTS.items()
    }
    insight, dashboard = parents["dashboard_item"], parents["dashboard_id"]
    return {
        **{name: value for name, value in document.items() if name != "version"},
        "dashboard_name": dashboard.get("name"),
        "insight_short_id": insight.get("short_id"),
        "insight_name": insight.get("name"),
        "insight_derived_name": insight.get("derived_name"),
    }


routes: list[Route] = []
for _scope in ("projects", "environments"):
    _at = f"/api/{_scope}/{{project}}/annotations/"
    routes += route(_at, get=_list, post=_create)
    routes += route(f"{_at}{{id}}/", get=_get, patch=_change, put=_change, delete=no_delete)
