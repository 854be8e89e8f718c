"""What the steps of the optimizer hand to each other: plain values, nothing that asks or writes.

Costs are USD, latencies seconds, sizes tokens unless a name says otherwise. An *operation* is a
``$ai_span_name`` ("unnamed" without one), a *trace* a ``$ai_trace_id``, a *call* one
``$ai_generation``. Every sequence has a fixed order, so that equal data gives an equal report.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from nightpane.optimizer.given import (
    Connection,
    Earlier,
    Evidence,
    Fix,
    History,
    Measurement,
    Number,
    Options,
    Recommendation,
    Sample,
    SampleBucket,
    Saving,
    Target,
    Tokens,
)
from nightpane.optimizer.price_map import Prices

__all__ = [
    "Analysis",
    "Call",
    "Causes",
    "Connection",
    "Contents",
    "CrossCheck",
    "Daily",
    "Diagnosis",
    "Earlier",
    "ErrorGroup",
    "Evidence",
    "FailureFinding",
    "FailureKind",
    "Failures",
    "Fix",
    "History",
    "LimitBursts",
    "Measurement",
    "Metrics",
    "ModelMetrics",
    "Number",
    "OperationFailures",
    "OperationMetrics",
    "OperationVariance",
    "Options",
    "OutlierTrace",
    "Patterns",
    "Pricing",
    "Recommendation",
    "Sample",
    "SampleBucket",
    "Saving",
    "Spread",
    "Tails",
    "Target",
    "Tokens",
    "Unpriced",
    "Usage",
    "Verdict",
    "WindowTotals",
]


@dataclass(frozen=True, slots=True)
class Usage:
    """The calls that share operation, model, provider, service tier, prompt length class, whether
    PostHog priced them, and how recent they are.

    ``above`` is the largest of the price map's thresholds that the prompts exceed (0 for none);
    ``age_days`` is 3, 7 or the window: the smallest sub-window that holds the calls. ``cost_usd``
    is PostHog's, or the backfill when ``priced`` is false.
    """

    operation: str
    model: str
    provider: str
    tier: str
    above: int
    priced: bool
    age_days: int
    calls: int
    errors: int
    cost_usd: float
    error_cost_usd: float
    tokens: Tokens


@dataclass(frozen=True, slots=True)
class CrossCheck:
    """PostHog's cost of a model's calls beside the price map's, where they differ over 5 %."""

    model: str
    provider: str
    calls: int
    posthog_usd: float
    map_usd: float

    @property
    def difference(self) -> float:
        """Relative to the map: 0.5 says PostHog counted half as much again."""
        return self.posthog_usd / self.map_usd - 1 if self.map_usd else 0.0


@dataclass(frozen=True, slots=True)
class Unpriced:
    """A model whose calls PostHog left without a cost. ``backfilled_usd`` is None when the price
    map does not know the model either."""

    model: str
    provider: str
    calls: int
    tokens: Tokens
    resolved: str | None
    backfilled_usd: float | None
    operations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pricing:
    """Step 2. ``prices.of(model, provider)`` gives the price map's entry of a model, and
    ``prices.known`` tells which map and of what date.

    ``usage`` is the window's usage with backfilled costs: the base of every total.
    """

    prices: Prices
    unpriced: tuple[Unpriced, ...]
    checks: tuple[CrossCheck, ...]
    usage: tuple[Usage, ...]


@dataclass(frozen=True, slots=True)
class WindowTotals:
    """Calls, cost and errors in a sub-window, with its length."""

    days: int
    calls: int
    cost_usd: float
    errors: int
    tokens: float

    @property
    def cost_per_day_usd(self) -> float:
        return self.cost_usd / self.days


@dataclass(frozen=True, slots=True)
class Spread:
    """Exact quantiles of a positive number over an operation's calls; 0 where none has it."""

    p50: float
    p95: float
    max: float


@dataclass(frozen=True, slots=True)
class OperationMetrics:
    """Step 3 for one operation. ``windows`` are 3 days, 7 days and the whole, in this order.

    ``trend`` is the daily cost of the last 7 days over that of the days before (None without
    both); ``models`` its models by falling cost.
    """

    operation: str
    calls: int
    errors: int
    cost_usd: float
    error_cost_usd: float
    tokens: Tokens
    traces: int
    latency_s: Spread
    prompt: Spread
    output: Spread
    last: datetime
    windows: tuple[WindowTotals, ...]
    trend: float | None
    models: tuple[str, ...]

    @property
    def error_rate(self) -> float:
        return self.errors / self.calls

    @property
    def cost_per_call_usd(self) -> float:
        return self.cost_usd / self.calls


@dataclass(frozen=True, slots=True)
class ModelMetrics:
    """Step 3 for one model of one provider."""

    model: str
    provider: str
    calls: int
    errors: int
    cost_usd: float
    tokens: Tokens
    latency_s: Spread
    windows: tuple[WindowTotals, ...]
    trend: float | None

    @property
    def error_rate(self) -> float:
        return self.errors / self.calls


