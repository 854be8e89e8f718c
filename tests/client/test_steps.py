"""Steps: an id for each, a pair that shares it however it ends, and what hangs under it."""

from __future__ import annotations

import asyncio
import json
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.client.support import Network

import nightpane
from nightpane.errors import NightpaneError
from nightpane.ids import is_ulid

Make = Callable[..., nightpane.Pane]


def events(pane: nightpane.Pane, network: Network, prefix: str = "") -> list[dict[str, Any]]:
    assert pane.flush(10)
    return [
        {"event": one["event"], **one["properties"]}
        for one in network.events
        if one["event"].startswith(prefix)
    ]


def by_name(pane: nightpane.Pane, network: Network, name: str) -> list[dict[str, Any]]:
    return [one for one in events(pane, network) if one["event"] == name]


def generation(pane: nightpane.Pane, **given: Any) -> None:
    trace = {"$ai_trace_id": str(uuid.uuid4())}
    pane.posthog.capture("$ai_generation", properties={**trace, **given})


def test_what_an_agent_does_is_emitted_as_it_says_it(
    pane: nightpane.Pane, network: Network
) -> None:
    with pane.run() as run, run.round(agent="coder") as round_:
        planned = round_.plan("first this", next_action="read", confidence=0.5, own=1)
        round_.observe("loss", 2.0, agent="watcher")
        round_.observe("log", "all is well")
        round_.observe("loss", 1.5)
        round_.reflect("not yet", issues=["slow"], retry=True)
        round_.retry("timeout", prior_error=TimeoutError("30 s"))
        round_.retry("timeout", prior_error="again")
        round_.keep()
    steps = events(pane, network, "step.")
    assert not [one for one in steps if "$nightpane_invalid" in one]
    plan, first, log, second, reflection, *retries = steps
    assert (plan["plan"], plan["next_action"], plan["confidence"], plan["own"]) == (
        *("first this", "read", 0.5, 1),
    )
    assert plan["step_id"] == plan["$ai_span_id"] == planned.step_id
    assert planned.uuid is not None
    assert (first["agent"], log["agent"]) == ("watcher", "coder")
    assert (log["value"], "delta_from_last" in log, second["delta_from_last"]) == (
        *("all is well", False, -0.5),
    )
    assert (reflection["issues"], reflection["retry"]) == (["slow"], True)
    assert [one["attempt"] for one in retries] == [2, 3]
    assert [one["prior_error"] for one in retries] == ["TimeoutError: 30 s", "again"]
    assert {one["$ai_parent_id"] for one in steps} == {round_.round_id}
    assert len({one["step_id"] for one in steps}) == len(steps)


def test_a_plan_may_be_known_only_after_the_call_that_makes_it(
    pane: nightpane.Pane, network: Network
) -> None:
    with pane.run() as run, run.round(agent="coder") as round_:
        with round_.plan() as plan:
            generation(pane)
            assert plan.says(plan="so be it") is not None
            assert plan.says(plan="or not") is None
        with pytest.raises(ZeroDivisionError), round_.reflect():
            1 / 0  # noqa: B018
        round_.keep()
    called, plan_event = events(pane, network)[1:3]
    assert called["$ai_parent_id"] == plan_event["$ai_span_id"] == plan.step_id
    assert plan_event["plan"] == "so be it"
    assert plan_event["ts"] <= called["ts"]
    assert [one["event"] for one in events(pane, network, "step.")] == [
        *("step.plan", "step.reflection"),
    ]


def test_a_call_of_a_tool_is_a_pair(pane: nightpane.Pane, network: Network) -> None:
    with pane.run() as run, run.round(agent="coder") as round_:
        with (
            round_.calls(task_type="ar.refine"),
            round_.tool("shell", {"cmd": "ls"}, timeout_ms=50, agent="hand", own=2) as step,
        ):
            generation(pane)
            step.returns(["a", "é"])
        with round_.tool("silent"):
            pass
        round_.keep()
    called, inside, returned, silent, end = events(pane, network)[1:6]
    assert json.loads(called["args_json"]) == {"cmd": "ls"}
    assert (called["timeout_ms"], called["task_type"], called["own"]) == (50, "ar.refine", 2)
    assert (called["agent"], returned["agent"]) == ("hand", "hand")
    assert inside["agent"] == "hand"
    assert inside["$ai_parent_id"] == called["step_id"] == returned["step_id"] == step.step_id
    assert returned["ok"] is True
    assert json.loads(returned["result_json"]) == ["a", "é"]
    assert returned["result_bytes"] == len('["a","é"]'.encode())
    assert returned["latency_ms"] >= 0
    assert "args_json" not in silent
    assert "result_json" not in end
    assert "result_bytes" not in end


