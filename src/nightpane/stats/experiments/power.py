"""How many units it takes to see an effect, asked before the first look."""

from __future__ import annotations

import functools
import math
from statistics import NormalDist

__all__ = ["mismatch_p_value", "units_for_mean", "units_for_proportion"]

_EXACT_BELOW = 5_000
_MISMATCH_FROM = 100


# Asked anew at each look, with what the pilot said.
@functools.lru_cache(maxsize=256)
def units_for_mean(
    difference: float, deviation: float, *, alpha: float = 0.05, power: float = 0.8
) -> int:
    """Return the units each arm needs to see an absolute difference of means, two-sided.

    ``deviation`` is the standard deviation of one unit's value, taken to be the same in both arms.
    By the non-central t distribution; from 5,000 units by the normal, which is the same there.
    Source: Cohen 1988, "Statistical Power Analysis for the Behavioral Sciences", chapter 2.
    Raises ValueError unless difference and deviation are above zero.
    """
    if not (difference > 0 and deviation > 0):
        raise ValueError(f"difference {difference} and deviation {deviation} must be above zero")
    z = NormalDist().inv_cdf
    size = difference / deviation
    n = max(2, math.ceil(2 * ((z(1 - alpha / 2) + z(power)) / size) ** 2))
    while n < _EXACT_BELOW and _power(n, size, alpha) < power:
        n += 1
    return n


def _power(n: int, size: float, alpha: float) -> float:
    from scipy import stats

    freedom, shift = 2 * n - 2, size * math.sqrt(n / 2)
    critical = stats.t.ppf(1 - alpha / 2, freedom)
    return float(stats.nct.sf(critical, freedom, shift) + stats.nct.cdf(-critical, freedom, shift))


def units_for_proportion(
    baseline: float, difference: float, *, alpha: float = 0.05, power: float = 0.8
) -> int:
    """Return the units each arm needs to see an absolute difference of proportions, two-sided.

    Sources: Fleiss 1981, "Statistical Methods for Rates and Proportions", without the continuity
    correction and with the baseline's variance under no effect, which is the formula of Evan
    Miller's "Sample Size Calculator". The difference is taken towards one half, where the variance
    is larger. Raises ValueError unless 0 < baseline < 1 and difference is above zero.
    """
    if not (0 < baseline < 1 and difference > 0):
        raise ValueError(
            f"baseline {baseline} must be between 0 and 1, difference {difference} above 0"
        )
    low = min(baseline, 1 - baseline)
    other = min(low + difference, 1.0)
    z = NormalDist().inv_cdf
    under_none = math.sqrt(2 * low * (1 - low))
    under_effect = math.sqrt(low * (1 - low) + other * (1 - other))
    shift = z(1 - alpha / 2) * under_none + z(power) * under_effect
    return max(2, math.ceil((shift / difference) ** 2))


def mismatch_p_value(counts: list[int], shares: list[float]) -> float | None:
    """Return the chance of so uneven a split if units were assigned by ``shares``.

    Pearson's chi-square test; None below 100 units in all, as in PostHog, or with one arm. A value
    under 0.001 says that the assignment, or the counting of it, is broken: whatever the effect, it
    is not to be trusted. Source: Fabijan et al. 2019, "Diagnosing Sample Ratio Mismatch in Online
    Controlled Experiments".
    """
    total, whole = sum(counts), sum(shares)
    if total < _MISMATCH_FROM or len(counts) < 2 or min(shares) <= 0:
        return None
    from scipy import stats

    expected = [total * share / whole for share in shares]
    return float(stats.chisquare(counts, expected).pvalue)
