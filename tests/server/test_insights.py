"""The management API of insights."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.server.support import Http

from nightpane.management import Resource
from nightpane.testing import LocalServer

SQL = {
    "kind": "DataVisualizationNode",
    "source": {"kind": "HogQLQuery", "query": "select 1 as one, 'a' as word"},
    "display": "ActionsTable",
    "chartSettings": {},
}


@pytest.fixture(scope="module")
def insights(server: LocalServer) -> Resource:
    return Resource(server.query(), "insights")


def test_one_is_kept_as_it_was_sent_and_found_by_either_id(insights: Resource) -> None:
    sent = {
        "name": "Saved",
        "derived_name": None,
        "description": "what it says",
        "query": {**SQL, "unknown": {"kept": [1, None]}},
        "tags": ["Night Pane", "a"],
        "saved": True,
        "favorited": True,
    }
    made = insights.create(sent)
    assert {**sent, "tags": ["a", "night pane"]}.items() <= made.items()
    assert len(made["short_id"]) == 8
    assert insights.get(made["id"]) == insights.get(made["short_id"]) == made
    assert made["result"] is None
    assert made["filters"] == {}
    assert made["dashboards"] == made["dashboard_tiles"] == []


def test_result_is_worked_out_when_asked_for(http: Http, insights: Resource) -> None:
    made = insights.create({"name": "run", "query": SQL})
    path = f"/api/environments/@current/insights/{made['short_id']}?refresh=blocking"
    found = http.ask("GET", path, headers=http.bearer).json()
    assert found["result"] == [[1, "a"]]
    assert found["columns"] == ["one", "word"]
    assert found["hasMore"] is False
    assert found["last_refresh"] is not None


def test_overrides_hold_for_this_once(http: Http, insights: Resource) -> None:
    query = "select count() from events where event = 'here' and {filters}"
    made = insights.create({"query": {"kind": "HogQLQuery", "query": query}})
    event = {"event": "here", "properties": {"distinct_id": "a"}, "distinct_id": "a"}
    http.batch({**event, "timestamp": "2026-03-08T02:00:00Z"})
    path = f"/api/projects/@current/insights/{made['id']}/"

    def count(date_from: str) -> int:
        override = json.dumps({"date_from": date_from, "date_to": "2026-03-31"})
        asked = {"refresh": "true", "filters_override": override}
        rows = http.ask("GET", path, headers=http.bearer, params=asked).json()["result"]
        return int(rows[0][0])

    assert count("2026-03-08") == 1
    assert count("2026-03-09") == 0


def test_list_is_filtered(insights: Resource) -> None:
    first = insights.create({"name": "Listed apple", "query": SQL, "tags": ["x"], "saved": True})
    second = insights.create({"name": "b", "description": "listed pear", "query": SQL})

    def ids(**filters: Any) -> list[int]:
        return [one["id"] for one in insights.list(**filters)]

    assert ids(search="LISTED") == [second["id"], first["id"]]
    assert ids(search="listed", order="name") == [first["id"], second["id"]]
    assert ids(search="listed", saved="true") == [first["id"]]
    assert ids(search="listed", saved="false") == [second["id"]]
    assert ids(tags='["x", "y"]') == [first["id"]]
    assert ids(short_id=second["short_id"]) == [second["id"]]
    assert ids(short_id="nowhere0") == []


def test_deleting_marks_and_restoring_brings_back(http: Http, insights: Resource) -> None:
    made = insights.create({"name": "gone", "query": SQL})
    assert insights.delete(made["short_id"])["deleted"] is True
    path = f"/api/projects/@current/insights/{made['id']}/"
    assert http.ask("GET", path, headers=http.bearer).status_code == 404
    assert made["id"] not in [one["id"] for one in insights.list()]
    assert insights.change(made["id"], {"deleted": False})["name"] == "gone"
    assert http.ask("DELETE", path, headers=http.bearer).status_code == 405


def test_only_a_change_of_the_insight_itself_moves_its_date(insights: Resource) -> None:
    made = insights.create({"name": "old", "query": SQL})
    starred = insights.change(made["id"], {"favorited": True, "short_id": "mine0000"})
    assert starred["last_modified_at"] == made["last_modified_at"]
    assert starred["short_id"] == made["short_id"]
    assert insights.change(made["id"], {"name": "new"})["last_modified_at"] > made["updated_at"]


@pytest.mark.parametrize(
    ("body", "attr"),
    [
        ({"name": "x" * 401}, "name"),
        ({"description": "x" * 401}, "description"),
        ({"query": "select 1"}, "query"),
        ({"query": {"kind": "InsightVizNode"}}, "query"),
        ({"query": {"kind": "MoonQuery"}}, "query"),
        ({"filters": {"insight": "TRENDS"}}, "filters"),
        ({"saved": 1}, "saved"),
        ({"tags": ["x" * 256]}, "tags"),
        ({"dashboards": [999]}, "dashboards"),
        ({"dashboards": "all"}, "dashboards"),
    ],
)
def test_wrong_bodies_are_refused_whole(http: Http, body: dict[str, Any], attr: str) -> None:
    path = "/api/projects/@current/insights"
    before = http.ask("GET", path, headers=http.bearer).json()["count"]
    answer = http.ask("POST", path, json={"query": SQL, **body}, headers=http.bearer)
    assert (answer.status_code, answer.json()["attr"]) == (400, attr)
    assert http.ask("GET", path, headers=http.bearer).json()["count"] == before


def test_a_query_that_cannot_be_run_says_so(http: Http, insights: Resource) -> None:
    query = {"kind": "HogQLQuery", "query": "select nothing from nowhere"}
    made = insights.create({"query": query})
    path = f"/api/projects/@current/insights/{made['id']}/?refresh=true"
    answer = http.ask("GET", path, headers=http.bearer)
    assert (answer.status_code, answer.json()["attr"]) == (400, "query")
    assert "nowhere" in answer.json()["detail"]


def test_needs_the_personal_key(http: Http) -> None:
    assert http.ask("GET", "/api/projects/@current/insights/").status_code == 401
