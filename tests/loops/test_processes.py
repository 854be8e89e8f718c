"""A command and everything it started end when its time is over."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nightpane.errors import LoopError
from nightpane.loops.processes import run_command

psutil = pytest.importorskip("psutil")

# Starts a child in a session of its own whose parent then ends, and says who it is.
ESCAPING = """
import os, subprocess, sys, time
middle = "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', " \\
    "'import time; time.sleep(600)'], start_new_session=True).pid, flush=True)"
subprocess.run([sys.executable, "-c", middle])
{then}
"""


def is_gone(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.02)
    return False


def test_what_it_prints_and_how_it_ends(tmp_path: Path) -> None:
    output = tmp_path / "output"
    done = run_command("echo out; echo err >&2; exit 3", cwd=tmp_path, output=output)
    assert (done.exit_code, done.timed_out, done.ok) == (3, False, False)
    assert done.tail() == "out\nerr\n"
    again = run_command([sys.executable, "-c", "print('x' * 100)"], cwd=tmp_path, output=output)
    assert again.ok
    assert again.tail(most_bytes=5) == "xxxx\n"


@pytest.mark.parametrize("then", ["time.sleep(600)", ""])
def test_nothing_it_started_outlives_it(tmp_path: Path, then: str) -> None:
    command = [sys.executable, "-c", ESCAPING.format(then=then)]
    done = run_command(command, cwd=tmp_path, output=tmp_path / "output", timeout_s=1)
    assert done.timed_out == bool(then)
    assert is_gone(int(done.tail()))


def test_a_command_that_ignores_the_polite_signal_is_killed(tmp_path: Path) -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    command = [sys.executable, "-c", code]
    done = run_command(command, cwd=tmp_path, output=tmp_path / "output", timeout_s=0.5)
    assert done.timed_out
    assert done.exit_code == -9


def test_a_command_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LoopError, match="'no-such-program x' cannot be started"):
        run_command(["no-such-program", "x"], cwd=tmp_path, output=tmp_path / "output")


HIDING = """
import os, subprocess, sys
code = "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', " \\
    "'import time; time.sleep(600)'], start_new_session=True, env={}).pid, flush=True)"
subprocess.run([sys.executable, "-c", code], env={})
"""


@pytest.mark.skipif(sys.platform != "linux", reason="orphans are only given to us on Linux")
def test_a_daemon_that_empties_its_environment_does_not_outlive_it(tmp_path: Path) -> None:
    done = run_command([sys.executable, "-c", HIDING], cwd=tmp_path, output=tmp_path / "output")
    assert done.ok
    assert is_gone(int(done.tail()))


def test_it_reads_the_file_it_is_given(tmp_path: Path) -> None:
    (tmp_path / "told").write_text("a brief", "utf-8")
    output = tmp_path / "output"
    assert run_command("cat", cwd=tmp_path, output=output, stdin=tmp_path / "told").ok
    assert output.read_text("utf-8") == "a brief"


def test_two_commands_at_once_leave_each_other_alone(tmp_path: Path) -> None:
    with ThreadPoolExecutor() as pool:
        long = pool.submit(
            run_command, "sleep 0.6; echo done", cwd=tmp_path, output=tmp_path / "long"
        )
        for number in range(3):
            assert run_command("true", cwd=tmp_path, output=tmp_path / f"short{number}").ok
        assert long.result().tail() == "done\n"
