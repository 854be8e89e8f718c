"""The verdict on one variant: PostHog's figures, the guard beside them, and a decision in words.

The error rate is spent in two parts that add up to 0.05. The guard has ``GUARD_ALPHA`` and may be
looked at any time; the one look at the planned size has ``PLANNED_ALPHA``, and is taken at the
units that came first, so that looking again later does not change it. Hence, by Bonferroni's
inequality, an experiment without an effect is called significant with probability 0.05 at most
however often it is looked at. It must never call anything significant on the fixed-horizon figures
of a look that was not planned.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from nightpane.stats.experiments.effects import (
    Bayesian,
    Effect,
    Frequentist,
    bayesian,
    effect,
    frequentist,
)
from nightpane.stats.experiments.guard import Guard, guard
from nightpane.stats.experiments.power import units_for_mean, units_for_proportion
from nightpane.stats.experiments.samples import Kind, Sample

__all__ = [
    "GUARD_ALPHA",
    "LEAST_UNITS",
    "PILOT",
    "PLANNED_ALPHA",
    "Comparison",
    "Decision",
    "Plan",
    "compare",
    "validation",
]

GUARD_ALPHA = 0.01
PLANNED_ALPHA = 0.04
# With fewer units in an arm there are no figures at all.
LEAST_UNITS = 5
LEAST_CONVERSIONS = 5
# The first units of the baseline tell its figure and variance, from which the size is planned.
PILOT = 50
_ROUGH = 0.2


class Decision(StrEnum):
    """What can be said of a variant."""

    BETTER = "better"
    WORSE = "worse"
    NO_EFFECT_SEEN = "no effect seen"
    NOT_ENOUGH_DATA = "not enough data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What was decided before the first look.

    ``minimum_effect`` is the smallest effect worth finding, relative to the baseline's figure
    unless ``relative`` is false; ``power`` the chance of finding it. ``units`` is the number of
    units for each arm when somebody fixed it; else it is worked out from the baseline's first
    ``PILOT`` units (an internal pilot: Wittes and Brittain 1990, "The role of internal pilot
    studies in increasing the efficiency of clinical trials").
    """

    minimum_effect: float = 0.3
    relative: bool = True
    lower_is_better: bool = False
    power: float = 0.8
    confidence: float = 0.95
    units: int | None = None
    prior_variance: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A variant against the baseline. What could not be worked out is None; ``failures`` says why.

    ``significant`` is the guarded verdict and ``fixed_horizon`` what PostHog's own rule says at
    this look. ``needed`` units for each arm are planned (provisionally, until the baseline has
    ``PILOT``), ``left`` of them are missing over both arms. ``planned`` is the look at that size.
    """

    decision: Decision
    significant: bool
    fixed_horizon: bool
    effect: Effect | None
    frequentist: Frequentist | None
    bayesian: Bayesian | None
    guard: Guard | None
    planned: Frequentist | None
    needed: int | None
    left: int | None
    failures: tuple[str, ...]
    warnings: tuple[str, ...]


def compare(baseline: Sequence[Sample], variant: Sequence[Sample], plan: Plan) -> Comparison:
    """Return the verdict on a variant. Each arm comes as its units in lots, in order of exposure.

    A lot is counted whole: finer lots place the pilot and the planned look more exactly.
    """
    c, t = _total(baseline), _total(variant)
    needed = _needed(_first(baseline, PILOT) or c, plan)
    left = None if needed is None else max(0, needed - c.n) + max(0, needed - t.n)
    failures = tuple(dict.fromkeys((*validation(c, is_baseline=True), *validation(t))))
    found = effect(c, t, relative=plan.relative) if not failures else None
    if found is None or not found.variance > 0:
        why = failures or ("not-enough-metric-data",)
        return _nothing(needed, left, why, () if failures else ("neither arm varies at all",))
    classic = frequentist(found, confidence=plan.confidence)
    watched = guard(found, minimum_effect=plan.minimum_effect, alpha=GUARD_ALPHA)
    planned = _planned(baseline, variant, needed, plan)
    by_plan = planned is not None and planned.p_value < PLANNED_ALPHA
    by_guard = watched is not None and watched.agrees
    low, high = classic.interval
    return Comparison(
        decision=_decision(found, by_plan or by_guard, planned is not None, plan),
        significant=by_plan or by_guard,
        fixed_horizon=low > 0 or high < 0,
        effect=found,
        frequentist=classic,
        bayesian=bayesian(
            found,
            lower_is_better=plan.lower_is_better,
            confidence=plan.confidence,
            prior_variance=plan.prior_variance,
        ),
        guard=watched,
        planned=planned,
        needed=needed,
        left=left,
        failures=(),
        warnings=_warnings(c, t, plan),
    )


def validation(sample: Sample, *, is_baseline: bool = False) -> tuple[str, ...]:
    """Return why a sample gives no figures, in PostHog's words; nothing when it does."""
    found = []
    if sample.n < LEAST_UNITS:
        found.append("not-enough-exposures")
    if (sample.kind is Kind.PROPORTION and sample.sum < LEAST_CONVERSIONS) or (
        sample.kind is Kind.RATIO and not sample.denominator_sum
    ):
        found.append("not-enough-metric-data")
    if is_baseline and not sample.sum:
        found.append("baseline-mean-is-zero")
    return tuple(found)


