"""The git repository a loop works in: what a proposal may touch, and how it is taken back.

Every round begins from a commit, the best so far. A proposal is what differs from it; it is
committed before it is scored, and taking it back is going to the best commit again. It must never
touch what it did not make: a loop begins on a clean tree only, and removes no file that was there
before it.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from nightpane.errors import LoopError

__all__ = ["Change", "Workspace"]

_TIMEOUT_S = 60
_MOST_DIFF_CHARS = 2_000_000


@dataclass(frozen=True, slots=True)
class Change:
    """What a proposal changed: files by name, the unified diff, lines added and removed."""

    files: tuple[str, ...]
    diff: str

    @property
    def lines(self) -> int:
        """Return how many lines it adds and removes."""
        return sum(
            line[:1] in "+-" and line[:3] not in ("+++", "---") for line in self.diff.splitlines()
        )


class Workspace:
    """A repository, the files a proposal may edit (globs), and the files it must not have touched.

    ``protected`` are the scorer's own files: their digests are taken when the loop begins. ``own``
    are untracked files of the loop itself, such as its ledger: no proposal makes or loses them.
    """

    def __init__(
        self,
        root: Path,
        *,
        editable: Sequence[str],
        protected: Sequence[str] = (),
        own: Sequence[str] = (),
    ) -> None:
        self.root = Path(self._find(root))
        self.editable = tuple(editable)
        self._own = frozenset(own)
        self._protected = tuple(protected)
        if not self.editable:
            raise LoopError("no file may be edited: name at least one")
        self._digests = self._digest()
        self._there = frozenset(self._untracked())

    @property
    def head(self) -> str:
        """The commit that is checked out."""
        return self._git("rev-parse", "HEAD").strip()

    @property
    def branch(self) -> str | None:
        """The branch that is checked out, None when there is none."""
        name = self._git("rev-parse", "--abbrev-ref", "HEAD").strip()
        return None if name == "HEAD" else name

    def memory(self) -> dict[str, Any]:
        """Return what is known of the beginning, for a loop that is taken up in a new process."""
        return {"there": sorted(self._there), "digests": self._digests}

    def take_up(self, memory: Mapping[str, Any]) -> None:
        """Go on from what ``memory`` noted when the loop began.

        Raises LoopError when somebody else has changed files in the meantime: taking the round back
        that was under way would lose them.
        """
        self._there = frozenset(memory["there"])
        self._digests = dict(memory["digests"])
        if foreign := [name for name in self._tracked_changes() if not self.may_edit(name)]:
            raise LoopError(
                f"{', '.join(foreign[:5])} in {self.root} changed since the loop was ended: commit "
                "elsewhere or undo it, then start the loop again"
            )

    def begin(self, branch: str) -> None:
        """Check out a branch, made here unless it exists.

        Raises LoopError when tracked files have changes that are not committed.
        """
        if dirty := self._tracked_changes():
            raise LoopError(
                f"{self.root} has changes that are not committed ({', '.join(dirty[:5])}): commit "
                "or stash them, since taking a round back would lose them"
            )
        exists = self._run("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}")
        if exists.returncode == 0:
            if self.branch != branch:
                self._git("checkout", "--quiet", branch)
        else:
            self._git("checkout", "--quiet", "-b", branch)

    def change(self) -> Change:
        """Return what differs from the checked-out commit, new files included.

        Raises LoopError when a file outside the editable ones was touched.
        """
        made = [name for name in self._untracked() if name not in self._there]
        files = sorted({*self._tracked_changes(), *made})
        if foreign := [name for name in files if not self.may_edit(name)]:
            raise LoopError(
                f"the proposal touches {', '.join(foreign[:5])}; it may edit "
                f"{', '.join(self.editable)}"
            )
        if made:
            self._git("add", "--intent-to-add", "--", *made)
        diff = self._git("diff", "--no-color", "--no-ext-diff", "HEAD", "--") if files else ""
        return Change(tuple(files), diff[:_MOST_DIFF_CHARS])

    def may_edit(self, name: str) -> bool:
        """Return whether a proposal may touch a file."""
        protected = any(fnmatchcase(name, glob) for glob in self._protected)
        return not protected and any(fnmatchcase(name, glob) for glob in self.editable)

    def commit(self, change: Change, message: str) -> str:
        """Commit a change and return the commit; no hook runs."""
        self._git("add", "--", *change.files)
        self._git("commit", "--quiet", "--no-verify", "--message", message)
        return self.head

    def back_to(self, commit: str) -> None:
        """Make the branch and its files those of a commit, and remove what was made since."""
        self._git("reset", "--quiet", "--hard", commit)
        for name in self._untracked():
            if name not in self._there:
                (self.root / name).unlink(missing_ok=True)

    def check_protected(self) -> None:
        """Raise LoopError when a protected file is not what it was when the loop began."""
        before, now = self._digests, self._digest()
        changed = [name for name in {*before, *now} if before.get(name) != now.get(name)]
        if changed:
            raise LoopError(
                f"{', '.join(sorted(changed)[:5])} changed while the loop ran: a score that the "
                "proposal could have written itself is none"
            )

    def _digest(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for glob in self._protected:
            paths = [path for path in self.root.glob(glob) if path.is_file()]
            if not paths:
                raise LoopError(f"{glob!r} in {self.root} is to be protected, but is not there")
            for path in paths:
                name = path.relative_to(self.root).as_posix()
                found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        return found

    def _tracked_changes(self) -> list[str]:
        return _names(self._git("diff", "--name-only", "-z", "HEAD", "--"))

    def _untracked(self) -> list[str]:
        found = _names(self._git("ls-files", "--others", "--exclude-standard", "-z"))
        return [name for name in found if name not in self._own]

    def _find(self, root: Path) -> str:
        self.root = Path(root)
        found = self._run("rev-parse", "--show-toplevel")
        if found.returncode != 0:
            raise LoopError(f"{root} is no git repository: begin with 'git init' and a commit")
        top = found.stdout.strip()
        if self._run("rev-parse", "--verify", "--quiet", "HEAD").returncode != 0:
            raise LoopError(f"{top} has no commit yet: commit what the loop begins from")
        return top

    def _git(self, *arguments: str) -> str:
        done = self._run(*arguments)
        if done.returncode != 0:
            raise LoopError(f"git {arguments[0]} failed in {self.root}: {done.stderr.strip()}")
        return done.stdout

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                ["git", "-C", str(self.root), *arguments],
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


def _names(text: str) -> list[str]:
    return [name for name in text.split("\0") if name]
