"""Step 9: what became of earlier recommendations."""

from __future__ import annotations

from nightpane.optimizer.model import History, Options
from nightpane.optimizer.source import Source

__all__ = ["run"]


def run(source: Source, options: Options) -> History:
    """Return the history, empty without any."""
    return History("", (), frozenset(), ())