@dataclass(frozen=True, slots=True)
class Daily:
    """One UTC day of one operation (of the dearest 20; the others together as "")."""

    day: str
    operation: str
    calls: int
    cost_usd: float
    errors: int


@dataclass(frozen=True, slots=True)
class Metrics:
    """Step 3. Operations and models by falling cost."""

    operations: tuple[OperationMetrics, ...]
    models: tuple[ModelMetrics, ...]
    windows: tuple[WindowTotals, ...]
    daily: tuple[Daily, ...]
    cost_usd: float
    calls: int
    errors: int
    tokens: Tokens
    untraced_calls: int

    def operation(self, name: str) -> OperationMetrics | None:
        return next((one for one in self.operations if one.operation == name), None)


@dataclass(frozen=True, slots=True)
class OutlierTrace:
    """A trace far dearer than its operation's others, by which rules."""

    trace_id: str
    operation: str
    cost_usd: float
    calls: int
    start: datetime
    by_sigma: bool
    by_mad: bool


@dataclass(frozen=True, slots=True)
class OperationVariance:
    """Step 4: cost per trace of one operation. ``std`` is the population's.

    ``sigma_limit`` is mean + 2 std, ``mad_limit`` median + 5 scaled MADs. ``outliers`` are at most
    10, dearest first; ``outlier_traces`` and ``outlier_cost_usd`` count all of them.
    """

    operation: str
    n: int
    min: float
    mean: float
    median: float
    max: float
    std: float
    p95: float
    mad: float
    sigma_limit: float
    mad_limit: float
    outlier_traces: int
    outlier_cost_usd: float
    outliers: tuple[OutlierTrace, ...]
    costs: tuple[float, ...] = ()
    """The dearest 500 traces' costs, for the figure."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a trace, as read. Hashes are of the JSON text, "" where there was no text.

    ``shape_hash`` is the prompt's with every number made ``#`` (attempt counters, times, ids);
    ``prefix_hash`` is of its first 2,000 characters; ``output_text`` is the answer's first 2,000
    characters of JSON.
    """

    uuid: str
    trace_id: str
    operation: str
    at: datetime
    model: str
    provider: str
    cost_usd: float
    tokens: Tokens
    latency_s: float | None
    status: int | None
    failed: bool
    stop_reason: str
    input_hash: str = ""
    shape_hash: str = ""
    prefix_hash: str = ""
    input_chars: int = 0
    output_text: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Patterns:
    """What an operation's traces look like, counted over its traces (or one in ``sampled``).

    *Repeating*: four or more calls, of which three have a prompt of the size of the one before.
    *Growing*: four or more calls, nearly every prompt larger than the last, to at least twice the
    first and 4,000 tokens. ``growing_resent`` are the prompt tokens of growing traces that the call
    before had sent already, ``growing_prompt`` all of them, ``growing_cached`` those that a cache
    gave. The ids are of the traces worth reading.
    """

    traces: int = 0
    calls: int = 0
    cost_usd: float = 0.0
    first_prompt_p50: float = 0.0
    calls_p50: float = 0.0
    calls_max: int = 0
    repeating_traces: int = 0
    repeating_calls: int = 0
    repeating_cost_usd: float = 0.0
    growing_traces: int = 0
    growing_cost_usd: float = 0.0
    growing_prompt: float = 0.0
    growing_resent: float = 0.0
    growing_cached: float = 0.0
    sampled: int = 1
    repeating_ids: tuple[str, ...] = ()
    growing_ids: tuple[str, ...] = ()
    long_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tails:
    """Calls of an operation far beyond its usual prompt and its usual output.

    ``*_excess`` are the tokens above the median in those calls.
    """

    prompt_limit: float = 0.0
    prompt_calls: int = 0
    prompt_cost_usd: float = 0.0
    prompt_excess: float = 0.0
    prompt_ids: tuple[str, ...] = ()
    output_limit: float = 0.0
    output_calls: int = 0
    output_cost_usd: float = 0.0
    output_excess: float = 0.0
    output_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Contents:
    """What the prompts and answers of an operation's calls hold, in the part that was read.

    ``read`` calls had a prompt to read, of ``calls`` in the read part. ``duplicates`` are calls
    whose model and prompt a call of *another trace* had. ``stable_chars`` is the longest tested
    length at which the prompts that are so long share few beginnings; ``cache_hits`` of them came
    within five minutes of another with the same beginning, ``cache_writes`` did not.
    ``loop_*`` count the same tool called with the same arguments four or more times in a trace.
    ``ill_ids`` are traces with an empty and with a malformed output, where there are any.
    """

    calls: int = 0
    read: int = 0
    mean_chars: float = 0.0
    mean_prompt: float = 0.0
    duplicates: int = 0
    duplicate_groups: int = 0
    duplicate_cost_usd: float = 0.0
    duplicate_ids: tuple[str, ...] = ()
    stable_chars: int = 0
    stable_calls: int = 0
    cache_hits: int = 0
    cache_writes: int = 0
    outputs: int = 0
    distinct_outputs: int = 0
    tool_calls: int = 0
    empty_outputs: int = 0
    json_outputs: int = 0
    malformed_outputs: int = 0
    ill_ids: tuple[str, ...] = ()
    loop_traces: int = 0
    loop_calls: int = 0
    loop_cost_usd: float = 0.0
    loop_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one hypothesis says of one subject, with the numbers that say it.

    ``confirmed`` is None when the data cannot tell (prompts in privacy mode, say). ``wasted_usd``
    is the cost, within the window, of what the cause added.
    """

    cause: str
    confirmed: bool | None
    reason: str
    numbers: Mapping[str, Number] = field(default_factory=dict)
    wasted_usd: float = 0.0
    calls: int = 0
    trace_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Every hypothesis tested on one outlier trace, or on a whole operation (``trace_id`` None).

    ``causes`` are the confirmed ones, most specific first, or ("unexplained",) for a trace.
    """

    operation: str
    trace_id: str | None
    cost_usd: float
    calls: int
    causes: tuple[str, ...]
    verdicts: tuple[Verdict, ...]

    def verdict(self, cause: str) -> Verdict | None:
        return next((one for one in self.verdicts if one.cause == cause), None)


