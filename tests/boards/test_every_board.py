"""Each board against a plain reading of the same events in Python."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.boards.world import START, world
from tests.pane_events import send

from nightpane.boards import BOARDS, Scope
from nightpane.doctor import set_aside
from nightpane.stats import wilson
from nightpane.testing import LocalServer

Event = Mapping[str, Any]
Rows = list[dict[str, Any]]
GTM = Scope(project="gtm-autoresearch", client="acme")
LATE = Scope(start=START + timedelta(days=7), end=START + timedelta(days=12))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with LocalServer(Path(tmp_path_factory.mktemp("server"))) as running:
        send(running, world())
        yield running


@pytest.fixture(scope="module")
def ask(server: LocalServer) -> Callable[[str, Scope], Rows]:
    def asked(name: str, scope: Scope) -> Rows:
        question = BOARDS[name].hogql(scope)
        return server.query().hogql(question.query, question.values).dicts()

    return asked


def at(event: Event) -> datetime:
    return datetime.fromisoformat(event["timestamp"])


def told(scope: Scope, *names: str) -> list[Event]:
    """The events of these names that a scope holds, each by itself."""
    wanted = {"project": scope.project, "client": scope.client, "agent": scope.agent}
    return [
        event
        for event in world()
        if event["event"] in names
        and all(value in (None, event["properties"].get(key)) for key, value in wanted.items())
        and (scope.start is None or at(event) >= scope.start)
        and (scope.end is None or at(event) < scope.end)
    ]


def day(event: Event) -> str:
    return event["timestamp"][:10]


def near(found: float | None, expected: float | None) -> bool:
    return found == expected or found == pytest.approx(expected)


scopes = pytest.mark.parametrize(
    "scope", [Scope(), GTM, LATE], ids=["all", "one loop", "some days"]
)


@scopes
def test_dimensions(ask: Callable[[str, Scope], Rows], scope: Scope) -> None:
    cells: dict[tuple[str, str], list[float]] = defaultdict(list)
    gated: Counter[str] = Counter()
    scored: Counter[str] = Counter()
    for event in told(scope, "round_scored"):
        dims = {k[4:]: v for k, v in event["properties"].items() if k.startswith("dim_")}
        for name, value in dims.items():
            cells[day(event), name].append(value)
            scored[name] += 1
            gated[name] += value == min(dims.values())
    found = ask("Dimension Heatmap", scope)
    assert {(row["day"][:10], row["dimension"]) for row in found} == set(cells)
    for row in found:
        values = cells[row["day"][:10], row["dimension"]]
        assert near(row["average"], statistics.fmean(values))
        assert near(row["least"], min(values))
        assert near(row["gate_share"], round(gated[row["dimension"]] / scored[row["dimension"]], 6))
    assert max(gated, key=gated.__getitem__) == "safety"


def cost_of_round(events: list[Event]) -> float:
    """Each call once: a routed call's cost is Token Machine's."""
    routed = {e["properties"]["$ai_span_id"] for e in events if "token" in e["event"]}
    total = 0.0
    for event in events:
        about = event["properties"]
        if event["event"] == "token_machine.request":
            total += about["cost_usd"]
        elif event["event"] == "$ai_generation" and about["$ai_span_id"] not in routed:
            total += about["$ai_total_cost_usd"]
    return total


@scopes
def test_cost_per_kept_round(ask: Callable[[str, Scope], Rows], scope: Scope) -> None:
    rounds: dict[str, list[Event]] = defaultdict(list)
    whole = Scope(project=scope.project, client=scope.client)
    names = ("round_started", "round_kept", "$ai_generation", "token_machine.request")
    for event in told(whole, *names):
        rounds[event["properties"]["round_id"]].append(event)
    days: dict[tuple[str, str], list[list[Event]]] = defaultdict(list)
    for events in rounds.values():
        first = min(events, key=at)
        if (scope.start is None or at(first) >= scope.start) and (
            scope.end is None or at(first) < scope.end
        ):
            about = first["properties"]
            client = "" if about["client"] == "internal" else f" · {about['client']}"
            days[day(first), about["project"] + client].append(events)
    found = ask("Cost per Kept Round", scope)
    assert {(row["day"][:10], row["loop"]) for row in found} == set(days)
    for row in found:
        own = days[row["day"][:10], row["loop"]]
        kept = sum(any(e["event"] == "round_kept" for e in events) for events in own)
        cost = sum(map(cost_of_round, own))
        assert (row["rounds"], row["rounds_kept"], row["rounds_with_cost"]) == (
            len(own), kept, len(own),
        )  # fmt: skip
        assert near(row["total_cost_usd"], cost)
        assert near(row["cost_per_kept_usd"], cost / kept if kept else None)


@scopes
def test_counts_by_day_or_name(ask: Callable[[str, Scope], Rows], scope: Scope) -> None:
    stops = Counter((day(e), e["properties"]["reason"]) for e in told(scope, "stop_triggered"))
    found = ask("Stop-Reason Mix", scope)
    assert {(row["day"][:10], row["reason"]): row["runs"] for row in found} == stops
    pairs = Counter(
        (e["properties"]["to_model"], e["properties"]["from_model"])
        for e in told(scope, "model_escalated")
    )
    found = ask("Escalations by Target Model", scope)
    assert {(row["to_model"], row["from_model"]): row["escalations"] for row in found} == pairs
    worse = Counter((day(e), e["properties"]["dim"]) for e in told(scope, "eval.regression"))
    found = ask("Eval Regressions by Dimension", scope)
    assert {(row["day"][:10], row["dimension"]): row["regressions"] for row in found} == worse
    tools = told(scope, "step.tool_returned")
    failed = Counter(e["properties"]["tool"] for e in tools if not e["properties"]["ok"])
    calls = Counter(e["properties"]["tool"] for e in tools)
    for row in ask("Step Failures by Tool", scope):
        assert (row["failures"], row["calls"]) == (failed[row["tool"]], calls[row["tool"]])
        assert near(row["failure_rate"], failed[row["tool"]] / calls[row["tool"]])
        assert row["latest_error"] == f"{row['tool']} failed"


@scopes
def test_model_fit(ask: Callable[[str, Scope], Rows], scope: Scope) -> None:
    of_round = {
        e["properties"]["round_id"]: e["properties"]["quality_score"]
        for e in told(Scope(), "round_scored")
    }
    cells: dict[tuple[str, str], list[float]] = defaultdict(list)
    for event in told(scope, "token_machine.request"):
        about = event["properties"]
        grade = about.get("quality_score", of_round[about["round_id"]])
        cells[about["task_type"], about["model_used"]].append(grade)
    found = ask("Model Fit by Task Type", scope)
    assert {(row["task_type"], row["model"]): row["graded"] for row in found} == {
        key: len(values) for key, values in cells.items()
    }
    for row in found:
        assert near(row["quality"], statistics.fmean(cells[row["task_type"], row["model"]]))


@scopes
def test_cost_compression(ask: Callable[[str, Scope], Rows], scope: Scope) -> None:
    costs: dict[tuple[str, str], list[float]] = defaultdict(list)
    for event in told(scope, "token_machine.request"):
        monday = at(event) - timedelta(days=at(event).weekday())
        costs[f"{monday:%Y-%m-%d}", event["properties"]["task_type"]].append(
            event["properties"]["cost_usd"]
        )
    found = ask("Cost Compression", scope)
    assert {(row["week"][:10], row["task_type"]) for row in found} == set(costs)
    for row in found:
        own = costs[row["week"][:10], row["task_type"]]
        assert near(row["cost_usd"], sum(own))
        assert near(row["cost_per_request_usd"], statistics.fmean(own))


@scopes
def test_rounds_after_an_anomaly(ask: Callable[[str, Scope], Rows], scope: Scope) -> None:
    anomalies = told(Scope(), "token_machine.anomaly")
    rounds: dict[str, list[Event]] = defaultdict(list)
    for event in told(scope, "round_started", "proposal_generated", "round_scored", "round_kept",
                      "round_reverted", "token_machine.request"):  # fmt: skip
        rounds[event["properties"]["round_id"]].append(event)
    counts = {True: [0, 0], False: [0, 0]}
    for events in rounds.values():
        if not any(e["event"] in ("round_kept", "round_reverted") for e in events):
            continue
        ended = max(at(e) for e in events if "token" not in e["event"])
        tasks = {e["properties"].get("task_type") for e in events} - {None}
        agents = {e["distinct_id"] for e in events}
        after = any(
            timedelta(0) <= ended - at(one) < timedelta(hours=1)
            and (one["properties"]["task_type"] in tasks or one["distinct_id"] in agents)
            for one in anomalies
        )
        counts[after][0] += 1
        counts[after][1] += any(e["event"] == "round_reverted" for e in events)
    found = {
        row["rounds_ended"].startswith("after"): row for row in ask("Anomaly → Regression", scope)
    }
    assert {after: [row["rounds"], row["reverted"]] for after, row in found.items()} == counts
    for row in found.values():
        interval = wilson(row["reverted"], row["rounds"])
        assert interval is not None
        assert near(row["revert_rate"], row["reverted"] / row["rounds"])
        assert row["low_rate"] == pytest.approx(interval.low, abs=1e-4)
        assert row["high_rate"] == pytest.approx(interval.high, abs=1e-4)


@scopes
def test_phases(ask: Callable[[str, Scope], Rows], scope: Scope) -> None:
    costs: dict[str, list[float]] = defaultdict(list)
    for event in told(scope, "$ai_generation"):
        costs[event["properties"]["phase"]].append(event["properties"]["$ai_total_cost_usd"])
    found = ask("LLM Cost and Latency by Phase", scope)
    assert {row["phase"]: row["calls"] for row in found} == {k: len(v) for k, v in costs.items()}
    for row in found:
        assert near(row["cost_usd"], sum(costs[row["phase"]]))
        assert row["calls_without_cost"] == 0


@pytest.mark.parametrize("board", BOARDS)
def test_an_agents_board_holds_what_it_took_part_in(
    ask: Callable[[str, Scope], Rows], board: str
) -> None:
    assert ask(board, Scope(agent="nobody")) == []


def test_rounds_of_an_agent(ask: Callable[[str, Scope], Rows]) -> None:
    found = ask("Round Funnel", Scope(agent="planner", project="autoresearch"))
    assert found == ask("Round Funnel", Scope(project="autoresearch"))


def test_what_was_set_aside_is_told(server: LocalServer) -> None:
    requests = told(Scope(), "token_machine.request")
    routed = {e["properties"]["$ai_span_id"] for e in requests}
    twins = [
        e["properties"]["$ai_total_cost_usd"]
        for e in told(Scope(), "$ai_generation")
        if e["properties"]["$ai_span_id"] in routed
    ]
    calls, cost_usd = set_aside(server.query())
    assert calls == len(twins) > 0
    assert near(cost_usd, sum(twins))
