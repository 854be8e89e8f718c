"""The commit of the loop's code, read from the repository's own files.

It starts no process, asks no network and never raises: what cannot be read is None.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

__all__ = ["code_folder", "short_sha"]

_SHORT = 7
_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")


def code_folder() -> Path | None:
    """Return the folder of the running script; the working folder for an installed command."""
    try:
        script = getattr(sys.modules.get("__main__"), "__file__", None)
        if script is not None:
            path = Path(script).resolve()
            installed = [Path(prefix).resolve() for prefix in (sys.prefix, sys.base_prefix)]
            if not any(path.is_relative_to(prefix) for prefix in installed):
                return path.parent
        return Path.cwd()
    except (OSError, RuntimeError, TypeError):
        return None


def short_sha(folder: Path | None) -> str | None:
    """Return the first seven characters of the commit checked out around ``folder``."""
    if folder is None:
        return None
    try:
        git = _git_folder(folder)
        return None if git is None else _head(git)
    except (OSError, ValueError, RuntimeError):
        return None


def _git_folder(folder: Path) -> Path | None:
    for parent in (folder, *folder.parents):
        git = parent / ".git"
        if git.is_dir():
            return git
        if git.is_file():
            # A worktree or submodule: one line, "gitdir: <path>".
            target = _first_line(git).removeprefix("gitdir:").strip()
            return (parent / target).resolve()
    return None


def _head(git: Path) -> str | None:
    head = _first_line(git / "HEAD")
    if not head.startswith("ref:"):
        return head[:_SHORT] if _SHA.match(head) else None
    ref = head.removeprefix("ref:").strip()
    common = git / "commondir"
    shared = (git / _first_line(common)).resolve() if common.is_file() else git
    for place in (git, shared):
        if (place / ref).is_file():
            sha = _first_line(place / ref)
            return sha[:_SHORT] if _SHA.match(sha) else None
    return _packed(shared / "packed-refs", ref)


def _packed(path: Path, ref: str) -> str | None:
    if not path.is_file():
        return None
    for line in path.read_text("utf-8", "replace").splitlines():
        sha, _, name = line.partition(" ")
        if name == ref and _SHA.match(sha):
            return sha[:_SHORT]
    return None


def _first_line(path: Path) -> str:
    with path.open("r", encoding="utf-8", errors="replace") as file:
        return file.readline(4096).strip()
