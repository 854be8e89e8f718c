"""Finding what a command left behind, whatever it did to hide: orphans become ours, and are ended.

On Linux a process can ask to be the one that orphans below it are given to. A daemon that has left
its session and emptied its environment is then still a child of this process. Elsewhere only the
session and the environment tell.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from nightpane.errors import MissingExtraError

__all__ = ["adopting", "psutil", "starting"]

_SET, _GET = 36, 37
_MOST_SWEEPS = 20
_POLL_S = 0.02
_leaders: set[int] = set()
starting = threading.RLock()
"""Held while a command is started and noted, so that no other thread takes it for an orphan."""


@contextmanager
def adopting() -> Iterator[set[int]]:
    """Be given the orphans that are left below this process in the block, and kill them at its end.

    Gives the set that the process ids of one's own commands are put into. Children that are there
    before, and those in this process's own session, are let be; what another thread starts in a
    session of its own meanwhile is taken for an orphan.
    """
    before = {child.pid for child in _children()}
    was = _subreaper()
    _become(1)
    try:
        yield _leaders
    finally:
        for _ in range(_MOST_SWEEPS):
            if not _kill_orphans(before):
                break
            time.sleep(_POLL_S)
        _become(was)


def _kill_orphans(before: set[int]) -> int:
    found = 0
    with starting:
        children = [child for child in _children() if child.pid not in before | _leaders]
    for child in children:
        with contextlib.suppress(psutil().Error, OSError):
            if os.getsid(child.pid) == os.getsid(0):
                continue
            for process in (*child.children(recursive=True), child):
                process.kill()
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child.pid, 0)
            found += 1
    return found


def _children() -> list[Any]:
    return list(psutil().Process().children()) if sys.platform == "linux" else []


def psutil() -> ModuleType:
    """Return the package psutil. Raises MissingExtraError without it."""
    try:
        import psutil as found
    except ImportError as error:
        raise MissingExtraError("loops") from error
    return found


def _subreaper() -> int:
    """Return whether orphans are given to this process."""
    value = ctypes.c_int(0)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_GET, ctypes.byref(value), 0, 0, 0)
    return value.value


def _become(value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET, value, 0, 0, 0)
