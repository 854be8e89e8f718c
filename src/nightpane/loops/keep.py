"""Whether a round is kept: three rules, each with the evidence it decided on.

A rule sees scores and a direction and nothing else. It must never call a gain real that the noise
of the measurement explains, unless that is the rule one asked for.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from nightpane.errors import ConfigError, MissingExtraError

__all__ = ["Better", "Decision", "Direction", "KeepRule", "MinimumDelta", "NoiseAware", "break_tie"]

Direction = Literal["max", "min"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Whether to keep, and why. ``gain`` is positive whichever way is better; ``low`` is the least
    gain that fits the measurements, where the rule works one out."""

    keep: bool
    rule: str
    gain: float
    why: str
    low: float | None = None
    n_candidate: int = 1
    n_best: int = 1


class KeepRule(Protocol):
    """Decides between the best so far and a candidate, from the scores measured of each."""

    @property
    def name(self) -> str:
        """The rule and its numbers, as the events tell them."""
        ...

    @property
    def repeats(self) -> int:
        """How often a candidate that looks better is measured again before the decision."""
        ...

    def decide(
        self, best: Sequence[float], candidate: Sequence[float], direction: Direction
    ) -> Decision:
        """Return the decision; both sequences hold one score or more."""
        ...


def gain_of(best: Sequence[float], candidate: Sequence[float], direction: Direction) -> float:
    """Return by how much the candidate's mean is better."""
    gain = statistics.fmean(candidate) - statistics.fmean(best)
    return gain if direction == "max" else -gain


def break_tie(
    decision: Decision, best: Mapping[str, float], candidate: Mapping[str, float]
) -> Decision:
    """Return the decision on a candidate that scored exactly as well as the best so far: kept when
    the first of its ``ties`` that differs is higher."""
    if decision.keep or decision.gain != 0:
        return decision
    for name, value in candidate.items():
        before = best.get(name)
        if before is None or value == before:
            continue
        if value > before:
            return replace(decision, keep=True, why=f"as good, and {name}")
        break
    return decision


@dataclass(frozen=True, slots=True)
class Better:
    """Keeps whatever is better, by however little: noise is kept too."""

    repeats: int = 0

    @property
    def name(self) -> str:
        """The rule, as the events tell it."""
        return "better"

    def decide(
        self, best: Sequence[float], candidate: Sequence[float], direction: Direction
    ) -> Decision:
        """Return the decision."""
        gain = gain_of(best, candidate, direction)
        keep = gain > 0
        why = "better than the best so far" if keep else "not better than the best so far"
        return Decision(keep=keep, rule=self.name, gain=gain, why=why)


@dataclass(frozen=True, slots=True)
class MinimumDelta:
    """Keeps a gain of at least ``delta``, in the metric's unit."""

    delta: float
    repeats: int = 0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.delta) and self.delta >= 0):
            raise ConfigError(f"delta {self.delta!r} must be a number of 0 or more")

    @property
    def name(self) -> str:
        """The rule and its delta, as the events tell them."""
        return f"minimum_delta({self.delta:g})"

    def decide(
        self, best: Sequence[float], candidate: Sequence[float], direction: Direction
    ) -> Decision:
        """Return the decision."""
        gain = gain_of(best, candidate, direction)
        keep = gain > 0 and gain >= self.delta
        why = f"the gain of {gain:.6g} {'reaches' if keep else 'is below'} {self.delta:g}"
        return Decision(keep=keep, rule=self.name, gain=gain, why=why)


@dataclass(frozen=True, slots=True)
class NoiseAware:
    """Keeps a gain that noise does not explain.

    A candidate whose first score is better is measured ``repeats`` times more, and only these
    count, since the first was chosen for being good. It is kept when the lower limit of the gain's
    one-sided interval (Welch 1947) lies above zero. The interval's level is ``false_nights``
    divided by ``rounds``, so that by Bonferroni's bound at most that share of nights of so many
    rounds keeps a round that is no better. The best so far stands with the measurements it was
    kept on: as these were chosen for being good too, the bound errs on the safe side.
    """

    repeats: int = 5
    rounds: int = 100
    false_nights: float = 0.05

    def __post_init__(self) -> None:
        if self.repeats < 2:
            raise ConfigError(f"repeats {self.repeats!r} must be 2 or more: one has no spread")
        if self.rounds < 1 or not 0 < self.false_nights < 1:
            raise ConfigError(
                f"rounds {self.rounds!r} must be 1 or more and false_nights {self.false_nights!r} "
                "between 0 and 1"
            )

    @property
    def name(self) -> str:
        """The rule and its numbers, as the events tell them."""
        return f"noise_aware({self.repeats} repeats, {self.false_nights:g} in {self.rounds} rounds)"

    def decide(
        self, best: Sequence[float], candidate: Sequence[float], direction: Direction
    ) -> Decision:
        """Return the decision. Raises MissingExtraError without scipy."""
        if len(candidate) == 1:
            gain = gain_of(best, candidate, direction)
            return Decision(
                keep=False, rule=self.name, gain=gain, n_best=len(best),
                why="not better than the best so far at the first measurement",
            )  # fmt: skip
        fresh = candidate[1:]
        gain = gain_of(best, fresh, direction)
        low = gain - self._margin(best, fresh)
        keep = low > 0
        told = f"gain {gain:.6g}, at least {low:.6g} of it beyond noise"
        why = told if keep else f"gain {gain:.6g} lies within noise (lower limit {low:.6g})"
        return Decision(
            keep=keep, rule=self.name, gain=gain, low=low, why=why,
            n_candidate=len(fresh), n_best=len(best),
        )  # fmt: skip

    def _margin(self, best: Sequence[float], fresh: Sequence[float]) -> float:
        """Return how far the gain may lie from the truth, one-sided, by Welch's interval."""
        if len(best) < 2 or len(fresh) < 2:
            return math.inf
        parts = [statistics.variance(scores) / len(scores) for scores in (best, fresh)]
        total = sum(parts)
        if total == 0:
            return 0.0
        shares = zip(parts, (best, fresh), strict=True)
        freedom = total**2 / sum(part**2 / (len(scores) - 1) for part, scores in shares)
        try:
            from scipy.special import stdtrit
        except ImportError as error:
            raise MissingExtraError("loops") from error
        level = 1 - self.false_nights / self.rounds
        return float(stdtrit(freedom, level)) * math.sqrt(total)
