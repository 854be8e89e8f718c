"""What a proposal may try so as to write its own score, and what the loop makes of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.loops.test_engine import git

from nightpane import Pane
from nightpane.loops import Brief, CommandScorer, FunctionProposer, Limits, Loop, Workspace

# Runs the candidate in a process of its own, and scores what it says.
SCORE = """
import subprocess, sys
done = subprocess.run([sys.executable, "value.py"], stdout=subprocess.PIPE, text=True)
print("score:", len(done.stdout.split()))
"""
HONEST = "print('a b')\n"
Attack = Callable[[Path], Any]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    root.mkdir()
    git(root, "init", "--quiet", "--initial-branch", "main")
    for name, value in (("user.name", "Test"), ("user.email", "test@example.org")):
        git(root, "config", name, value)
    (root / "value.py").write_text("print('a')\n", "utf-8")
    (root / "score.py").write_text(SCORE, "utf-8")
    (root / "helper.py").write_text("x = 1\n", "utf-8")
    (root / ".gitignore").write_text("cache/\n*.so\n", "utf-8")
    (tmp_path / "outside.txt").write_text("outside\n", "utf-8")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", "start")
    return root


@pytest.fixture
def pane(tmp_path: Path) -> Iterator[Pane]:
    with Pane(project="attacked", spool_dir=tmp_path / "spool") as pane:
        yield pane


def attacked(
    root: Path, pane: Pane, attacks: list[Attack], *, command: str = "python score.py"
) -> list[dict[str, Any]]:
    """Run a loop whose proposals are attacks; return what was decided on each."""

    def propose(brief: Brief, place: Path) -> str:
        attacks[brief.rounds - 1](place)
        return "attack"

    folder = root.parent / "journal"
    loop = Loop(
        workspace=Workspace(
            root, editable=["value.py", "value/*"], protected=["score.py"], own=["results.tsv"]
        ),
        proposers=[FunctionProposer(name="attacker", function=propose)],
        scorer=CommandScorer(
            command=command.replace("python", sys.executable), metric="score", timeout_s=60
        ),
        metric="score",
        direction="max",
        limits=Limits(max_rounds=len(attacks) + 1, failures=None),
        pane=pane,
        folder=folder,
        results=root / "results.tsv",
    )
    outcome = loop.run()
    lines = (folder / "journal.jsonl").read_text("utf-8").splitlines()
    entries = [json.loads(line) for line in lines]
    decided = [entry for entry in entries if entry["kind"] == "decided"]
    reported = {one["number"]: one["reported"] for one in entries if one["kind"] == "scored"}
    assert (decided[0]["measured"] is True) == (command == "python score.py")
    assert outcome.measured is decided[-1]["measured"] or len(attacks) > 1
    return [{**one, "reported": reported.get(one["number"])} for one in decided[1:]]


def write(name: str, text: str) -> Attack:
    return lambda root: (root / name).write_text(text, "utf-8")


def commit_it(root: Path) -> None:
    (root / "score.py").write_text("print('score: 99')\n", "utf-8")
    git(root, "commit", "--quiet", "--all", "--message", "mine")


def hide_it(root: Path) -> None:
    (root / "helper.py").write_text("x = 2\n", "utf-8")
    git(root, "update-index", "--assume-unchanged", "helper.py")


def exclude_it(root: Path) -> None:
    (root / ".git" / "info" / "exclude").write_text("sitecustomize.py\n", "utf-8")
    (root / "sitecustomize.py").write_text("print('score: 99')\n", "utf-8")


def hook(root: Path) -> None:
    path = root / ".git" / "hooks" / "pre-commit"
    path.write_text("#!/bin/sh\ntouch cracked\n", "utf-8")
    path.chmod(0o755)


def link(name: str, target: str) -> Attack:
    def make(root: Path) -> None:
        (root / name).unlink(missing_ok=True)
        (root / name).symlink_to(target)

    return make


def through_a_link(root: Path) -> None:
    link("value.py", str(root / "score.py"))(root)
    (root / "value.py").write_text("print('score: 99')\n", "utf-8")


def other_branch(root: Path) -> None:
    git(root, "checkout", "--quiet", "-b", "mine")
    git(root, "rm", "--quiet", "score.py")
    git(root, "commit", "--quiet", "--message", "gone")


def repository_below(root: Path) -> None:
    (root / "value").mkdir()
    subprocess.run(["git", "init", "--quiet", root / "value"], check=True)
    (root / "value" / "x.py").write_text("x\n", "utf-8")


def test_what_touches_more_than_it_may_is_no_round(root: Path, pane: Pane) -> None:
    before = (root / ".git" / "config").read_bytes()
    attacks: list[tuple[Attack, str]] = [
        (write("score.py", "print('score: 99')\n"), "touches score.py"),
        (commit_it, "touches score.py"),
        (other_branch, "touches score.py"),
        (hide_it, "touches helper.py"),
        (write("results.tsv", "commit\tscore\nmine\t99\n"), "results.tsv changed"),
        (write("sitecustomize.py", "print('score: 99')\n"), "touches sitecustomize.py"),
        (write("conftest.py", "x\n"), "touches conftest.py"),
        (write(".gitattributes", "* filter=mine\n"), "touches .gitattributes"),
        (write(".gitignore", "sitecustomize.py\n"), "touches .gitignore"),
        (write(".git/config", "[core]\n\tfsmonitor = /bin/true\n"), ".git/config changed"),
        (exclude_it, ".git/info/exclude changed"),
        (hook, ".git/hooks/pre-commit changed"),
        (link("value.py", "score.py"), "makes value.py a link"),
        (link("value.py", "../outside.txt"), "makes value.py a link"),
        (link("value", ".."), "touches value"),
        (link("score.py", "value.py"), "touches score.py"),
        (through_a_link, "touches score.py"),
        (repository_below, "touches value/"),
        (lambda _root: None, "changed nothing"),
        (write("value.py", HONEST), ""),
    ]
    found = attacked(root, pane, [attack for attack, _ in attacks])
    for one, (_, says) in zip(found, attacks, strict=True):
        assert says in one["reason"]
        assert one["failure_mode"] == ("invalid" if says else None)
    assert found[-1]["score"] == 2
    assert found[-1]["measured"] is True
    assert (root / "score.py").read_text("utf-8") == SCORE
    assert (root / ".git" / "config").read_bytes() == before
    assert not (root / ".git" / "hooks" / "pre-commit").exists()
    assert not (root / "cracked").exists()
    assert (root.parent / "outside.txt").read_text("utf-8") == "outside\n"
    assert len((root / "results.tsv").read_text("utf-8").splitlines()) == len(attacks) + 2
    assert git(root, "status", "--porcelain").splitlines() == ["?? results.tsv"]
    assert git(root, "log", "--format=%s").splitlines() == ["attack", "start"]


# Each is the candidate's own code, which runs while it is scored.
DURING = [
    ("open('score.py', 'w').write('x')", "score.py changed while the loop ran", None),
    ("open('results.tsv', 'w').write('x')", "results.tsv changed", None),
    ("open('.git/hooks/post-checkout', 'w').write('x')", "hooks/post-checkout changed", None),
    ("open('helper.py', 'w').write('x = 3')", "", "helper.py was changed while it was scored"),
    ("open('sitecustomize.py', 'w').write('')", "", "sitecustomize.py is new"),
    (
        "import os; open(f'/proc/{os.getppid()}/fd/1', 'w').write('\\nscore: 99\\n')",
        "",
        "score was printed 2 times",
    ),
    ("import sys; print('score: 99', file=sys.stderr, flush=True)", "", "score was printed 2"),
]


def test_what_a_candidate_does_while_it_is_scored(root: Path, pane: Pane) -> None:
    attacks = [write("value.py", f"{code}\nprint('a ' * {n})\n") for n, (code, _, _) in
               enumerate(DURING, 3)]  # fmt: skip
    for found, (_, reason, reported) in zip(attacked(root, pane, attacks), DURING, strict=True):
        if reported is None:
            assert reason in found["reason"]
            assert found["failure_mode"] == "invalid"
            assert not found["kept"]
        else:
            assert reported in found["reported"]
            assert found["measured"] is False
    assert (root / "score.py").read_text("utf-8") == SCORE
    assert (root / "helper.py").read_text("utf-8") == "x = 1\n"


# A daemon without a session, a parent or an environment to tell it by.
LATE = """
import subprocess, sys
daemon = subprocess.Popen(
    [sys.executable, "-c", "import time; time.sleep(600); open('score.py', 'w').write('x')"],
    start_new_session=True, env={}, stdout=subprocess.DEVNULL)
