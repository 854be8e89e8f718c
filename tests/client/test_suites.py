"""Suites: a case each, the mean and the dimensions on the round, and what got worse."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.client.support import Network
from tests.client.test_steps import Hostile, by_name, events, generation

import nightpane
from nightpane.errors import UnreachableError
from nightpane.query import QueryResult
from nightpane.testing import LocalServer

Make = Callable[..., nightpane.Pane]


class Past:
    """Answers every query with the same best scores: case, score, whether it passed."""

    def __init__(
        self, *rows: tuple[str, float | None, bool], error: Exception | None = None
    ) -> None:
        self.rows = [list(row) for row in rows]
        self.error = error
        self.asked: list[Mapping[str, Any]] = []
        self.hold = threading.Event()
        self.hold.set()

    def hogql(self, query: str, values: Mapping[str, Any] | None = None) -> QueryResult:
        self.asked.append({"query": query, **(values or {})})
        self.hold.wait(30)
        if self.error is not None:
            raise self.error
        return QueryResult(["case_id", "best", "has_passed"], [], self.rows, False, None)


def test_a_suite_and_its_cases(make_pane: Make, network: Network) -> None:
    pane = make_pane(query=Past())
    with pane.run() as run, run.round(agent="coder") as round_:
        suite = round_.suite("gtm-9dim", scorer_version="3", n_cases=4, agent="judge", own=1)
        with suite:
            suite.case("clarity", score=0.5, dim="style", rationale="r" * 900, passed=True)
            with suite.case("tone", dim="style") as case:
                generation(pane)
                case.judged(0.75, passed=False, seconds=2)
            suite.case("odd name/é", score=0.25, dim="facts")
            with pytest.raises(TimeoutError), suite.case("broken"):
                raise TimeoutError("judge")
            pane.track("inside")
        assert suite.mean == 0.5
        round_.scored(0.9, dims={"facts": 7.0})
        round_.keep()
    started, first, called, second, odd, broken, inside, scored = events(pane, network)[1:9]
    assert started["event"] == "eval.run"
    assert started["suite_id"] == started["$ai_span_id"] == suite.suite_id
    assert started["$ai_parent_id"] == round_.round_id
    assert (started["suite"], started["scorer_version"], started["n_cases"], started["own"]) == (
        *("gtm-9dim", "3", 4, 1),
    )
    assert started["history"] == "asked"
    assert started["agent"] == "judge"
    for one in (first, second, odd, broken):
        assert one["suite_id"] == one["$ai_parent_id"] == suite.suite_id
        assert "$nightpane_invalid" not in one
    assert (first["score"], first["passed"], first["rationale_length"]) == (0.5, True, 900)
    assert len(first["rationale"]) == 800
    assert called["$ai_parent_id"] == second["$ai_span_id"] == f"{suite.suite_id}:tone"
    assert (second["dim"], second["passed"], second["seconds"]) == ("style", False, 2)
    assert odd["$ai_span_id"].startswith(f"{suite.suite_id}:odd-name--~")
    assert broken["rationale"] == "not judged: TimeoutError: judge"
    assert "score" not in broken
    assert inside["$ai_parent_id"] == suite.suite_id
    assert (scored["quality_score"], scored["dim_style"], scored["dim_facts"]) == (0.5, 0.625, 7.0)


def test_quality_is_what_is_given_else_the_suites_else_the_grades(
    make_pane: Make, network: Network
) -> None:
    pane = make_pane(query=Past())
    with pane.run() as run:
        for given in (0.125, None):
            with run.round(agent="coder") as round_:
                with round_.suite("s") as suite:
                    suite.case("a", score=1.0)
                    suite.case("a", score=0.5)
                round_.graded(0.0)
                round_.scored(1.0, quality_score=given)
                round_.keep()
        with run.round(agent="coder") as round_:
            round_.graded(0.5)
            round_.graded(None)
            round_.graded(1.0)
            round_.scored(1.0)
            round_.keep()
        with run.round(agent="coder") as round_:
            round_.scored(1.0)
            round_.keep()
    found = [one.get("quality_score") for one in by_name(pane, network, "round_scored")]
    assert found == [0.125, 0.5, 0.75, None]


@pytest.mark.parametrize(
    ("best", "passed_then", "score", "passed", "options", "is_regression"),
    [
        (0.9, False, 0.84, None, {}, True),
        (0.9, False, 0.85, None, {}, False),  # not more than 0.05, in spite of binary fractions
        (0.9, False, 0.95, None, {}, False),
        (0.9, False, 0.7, None, {"regression_threshold": 0.25}, False),
        (0.9, False, 0.89, None, {"regression_threshold": 0.0}, True),
        (2.0, False, 2.5, None, {"direction": "min"}, True),
        (2.0, False, 1.5, None, {"direction": "min"}, False),
        (0.9, True, 0.9, False, {}, True),
        (0.9, False, 0.9, False, {}, False),
        (None, True, None, False, {}, True),
        (None, False, 0.1, None, {}, False),
        (0.9, True, None, None, {}, False),
    ],
)
def test_what_counts_as_a_regression(
    make_pane: Make,
    network: Network,
    best: float | None,
    passed_then: bool,
    score: float | None,
    passed: bool | None,
    options: dict[str, Any],
    is_regression: bool,
) -> None:
    past = Past(("a", best, passed_then), ("other", 1.0, True))
    pane = make_pane(query=past)
    with pane.run() as run, run.round(agent="coder") as round_:
        with round_.suite("s", **options) as suite:
            with suite.case("a", dim="d") as case:
                case.judged(score, passed=passed)
            suite.case("new", score=0.0, passed=False)
        round_.revert("score_missed")
    found = by_name(pane, network, "eval.regression")
    assert len(found) == len(suite.regressions) == int(is_regression)
    (reverted,) = by_name(pane, network, "round_reverted")
    assert reverted.get("regressed_dimensions") == (["d"] if is_regression else None)
    for one in found:
        assert (one.get("prior_score"), one.get("new_score")) == (best, score)
        assert (one["case_id"], one["dim"], one["suite_id"]) == ("a", "d", suite.suite_id)
        assert one["$ai_parent_id"] == case.span_id
        assert "$nightpane_invalid" not in one
    (asked,) = past.asked
    assert (asked["project"], asked["client"]) == ("autoresearch", "acme")
    assert (asked["suite"], asked["suite_id"]) == ("s", suite.suite_id)


def test_cases_of_many_threads(make_pane: Make, network: Network) -> None:
    pane = make_pane(query=Past(*((str(at), 1.0, True) for at in range(0, 40, 2))))
    with pane.run() as run, run.round(agent="coder") as round_:
        with round_.suite("s") as suite, ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda at: suite.case(str(at), score=0.5), range(40)))
        round_.keep()
    assert len(by_name(pane, network, "eval.case")) == 40
    found = [int(one["case_id"]) for one in by_name(pane, network, "eval.regression")]
    assert sorted(found) == list(range(0, 40, 2))


def test_a_history_out_of_reach_is_said_once_and_not_asked_again(
    make_pane: Make, network: Network, caplog: pytest.LogCaptureFixture
) -> None:
    past = Past(error=UnreachableError("nobody at home"))
    pane = make_pane(query=past)
    with pane.run() as run, run.round(agent="coder") as round_:
        for _ in range(3):
            with round_.suite("s") as suite:
                suite.case("a", score=0.5)
        round_.scored(1.0)
        round_.keep()
    states = [one["history"] for one in by_name(pane, network, "eval.run")]
    assert states == ["asked", *["not asked: nobody at home"] * 2]
    assert len(past.asked) == 1
    assert caplog.text.count("nobody at home") == 1
    assert by_name(pane, network, "round_scored")[0]["quality_score"] == 0.5


def test_without_anybody_to_ask_a_suite_says_so(pane: nightpane.Pane, network: Network) -> None:
    with pane.run() as run, run.round(agent="coder") as round_:
        with round_.suite("s") as suite:
            suite.case("a", score=0.5)
        round_.keep()
    (started,) = by_name(pane, network, "eval.run")
    assert "POSTHOG_PERSONAL_API_KEY" in started["history"]


def test_a_slow_history_holds_nobody_up(make_pane: Make, network: Network) -> None:
    past = Past(("a", 1.0, True))
    past.hold.clear()
    pane = make_pane(query=past)
    with pane.run() as run, run.round(agent="coder") as round_:
        began = time.monotonic()
        with pytest.raises(ZeroDivisionError), round_.suite("s") as suite:
            suite.case("a", score=0.0)
            1 / 0  # noqa: B018
        assert time.monotonic() - began < 1.0
        with round_.suite("s") as suite:
            suite.case("a", score=0.0)
        assert time.monotonic() - began < 4.0
        past.hold.set()
        round_.keep()
    assert by_name(pane, network, "eval.regression") == []


def test_the_history_is_the_panes_own(server: LocalServer, make_pane: Make) -> None:
    """Against a real server: this night's rounds, another client's, another suite's."""
    about = {
        "transport": None,
        "host": server.host,
        "api_key": server.api_key,
        "query": server.query(),
    }
    scores = [("acme", "s", 0.9), ("other", "s", 1.0), ("acme", "t", 1.0), ("acme", "s", 0.86)]
    scores += [("acme", "s", 0.8), ("acme", "s", 0.9)]
    found = []
    for at, (client, name, score) in enumerate(scores):
        pane = make_pane(client=client, **about)
        with pane.run() as run, run.round(agent="coder") as round_:
            with round_.suite(name) as suite:
                suite.case("a", score=score, passed=at == 0)
            found.append([(one.prior_score, one.new_score) for one in suite.regressions])
            round_.keep()
    failed = [(0.9, 0.86)], [(0.9, 0.8)], [(0.9, 0.9)]
    assert found == [[], [], [], *failed]


def test_nothing_a_suite_is_given_raises(make_pane: Make, network: Network) -> None:
    pane = make_pane(query=Past(("a", 1.0, True), ("['x']", 1.0, True)))
    odd: Any = ["x"]
    with pane.run() as run, run.round(agent="coder") as round_:
        with round_.suite(
            odd, direction=odd, regression_threshold=odd, scorer_version=odd
        ) as suite:
            suite.case(odd, score=0.5, dim=odd, rationale=odd, passed=odd)
            suite.case("a", score=odd, dim=odd)
            with suite.case(Hostile()) as case:  # type: ignore[arg-type]
                case.judged(Hostile(), dim=odd)  # type: ignore[arg-type]
        round_.graded(odd)
        round_.observe(odd, 1.0)
        round_.retry(odd, attempt=odd, prior_error=odd)
        round_.plan(odd, confidence=odd)
        round_.scored(0.5)
        round_.revert("score_missed")
    assert len(by_name(pane, network, "eval.case")) == 3
    assert by_name(pane, network, "round_reverted")[0]["regressed_dimensions"] == ["['x']"]
