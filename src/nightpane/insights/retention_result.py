"""PostHog's ``results`` of a retention: a row for each interval that somebody can begin in."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from nightpane.insights.breakdowns import OTHER
from nightpane.insights.dates import calendar_step
from nightpane.insights.labels import iso
from nightpane.insights.reading import wrong
from nightpane.insights.retention import Retention

__all__ = ["results"]

_MOST_CELLS = 500_000

Cells = dict[tuple[int, int], list[float]]
"""The count and the figure by the interval that was begun in, and by how many later."""


def results(retention: Retention, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows, value by value of a breakdown, the largest one first.

    Raises InsightError when they are more than 500,000 figures.
    """
    by_value = {str(row["value"]): _cells(row) for row in rows}
    if retention.breakdown is None:
        shown: list[tuple[str | None, Cells]] = [(None, by_value.get("", {}))]
    else:
        shown = _largest(retention, by_value)
    count = len(retention.period.points())
    cells = count * retention.lookahead * len(shown)
    if cells > _MOST_CELLS:
        raise wrong(
            "retentionFilter.totalIntervals",
            f"{cells:,} figures are more than the {_MOST_CELLS:,} an answer has: "
            "ask for fewer intervals or values, or a longer period.",
        )
    return [row for value, found in shown for row in _rows(retention, value, found, count)]


def _cells(row: dict[str, Any]) -> Cells:
    figures = row.get("figures") or [0.0] * len(row["totals"])
    placed = zip(row["begins"], row["lags"], row["totals"], figures, strict=True)
    return {(begin, lag): [total, figure] for begin, lag, total, figure in placed}


def _largest(retention: Retention, by_value: dict[str, Cells]) -> list[tuple[str | None, Cells]]:
    """Return the values that most began with, and the others as one."""
    limit = retention.breakdown.limit if retention.breakdown else 0
    begun = {
        value: sum(found[0] for (_, lag), found in cells.items() if lag == 0)
        for value, cells in by_value.items()
    }
    ordered = sorted(by_value, key=lambda value: (-begun[value], value))
    shown: list[tuple[str | None, Cells]] = [(value, by_value[value]) for value in ordered[:limit]]
    others = [by_value[value] for value in ordered[limit:]]
    return [*shown, (OTHER, _joined(others, retention.figure))] if others else shown


def _joined(several: list[Cells], figure_kind: str | None) -> Cells:
    """Return the cells of several values as one: an average is that of all actors in it."""
    averages = figure_kind == "avg"
    found: Cells = defaultdict(lambda: [0, 0.0])
    for cells in several:
        for place, (total, figure) in cells.items():
            found[place][0] += total
            found[place][1] += figure * total if averages else figure
    if averages:
        for cell in found.values():
            cell[1] /= cell[0]
    return found


def _rows(
    retention: Retention, value: str | None, cells: Cells, count: int
) -> list[dict[str, Any]]:
    interval = retention.period.interval
    labels = _labels(retention)
    first = retention.period.points()[0]
    found = []
    for number in range(count):
        values = []
        for lag, label in enumerate(labels):
            total, figure = cells.get((number - count + 1, lag), (0, 0.0))
            shown: dict[str, Any] = {"count": total}
            if retention.figure:
                shown["aggregation_value"] = figure
            values.append({**shown, "label": label})
        row: dict[str, Any] = {"values": values, "label": f"{interval.title()} {number}"}
        row["date"] = iso(calendar_step(first, interval, number))
        found.append({**row, "breakdown_value": value})
    return found


def _labels(retention: Retention) -> list[str]:
    unit = retention.period.interval.title()
    labels, first = [f"{unit} 0"], 1
    for width in retention.brackets or [1] * (retention.lookahead - 1):
        last = first + width - 1
        labels.append(f"{unit} {first}" if width == 1 else f"{unit} {first}-{last}")
        first = last + 1
    return labels
