"""Recommendations on planted data: savings recomputed from the raw events, every part there."""

from __future__ import annotations

import ast
import json
import math
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from tests.optimizer.planted import PRICES, Planted, plant, send

from nightpane.optimizer import Options, Result, Target, optimize
from nightpane.optimizer.model import Recommendation
from nightpane.optimizer.savings import together
from nightpane.testing import LocalServer

DAYS = 14
EACH = 60
NOW = datetime.now(UTC).replace(microsecond=0)
Event = dict[str, Any]


@pytest.fixture(scope="module")
def planted(
    server: LocalServer, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Planted, Result]:
    made = plant(7, NOW - timedelta(minutes=1))
    send(server, made.events)
    options = Options(
        results_dir=tmp_path_factory.mktemp("results"),
        now=NOW,
        window_days=DAYS,
        live_prices=False,
        project="planted",
    )
    target = Target(server.host, server.project_id, server.personal_api_key)
    return made, optimize(server.query(), options, target=target)


def advice(planted: tuple[Planted, Result], cause: str) -> Recommendation:
    found = [one for one in planted[1].analysis.recommendations if one.cause == cause]
    assert len(found) == 1, [one.id for one in planted[1].analysis.recommendations]
    return found[0]


def calls_of(planted: tuple[Planted, Result], one: Recommendation) -> list[Event]:
    """The raw events of the operation in the traces that the saving names, by time."""
    named = set(one.saving.trace_ids)
    found = [
        event["properties"] | {"at": datetime.fromisoformat(event["timestamp"]).timestamp()}
        for event in planted[0].events
        if event["properties"]["$ai_span_name"] == one.operation
        and event["properties"]["$ai_trace_id"] in named
    ]
    return sorted(found, key=lambda call: call["at"])


def by_trace(calls: Iterable[Event]) -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = defaultdict(list)
    for call in calls:
        found[call["$ai_trace_id"]].append(call)
    return found


def prices(call: Event) -> tuple[float, float, float]:
    known = PRICES[call["$ai_provider"], call["$ai_model"]]
    into, out, read = (float(one) / 1e6 for one in known)
    return into, out, read


def prompt(call: Event) -> int:
    return int(call["$ai_input_tokens"])


# Rate limits that follow its own bursts, and errors that are rate limits, are one advice.
SAID_ELSEWHERE = {"own_bursts", "errors"}


def test_each_planted_problem_has_its_advice_and_no_clean_operation_has_any(
    planted: tuple[Planted, Result],
) -> None:
    made, result = planted
    found = {(one.operation, one.cause) for one in result.analysis.recommendations}
    wanted = {
        (name, "unpriced_model" if wrong == "unpriced" else wrong)
        for name, wrongs in made.truth.items()
        for wrong in wrongs - SAID_ELSEWHERE
    }
    assert wanted <= found
    assert {name for name, _ in found} <= {name for name, wrongs in made.truth.items() if wrongs}


def test_ranked_by_impact_and_ease_with_priorities_from_one(
    planted: tuple[Planted, Result],
) -> None:
    found = planted[1].analysis.recommendations
    assert [one.priority for one in found] == list(range(1, len(found) + 1))
    saved = [one.ease * one.saving.monthly_usd for one in found if one.saving.monthly_usd]
    assert saved == sorted(saved, reverse=True)


def test_every_recommendation_has_its_five_parts(planted: tuple[Planted, Result]) -> None:
    made, result = planted
    ids = {event["properties"]["$ai_trace_id"] for event in made.events}
    for one in result.analysis.recommendations:
        assert one.operation in one.title or one.cause == "unpriced_model", one.id
        assert any(char.isdigit() for char in one.problem), one.id
        assert one.why, one.id
        assert len(one.evidence) >= 3, one.id
        assert {row.trace_id for row in one.evidence} <= ids
        assert len(one.excerpt) > 20, one.id
        assert one.fix.before != one.fix.after
        plan = one.measurement
        assert plan.metric, one.id
        assert plan.baseline != plan.target, one.id
        assert 1 <= plan.window_days <= DAYS
        assert str(plan.window_days) in plan.why_window or "days" in plan.why_window


