"""A dry run, and the ways to end a loop: by flag, by a second Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.loops.looping import loop
from tests.loops.test_engine import HERE, folder, git, journal_of, pane

from nightpane import Pane
from nightpane.loops import Brief, CommandScorer, FunctionProposer, Limits
from nightpane.testing import LocalServer

__all__ = ["folder", "pane"]


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_dry_run_tells_what_would_happen_and_changes_nothing(
    folder: Path, pane: Pane, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = folder / "repository"
    (root / "data.txt").write_text("untracked\n", "utf-8")

    def propose(brief: Brief, place: Path) -> str:
        assert place != root
        assert (place / "data.txt").exists()
        assert (brief.best_score, brief.rounds_left, brief.protected) == (-1, 4, ("keep.txt",))
        (place / "value.py").write_text("N = 3\n", "utf-8")
        return "set N to 3"

    one = replace(
        loop(folder, 4, pane), proposers=[FunctionProposer(name="stepper", function=propose)]
    )
    before = everything(folder)
    found = one.rehearse()
    assert everything(folder) == before
    assert not (folder / "journal").exists()
    assert found.ok
    assert (found.baseline.score, found.keep, found.files) == (-1, True, ("value.py",))
    assert found.proposal is not None
    assert (found.proposal.score, found.proposal.measured) == (3, False)
    assert "stepper would change value.py (2 lines): set N to 3" in found.text
    assert "only reported: the command names no protected file" in found.text
    assert git(root, "branch", "--list").split() == ["*", "main"]


def test_a_dry_run_tells_what_would_not_work(folder: Path, pane: Pane) -> None:
    def propose(_brief: Brief, place: Path) -> str:
        (place / "keep.txt").write_text("mine\n", "utf-8")
        return "cheat"

    found = replace(
        loop(folder, 4, pane),
        proposers=[FunctionProposer(name="cheat", function=propose)],
        scorer=CommandScorer(command="false", metric="score", timeout_s=9),
    ).rehearse()
    assert not found.ok
    assert "baseline: no score: exit code 1" in found.text
    assert "it would be no round: the proposal touches keep.txt" in found.text


def test_a_flag_that_is_on_ends_it(folder: Path, server: LocalServer) -> None:
    given = {"host": server.host, "api_key": server.api_key, "spool_dir": folder / "spool"}
    with Pane(project="climb", **given) as pane:
        one = replace(loop(folder, 3, pane), kill_flag="stop-the-loops")
        assert one.run().reason == "max_rounds"
        make_flag(server, "stop-the-loops")
    with Pane(project="climb", **given) as pane:
        done = replace(loop(folder, 3, pane), kill_flag="stop-the-loops").run()
    assert (done.reason, done.progress.rounds) == ("kill_switch", 0)


def test_flags_that_cannot_be_asked_end_nothing(folder: Path) -> None:
    given = {"host": "http://127.0.0.1:9", "api_key": "phc_x", "spool_dir": folder / "spool"}
    with Pane(project="climb", exit_s=0.1, **given) as pane:
        done = replace(loop(folder, 3, pane), kill_flag="stop-the-loops").run()
    assert (done.reason, done.progress.rounds) == ("max_rounds", 3)


def make_flag(server: LocalServer, key: str) -> None:
    groups = [{"properties": [], "rollout_percentage": 100}]
    body = {"key": key, "name": key, "active": True, "filters": {"groups": groups}}
    path = f"/api/projects/{server.project_id}/feature_flags/"
    server.query().request("POST", path, body)


WAITING = """
import sys
from pathlib import Path
from dataclasses import replace
from nightpane import Pane
from nightpane.loops import CommandScorer
from tests.loops.looping import loop
folder = Path(sys.argv[1])
with Pane(project="climb", spool_dir=folder / "spool") as pane:
    scorer = CommandScorer(command="touch ../runs; exec sleep 600", metric="score", timeout_s=900)
    print(replace(loop(folder, 9, pane), scorer=scorer).run().reason)
"""


def test_a_second_interrupt_ends_the_command_too(folder: Path) -> None:
    command = [sys.executable, "-c", WAITING, str(folder)]
    running = subprocess.Popen(command, cwd=HERE, stdout=subprocess.PIPE, text=True)
    wait_for((folder / "runs").exists)
    running.send_signal(signal.SIGINT)
    time.sleep(0.1)
    assert running.poll() is None
    running.send_signal(signal.SIGINT)
    output, _ = running.communicate(timeout=30)
    assert (running.returncode, output) == (0, "interrupted\n")
    decided = next(one for one in journal_of(folder) if one["kind"] == "decided")
    assert decided["failure_mode"] == "interrupted"


def test_what_a_killed_loop_left_running_is_ended(folder: Path, pane: Pane) -> None:
    psutil = pytest.importorskip("psutil")
    command = [sys.executable, "-c", WAITING, str(folder)]
    running = subprocess.Popen(command, cwd=HERE)
    wait_for((folder / "runs").exists)
    (child,) = psutil.Process(running.pid).children()
    running.kill()
    running.wait()
    assert child.is_running()
    limits = Limits(max_rounds=1)
    done = replace(loop(folder, 9, pane), limits=limits).run()
    wait_for(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
    assert (done.reason, done.progress.failures) == ("max_rounds", 0)


def wait_for(what: Any) -> None:
    deadline = time.monotonic() + 30
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_somebody_wrote_into_the_journal_ends_the_loop(folder: Path, pane: Pane) -> None:
    from nightpane.errors import LoopError

    def forge(_brief: Brief, root: Path) -> str:
        with (folder / "journal" / "journal.jsonl").open("a", encoding="utf-8") as file:
            file.write('{"kind": "decided", "kept": true}\n')
        (root / "value.py").write_text("N = 9\n", "utf-8")
        return "forged"

    forging = [FunctionProposer(name="forger", function=forge)]
    with pytest.raises(LoopError, match=r"journal.* was changed by somebody else"):
        replace(loop(folder, 3, pane), proposers=forging).run()
    assert (folder / "journal" / "journal.jsonl").exists()
