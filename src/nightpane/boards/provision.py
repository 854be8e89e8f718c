"""Boards as code: the boards kept in a PostHog project as one dashboard and an insight each.

Owns what carries its tags and never touches anything else. What somebody changed by hand is told
apart from a new version of a board by two digests in the tags, and never overwritten unasked.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nightpane.boards.definitions import Definition, Drift, Kept, compare
from nightpane.errors import ApiError
from nightpane.management import Resource
from nightpane.query import QueryClient

__all__ = ["OWNED", "Project"]

OWNED = "nightpane:boards"
_NAME = "nightpane"
_DESCRIPTION = "The boards of nightpane, kept up by 'nightpane boards apply'."
_SCOPES = "the personal API key needs the scopes dashboard:write and insight:write"
_WIDTH, _HEIGHT, _COLUMNS = 6, 5, 12
# The server understood and will never take it: the other boards can still be tried.
_REFUSED = (400, 413, 422)


class Project:
    """The boards of one project. Reads on first use; raises ApiError when that cannot be."""

    def __init__(self, client: QueryClient) -> None:
        self._insights = Resource(client, "insights")
        self._dashboards = Resource(client, "dashboards")

    def drifts(
        self, wanted: Sequence[Definition], *, known: Sequence[Definition] | None = None
    ) -> list[Drift]:
        """Return how each board stands: the wanted ones, then those of no ``known`` board."""
        return self._read(wanted, known)[1]

    def kept(self) -> list[Definition]:
        """Return the boards as the project has them now, hand edits included."""
        return [one.definition for one in self._owned()]

    def apply(
        self,
        wanted: Sequence[Definition],
        *,
        known: Sequence[Definition] | None = None,
        dry_run: bool = False,
        prune: bool = False,
        force: bool = False,
    ) -> Iterator[Drift]:
        """Bring the project in step, board by board, and yield what became of each.

        Changes nothing that is in step already. ``force`` overwrites hand edits, ``prune`` deletes
        (marks deleted) boards that are no more, ``dry_run`` only tells. A failure is told in the
        board's ``done`` and ``why``; after one that is not the board's own, the rest is not tried.
        """
        dashboard, drifts = self._read(wanted, known)
        stopped: str | None = None
        if dashboard is None and not dry_run:
            try:
                dashboard = self._create_dashboard()
            except ApiError as error:
                stopped = _reason(error)
        for drift in drifts:
            action = _action(drift, prune=prune, force=force)
            if dry_run or action in ("none", "kept"):
                yield drift.became(action)
                continue
            if stopped is not None or dashboard is None:
                yield drift.became("not tried", stopped)
                continue
            try:
                self._do(action, drift, dashboard["id"])
                yield drift.became(action)
            except ApiError as error:
                yield drift.became("failed", _reason(error))
                stopped = None if error.status in _REFUSED else "stopped at the failure before it"
        if dashboard is not None and not dry_run and stopped is None:
            self._lay_out(dashboard["id"])

    def _read(
        self, wanted: Sequence[Definition], known: Sequence[Definition] | None
    ) -> tuple[dict[str, Any] | None, list[Drift]]:
        """Return the dashboard, if there is one, and how each board stands."""
        found = {one.definition.slug: one for one in reversed(self._owned())}
        with _naming_scopes():
            tagged = self._dashboards.list(tags=OWNED)
        dashboard = next((one for one in tagged if OWNED in (one.get("tags") or [])), None)
        place = None if dashboard is None else dashboard["id"]
        drifts = [compare(one, found.get(one.slug), place) for one in wanted]
        slugs = {one.slug for one in (wanted if known is None else known)}
        gone = [compare(None, one, place) for slug, one in found.items() if slug not in slugs]
        return dashboard, drifts + sorted(gone, key=lambda drift: drift.slug)

    def _owned(self) -> list[Kept]:
        """Return the insights that carry the tags, the oldest first."""
        with _naming_scopes():
            listed = self._insights.list(tags=json.dumps([OWNED]))
        kept = [Kept.read(one) for one in listed if OWNED in (one.get("tags") or [])]
        return sorted((one for one in kept if one is not None), key=lambda one: one.insight_id)

    def _create_dashboard(self) -> dict[str, Any]:
        made = self._dashboards.create(
            {"name": _NAME, "description": _DESCRIPTION, "tags": [OWNED], "pinned": True}
        )
        if OWNED not in (made.get("tags") or []):
            self._dashboards.delete(made["id"])
            raise ApiError(
                "this PostHog does not keep tags, by which nightpane knows its own boards: "
                "nothing was left behind"
            )
        return made

    def _do(self, action: str, drift: Drift, dashboard_id: int) -> None:
        if drift.wanted is None:
            assert drift.kept is not None  # noqa: S101 (what is pruned is there)
            self._insights.delete(drift.kept.insight_id)
            return
        if drift.kept is None:
            body = {**drift.wanted.body(), "dashboards": [dashboard_id], "saved": True}
            answer = self._insights.create({**body, "tags": drift.wanted.tags((OWNED,))})
        else:
            body = {} if action == "adopted" else drift.wanted.body()
            if dashboard_id not in drift.kept.dashboards and action != "adopted":
                body["dashboards"] = [*drift.kept.dashboards, dashboard_id]
            tags = drift.wanted.tags((OWNED, *drift.kept.other_tags))
            answer = self._insights.change(drift.kept.insight_id, {**body, "tags": tags})
        self._seal(drift.wanted, answer)

    def _seal(self, wanted: Definition, answer: Mapping[str, Any]) -> None:
        """Note what the server made of the board: PostHog may fill in defaults of a query."""
        kept = Kept.read(answer)
        if kept is None or kept.definition.digest == kept.kept_digest:
            return
        tags = wanted.tags((OWNED, *kept.other_tags), kept=kept.definition.digest)
        self._insights.change(kept.insight_id, {"tags": tags})

    def _lay_out(self, dashboard_id: int) -> None:
        """Give each tile that has no place one below the others, which stay where they are."""
        tiles = self._dashboards.get(dashboard_id).get("tiles") or []
        places = [(tile.get("layouts") or {}).get("sm") for tile in tiles]
        bottom = max((one["y"] + one["h"] for one in places if one), default=0)
        new = [tile["id"] for tile, place in zip(tiles, places, strict=True) if not place]
        changed = [{"id": tile, "layouts": _place(index, bottom)} for index, tile in enumerate(new)]
        if changed:
            self._dashboards.change(dashboard_id, {"tiles": changed})


def _action(drift: Drift, *, prune: bool, force: bool) -> str:
    """Return what is to be done about a board."""
    if drift.state == "gone":
        edited = drift.kept is not None and drift.kept.is_edited
        return "pruned" if prune and (force or not edited) else "kept"
    if drift.state in ("edited", "removed"):
        return "overwritten" if force else "kept"
    return {"missing": "created", "behind": "updated", "same": "adopted"}.get(drift.state, "none")


def _place(index: int, bottom: int) -> dict[str, Any]:
    per_row = _COLUMNS // _WIDTH
    row, column = divmod(index, per_row)
    size = {"h": _HEIGHT, "minW": 1, "minH": 1}
    return {
        "sm": {"x": column * _WIDTH, "y": bottom + row * _HEIGHT, "w": _WIDTH, **size},
        "xs": {"x": 0, "y": bottom + index * _HEIGHT, "w": 1, **size},
    }


@contextlib.contextmanager
def _naming_scopes() -> Iterator[None]:
    """Say in the error of a missing permission which scopes the key needs."""
    try:
        yield
    except ApiError as error:
        if error.status != 403:
            raise
        raise ApiError(
            _reason(error), status=error.status, type=error.type, code=error.code
        ) from error


def _reason(error: ApiError) -> str:
    return f"{error} ({_SCOPES})" if error.status == 403 else str(error)