@dataclass(frozen=True, slots=True)
class Causes:
    """Step 5: outlier traces by falling cost, operations by falling cost, and the calls read."""

    traces: tuple[Diagnosis, ...]
    operations: tuple[Diagnosis, ...]
    calls: Mapping[str, tuple[Call, ...]]
    patterns: Mapping[str, Patterns]
    tails: Mapping[str, Tails]
    contents: Mapping[str, Contents]
    contents_part: str

    def operation(self, name: str) -> Diagnosis | None:
        return next((one for one in self.operations if one.operation == name), None)


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """Failed calls of one operation with one HTTP status (None: no status), and the latest's
    message."""

    operation: str
    status: int | None
    errors: int
    cost_usd: float
    message: str


FailureKind = Literal[
    "errors",
    "timeouts",
    "rate_limits",
    "truncated",
    "empty",
    "malformed",
    "paid_errors",
    "output_variance",
]


@dataclass(frozen=True, slots=True)
class FailureFinding:
    """A failure mode that is more than noise: its sentence, its calls and what they cost."""

    kind: FailureKind
    text: str
    calls: int
    cost_usd: float
    trace_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OperationFailures:
    """Step 6 for one operation: counts of calls, and the findings among them.

    ``error_rate_low`` and ``_high`` bound the rate with 95 % confidence (Wilson). ``truncated``
    answers ended at a length limit; ``empty`` ones have no output tokens although the call
    succeeded; ``output_cv`` is the output length's standard deviation over its mean.
    """

    operation: str
    calls: int
    errors: int
    error_rate_low: float
    error_rate_high: float
    timeouts: int
    rate_limited: int
    truncated: int
    truncated_cost_usd: float
    empty: int
    empty_cost_usd: float
    paid_errors: int
    paid_error_cost_usd: float
    output_cv: float
    findings: tuple[FailureFinding, ...]

    def finding(self, kind: FailureKind) -> FailureFinding | None:
        return next((one for one in self.findings if one.kind == kind), None)


@dataclass(frozen=True, slots=True)
class LimitBursts:
    """Rate limits (429) of one operation's model by minute, and whether its own bursts bring them.

    ``traces_*`` are traces that called in a minute with a 429 (mean), and in one without (median):
    traces, since retries would count a refused call many times. ``own`` is True when the former is
    at least three times the latter, False when it is not much more, None with too little to say.
    """

    operation: str
    model: str
    limited: int
    minutes: int
    traces_in_limited: float
    traces_in_other: float
    own: bool | None
    reason: str
    trace_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Failures:
    """Step 6, by falling number of errors."""

    operations: tuple[OperationFailures, ...]
    groups: tuple[ErrorGroup, ...]
    bursts: tuple[LimitBursts, ...]

    def operation(self, name: str) -> OperationFailures | None:
        return next((one for one in self.operations if one.operation == name), None)


@dataclass(frozen=True, slots=True)
class Analysis:
    """All that a report is written from."""

    options: Options
    connection: Connection
    pricing: Pricing
    metrics: Metrics
    variance: tuple[OperationVariance, ...]
    causes: Causes
    failures: Failures
    samples: tuple[Sample, ...]
    history: History
    recommendations: tuple[Recommendation, ...]
    queries: int
