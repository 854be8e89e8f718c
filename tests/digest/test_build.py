"""The morning against a real server: every figure worked out by hand from the events sent."""

from __future__ import annotations

import math
import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from tests.pane_events import event, one_round, send

from nightpane import digest
from nightpane.digest.queries import SERIES_LIMIT
from nightpane.digest.words import next_steps
from nightpane.stats import Verdict
from nightpane.testing import LocalServer

NOON = datetime(2026, 3, 8, 12, tzinfo=UTC)
EVENING = NOON + timedelta(hours=9)


def morning(server: LocalServer, project: str, **more: Any) -> digest.Morning:
    return digest.build(server.query(), tz=UTC, project=project, **more)


def only(found: digest.Morning) -> digest.Loop:
    (loop,) = found.loops
    return loop


def test_counts_best_and_change_where_lower_is_better(server: LocalServer) -> None:
    scores = [0.95, 0.97, 0.90, 0.93]
    events = one_round(EVENING - timedelta(days=1), project="lower", score=0.96, kept=True)
    for i, score in enumerate(scores):
        at = EVENING + timedelta(minutes=i)
        kept = score in (0.95, 0.90)
        events += one_round(at, project="lower", score=score, kept=kept)
    events += one_round(EVENING, project="lower", score=0.0, failure_mode="crash")
    for entry in events:
        if entry["event"] == "round_scored":
            entry["properties"] |= {"metric": "val_bpb", "direction": "min"}
    events.append(event("stop_triggered", EVENING, project="lower", reason="budget"))
    send(server, events)

    loop = only(morning(server, "lower"))
    (line,) = loop.scores
    assert (loop.counts.rounds, loop.counts.kept, loop.counts.reverted) == (5, 2, 3)
    assert (line.metric, line.best, line.best_kept, line.n_scored) == ("val_bpb", 0.90, True, 4)
    assert line.before == digest.Standing(0.96, date(2026, 3, 7))
    assert line.change == pytest.approx(0.06)
    assert loop.failure_modes == (("score_missed", 2), ("crash", 1))
    assert loop.stop_reasons == (("budget", 1),)
    assert line.progress.verdict is Verdict.NOT_ENOUGH_DATA


def test_two_metrics_are_two_lines_and_never_one_best(server: LocalServer) -> None:
    events = one_round(EVENING, project="two", score=0.5, metric="accuracy", kept=True)
    events += one_round(EVENING, project="two", score=900.0, metric="tokens", kept=True)
    send(server, events)
    lines = only(morning(server, "two")).scores
    assert {(line.metric, line.best) for line in lines} == {("accuracy", 0.5), ("tokens", 900.0)}


def test_without_direction_more_is_better(server: LocalServer) -> None:
    events = one_round(EVENING, project="plain", score=1.0, metric=None, direction=None)
    events += one_round(EVENING, project="plain", score=2.0, metric=None, direction=None)
    send(server, events)
    (line,) = only(morning(server, "plain")).scores
    assert (line.metric, line.direction, line.best) == (None, "max", 2.0)


def with_costs(
    project: str,
    *,
    end: float | None = None,
    proposals: tuple[float | None, ...] = (),
    calls: tuple[float | None, ...] = (),
    tokens: int = 100,
) -> list[dict[str, Any]]:
    """Return a round whose cost is told in up to three places."""
    told = {} if end is None else {"cost_usd": end}
    events = one_round(EVENING, project=project, kept=True, stages=("round_started",), end=told)
    envelope = events[0]["properties"]
    for cost in proposals:
        more = {} if cost is None else {"cost_usd": cost}
        events.append(event("proposal_generated", EVENING, **{**envelope, **more}))
    for cost in calls:
        trace = {"$ai_trace_id": envelope["round_id"], "$ai_input_tokens": tokens}
        more = {} if cost is None else {"$ai_total_cost_usd": cost}
        events.append(event("$ai_generation", EVENING, **trace, **more))
    return events


@pytest.mark.parametrize(
    ("name", "places", "known_usd", "rounds_known"),
    [
        ("end", {"end": 0.5, "proposals": (0.4,), "calls": (0.3,)}, 0.5, 1),
        ("proposal", {"proposals": (0.4, 0.1), "calls": (0.3,)}, 0.5, 1),
        ("calls", {"proposals": (None,), "calls": (0.25, 0.125)}, 0.375, 1),
        ("nothing", {"calls": (None,)}, None, 0),
        ("partly", {"calls": (0.25, None)}, 0.25, 0),
        ("no-price", {"calls": (0.0,)}, None, 0),
        ("free", {"end": 0.0, "calls": (0.25,)}, 0.0, 1),
    ],
)
def test_a_cost_is_counted_once_and_unknown_is_not_zero(
    server: LocalServer, name: str, places: Any, known_usd: float | None, rounds_known: int
) -> None:
    project = f"cost-{name}"
    send(server, with_costs(project, **places))
    cost = only(morning(server, project)).counts.cost
    assert cost == digest.Cost(known_usd, rounds_known, 1)


