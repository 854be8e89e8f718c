"""The route by which PostHog's command line asks HogQL."""

from __future__ import annotations

from typing import Any

import pytest
from tests.server.support import Http

PATH = "/api/environments/@current/mcp_tools/execute_sql/"


def ask(http: Http, **args: Any) -> Any:
    return http.ask("POST", PATH, json={"args": args}, headers=http.bearer)


def test_rows_come_as_text(http: Http) -> None:
    query = "select 1 as one, 'a\\nb' as word, null as nothing"
    assert ask(http, query=query).json() == {
        "success": True,
        "content": "one|word|nothing\n1|a\\nb|null",
    }


def test_long_cells_are_cut_unless_asked_for(http: Http) -> None:
    query = "select repeat('x', 600) as long"
    cut = ask(http, query=query).json()["content"].splitlines()[1]
    assert (len(cut), cut[-1]) == (500, "…")
    assert len(ask(http, query=query, truncate=False).json()["content"].splitlines()[1]) == 600


def test_a_wrong_query_is_told(http: Http) -> None:
    answer = ask(http, query="select x from nowhere")
    assert answer.status_code == 200
    assert answer.json()["success"] is False
    assert "nowhere" in answer.json()["content"]


@pytest.mark.parametrize("args", [{}, {"query": 1}, {"query": "select 1", "sendRawQuery": True}])
def test_what_cannot_be_answered_is_refused(http: Http, args: dict[str, Any]) -> None:
    assert ask(http, **args).status_code == 400


def test_needs_the_personal_key(http: Http) -> None:
    assert http.ask("POST", PATH, json={"args": {"query": "select 1"}}).status_code == 401
