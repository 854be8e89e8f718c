"""Intervals for rates: what a share of a few rounds says about the loop, and what it does not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

__all__ = ["Interval", "rate_upper_bound", "wilson"]


@dataclass(frozen=True, slots=True)
class Interval:
    """A range from ``low`` to ``high`` at the given ``confidence``."""

    low: float
    high: float
    confidence: float


def wilson(successes: int, n: int, *, confidence: float = 0.95) -> Interval | None:
    """Return the Wilson score interval of a rate, None when n is 0.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".
    Raises ValueError when ``successes`` is not between 0 and n.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"successes must be between 0 and n={n}, got {successes}")
    if n == 0:
        return None
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    rate = successes / n
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return Interval(
        low=0.0 if successes == 0 else max(0.0, centre - half),
        high=1.0 if successes == n else min(1.0, centre + half),
        confidence=confidence,
    )


def rate_upper_bound(n: int, *, confidence: float = 0.95) -> float:
    """Return the largest rate that still fits no success in n tries (1.0 when n is 0).

    The exact one-sided Clopper-Pearson bound, of which 3/n is the well-known shorthand.
    Source: Hanley and Lippman-Hand 1983, "If nothing goes wrong, is everything all right?"
    """
    return 1.0 if n <= 0 else float(1 - (1 - confidence) ** (1 / n))
