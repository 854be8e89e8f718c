"""From the rows of an experiment's query to PostHog's response, and what nightpane adds to it.

PostHog's fields hold what PostHog would say. The additions have names of their own: ``unit``,
``guard``, ``decision``, ``sample_size_left``, ``sample_ratio_p_value`` and so on. ``significant``
is the guarded verdict; what PostHog's rule says at this look is ``fixed_horizon_significant``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nightpane.experiments.metric import Metric
from nightpane.experiments.question import MULTIPLE
from nightpane.experiments.units import Units
from nightpane.stats.experiments import (
    GUARD_ALPHA,
    GUARD_FROM,
    PLANNED_ALPHA,
    Comparison,
    Kind,
    Plan,
    Sample,
    compare,
    mismatch_p_value,
    validation,
)

__all__ = ["Arm", "Design", "arms_of", "respond"]

_MANY_MIXED = 0.01
_MISMATCH = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """What an experiment's documents decide: its variants with their shares, and its plan."""

    variants: Mapping[str, float]
    baseline: str
    method: str
    plan: Plan
    first_seen: bool = False


@dataclass(slots=True)
class Arm:
    """One variant's units: in lots, in order of exposure, and those without a value."""

    lots: list[Sample] = field(default_factory=list)
    measured: int = 0
    mixed: int = 0
    without_value: int = 0
    step_counts: list[int] = field(default_factory=list)

    @property
    def units(self) -> int:
        """All units that were exposed."""
        return sum(lot.n for lot in self.lots) + self.without_value


def kind_of(metric: Metric, units: Units) -> Kind:
    """Return how a variant's figure is made: a rate of rates is a mean."""
    if metric.metric_type == "ratio":
        return Kind.RATIO
    if metric.metric_type == "funnel" and not units.clustered:
        return Kind.PROPORTION
    return Kind.MEAN


def arms_of(
    rows: Sequence[Mapping[str, Any]], metric: Metric, units: Units, variants: Sequence[str]
) -> dict[str, Arm]:
    """Return the variants (and ``$multiple``) with what the query's rows say of them."""
    kind = kind_of(metric, units)
    arms = {key: Arm() for key in (*variants, MULTIPLE)}
    for row in rows:
        arm = arms[row["arm"]]
        arm.measured += row["measured"]
        arm.mixed += row["mixed"]
        if not row["valued"]:
            arm.without_value += row["units"]
            continue
        arm.lots.append(_sample(row, kind))
        if metric.metric_type == "funnel":
            steps = [row[f"step_{i}"] for i in range(len(metric.sources))]
            before = arm.step_counts or [0] * len(steps)
            arm.step_counts = [a + b for a, b in zip(before, steps, strict=True)]
    return arms


def respond(
    arms: Mapping[str, Arm], metric: Metric, units: Units, design: Design
) -> dict[str, Any]:
    """Return PostHog's answer to an ``ExperimentQuery``, without the fields of the transport."""
    kind = kind_of(metric, units)
    base = arms[design.baseline]
    baseline = _total(base, kind)
    compared = {
        key: compare(base.lots or [baseline], arms[key].lots or [_total(arms[key], kind)], plan)
        for key, plan in _plans(design)
    }
    counts = [arms[key].units for key in design.variants]
    ratio = mismatch_p_value(counts, list(design.variants.values()))
    return {
        "kind": "ExperimentQuery",
        "baseline": {
            **_sums(design.baseline, base, baseline, metric),
            "validation_failures": list(validation(baseline, is_baseline=True)),
        },
        "variant_results": [
            {
                **_sums(key, arms[key], _total(arms[key], kind), metric),
                **_verdict(compared[key], design.method),
            }
            for key in compared
        ],
        "exposures": {
            "total_exposures": _exposures(arms, design),
            "sample_ratio_mismatch": None if ratio is None else _expected(ratio, counts, design),
        },
        "unit": {
            "assigned": str(units.assigned),
            "measured": str(units.measured),
            "clustered": units.clustered,
            "explanation": units.explain(),
        },
        "plan": _planned(design, compared),
        "sample_size_left": _least_left(compared),
        "sample_ratio_p_value": ratio,
        "warnings": list(_warnings(arms, metric, units, design, ratio)),
    }


def _plans(design: Design) -> Iterator[tuple[str, Plan]]:
    return ((key, design.plan) for key in design.variants if key != design.baseline)


def _sample(row: Mapping[str, Any], kind: Kind) -> Sample:
    return Sample(
        kind=kind,
        n=row["units"],
        sum=row["sum_0"],
        sum_squares=row["squares_0"],
        denominator_sum=row.get("sum_1") or 0.0,
        denominator_sum_squares=row.get("squares_1") or 0.0,
        product_sum=row.get("product") or 0.0,
    )


def _total(arm: Arm, kind: Kind) -> Sample:
    total = Sample(kind=kind, n=0, sum=0.0, sum_squares=0.0)
    for lot in arm.lots:
        total += lot
    return total