@pytest.mark.parametrize(
    "error",
    [
        *(ValueError("bad"), KeyboardInterrupt(), SystemExit(2), GeneratorExit()),
        *(asyncio.CancelledError(), StopIteration(3), ExceptionGroup("two", [ValueError("x")])),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_exception_ends_the_pair_and_passes_unchanged(
    pane: nightpane.Pane, network: Network, error: BaseException
) -> None:
    with pane.run() as run, run.round(agent="coder") as round_:
        with pytest.raises(type(error)) as caught, round_.tool("breaks"):
            raise error
        assert caught.value is error
        assert error.__context__ is None
        round_.keep()
    called, returned = events(pane, network, "step.")
    assert called["step_id"] == returned["step_id"]
    assert returned["ok"] is False
    assert returned["error"].startswith(type(error).__name__)


def test_what_is_tried_again_counts_its_attempts(pane: nightpane.Pane, network: Network) -> None:
    outcomes = iter([OSError("one"), TimeoutError("two"), None, None])

    @nightpane.tool
    def fetch(url: str) -> str:
        outcome = next(outcomes)
        if outcome is not None:
            raise outcome
        return url

    with pane.run() as run, run.round(agent="coder") as round_:
        for _ in range(2):
            with pytest.raises(OSError):
                fetch("a")
        assert fetch("a") == "a"
        assert fetch("a") == "a"
        round_.keep()
    steps = events(pane, network, "step.")
    calls = [one["step_id"] for one in steps if one["event"] == "step.tool_called"]
    first, second = (one for one in steps if one["event"] == "step.retry")
    assert (first["attempt"], first["cause"], first["prior_error"]) == (
        2,
        "OSError",
        "OSError: one",
    )
    assert (second["attempt"], second["cause"]) == (3, "TimeoutError")
    assert [first["step_id"], second["step_id"]] == calls[1:3]
    assert [first["prior_step_id"], second["prior_step_id"]] == calls[:2]
    assert len(set(calls)) == 4
    assert not [one for one in steps if "$nightpane_invalid" in one]


def test_another_call_is_no_retry(pane: nightpane.Pane, network: Network) -> None:
    def breaks(round_: nightpane.Round, tool: str, args: Any) -> None:
        with pytest.raises(ValueError), round_.tool(tool, args):
            raise ValueError

    with pane.run() as run:
        with run.round(agent="coder") as round_:
            breaks(round_, "a", 1)
            breaks(round_, "a", 2)
            breaks(round_, "b", 1)
            with round_.tool("other"):
                breaks(round_, "a", 1)
            round_.keep()
        with run.round(agent="coder") as round_:
            breaks(round_, "a", 1)
            round_.keep()
    assert by_name(pane, network, "step.retry") == []


def test_steps_nest_and_come_back(pane: nightpane.Pane, network: Network) -> None:
    with pane.run() as run, run.round(agent="coder") as round_:
        with round_.tool("outer") as outer:
            with round_.tool("inner") as inner:
                pane.track("deep")
                round_.applied(target="x")
            pane.track("middle")
        pane.track("shallow")
        round_.keep()
    parents = {
        one["event"]: one.get("$ai_parent_id")
        for one in events(pane, network)
        if not one["event"].startswith("step.")
    }
    assert parents == {
        "round_started": None,
        "deep": inner.step_id,
        "proposal_applied": inner.step_id,
        "middle": outer.step_id,
        "shallow": round_.round_id,
        "round_kept": round_.round_id,
        "stop_triggered": None,
    }
    assert by_name(pane, network, "round_started")[0]["$ai_span_id"] == round_.round_id


def test_pairs_that_overlap_keep_apart(pane: nightpane.Pane, network: Network) -> None:
    barrier = threading.Barrier(4)

    def work(round_: nightpane.Round, at: int) -> None:
        with round_.tool("thread", at) as step:
            barrier.wait(10)
            pane.track("inside", at=at)
            step.returns(at)

    async def task(round_: nightpane.Round, at: int, gate: asyncio.Event) -> None:
        async with round_.tool("task", at) as step:
            if at == 3:
                gate.set()
            await gate.wait()
            pane.track("inside", at=at + 10)
            step.returns(at)

    async def tasks(round_: nightpane.Round) -> None:
        gate = asyncio.Event()
        await asyncio.gather(*(task(round_, at, gate) for at in range(4)))

    with pane.run() as run, run.round(agent="coder") as round_:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda at: work(round_, at), range(4)))
        asyncio.run(tasks(round_))
        round_.keep()
    calls = by_name(pane, network, "step.tool_called")
    args = {one["step_id"]: (one["tool"], one["args_json"]) for one in calls}
    assert len(args) == 8
    for one in by_name(pane, network, "step.tool_returned"):
        assert (one["tool"], one["result_json"]) == args[one["step_id"]]
    for one in by_name(pane, network, "inside"):
        tool, at = args[one["$ai_parent_id"]]
        assert one["at"] == int(at) + (10 if tool == "task" else 0)


