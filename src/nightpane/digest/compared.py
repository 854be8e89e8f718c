"""The values of the whole digest: a night held against the night before and the week.

None always means "not known" or "there is none", never zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from nightpane.digest.model import Cost, Loop, Morning, Round, ScoreLine
from nightpane.stats import Move, Moved, Noise

__all__ = [
    "BEFORE_A_MOVE",
    "Change",
    "Digest",
    "Fallen",
    "Kept",
    "LoopReport",
    "Nightly",
    "Regression",
    "ScoreMove",
    "Week",
]

BEFORE_A_MOVE = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Nightly:
    """One loop's figures of one night. ``best`` and ``typical`` go by metric, ``dims`` are averages
    by dimension, ``cases_fallen`` counts ``eval.regression`` events."""

    night: date
    rounds: int
    kept: int
    scored: int
    failed: int
    escalations: int
    cases_fallen: int
    cost: Cost
    best: Mapping[str | None, float]
    typical: Mapping[str | None, float]
    dims: Mapping[str, float]
    stops: tuple[tuple[str, int], ...]
    escalated_to: tuple[tuple[str, int], ...]

    @property
    def per_kept_usd(self) -> float | None:
        """The known cost of a kept round."""
        return self.cost.per(self.kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """The medians of a loop's nights among the seven before; ``nights`` says how many it ran in."""

    nights: int
    figures: Mapping[str, float]
    best: Mapping[str | None, float]
    typical: Mapping[str | None, float]
    dims: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A kept round held against noise: its ``gain``, and the rounds ``tried`` since the kept one
    before it, itself included.

    ``rule`` and ``low`` are what the loop told of its decision; ``move`` is the judgement by the
    night's own noise where it told no limit.
    """

    round_id: str
    gain: float
    tried: int
    rule: str | None
    low: float | None
    move: Move | None

    @property
    def is_noise(self) -> bool:
        """Whether noise explains the gain."""
        if self.move is not None:
            return self.move.verdict is not Moved.IMPROVED
        return self.low is None or self.low <= 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreMove:
    """One metric of a loop against the night before, judged against noise.

    ``verdict`` joins those on the best and on the typical score. ``since`` is the first round after
    the score moved, None when it did not. ``judged_kept`` kept rounds could be judged against
    noise, and ``kept_on_noise`` are those of them whose gain it explains.
    """

    line: ScoreLine
    verdict: Moved
    best: Move
    typical: Move
    noise: Noise | None
    since: Round | None
    kept_on_noise: tuple[Kept, ...]
    judged_kept: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallen:
    """A case of a suite that fell below its best before, in a round that was not taken back."""

    round_id: str | None
    case_id: str
    dim: str | None
    prior_score: float | None
    new_score: float | None
    delta: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopReport:
    """A loop's night beside the latest night before it ran in, and the week. ``broken`` are the
    rounds that ended in a crash and the like, the oldest first."""

    loop: Loop
    now: Nightly
    before: Nightly | None
    week: Week | None
    moves: tuple[ScoreMove, ...]
    fallen: tuple[Fallen, ...]
    broken: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Regression:
    """Something that got worse, in one sentence, with what it rests on and the rounds to look at.

    ``p`` is the chance of it if nothing had changed, where a test gives one.
    """

    kind: Literal["score", "eval", "cost", "failures"]
    project: str
    client: str
    says: str
    evidence: str
    rounds: tuple[str, ...] = ()
    p: float | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """An annotation: when, and what it says."""

    at: datetime
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """The whole digest of a night. ``changes`` are the annotations of the time around it, the
    oldest first; None when they could not be read, with ``changes_unread`` saying why."""

    morning: Morning
    loops: tuple[LoopReport, ...]
    regressions: tuple[Regression, ...]
    changes: tuple[Change, ...] | None
    changes_unread: str | None

    def changes_before(self, move: ScoreMove) -> tuple[Change, ...]:
        """Return what was noted in the day before the first round after a move."""
        if move.since is None:
            return ()
        end = move.since.started_at
        return tuple(one for one in self.changes or () if end - BEFORE_A_MOVE <= one.at <= end)
