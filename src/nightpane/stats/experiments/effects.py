"""One variant against the baseline: the effect, how sure it is, and what choosing it risks.

PostHog's formulas, so that a local figure and one of PostHog's agree. They hold for a number of
units fixed beforehand: whoever looks again and again needs the guard (``guard.py``) beside them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from nightpane.stats.experiments.samples import Sample

__all__ = [
    "GAUSSIAN_FROM",
    "Bayesian",
    "Effect",
    "Frequentist",
    "bayesian",
    "effect",
    "frequentist",
]

# From this many units in both arms PostHog gives figures, and its Gaussian posterior is used. With
# fewer the posterior is Student's t, whose tails own up to how little is known of the variance.
GAUSSIAN_FROM = 50


@dataclass(frozen=True, slots=True)
class Effect:
    """The difference of a variant from the baseline, with the variance of that difference.

    ``relative`` differences are shares of the baseline's figure (0.1 is ten per cent more).
    ``freedom`` are the degrees of freedom of the variance (Welch and Satterthwaite).
    """

    value: float
    variance: float
    freedom: float
    relative: bool
    n_smaller: int

    @property
    def error(self) -> float:
        """The standard error."""
        return math.sqrt(self.variance)


@dataclass(frozen=True, slots=True)
class Frequentist:
    """Welch's test: the two-sided p-value and the interval."""

    p_value: float
    interval: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Bayesian:
    """The posterior of the effect: the chance to win, the interval, and the risk.

    ``risk`` is what is lost on average by choosing the variant, in units of the effect: the loss
    when it is the worse one, weighed by how probable each loss is.
    """

    chance_to_win: float
    interval: tuple[float, float]
    risk: float


def effect(baseline: Sample, variant: Sample, *, relative: bool = True) -> Effect:
    """Return the effect of a variant, by default relative to the baseline.

    Relative: (t - c) / abs(c), variance by the delta method: Vt / (nt c²) + t² Vc / (nc c⁴).
    Absolute: t - c, variance Vt / nt + Vc / nc. Not a number where there is no variance to speak
    of: fewer than two units, a baseline of zero.
    """
    c, t = baseline.figure, variant.figure
    scale = abs(c) if relative else 1.0
    if min(baseline.n, variant.n) < 2 or not scale:
        return Effect(math.nan, math.nan, math.nan, relative, min(baseline.n, variant.n))
    of_variant = variant.unit_variance / (variant.n * scale**2)
    of_baseline = baseline.unit_variance / (baseline.n * scale**2)
    if relative:
        of_baseline *= (t / c) ** 2
    variance = of_variant + of_baseline
    spread = of_variant**2 / (variant.n - 1) + of_baseline**2 / (baseline.n - 1)
    return Effect(
        value=(t - c) / scale,
        variance=variance,
        freedom=variance**2 / spread if spread else math.nan,
        relative=relative,
        n_smaller=min(baseline.n, variant.n),
    )


def frequentist(found: Effect, *, confidence: float = 0.95) -> Frequentist:
    """Return Welch's two-sided t-test of no effect.

    Source: Welch 1947, "The generalization of Student's problem when several different population
    variances are involved". The variance must be above zero.
    """
    from scipy import stats

    t = found.value / found.error
    half = float(stats.t.ppf(0.5 + confidence / 2, found.freedom)) * found.error
    p_value = 2 * float(stats.t.sf(abs(t), found.freedom))
    return Frequentist(p_value, (found.value - half, found.value + half))


def bayesian(
    found: Effect,
    *,
    lower_is_better: bool = False,
    confidence: float = 0.95,
    prior_variance: float | None = None,
) -> Bayesian:
    """Return the posterior of the effect, by default with a prior that says nothing.

    ``prior_variance`` makes the prior a normal around no effect. The posterior is normal, or
    Student's t with Welch's degrees of freedom while an arm has fewer than ``GAUSSIAN_FROM`` units.
    """
    from scipy import stats

    mean, error = found.value, found.error
    if prior_variance is not None:
        share = prior_variance / (prior_variance + found.variance)
        mean, error = mean * share, error * math.sqrt(share)
    freedom = math.inf if found.n_smaller >= GAUSSIAN_FROM else found.freedom
    half = float(stats.t.ppf(0.5 + confidence / 2, freedom)) * error
    better = -mean if lower_is_better else mean
    chance = float(stats.t.cdf(better / error, freedom))
    return Bayesian(chance, (mean - half, mean + half), _expected_loss(better, error, freedom))


def _expected_loss(better: float, error: float, freedom: float) -> float:
    """Return the mean of max(-x, 0) for x normal or t around ``better``; infinite for one degree.

    For the normal: error * (density(z) - z * P(X < -z)), z = better / error. For the t the density
    is weighed by (freedom + z²) / (freedom - 1), its partial expectation.
    """
    from scipy import stats

    if freedom <= 1:
        return math.inf
    z = better / error
    weight = 1.0 if math.isinf(freedom) else (freedom + z * z) / (freedom - 1)
    loss = weight * float(stats.t.pdf(z, freedom)) - z * float(stats.t.sf(z, freedom))
    return error * max(0.0, loss)
