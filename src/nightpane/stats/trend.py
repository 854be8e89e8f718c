"""Whether a series rises, judged by ranks: no assumption on how its noise is distributed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

__all__ = ["Trend", "mann_kendall"]


@dataclass(frozen=True, slots=True)
class Trend:
    """A Mann-Kendall test: ``s`` pairs rising minus falling, ``p_rising`` one-sided, over ``n``."""

    n: int
    s: int
    p_rising: float


def mann_kendall(values: Sequence[float]) -> Trend:
    """Return the one-sided Mann-Kendall test for a rising trend, in O(n log n).

    Normal approximation with the variance corrected for ties and a continuity correction; the
    values are taken to be independent, so a drift of the measurement reads as a trend.
    Sources: Mann 1945, "Nonparametric tests against trend"; Kendall 1975, "Rank correlation
    methods".
    """
    n = len(values)
    s = _rising_minus_falling(values)
    ties = sum(t * (t - 1) * (2 * t + 5) for t in Counter(values).values())
    variance = (n * (n - 1) * (2 * n + 5) - ties) / 18
    if variance <= 0:
        return Trend(n=n, s=s, p_rising=1.0)
    corrected = s - 1 if s > 0 else s + 1 if s < 0 else 0
    return Trend(n=n, s=s, p_rising=1 - NormalDist().cdf(corrected / math.sqrt(variance)))


def _rising_minus_falling(values: Sequence[float]) -> int:
    """Count the pairs that rise minus those that fall, with a Fenwick tree over the ranks."""
    rank = {value: i for i, value in enumerate(sorted(set(values)), start=1)}
    tree = [0] * (len(rank) + 1)

    def seen_up_to(i: int) -> int:
        total = 0
        while i > 0:
            total += tree[i]
            i -= i & -i
        return total

    s = 0
    for seen, value in enumerate(values):
        i = rank[value]
        below, up_to = seen_up_to(i - 1), seen_up_to(i)
        s += below - (seen - up_to)
        while i < len(tree):
            tree[i] += 1
            i += i & -i
    return s
