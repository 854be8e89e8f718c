"""What changed calls would have cost, from the calls themselves.

A saving is always a share of what the call did cost: the price map says which share, so that a
project with prices of its own gets savings at its own prices, and no saving exceeds its cost.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from nightpane.optimizer.model import Saving, Tokens
from nightpane.optimizer.price_map import ModelPrice, Rates
from nightpane.optimizer.recommendations.facts import Draft, Part, Subject
from nightpane.optimizer.words import percent, usd

__all__ = [
    "MONTH_DAYS",
    "calls_of",
    "input_share",
    "merged",
    "monthly",
    "repriced",
    "saving",
    "scale_to",
    "spend",
]

MONTH_DAYS = 30
_LEAST_SHARE = 0.0005  # as a percentage it would read 0.0
_Z90 = 1.6449
"""Two-sided 90 %."""
_OUTPUT_WEIGHT = 4.0
"""Where no price is known: an output token costs some four times an input token everywhere."""


def input_share(price: ModelPrice | None, tier: str, above: int, tokens: Tokens) -> float:
    """Return the share of a cost that is for prompts."""
    rates = price.rates(tier, above) if price else Rates(1.0, 1.0, 1.0, _OUTPUT_WEIGHT)
    whole = rates.cost(tokens)
    return 1 - tokens.output * rates.output / whole if whole else 1.0


def repriced(cost_usd: float, rates: Rates, tokens: Tokens, after: Tokens, new: Rates) -> float:
    """Return what calls would cost with other tokens, at other prices: their cost, times what the
    price map says of after and before."""
    before = rates.cost(tokens)
    return cost_usd * new.cost(after) / before if before else cost_usd


def merged(parts: Iterable[Part]) -> list[Part]:
    """Return one part for each trace."""
    found: dict[str, Part] = {}
    for part in parts:
        known = found.get(part.trace_id)
        found[part.trace_id] = (
            part
            if known is None
            else Part(
                part.trace_id,
                known.usd + part.usd,
                known.low_usd + part.low_usd,
                known.high_usd + part.high_usd,
                known.input_usd + part.input_usd,
                known.calls + part.calls,
            )
        )
    return list(found.values())


def scale_to(whole_usd: float, read_usd: float) -> float:
    """Return how many times over the calls that were read stand for all; 1 when they are all."""
    return whole_usd / read_usd if read_usd and whole_usd > read_usd * (1 + 1e-6) else 1.0


def saving(subject: Subject, draft: Draft, trace_ids: Sequence[str]) -> Saving:
    """Return a draft's saving, with the window's pace as the month's.

    The bounds are those of the draft's assumption, widened by how much a month of traces that
    arrive at random (compound Poisson) varies, with 90 % confidence.
    """
    scale, parts = draft.scale, draft.parts
    pace = MONTH_DAYS / subject.scope.days
    window = scale * math.fsum(part.usd for part in parts)
    # 0.0: a saving never turns into a loss by chance alone.
    low = scale * max(0.0, _bound([part.low_usd for part in parts], -_Z90 / math.sqrt(pace)))
    high = scale * _bound([part.high_usd for part in parts], _Z90 / math.sqrt(pace))
    inputs = min(window, scale * math.fsum(part.input_usd for part in parts))
    ceiling = subject.metrics.cost_usd * pace
    claims = {
        (subject.name, kind): amount
        for kind, amount in (("input", inputs), ("output", window - inputs))
        if amount > 0
    }
    return Saving(
        window_usd=window,
        monthly_usd=window * pace,
        monthly_low_usd=min(low, window) * pace,
        monthly_high_usd=min(max(high, window) * pace, max(ceiling, window * pace)),
        calls=round(scale * sum(part.calls for part in parts if part.usd > 0)),
        method=draft.method,
        trace_ids=tuple(trace_ids),
        claims=claims,
    )


def _bound(amounts: Iterable[float], deviations: float) -> float:
    amounts = list(amounts)
    spread = math.sqrt(math.fsum(one * one for one in amounts))
    return math.fsum(amounts) + deviations * spread


def spend(subject: Subject, amount_usd: float) -> str:
    """Return an amount of the window in words: with its share of all spend, and a month's."""
    whole = subject.whole.cost_usd
    share = amount_usd / whole if whole else 0.0
    share_text = f" ({percent(share)} of all spend)" if share >= _LEAST_SHARE else ""
    month = amount_usd * MONTH_DAYS / subject.scope.days
    if subject.scope.days == MONTH_DAYS:
        return f"{usd(amount_usd)} in {MONTH_DAYS} days{share_text}"
    return f"{usd(amount_usd)} in {subject.scope.days} days{share_text}, {usd(month)} a month"


def monthly(subject: Subject, amount: float) -> float:
    """Return an amount of the window at its pace for a month."""
    return amount * MONTH_DAYS / subject.scope.days


def calls_of(number: int) -> str:
    """Return a number of calls in words."""
    return "1 call" if number == 1 else f"{number:,} calls"
