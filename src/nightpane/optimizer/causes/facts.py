"""What a cause is judged on: all that is known of an operation, or of one of its traces."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from nightpane.optimizer.model import (
    Call,
    Contents,
    Number,
    OperationMetrics,
    OutlierTrace,
    Patterns,
    Tails,
    Tokens,
    Usage,
    Verdict,
)
from nightpane.optimizer.price_map import Prices, Rates

__all__ = ["Cause", "OperationFacts", "TraceFacts", "excluded", "unknown"]


@dataclass(frozen=True, slots=True)
class OperationFacts:
    """An operation; ``calls`` are the traces of it that were read, by id."""

    metrics: OperationMetrics
    usage: tuple[Usage, ...]
    patterns: Patterns
    tails: Tails
    contents: Contents
    prices: Prices
    calls: Mapping[str, tuple[Call, ...]]

    @property
    def name(self) -> str:
        return self.metrics.operation

    @property
    def cached_share(self) -> float:
        """The share of prompt tokens that a cache gave."""
        tokens = self.metrics.tokens
        return tokens.cache_read / tokens.prompt if tokens.prompt else 0.0

    @property
    def rates(self) -> Rates:
        """USD per token over the operation's models, each by its share of tokens."""
        weighed = Tokens()
        cost = [0.0, 0.0, 0.0, 0.0]
        for one in self.usage:
            price = self.prices.of(one.model, one.provider)
            if price is None:
                continue
            rates, weight = price.rates(one.tier, one.above), one.tokens
            cost[0] += rates.uncached * weight.prompt
            cost[1] += rates.cache_read * weight.prompt
            cost[2] += rates.cache_write * weight.prompt
            cost[3] += rates.output * weight.output
            weighed += weight
        prompt, output = weighed.prompt or 1.0, weighed.output or 1.0
        return Rates(cost[0] / prompt, cost[1] / prompt, cost[2] / prompt, cost[3] / output)

    @property
    def caches(self) -> bool:
        """Whether most of its calls go to a model whose cached prompts are cheaper."""
        cheap = sum(
            one.calls
            for one in self.usage
            if (price := self.prices.of(one.model, one.provider)) is not None and price.caches
        )
        return 2 * cheap > self.metrics.calls

    def own(self, trace_ids: Sequence[str]) -> list[tuple[str, tuple[Call, ...]]]:
        """Return the operation's calls in those of the traces that were read."""
        return [
            (trace, tuple(call for call in self.calls[trace] if call.operation == self.name))
            for trace in trace_ids
            if trace in self.calls
        ]


@dataclass(frozen=True, slots=True)
class TraceFacts:
    """An outlier trace: its calls of the operation, and how much dearer than the median it is."""

    trace: OutlierTrace
    calls: tuple[Call, ...]
    operation: OperationFacts
    excess_usd: float

    def explains(self, wasted_usd: float) -> bool:
        """Return whether a waste makes up a good part (30 %) of what the trace costs more."""
        return wasted_usd >= 0.3 * self.excess_usd

    @property
    def latest_rates(self) -> Rates:
        """USD per token of the trace's most used model, the operation's where that is unknown."""
        models = [(call.model, call.provider) for call in self.calls]
        most = max(sorted(set(models)), key=models.count)
        price = self.operation.prices.of(*most)
        return self.operation.rates if price is None else price.rates()


@dataclass(frozen=True, slots=True)
class Cause:
    """One hypothesis: its name, what it is called in a report, and how it is tested."""

    name: str
    title: str
    of_operation: Callable[[OperationFacts], Verdict]
    of_trace: Callable[[TraceFacts], Verdict]


def excluded(cause: str, reason: str, **numbers: Number) -> Verdict:
    """Return the verdict that a cause is ruled out, with the numbers that do so."""
    return Verdict(cause, False, reason, numbers)


def unknown(cause: str, reason: str, **numbers: Number) -> Verdict:
    """Return the verdict that the data cannot tell."""
    return Verdict(cause, None, reason, numbers)
