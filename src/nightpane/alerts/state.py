"""Remembers which alerts were told, so that a check tells only what is new."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nightpane.alerts.check import Finding
from nightpane.errors import ConfigError

__all__ = ["News", "Told"]


@dataclass(frozen=True, slots=True)
class News:
    """``new``: fired, and not told at this level. ``over``: keys told before, fired no more."""

    new: tuple[Finding, ...]
    over: tuple[str, ...]


class Told:
    """What was told of one file's alerts about one host: the level of each, by its key."""

    def __init__(self, state_dir: Path, *about: str) -> None:
        name = hashlib.sha256("\0".join(about).encode()).hexdigest()[:16]
        self._path = state_dir / "alerts" / f"{name}.json"
        self._levels = self._read()

    def news(self, findings: Sequence[Finding]) -> News:
        """Return what is worth telling. An alert is told again when it reaches a higher level."""
        fired = {finding.key: finding for finding in findings if finding.fired}
        new = [f for key, f in fired.items() if f.level > self._levels.get(key, -1)]
        return News(tuple(new), tuple(key for key in self._levels if key not in fired))

    def remember(self, findings: Sequence[Finding]) -> None:
        """Take the findings as told. Raises ConfigError when that cannot be written."""
        self._levels = {
            f.key: max(f.level, self._levels.get(f.key, 0)) for f in findings if f.fired
        }
        temporary = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps(self._levels), "utf-8")
            temporary.replace(self._path)
        except OSError as error:
            raise ConfigError(f"{self._path} cannot be written: {error}") from error

    def _read(self) -> dict[str, int]:
        try:
            read = json.loads(self._path.read_text("utf-8"))
            return {str(key): int(level) for key, level in read.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            # None yet, or damaged: everything that fires is told, once too often at worst.
            return {}