def _decision(found: Effect, significant: bool, looked: bool, plan: Plan) -> Decision:
    if not significant:
        return Decision.NO_EFFECT_SEEN if looked else Decision.NOT_ENOUGH_DATA
    return Decision.BETTER if (found.value < 0) is plan.lower_is_better else Decision.WORSE


def _planned(
    baseline: Sequence[Sample], variant: Sequence[Sample], needed: int | None, plan: Plan
) -> Frequentist | None:
    """Return the test at the planned size, None while an arm has not reached it."""
    if needed is None:
        return None
    c, t = _first(baseline, needed), _first(variant, needed)
    if c is None or t is None or validation(c, is_baseline=True) or validation(t):
        return None
    found = effect(c, t, relative=plan.relative)
    return frequentist(found, confidence=1 - PLANNED_ALPHA) if found.variance > 0 else None


def _needed(pilot: Sample, plan: Plan) -> int | None:
    """Return the planned size of an arm, provisional while the pilot is not complete."""
    if plan.units is not None:
        return max(plan.units, LEAST_UNITS)
    if pilot.n < LEAST_UNITS:
        return None
    difference = plan.minimum_effect * (abs(pilot.figure) if plan.relative else 1.0)
    if not (pilot.unit_variance > 0 and difference > 0):
        return None
    if pilot.kind is Kind.PROPORTION and not plan.relative:
        n = units_for_proportion(pilot.figure, difference, alpha=PLANNED_ALPHA, power=plan.power)
    else:
        deviation = _deviation(pilot, plan)
        n = units_for_mean(difference, deviation, alpha=PLANNED_ALPHA, power=plan.power)
    return max(n, pilot.n, PILOT)


def _deviation(pilot: Sample, plan: Plan) -> float:
    """Return the standard deviation of a unit, of both arms' mean variance, at the effect sought.

    A relative effect's variance weighs the baseline's with the square of how many times its figure
    the variant's is (``effect``).
    """
    if not plan.relative:
        return math.sqrt(pilot.unit_variance)
    effect_sought = -plan.minimum_effect if plan.lower_is_better else plan.minimum_effect
    times = max(0.0, 1 + effect_sought)
    of_variant = pilot.unit_variance
    if pilot.kind is Kind.PROPORTION:
        rate = min(1.0, pilot.figure * times)
        of_variant = rate * (1 - rate)
    return math.sqrt((of_variant + times**2 * pilot.unit_variance) / 2)


def _warnings(c: Sample, t: Sample, plan: Plan) -> tuple[str, ...]:
    found = []
    if c.kind is Kind.PROPORTION and any(min(s.sum, s.n - s.sum) < 5 for s in (c, t)):
        found.append("fewer than 5 units of one outcome: the normal approximation is rough")
    if c.kind is not Kind.PROPORTION and min(c.n, t.n) < 30:
        found.append("fewer than 30 units in an arm: the normal approximation is rough")
    if plan.relative and math.sqrt(c.unit_variance / c.n) > _ROUGH * abs(c.figure):
        found.append("the baseline is close to zero for its error: absolute differences say more")
    return tuple(found)


def _nothing(
    needed: int | None, left: int | None, failures: tuple[str, ...], warnings: tuple[str, ...]
) -> Comparison:
    return Comparison(
        decision=Decision.NOT_ENOUGH_DATA,
        significant=False,
        fixed_horizon=False,
        effect=None,
        frequentist=None,
        bayesian=None,
        guard=None,
        planned=None,
        needed=needed,
        left=left,
        failures=failures,
        warnings=warnings,
    )


def _total(lots: Sequence[Sample]) -> Sample:
    total, *others = lots
    for lot in others:
        total += lot
    return total


def _first(lots: Sequence[Sample], n: int) -> Sample | None:
    """Return the fewest first lots that hold n units, None when there are not so many."""
    total, *others = lots
    for lot in others:
        if total.n >= n:
            break
        total += lot
    return total if total.n >= n else None
