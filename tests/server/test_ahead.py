"""The page's answers are made before they are asked for, once a browser has opened it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from tests.pane_events import one_round
from tests.server.support import Http

NIGHT = datetime(2026, 3, 8, 21, tzinfo=UTC)


def asked(http: Http) -> list[dict[str, Any]]:
    page = http.ask("GET", "/pane/boards?tz=UTC", headers=http.bearer).json()
    return [{"query": board["query"], "values": board["values"]} for board in page["boards"]]


def was_ready(http: Http, question: dict[str, Any]) -> bool:
    before = datetime.now(UTC)
    headers = {**http.bearer, "Content-Type": "application/json"}
    node = {"kind": "HogQLQuery", **question}
    answer = http.post("/pane/rows/@current", {"query": node}, headers=headers).json()
    return datetime.fromisoformat(answer["last_refresh"]) < before


def test_what_arrived_is_prepared_without_anybody_asking(http: Http) -> None:
    http.ask("GET", "/pane/digest?tz=UTC", headers=http.bearer)
    http.batch(*one_round(NIGHT, project="p"))
    questions = asked(http)
    while questions and not was_ready(http, questions.pop()):
        time.sleep(3)  # each board can be asked once
    assert questions, "no board was prepared while its rows were not asked for"
