"""The values a morning is made of. None always means "not known" or "there is none", never zero."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from nightpane.digest.nights import Night
from nightpane.stats import Progress

__all__ = [
    "Cost",
    "Counts",
    "Loop",
    "Morning",
    "Quiet",
    "Round",
    "ScoreLine",
    "Stage",
    "Standing",
]


@dataclass(frozen=True, slots=True)
class Cost:
    """What is known of a cost: ``known_usd`` over ``rounds_known`` of ``rounds`` rounds."""

    known_usd: float | None
    rounds_known: int
    rounds: int

    @property
    def complete(self) -> bool:
        """Whether every round's cost is known."""
        return self.rounds_known == self.rounds

    def per(self, count: int) -> float | None:
        """Return the known cost shared out over ``count``, None when it cannot be."""
        return None if self.known_usd is None or count == 0 else self.known_usd / count

    def __add__(self, other: Cost) -> Cost:
        known = [usd for usd in (self.known_usd, other.known_usd) if usd is not None]
        return Cost(
            known_usd=sum(known) if known else None,
            rounds_known=self.rounds_known + other.rounds_known,
            rounds=self.rounds + other.rounds,
        )


@dataclass(frozen=True, slots=True)
class Stage:
    """How many rounds reached a stage of the funnel; None when this loop never emits it."""

    name: str
    rounds: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """The rounds of one loop in one night."""

    rounds: int
    kept: int
    reverted: int
    scored: int
    stages: tuple[Stage, ...]
    cost: Cost

    @property
    def open(self) -> int:
        """Rounds that were neither kept nor reverted: still running, or never finished."""
        return self.rounds - self.kept - self.reverted


@dataclass(frozen=True, slots=True)
class Standing:
    """The best score of an earlier night."""

    score: float
    night: date


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreLine:
    """One metric of one loop: the night's best, what it is held against, and the verdict.

    ``before`` is the best of the latest earlier night with a score, ``standing`` the best of all
    earlier nights looked at. ``change`` is the night's best against ``before``, positive
    for better.
    ``best_kept`` tells whether a kept round made the best.
    """

    metric: str | None
    direction: str
    n_scored: int
    best: float | None
    best_round_id: str | None
    best_kept: bool
    before: Standing | None
    standing: Standing | None
    change: float | None
    progress: Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """One project of one client in the night, and in the latest night before that had rounds."""

    project: str
    client: str
    counts: Counts
    before: Counts | None
    before_night: date | None
    failure_modes: tuple[tuple[str, int], ...]
    stop_reasons: tuple[tuple[str, int], ...]
    scores: tuple[ScoreLine, ...]


@dataclass(frozen=True, slots=True)
class Quiet:
    """A loop that ran the night before and not in this one."""

    project: str
    client: str
    rounds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One round in the digest's series, in order of time."""

    round_id: str
    project: str
    client: str
    started_at: datetime
    status: str
    failure_mode: str | None
    metric: str | None
    direction: str
    score: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Morning:
    """The whole digest. ``newest`` is the time of the newest round event, None when there is none.

    ``rounds`` are the night's latest rounds, at most a fixed number for each loop; ``queries`` are
    the HogQL texts all figures come from, by name.
    """

    night: Night
    now: datetime
    newest: datetime | None
    loops: tuple[Loop, ...]
    quiet: tuple[Quiet, ...]
    rounds: tuple[Round, ...]
    queries: Mapping[str, str]

    @property
    def is_latest(self) -> bool:
        """Whether no round event is newer than this night."""
        return self.newest is None or self.newest < self.night.end

    @property
    def total_rounds(self) -> int:
        """Rounds of all loops."""
        return sum(loop.counts.rounds for loop in self.loops)

    @property
    def total_kept(self) -> int:
        """Kept rounds of all loops."""
        return sum(loop.counts.kept for loop in self.loops)

    @property
    def total_cost(self) -> Cost:
        """Cost of all loops."""
        return sum((loop.counts.cost for loop in self.loops), Cost(None, 0, 0))
