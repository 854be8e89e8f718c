"""``nightpane optimize verify``: every number of an earlier report, measured again today."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from nightpane.optimizer import record
from nightpane.optimizer.measure import measure, reached
from nightpane.optimizer.model import Earlier
from nightpane.optimizer.source import Source
from nightpane.query import Query

__all__ = ["verify"]


def verify(query: Query, folder: Path, now: datetime) -> tuple[Earlier, ...]:
    """Return what became of each number that the report in ``folder`` wanted to move.

    Raises ConfigError when the folder holds no report.
    """
    report = record.load(folder)
    source = Source(query)
    found = []
    for one in report.recommendations:
        measurement = one["measurement"]
        value, why = measure(source, measurement, now)
        baseline, target = float(measurement["baseline"]), float(measurement["target"])
        found.append(
            Earlier(
                id=one["id"],
                title=one["title"],
                status=one.get("status", "open"),
                source=str(report.path),
                metric=measurement["metric"],
                baseline=baseline,
                target=target,
                now=value,
                reached=None if value is None else reached(baseline, target, value),
                note=why,
                measurement=measurement,
            )
        )
    return tuple(found)
