"""What a set of recommendations saves together: cost that two of them claim is counted once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nightpane.optimizer.model import Recommendation

__all__ = ["Together", "together"]


@dataclass(frozen=True, slots=True)
class Together:
    """Savings a month in USD, and how much of the single ones overlaps."""

    monthly_usd: float
    low_usd: float
    high_usd: float
    overlap_usd: float


def together(recommendations: Iterable[Recommendation]) -> Together:
    """Return the saving of all, in order of priority.

    A cost unit (an operation's kind of cost) that several claim counts as the largest claim: what
    one change saves, the next cannot save again.
    """
    largest: dict[tuple[str, str], float] = {}
    monthly = low = high = single = 0.0
    for one in recommendations:
        claims = one.saving.claims or {(one.operation, one.id): one.saving.window_usd}
        claimed = sum(claims.values())
        fresh = 0.0
        for unit, amount in claims.items():
            fresh += max(0.0, amount - largest.get(unit, 0.0))
            largest[unit] = max(largest.get(unit, 0.0), amount)
        share = fresh / claimed if claimed > 0 else 1.0
        single += one.saving.monthly_usd
        monthly += share * one.saving.monthly_usd
        low += share * one.saving.monthly_low_usd
        high += share * one.saving.monthly_high_usd
    return Together(monthly, low, high, single - monthly)
