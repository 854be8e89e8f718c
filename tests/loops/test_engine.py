"""The engine on a real repository: whole runs, and runs killed at every point."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.loops.looping import loop, propose

from nightpane import Pane
from nightpane.errors import LoopError
from nightpane.loops import Brief, FunctionProposer, Limits, Loop, NoiseAware, Proposal
from nightpane.testing import LocalServer

HERE = Path(__file__).parent.parent.parent


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    root.mkdir()
    git(root, "init", "--quiet", "--initial-branch", "main")
    for name, value in (("user.name", "Test"), ("user.email", "test@example.org")):
        git(root, "config", name, value)
    (root / "value.py").write_text("N = -1\n", "utf-8")
    (root / "keep.txt").write_text("protected\n", "utf-8")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", "start")
    return tmp_path


def rows(folder: Path) -> list[list[str]]:
    lines = (folder / "results.tsv").read_text("utf-8").splitlines()
    assert lines[0] == "commit\tscore\tstatus\tdescription"
    return [line.split("\t") for line in lines[1:]]


def expected(rounds: int) -> list[tuple[str, str]]:
    """Score and status of each round, by the rule of the scorer alone."""
    found, best = [("-1.000000", "keep")], -1
    for number in range(1, rounds):
        if number % 5 == 0:
            found.append(("", "crash"))
            continue
        score = number if number % 2 else -number
        found.append((f"{score:.6f}", "keep" if score > best else "discard"))
        best = max(best, score)
    return found


def test_a_run_keeps_what_is_better_and_takes_the_rest_back(folder: Path) -> None:
    with Pane(project="climb", spool_dir=folder / "spool") as pane:
        done = loop(folder, 8, pane).run()
    assert done.reason == "max_rounds"
    assert (done.progress.rounds, done.best_score) == (8, 7)
    assert [(row[1], row[2]) for row in rows(folder)] == expected(8)
    repository = folder / "repository"
    assert (repository / "value.py").read_text("utf-8") == "N = 7\n"
    assert git(repository, "rev-parse", "HEAD") == done.best_commit
    assert git(repository, "log", "--format=%s").splitlines() == [
        "set N to 7", "set N to 3", "set N to 1", "start",
    ]  # fmt: skip
    assert git(repository, "status", "--porcelain", "--untracked-files=no") == ""


def test_killed_at_every_point_nothing_is_lost_or_repeated(
    folder: Path, server: LocalServer
) -> None:
    environ = {
        **os.environ,
        "POSTHOG_HOST": server.host,
        "POSTHOG_API_KEY": server.api_key,
        "NIGHTPANE_SPOOL_DIR": str(folder / "spool"),
        "NIGHTPANE_STATE_DIR": str(folder / "state"),
    }
    rounds, kills, draw = 7, 0, random.Random(5)
    while True:
        command = [sys.executable, "-m", "tests.loops.looping", str(folder), str(rounds)]
        at_random = f"{draw.uniform(0.0, 0.5):.3f}s"
        command += [str(draw.randrange(2, 10)) if kills % 2 else at_random]
        done = subprocess.run(command, cwd=HERE, env=environ, capture_output=True, text=True)
        assert done.returncode in (0, -9), done.stderr
        if (journal := journal_of(folder)) and journal[-1]["kind"] == "ended":
            break
        kills += 1
        assert kills < 60
    assert kills >= 4
    subprocess.run([sys.executable, "-m", "nightpane", "spool", "flush"], env=environ, check=True)
    journal = journal_of(folder)
    decided = [entry for entry in journal if entry["kind"] == "decided"]
    assert [entry["number"] for entry in decided] == list(range(rounds))
    ledger = rows(folder)
    assert len(ledger) == rounds
    for entry, row in zip(decided, ledger, strict=True):
        status = "keep" if entry["kept"] else "discard" if entry["score"] is not None else "crash"
        assert row[2] == status
        assert row[1] == ("" if entry["score"] is None else f"{entry['score']:.6f}")
    kept = [entry["commit"] for entry in decided if entry["kept"] and entry["commit"]]
    commits = git(folder / "repository", "log", "--format=%H").splitlines()
    assert commits[:-1][::-1] == kept
    counts = told(server, journal[0]["run_id"])
    assert counts["round_started"] == counts["ended"] == rounds
    assert counts.get("round_kept", 0) == sum(entry["kept"] for entry in decided)
    assert counts["stop_triggered"] == 1


def journal_of(folder: Path) -> list[dict[str, Any]]:
    path = folder / "journal" / "journal.jsonl"
    lines = path.read_text("utf-8").splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def changed(folder: Path, pane: Pane, **changes: Any) -> Loop:
    return replace(loop(folder, 6, pane), **changes)


@pytest.fixture
def pane(folder: Path) -> Iterator[Pane]:
    with Pane(project="climb", spool_dir=folder / "spool") as pane:
        yield pane


def test_a_stalled_proposer_hands_over_to_the_next(folder: Path, pane: Pane) -> None:
    def idle(brief: Brief, root: Path) -> Proposal:
        (root / "value.py").write_text(f"N = {-11 - 10 * brief.rounds}\n", "utf-8")
        return Proposal(summary="worse", cost_usd=0.01)

    def strong(brief: Brief, root: Path) -> Proposal:
        return Proposal(summary=propose(brief, root), cost_usd=0.5)

    ladder = [
        FunctionProposer(name="small", function=idle),
        FunctionProposer(name="big", function=strong),
    ]
    done = changed(folder, pane, proposers=ladder, escalate_after=2).run()
    assert done.progress.kept == 2
    told_of = [e for e in journal_of(folder) if e["kind"] in ("escalated", "round")]
    assert [e.get("to_model") or e["model"] for e in told_of] == [
        "baseline", "small", "small", "big", "big", "small", "small", "small",
    ]  # fmt: skip
    up, down = (entry for entry in told_of if entry["kind"] == "escalated")
    assert (up["from_model"], up["stall_rounds"], up["helped"]) == ("small", 2, False)
    assert (down["from_model"], down["stall_rounds"], down["helped"]) == ("big", 0, True)
    assert [one["tier_rounds"] for one in (up, down)] == [2, 1]
    assert [one["tier_cost_usd"] for one in (up, down)] == pytest.approx([0.02, 0.5])


def test_what_a_proposal_may_not_do_is_no_round(folder: Path, pane: Pane) -> None:
    def cheat(brief: Brief, root: Path) -> str:
        if brief.rounds == 1:
            (root / "keep.txt").write_text("mine\n", "utf-8")
        elif brief.rounds == 2:
            (root / "other.py").write_text("x\n", "utf-8")
        else:
            raise ValueError("no idea")
        return "cheat"

    (folder / "repository" / "mine.txt").write_text("untracked\n", "utf-8")
    cheating = [FunctionProposer(name="cheat", function=cheat)]
    done = changed(folder, pane, proposers=cheating, limits=Limits(max_rounds=9, failures=3)).run()
    assert (done.reason, done.progress.kept) == ("failures", 1)
    reasons = [e["reason"] for e in journal_of(folder) if e["kind"] == "decided"][1:]
    assert "touches keep.txt" in reasons[0]
    assert "touches other.py" in reasons[1]
    assert "no idea" in reasons[2]
    root = folder / "repository"
    assert (root / "keep.txt").read_text("utf-8") == "protected\n"
    assert not (root / "other.py").exists()
    assert (root / "mine.txt").exists()


def test_a_noisy_gain_is_measured_again(folder: Path, pane: Pane) -> None:
    done = changed(folder, pane, rule=NoiseAware(repeats=2, rounds=6)).run()
    decided = [e for e in journal_of(folder) if e["kind"] == "decided"]
    assert [len(e["scores"]) for e in decided] == [3, 3, 1, 3, 1, 0]
    assert done.best_score == 3
    assert decided[1]["evidence"]["n"] == 2


def test_a_file_or_a_signal_ends_it_in_order(folder: Path, pane: Pane) -> None:
    (folder / "stop").touch()
    limits = Limits(max_rounds=5, kill_file=folder / "stop")
    assert changed(folder, pane, limits=limits).run().reason == "kill_switch"
    command = [sys.executable, "-m", "tests.loops.looping", str(folder), "10000"]
    environ = {**os.environ, "NIGHTPANE_SPOOL_DIR": str(folder / "spool")}
    running = subprocess.Popen(command, cwd=HERE, env=environ)
    deadline = time.monotonic() + 60
    while sum(e["kind"] == "settled" for e in journal_of(folder)) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    running.terminate()
    assert running.wait(60) == 0
    assert [e["kind"] for e in journal_of(folder)][-2:] == ["stopped", "ended"]
    assert journal_of(folder)[-2]["reason"] == "interrupted"


def test_what_somebody_else_changed_is_not_taken_back(folder: Path, pane: Pane) -> None:
    command = [sys.executable, "-m", "tests.loops.looping", str(folder), "5", "6"]
    assert subprocess.run(command, cwd=HERE).returncode == -9
    (folder / "repository" / "keep.txt").write_text("by hand\n", "utf-8")
    with pytest.raises(LoopError, match=r"keep\.txt in .* changed since the loop was ended"):
        loop(folder, 5, pane).run()


def told(server: LocalServer, run_id: str) -> dict[str, Any]:
    answer = server.query().hogql(
        "select event, count(), uniq(properties.round_id) from events "
        "where properties.run_id = {run} group by event",
        {"run": run_id},
    )
    counts = {event: count for event, count, _ in answer.rows}
    for event, count, distinct in answer.rows:
        assert count == distinct or event == "stop_triggered", event
    counts["ended"] = counts.get("round_kept", 0) + counts.get("round_reverted", 0)
    return counts