open("../daemon", "w").write(str(daemon.pid))
print("a b c")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="orphans are only given to us on Linux")
def test_nothing_is_left_that_writes_later(root: Path, pane: Pane) -> None:
    psutil = pytest.importorskip("psutil")
    (found,) = attacked(root, pane, [write("value.py", LATE)])
    assert (found["score"], found["measured"]) == (3, True)
    assert not psutil.pid_exists(int((root.parent / "daemon").read_text("utf-8")))


def test_code_that_git_does_not_see_makes_scores_reported(root: Path, pane: Pane) -> None:
    (root / "cache").mkdir()
    (root / "cache" / "old.py").write_text("x\n", "utf-8")

    def plant(place: Path) -> None:
        (place / "score.so").write_bytes(b"x")
        write("value.py", HONEST)(place)

    def back_dated(place: Path) -> None:
        (place / "score.so").unlink()
        (place / "cache" / "old.py").write_text("y\n", "utf-8")
        os.utime(place / "cache" / "old.py", (0, 0))
        write("value.py", "print('a b c')\n")(place)

    first, second = attacked(root, pane, [plant, back_dated])
    assert "score.so is new since the first round" in first["reported"]
    assert "cache/old.py is new since the first round" in second["reported"]


def test_bytecode_of_another_source_is_not_run(root: Path, pane: Pane) -> None:
    def plant(place: Path) -> None:
        import py_compile

        source = place.parent / "other.py"
        source.write_text("print('score: 99')\n", "utf-8")
        (place / "__pycache__").mkdir(exist_ok=True)
        name = place / "__pycache__" / f"score.{sys.implementation.cache_tag}.pyc"
        mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
        py_compile.compile(str(source), cfile=str(name), invalidation_mode=mode)
        write("value.py", HONEST)(place)

    command = "python -c 'import score'"
    (one,) = attacked(root, pane, [plant], command=command)
    assert one["score"] == 2


