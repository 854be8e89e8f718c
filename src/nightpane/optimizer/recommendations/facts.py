"""What a rule is told of its subject, and what it answers: plain values.

A rule asks nothing itself: the material of all rules is read in a few queries before any of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from nightpane.optimizer.fields import Scope
from nightpane.optimizer.model import (
    Call,
    Contents,
    Diagnosis,
    Fix,
    LimitBursts,
    Metrics,
    Number,
    OperationFailures,
    OperationMetrics,
    Patterns,
    Pricing,
    Sample,
    Tails,
    Tokens,
    Usage,
    Verdict,
)
from nightpane.optimizer.price_map import ModelPrice
from nightpane.optimizer.recommendations.snippets import Dialect, dialect_of

__all__ = [
    "OF_MODEL",
    "OF_OPERATION",
    "Draft",
    "Group",
    "Material",
    "Part",
    "Plan",
    "Prefixed",
    "Prompts",
    "Subject",
    "TraceCalls",
]

_USUAL_LIMIT = 1024
OF_OPERATION = "ifNull(nullIf(toString(properties.$ai_span_name), ''), 'unnamed') = {operation}"
OF_MODEL = "ifNull(nullIf(toString(properties.$ai_model), ''), 'unknown') = {model}"
Excerpt = Literal["prompt", "answer", "error"]


@dataclass(frozen=True, slots=True)
class Group:
    """Calls of one trace, operation, model and price class that a rule is about.

    ``prompt_beyond`` and ``output_beyond`` are tokens above the limits by which the rule's (likely,
    low, high) saving is reckoned.
    """

    trace_id: str
    model: str
    provider: str
    tier: str
    above: int
    calls: int
    cost_usd: float
    tokens: Tokens
    prompt_beyond: tuple[float, float, float] = (0.0, 0.0, 0.0)
    output_beyond: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class TraceCalls:
    """The traces that a rule is about, each with the operation's calls, and what they stand for:
    ``scale`` times themselves."""

    traces: Mapping[str, tuple[Call, ...]]
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Prompts:
    """A prompt that several traces sent: its calls, and how many came a day after another."""

    calls: int
    traces: int
    late: int
    cost_usd: float
    tokens: Tokens
    model: str
    provider: str
    trace_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Prefixed:
    """One call whose prompt has at least the operation's shared length; ``prefix`` is its hash."""

    trace_id: str
    at_s: float
    model: str
    provider: str
    tier: str
    above: int
    cost_usd: float
    tokens: Tokens
    chars: int
    prefix: str