def test_evidence_shows_what_the_operation_cost_in_the_trace(
    planted: tuple[Planted, Result],
) -> None:
    made, result = planted
    for one in result.analysis.recommendations:
        for row in one.evidence:
            calls = [
                event["properties"]
                for event in made.events
                if event["properties"]["$ai_trace_id"] == row.trace_id
                and event["properties"]["$ai_span_name"] == row.operation
            ]
            cost = sum(call.get("$ai_total_cost_usd", 0.0) for call in calls)
            assert row.cost_usd == pytest.approx(cost), one.id


def test_baseline_is_what_the_query_gives_over_the_last_days(
    planted: tuple[Planted, Result], server: LocalServer
) -> None:
    query = server.query()
    for one in planted[1].analysis.recommendations:
        plan = one.measurement
        window = {"since": NOW - timedelta(days=plan.window_days), "until": NOW}
        filled = {name: f"{at:%Y-%m-%dT%H:%M:%SZ}" for name, at in window.items()}
        rows = query.hogql(plan.hogql, {**plan.values, **filled}).rows
        assert len(rows) == 1, one.id
        assert len(rows[0]) == 1, one.id
        assert rows[0][0] == pytest.approx(plan.baseline, rel=1e-9), one.id


def test_code_before_and_after_is_python(planted: tuple[Planted, Result]) -> None:
    for one in planted[1].analysis.recommendations:
        for text in (one.fix.before, one.fix.after):
            ast.parse(text)


def test_ranges_hold_the_likely_saving(planted: tuple[Planted, Result]) -> None:
    for one in planted[1].analysis.recommendations:
        saving = one.saving
        assert 0 <= saving.monthly_low_usd <= saving.monthly_usd <= saving.monthly_high_usd
        assert saving.monthly_usd == pytest.approx(saving.window_usd * 30 / DAYS)
        assert saving.method, one.id


def test_few_queries_for_all(planted: tuple[Planted, Result]) -> None:
    # 30 of the other steps' and at most 7 of this one's; a report may ask 59.
    assert planted[1].analysis.queries <= 40


def test_claims_are_the_savings_by_kind_of_cost(planted: tuple[Planted, Result]) -> None:
    found = planted[1].analysis.recommendations
    for one in found:
        assert sum(one.saving.claims.values()) == pytest.approx(one.saving.window_usd)
        assert all(operation == one.operation for operation, _ in one.saving.claims)
    single = sum(one.saving.monthly_usd for one in found)
    total = together(found)
    assert total.monthly_usd + total.overlap_usd == pytest.approx(single)
    cost = float(planted[0].cost_usd) * 30 / DAYS
    assert total.monthly_usd <= cost


def test_saving_of_the_cheaper_model(planted: tuple[Planted, Result]) -> None:
    one = advice(planted, "model_misuse")
    calls = calls_of(planted, one)
    small = "gpt-4o-mini" if calls[0]["$ai_provider"] == "openai" else "claude-haiku-4-5"
    into, out, _ = (float(p) / 1e6 for p in PRICES[calls[0]["$ai_provider"], small])
    saved = sum(
        call["$ai_total_cost_usd"] - prompt(call) * into - call["$ai_output_tokens"] * out
        for call in calls
    )
    assert one.saving.window_usd == pytest.approx(saved, rel=1e-6)
    assert f'"{small}"' in one.fix.after


def test_saving_of_the_cache(planted: tuple[Planted, Result]) -> None:
    one = advice(planted, "cache_misses")
    calls = calls_of(planted, one)
    system = len(calls[0]["$ai_input"][0]["content"])
    last, saved, read = -math.inf, 0.0, 0
    for call in calls:
        into, _, cached = prices(call)
        hit = call["at"] - last <= 300
        last, read = call["at"], read + hit
        # Writing into Anthropic's cache costs a quarter more than reading a prompt in full.
        saved += system / 4 * (into - cached if hit else -0.25 * into)
    # The prefix is known in steps of its length: never more than it is, at most a third less.
    assert 0.66 * saved <= one.saving.window_usd <= 1.01 * saved
    assert f"{read} reads" in one.saving.method
    assert '"cache_control": {"type": "ephemeral"}' in one.fix.after


def test_saving_of_repeated_prompts(planted: tuple[Planted, Result]) -> None:
    one = advice(planted, "identical_calls")
    asked: dict[str, list[Event]] = defaultdict(list)
    for call in calls_of(planted, one):
        asked[json.dumps(call["$ai_input"])].append(call)
    saved = 0.0
    for same in asked.values():
        assert len(same) > 1
        each = sum(call["$ai_total_cost_usd"] for call in same) / len(same)
        saved += each * (len({call["$ai_trace_id"] for call in same}) - 1)
    assert one.saving.window_usd == pytest.approx(saved, rel=1e-6)


