"""Asking: once each, within the budget, through limits and lost connections."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from nightpane.errors import ApiError, UnreachableError
from nightpane.optimizer.source import Answers, Source
from nightpane.query import QueryResult


class Script:
    """A query API that answers what it was told to, in order."""

    def __init__(self, *answers: list[list[Any]] | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, Mapping[str, Any] | None]] = []

    def hogql(self, query: str, values: Mapping[str, Any] | None = None) -> QueryResult:
        self.asked.append((query, values))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return QueryResult(["n", "text"], [], answer, False, None)


def test_an_answer_is_asked_for_once_and_survives_the_process(tmp_path: Path) -> None:
    script = Script([[1, "a"]])
    for _ in range(2):
        source = Source(script, Answers(tmp_path / "cache"))
        assert source.ask("SELECT {x}", {"x": 1, "unused": 2}) == [{"n": 1, "text": "a"}]
    assert script.asked == [("SELECT {x}", {"x": 1})]
    assert source.spent == 0


def test_other_values_are_another_question(tmp_path: Path) -> None:
    script = Script([[1, "a"]], [[2, "b"]])
    source = Source(script, Answers(tmp_path / "cache"))
    assert source.ask("SELECT {x}", {"x": 1}) != source.ask("SELECT {x}", {"x": 2})


def test_a_half_written_answer_is_asked_for_again(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    Source(Script([[1, "a"]]), Answers(folder)).ask("SELECT 1", {})
    kept = next(folder.glob("*.json"))
    kept.write_text(kept.read_text("utf-8")[:-5], "utf-8")
    assert Source(Script([[2, "b"]]), Answers(folder)).ask("SELECT 1", {})[0]["n"] == 2


def test_the_limit_of_queries_is_waited_out() -> None:
    waits: list[float] = []
    said: list[str] = []
    limit = ApiError("slow down", status=429)
    source = Source(Script(limit, limit, [[1, "a"]]), say=said.append, wait=waits.append)
    assert source.ask("SELECT 1", {})[0]["n"] == 1
    assert waits == [60.0, 60.0]
    assert "limit" in said[0]


def test_a_limit_that_never_ends_is_given_up_after_an_hour() -> None:
    waits: list[float] = []
    source = Source(Script(*[ApiError("no", status=429)] * 100), wait=waits.append)
    with pytest.raises(ApiError):
        source.ask("SELECT 1", {})
    assert 3600 < sum(waits) < 4200


def test_a_lost_connection_is_tried_again_and_a_dead_one_given_up() -> None:
    gone = UnreachableError("gone")
    source = Source(Script(gone, [[1, "a"]]), wait=lambda _: None)
    assert source.ask("SELECT 1", {})[0]["n"] == 1
    with pytest.raises(UnreachableError):
        Source(Script(*[gone] * 10), wait=lambda _: None).ask("SELECT 1", {})


def test_a_refused_query_is_not_asked_again() -> None:
    script = Script(ApiError("no such column", status=400))
    with pytest.raises(ApiError, match="no such column"):
        Source(script).ask("SELECT x", {})
    assert len(script.asked) == 1


def test_the_budget_is_never_exceeded() -> None:
    source = Source(Script([[1, "a"]], [[2, "b"]]), budget=1)
    source.ask("SELECT 1", {})
    assert source.left == 0
    with pytest.raises(ApiError, match="1 queries"):
        source.ask("SELECT 2", {})


def test_pages_go_on_by_the_last_key_until_a_short_one() -> None:
    script = Script([[1, "a"], [2, "b"]], [[3, "c"], [4, "d"]], [[5, "e"]])
    text = "SELECT n, text FROM t WHERE n > {after} ORDER BY n LIMIT {page}"
    pages = list(Source(script).pages(text, {}, key="n", first=0, size=2))
    assert [row["n"] for page in pages for row in page] == [1, 2, 3, 4, 5]
    assert [values["after"] for _, values in script.asked if values] == [0, 2, 4]


def test_the_key_is_taken_out_of_what_is_kept_and_returned(tmp_path: Path) -> None:
    def clean(text: str) -> str:
        return text.replace("phx_secret", "[personal key]")

    source = Source(Script([[1, "my phx_secret"]]), Answers(tmp_path / "cache", clean))
    assert source.ask("SELECT 1", {})[0]["text"] == "my [personal key]"
    assert all("phx_secret" not in p.read_text("utf-8") for p in (tmp_path / "cache").iterdir())
