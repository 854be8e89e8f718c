"""Forks: a child has its own segment and threads, and neither loses nor repeats the parent's."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from pathlib import Path

import pytest
from tests.client.support import Recorder, until

import nightpane
from nightpane.client.spool import status

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")


def in_child(work: object) -> int:
    """Fork, run ``work`` in the child, end it without the interpreter's exit; return its code."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        code = 1
        try:
            work()  # type: ignore[operator]
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_child_writes_beside_its_parent(tmp_path: Path) -> None:
    with Recorder() as server:
        pane = nightpane.Pane(
            "autoresearch", api_key="phc_test", host=server.host, spool_dir=tmp_path
        )
        before = [pane.track("before", agent="p", at=at) for at in range(10)]

        def work() -> None:
            assert pane.health().written == 0
            made = [pane.track("child", agent="c", at=at) for at in range(10)]
            assert None not in made
            assert pane._writer.active is not None
            assert pane._writer.active.stem.endswith(f"-{os.getpid()}")

        assert in_child(work) == 0
        after = [pane.track("after", agent="p", at=at) for at in range(10)]
        assert pane.flush(20)
        # The child ended without delivering; the parent's sender takes its segment over.
        until(lambda: len(server.events) >= 30, "delivery of the child's events")
        counts = Counter(event["uuid"] for event in server.events)
        assert set(counts.values()) == {1}
        assert {*before, *after} <= set(counts)
        assert sum(event["event"] == "child" for event in server.events) == 10
        pane.close()
        assert status(tmp_path).pending_events == 0


def test_a_child_delivers_by_itself(tmp_path: Path) -> None:
    with Recorder() as server:
        pane = nightpane.Pane(
            "autoresearch", api_key="phc_test", host=server.host, spool_dir=tmp_path
        )
        pane.track("before", agent="p")
        assert pane.flush(20)

        def work() -> None:
            pane.track("child", agent="c")
            assert pane.flush(20)
            assert pane.close()

        assert in_child(work) == 0
        assert [event["event"] for event in server.events] == ["before", "child"]
        pane.track("after", agent="p")
        assert pane.close()
        assert [event["event"] for event in server.events] == ["before", "child", "after"]


def test_a_child_leaves_the_parents_rounds_to_the_parent(tmp_path: Path) -> None:
    with Recorder() as server:
        pane = nightpane.Pane(
            "autoresearch", api_key="phc_test", host=server.host, spool_dir=tmp_path
        )

        def fails_inside() -> None:
            with pane.run() as run, run.round(agent="a") as round_:
                child = os.fork()
                if child == 0:
                    pane.track("in_child")
                    pane.flush(20)
                    raise RuntimeError("only in the child")
                assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
                round_.keep()

        parent = os.getpid()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                fails_inside()
        except RuntimeError:
            os._exit(7)
        finally:
            if os.getpid() != parent:
                os._exit(8)
        assert pane.flush(20)
        names = [event["event"] for event in server.events]
        assert sorted(names) == ["in_child", "round_kept", "round_started", "stop_triggered"]
        (inside,) = (event for event in server.events if event["event"] == "in_child")
        assert "round_id" in inside["properties"]
        pane.close()


def test_the_parents_lock_outlives_its_child(tmp_path: Path) -> None:
    pane = nightpane.Pane(
        "autoresearch", api_key="phc_test", host="http://127.0.0.1:9", spool_dir=tmp_path
    )
    pane.track("hello", agent="a")
    assert in_child(lambda: None) == 0
    (waiting,) = status(tmp_path).waiting
    assert waiting.is_held
    pane.close(timeout_s=0)
    (waiting,) = status(tmp_path).waiting
    assert not waiting.is_held
