"""What nightpane asks of git, in one place. Never changes a commit, a branch or the index."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nightpane.errors import ConfigError

__all__ = ["HOOKS", "PYTHON", "Repository"]

HOOKS = ("post-commit", "post-merge")
PYTHON = "nightpane.python"

_TIMEOUT_S = 20.0
# git sets these around a hook: relative to where it runs, or naming another repository.
_OF_GIT = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR")
# The user's own settings must not change what is read.
_PLAIN = ("-c", "log.showSignature=false", "-c", "i18n.logOutputEncoding=UTF-8")


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository with a work tree. ``top`` is the work tree's folder, ``common`` what all work
    trees of it share (``.git``), ``hooks`` where git looks for hooks: ``core.hooksPath`` or theirs.
    """

    top: Path
    common: Path
    hooks: Path
    _environ: Mapping[str, str] = field(repr=False)

    @classmethod
    def at(cls, folder: Path | None = None) -> Repository:
        """Return the repository around a folder; None is this process's own, as git would find it.

        Raises ConfigError when there is none, when it has no work tree, or without git.
        """
        environ = {name: value for name, value in os.environ.items() if name not in _OF_GIT}
        # Asking must not take a lock that the user's next command needs.
        environ["GIT_OPTIONAL_LOCKS"] = "0"
        if folder is None and "GIT_DIR" in os.environ:
            here = Path.cwd()
            environ["GIT_DIR"] = _git(here, os.environ, "rev-parse", "--absolute-git-dir")
            environ["GIT_WORK_TREE"] = _git(here, os.environ, "rev-parse", "--show-toplevel")
        folder = (folder or Path.cwd()).absolute()
        if not folder.is_dir():
            raise ConfigError(f"{folder} is not a folder: name one inside a git repository")
        top = Path(_git(folder, environ, "rev-parse", "--show-toplevel"))
        common = _git(top, environ, "rev-parse", "--git-common-dir")
        hooks = _git(top, environ, "rev-parse", "--git-path", "hooks")
        return cls(top, (top / common).resolve(), (top / hooks).resolve(), environ)

    @property
    def is_shared(self) -> bool:
        """Whether the hooks folder lies outside of the repository: others may use it too."""
        own = [self.top.resolve(), self.common]
        if self.common.name == ".git":
            own.append(self.common.parent)
        return not any(self.hooks.is_relative_to(folder) for folder in own)

    def git(self, *arguments: str) -> str:
        """Return what git prints, without the last line's end. Raises ConfigError if it fails."""
        return _git(self.top, self._environ, *arguments)

    def get(self, name: str, *, only_here: bool = False) -> list[str]:
        """Return the values of a git setting; ``only_here`` passes over the user's own."""
        where = ["--local"] if only_here else []
        ask = ("config", *where, "--null", "--get-all", name)
        answer = _run(self.top, self._environ, *ask)
        return answer.stdout.split("\0")[:-1] if answer.returncode == 0 else []

    def set(self, name: str, value: str | None) -> bool:
        """Set one of this repository's git settings, or take it away; tell whether it changed."""
        if self.get(name, only_here=True) == ([] if value is None else [value]):
            return False
        if value is None:
            self.git("config", "--local", "--unset-all", name)
        else:
            self.git("config", "--local", "--replace-all", name, value)
        return True


def _git(folder: Path, environ: Mapping[str, str], *arguments: str) -> str:
    answer = _run(folder, environ, *arguments)
    if answer.returncode != 0:
        said = " ".join(answer.stderr.split()) or f"exit code {answer.returncode}"
        raise ConfigError(f"git {arguments[0]} in {folder} says: {said}")
    return answer.stdout.removesuffix("\n")


def _run(
    folder: Path, environ: Mapping[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["git", *_PLAIN, *arguments],
            cwd=folder,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=_TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError as error:
        raise ConfigError("git is not found: install it, or put it on the PATH") from error
    except subprocess.TimeoutExpired as error:
        raise ConfigError(
            f"git {arguments[0]} in {folder} takes more than {_TIMEOUT_S:.0f} s"
        ) from error
