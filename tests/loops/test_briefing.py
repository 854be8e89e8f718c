"""What a proposer is told, with the rounds of earlier runs from a real server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.loops.looping import loop, propose
from tests.loops.test_engine import folder

from nightpane import Pane
from nightpane.errors import UnreachableError
from nightpane.loops import Brief, FunctionProposer
from nightpane.loops.briefing import Briefing
from nightpane.loops.standing import Standing
from nightpane.loops.stop import Limits
from nightpane.query import QueryResult
from nightpane.testing import LocalServer

__all__ = ["folder"]

FRAME = Brief(metric="m", direction="min", best_score=None, editable=("x",), tried=())
ABOUT = {"project": "p", "client": "c", "run_id": "now", "metric": "m", "direction": "min"}


class Nobody:
    asked = 0

    def hogql(self, query: str, values: Mapping[str, Any] | None = None) -> QueryResult:
        self.asked += 1
        raise UnreachableError("nobody is there")


def entries(rounds: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for number in range(rounds):
        found.append(
            {"kind": "proposed", "number": number, "summary": f"move {number}", "diff": "d" * 9000,
             "model": "m"}
        )  # fmt: skip
        found.append(
            {"kind": "decided", "number": number, "kept": False, "failure_mode": "score_missed",
             "score": float(abs(number - 100)), "reason": "r" * 9000, "measured": True,
             "cost_usd": 0.1}
        )  # fmt: skip
    return found


def test_earlier_runs_are_in_the_brief_when_the_pane_answers(
    folder: Path, server: LocalServer
) -> None:
    briefs: list[Brief] = []

    def watched(brief: Brief, root: Path) -> str:
        briefs.append(brief)
        return propose(brief, root)

    with Pane(project="climb", host=server.host, api_key=server.api_key) as pane:
        watching = replace(
            loop(folder, 5, pane),
            proposers=[FunctionProposer(name="stepper", function=watched)],
            query=server.query(),
        )
        first = watching.run()
        assert pane.flush(timeout_s=30)
        assert [brief.earlier for brief in briefs] == [()] * 4
        briefs.clear()
        watching.run()
    with Pane(project="climb", client="other", host=server.host, api_key=server.api_key) as pane:
        other = replace(watching, pane=pane)
        assert other.run().best_score == 3
    told = briefs[0]
    assert {one.run_id for one in told.earlier} == {first.run_id}
    assert [(one.summary, one.status, one.score) for one in told.earlier] == [
        ("set N to 3", "kept", 3),
        ("set N to 1", "kept", 1),
        ("set N to 4", "score_missed", -4),
        ("set N to 2", "score_missed", -2),
    ]
    best = told.earlier[0]
    assert "+N = 3" in best.diff
    assert (best.model, best.measured) == ("stepper", False)
    assert told.earlier[2].diff == ""
    assert "not better" in told.earlier[2].reason
    assert [(one.number, one.summary, one.run_id) for one in told.tried] == [(0, "baseline", None)]
    assert [brief.rounds_left for brief in briefs[:4]] == [4, 3, 2, 1]
    assert briefs[-1].earlier == ()
    assert json.loads(told.text)["protected"] == ["keep.txt"]


def test_a_pane_that_does_not_answer_is_told_once() -> None:
    said: list[str] = []
    nobody = Nobody()
    briefing = Briefing(lambda: nobody, ABOUT, said.append)
    best = Standing("min", Limits(max_rounds=9), "c")
    for rounds in (1, 2):
        brief = briefing.brief(FRAME, entries(rounds), best)
        assert len(brief.tried) == brief.rounds == rounds
        assert brief.earlier == ()
    assert nobody.asked == 2
    assert said == ["earlier runs are not in the brief: nobody is there"]


def test_a_brief_stays_small_however_long_the_night() -> None:
    briefing = Briefing(Nobody, ABOUT, lambda _text: None)
    brief = briefing.brief(FRAME, entries(1000), Standing("min", Limits(max_rounds=9), "c"))
    assert brief.rounds == 1000
    numbers = [one.number for one in brief.tried]
    assert numbers == sorted(numbers)
    assert set(range(960, 1000)) <= set(numbers)
    assert 100 in numbers
    assert len(numbers) == 50
    assert sum(bool(one.diff) for one in brief.tried) == 10
    assert len(brief.text) < 60_000