def _sums(key: str, arm: Arm, total: Sample, metric: Metric) -> dict[str, Any]:
    found: dict[str, Any] = {
        "key": key,
        "number_of_samples": total.n,
        "sum": total.sum,
        "sum_squares": total.sum_squares,
        "figure": None if math.isnan(total.figure) else total.figure,
        "measured_units": arm.measured,
        "units_without_value": arm.without_value,
    }
    if metric.metric_type == "funnel":
        found["step_counts"] = arm.step_counts or [0] * len(metric.sources)
    if total.kind is Kind.RATIO:
        found["denominator_sum"] = total.denominator_sum
        found["denominator_sum_squares"] = total.denominator_sum_squares
        found["numerator_denominator_sum_product"] = total.product_sum
    return found


def _verdict(one: Comparison, method: str) -> dict[str, Any]:
    bayes, classic = one.bayesian, one.frequentist
    said: dict[str, Any] = {"method": method}
    if method == "bayesian":
        said["chance_to_win"] = bayes.chance_to_win if bayes else None
        said["credible_interval"] = list(bayes.interval) if bayes else None
    else:
        said["p_value"] = classic.p_value if classic else None
        said["confidence_interval"] = list(classic.interval) if classic else None
    return {
        **said,
        "significant": one.significant if one.effect else None,
        "validation_failures": list(one.failures),
        "decision": str(one.decision),
        "effect": one.effect.value if one.effect else None,
        "effect_is_relative": one.effect.relative if one.effect else None,
        "fixed_horizon_significant": one.fixed_horizon if one.effect else None,
        "frequentist": classic
        and {"p_value": classic.p_value, "confidence_interval": list(classic.interval)},
        "bayesian": bayes
        and {
            "chance_to_win": bayes.chance_to_win,
            "credible_interval": list(bayes.interval),
            "risk": bayes.risk,
        },
        "guard": one.guard
        and {
            "method": "mixture sequential probability ratio test",
            "alpha": one.guard.alpha,
            "p_value": one.guard.p_value,
            "interval": list(one.guard.interval),
            "significant": one.guard.agrees,
        },
        "planned_look": one.planned
        and {
            "alpha": PLANNED_ALPHA,
            "p_value": one.planned.p_value,
            "interval": list(one.planned.interval),
            "significant": one.planned.p_value < PLANNED_ALPHA,
        },
        "sample_size_needed": one.needed,
        "sample_size_left": one.left,
        "warnings": list(one.warnings),
    }


def _exposures(arms: Mapping[str, Arm], design: Design) -> dict[str, int]:
    found = {key: arms[key].units for key in design.variants}
    return found if design.first_seen else {**found, MULTIPLE: arms[MULTIPLE].units}


def _expected(ratio: float, counts: list[int], design: Design) -> dict[str, Any]:
    whole, total = sum(design.variants.values()), sum(counts)
    expected = {key: total * share / whole for key, share in design.variants.items()}
    return {"p_value": ratio, "expected": expected}


def _planned(design: Design, compared: Mapping[str, Comparison]) -> dict[str, Any]:
    plan = design.plan
    return {
        "minimum_effect": plan.minimum_effect,
        "relative": plan.relative,
        "power": plan.power,
        "confidence": plan.confidence,
        "guard_alpha": GUARD_ALPHA,
        "guard_from_units": GUARD_FROM,
        "planned_look_alpha": PLANNED_ALPHA,
        "units_for_each_variant": next((one.needed for one in compared.values()), None),
        "fixed_beforehand": plan.units is not None,
    }


def _least_left(compared: Mapping[str, Comparison]) -> int | None:
    """Return what is missing for all variants to be looked at, None when that is not known."""
    left = [one.left for one in compared.values()]
    known = [one for one in left if one is not None]
    return max(known) if known and len(known) == len(left) else None


def _warnings(
    arms: Mapping[str, Arm], metric: Metric, units: Units, design: Design, ratio: float | None
) -> Iterator[str]:
    mixed, total = sum(arm.mixed for arm in arms.values()), sum(arm.units for arm in arms.values())
    if mixed:
        what = "counted with the first" if design.first_seen else "left out"
        often = (
            f": the flag does not give variants to {units.assigned}s; name what it gives them to "
            "in exposure_criteria.assignment_unit"
            if mixed > _MANY_MIXED * total
            else ""
        )
        yield f"{mixed} of {total} {units.assigned}s saw several variants and are {what}{often}"
    if ratio is not None and ratio < _MISMATCH:
        yield (
            f"the variants' sizes do not fit their shares (p = {ratio:.1g}): assignment or "
            "counting is broken, and no figure here is to be trusted until that is explained"
        )
    missing = sum(arm.without_value for arm in arms.values())
    if missing:
        yield (
            f"{missing} of {total} {units.assigned}s have no value, such as rounds that crashed "
            "before their score, and are left out: compare how many each variant lost"
        )
    others = len(design.variants) - 1
    if others > 1:
        yield (
            f"{others} variants are each compared with {design.baseline} at an error rate of 0.05: "
            f"without any effect one of them is called significant with up to {others * 0.05:.2g}"
        )
    if metric.best_of and units.measured == "round":
        yield (
            "the flag varies from round to round, so the best of a round is compared, not the best "
            "of a run: for that, give variants to runs"
        )