def test_saving_of_the_retries_beyond_the_first(planted: tuple[Planted, Result]) -> None:
    one = advice(planted, "retry_storm")
    likely = 0.0
    for calls in by_trace(calls_of(planted, one)).values():
        likely += sum(call["$ai_total_cost_usd"] for call in calls[2:])
    assert one.saving.window_usd == pytest.approx(likely, rel=1e-6)


def test_saving_of_bounded_answers(planted: tuple[Planted, Result]) -> None:
    one = advice(planted, "runaway_output")
    everything = [
        event["properties"]["$ai_output_tokens"]
        for event in planted[0].events
        if event["properties"]["$ai_span_name"] == one.operation
    ]
    seen = planted[1].analysis.metrics.operation(one.operation)
    assert seen is not None
    limit = 5 * seen.output.p50
    cut = seen.output.p95 if seen.output.p95 <= limit else 2 * limit
    long = calls_of(planted, one)
    assert len(long) == sum(tokens > limit for tokens in everything)
    saved = sum((call["$ai_output_tokens"] - cut) * prices(call)[1] for call in long)
    assert one.saving.window_usd == pytest.approx(saved, rel=1e-6)


def test_saving_of_smaller_prompts(planted: tuple[Planted, Result]) -> None:
    one = advice(planted, "prompt_bloat")
    calls = calls_of(planted, one)
    seen = planted[1].analysis.causes.patterns[one.operation]
    half = seen.first_prompt_p50 / 2
    saved = sum(max(prompt(call) - half, 0) * prices(call)[0] for call in calls)
    assert one.saving.window_usd == pytest.approx(saved, rel=1e-6)


def test_saving_of_a_window_of_the_conversation(planted: tuple[Planted, Result]) -> None:
    one = advice(planted, "context_stuffing")
    saved = 0.0
    for calls in by_trace(calls_of(planted, one)).values():
        sizes = [prompt(call) for call in calls]
        added = [b - a for a, b in pairwise(sizes)]
        into, out, _ = prices(calls[0])
        dropped, trace = 0.0, 0.0
        for place, size in enumerate(sizes):
            kept = min(size, sizes[0] + 500 + sum(added[max(0, place - 4) : place]))
            dropped = max(dropped, size - kept)
            trace += (size - kept) * into
        saved += max(trace - dropped * into - 500 * out, 0.0) if dropped else 0.0
    assert one.saving.window_usd == pytest.approx(saved, rel=1e-6)


def test_saving_of_broken_tool_loops(planted: tuple[Planted, Result]) -> None:
    one = advice(planted, "tool_loop")
    saved = 0.0
    for calls in by_trace(calls_of(planted, one)).values():
        asked: dict[str, list[Event]] = defaultdict(list)
        for call in calls:
            function = call["$ai_output_choices"][0]["content"][0]["function"]
            asked[json.dumps(function)].append(call)
        for same in asked.values():
            if len(same) >= 4:
                saved += sum(call["$ai_total_cost_usd"] for call in same[1:])
    if "scaled" in one.saving.method:
        assert one.saving.window_usd > saved
    else:
        assert one.saving.window_usd == pytest.approx(saved, rel=1e-6)


def test_failures_claim_no_saving_and_say_what_they_cost(planted: tuple[Planted, Result]) -> None:
    for cause in ("truncated", "empty", "rate_limits"):
        one = advice(planted, cause)
        assert one.saving.window_usd == 0.0
        assert one.saving.claims == {}
        assert "No saving is claimed" in one.saving.method


def call(number: int, name: str, **more: Any) -> Event:
    """A call of gpt-4o-mini, at its price; the time of day differs, the day does too."""
    at = NOW - timedelta(hours=1 + 5 * number)
    properties = {
        "project": "failing",
        "$ai_trace_id": f"{name}-{number}",
        "$ai_span_name": name,
        "$ai_provider": "openai",
        "$ai_model": "gpt-4o-mini",
        "$ai_input": [{"role": "user", "content": f"question {number} of {name}"}],
        "$ai_output_choices": [{"role": "assistant", "content": '{"answer": 1}'}],
        "$ai_input_tokens": 1000,
        "$ai_output_tokens": 100,
        "$ai_total_cost_usd": 1000 * 0.15e-6 + 100 * 0.6e-6,
        "$ai_cost_passthrough": True,
        "$ai_latency": 1.0,
        "$ai_http_status": 200,
        "$ai_stop_reason": "stop",
    }
    return {
        "event": "$ai_generation",
        "timestamp": at.isoformat(),
        "distinct_id": "failing",
        "properties": properties | more,
    }


