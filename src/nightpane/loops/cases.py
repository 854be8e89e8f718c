"""The cases that a score is made of, and which of them got worse.

A case is compared with its own best before, in the same run: a total that rises may hide a task
that was lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from nightpane.loops.keep import Direction

__all__ = ["Case", "Regression", "best_of", "regressions"]

_THRESHOLD = 0.05
# Scores such as 0.9 and 0.85 differ by a little more than 0.05 in binary.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One case judged: the properties of ``eval.case``. None is not known."""

    case_id: str
    score: float | None = None
    passed: bool | None = None
    dim: str | None = None
    rationale: str | None = None

    @property
    def document(self) -> dict[str, Any]:
        """The case as JSON, without what is not known."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Regression:
    """A case that is worse than its best before by more than 0.05, or no longer passes."""

    case_id: str
    dim: str | None
    prior_score: float | None
    new_score: float | None

    @property
    def document(self) -> dict[str, Any]:
        """The properties of ``eval.regression``."""
        known = self.prior_score is not None and self.new_score is not None
        delta = self.new_score - self.prior_score if known else None  # type: ignore[operator]
        return {**asdict(self), "delta": delta}


def best_of(
    bests: Mapping[str, Case], cases: Iterable[Case], direction: Direction
) -> dict[str, Case]:
    """Return each case's best: its score, and whether it ever passed."""
    found = dict(bests)
    for case in cases:
        before = found.get(case.case_id)
        if before is None:
            found[case.case_id] = case
            continue
        scores = [one for one in (before.score, case.score) if one is not None]
        best = (max if direction == "max" else min)(scores) if scores else None
        passed = True if before.passed or case.passed else case.passed
        found[case.case_id] = Case(case_id=case.case_id, score=best, passed=passed, dim=case.dim)
    return found


def regressions(
    bests: Mapping[str, Case], cases: Iterable[Case], direction: Direction
) -> list[Regression]:
    """Return the cases that are worse than ``bests``."""
    found = []
    for case in cases:
        before = bests.get(case.case_id)
        if before is not None and _is_worse(before, case, direction):
            found.append(
                Regression(
                    case_id=case.case_id,
                    dim=case.dim,
                    prior_score=before.score,
                    new_score=case.score,
                )
            )
    return found


def _is_worse(before: Case, case: Case, direction: Direction) -> bool:
    if before.passed and case.passed is False:
        return True
    if before.score is None or case.score is None:
        return False
    loss = before.score - case.score if direction == "max" else case.score - before.score
    return loss > _THRESHOLD + _ROUNDING
