"""What happened in each round: kept, reverted or crashed, by how much, and what the best was.

Plain rules, the same for every format, so that a count can be checked by hand:

- A crash has no score. Whatever number stands in its row is not one.
- A discard that says exactly 0 where lower is better was never measured (had it been, it would
  have won). It is a true 0 once a kept round has scored 0.
- A kept 0 is a score, unless the metric cannot be 0 (bits per byte, perplexity, time …).
- Where higher is better 0 is a score.
- No status, or none that is plain, decides nothing.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from nightpane.ledgers import metrics, status
from nightpane.ledgers.model import Direction, Outcome, Problem, Round, Row, Segment

__all__ = ["Judge", "Votes"]


@dataclass(slots=True)
class Judge:
    """Judges the rows of one segment in their order, and keeps the tally.

    ``known`` is False when the direction is no more than a last resort.
    """

    segment: Segment
    direction: Direction
    known: bool = True
    counts: Counter[str] = field(default_factory=Counter)
    failure_modes: Counter[str] = field(default_factory=Counter)
    best: float | None = None
    best_round: Round | None = None
    best_rejected: Round | None = None
    cost_usd: float | None = None
    zeros_taken_for_missing: int = 0
    kept_without_score: list[int] = field(default_factory=list)
    _standing: float | None = None
    _kept_zero: bool = False

    def __post_init__(self) -> None:
        self._standing = self.segment.start_score

    @property
    def rounds(self) -> int:
        """How many rounds were judged."""
        return self.counts.total()

    def judge(self, row: Row) -> Round | Problem:
        """Return the round a row tells of, or why it tells of none."""
        decided = self._decide(row)
        if isinstance(decided, Problem):
            return decided
        outcome, failure_mode = decided
        score = self._score(row, outcome)
        if outcome == "undecided" and score is None:
            return Problem(row.line, "neither a status nor a score")
        before = self._standing
        reference = before if before is not None else row.baseline_score
        better = score is not None and self._better(score, before)
        kept = outcome in ("kept", "undecided")
        delta = None
        if outcome == "kept" and score is not None and reference is not None:
            delta = self._sign * (score - reference)
        found = status.verdict(row.status)
        after = score if kept and better else before
        result = Round(
            row=row,
            outcome=outcome,
            score=score,
            failure_mode=failure_mode,
            delta=delta,
            best_before=before,
            best_after=after,
            n_prior_rounds=self.rounds,
            direction=self.direction,
            baseline=found is not None and found.baseline,
        )
        self._standing = after
        self._tally(result)
        return result

    @property
    def _sign(self) -> float:
        return 1.0 if self.direction == "max" else -1.0

    def _better(self, score: float, than: float | None) -> bool:
        return than is None or self._sign * (score - than) > 0

    def _decide(self, row: Row) -> tuple[Outcome, str | None] | Problem:
        if row.status is None:
            return "undecided", None
        found = status.verdict(row.status)
        if found is None:
            word = row.status if len(row.status) <= 60 else row.status[:57] + "…"
            return Problem(row.line, f"status {word!r} is neither keep, discard nor crash")
        if found.kind == "kept":
            return "kept", None
        if found.kind == "reverted":
            return "reverted", found.failure_mode or "score_missed"
        if found.kind == "crashed":
            return "crashed", found.failure_mode or "crash"
        measured = row.score is not None and row.score != 0
        return ("reverted", "invalid") if measured else ("crashed", "crash")

    def _score(self, row: Row, outcome: Outcome) -> float | None:
        if outcome == "crashed" or row.score is None:
            return None
        if row.score != 0 or self._zero_counts(row, outcome):
            return row.score
        self.zeros_taken_for_missing += 1
        return None

    def _zero_counts(self, row: Row, outcome: Outcome) -> bool:
        if outcome == "undecided":
            return False
        if outcome == "kept":
            name = self.segment.metric or ""
            return self.direction == "max" or not metrics.zero_is_no_value(name)
        if row.baseline_score == 0:
            return self._kept_zero  # "0 before, 0 after": nothing was run
        return self._kept_zero if self.direction == "min" else self.known

    def _tally(self, result: Round) -> None:
        self.counts[result.outcome] += 1
        if result.failure_mode is not None:
            self.failure_modes[result.failure_mode] += 1
        if result.row.cost_usd is not None:
            self.cost_usd = (self.cost_usd or 0.0) + result.row.cost_usd
        score = result.score
        if result.outcome == "kept":
            self._kept_zero = self._kept_zero or score == 0
            if score is None and len(self.kept_without_score) < 20:
                self.kept_without_score.append(result.line)
        if score is None:
            return
        if result.outcome in ("kept", "undecided"):
            if self._better(score, self.best):
                self.best, self.best_round = score, result
        elif "score_resolution" in result.row.properties:
            return  # rounded by the ledger: too coarse to compare with the best
        elif self.best_rejected is None or self._better(score, self.best_rejected.score):
            self.best_rejected = result


@dataclass(slots=True)
class Votes:
    """What the ledger's own decisions say of the metric's direction.

    A kept round that scores above the one standing speaks for "higher is better", a discarded one
    above it for "lower is better". Zeros, ties and crashes say nothing.
    """

    higher: int = 0
    lower: int = 0
    _standing: float | None = None

    def count(self, row: Row) -> None:
        """Take one row into account."""
        found = status.verdict(row.status)
        if found is None or row.score is None or row.score == 0:
            return
        if found.kind not in ("kept", "reverted") or found.failure_mode is not None:
            return
        kept = found.kind == "kept"
        if self._standing is not None and row.score != self._standing:
            if (row.score > self._standing) == kept:
                self.higher += 1
            else:
                self.lower += 1
        if kept:
            self._standing = row.score

    @property
    def total(self) -> int:
        """How many rounds said something."""
        return self.higher + self.lower

    def share(self, direction: Direction) -> float:
        """The part of the votes for a direction, 0 when there are none."""
        votes = self.higher if direction == "max" else self.lower
        return votes / self.total if self.total else 0.0
