"""Running git in a repository where somebody else may have set traps: no hook runs, no helper.

A command that was killed may leave git's lock behind, which nobody would ever take away.
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from nightpane.errors import LoopError
from nightpane.loops.adopting import psutil

__all__ = ["Git", "names_of"]

_TIMEOUT_S = 60
_LOCKED_S = 5.0
_POLL_S = 0.05
_SAFE = ("core.hooksPath=/dev/null", "core.fsmonitor=false", "commit.gpgSign=false")


class Git:
    """Git in one working tree. Raises LoopError for a folder that is in none."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        found = self.run("rev-parse", "--show-toplevel")
        if found.returncode != 0:
            raise LoopError(f"{root} is no git repository: begin with 'git init' and a commit")
        self.root = Path(found.stdout.rstrip("\n"))
        if self.run("rev-parse", "--verify", "--quiet", "HEAD").returncode != 0:
            raise LoopError(f"{self.root} has no commit yet: commit what the loop begins from")

    def __call__(self, *arguments: str) -> str:
        """Return what git prints. Raises LoopError when it fails."""
        done = self.run(*arguments)
        if done.returncode != 0:
            raise LoopError(f"git {arguments[0]} failed in {self.root}: {done.stderr.strip()}")
        return done.stdout

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Return how git ended. Raises LoopError when it cannot be run."""
        settings = [part for one in _SAFE for part in ("-c", one)]
        try:
            return subprocess.run(
                ["git", "-C", str(self.root), *settings, *arguments],
                capture_output=True,
                text=True,
                encoding="utf-8",
                errors="surrogateescape",
                timeout=_TIMEOUT_S,
                check=False,
                env={**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"},
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise LoopError(f"git cannot be run in {self.root}: {error}") from error

    @property
    def folder(self) -> Path:
        """Git's own folder of this working tree."""
        return self.root / self("rev-parse", "--git-dir").rstrip("\n")

    @property
    def common_folder(self) -> Path:
        """Git's folder with what all working trees share: settings, hooks, exclusions."""
        return self.root / self("rev-parse", "--git-common-dir").rstrip("\n")

    def unlock(self) -> None:
        """Take away the locks of a git command that was killed.

        Waits a little where one is at work, and then leaves them to it.
        """
        found = [self.folder / name for name in ("index.lock", "HEAD.lock")]
        if branch := self.run("symbolic-ref", "--quiet", "HEAD").stdout.strip():
            found.append(self.common_folder / f"{branch}.lock")
        locks = [path for path in found if path.exists()]
        deadline = time.monotonic() + _LOCKED_S
        while locks and _is_at_work(self.root):
            if time.monotonic() > deadline:
                return
            time.sleep(_POLL_S)
        for path in locks:
            path.unlink(missing_ok=True)


def names_of(text: str) -> list[str]:
    """Return the names in what git prints with ``-z``."""
    return [name for name in text.split("\0") if name]


def _is_at_work(root: Path) -> bool:
    """Return whether a git command works in a folder."""
    for process in psutil().process_iter(["name", "cwd", "status"]):
        about = process.info
        if (about["name"] or "") == "git" and about["status"] != psutil().STATUS_ZOMBIE:
            cwd = Path(about["cwd"] or "/")
            if cwd == root or root in cwd.parents:
                return True
    return False
