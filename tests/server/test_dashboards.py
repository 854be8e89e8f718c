"""The management API of dashboards and their tiles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.server.support import Http

from nightpane.management import Resource
from nightpane.testing import LocalServer

SQL = {"kind": "HogQLQuery", "query": "select 1 as one"}


@pytest.fixture(scope="module")
def dashboards(server: LocalServer) -> Resource:
    return Resource(server.query(), "dashboards")


@pytest.fixture(scope="module")
def insights(server: LocalServer) -> Resource:
    return Resource(server.query(), "insights")


def test_one_is_kept_as_it_was_sent(dashboards: Resource) -> None:
    sent = {
        "name": "Night",
        "description": "ü",
        "pinned": True,
        "tags": ["a"],
        "filters": {"date_from": "-7d", "properties": []},
        "variables": {},
        "breakdown_colors": [],
        "restriction_level": 37,
        "grid_spacing": "tight",
        "layout_compaction": "vertical",
    }
    made = dashboards.create(sent)
    assert sent.items() <= made.items()
    assert made == dashboards.get(made["id"])
    assert made["tiles"] == []
    (listed,) = dashboards.list(search="nig", pinned="true", tags="a")
    assert listed["id"] == made["id"]
    assert "tiles" not in listed
    assert dashboards.list(search="nothing like it") == []


def test_insights_are_placed_moved_and_taken_off(dashboards: Resource, insights: Resource) -> None:
    first, second = (dashboards.create({"name": name})["id"] for name in ("first", "second"))
    made = insights.create({"name": "placed", "query": SQL, "dashboards": [first]})
    (tile,) = dashboards.get(first)["tiles"]
    assert made["dashboard_tiles"] == [{"id": tile["id"], "dashboard_id": first, "deleted": False}]
    assert tile["insight"]["short_id"] == made["short_id"]
    place = {"sm": {"x": 6, "y": 2, "w": 6, "h": 5}, "xs": {"x": 0, "y": 0, "w": 1, "h": 5}}
    changed = {"id": tile["id"], "layouts": place, "color": "blue"}
    (moved,) = dashboards.change(first, {"tiles": [changed]})["tiles"]
    assert (moved["layouts"], moved["color"]) == (place, "blue")

    assert insights.change(made["id"], {"dashboards": [second]})["dashboards"] == [second]
    assert dashboards.get(first)["tiles"] == []
    insights.change(made["id"], {"dashboards": [first]})
    assert dashboards.get(first)["tiles"][0]["layouts"] == place

    dashboards.act(first, "move_tile", {"tile": {"id": tile["id"]}, "to_dashboard": second})
    assert [one["id"] for one in dashboards.get(second)["tiles"]] == [tile["id"]]
    assert dashboards.act(second, "delete_tile", {"tile_id": tile["id"]})["tiles"] == []
    assert insights.get(made["id"])["dashboards"] == []


def test_texts_and_rows(dashboards: Resource) -> None:
    board = dashboards.create({"name": "texts"})["id"]
    made = [
        dashboards.act(board, "create_text_tile", {"body": f"**{word}**"})["id"]
        for word in ("one", "two", "three")
    ]
    order = [made[2], made[0], made[1]]
    shown = dashboards.act(board, "reorder_tiles", {"tile_order": order, "layout": "two_column"})
    assert [tile["id"] for tile in shown["tiles"]] == order
    places = [
        {axis: tile["layouts"]["sm"][axis] for axis in ("x", "y", "w")} for tile in shown["tiles"]
    ]
    assert places == [{"x": 0, "y": 0, "w": 6}, {"x": 6, "y": 0, "w": 6}, {"x": 0, "y": 5, "w": 6}]
    assert shown["tiles"][0]["text"]["body"] == "**three**"


def test_results_of_every_tile_and_one_that_fails_alone(
    http: Http, dashboards: Resource, insights: Resource
) -> None:
    board = dashboards.create({"name": "run", "filters": {"date_from": "-7d"}})["id"]
    insights.create({"name": "good", "query": SQL, "dashboards": [board]})
    wrong = {"kind": "HogQLQuery", "query": "select x from nowhere"}
    insights.create({"name": "bad", "query": wrong, "dashboards": [board]})
    path = f"/api/projects/@current/dashboards/{board}/run_insights"
    good, bad = http.ask("GET", path, headers=http.bearer).json()["results"]
    assert (good["insight"]["result"], good["error"]) == ([[1]], None)
    assert bad["insight"]["result"] is None
    assert "nowhere" in bad["error"]["message"]


def test_deleting_can_take_the_insights_along(dashboards: Resource, insights: Resource) -> None:
    first, second = (dashboards.create({"name": name})["id"] for name in ("a", "b"))
    shared = insights.create({"name": "kept", "query": SQL, "dashboards": [first, second]})
    own = insights.create({"name": "goes", "query": SQL, "dashboards": [first]})
    gone = dashboards.change(first, {"deleted": True, "delete_insights": True})
    assert gone["deleted"] is True
    left = {one["id"]: one["dashboards"] for one in insights.list()}
    assert left[shared["id"]] == [second]
    assert own["id"] not in left
    assert dashboards.change(first, {"deleted": False})["tiles"] != []


@pytest.mark.parametrize(
    ("body", "attr"),
    [
        ({"name": 1}, "name"),
        ({"restriction_level": 5}, "restriction_level"),
        ({"grid_spacing": "vast"}, "grid_spacing"),
        ({"use_template": "Website"}, "use_template"),
        ({"use_dashboard": 1}, "use_dashboard"),
        ({"tiles": [{"id": 12345}]}, "tiles"),
        ({"tiles": [{}]}, "tiles"),
        ({"tiles": [{"text": {}}]}, "text"),
    ],
)
def test_wrong_bodies_are_refused_whole(http: Http, body: dict[str, Any], attr: str) -> None:
    path = "/api/projects/@current/dashboards/"
    before = http.ask("GET", path, headers=http.bearer).json()["count"]
    answer = http.ask("POST", path, json=body, headers=http.bearer)
    assert (answer.status_code, answer.json()["attr"]) == (400, attr)
    assert http.ask("GET", path, headers=http.bearer).json()["count"] == before


def test_annotations_hang_on_insights_and_dashboards(
    dashboards: Resource, insights: Resource, server: LocalServer
) -> None:
    annotations = Resource(server.query(), "annotations")
    board = dashboards.create({"name": "marked"})["id"]
    chart = insights.create({"name": "chart", "query": SQL})
    made = annotations.create({"content": "x", "scope": "dashboard", "dashboard_id": board})
    assert made["dashboard_name"] == "marked"
    item = annotations.create({"scope": "dashboard_item", "dashboard_item": chart["id"]})
    assert (item["insight_short_id"], item["insight_name"]) == (chart["short_id"], "chart")
    insights.delete(chart["id"])
    assert item["id"] not in [one["id"] for one in annotations.list()]


def test_survives_a_crash(tmp_path: Path) -> None:
    with LocalServer(tmp_path) as server:
        dashboards = Resource(server.query(), "dashboards")
        board = dashboards.create({"name": "kept"})["id"]
        Resource(server.query(), "insights").create({"query": SQL, "dashboards": [board]})
        server.kill()
        server.start()
        assert len(Resource(server.query(), "dashboards").get(board)["tiles"]) == 1
