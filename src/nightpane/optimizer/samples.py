"""Step 7: a stratified sample of traces, each read."""

from __future__ import annotations

from nightpane.optimizer.fields import Scope
from nightpane.optimizer.folder import Folder
from nightpane.optimizer.model import Causes, Failures, Metrics, OperationVariance, Options, Sample
from nightpane.optimizer.source import Source

__all__ = ["run"]


def run(
    source: Source,
    folder: Folder,
    scope: Scope,
    metrics: Metrics,
    variance: tuple[OperationVariance, ...],
    causes: Causes,
    failures: Failures,
    options: Options,
) -> tuple[Sample, ...]:
    """Return the traces that were read."""
    return ()
