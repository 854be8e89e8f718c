"""One thing that was looked at, and a dimension's score from many of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["Case", "Severity", "score_of"]

Severity = Literal["error", "warning", "info"]
"""How much it matters that a check failed; an error is mended first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A check of one entity, explained.

    ``points`` are 0 to 1 and count with ``weight`` in the dimension's mean; ``deduct`` is taken off
    the dimension's score besides. ``rationale`` says what was found and ``fix`` what to do; the fix
    is empty where nothing is wrong. ``severity`` is what the rubric says of the check, put there by
    the scorer. ``kind`` and ``entity_id`` name the entity, where there is one.
    """

    check: str
    subject: str
    points: float
    rationale: str
    fix: str = ""
    severity: Severity = "warning"
    weight: float = 1.0
    deduct: float = 0.0
    kind: str = ""
    entity_id: str = ""

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return self.points >= 1 and self.deduct == 0


def score_of(cases: Sequence[Case], *, empty: float = 1.0) -> float:
    """Return the weighted mean of the points, less what is deducted, between 0 and 1; ``empty``
    stands for the mean where nothing has a weight."""
    total = sum(case.weight for case in cases)
    mean = sum(case.weight * case.points for case in cases) / total if total else empty
    return min(max(mean - sum(case.deduct for case in cases), 0.0), 1.0)
