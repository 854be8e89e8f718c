"""The values that stand on their own: what was asked, tokens, samples, advice. See ``model``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

__all__ = [
    "Connection",
    "Earlier",
    "Evidence",
    "Fix",
    "History",
    "Measurement",
    "Number",
    "Options",
    "Recommendation",
    "Sample",
    "SampleBucket",
    "Saving",
    "Target",
    "Tokens",
]

Number = int | float | str | None
SampleBucket = Literal["cheapest", "median", "dearest", "slowest", "errored"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the caller asked for. ``now`` is the end of the window, to the second."""

    results_dir: Path
    now: datetime
    window_days: int = 30
    top_n: int = 5
    sample_size: int = 15
    min_recommendations: int = 3
    project: str | None = None
    history: Path | None = None
    judge: str | None = None
    save_key: bool = False
    live_prices: bool = True


@dataclass(frozen=True, slots=True)
class Target:
    """Which project is read, and with what key (never in ``repr``)."""

    host: str
    project_id: str
    key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Connection:
    """Step 1: the connection holds, and this much is there."""

    host: str
    project_id: str
    start: datetime
    end: datetime
    generations: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of some calls by how they are priced.

    ``uncached`` were sent and paid in full, ``cache_read`` and ``cache_write`` at their own prices;
    ``prompt`` is the three together. ``output`` holds reasoning where it is billed as such.
    """

    uncached: float = 0.0
    cache_read: float = 0.0
    cache_write: float = 0.0
    output: float = 0.0

    @property
    def prompt(self) -> float:
        return self.uncached + self.cache_read + self.cache_write

    @property
    def total(self) -> float:
        return self.prompt + self.output

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(
            self.uncached + other.uncached,
            self.cache_read + other.cache_read,
            self.cache_write + other.cache_write,
            self.output + other.output,
        )


@dataclass(frozen=True, slots=True)
class Sample:
    """Step 7: one trace that was read."""

    trace_id: str
    operation: str
    bucket: SampleBucket
    cost_usd: float
    tokens: int
    calls: int
    input_excerpt: str
    output_excerpt: str
    abnormality: str
    note: str
    frequency: float
    frequency_low: float
    frequency_high: float
    basis: str = ""
    """What the frequency was counted over."""
    judged: str = ""
    """A language model's words on the trace, if one was asked; never a number."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One row of a recommendation's table."""

    trace_id: str
    operation: str
    cost_usd: float
    tokens: int
    issue: str


@dataclass(frozen=True, slots=True)
class Fix:
    """What to change, in Python with the provider's own API."""

    before: str
    after: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Measurement:
    """How to see that it worked. ``hogql`` gives one number in one row, with ``values`` filled in;
    its window is ``{since}`` to ``{until}`` (ISO 8601), so that any later time can be measured."""

    metric: str
    unit: str
    baseline: float
    target: float
    window_days: int
    why_window: str
    hogql: str
    values: Mapping[str, Number]


@dataclass(frozen=True, slots=True)
class Saving:
    """What the change would have saved. ``window_usd`` is computed from the calls themselves;
    ``monthly_*`` is that at the window's pace. ``method`` tells how, ``trace_ids`` from what.

    ``claims`` are the cost units that were counted, (operation, kind of cost) to USD, so that two
    recommendations on the same cost are not added twice.
    """

    window_usd: float
    monthly_usd: float
    monthly_low_usd: float
    monthly_high_usd: float
    calls: int
    method: str
    trace_ids: tuple[str, ...]
    claims: Mapping[tuple[str, str], float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recommendation:
    """Step 8. ``id`` is stable over reports: the cause and the operation. ``ease`` is 1 (weeks) to
    3 (an afternoon). ``priority`` counts from 1."""

    id: str
    cause: str
    operation: str
    title: str
    problem: str
    why: str
    evidence: tuple[Evidence, ...]
    excerpt: str
    fix: Fix
    measurement: Measurement
    saving: Saving
    ease: int
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier recommendation and what became of it."""

    id: str
    title: str
    status: Literal["shipped", "rejected", "open"]
    source: str
    metric: str
    baseline: float | None
    target: float | None
    now: float | None
    reached: bool | None
    note: str = ""
    measurement: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class History:
    """Step 9. ``skip`` holds the ids that must not be recommended again."""

    source: str
    earlier: tuple[Earlier, ...]
    skip: frozenset[str]
    worse: tuple[str, ...]
