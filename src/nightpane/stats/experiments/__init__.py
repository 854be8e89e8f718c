"""The statistics of experiments: pure functions from sums to verdicts.

By PostHog's formulas, with a guard against peeking beside them. scipy is imported when a figure is
asked for, and comes with the extra ``server``.
"""

from nightpane.stats.experiments.compare import (
    GUARD_ALPHA,
    LEAST_UNITS,
    PILOT,
    PLANNED_ALPHA,
    Comparison,
    Decision,
    Plan,
    compare,
    validation,
)
from nightpane.stats.experiments.effects import (
    GAUSSIAN_FROM,
    Bayesian,
    Effect,
    Frequentist,
    bayesian,
    effect,
    frequentist,
)
from nightpane.stats.experiments.guard import GUARD_FROM, Guard, guard
from nightpane.stats.experiments.power import (
    mismatch_p_value,
    units_for_mean,
    units_for_proportion,
)
from nightpane.stats.experiments.samples import Kind, Sample

__all__ = [
    "GAUSSIAN_FROM",
    "GUARD_ALPHA",
    "GUARD_FROM",
    "LEAST_UNITS",
    "PILOT",
    "PLANNED_ALPHA",
    "Bayesian",
    "Comparison",
    "Decision",
    "Effect",
    "Frequentist",
    "Guard",
    "Kind",
    "Plan",
    "Sample",
    "bayesian",
    "compare",
    "effect",
    "frequentist",
    "guard",
    "mismatch_p_value",
    "units_for_mean",
    "units_for_proportion",
    "validation",
]
