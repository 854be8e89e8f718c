"""``@tool``: every kind of function stays what it is, and its calls are steps."""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from collections.abc import AsyncIterator, Generator, Iterator
from typing import Any

import pytest
from tests.client.support import Network
from tests.client.test_steps import by_name, events

import nightpane


def returned(pane: nightpane.Pane, network: Network) -> list[tuple[str, bool, Any]]:
    found = by_name(pane, network, "step.tool_returned")
    assert len({one["step_id"] for one in found}) == len(found)
    calls = by_name(pane, network, "step.tool_called")
    assert sorted(one["step_id"] for one in calls) == sorted(one["step_id"] for one in found)
    return [(one["tool"], one["ok"], one.get("result_bytes")) for one in found]


def test_arguments_are_named(pane: nightpane.Pane, network: Network) -> None:
    class Box:
        @nightpane.tool
        def put(self, what: str, *more: str, where: str = "here") -> int:
            return 1

        @nightpane.tool
        @classmethod
        def make(cls, what: str) -> type[Box]:
            return cls

        @nightpane.tool
        @staticmethod
        def free(x: int) -> int:
            return x

    bare = nightpane.tool(functools.partial(max, 3))
    with pane.run() as run, run.round(agent="coder") as round_:
        assert Box().put("a", "b", "c", where="there") == 1
        assert Box.make("x") is Box
        assert Box.free(5) == 5
        assert bare(7) == 7
        assert nightpane.tool("size", task_type="ar.score")(len)("abc") == 3
        round_.keep()
    calls = by_name(pane, network, "step.tool_called")
    assert [(one["tool"], one["args_json"]) for one in calls] == [
        ("put", '{"what":"a","more":["b","c"],"where":"there"}'),
        ("make", '{"what":"x"}'),
        ("free", '{"x":5}'),
        ("partial", '{"args":[7]}'),
        ("size", '{"obj":"abc"}'),
    ]
    assert calls[-1]["task_type"] == "ar.score"


def test_a_function_stays_of_its_kind() -> None:
    async def coroutine() -> None:
        """Say."""

    def generator() -> Iterator[int]:
        yield 1

    async def both() -> AsyncIterator[int]:
        yield 1

    assert inspect.iscoroutinefunction(nightpane.tool(coroutine))
    assert inspect.isgeneratorfunction(nightpane.tool(generator))
    assert inspect.isasyncgenfunction(nightpane.tool(both))
    assert nightpane.tool(coroutine).__doc__ == "Say."
    assert inspect.signature(nightpane.tool(both)) == inspect.signature(both)


def test_a_coroutine_that_is_cancelled_has_returned(pane: nightpane.Pane, network: Network) -> None:
    @nightpane.tool
    async def slow() -> None:
        await asyncio.Event().wait()

    @nightpane.tool
    async def quick(x: int) -> int:
        pane.track("inside", x=x)
        return x

    async def night() -> None:
        async with pane.run() as run, run.round(agent="coder") as round_:
            assert await asyncio.gather(*(quick(x) for x in range(3))) == [0, 1, 2]
            task = asyncio.create_task(slow())
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(slow(), 0.001)
            round_.keep()

    asyncio.run(night())
    assert [ok for _, ok, _ in returned(pane, network)] == [True] * 3 + [False] * 2
    last = by_name(pane, network, "step.tool_returned")[-1]
    assert last["error"] == "CancelledError"
    steps = {one["args_json"]: one["step_id"] for one in by_name(pane, network, "step.tool_called")}
    for one in by_name(pane, network, "inside"):
        assert one["$ai_parent_id"] == steps[f'{{"x":{one["x"]}}}']


def test_a_generators_body_is_in_its_step_and_its_caller_is_not(
    pane: nightpane.Pane, network: Network
) -> None:
    @nightpane.tool
    def numbers(n: int) -> Iterator[str]:
        for i in range(n):
            pane.track("body", i=i)
            yield "é" * i
        with round_.tool("inner"):
            yield "in"
            pane.track("body_inner")
        pane.track("body_end")

    with pane.run() as run, run.round(agent="coder") as round_:
        items = numbers(3)
        pane.track("before")
        for item in items:
            pane.track("caller", item=item)
        assert list(numbers(0)) == ["in"]
        numbers(9)
        round_.keep()
    outer = next(
        one["step_id"]
        for one in by_name(pane, network, "step.tool_called")
        if one["args_json"] == '{"n":3}'
    )
    assert {one["$ai_parent_id"] for one in by_name(pane, network, "body")} == {outer}
    assert by_name(pane, network, "body_end")[0]["$ai_parent_id"] == outer
    inner = by_name(pane, network, "body_inner")[0]["$ai_parent_id"]
    assert inner not in (outer, round_.round_id)
    for name in ("before", "caller", "round_kept"):
        assert {one["$ai_parent_id"] for one in by_name(pane, network, name)} == {round_.round_id}
    assert ("numbers", True, len("éééin".encode())) in returned(pane, network)
    order = [one["event"] for one in events(pane, network)]
    assert order.index("before") < order.index("step.tool_called")


