"""The management API of dashboards: tiles of insights and texts, PostHog's own shape.

Templates, widgets and sharing are not here and refused, rather than accepted and forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from nightpane.definitions import Definitions, Document
from nightpane.server import insight_documents, tiles
from nightpane.server.errors import ApiRefusal
from nightpane.server.feature_flags import no_delete
from nightpane.server.fields import Field, accepted, is_true, now, tags
from nightpane.server.rest import (
    USER,
    definitions_of,
    document_of,
    invalid,
    keys_of,
    not_found,
    paged,
    route,
)

__all__ = ["routes"]

_KIND = "dashboard"
_FIELDS = {
    "name": Field(kind=str, nullable=True, max_length=400),
    "description": Field(kind=str, default=""),
    "pinned": Field(kind=bool, default=False),
    "tags": Field(kind=list, default=[], read=tags),
    "filters": Field(kind=dict, default={}),
    "variables": Field(kind=dict, default={}, nullable=True),
    "breakdown_colors": Field(kind=list, default=[]),
    "data_color_theme_id": Field(kind=int, nullable=True),
    "restriction_level": Field(kind=int, default=21, choices=(21, 37)),
    "quick_filter_ids": Field(kind=list, nullable=True),
    "grid_spacing": Field(
        kind=str, nullable=True, choices=("tight", "condensed", "standard", "relaxed", "wide")
    ),
    "layout_compaction": Field(
        kind=str, nullable=True, choices=("vertical", "horizontal", "stable")
    ),
    "deleted": Field(kind=bool, default=False),
}
_TILE = {
    "layouts": Field(kind=dict),
    "color": Field(kind=str, nullable=True, max_length=400),
    "show_description": Field(kind=bool, nullable=True),
    "transparent_background": Field(kind=bool, nullable=True),
    "filters_overrides": Field(kind=dict),
    "deleted": Field(kind=bool),
}
_TEXT = {"body": Field(kind=str, max_length=4000)}
_LISTED_WITHOUT = ("tiles", "filters", "variables", "persisted_filters", "persisted_variables")
_NOT_HERE = ("use_template", "use_dashboard", "template_id")
_COLUMNS, _HEIGHT = 12, 5
_WIDTHS = {"preserve": None, "two_column": 6, "full_width": 12}


def _list(request: Request, _body: dict[str, Any]) -> Any:
    query = request.query_params
    search, pinned, tagged = query.get("search", "").lower(), query.get("pinned"), query.get("tags")
    found = [
        one
        for one in definitions_of(request).list(_KIND)
        if search in f"{one['name'] or ''}\n{one['description']}".lower()
        and (pinned is None or one["pinned"] is is_true(pinned))
        and (tagged is None or tagged in one["tags"])
    ]
    found.sort(key=lambda one: (not one["pinned"], (one["name"] or "").lower(), one["id"]))
    page = paged(request, found)
    return {**page, "results": [_basic(request, one) for one in page["results"]]}


def _create(request: Request, body: dict[str, Any]) -> Any:
    for name in _NOT_HERE:
        if body.get(name):
            raise invalid(name, "A local server has no templates and copies no dashboards.")
    defaults = {name: one.default for name, one in _FIELDS.items()}
    definitions = definitions_of(request)
    document = {**defaults, **accepted(_FIELDS, body), "created_by": USER}
    with definitions.transaction():
        made = definitions.create(_KIND, {**document, "creation_mode": "default"})
        _set_tiles(definitions, made, body)
        return _whole(request, made), 201


def _get(request: Request, _body: dict[str, Any]) -> Any:
    return _whole(request, document_of(request, _KIND))


def _change(request: Request, body: dict[str, Any]) -> Any:
    definitions = definitions_of(request)
    changes = accepted(_FIELDS, body)
    with definitions.transaction():
        before = _found(request)
        if changes.get("deleted") and body.get("delete_insights"):
            _delete_insights(definitions, before)
        changed = definitions.update(_KIND, before["id"], changes)
        if not changed["deleted"]:
            _set_tiles(definitions, changed, body)
        return _whole(request, changed)


def _found(request: Request) -> Document:
    """Return the dashboard that the path names, also a deleted one. Raises ApiRefusal (404)."""
    text = request.path_params["id"]
    is_id = text.isdecimal() and len(text) < 19
    found = definitions_of(request).get(_KIND, int(text)) if is_id else None
    if found is None:
        raise not_found()
    return found


def _delete_insights(definitions: Definitions, dashboard: Document) -> None:
    """Delete the insights that are on this dashboard alone."""
    on: dict[int, set[int]] = {}
    for tile in tiles.live(definitions):
        if tile["insight_id"] is not None:
            on.setdefault(tile["insight_id"], set()).add(tile["dashboard_id"])
    for insight, dashboards in on.items():
        if dashboards == {dashboard["id"]}:
            definitions.delete("insight", insight)


def _set_tiles(definitions: Definitions, dashboard: Document, body: Mapping[str, Any]) -> None:
    """Change the tiles a body names; one without an id is a new text. Raises ApiRefusal (400)."""
    listed = body.get("tiles")
    if listed is None:
        return
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise invalid("tiles", "Not a valid list of tiles.", code="invalid")
    for one in listed:
        changes = accepted(_TILE, one)
        text = one.get("text")
        if text is not None:
            changes["text"] = _text(text)
        if one.get("id") is not None:
            tile = _tile(definitions, dashboard, one["id"], "tiles", deleted=True)
            definitions.update(tiles.KIND, tile["id"], changes)
        elif text is not None:
            tiles.add(definitions, dashboard["id"], None, **changes)
        else:
            raise invalid("tiles", "A tile needs an id, or a text. Insights name their dashboards.")


def _text(text: Any) -> dict[str, Any]:
    if not isinstance(text, dict) or not text.get("body"):
        raise invalid("text", "A text has a body.", code="required")
    by = {"created_by": USER, "last_modified_by": USER, "last_modified_at": now()}
    return {**accepted(_TEXT, text), **by}


def _tile(
    definitions: Definitions, dashboard: Document, wanted: Any, attr: str, *, deleted: bool = False
) -> Document:
    for tile in definitions.list(tiles.KIND, deleted=deleted):
        own = tile["dashboard_id"] == dashboard["id"] and not isinstance(wanted, bool)
        if own and tile["id"] == wanted:
            return tile
    detail = f"Tile {wanted!r} is not on this dashboard."
    raise invalid(attr, detail, code="does_not_exist")


def _create_text(request: Request, body: dict[str, Any]) -> Any:
    definitions = definitions_of(request)
    changes = accepted(_TILE, body) | {"text": _text({"body": body.get("body")})}
    with definitions.transaction():
        dashboard = document_of(request, _KIND)
        made = tiles.add(definitions, dashboard["id"], None, **changes)
        return _tile_shown(request, dashboard, made, tiles.live(definitions)), 201


def _delete_tile(request: Request, body: dict[str, Any]) -> Any:
    definitions = definitions_of(request)
    with definitions.transaction():
        dashboard = document_of(request, _KIND)
        tiles.take_off(definitions, [_tile(definitions, dashboard, body.get("tile_id"), "tile_id")])
        return _whole(request, dashboard)


def _move(request: Request, body: dict[str, Any]) -> Any:
    definitions = definitions_of(request)
    given = body.get("tile")
    wanted = body.get("to_dashboard", body.get("toDashboard"))
    with definitions.transaction():
        dashboard = document_of(request, _KIND)
        listed = {one["id"]: one for one in definitions.list(_KIND)}
        if isinstance(wanted, bool) or not isinstance(wanted, int) or wanted not in listed:
            raise invalid("to_dashboard", "Dashboard not found.", code="does_not_exist")
        named = given.get("id") if isinstance(given, dict) else None
        tile = _tile(definitions, dashboard, named, "tile")
        definitions.update(tiles.KIND, tile["id"], {"dashboard_id": wanted})
        return _whole(request, dashboard)


def _reorder(request: Request, body: dict[str, Any]) -> Any:
    """Lay the tiles out in rows, in the order given."""
    definitions = definitions_of(request)
    order, layout = body.get("tile_order"), body.get("layout", "preserve")
    if not isinstance(order, list) or not order:
        raise invalid("tile_order", "This field is required.", code="required")
    if layout not in _WIDTHS:
        raise invalid("layout", f'"{layout}" is not a valid choice.', code="invalid_choice")
    with definitions.transaction():
        dashboard = document_of(request, _KIND)
        x = y = row = 0
        for one in order:
            tile = _tile(definitions, dashboard, one, "tile_order")
            before = tile["layouts"].get("sm") or {}
            width = _WIDTHS[layout] or min(int(before.get("w") or 6), _COLUMNS)
            height = int(before.get("h") or _HEIGHT) if layout == "preserve" else _HEIGHT
            if x + width > _COLUMNS:
                x, y, row = 0, y + row, 0
            place = {**before, "x": x, "y": y, "w": width, "h": height}
            x, row = x + width, max(row, height)
            definitions.update(
                tiles.KIND, tile["id"], {"layouts": {**tile["layouts"], "sm": place}}
            )
        return _whole(request, dashboard)


def _run(request: Request, _body: dict[str, Any]) -> Any:
    dashboard = document_of(request, _KIND)
    shown = _whole(request, dashboard, result=True)["tiles"]
    results = [
        {**{name: tile[name] for name in ("id", "order", "insight")}, "error": tile.get("error")}
        for tile in shown
        if tile["insight"] is not None
    ]
    return {"results": results}


def _basic(request: Request, dashboard: Document) -> dict[str, Any]:
    whole = _dashboard(request, dashboard)
    return {name: value for name, value in whole.items() if name not in _LISTED_WITHOUT}


def _dashboard(request: Request, dashboard: Document) -> dict[str, Any]:
    return {
        **{name: value for name, value in dashboard.items() if name != "version"},
        "persisted_filters": dashboard["filters"] or None,
        "persisted_variables": dashboard["variables"] or None,
        "is_shared": False,
        "team_id": keys_of(request).project_id,
        "last_accessed_at": None,
        "last_viewed_at": None,
        "last_refresh": None,
        "effective_restriction_level": 21,
        "effective_privilege_level": 37,
        "user_access_level": "manager",
        "access_control_version": "v2",
    }


def _whole(request: Request, dashboard: Document, *, result: bool | None = None) -> dict[str, Any]:
    """Return a dashboard with its tiles; their results when the address, or ``result``, asks."""
    placed = tiles.live(definitions_of(request))
    wants = insight_documents.wants_result(request) if result is None else result
    own = [tile for tile in placed if tile["dashboard_id"] == dashboard["id"]]
    own.sort(key=_position)
    shown = [
        {"order": order, **_tile_shown(request, dashboard, one, placed, result=wants)}
        for order, one in enumerate(own)
    ]
    return {**_dashboard(request, dashboard), "tiles": shown}


def _position(tile: Document) -> tuple[float, float, int]:
    place = tile["layouts"].get("sm")
    place = place if isinstance(place, dict) else {}
    known = [place.get(axis) for axis in ("y", "x")]
    y, x = (float(at) if isinstance(at, (int, float)) else float("inf") for at in known)
    return y, x, tile["id"]


def _tile_shown(
    request: Request,
    dashboard: Document,
    tile: Document,
    placed: list[Document],
    *,
    result: bool = False,
) -> dict[str, Any]:
    hidden = ("version", "dashboard_id", "insight_id", "created_at", "updated_at", "deleted")
    shown = {name: value for name, value in tile.items() if name not in hidden}
    shown |= {"insight": None, "button_tile": None, "widget": None, "is_cached": False}
    shown["text"] = None if tile["text"] is None else {"id": tile["id"], **tile["text"]}
    if tile["insight_id"] is None:
        return shown
    document = definitions_of(request).get("insight", tile["insight_id"])
    assert document is not None  # noqa: S101 (a live tile's insight is there)
    more = {"filters_override": dashboard["filters"], "variables_override": dashboard["variables"]}
    set_here = {name: value for name, value in more.items() if value}
    try:
        insight = insight_documents.shown(request, document, placed, result=result, more=set_here)
    except ApiRefusal as refusal:
        # One tile that cannot be run leaves the others to be seen.
        shown["error"] = {"type": refusal.kind, "message": refusal.detail}
        insight = insight_documents.shown(request, document, placed)
    return {**shown, "insight": insight, "last_refresh": insight["last_refresh"]}


routes: list[Route] = []
for _scope in ("projects", "environments"):
    _at = f"/api/{_scope}/{{project}}/dashboards/"
    _one = f"{_at}{{id}}/"
    routes += route(_at, get=_list, post=_create)
    routes += route(_one, get=_get, patch=_change, put=_change, delete=no_delete)
    routes += route(f"{_one}run_insights/", get=_run)
    routes += route(f"{_one}create_text_tile/", post=_create_text)
    routes += route(f"{_one}delete_tile/", post=_delete_tile)
    routes += route(f"{_one}move_tile/", patch=_move, post=_move)
    routes += route(f"{_one}reorder_tiles/", post=_reorder)
