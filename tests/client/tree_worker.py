"""One process of a round, on a machine of its own: run by test_tree.py.

``planner`` begins the round, works as two agents and starts ``judge`` on the other machine. Every
event that was returned from is noted in a file first; after ``DIE_AFTER`` of them it kills itself.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, tzinfo
from typing import Any

SKEW_S = float(os.environ["SKEW_S"])
DIE_AFTER = int(os.environ.get("DIE_AFTER", "0"))
_time, _time_ns = time.time, time.time_ns
time.time = lambda: _time() + SKEW_S
time.time_ns = lambda: _time_ns() + int(SKEW_S * 1e9)
socket.gethostname = lambda: os.environ["MACHINE"]

import nightpane  # noqa: E402 (this machine's clock goes wrong first)
import nightpane.client.pane as pane_module  # noqa: E402


class Skewed(datetime):
    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Skewed:
        return cls.fromtimestamp(time.time(), tz)


pane_module.datetime = Skewed  # type: ignore[misc]
returned = os.open(os.environ["RETURNED"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
count = 0


def note(event_uuid: Any) -> None:
    global count
    os.write(returned, f"{event_uuid}\n".encode())
    count += 1
    if count == DIE_AFTER:
        os.kill(os.getpid(), signal.SIGKILL)


def noting(function: Any) -> Any:
    def call(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        note(result)
        return result

    return call


nightpane.Pane._track = noting(nightpane.Pane._track)  # type: ignore[method-assign]
pane = nightpane.Pane("autoresearch", "acme", strict=True)


def generation() -> None:
    """As PostHog's wrappers do it: a trace id of chance, no parent."""
    trace, event = str(uuid.uuid4()), str(uuid.uuid4())
    about = {"$ai_trace_id": trace, "$ai_model": "m-1", "$process_person_profile": False}
    pane.posthog.capture("$ai_generation", distinct_id=trace, properties=about, uuid=event)
    note(event)


@nightpane.tool
def read(path: str) -> str:
    generation()
    return path * 10


@nightpane.tool
async def fetch(page: int) -> bytes:
    await asyncio.sleep(0)
    generation()
    return b"x" * page


@nightpane.tool
def stream(n: int) -> Iterator[str]:
    for i in range(n):
        generation()
        yield str(i)


@nightpane.tool
async def watch(n: int) -> AsyncIterator[int]:
    for i in range(n):
        generation()
        yield i


@nightpane.tool(agent="coder")
def flaky(attempts: list[int]) -> None:
    generation()
    raise TimeoutError("not yet")


async def at_once() -> None:
    async def watched() -> None:
        async for _ in watch(2):
            await asyncio.sleep(0)

    await asyncio.gather(*(fetch(page) for page in range(4)), watched())


def planner() -> None:
    with pane.run(agent="planner", metric="accuracy") as run, run.round(model="m-1") as round_:
        print(run.run_id, round_.round_id, flush=True)
        with round_.plan() as plan, round_.calls(phase="proposal", task_type="ar.propose"):
            for _ in range(11):
                generation()
            plan.says(plan="try a smaller step", confidence=0.5)
        round_.generated(prompt_tokens=10)
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(round_.bind(read), "abcde"))
        asyncio.run(at_once())
        assert list(stream(3)) == ["0", "1", "2"]
        for _ in range(3):
            try:
                flaky([1])
            except TimeoutError:
                generation()
        round_.observe("loss", 0.5)
        round_.observe("loss", 0.25)
        round_.reflect("go on", retry=False)
        round_.applied(target="train.py")
        with round_.tool("evaluate", {"on": "beta"}, agent="coder") as step:
            other = os.environ | round_.environ() | {"MACHINE": "beta", "SKEW_S": "3.5"}
            for name in ("STATE_DIR", "SPOOL_DIR"):
                other[f"NIGHTPANE_{name}"] = os.environ[f"BETA_{name}"]
            other["RETURNED"], other["DIE_AFTER"] = os.environ["BETA_RETURNED"], "0"
            other["DIE_AFTER"] = os.environ.get("BETA_DIE_AFTER", "0")
            code = subprocess.run([sys.executable, __file__, "judge"], env=other).returncode
            step.returns(code)
        if code == 0:
            round_.keep(new_best=0.75)
        else:
            round_.revert("crash", reason=f"the judge ended with {code}")


def judge() -> None:
    with pane.join(agent="judge") as round_:
        for i in range(20):
            with round_.tool("probe", {"i": i}) as step:
                with round_.tool("inner", i) if i == 0 else round_.calls(phase="score"):
                    generation()
                step.returns(i)
        with round_.suite("nine", n_cases=9, scorer_version="1") as suite:
            for i in range(9):
                with suite.case(f"case {i}", dim=f"d{i % 3}") as case:
                    generation()
                    case.judged(0.5 + i / 32, rationale="so", passed=True)
        round_.scored(0.75)


{"planner": planner, "judge": judge}[sys.argv[1]]()
pane.close()