def test_cost_sums_agree_with_an_independent_sum(server: LocalServer) -> None:
    rng = random.Random(3)
    costs = [rng.expovariate(30) for _ in range(300)]
    events = [e for cost in costs for e in with_costs("sum", end=cost)]
    send(server, events)
    cost = only(morning(server, "sum")).counts.cost
    assert cost.known_usd is not None
    assert abs(cost.known_usd - math.fsum(costs)) < 1e-9


def test_a_stage_a_loop_never_emits_is_none_and_no_loss(server: LocalServer) -> None:
    send(server, one_round(EVENING, project="ledger", stages=("round_started",), score=None))
    stages = only(morning(server, "ledger")).counts.stages
    assert {stage.name: stage.rounds for stage in stages} == {
        "started": 1,
        "generated": None,
        "applied": None,
        "scored": 0,
        "kept": 0,
    }


def test_a_round_over_noon_belongs_to_the_night_it_began_in(server: LocalServer) -> None:
    at = NOON - timedelta(minutes=1)
    send(server, one_round(at, project="noon", kept=True, lasts_s=600))
    found = morning(server, "noon", night=date(2026, 3, 7))
    assert only(found).counts.kept == 1
    assert morning(server, "noon", night=date(2026, 3, 8)).loops == ()


def test_rounds_are_counted_by_round_and_not_by_agent(server: LocalServer) -> None:
    events = one_round(EVENING, project="agents")
    again = event("round_started", EVENING, **{**events[0]["properties"], "agent": "critic"})
    send(server, [*events, again])
    assert only(morning(server, "agents")).counts.stages[0].rounds == 1


def test_the_night_before_is_the_latest_earlier_one_with_rounds(server: LocalServer) -> None:
    events = one_round(EVENING - timedelta(days=5), project="gap", score=3.0)
    events += one_round(EVENING - timedelta(days=9), project="gap", score=9.0)
    send(server, events + one_round(EVENING, project="gap", score=4.0))
    loop = only(morning(server, "gap"))
    assert loop.before_night == date(2026, 3, 3)
    (line,) = loop.scores
    assert line.before == digest.Standing(3.0, date(2026, 3, 3))
    assert line.standing == digest.Standing(9.0, date(2026, 2, 27))
    assert line.progress.new_bests == 0


def test_a_night_whose_beginning_is_cut_off_is_judged_by_its_latest_rounds(
    server: LocalServer,
) -> None:
    events = one_round(EVENING - timedelta(days=1), project="long", score=-1.0)
    for i in range(SERIES_LIMIT + 50):
        at = NOON + timedelta(seconds=30 * i)
        events += one_round(at, project="long", score=float(i), kept=True, stages=())
    send(server, events)
    found = morning(server, "long")
    (line,) = only(found).scores
    assert line.n_scored == SERIES_LIMIT + 50
    assert len(found.rounds) == line.progress.n_scored == SERIES_LIMIT
    assert line.progress.new_bests == SERIES_LIMIT - 1


def test_improving_plateau_and_stuck_from_events(server: LocalServer) -> None:
    def night(project: str, scores: list[float], days: int = 0) -> list[dict[str, Any]]:
        found, best = [], -math.inf
        for i, score in enumerate(scores):
            at = EVENING - timedelta(days=days) + timedelta(minutes=i)
            found += one_round(at, project=project, score=score, kept=score > best, client="acme")
            best = max(best, score)
        return found

    climb = [float(i) for i in range(25)]
    send(
        server,
        [
            *night("up", climb),
            *night("flat", climb[:8] + [1.0] * 40),
            *night("down", [5.0], days=1),
            *night("down", [1.0 + i % 3 for i in range(30)]),
        ],
    )
    verdicts = {
        loop.project: loop.scores[0].progress.verdict
        for name in ("up", "flat", "down")
        for loop in morning(server, name, client="acme").loops
    }
    assert verdicts == {
        "up": Verdict.IMPROVING,
        "flat": Verdict.PLATEAU,
        "down": Verdict.STUCK,
    }


def test_a_loop_that_fell_silent_is_named(server: LocalServer) -> None:
    events = one_round(EVENING, project="here", client="silent")
    events += one_round(EVENING - timedelta(days=1), project="gone", client="silent")
    send(server, events)
    found = digest.build(server.query(), tz=UTC, client="silent")
    assert [loop.project for loop in found.loops] == ["here"]
    assert found.quiet == (digest.Quiet("gone", "silent", 1),)


def test_nothing_at_all_says_what_to_do(server: LocalServer) -> None:
    found = morning(server, "never seen", now=EVENING)
    assert found.newest is None
    assert "nightpane demo" in "\n".join(next_steps(found))
    assert digest.to_json(found)["loops"] == []


def test_every_query_of_the_digest_runs_as_it_is_shown(server: LocalServer) -> None:
    send(server, one_round(EVENING, project="it's \\ odd"))
    found = morning(server, "it's \\ odd")
    assert set(found.queries) == {"latest", "loops", "words", "series"}
    for query in found.queries.values():
        assert server.query().hogql(query).rows
