"""When a loop stops: each condition with its own reason, checked between rounds.

What the loop has done so far is counted in ``Progress``, a value that the journal can rebuild.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

from nightpane.errors import ConfigError
from nightpane.loops.keep import Direction

__all__ = ["Limits", "Progress"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What a run has come to: counts since its beginning, and in a row up to now."""

    rounds: int = 0
    kept: int = 0
    cost_usd: float = 0.0
    elapsed_s: float = 0.0
    since_gain: int = 0
    regressions: int = 0
    failures: int = 0
    at_target: int = 0

    def after(
        self,
        *,
        kept: bool,
        failed: bool,
        at_target: bool,
        cost_usd: float | None,
        interrupted: bool = False,
    ) -> Progress:
        """Return the progress after one more round.

        A failed round has no score: it counts as a failure in a row, and leaves regressions (scored
        rounds in a row that were reverted) where they were. One that was interrupted from outside
        says nothing of the proposals, and is neither.
        """
        regressions, failures = self.regressions, self.failures
        if not interrupted:
            failures = failures + 1 if failed else 0
            regressions = regressions if failed else 0 if kept else regressions + 1
        return replace(
            self,
            rounds=self.rounds + 1,
            kept=self.kept + kept,
            cost_usd=self.cost_usd + (cost_usd or 0.0),
            since_gain=0 if kept else self.since_gain + 1,
            regressions=regressions,
            failures=failures,
            at_target=self.at_target + 1 if at_target else 0,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What ends a run; None sets no limit. At least one limit must be set.

    ``plateau`` is rounds without a kept one, ``regressions`` scored rounds reverted in a row,
    ``failures`` rounds without a score in a row. ``target`` is reached when the best score is as
    good for ``sustained`` rounds in a row. A file at ``kill_file`` stops the loop, whatever is in
    it.
    """

    max_rounds: int | None = None
    budget_usd: float | None = None
    hours: float | None = None
    plateau: int | None = None
    regressions: int | None = None
    failures: int | None = 5
    target: float | None = None
    sustained: int = 1
    kill_file: Path | None = None

    def __post_init__(self) -> None:
        counts = ("max_rounds", "budget_usd", "hours", "plateau", "regressions", "failures")
        for name in (*counts, "sustained"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ConfigError(f"{name} {value!r} must be above 0")
        if all(getattr(self, name) is None for name in (*counts[:4], "target")):
            raise ConfigError(
                "the loop would never end: set max_rounds, budget_usd, hours, plateau or target"
            )

    def is_reached(self, score: float | None, direction: Direction) -> bool:
        """Return whether a score is as good as the target."""
        if self.target is None or score is None:
            return False
        return score >= self.target if direction == "max" else score <= self.target

    def reason(self, progress: Progress) -> str | None:
        """Return why the loop stops now, in ``stop_triggered``'s words; None while it goes on."""
        if self.kill_file is not None and self.kill_file.exists():
            return "kill_switch"
        hours = progress.elapsed_s / 3600
        reached = (
            ("target", None if self.target is None else self.sustained, progress.at_target),
            ("failures", self.failures, progress.failures),
            ("budget", self.budget_usd, progress.cost_usd),
            ("time_budget", self.hours, hours),
            ("regressions", self.regressions, progress.regressions),
            ("plateau", self.plateau, progress.since_gain),
            ("max_rounds", self.max_rounds, progress.rounds),
        )
        return next(
            (name for name, limit, value in reached if limit is not None and value >= limit), None
        )