class Hostile:
    def __repr__(self) -> str:
        raise RuntimeError("no")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no")

    def __hash__(self) -> int:
        raise RuntimeError("no")


def looped() -> list[Any]:
    ring: list[Any] = []
    ring.append(ring)
    return ring


@pytest.mark.parametrize(
    "value",
    [
        *(Hostile(), looped(), float("nan"), "\ud800", b"\xff\x00", {1: {2}}, object(), 1 << 5000),
        *({"k": Hostile()}, [None] * 50_000, {("a", "b"): lambda: None}, memoryview(b"abc")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_no_value_raises_into_the_loop(make_pane: Make, network: Network, value: Any) -> None:
    pane = make_pane(strict=True)

    @nightpane.tool
    def same(given: Any) -> Any:
        return given

    with pane.run() as run, run.round(agent="coder") as round_:
        assert same(value) is value
        round_.keep()
    called, returned = events(pane, network, "step.")
    assert len(called.get("args_json", "")) <= 2000
    assert returned["ok"] is True


def test_arguments_and_results_are_cut_between_characters(
    pane: nightpane.Pane, network: Network
) -> None:
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f466"
    text = "x" * 1996 + family + "y" * 100_000
    with pane.run() as run, run.round(agent="coder") as round_:
        with round_.tool("long", {"text": text}) as step:
            step.returns(text)
        with round_.tool("blob") as step:
            step.returns(b"\x00" * 3000)
        with pytest.raises(ValueError), round_.tool("breaks"):
            raise ValueError("e" * 1000)
        round_.keep()
    steps = events(pane, network, "step.")
    whole = json.dumps({"text": text}, ensure_ascii=False, separators=(",", ":"))
    cut = steps[0]["args_json"]
    assert whole.startswith(cut)
    assert 1900 < len(cut) <= 2000
    assert not cut.endswith(("\u200d", "\U0001f468"))
    assert steps[0]["args_json_length"] == len(whole)
    assert steps[1]["result_json_length"] == len(text) + 2
    assert steps[1]["result_bytes"] == len(text.encode())
    assert steps[3]["result_bytes"] == 3000
    assert len(steps[5]["error"]) == 400
    assert steps[5]["error_length"] == 1000 + len("ValueError: ")


def test_secrets_of_arguments_are_masked_before_the_cut(
    pane: nightpane.Pane, network: Network
) -> None:
    key = "sk-" + "q" * 40
    with pane.run() as run, run.round(agent="coder") as round_:
        with round_.tool("login", {"password": "hunter2hunter2", "deep": [{"api_key": "k-123"}]}):
            pass
        with round_.tool("http", {"pad": "x" * 1970, "header": key}) as step:
            step.returns("y " * 990 + key)
        with pytest.raises(ValueError), round_.tool("breaks"):
            raise ValueError("z " * 190 + key)
        round_.plan("p" * 480 + " " + key)
        round_.keep()
    text = json.dumps(events(pane, network), ensure_ascii=False)
    for secret in ("hunter2", "k-123", "sk-q"):
        assert secret not in text
    assert "[redacted:" in text


def test_privacy_mode_keeps_arguments_and_results_out(make_pane: Make, network: Network) -> None:
    pane = make_pane(privacy_mode=True)
    with pane.run() as run, run.round(agent="coder") as round_:
        with round_.tool("shell", {"cmd": "mine"}) as step:
            step.returns("mine too")
        round_.keep()
    called, returned = events(pane, network, "step.")
    assert (called["args_json"], returned["result_json"]) == (None, None)
    assert returned["result_bytes"] == 8


def test_a_tool_works_outside_of_a_round(
    make_pane: Make, network: Network, caplog: pytest.LogCaptureFixture
) -> None:
    @nightpane.tool
    def double(x: int) -> int:
        return 2 * x

    assert double(2) == 4
    pane, strict = make_pane(), make_pane(strict=True)
    with pane.run() as run:
        assert double(3) == 6
    with strict.run():
        assert double(4) == 8
    called, returned = events(pane, network, "step.")
    assert called["run_id"] == run.run_id
    assert called["step_id"] == returned["step_id"]
    assert "$ai_parent_id" not in called
    assert "could not be emitted outside of a round" in caplog.text


def test_a_strict_pane_says_what_is_wrong_with_a_step(make_pane: Make) -> None:
    pane = make_pane(strict=True)
    with pane.run() as run, run.round(agent="coder") as round_:
        with pytest.raises(NightpaneError, match="confidence"):
            round_.plan("x", confidence=2.0)
        with pytest.raises(NightpaneError, match="timeout_ms"):
            round_.tool("x", timeout_ms=-1).__enter__()
        with pytest.raises(ZeroDivisionError), round_.tool("x") as step:
            step.tool = 5  # type: ignore[assignment]
            1 / 0  # noqa: B018
        round_.keep()


def test_calls_of_models_say_what_they_are_for(pane: nightpane.Pane, network: Network) -> None:
    with pane.run() as run, run.round(agent="coder") as round_:
        with round_.calls(phase="critique", task_type="ar.critique", span_name="look", agent="c"):
            generation(pane)
            pane.posthog.capture("$ai_embedding", properties={"phase": "mine"})
            pane.posthog.capture("$ai_span")
            pane.track("own")
            with round_.tool("t"), round_.calls(phase="score"):
                generation(pane)
        generation(pane)
        round_.keep()
    first, second, outside = by_name(pane, network, "$ai_generation")
    assert (first["phase"], first["task_type"], first["$ai_span_name"], first["agent"]) == (
        *("critique", "ar.critique", "look", "c"),
    )
    assert first["$ai_parent_id"] == round_.round_id
    assert (second["phase"], second["task_type"]) == ("score", "ar.critique")
    assert "phase" not in outside
    (embedding,) = by_name(pane, network, "$ai_embedding")
    assert (embedding["phase"], embedding["task_type"]) == ("mine", "ar.critique")
    for name in ("$ai_span", "own"):
        (one,) = by_name(pane, network, name)
        assert "phase" not in one
        assert one["agent"] == "c"


MADE = "0192d0c0-0000-7000-8000-000000000001"


@pytest.mark.parametrize(
    ("given", "trace", "parent"),
    [
        ({}, "round", "step"),
        ({"$ai_parent_id": None}, "round", "step"),
        ({"$ai_parent_id": "mine"}, "round", "mine"),
        ({"$ai_trace_id": MADE}, "round", "step"),
        ({"$ai_trace_id": MADE, "$ai_parent_id": MADE}, "round", "step"),
        ({"$ai_trace_id": MADE, "$ai_parent_id": "inner"}, "round", "inner"),
        ({"$ai_trace_id": "trace_" + "a1" * 16}, "round", "step"),
        ({"$ai_trace_id": "mine"}, "mine", None),
        ({"$ai_trace_id": "mine", "$ai_parent_id": "m"}, "mine", "m"),
    ],
    ids=str,
)
def test_outermost_events_of_an_integration_hang_where_the_code_stands(
    pane: nightpane.Pane, network: Network, given: dict[str, Any], trace: str, parent: str | None
) -> None:
    with pane.run() as run, run.round(agent="coder") as round_:
        with round_.tool("t") as step:
            pane.posthog.capture("$ai_span", properties=given)
        round_.keep()
    (one,) = by_name(pane, network, "$ai_span")
    names = {"round": round_.round_id, "step": step.step_id}
    assert one["$ai_trace_id"] == names.get(trace, trace)
    assert one.get("$ai_parent_id") == names.get(str(parent), parent)
    assert is_ulid(step.step_id)


def test_an_event_of_another_round_hangs_under_that_one(
    pane: nightpane.Pane, network: Network
) -> None:
    with pane.run() as run, run.round(agent="coder") as round_:
        with round_.tool("t") as step:
            pane.track("other", round_id=run.run_id)
            pane.track("same", round_id=round_.round_id)
        round_.keep()
    assert by_name(pane, network, "other")[0]["$ai_parent_id"] == run.run_id
    assert by_name(pane, network, "same")[0]["$ai_parent_id"] == step.step_id
