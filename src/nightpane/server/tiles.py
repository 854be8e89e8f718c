"""Tiles: what stands on which dashboard, and where. A document of their own between the two.

A tile is never thrown away: its layout is there again when its insight is put back.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nightpane.definitions import Definitions, Document
from nightpane.server.rest import invalid

__all__ = ["KIND", "add", "live", "replace_dashboards", "take_off"]

KIND = "tile"
_NEW: dict[str, Any] = {
    "text": None,
    "layouts": {},
    "color": None,
    "show_description": None,
    "transparent_background": None,
    "filters_overrides": {},
}


def live(definitions: Definitions) -> list[Document]:
    """Return the tiles whose dashboard, and insight if they have one, are there."""
    there = {
        kind: {one["id"] for one in definitions.list(kind)} for kind in ("dashboard", "insight")
    }
    return [
        tile
        for tile in definitions.list(KIND)
        if tile["dashboard_id"] in there["dashboard"]
        and (tile["insight_id"] is None or tile["insight_id"] in there["insight"])
    ]


def add(
    definitions: Definitions, dashboard_id: int, insight_id: int | None, **more: Any
) -> Document:
    """Put an insight or a text on a dashboard; what was taken off comes back where it was."""
    for tile in definitions.list(KIND, deleted=True):
        same = tile["dashboard_id"] == dashboard_id and tile["insight_id"] == insight_id
        if insight_id is not None and same:
            return definitions.update(KIND, tile["id"], {**more, "deleted": False})
    place = {"dashboard_id": dashboard_id, "insight_id": insight_id}
    return definitions.create(KIND, {**place, **_NEW, **more})


def take_off(definitions: Definitions, tiles: Iterable[Document]) -> None:
    """Take tiles off their dashboards."""
    for tile in tiles:
        definitions.delete(KIND, tile["id"])


def replace_dashboards(definitions: Definitions, insight_id: int, wanted: list[int]) -> None:
    """Leave an insight on these dashboards and no other. Raises ApiRefusal (400)."""
    for one in wanted:
        is_id = isinstance(one, int) and not isinstance(one, bool) and 0 < one < 2**63
        found = definitions.get("dashboard", one) if is_id else None
        if found is None or found["deleted"]:
            detail = f'Invalid pk "{one}" - object does not exist.'
            raise invalid("dashboards", detail, code="does_not_exist")
    tiles = [tile for tile in live(definitions) if tile["insight_id"] == insight_id]
    take_off(definitions, (tile for tile in tiles if tile["dashboard_id"] not in wanted))
    for one in sorted(set(wanted) - {tile["dashboard_id"] for tile in tiles}):
        add(definitions, one, insight_id)
