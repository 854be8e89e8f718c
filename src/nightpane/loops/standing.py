"""What a run has come to: the best so far, what is counted, who proposes. Rebuilt by the journal.

The same entries always give the same standing, so a loop that was killed goes on from where it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nightpane.loops.cases import Case, best_of
from nightpane.loops.journal import Entry
from nightpane.loops.keep import Direction
from nightpane.loops.stop import Limits, Progress

__all__ = ["Standing", "Step"]


@dataclass(frozen=True, slots=True)
class Step:
    """A step on the ladder, and what the tier that is left had come to."""

    tier: int
    stall_rounds: int
    reason: str
    tier_rounds: int
    tier_cost_usd: float
    helped: bool


@dataclass(slots=True)
class Standing:
    """The standing of a run whose first commit is ``commit``."""

    direction: Direction
    limits: Limits
    commit: str
    scores: list[float] = field(default_factory=list)
    dims: dict[str, float] = field(default_factory=dict)
    ties: dict[str, float] = field(default_factory=dict)
    cases: dict[str, Case] = field(default_factory=dict)
    measured: bool | None = None
    progress: Progress = field(default_factory=Progress)
    tier: int = 0
    _since_tier: int = 0
    _tier_rounds: int = 0
    _tier_kept: int = 0
    _tier_cost_usd: float = 0.0

    @property
    def score(self) -> float | None:
        """The best score: the mean of what was measured of it."""
        return sum(self.scores) / len(self.scores) if self.scores else None

    def is_better(self, value: float) -> bool:
        """Return whether a value is better than the best score, or the first there is."""
        best = self.score
        if best is None:
            return True
        return value > best if self.direction == "max" else value < best

    def remember(self, cases: Sequence[Mapping[str, Any]]) -> None:
        """Take a round's cases among the best of each."""
        judged = [Case(**case) for case in cases]
        self.cases = best_of(self.cases, judged, self.direction)

    def count(self, decided: Entry) -> None:
        """Count a round that is settled."""
        kept = bool(decided["kept"])
        if kept:
            # Only what was measured after the first look: that one was chosen for being good.
            scores = decided["scores"]
            self.scores = scores[1:] if len(scores) > 1 and decided["number"] else scores
            self.dims, self.ties = decided["dims"], decided["ties"]
            self.measured = decided["measured"]
            self.commit = decided["commit"] or self.commit
        if decided["number"]:
            self._tier_rounds += 1
            self._tier_kept += kept
            self._tier_cost_usd += decided["cost_usd"] or 0.0
            self._since_tier = 0 if kept else self._since_tier + 1
        self.progress = self.progress.after(
            kept=kept,
            failed=decided["score"] is None,
            interrupted=decided["failure_mode"] == "interrupted",
            at_target=self.limits.is_reached(self.score, self.direction),
            cost_usd=decided["cost_usd"],
        )

    def step(self, after: int | None, tiers: int) -> Step | None:
        """Return the step to take on a ladder now: up after so many rounds without a gain, back to
        the first tier after a kept one."""
        if self.tier and self._tier_kept:
            return self._step(0, "a round was kept: back to the first")
        if after is not None and self._since_tier >= after and self.tier + 1 < tiers:
            return self._step(self.tier + 1, f"{self._since_tier} rounds without a gain")
        return None

    def _step(self, tier: int, reason: str) -> Step:
        return Step(
            tier=tier,
            stall_rounds=self._since_tier,
            reason=reason,
            tier_rounds=self._tier_rounds,
            tier_cost_usd=self._tier_cost_usd,
            helped=self._tier_kept > 0,
        )

    def stand_on(self, tier: int) -> None:
        """Begin to count anew on a tier."""
        self.tier, self._since_tier = tier, 0
        self._tier_rounds, self._tier_kept, self._tier_cost_usd = 0, 0, 0.0
