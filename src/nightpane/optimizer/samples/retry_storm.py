"""Retry storm: the trace asks the same thing again, three times or more."""

from __future__ import annotations

from nightpane.optimizer.causes.retry_storm import LEAST_REPEATS, repeats
from nightpane.optimizer.samples.facts import Finding, Reading, times
from nightpane.optimizer.words import usd

__all__ = ["detect"]


def detect(reading: Reading) -> Finding | None:
    """Return the storm, by the rule that step 5 has for a repeat."""
    calls = reading.calls
    found = repeats(calls)
    if len(found) < LEAST_REPEATS:
        return None
    failed = sum(call.failed for call in calls)
    seconds = (found[-1].at - calls[0].at).total_seconds()
    first = next(place for place, call in enumerate(calls) if call.uuid == found[0].uuid)
    because = f" after {times(failed, 'failure')}" if failed else ", though none had failed"
    return Finding(
        "retry_storm",
        f"{len(found)} of its {len(calls)} calls ask again what the call before asked{because}: "
        f"{usd(sum(call.cost_usd for call in found))} within {seconds:,.0f} seconds.",
        at=first,
    )
