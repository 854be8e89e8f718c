"""Closes open runs when the process is told to end (SIGTERM), then lets it end as it would have.

Only while a run is open, only from the main thread, and only where the loop has no handler of its
own: nightpane never replaces one.
"""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nightpane.client.runs import Run

__all__ = ["unwatch", "watch"]

_LIMIT_S = 5.0
_runs: list[Run] = []


def watch(run: Run) -> None:
    """Close ``run`` as interrupted if SIGTERM arrives before it is left."""
    if not run._pane.close_on_sigterm or threading.current_thread() is not threading.main_thread():
        return
    current = signal.getsignal(signal.SIGTERM)
    if current is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _on_sigterm)
    elif current is not _on_sigterm:
        return
    _runs.append(run)


def unwatch(run: Run) -> None:
    """Stop watching; the default comes back with the last run."""
    if run not in _runs:
        return
    _runs.remove(run)
    if (
        not _runs
        and threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) is _on_sigterm
    ):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _on_sigterm(number: int, _frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)
    # On a thread, with a limit: the interrupted code may hold a lock that closing needs.
    closing = threading.Thread(target=_close_all, name="nightpane-sigterm", daemon=True)
    try:
        closing.start()
        closing.join(_LIMIT_S)
    finally:
        # The parent process sees what it would have seen without us: ended by the signal.
        os.kill(os.getpid(), number)


def _close_all() -> None:
    for run in reversed(_runs):
        if run._pid == os.getpid():
            run.interrupt("SIGTERM")
            run._pane.close()
