"""A recommendation's number, asked again: the same HogQL, for a window that ends later."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from nightpane.errors import ApiError
from nightpane.optimizer.source import Source

__all__ = ["Measured", "measure", "reached"]

Measured = tuple[float | None, str]
"""The number, or None and why there is none."""


def measure(source: Source, measurement: Mapping[str, Any], now: datetime) -> Measured:
    """Return a measurement's number over the days up to ``now`` that it asks for."""
    days = int(measurement.get("window_days") or 7)
    window = {"since": now - timedelta(days=days), "until": now}
    try:
        rows = source.ask(measurement["hogql"], {**measurement.get("values", {}), **window})
    except ApiError as error:
        return None, f"the query was refused: {error.detail}"
    value = next(iter(rows[0].values()), None) if rows else None
    try:
        number = None if value is None else float(value)
    except (TypeError, ValueError):
        number = None
    if number is None or number != number:
        return None, f"nothing to measure in the last {days} days"
    return number, ""


def reached(baseline: float, target: float, now: float) -> bool:
    """Tell whether a number got from its baseline to its target, whichever way that is."""
    return now <= target if target <= baseline else now >= target
