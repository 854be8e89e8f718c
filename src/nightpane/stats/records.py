"""How many new bests chance alone would give, and how long a gap between them is too long.

When no round is really better than another, the order of their scores is arbitrary: the i-th is
the best so far with probability 1/i, independently of the others and of the distribution.
Source: Rényi 1962, "Théorie des éléments saillants d'une suite d'observations".
"""

from __future__ import annotations

import math

__all__ = ["gap_probability", "record_probability"]


def record_probability(records: int, n: int, *, prior: int = 0) -> float:
    """Return the chance of at least ``records`` new bests in n rounds if nothing improved.

    ``prior`` rounds came before and count as history to beat; with none, the first round is the
    baseline and is no record. Equal scores only make the answer more cautious.
    Exact: the sum of independent Bernoulli(1/i), by convolution, cut at ``records``.
    """
    if records <= 0:
        return 1.0
    fewer = [1.0] + [0.0] * (records - 1)  # chance of exactly j records so far, j < records
    for i in range(max(prior, 1) + 1, max(prior, 1) + 1 + (n if prior else n - 1)):
        p = 1 / i
        for j in range(records - 1, 0, -1):
            fewer[j] = fewer[j] * (1 - p) + fewer[j - 1] * p
        fewer[0] *= 1 - p
    return max(0.0, 1 - math.fsum(fewer))


def gap_probability(successes: int, n: int, gap: int) -> float:
    """Return the chance of no success in ``gap`` further tries after ``successes`` in n.

    The beta-binomial prediction with Jeffreys' prior, so that few tries do not pass for a known
    rate. Source: Jeffreys 1946, "An invariant form for the prior probability in estimation
    problems".
    """
    if gap <= 0:
        return 1.0
    a, b = successes + 0.5, n - successes + 0.5
    return math.exp(
        math.lgamma(b + gap) + math.lgamma(a + b) - math.lgamma(b) - math.lgamma(a + b + gap)
    )
