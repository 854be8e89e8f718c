"""The boards' definitions and what their queries answer on a real server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.pane_events import event, one_round, send

from nightpane.boards import BOARDS, LISTS, ROUND_FUNNEL, ROUNDS, RUNS, SCORE_TREND, Board, Scope
from nightpane.boards.scope import literal
from nightpane.errors import ConfigError
from nightpane.testing import LocalServer

EVENING = datetime(2026, 3, 8, 21, tzinfo=UTC)
# PostHog's ChartDisplayType, as far as it is used.
DISPLAYS = {"ActionsBar", "ActionsLineGraph", "ActionsStackedBar", "TwoDimensionalHeatmap"}


def rows(server: LocalServer, board: Board, scope: Scope) -> list[dict[str, Any]]:
    question = board.hogql(scope)
    found = server.query().hogql(question.query, question.values).dicts()
    assert server.query().hogql(question.text).dicts() == found  # what is shown is what is asked
    return found


@pytest.mark.parametrize("board", BOARDS.values(), ids=lambda board: board.name)
def test_a_board_is_a_posthog_insight_whose_query_runs(server: LocalServer, board: Board) -> None:
    node = board.definition()
    assert node["kind"] == "DataVisualizationNode"
    assert node["display"] in DISPLAYS
    found = server.query().hogql(node["source"]["query"])
    settings_ = node["chartSettings"]
    named = [axis["column"] for axis in settings_["yAxis"]]
    named.append(settings_["xAxis"]["column"])
    if board.series is not None:
        named.append(settings_["seriesBreakdownColumn"])
    assert set(named) <= set(found.columns)
    assert {"project", "values"} & set(node["source"]) == set()


def test_the_funnel_counts_rounds_and_has_no_row_for_a_stage_never_emitted(
    server: LocalServer,
) -> None:
    events = one_round(EVENING, project="funnel", stages=("round_started",), kept=True)
    events += one_round(EVENING, project="funnel", stages=("round_started",))
    twice = {**events[0]["properties"], "agent": "critic"}
    events.append(event("round_started", EVENING, **twice))
    send(server, events)
    assert rows(server, ROUND_FUNNEL, Scope(project="funnel")) == [
        {"loop": "funnel", "stage": "started", "rounds": 2},
        {"loop": "funnel", "stage": "scored", "rounds": 2},
        {"loop": "funnel", "stage": "kept", "rounds": 1},
    ]


def test_the_trend_takes_the_minimum_where_lower_is_better_and_no_crash(
    server: LocalServer,
) -> None:
    def low(at: datetime, score: float, **more: Any) -> list[dict[str, Any]]:
        return one_round(at, project="trend", score=score, metric="loss", direction="min", **more)

    events = low(EVENING, 0.5) + low(EVENING, 0.4) + low(EVENING + timedelta(days=1), 0.45)
    events += low(EVENING, 0.0, failure_mode="crash")
    events += one_round(EVENING, project="trend", score=None, failure_mode="crash")
    send(server, events)
    found = rows(server, SCORE_TREND, Scope(project="trend"))
    assert [
        (row["day"][:10], row["best"], row["scored_rounds"], row["rounds"]) for row in found
    ] == [("2026-03-08", 0.4, 2, 4), ("2026-03-09", 0.45, 1, 1)]
    assert found[0]["series"] == "trend · loss"


def test_a_day_is_the_readers_own(server: LocalServer) -> None:
    late = datetime(2026, 3, 8, 23, 30, tzinfo=UTC)
    send(server, one_round(late, project="zones"))
    scope = Scope(project="zones", timezone="Europe/Berlin")
    assert rows(server, SCORE_TREND, scope)[0]["day"][:10] == "2026-03-09"


def test_a_range_keeps_a_round_whole_that_crosses_its_edge(server: LocalServer) -> None:
    before = EVENING - timedelta(minutes=1)
    send(server, one_round(before, project="edge", kept=True, lasts_s=600))
    assert rows(server, ROUND_FUNNEL, Scope(project="edge", start=EVENING)) == []
    found = rows(server, ROUND_FUNNEL, Scope(project="edge", end=EVENING))
    assert found[-1] == {"loop": "edge", "stage": "kept", "rounds": 1}


def test_runs_and_the_rounds_of_one(server: LocalServer) -> None:
    events = one_round(EVENING, project="runs", run="a", kept=True, end={"cost_usd": 0.25})
    events += one_round(EVENING + timedelta(hours=1), project="runs", run="a", score=2.0)
    events += one_round(EVENING, project="runs", run="b", metric="other", score=7.0)
    events += one_round(EVENING, project="runs", run="b", metric="third", score=8.0)
    send(server, events)
    runs = {row["rounds_kept"]: row for row in rows(server, RUNS, Scope(project="runs"))}
    assert (runs[1]["rounds"], runs[1]["best"], runs[1]["total_cost_usd"]) == (2, 2.0, 0.25)
    assert runs[1]["rounds_with_cost"] == 1
    assert (runs[0]["best"], runs[0]["its_metric"]) == (None, None)
    rounds = rows(server, ROUNDS, Scope(project="runs", run_id=runs[1]["run"]))
    assert [(row["status"], row["score"], row["duration_s"]) for row in rounds] == [
        ("reverted", 2.0, 60.0),
        ("kept", 1.0, 60.0),
    ]


def test_a_model_call_without_envelope_counts_for_its_round(server: LocalServer) -> None:
    events = one_round(EVENING, project="calls")
    trace = events[0]["properties"]["round_id"]
    call = event("$ai_generation", EVENING)
    call["properties"] = {"$ai_trace_id": trace, "$ai_total_cost_usd": 0.125}
    send(server, [*events, call])
    (row,) = rows(server, ROUNDS, Scope(project="calls"))
    assert (row["cost_usd"], row["cost_known"]) == (0.125, 1)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        # What the round says itself is the whole cost: its calls are not added to it.
        ({"cost_usd": 0.25}, (0.25, 1)),
        ({}, (0.75, 1)),
    ],
)
def test_a_round_that_says_no_cost_shows_what_its_priced_calls_cost(
    server: LocalServer, said: dict[str, float], expected: tuple[float, int]
) -> None:
    project = f"priced-{len(said)}"
    events = one_round(EVENING, project=project, kept=True, end=said)
    call = event("$ai_generation", EVENING + timedelta(seconds=1), project=project)
    call["properties"] |= {
        "round_id": events[0]["properties"]["round_id"],
        "$ai_model": "gpt-4o-mini",
        "$ai_input_tokens": 1_000_000,
        "$ai_output_tokens": 1_000_000,
    }
    send(server, [*events, call])
    (row,) = rows(server, ROUNDS, Scope(project=project))
    assert (row["cost_usd"], row["cost_known"]) == expected


@pytest.mark.parametrize(
    ("model", "expected"), [("google/gemma-4-26b-a4b-it:free", (0.0, 1)), ("unheard-of", (None, 0))]
)
def test_a_free_call_costs_nothing_and_an_unpriced_one_is_unknown(
    server: LocalServer, model: str, expected: tuple[float | None, int]
) -> None:
    project = f"free-{model}"
    events = one_round(EVENING, project=project, kept=True)
    call = event("$ai_generation", EVENING + timedelta(seconds=1), project=project)
    call["properties"] |= {
        "round_id": events[0]["properties"]["round_id"],
        "$ai_model": model,
        "$ai_input_tokens": 10,
        "$ai_output_tokens": 10,
    }
    send(server, [*events, call])
    (row,) = rows(server, ROUNDS, Scope(project=project))
    assert (row["cost_usd"], row["cost_known"]) == expected


@pytest.mark.parametrize("board", [*BOARDS.values(), *LISTS.values()], ids=lambda b: b.name)
def test_no_name_changes_what_a_query_does(server: LocalServer, board: Board) -> None:
    odd = "' or 1=1 -- \\' {values} \n`"
    question = board.hogql(Scope(project=odd, client=odd, run_id=odd))
    assert odd not in question.query
    found = server.query().hogql(question.text).rows
    assert found == [] or board is LISTS["Loops"]


@settings(max_examples=25, deadline=None)
@given(st.text(alphabet=st.characters(blacklist_categories=["Cc", "Cs"]), max_size=30))
def test_a_literal_is_the_text_it_stands_for(server: LocalServer, text: str) -> None:
    assert server.query().hogql(f"select {literal(text)}").rows == [[text]]


def test_a_literal_refuses_what_no_query_can_name() -> None:
    with pytest.raises(ConfigError, match="control character"):
        literal("a\x00b")
