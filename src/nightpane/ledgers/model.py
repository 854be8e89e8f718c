"""What a ledger is once it is read: rounds, what could not be read, and what had to be guessed.

Formats produce `Row`s (what a line says), a judge turns each into a `Round` (what happened) or a
`Problem` (why nothing is said about it). Nothing here opens a file or makes an event.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

__all__ = [
    "Direction",
    "Moment",
    "Outcome",
    "Problem",
    "Round",
    "Row",
    "Segment",
    "Stop",
]

Direction = Literal["min", "max"]
Outcome = Literal["kept", "reverted", "crashed", "undecided"]


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time as the ledger gives it. ``exact`` is False for a bare date."""

    at: datetime
    exact: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A stretch of a ledger whose scores can be compared: one metric, one direction, one run.

    ``direction`` is None where the file does not state it. ``index`` counts from 0.
    """

    index: int = 0
    metric: str | None = None
    direction: Direction | None = None
    unit: str | None = None
    name: str | None = None
    metric_stated: bool = False
    start_score: float | None = None
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One record of a ledger as it stands in the file, before anything is decided about it."""

    line: int
    index: int
    segment: Segment
    status: str | None
    score: float | None
    score_text: str = ""
    commit: str | None = None
    description: str | None = None
    when: Moment | None = None
    cost_usd: float | None = None
    baseline_score: float | None = None
    measured: bool = True
    properties: Mapping[str, Any] = field(default_factory=dict)
    dims: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One round as it is imported.

    ``score`` is None when the round has none (a crash; a discard that was never measured).
    ``delta`` is the improvement over ``best_before``, positive whichever way the metric points.
    ``failure_mode`` is None unless the round was reverted or crashed.
    """

    row: Row
    outcome: Outcome
    score: float | None
    failure_mode: str | None
    delta: float | None
    best_before: float | None
    best_after: float | None
    n_prior_rounds: int
    direction: Direction
    baseline: bool

    @property
    def line(self) -> int:
        """The line of the file on which the round's record begins, from 1."""
        return self.row.line


@dataclass(frozen=True, slots=True)
class Problem:
    """A line that was not read, and why."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """The end of a run, where the ledger states it."""

    line: int
    segment: Segment
    reason: str
    when: Moment | None = None
    total_cost_usd: float | None = None