def test_a_generator_takes_what_is_sent_and_thrown(pane: nightpane.Pane, network: Network) -> None:
    @nightpane.tool
    def echo() -> Generator[Any, Any, str]:
        heard: Any = None
        while heard != "stop":
            try:
                heard = yield heard
            except LookupError as error:
                heard = error
        return "done"

    def whole() -> Generator[Any, Any, None]:
        assert (yield from echo()) == "done"

    wrong = KeyError("x")
    with pane.run() as run, run.round(agent="coder") as round_:
        running = whole()
        assert next(running) is None
        assert running.send(1) == 1
        assert running.throw(wrong) is wrong
        with pytest.raises(StopIteration):
            running.send("stop")
        unhandled = echo()
        next(unhandled)
        with pytest.raises(OSError) as caught:
            unhandled.throw(problem := OSError("unhandled"))
        assert caught.value is problem
        closed = echo()
        next(closed)
        closed.close()
        dropped = echo()
        next(dropped)
        del dropped
        round_.keep()
    assert [ok for _, ok, _ in returned(pane, network)] == [True, False, True, True]
    assert by_name(pane, network, "step.tool_returned")[0]["result_json"] == '"done"'


def test_a_generator_may_go_on_in_another_thread(pane: nightpane.Pane, network: Network) -> None:
    @nightpane.tool
    def two() -> Iterator[int]:
        pane.track("body")
        yield 1
        pane.track("body")
        yield 2

    with pane.run() as run, run.round(agent="coder") as round_:
        items = two()
        assert next(items) == 1
        thread = threading.Thread(target=lambda: list(items))
        thread.start()
        thread.join()
        pane.track("after")
        round_.keep()
    (step,) = {one["step_id"] for one in events(pane, network, "step.")}
    assert [one["$ai_parent_id"] for one in by_name(pane, network, "body")] == [step, step]
    assert by_name(pane, network, "after")[0]["$ai_parent_id"] == round_.round_id


def test_an_asynchronous_generator(pane: nightpane.Pane, network: Network) -> None:
    closed = []

    @nightpane.tool
    async def ticks(n: int) -> AsyncIterator[int]:
        try:
            for i in range(n):
                await asyncio.sleep(0)
                pane.track("body", n=n)
                yield i
            if n == 1:
                raise LookupError("n")
        finally:
            await asyncio.sleep(0)
            closed.append(n)

    async def whole(n: int) -> list[int]:
        found = []
        async for item in ticks(n):
            pane.track("caller")
            found.append(item)
        return found

    async def night() -> None:
        async with pane.run() as run, run.round(agent="coder") as round_:
            assert await asyncio.gather(whole(2), whole(3)) == [[0, 1], [0, 1, 2]]
            with pytest.raises(LookupError):
                await whole(1)
            early = ticks(4)
            assert await anext(early) == 0  # type: ignore[call-overload]
            await early.aclose()  # type: ignore[attr-defined]
            round_.keep()

    asyncio.run(night())
    assert sorted(closed) == [1, 2, 3, 4]
    assert sorted(ok for _, ok, _ in returned(pane, network)) == [False, True, True, True]
    (started,) = by_name(pane, network, "round_started")
    assert {one["$ai_parent_id"] for one in by_name(pane, network, "caller")} == {
        started["round_id"]
    }
    calls = {one["args_json"]: one["step_id"] for one in by_name(pane, network, "step.tool_called")}
    for one in by_name(pane, network, "body"):
        assert one["$ai_parent_id"] == calls[f'{{"n":{one["n"]}}}']


def test_outside_of_a_run_a_tool_is_just_called() -> None:
    @nightpane.tool
    def items(n: int) -> Iterator[int]:
        yield from range(n)

    @nightpane.tool
    async def many(n: int) -> AsyncIterator[int]:
        for i in range(n):
            yield i

    @nightpane.tool
    async def one(n: int) -> int:
        return n

    async def all_of() -> list[int]:
        return [await one(7), *[i async for i in many(2)]]

    assert list(items(3)) == [0, 1, 2]
    assert asyncio.run(all_of()) == [7, 0, 1]


def test_a_thread_works_in_the_step_it_is_bound_to(pane: nightpane.Pane, network: Network) -> None:
    @nightpane.tool
    def probe(x: int) -> int:
        return x

    with pane.run() as run, run.round(agent="coder") as round_:
        with round_.tool("outer") as step:
            thread = threading.Thread(target=step.bind(probe), args=(1,))
            thread.start()
            thread.join()
        round_.keep()
    called = by_name(pane, network, "step.tool_called")[1]
    assert (called["tool"], called["$ai_parent_id"]) == ("probe", step.step_id)
