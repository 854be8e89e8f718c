"""Runs and rounds: closed exactly once, in threads, tasks and whatever way they are left."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.client.support import Network

import nightpane
from nightpane import catalog
from nightpane.errors import CatalogError, NightpaneError
from nightpane.ids import is_ulid, session_id_from_ulid

Make = Callable[..., nightpane.Pane]


def delivered(pane: nightpane.Pane, network: Network) -> list[dict[str, Any]]:
    assert pane.flush(10)
    return network.events


def names(pane: nightpane.Pane, network: Network) -> list[str]:
    return [event["event"] for event in delivered(pane, network)]


def test_a_round_from_start_to_keep(pane: nightpane.Pane, network: Network) -> None:
    with pane.run(direction="max", metric="accuracy") as run:
        with run.round(agent="coder", model="m-1", baseline_score=0.5) as round_:
            round_.generated(prompt_tokens=10, cost_usd=0.25, summary="try x", diff="+x")
            round_.generated(cost_usd=0.5)
            round_.applied(target="train.py", diff_bytes=2)
            round_.scored(0.75, dims={"speed": 1.5}, measured=True, own="extra")
            round_.keep()
        run.stop("target")
    events = delivered(pane, network)
    assert [event["event"] for event in events] == [
        "round_started",
        "proposal_generated",
        "proposal_generated",
        "proposal_applied",
        "round_scored",
        "round_kept",
        "stop_triggered",
    ]
    for event in events:
        assert "$nightpane_invalid" not in event["properties"], event
        assert event["properties"]["run_id"] == run.run_id
    for event in events[:-1]:
        properties = event["properties"]
        assert properties["round_id"] == properties["$ai_trace_id"] == round_.round_id
        assert properties["$session_id"] == session_id_from_ulid(round_.round_id)
        assert event["distinct_id"] == "autoresearch:acme:coder"
    assert is_ulid(run.run_id)
    assert is_ulid(round_.round_id)
    (started,) = network.named("round_started")
    assert (started["model"], started["baseline_score"], started["n_prior_rounds"]) == (
        "m-1",
        0.5,
        0,
    )
    (scored,) = network.named("round_scored")
    assert (scored["score"], scored["dim_speed"], scored["metric"]) == (0.75, 1.5, "accuracy")
    assert (scored["direction"], scored["measured"], scored["own"]) == ("max", True, "extra")
    (kept,) = network.named("round_kept")
    assert (kept["delta"], kept["new_best"], kept["cost_usd"]) == (0.25, 0.75, 0.75)
    (stopped,) = network.named("stop_triggered")
    assert stopped["reason"] == "target"
    assert stopped["rounds_completed"] == 1
    assert stopped["total_cost_usd"] == 0.75
    assert stopped["final_best_score"] == 0.75
    assert "round_id" not in stopped
    assert stopped["agent"] == "orchestrator"


def test_improvement_is_positive_when_lower_is_better(
    pane: nightpane.Pane, network: Network
) -> None:
    with pane.run() as run:
        for score in (3.0, 2.5, 2.75, 2.0):
            with run.round(agent="a") as round_:
                round_.scored(score, direction="min")
                if round_.baseline_score is None or score < round_.baseline_score:
                    round_.keep(cost_usd=1)
                else:
                    round_.revert("score_missed", cost_usd=2, regressed_dimensions=["speed"])
    delivered(pane, network)
    kept = network.named("round_kept")
    assert [one.get("delta") for one in kept] == [None, 0.5, 0.5]
    assert [one["new_best"] for one in kept] == [3.0, 2.5, 2.0]
    assert [one["n_prior_rounds"] for one in network.named("round_started")] == [0, 1, 2, 3]
    assert network.named("round_reverted")[0]["regressed_dimensions"] == ["speed"]
    (stopped,) = network.named("stop_triggered")
    assert stopped["final_best_score"] == 2.0
    assert stopped["total_cost_usd"] == 5
    assert stopped["rounds_completed"] == 4


def test_figures_given_by_hand_are_kept(pane: nightpane.Pane, network: Network) -> None:
    with pane.run() as run, run.round(agent="a", baseline_score=1.0) as round_:
        round_.generated(cost_usd=9.0)
        round_.scored(2.0)
        round_.keep(delta=0.125, new_best=7.0, cost_usd=0.5)
    delivered(pane, network)
    (kept,) = network.named("round_kept")
    assert (kept["delta"], kept["new_best"], kept["cost_usd"]) == (0.125, 7.0, 0.5)
    assert network.named("stop_triggered")[0]["final_best_score"] == 7.0


def test_an_exception_closes_the_round_and_passes_unchanged(
    pane: nightpane.Pane, network: Network
) -> None:
    boom = ValueError("x" * 1000)
    with pytest.raises(ValueError, match="x") as caught, pane.run() as run, run.round(agent="a"):
        raise boom
    assert caught.value is boom
    assert names(pane, network) == ["round_started", "round_reverted", "stop_triggered"]
    (reverted,) = network.named("round_reverted")
    assert reverted["failure_mode"] == "exception"
    assert reverted["reason"].startswith("ValueError: xxx")
    assert len(reverted["reason"]) <= 400
    assert network.named("stop_triggered")[0]["reason"] == "error"


def test_an_exception_caught_between_rounds_does_not_end_the_run(
    pane: nightpane.Pane, network: Network
) -> None:
    with pane.run() as run:
        with pytest.raises(ZeroDivisionError), run.round(agent="a"):
            1 / 0  # noqa: B018
        with run.round(agent="a") as round_:
            round_.keep()
    assert names(pane, network)[-2:] == ["round_kept", "stop_triggered"]
    (stopped,) = network.named("stop_triggered")
    assert (stopped["reason"], stopped["rounds_completed"]) == ("max_rounds", 2)


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), SystemExit(1), asyncio.CancelledError(), GeneratorExit()]
)
def test_an_interruption_is_no_failure(
    pane: nightpane.Pane, network: Network, error: BaseException
) -> None:
    with pytest.raises(type(error)), pane.run() as run, run.round(agent="a"):
        raise error
    delivered(pane, network)
    assert network.named("round_reverted")[0]["failure_mode"] == "interrupted"
    assert network.named("stop_triggered")[0]["reason"] == "interrupted"


def test_an_exception_whose_text_raises_passes_too(pane: nightpane.Pane, network: Network) -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    with pytest.raises(MuteError), pane.run() as run, run.round(agent="a"):
        raise MuteError
    delivered(pane, network)
    assert network.named("round_reverted")[0]["reason"].endswith("MuteError")


def test_a_round_left_open_is_reverted_as_invalid(pane: nightpane.Pane, network: Network) -> None:
    with pane.run() as run, run.round(agent="a") as round_:
        round_.scored(1.0)
    delivered(pane, network)
    (reverted,) = network.named("round_reverted")
    assert reverted["failure_mode"] == "invalid"
    assert reverted["reason"] == "the round was left without keep() or revert()"


def test_a_crash_has_no_score(pane: nightpane.Pane, network: Network) -> None:
    with pane.run() as run, run.round(agent="a", baseline_score=1.0) as round_:
        round_.scored(None)
        round_.revert("crash", reason="out of memory")
    delivered(pane, network)
    (scored,) = network.named("round_scored")
    assert scored["crashed"] is True
    assert "score" not in scored
    assert "$nightpane_invalid" not in scored
    assert network.named("stop_triggered")[0]["final_best_score"] == 1.0


def test_a_round_is_closed_once(
    make_pane: Make, network: Network, caplog: pytest.LogCaptureFixture
) -> None:
    pane = make_pane()
    with pane.run() as run, run.round(agent="a") as round_:
        assert round_.keep() is not None
        assert round_.keep() is None
        assert round_.revert("crash") is None
    assert names(pane, network) == ["round_started", "round_kept", "stop_triggered"]
    assert "is kept already" in caplog.text
    strict = make_pane(strict=True)
    with strict.run() as run, run.round(agent="a") as round_:
        round_.keep()
        with pytest.raises(NightpaneError, match="is kept already: not reverted again"):
            round_.revert("crash")


def test_strict_mode_does_not_hide_the_loops_own_exception(make_pane: Make) -> None:
    pane = make_pane(strict=True)
    with pytest.raises(ZeroDivisionError), pane.run(run_id="not a ulid") as run:
        with pytest.raises(CatalogError, match="run_id"):
            pane.track("hello", agent="a")
        assert run.run_id == "not a ulid"
        1 / 0  # noqa: B018


def test_track_and_capture_inherit_the_round(pane: nightpane.Pane, network: Network) -> None:
    with pane.run() as run, run.round(agent="coder") as round_:
        pane.track("own_event")
        pane.posthog.capture("captured")
        pane.emit(catalog.EvalRun(suite_id=round_.round_id, suite="s"), agent="judge")
        pane.track("elsewhere", agent="x", round_id=run.run_id)
        round_.keep()
    pane.track("outside", agent="x")
    delivered(pane, network)
    for name in ("own_event", "captured", "eval.run"):
        (properties,) = network.named(name)
        assert properties["round_id"] == round_.round_id
        assert properties["run_id"] == run.run_id
    assert network.named("own_event")[0]["agent"] == "coder"
    assert network.named("captured")[0]["agent"] == "coder"
    assert network.named("eval.run")[0]["agent"] == "judge"
    (elsewhere,) = network.named("elsewhere")
    assert elsewhere["round_id"] == elsewhere["$ai_trace_id"] == run.run_id
    assert elsewhere["$session_id"] == session_id_from_ulid(run.run_id)
    assert "round_id" not in network.named("outside")[0]


def test_panes_do_not_inherit_from_each_other(
    make_pane: Make, network: Network, tmp_path: Path
) -> None:
    first, second = make_pane(), make_pane(project="autoagent", spool_dir=tmp_path / "other")
    with first.run() as run, second.run() as inner, run.round(agent="a") as round_:
        first.track("of_first")
        second.track("of_second", agent="b")
        round_.keep()
    delivered(first, network)
    delivered(second, network)
    assert network.named("of_first")[0]["round_id"] == round_.round_id
    assert network.named("of_second")[0]["run_id"] == inner.run_id
    assert "round_id" not in network.named("of_second")[0]


def test_rounds_in_threads_keep_apart(pane: nightpane.Pane, network: Network) -> None:
    barrier = threading.Barrier(4)

    def work(run: nightpane.Run, at: int) -> str:
        with run.round(agent=f"worker-{at}") as round_:
            barrier.wait(10)
            pane.track("inside", at=at)
            barrier.wait(10)
            round_.scored(float(at))
            round_.keep(cost_usd=1.0)
            return round_.round_id

    with pane.run() as run, ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(lambda at: work(run, at), range(4)))
    delivered(pane, network)
    by_at = {one["at"]: one for one in network.named("inside")}
    assert [by_at[at]["round_id"] for at in range(4)] == ids
    assert [by_at[at]["agent"] for at in range(4)] == [f"worker-{at}" for at in range(4)]
    assert sorted(one["n_prior_rounds"] for one in network.named("round_started")) == [0, 1, 2, 3]
    (stopped,) = network.named("stop_triggered")
    assert (stopped["rounds_completed"], stopped["total_cost_usd"]) == (4, 4.0)
    assert stopped["final_best_score"] == 3.0


def test_a_thread_works_for_a_round_of_another(pane: nightpane.Pane, network: Network) -> None:
    with pane.run() as run, run.round(agent="a") as round_:

        def bound() -> None:
            pane.track("bound")

        def bare() -> None:
            pane.track("bare", agent="b")
            round_.track("by_handle")

        context = contextvars.copy_context()
        threads = [
            threading.Thread(target=round_.bind(bound)),
            threading.Thread(target=bare),
            threading.Thread(target=context.run, args=(lambda: pane.track("copied"),)),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        round_.keep()
    delivered(pane, network)
    assert "round_id" not in network.named("bare")[0]
    for name in ("bound", "by_handle", "copied"):
        assert network.named(name)[0]["round_id"] == round_.round_id


def test_rounds_in_tasks_keep_apart(pane: nightpane.Pane, network: Network) -> None:
    async def work(run: nightpane.Run, at: int, gate: asyncio.Barrier) -> str:
        async with run.round(agent=f"task-{at}") as round_:
            await gate.wait()
            pane.track("inside", at=at)
            await gate.wait()
            round_.keep()
            return round_.round_id

    async def night() -> list[str]:
        async with pane.run() as run:
            gate = asyncio.Barrier(3)
            return await asyncio.gather(*(work(run, at, gate) for at in range(3)))

    ids = asyncio.run(night())
    delivered(pane, network)
    by_at = {one["at"]: one["round_id"] for one in network.named("inside")}
    assert [by_at[at] for at in range(3)] == ids


def test_a_cancelled_task_closes_its_round_as_interrupted(
    pane: nightpane.Pane, network: Network
) -> None:
    async def night() -> None:
        async with pane.run() as run, run.round(agent="a"):
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.Event().wait()

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(night())
    delivered(pane, network)
    assert network.named("round_reverted")[0]["failure_mode"] == "interrupted"


def test_a_round_in_a_generator_may_be_left_elsewhere(
    pane: nightpane.Pane, network: Network
) -> None:
    def rounds(run: nightpane.Run) -> Iterator[nightpane.Round]:
        while True:
            with run.round(agent="a") as round_:
                yield round_

    with pane.run() as run:
        source = rounds(run)
        contextvars.copy_context().run(lambda: next(source).keep())
        source.close()
        pane.track("after")
    delivered(pane, network)
    assert network.named("after")[0]["run_id"] == run.run_id
    assert "round_id" not in network.named("after")[0]


def test_escalation_and_publishing(pane: nightpane.Pane, network: Network) -> None:
    with pane.run(agent="boss") as run:
        with run.round(agent="a") as first:
            run.escalated(from_model="s", to_model="m", stall_rounds=3)
            first.keep()
        run.escalated(from_model="m", to_model="l", reason="stalled", agent="a")
        run.published(batch_id="b1", n_examples=5)
    delivered(pane, network)
    inside, between = network.named("model_escalated")
    assert inside["round_id"] == between["round_id"] == first.round_id
    assert (inside["agent"], between["agent"]) == ("a", "a")
    (published,) = network.named("finetune_batch_published")
    assert published["agent"] == "boss"
    assert "round_id" not in published
    for event in network.events:
        assert "$nightpane_invalid" not in event["properties"], event


def test_a_round_still_open_when_the_run_ends_is_closed_first(
    pane: nightpane.Pane, network: Network
) -> None:
    with pane.run() as run:
        round_ = run.round(agent="a").__enter__()
    round_.__exit__(None, None, None)
    assert names(pane, network) == ["round_started", "round_reverted", "stop_triggered"]
    assert network.named("round_reverted")[0]["failure_mode"] == "invalid"


@pytest.mark.parametrize("score", [float("nan"), "good", object(), True])
def test_a_score_that_is_none_is_never_the_best(
    pane: nightpane.Pane, network: Network, score: Any
) -> None:
    with pane.run() as run, run.round(agent="a", baseline_score=1.0) as round_:
        round_.scored(score)
        round_.keep()
    delivered(pane, network)
    assert network.named("stop_triggered")[0]["final_best_score"] == 1.0
    assert "delta" not in network.named("round_kept")[0]
    assert network.named("round_scored")[0]["$nightpane_invalid"]
