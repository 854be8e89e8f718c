"""What the client has done so far, counted, and a voice that does not shout the same thing twice.

Nothing is lost silently: each event that is not delivered has a counter, a reason and a log line.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Counters", "Health", "Voice"]

_REPEAT_S = 60.0

log = logging.getLogger("nightpane")


@dataclass(frozen=True, slots=True)
class Health:
    """A client's counters at one moment, for this process.

    ``not_written`` counts events that ``track()`` could not keep, by reason; ``set_aside`` those
    the destination refused for good; ``lost_frames`` those that could not be read back.
    ``pending_bytes`` is of the whole spool folder, None when it cannot be read.
    """

    written: int
    delivered: int
    not_written: Mapping[str, int]
    set_aside: int
    lost_frames: int
    invalid: int
    truncated: int
    redacted: int
    redaction_failures: int
    dropped_by_redactor: int
    pending_bytes: int | None
    retries: int
    last_error: str | None
    spool_dir: Path


class Counters:
    """Named counts that several threads add to."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        # Re-entrant: a signal handler may track() while its thread counts.
        self._lock = threading.RLock()
        self.last_error: str | None = None

    def add(self, name: str, count: int = 1) -> None:
        """Count ``count`` more of ``name``."""
        with self._lock:
            self._counts[name] += count

    def __getitem__(self, name: str) -> int:
        return self._counts[name]

    def starting(self, prefix: str) -> dict[str, int]:
        """Return the counts whose names begin with ``prefix``, without it."""
        with self._lock:
            items = list(self._counts.items())
        return {name[len(prefix) :]: count for name, count in items if name.startswith(prefix)}

    def after_fork(self) -> None:
        """Begin at zero in a child."""
        self._lock = threading.RLock()
        self._counts = Counter()
        self.last_error = None


class Voice:
    """Says a thing at once, then the same kind of thing at most once a minute, with how often."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._said: dict[str, tuple[float, int]] = {}

    def say(self, kind: str, message: str, *, level: int = logging.ERROR) -> None:
        """Log ``message`` unless ``kind`` was logged less than a minute ago."""
        now = self._monotonic()
        last, silent = self._said.get(kind, (-_REPEAT_S, 0))
        if now - last < _REPEAT_S:
            self._said[kind] = (last, silent + 1)
            return
        self._said[kind] = (now, 0)
        again = f" ({silent} more since it was last said)" if silent else ""
        log.log(level, "%s%s", message, again)

    def once(self, kind: str, message: str) -> None:
        """Warn of ``message`` the first time only."""
        if kind not in self._said and len(self._said) < 10_000:
            self._said[kind] = (self._monotonic(), 0)
            log.warning("%s", message)
