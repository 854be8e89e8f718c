"""When commits were made, asked of one ``git cat-file`` process. Reads only; never the network."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from nightpane.errors import LedgerError
from nightpane.ledgers.values import is_hash

__all__ = ["CommitTimes"]

_MAX_OBJECT_BYTES = 16 * 1024 * 1024


class CommitTimes:
    """Looks up commit times in a repository; close it (or use ``with``) when done.

    Commits that no branch reaches any more are found as long as git has them. Raises LedgerError
    when the folder is no git repository or git is missing.
    """

    def __init__(self, repo: Path) -> None:
        self.repo = repo
        _check(repo)
        self._process = subprocess.Popen(
            _git(repo, "cat-file", "--batch"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
        )
        self._ask = lru_cache(maxsize=65536)(self._look_up)

    def time_of(self, commit: str | None) -> datetime | None:
        """Return when a commit was made, None when the name is no hash or git does not know it."""
        if commit is None or not is_hash(commit):
            return None
        return self._ask(commit.lower().split("-")[0])

    def _look_up(self, name: str) -> datetime | None:
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            return None
        try:
            stdin.write(name.encode() + b"\n")
            stdin.flush()
            header = stdout.readline().split()
        except OSError:  # git has gone: what it knew is out of reach
            return None
        if len(header) != 3 or header[1] != b"commit":
            if len(header) == 3 and header[2].isdigit():
                _skip(stdout, int(header[2]) + 1)
            return None
        size = int(header[2])
        if size > _MAX_OBJECT_BYTES:
            _skip(stdout, size + 1)
            return None
        return _committed(stdout.read(size + 1))

    def close(self) -> None:
        """End the git process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process.wait(timeout=10)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _git(repo: Path, *arguments: str) -> list[str]:
    return ["git", "-C", str(repo), "--no-replace-objects", *arguments]


def _environment() -> dict[str, str]:
    """No prompts, no locks, and no fetching of objects that a partial clone left behind."""
    return os.environ | {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "LC_ALL": "C",
    }


def _check(repo: Path) -> None:
    try:
        done = subprocess.run(
            _git(repo, "rev-parse", "--git-dir"),
            capture_output=True,
            text=True,
            timeout=30,
            env=_environment(),
            check=False,
        )
    except FileNotFoundError:
        raise LedgerError("--repo needs git, which is not installed") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LedgerError(f"git cannot be run in {repo}: {error}") from error
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines()[:1] or ["unknown reason"]
        raise LedgerError(f"{repo} is no git repository that can be read: {reason[0]}")


def _skip(stream: IO[bytes], count: int) -> None:
    while count > 0 and (data := stream.read(min(count, 1 << 20))):
        count -= len(data)


def _committed(data: bytes) -> datetime | None:
    """The committer's time in a raw commit: ``committer Name <mail> 1700000000 +0100``."""
    for line in data.split(b"\n\n", 1)[0].splitlines():
        if line.startswith(b"committer "):
            try:
                return datetime.fromtimestamp(int(line.split()[-2]), UTC)
            except (ValueError, IndexError, OverflowError, OSError):
                return None
    return None
