"""Files that a command must leave alone: read before it runs, and put back when it did not.

They are what git itself goes by (its settings, hooks and exclusions), and what the loop writes.
They are small, and kept in memory only: git's settings may hold a password.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nightpane.errors import LoopError

__all__ = ["guarded"]

_State = tuple[str, bytes, int]


@contextmanager
def guarded(folders: Iterable[Path], files: Iterable[Path]) -> Iterator[None]:
    """Put every file in the folders, and the files, back as they were when the block ends.

    Raises LoopError naming those that were changed, made or removed in it.
    """
    folders, files = list(folders), list(files)
    before = _read(folders, files)
    try:
        yield
    finally:
        after = _read(folders, files)
        changed = sorted(path for path in {*before, *after} if before.get(path) != after.get(path))
        for path in changed:
            _put_back(path, before.get(path))
    if changed:
        names = ", ".join(_shown(path) for path in changed[:5])
        raise LoopError(f"{names} changed, which nothing but the loop may change: it was put back")


def _read(folders: list[Path], files: list[Path]) -> dict[Path, _State]:
    paths = list(files)
    for folder in folders:
        if folder.is_dir():
            paths += [one for one in folder.iterdir() if not one.is_dir() or one.is_symlink()]
    found = {}
    for path in paths:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            found[path] = _state(path)
    return found


def _state(path: Path) -> _State:
    if path.is_symlink():
        return "link", os.fsencode(path.readlink()), 0
    with path.open("rb") as file:
        return "file", file.read(), path.stat().st_mode & 0o777


def _put_back(path: Path, state: _State | None) -> None:
    path.unlink(missing_ok=True)
    if state is None:
        return
    kind, content, mode = state
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "link":
        path.symlink_to(os.fsdecode(content))
        return
    path.write_bytes(content)
    path.chmod(mode)


def _shown(path: Path) -> str:
    at = path.parts.index(".git") if ".git" in path.parts else len(path.parts) - 1
    return "/".join(path.parts[at:])
