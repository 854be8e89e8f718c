"""Several loops through a night: each in a process of its own, begun again when it crashes.

A loop that dies takes up its own journal, so beginning it again loses nothing. What a loop says is
kept in a file; when the night's hours are over each loop may finish its round, and is then ended
with everything it started.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from nightpane.errors import LoopError
from nightpane.loops.processes import MARK, end, new_mark

__all__ = ["Ended", "Job", "Night"]

_IN_ORDER = (0, 1)
_NOT_WORTH_ANOTHER = (2, 3)
_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Job:
    """A loop of the night: its name, its command, the folder it runs in."""

    name: str
    command: Sequence[str]
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a loop ended: ``outcome`` is what it printed as JSON, None when it did not get so far;
    ``why`` is then its last words. ``log`` has all of them."""

    name: str
    starts: int
    exit_code: int | None
    outcome: Mapping[str, Any] | None
    why: str
    log: Path

    @property
    def ok(self) -> bool:
        """Whether it ended in order."""
        return self.outcome is not None


@dataclass(kw_only=True)
class Night:
    """Runs jobs, ``at_once`` at the same time, for ``hours`` at most; ``folder`` keeps their words.

    A loop that crashes is begun again, up to ``restarts`` times, after ``pause_s`` times the number
    of its crashes. One that found a mistake in its call, or nothing to work on, is not. At the end
    of the hours, or after ``stop``, a loop has ``grace_s`` for the round it is in.
    """

    jobs: Sequence[Job]
    folder: Path
    hours: float | None = None
    at_once: int | None = None
    restarts: int = 3
    pause_s: float = 5.0
    grace_s: float = 600.0
    say: Callable[[str, str], None] = lambda _name, _line: None
    _over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> list[Ended]:
        """Run all jobs and return how they ended, in their order."""
        deadline = None if self.hours is None else time.monotonic() + self.hours * 3600
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with ThreadPoolExecutor(self.at_once or len(self.jobs)) as pool:
            running = [pool.submit(self._job, job) for job in self.jobs]
            while not all(one.done() for one in running):
                if deadline is not None and time.monotonic() > deadline:
                    self._over.set()
                time.sleep(_POLL_S)
            return [one.result() for one in running]

    def stop(self) -> None:
        """End the night: every loop finishes its round. May be called from a signal handler."""
        self._over.set()

    def _job(self, job: Job) -> Ended:
        log = self.folder / f"{job.name}.log"
        starts, code, words = 0, None, "the night was over before it began"
        while starts <= self.restarts and not self._over.is_set():
            starts += 1
            code, said, words = self._once(job, log)
            outcome = _outcome(said)
            if outcome is not None and code in _IN_ORDER:
                return Ended(
                    name=job.name, starts=starts, exit_code=code, outcome=outcome, why="", log=log
                )
            if code in _NOT_WORTH_ANOTHER:
                break
            self.say(job.name, f"ended with {code}: {words}")
            self._over.wait(self.pause_s * starts)
        return Ended(name=job.name, starts=starts, exit_code=code, outcome=None, why=words, log=log)

    def _once(self, job: Job, log: Path) -> tuple[int, str, str]:
        """Run a job once; return its exit code, its standard output and its last words."""
        mark = new_mark()
        try:
            process = subprocess.Popen(
                job.command,
                cwd=job.folder,
                env={**os.environ, MARK: mark},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                encoding="utf-8",
                errors="replace",
            )
        except OSError as error:
            raise LoopError(f"the loop {job.name!r} cannot be started: {error}") from error
        said: list[str] = []
        words = [""]
        assert process.stdout is not None and process.stderr is not None  # noqa: S101, PT018
        readers = [
            threading.Thread(target=_gather, args=(process.stdout, said)),
            threading.Thread(target=self._follow, args=(job.name, process.stderr, log, words)),
        ]
        for reader in readers:
            reader.start()
        while process.poll() is None and not self._over.wait(_POLL_S):
            pass
        end(process, mark, grace_s=self.grace_s)
        for reader in readers:
            reader.join()
        return process.returncode, "".join(said), words[0]

    def _follow(self, name: str, lines: IO[str], log: Path, words: list[str]) -> None:
        with lines, log.open("a", encoding="utf-8") as file:
            for line in lines:
                file.write(line)
                file.flush()
                if line.strip():
                    words[0] = line.strip()
                    self.say(name, line.rstrip())


def _gather(lines: IO[str], said: list[str]) -> None:
    with lines:
        said.extend(lines)


def _outcome(said: str) -> Mapping[str, Any] | None:
    try:
        found = json.loads(said)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
