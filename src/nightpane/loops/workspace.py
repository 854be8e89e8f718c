"""The git repository a loop works in: what a proposal may touch, and how it is taken back.

Every round begins from a commit, the best so far. A proposal is what differs from it; it is
committed before it is scored, and taking it back is going to the best commit again. It must never
touch what it did not make: a loop begins on a clean tree only, and removes no file that was there
before it.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nightpane.errors import LoopError
from nightpane.loops.git import Git, names_of
from nightpane.loops.globs import files_of, matches
from nightpane.loops.guarded import guarded

__all__ = ["Change", "Workspace"]

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
        self._git = Git(root)
        self.root = self._git.root
        self.editable = tuple(editable)
        self.protected = tuple(protected)
        self.own = tuple(own)
        self._branch: str | None = None
        if not self.editable:
            raise LoopError("no file may be edited: name at least one")
        self._refuse_links()
        self._digests = self._digest()
        self._there = frozenset(self.untracked())
        self._hidden = frozenset(self._hides())

    @property
    def head(self) -> str:
        """The commit that is checked out."""
        return self._git("rev-parse", "HEAD").strip()

    @property
    def branch(self) -> str | None:
        """The branch that is checked out, None when there is none."""
        name = self._git("rev-parse", "--abbrev-ref", "HEAD").strip()
        return None if name == "HEAD" else name

    @property
    def protected_files(self) -> tuple[str, ...]:
        """The protected files by name, as they were when the loop began."""
        return tuple(self._digests)

    def memory(self) -> dict[str, Any]:
        """Return what is known of the beginning, for a loop that is taken up in a new process."""
        return {"there": sorted(self._there), "digests": self._digests}

    def take_up(self, memory: Mapping[str, Any]) -> None:
        """Go on from what ``memory`` noted when the loop began.

        Raises LoopError when somebody else has changed files in the meantime: taking the round back
        that was under way would lose them.
        """
        self._git.unlock()
        self._there = frozenset(memory["there"])
        self._digests = dict(memory["digests"])
        if foreign := [name for name in self.changed() if not self.may_edit(name)]:
            raise LoopError(
                f"{', '.join(foreign[:5])} in {self.root} changed since the loop was ended: commit "
                "elsewhere or undo it, then start the loop again"
            )

    def begin(self, branch: str) -> None:
        """Check out a branch, made here unless it exists.

        Raises LoopError when tracked files have changes that are not committed.
        """
        self._git.unlock()
        if dirty := self.changed():
            raise LoopError(
                f"{self.root} has changes that are not committed ({', '.join(dirty[:5])}): commit "
                "or stash them, since taking a round back would lose them"
            )
        exists = self._git.run("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}")
        if exists.returncode != 0:
            self._git("checkout", "--quiet", "-b", branch)
        elif self.branch != branch:
            self._git("checkout", "--quiet", branch)
        self._branch = branch

    def guarded(self, *more: Path) -> AbstractContextManager[None]:
        """Put git's settings, hooks and exclusions, and the files ``more``, back when it ends.

        Raises LoopError when they were changed in it.
        """
        shared = self._git.common_folder
        settings = [shared / "config", self._git.folder / "config.worktree"]
        return guarded([shared / "hooks", shared / "info"], [*settings, *more])

    def change(self, base: str | None = None) -> Change:
        """Return what differs from the commit ``base``, new files included.

        The branch is put back to it first: what a proposer committed itself counts as well. Without
        ``base`` it is the checked-out commit. Raises LoopError when a file outside the editable
        ones was touched, or one is a link.
        """
        self._git.unlock()
        self._rejoin(base)
        made = [name for name in self.untracked() if name not in self._there]
        files = sorted({*self.changed(), *made})
        if foreign := [name for name in files if not self.may_edit(name) or name.endswith("/")]:
            raise LoopError(
                f"the proposal touches {', '.join(foreign[:5])}; it may edit "
                f"{', '.join(self.editable)}"
            )
        if links := [name for name in files if (self.root / name).is_symlink()]:
            raise LoopError(f"the proposal makes {links[0]} a link: it may only edit files")
        if made:
            self._git("add", "--force", "--intent-to-add", "--", *made)
        diff = self._git("diff", "--no-color", "--no-ext-diff", "HEAD", "--") if files else ""
        return Change(tuple(files), diff[:_MOST_DIFF_CHARS])

    def may_edit(self, name: str) -> bool:
        """Return whether a proposal may touch a file."""
        return matches(name, self.editable) and not matches(name, self.protected)

    def commit(self, change: Change, message: str) -> str:
        """Commit a change and return the commit; no hook runs."""
        self._git("add", "--force", "--", *change.files)
        self._git("commit", "--quiet", "--no-verify", "--allow-empty", "--message", message)
        return self.head

    def back_to(self, commit: str) -> None:
        """Make the branch and its files those of a commit, and remove what was made since."""
        self._git.unlock()
        self._rejoin(None)
        self._git("reset", "--quiet", "--hard", commit)
        for name in self.untracked():
            if name in self._there:
                continue
            if name.endswith("/"):
                shutil.rmtree(self.root / name)
            else:
                (self.root / name).unlink(missing_ok=True)

    def check_protected(self) -> None:
        """Raise LoopError when a protected file is not what it was when the loop began."""
        before, now = self._digests, self._digest()
        changed = [name for name in {*before, *now} if before.get(name) != now.get(name)]
        if changed:
            raise LoopError(
                f"{', '.join(sorted(changed)[:5])} changed while the loop ran: a score that the "
                "proposer could have written itself is none"
            )

    def changed(self) -> list[str]:
        """Return the tracked files that differ from the checked-out commit."""
        return names_of(self._git("diff", "--name-only", "--no-renames", "-z", "HEAD", "--"))

    def tracked(self, *globs: str) -> list[str]:
        """Return the tracked files, of some of git's patterns."""
        return names_of(self._git("ls-files", "-z", "--", *globs))

    def ignored(self) -> list[str]:
        """Return the files that git ignores."""
        found = self._git("ls-files", "--others", "--ignored", "--exclude-standard", "-z")
        return names_of(found)

    def untracked(self) -> list[str]:
        """Return the files that git neither tracks nor ignores, but for the loop's own.

        What Python has compiled is left out. A repository below is one name that ends in a slash.
        """
        found = names_of(self._git("ls-files", "--others", "--exclude-standard", "-z"))
        return [name for name in found if name not in self.own and "__pycache__/" not in name]

    def clone(self, target: Path) -> None:
        """Clone the checked-out commit into a folder, which shares nothing with the repository."""
        self._git("clone", "--quiet", "--no-hardlinks", "--no-tags", str(self.root), str(target))

    def made(self) -> list[str]:
        """Return the untracked files that are new since the loop began."""
        return [name for name in self.untracked() if name not in self._there]

    def _rejoin(self, base: str | None) -> None:
        """Undo what a proposer did with git itself, and leave its files as they are."""
        if self._branch is not None and self.branch != self._branch:
            self._git("symbolic-ref", "HEAD", f"refs/heads/{self._branch}")
        if base is not None and self.head != base:
            self._git("reset", "--quiet", "--mixed", base)
        if hidden := [name for name in self._hides() if name not in self._hidden]:
            self._git("update-index", "--no-assume-unchanged", "--", *hidden)
            self._git("update-index", "--no-skip-worktree", "--", *hidden)

    def _hides(self) -> list[str]:
        """Return the files whose changes git was told not to see."""
        found = names_of(self._git("ls-files", "-v", "-z"))
        return [one[2:] for one in found if one[0].islower() or one[0] == "S"]

    def _refuse_links(self) -> None:
        for name in self.tracked():
            if self.may_edit(name) and (self.root / name).is_symlink():
                raise LoopError(f"{name} in {self.root} is a link: name the file itself")

    def _digest(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for glob in self.protected:
            paths = list(files_of(self.root, glob))
            if not paths:
                raise LoopError(f"{glob!r} in {self.root} is to be protected, but is not there")
            found |= {path.relative_to(self.root).as_posix(): _digest_of(path) for path in paths}
        return found


def _digest_of(path: Path) -> str:
    """Return a file's digest; a link's is of where it leads and of what is there."""
    target = f"link to {path.readlink()}\n".encode() if path.is_symlink() else b""
    content = path.read_bytes() if path.is_file() else b""
    return hashlib.sha256(target + content).hexdigest()
