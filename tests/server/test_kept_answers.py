"""What the page asks is answered from what is kept, and never from before an event arrived."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.pane_events import event, one_round
from tests.server.support import Http

COUNT = {"query": {"kind": "HogQLQuery", "query": "select count() from events"}}


def count(http: Http) -> dict[str, Any]:
    answer: dict[str, Any] = http.post(
        "/pane/rows/@current", COUNT, headers={**http.bearer, "Content-Type": "application/json"}
    ).json()
    return answer


def read(http: Http, path: str) -> dict[str, Any]:
    answer: dict[str, Any] = http.ask("GET", path, headers=http.bearer).json()
    return answer


def test_an_answer_is_kept_until_an_event_is_acknowledged(http: Http) -> None:
    for number in range(20):
        before, again = count(http), count(http)
        assert again["last_refresh"] == before["last_refresh"]
        assert before["results"] == [[number]]
        assert http.batch(event("one", datetime.now(UTC))).status_code == 200


def test_an_event_sent_again_changes_nothing(http: Http) -> None:
    one = event("again", datetime.now(UTC))
    http.batch(one)
    mark, refreshed = read(http, "/pane/mark"), count(http)["last_refresh"]
    http.batch(one)
    assert read(http, "/pane/mark") == mark
    assert count(http)["last_refresh"] == refreshed


@pytest.mark.parametrize(("path", "month"), [("/pane/digest", 3), ("/pane/boards", 4)])
def test_a_newer_round_is_in_the_next_answer(http: Http, path: str, month: int) -> None:
    night = datetime(2026, month, 8, 21, tzinfo=UTC)
    seen = []
    for days in range(3):
        http.batch(*one_round(night + timedelta(days=days), project="p"))
        answer, again = read(http, path), read(http, path)
        assert answer == again
        assert answer["mark"] == read(http, "/pane/mark")["mark"]
        seen.append(answer.get("night") or answer["boards"][0]["values"])
    assert seen[0] != seen[1] != seen[2]


def test_without_a_key_nothing_is_told(http: Http) -> None:
    assert http.ask("GET", "/pane/mark").status_code == 401
    assert http.post("/pane/rows/@current", COUNT).status_code == 401