def failing_calls() -> list[Event]:
    refused = {
        "$ai_is_error": "true",
        "$ai_http_status": 400,
        "$ai_error": "image is too large",
        "$ai_output_choices": None,
    }
    late = refused | {"$ai_http_status": 504, "$ai_error": "deadline exceeded"}
    broken = [{"role": "assistant", "content": '{"answer": [1, 2'}]
    # 1,000 x 2.5 and 400 x 10 USD a million: 0.0065.
    doubled = {"$ai_model": "gpt-4o", "$ai_output_tokens": 400, "$ai_total_cost_usd": 0.013}
    found = []
    for n in range(EACH):
        fifth = n % 5 == 0
        found += [
            call(n, "upload", **(refused if fifth else {})),
            call(n, "wait", **(late if fifth else {})),
            call(n, "extract", **({"$ai_output_choices": broken} if fifth else {})),
            call(n, "doubled", **doubled),
        ]
    return found


@pytest.fixture(scope="module")
def failing(server: LocalServer, tmp_path_factory: pytest.TempPathFactory) -> Result:
    send(server, failing_calls())
    options = Options(
        results_dir=tmp_path_factory.mktemp("failing"),
        now=NOW,
        window_days=DAYS,
        live_prices=False,
        project="failing",
        sample_size=60,
    )
    target = Target(server.host, server.project_id, server.personal_api_key)
    return optimize(server.query(), options, target=target)


def test_each_failure_has_its_advice(failing: Result, server: LocalServer) -> None:
    found = {one.cause: one for one in failing.analysis.recommendations}
    named = {cause: one.operation for cause, one in found.items()}
    wanted = {
        "errors": "upload",
        "timeouts": "wait",
        "malformed": "extract",
        "price_difference": "doubled",
    }
    assert wanted == named
    for one in found.values():
        assert one.excerpt, one.id
        window = NOW - timedelta(days=one.measurement.window_days)
        filled = {"since": f"{window:%Y-%m-%dT%H:%M:%SZ}", "until": f"{NOW:%Y-%m-%dT%H:%M:%SZ}"}
        rows = (
            server.query().hogql(one.measurement.hogql, {**one.measurement.values, **filled}).rows
        )
        assert rows == [[pytest.approx(one.measurement.baseline)]], one.id
    assert found["errors"].excerpt == "image is too large"
    assert found["errors"].measurement.baseline == pytest.approx(20, abs=5)


def test_failed_calls_that_were_paid_for_are_a_saving(failing: Result) -> None:
    found = {one.cause: one for one in failing.analysis.recommendations}
    each = 1000 * 0.15e-6 + 100 * 0.6e-6
    for cause in ("errors", "timeouts"):
        assert found[cause].saving.window_usd == pytest.approx(each * EACH / 5)
        assert len(found[cause].saving.trace_ids) == EACH / 5
    assert found["malformed"].saving.window_usd == 0
    assert found["price_difference"].saving.window_usd == 0


def test_a_wrong_price_is_told_by_how_much(failing: Result) -> None:
    one = next(o for o in failing.analysis.recommendations if o.cause == "price_difference")
    assert "$0.78" in one.problem
    assert "$0.39, 50 % less" in one.problem
    assert one.measurement.target == pytest.approx(one.measurement.baseline / 2)


def test_what_shipped_is_not_recommended_again(
    server: LocalServer, failing: Result, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("again")
    shipped = folder / "shipped.txt"
    shipped.write_text("shipped errors:upload pull request 7\n")
    options = Options(
        results_dir=folder / "results",
        now=NOW,
        window_days=DAYS,
        live_prices=False,
        project="failing",
        history=shipped,
    )
    target = Target(server.host, server.project_id, server.personal_api_key)
    again = optimize(server.query(), options, target=target).analysis.recommendations
    assert "errors:upload" in {one.id for one in failing.analysis.recommendations}
    assert "errors:upload" not in {one.id for one in again}
    assert [one.priority for one in again] == list(range(1, len(again) + 1))
