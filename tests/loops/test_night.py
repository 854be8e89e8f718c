"""A night of several loops: crashes, the end of its hours, and its file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from tests.loops.test_engine import git

from nightpane.cli.main import run
from nightpane.loops.night import Job, Night
from nightpane.testing import LocalServer


def job(folder: Path, name: str, program: str) -> Job:
    return Job(name, (sys.executable, "-c", program), folder)


def test_a_loop_that_crashes_is_begun_again(tmp_path: Path) -> None:
    crash_twice = (
        "import json, os, pathlib, signal, sys\n"
        "path = pathlib.Path('starts'); n = len(path.read_text()) if path.exists() else 0\n"
        "path.write_text('x' * (n + 1)); print('start', n, file=sys.stderr, flush=True)\n"
        "n < 2 and os.kill(os.getpid(), signal.SIGKILL)\n"
        "print(json.dumps({'rounds': n}))"
    )
    told: list[str] = []
    jobs = [
        job(tmp_path, "crashes", crash_twice),
        job(tmp_path, "always", "raise SystemExit('no')"),
        job(tmp_path, "mistaken", "import sys; sys.exit(2)"),
        job(tmp_path, "kept-nothing", "print('{}'); raise SystemExit(1)"),
    ]
    night = Night(
        jobs=jobs, folder=tmp_path / "logs", pause_s=0.01, restarts=2,
        say=lambda name, line: told.append(f"{name}: {line}"),
    )  # fmt: skip
    crashes, always, mistaken, kept_nothing = night.run()
    assert (crashes.ok, crashes.starts, crashes.outcome) == (True, 3, {"rounds": 2})
    assert crashes.log.read_text("utf-8").splitlines() == ["start 0", "start 1", "start 2"]
    assert (always.ok, always.starts, always.exit_code, always.why) == (False, 3, 1, "no")
    assert (mistaken.ok, mistaken.starts, mistaken.exit_code) == (False, 1, 2)
    assert (kept_nothing.ok, kept_nothing.starts) == (True, 1)
    assert "crashes: start 1" in told


def test_when_the_hours_are_over_rounds_are_finished_and_the_rest_is_ended(tmp_path: Path) -> None:
    orderly = (
        "import signal, time, sys\n"
        'def over(*_): print(\'{"reason": "interrupted"}\', flush=True); sys.exit(0)\n'
        "signal.signal(signal.SIGTERM, over)\n"
        "time.sleep(60)"
    )
    stubborn = (
        "import pathlib, signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'],\n"
        "    start_new_session=True)\n"
        "pathlib.Path('child').write_text(str(child.pid)); time.sleep(60)"
    )
    jobs = [job(tmp_path, "orderly", orderly), job(tmp_path, "stubborn", stubborn)]
    jobs.append(job(tmp_path, "late", "print('{}')"))
    night = Night(
        jobs=jobs, folder=tmp_path / "logs", hours=2.0 / 3600, at_once=2, grace_s=0.5, pause_s=0.01
    )
    began = time.monotonic()
    orderly_end, stubborn_end, late = night.run()
    assert time.monotonic() - began < 30
    assert orderly_end.outcome == {"reason": "interrupted"}
    assert (stubborn_end.ok, stubborn_end.exit_code) == (False, -signal.SIGKILL)
    assert (late.ok, late.starts) == (False, 0)
    child = int((tmp_path / "child").read_text("utf-8"))
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE


LOOP = """
[[loop]]
name = "one"
kind = "autoresearch"
target = "repository"
edit = ["value.txt"]
run = "sh -c 'echo METRIC n=$(cat value.txt)'"
metric = "n"
direction = "max"
propose = ["sh -c 'echo $(($(cat value.txt) + 1)) > value.txt; echo one more'"]
max_rounds = 3
"""


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("max_rounds", "max_round", "loop 1: max_round is unknown; did you mean max_rounds?"),
        ("max_rounds = 3", "max_rounds = 0", "0 is not in the range"),
        ("max_rounds = 3", "max_rounds = true", "it must be a text or a number"),
        ("max_rounds = 3", "max_rounds = [1]", "it must be a text or a number"),
        ('metric = "n"', "", "Missing option '--metric'"),
        ('"autoresearch"', '"automagic"', "kind 'automagic' is unknown"),
        ('name = "one"', 'name = "../one"', "use letters, digits"),
        ('name = "one"', "", "name is missing"),
        ("[[loop]]", "[loop]", "write [[loop]]"),
        ("[[loop]]", "[night]\nhours = -1\n[[loop]]", "hours is -1; it must be a number above 0"),
        ("[[loop]]", "[night]\nhour = 1\n[[loop]]", "hour is unknown; did you mean hours?"),
        ("[[loop]]", "[night]\npost_slack = true\n[[loop]]", "NIGHTPANE_SLACK_URL"),
        ("[[loop]]", "[[loop", "line 2"),
        (LOOP, LOOP + LOOP, "two loops have the name 'one'"),
        (LOOP, LOOP + LOOP.replace('"one"', '"two"'), "two loops have the target 'repository'"),
        (LOOP, "", "names no loop"),
    ],
)
def test_a_mistake_in_the_file_is_found_before_the_night(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], before: str, after: str, says: str
) -> None:
    (tmp_path / "repository").mkdir()
    assert before in LOOP
    (tmp_path / "night.toml").write_text(LOOP.replace(before, after, 1), "utf-8")
    assert run(["night", str(tmp_path / "night.toml")]) == 2
    assert says in capsys.readouterr().err


def test_a_night_leaves_the_morning(tmp_path: Path, server: LocalServer) -> None:
    root = tmp_path / "repository"
    root.mkdir()
    git(root, "init", "--quiet", "--initial-branch", "main")
    for name, value in (("user.name", "Test"), ("user.email", "test@example.org")):
        git(root, "config", name, value)
    (root / "value.txt").write_text("1\n", "utf-8")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", "start")
    file = tmp_path / "night.toml"
    file.write_text(f'[night]\nmorning = "morning.md"\n{LOOP}project = "counting"\n', "utf-8")
    environ = {
        **os.environ,
        "NIGHTPANE_STATE_DIR": str(tmp_path / "state"),
        "POSTHOG_HOST": server.host,
        "POSTHOG_API_KEY": server.api_key,
        "POSTHOG_PERSONAL_API_KEY": server.personal_api_key,
    }
    command = [sys.executable, "-m", "nightpane", "night", str(file), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env=environ)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    (one,) = told["loops"]
    assert (one["ok"], one["outcome"]["rounds"], one["outcome"]["best_score"]) == (True, 3, 3)
    assert "one: 2  keep  3 reported  one more" in done.stderr
    morning = (tmp_path / "morning.md").read_text("utf-8")
    assert "counting" in morning
    assert told["morning"]["exit_code"] == 0
