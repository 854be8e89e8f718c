"""Grades of users and agents: how much quality a dollar bought, with an interval.

Efficiency is the mean quality over the mean cost of the calls that have both. Someone with too few
of them gets no letter: that is a normal answer. Who does easier tasks gets more for a dollar; a
grade compares spending, it does not judge people.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from nightpane.router.evidence import Cell, summed
from nightpane.router.figures import Sums, ratio
from nightpane.router.rules import Grading

__all__ = ["LETTERS", "Grade", "Kind", "grade"]

Kind = Literal["user", "agent"]
# Each with the share of the others that one must be better than.
LETTERS = (("A", 0.8), ("B", 0.6), ("C", 0.4), ("D", 0.2), ("E", 0.0))
_LEAST_TO_COMPARE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """What one user or agent got for their dollars.

    ``efficiency`` is quality per USD, from ``low`` to ``high``. Where ``letter`` is None,
    ``why_not`` says why; it ``is_certain`` when both ends of the interval would get the same.
    """

    kind: Kind
    name: str
    team: str
    calls: int
    graded: int
    cost_usd: float
    quality: float | None
    efficiency: float | None
    low: float | None
    high: float | None
    letter: str | None = None
    is_certain: bool = False
    why_not: str | None = None


def grade(
    cells: Sequence[Cell], rules: Grading, kind: Kind, *, confidence: float = 0.95
) -> list[Grade]:
    """Return everybody's grade, the best first.

    Letters come from the thresholds of the rules, else from how many of the team get less.
    """
    who: dict[str, list[Cell]] = {}
    for cell in cells:
        if name := cell.user if kind == "user" else cell.agent:
            who.setdefault(name, []).append(cell)
    found = [_measured(kind, name, mine, rules, confidence) for name, mine in who.items()]
    found = [_lettered(one, found, rules) for one in found]
    return sorted(found, key=lambda one: (-(one.efficiency or 0.0), one.name))


def _measured(
    kind: Kind, name: str, cells: Sequence[Cell], rules: Grading, confidence: float
) -> Grade:
    sums = summed(cells)
    within = ratio(sums, confidence)
    enough = sums.both >= rules.min_calls and within is not None
    return Grade(
        kind=kind,
        name=name,
        team=max(cells, key=lambda cell: cell.sums.calls).team,
        calls=sums.calls,
        graded=sums.graded,
        cost_usd=sums.c,
        quality=sums.mean_quality,
        efficiency=sums.bq / sums.bc if enough else None,
        low=within.low if enough and within else None,
        high=within.high if enough and within else None,
        why_not=None if enough else _why_not(sums, rules),
    )


def _why_not(sums: Sums, rules: Grading) -> str:
    if sums.both < rules.min_calls:
        return (
            f"too few calls with quality and cost: {sums.both} of {rules.min_calls} "
            f"({sums.graded} graded, {sums.priced} priced)"
        )
    if sums.bc <= 0:
        return "the graded calls cost nothing"
    return "the cost varies too much to tell it from nothing"


def _lettered(one: Grade, everybody: Iterable[Grade], rules: Grading) -> Grade:
    if one.efficiency is None or one.low is None or one.high is None:
        return one
    if rules.thresholds:
        letter_of = _by_threshold(rules)
    else:
        others = [
            other.efficiency
            for other in everybody
            if other.team == one.team and other.name != one.name and other.efficiency is not None
        ]
        if len(others) + 1 < _LEAST_TO_COMPARE:
            return replace(
                one, why_not=f"fewer than {_LEAST_TO_COMPARE} of the team can be compared"
            )
        letter_of = _by_place(others)
    letter = letter_of(one.efficiency)
    is_certain = letter_of(one.low) == letter == letter_of(one.high)
    return replace(one, letter=letter, is_certain=is_certain)


def _by_threshold(rules: Grading) -> Callable[[float], str]:
    lowest = rules.thresholds[-1][0]
    return lambda value: next((name for name, least in rules.thresholds if value >= least), lowest)


def _by_place(others: Sequence[float]) -> Callable[[float], str]:
    def letter(value: float) -> str:
        share = sum(other < value for other in others) / len(others)
        return next(name for name, least in LETTERS if share >= least)

    return letter
