"""Whether a count went up between two nights: exact tests, for counts are small."""

from __future__ import annotations

import math

__all__ = ["binomial_at_most", "fisher_more"]


def fisher_more(hits: int, n: int, hits_before: int, n_before: int) -> float:
    """Return the chance of at least ``hits`` in ``n``, against ``hits_before`` in ``n_before``, if
    the rate had stayed the same.

    Source: Fisher 1935, "The logic of inductive inference" (the exact test, one-sided).
    """
    total, of = hits + hits_before, n + n_before
    whole = _log_choose(of, total)
    return min(1.0, math.fsum(
        math.exp(_log_choose(n, k) + _log_choose(n_before, total - k) - whole)
        for k in range(hits, min(n, total) + 1) if total - k <= n_before
    ))  # fmt: skip


def binomial_at_most(hits: int, n: int, share: float) -> float:
    """Return the chance of at most ``hits`` in ``n`` tries that each succeed with ``share``.

    With ``n`` the events of two periods and ``share`` the first period's part of the exposure,
    this compares two rates. Source: Przyborowski and Wilenski 1940, "Homogeneity of results in
    testing samples from Poisson series".
    """
    if share <= 0 or share >= 1:
        return 1.0 if share <= 0 or hits >= n else 0.0
    return min(1.0, math.fsum(
        math.exp(_log_choose(n, k) + k * math.log(share) + (n - k) * math.log1p(-share))
        for k in range(min(hits, n) + 1)
    ))  # fmt: skip


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