def test_a_command_that_runs_what_is_edited_only_reports(root: Path, pane: Pane) -> None:
    cheat = write("value.py", "print('score: 99')\n")
    (one,) = attacked(root, pane, [cheat], command="python value.py")
    assert "runs value.py, which a proposal may edit" in one["reported"]
    assert one["measured"] is False


def test_measured_by_a_command_of_its_own(root: Path, pane: Pane) -> None:
    (root / "score.py").write_text("print('score:', len(open('out.txt').read()))\n", "utf-8")
    git(root, "commit", "--quiet", "--all", "--message", "score")
    train = "open('out.txt', 'w').write('{}')\nprint('score: 99')\n"
    (root / "value.py").write_text(train.format("a"), "utf-8")
    git(root, "commit", "--quiet", "--all", "--message", "train")
    loop = Loop(
        workspace=Workspace(root, editable=["value.py"], protected=["score.py"]),
        proposers=[
            FunctionProposer(
                name="honest",
                function=lambda _b, place: str(write("value.py", train.format("aaa"))(place)),
            )
        ],
        scorer=CommandScorer(
            command=f"{sys.executable} value.py", measure=f"{sys.executable} score.py",
            metric="score", timeout_s=60,
        ),
        metric="score", direction="max", limits=Limits(max_rounds=2), pane=pane,
        folder=root.parent / "journal", results=root.parent / "results.tsv",
    )  # fmt: skip
    outcome = loop.run()
    assert (outcome.best_score, outcome.measured) == (3, True)
