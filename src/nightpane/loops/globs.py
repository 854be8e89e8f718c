"""Which files a glob names: one rule for what may be edited and for what is protected.

``*`` stands for any characters, slashes too; ``**/`` also for nothing; a folder's name for all
that lies below it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

__all__ = ["files_of", "matches"]

_WILD = "*?["


def matches(name: str, globs: Sequence[str]) -> bool:
    """Return whether a path below the root is one that the globs name."""
    return any(_matches(name, glob.strip("/").removeprefix("./")) for glob in globs)


def files_of(root: Path, glob: str) -> Iterator[Path]:
    """Give the files and links below ``root`` that a glob names; links are not followed."""
    glob = glob.strip("/").removeprefix("./")
    start = root / "/".join(_still(glob.split("/")))
    if start.is_symlink() or start.is_file():
        yield start
    for folder, below, names in os.walk(start):
        below[:] = [one for one in below if one != ".git"]
        linked = [one for one in below if Path(folder, one).is_symlink()]
        for name in sorted([*names, *linked]):
            path = Path(folder, name)
            if _matches(path.relative_to(root).as_posix(), glob):
                yield path


def _matches(name: str, glob: str) -> bool:
    return (
        fnmatchcase(name, glob)
        or fnmatchcase(name, glob.replace("**/", ""))
        or name.startswith(f"{glob}/")
        or glob in ("", ".")
    )


def _still(parts: Sequence[str]) -> Iterator[str]:
    """Give the folders that a glob begins with."""
    for part in parts:
        if any(one in part for one in _WILD):
            return
        yield part
