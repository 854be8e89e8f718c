"""Running a command that may hang, and everything it started.

A command is run in a session of its own with a mark in its environment, so that at the end of its
time whatever it left behind is found and killed, also what has moved to another session or has lost
its parent. Its output goes to a file: it must never fill memory or a pipe.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nightpane.errors import LoopError
from nightpane.ids import new_ulid
from nightpane.loops.adopting import adopting, psutil, starting

__all__ = ["MARK", "Outcome", "end", "end_leftovers", "end_present", "new_mark", "run_command"]

MARK = "NIGHTPANE_COMMAND"
_GRACE_S = 3.0
_TAIL_BYTES = 20_000
_POLL_S = 0.05
_MOST_SWEEPS = 20
_present: set[subprocess.Popen[bytes]] = set()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended. ``exit_code`` is negative for a signal; ``output`` is the file."""

    exit_code: int
    timed_out: bool
    duration_s: float
    output: Path

    @property
    def ok(self) -> bool:
        """Whether it ended by itself, with exit code 0."""
        return self.exit_code == 0 and not self.timed_out

    def tail(self, most_bytes: int = _TAIL_BYTES) -> str:
        """Return the end of what it printed."""
        with self.output.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - most_bytes))
            return file.read().decode("utf-8", "replace")


def run_command(
    command: Sequence[str] | str,
    *,
    cwd: Path,
    output: Path,
    timeout_s: float | None = None,
    environ: Mapping[str, str] | None = None,
    stdin: Path | None = None,
) -> Outcome:
    """Run a command to its end or its time limit; return how it ended, with nothing left running.

    A text is run by ``/bin/sh``, a list as it is. It reads the file ``stdin``, if any. Standard
    output and error go to ``output``, which is made anew. Raises LoopError when it cannot be
    started, MissingExtraError without psutil.
    """
    mark = new_mark()
    started = time.monotonic()
    # A file of its own, that is only added to: nothing that was printed can be taken back.
    output.unlink(missing_ok=True)
    with (
        output.open("ab") as file,
        Path(stdin or os.devnull).open("rb") as given,
        adopting() as leaders,
    ):
        try:
            with starting:
                process = subprocess.Popen(
                    command,
                    shell=isinstance(command, str),
                    cwd=cwd,
                    env={**os.environ, **(environ or {}), MARK: mark},
                    stdin=given,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
                leaders.add(process.pid)
        except OSError as error:
            shown = command if isinstance(command, str) else " ".join(command)
            raise LoopError(
                f"the command {shown!r} cannot be started in {cwd}: {error.strerror or error}"
            ) from error
        timed_out = False
        _present.add(process)
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            timed_out = True
        finally:
            end(process, mark)
            _present.discard(process)
            leaders.discard(process.pid)
    return Outcome(process.returncode, timed_out, time.monotonic() - started, output)


def end_present() -> None:
    """Kill the commands that run now, at once: from a signal's handler."""
    for process in tuple(_present):
        _signal(process.pid, signal.SIGKILL)


def end_leftovers(name: str, value: str) -> None:
    """Kill every process whose environment has the variable: what a killed loop left running."""
    for _ in range(_MOST_SWEEPS):
        if not _kill_with(name, value):
            return
        time.sleep(_POLL_S)


def new_mark() -> str:
    """Return a mark for a process: it begins with this process's own, if it has one."""
    return "/".join(filter(None, [os.environ.get(MARK), new_ulid()]))


def end(process: subprocess.Popen[Any], mark: str, *, grace_s: float = _GRACE_S) -> None:
    """End a process that leads its session: SIGTERM, and after ``grace_s`` SIGKILL for it, the
    session, and whatever else carries ``mark`` in its environment."""
    if process.poll() is None:
        _signal(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace_s)
    _signal(process.pid, signal.SIGKILL)
    process.wait()
    end_leftovers(MARK, mark)


def _signal(session: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(session, number)


def _kill_with(name: str, value: str) -> int:
    """Kill this user's processes whose variable begins with the value; return how many."""
    found = 0
    for process in psutil().process_iter():
        with contextlib.suppress(psutil().Error, OSError):
            if process.pid == os.getpid() or process.status() == psutil().STATUS_ZOMBIE:
                continue
            if process.environ().get(name, "").startswith(value):
                process.kill()
                found += 1
    return found
