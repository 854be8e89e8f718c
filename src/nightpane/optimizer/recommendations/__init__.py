"""Step 8: what to change, ranked."""

from __future__ import annotations

from nightpane.optimizer.fields import Scope
from nightpane.optimizer.model import (
    Causes,
    Failures,
    History,
    Metrics,
    OperationVariance,
    Options,
    Pricing,
    Recommendation,
    Sample,
)
from nightpane.optimizer.source import Source

__all__ = ["run"]


def run(
    source: Source,
    scope: Scope,
    options: Options,
    pricing: Pricing,
    metrics: Metrics,
    variance: tuple[OperationVariance, ...],
    causes: Causes,
    failures: Failures,
    samples: tuple[Sample, ...],
    history: History,
) -> tuple[Recommendation, ...]:
    """Return the recommendations, ranked."""
    return ()
