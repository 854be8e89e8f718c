"""The management API of annotations."""

from __future__ import annotations

from typing import Any

import pytest
from tests.server.support import Http

from nightpane.management import Resource
from nightpane.testing import LocalServer

AT = "2026-03-08T02:30:00.250Z"


@pytest.fixture(scope="module")
def annotations(server: LocalServer) -> Resource:
    return Resource(server.query(), "annotations")


def make(annotations: Resource, content: str, **more: Any) -> dict[str, Any]:
    return annotations.create({"content": content, "date_marker": AT, "scope": "project", **more})


def test_one_is_kept_as_it_was_sent(annotations: Resource) -> None:
    made = make(annotations, "new <b>prompt</b> ü", creation_type="GIT", emoji="🚀")
    assert made == annotations.get(made["id"])
    assert made["date_marker"] == "2026-03-08T02:30:00.250000Z"
    expected = {
        "content": "new <b>prompt</b> ü",
        "creation_type": "GIT",
        "scope": "project",
        "emoji": "🚀",
        "deleted": False,
        "dashboard_item": None,
        "dashboard_id": None,
        "dashboard_name": None,
        "insight_short_id": None,
        "insight_name": None,
        "insight_derived_name": None,
        "hidden_in_user_interface": None,
        "tags": [],
    }
    assert expected.items() <= made.items()
    assert set(made) - set(expected) == {
        *("id", "date_marker", "created_by", "created_at", "updated_at")
    }


def test_list_is_filtered_and_the_newest_comes_first(annotations: Resource) -> None:
    days = {day: make(annotations, f"listed {day}", date_marker=day) for day in DAYS}
    make(annotations, "listed hidden", date_marker=DAYS[0], hidden_in_user_interface=True)
    make(annotations, "listed of all", date_marker=DAYS[1], scope="organization")

    def contents(**filters: Any) -> list[str]:
        return [one["content"] for one in annotations.list(search="LISTED", **filters)]

    assert days.keys() == set(DAYS)
    assert contents()[0] == f"listed {DAYS[2]}"
    assert contents(scope="organization") == ["listed of all"]
    assert contents(hidden_in_user_interface="true") == ["listed hidden"]
    assert "listed hidden" not in contents(hidden_in_user_interface="false")
    between = contents(date_from="2026-04-02T00:00:00Z", date_to="2026-04-02T23:59:59Z")
    assert between == ["listed of all", f"listed {DAYS[1]}"]


DAYS = ("2026-04-01T08:00:00Z", "2026-04-02T08:00:00Z", "2026-04-03T10:00:00+02:00")


def test_deleting_marks_and_restoring_brings_back(http: Http, annotations: Resource) -> None:
    made = make(annotations, "to be deleted")
    path = f"/api/environments/@current/annotations/{made['id']}"
    assert annotations.delete(made["id"])["deleted"] is True
    assert http.ask("GET", path, headers=http.bearer).status_code == 404
    assert made["id"] not in [one["id"] for one in annotations.list()]
    assert annotations.change(made["id"], {"deleted": False})["content"] == "to be deleted"
    assert http.ask("GET", path, headers=http.bearer).json()["deleted"] is False
    assert http.ask("DELETE", path, headers=http.bearer).status_code == 405


@pytest.mark.parametrize(
    ("body", "attr", "code"),
    [
        ({"content": 7}, "content", "invalid"),
        ({"content": "x" * 8193}, "content", "max_length"),
        ({"date_marker": "yesterday"}, "date_marker", "invalid"),
        ({"scope": "recording"}, "scope", "invalid_choice"),
        ({"creation_type": "BOT"}, "creation_type", "invalid_choice"),
        ({"scope": None}, "scope", "null"),
        ({"deleted": "yes"}, "deleted", "invalid"),
        ({"dashboard_item": 10**30}, "dashboard_item", "does_not_exist"),
        ({"dashboard_id": True}, "dashboard_id", "invalid"),
        ({"dashboard_id": 999}, "dashboard_id", "does_not_exist"),
        ({"scope": "tag"}, "tags", "invalid_input"),
        ({"scope": "project", "tags": ["a"]}, "tags", "invalid_input"),
        ({"scope": "tag", "tags": [1]}, "tags", "invalid"),
    ],
)
def test_wrong_bodies_are_refused(http: Http, body: dict[str, Any], attr: str, code: str) -> None:
    path = "/api/projects/1/annotations/"
    answer = http.ask("POST", path, json=body, headers=http.bearer)
    assert (answer.status_code, answer.json()["attr"], answer.json()["code"]) == (400, attr, code)


@pytest.mark.parametrize("query", ["scope=moon", "date_from=now", "date_from=2026-02&date_to=1"])
def test_wrong_filters_are_refused(http: Http, query: str) -> None:
    answer = http.ask("GET", f"/api/projects/1/annotations/?{query}", headers=http.bearer)
    assert answer.status_code == 400


def test_needs_the_personal_key_and_an_id_that_is_there(http: Http) -> None:
    assert http.ask("GET", "/api/projects/1/annotations/").status_code == 401
    for name in ("0", "-1", "x", "9" * 40):
        path = f"/api/projects/1/annotations/{name}/"
        assert http.ask("GET", path, headers=http.bearer).status_code == 404