@dataclass(frozen=True, slots=True)
class Material:
    """What was read for the rules, by (kind or cause, operation) or by operation."""

    groups: Mapping[tuple[str, str], tuple[Group, ...]] = field(default_factory=dict)
    traces: Mapping[tuple[str, str], TraceCalls] = field(default_factory=dict)
    prompts: Mapping[str, tuple[Prompts, ...]] = field(default_factory=dict)
    prefixed: Mapping[str, tuple[Prefixed, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Subject:
    """One operation with all that is known of it."""

    metrics: OperationMetrics
    diagnosis: Diagnosis | None
    failures: OperationFailures | None
    bursts: tuple[LimitBursts, ...]
    usage: tuple[Usage, ...]
    patterns: Patterns
    tails: Tails
    contents: Contents
    pricing: Pricing
    whole: Metrics
    scope: Scope
    material: Material
    samples: tuple[Sample, ...] = ()

    @property
    def name(self) -> str:
        return self.metrics.operation

    def confirmed(self, cause: str) -> Verdict | None:
        """Return the verdict on a cause when it is confirmed."""
        verdict = self.diagnosis.verdict(cause) if self.diagnosis else None
        return verdict if verdict is not None and verdict.confirmed else None

    def groups(self, kind: str) -> tuple[Group, ...]:
        return self.material.groups.get((kind, self.name), ())

    def price(self, model: str, provider: str) -> ModelPrice | None:
        return self.pricing.prices.of(model, provider)

    @property
    def dearest(self) -> Usage:
        """The usage of its dearest (model, provider): the one that code speaks of."""
        totals: dict[tuple[str, str], tuple[float, int]] = {}
        for one in self.usage:
            cost, calls = totals.get((one.model, one.provider), (0.0, 0))
            totals[one.model, one.provider] = (cost + one.cost_usd, calls + one.calls)
        model = max(sorted(totals), key=lambda pair: totals[pair])
        return next(one for one in self.usage if (one.model, one.provider) == model)

    @property
    def model(self) -> str:
        return self.dearest.model

    @property
    def dialect(self) -> Dialect:
        return self.dialect_of(self.model)

    def dialect_of(self, model: str) -> Dialect:
        """Return how Python speaks to the provider that this model was called at."""
        provider = next((one.provider for one in self.usage if one.model == model), "")
        price = self.price(model, provider)
        found = dialect_of(provider, price.family if price else "", model)
        # Anthropic's calls must state a limit: one that none of these answers would have met.
        longest = max(self.metrics.output.max, _USUAL_LIMIT)
        return replace(found, most=2 ** math.ceil(math.log2(longest)))

    @property
    def traces_per_day(self) -> float:
        """Traces a day over its last week (over the window when it was quiet since), at least a
        little; single calls where nothing says which trace they belong to."""
        week = next(
            (one for one in self.metrics.windows if one.days == 7), self.metrics.windows[-1]
        )
        calls = week.calls / week.days or self.metrics.calls / self.scope.days
        if self.metrics.traces <= 1 < self.metrics.calls:
            return calls
        return max(calls * self.metrics.traces / self.metrics.calls, 1e-6)


@dataclass(frozen=True, slots=True)
class Part:
    """What one trace would have saved: likely, at least and at most; ``input_usd`` of the likely
    amount is for prompts, the rest for answers."""

    trace_id: str
    usd: float
    low_usd: float
    high_usd: float
    input_usd: float
    calls: int = 1


@dataclass(frozen=True, slots=True)
class Plan:
    """The number that will tell whether the change worked.

    ``select`` is a HogQL expression over the columns ``names`` of the calls that ``subject`` and
    ``where`` leave; ``inner`` instead is a whole query in which ``{calls}`` stands for them.
    ``before`` is what the window as a whole says, ``after`` what is expected. ``cv`` is the
    standard deviation of one trace's figure over its mean; None for a share, whose variance follows
    from it.
    """

    metric: str
    unit: str
    before: float
    after: float
    names: Sequence[str] = ()
    select: str = ""
    subject: str = OF_OPERATION
    where: str = ""
    inner: str = ""
    values: Mapping[str, Number] = field(default_factory=dict)
    cv: float | None = None

    def reached(self, number: float) -> bool:
        """Return whether a number is what the change is expected to bring."""
        return number <= self.after if self.after < self.before else number >= self.after

    def target(self, baseline: float) -> float:
        """Return the target for a measured baseline: the same relative fall, or the same height."""
        if self.after < self.before:
            return baseline * self.after / self.before
        return self.after


@dataclass(frozen=True, slots=True)
class Draft:
    """A rule's answer.

    ``issues`` tells for each trace worth showing what is wrong with it, the most telling first.
    ``lost_usd`` is what failures are worth where nothing is saved by mending them.
    """

    cause: str
    title: str
    problem: str
    why: str
    parts: Sequence[Part]
    method: str
    fix: Fix
    plan: Plan
    ease: int
    issues: Mapping[str, str]
    excerpt: Excerpt = "prompt"
    scale: float = 1.0
    lost_usd: float = 0.0
    trace_ids: Sequence[str] = ()
    """Of what the saving was computed, where the parts do not tell."""
    about: str = ""
    """What the recommendation is about beside the operation, such as a model: part of its id."""
