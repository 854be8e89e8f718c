"""The rows of a funnel as PostHog's result: steps, bins of times, or conversion over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any

from nightpane.insights.breakdowns import named
from nightpane.insights.dates import Period
from nightpane.insights.funnels import Funnel
from nightpane.insights.funnels_query import OTHER
from nightpane.insights.labels import day, label
from nightpane.insights.question import Context
from nightpane.insights.trends_result import moment

__all__ = ["results"]

Row = Mapping[str, Any]
_LABELS = ("current", "previous")


def results(funnel: Funnel, rows: Sequence[Row], context: Context) -> Any:
    """Return PostHog's ``results``: lists, or an object with the bins of one period."""
    if funnel.view == "time_to_convert":
        return _times(funnel, rows[0])
    by_slot: list[list[Row]] = [[] for _ in funnel.periods]
    for row in rows:
        by_slot[int(row.get("slot", 0))].append(row)
    if funnel.view == "trends":
        return _trends(funnel, by_slot, context)
    if funnel.breakdown is not None:
        return _broken_down(funnel, by_slot, context)
    shown = [_steps(funnel, slot[0]) if slot else [] for slot in by_slot]
    if len(shown) == 1:
        return shown[0]
    # PostHog shows a period without anybody beside the other one with zeros.
    filled = [one or (_empty(funnel) if any(shown) else []) for one in shown]
    return [
        {**step, "compare_label": name}
        for name, steps in zip(_LABELS, filled, strict=True)
        for step in steps
    ]


def _broken_down(
    funnel: Funnel, by_slot: Sequence[Sequence[Row]], context: Context
) -> list[list[dict[str, Any]]]:
    """Return a funnel for each value, the one that most came furthest of first."""
    shown: list[dict[tuple[Any, ...], Row]] = []
    for slot in by_slot:
        order = sorted(slot, key=lambda row: ([-n for n in row["counts"][::-1]], row["value"]))
        shown.append({tuple(row["value"]): row for row in order})
    values = list(dict.fromkeys(value for rows in shown for value in rows))
    found = []
    for name, rows in zip(_LABELS, shown, strict=False):
        for value in values:
            row = rows.get(value)
            steps = _empty(funnel) if row is None else _steps(funnel, row)
            value_shown, text = _named(funnel, list(value), context)
            more = {"breakdown": text, "breakdown_value": value_shown}
            if len(shown) > 1:
                more["compare_label"] = name
            found.append([{**step, **more} for step in steps])
    return found


def _named(funnel: Funnel, value: list[Any], context: Context) -> tuple[Any, Any]:
    """Return a value and what it is called: a list as it is, a cohort's number and name."""
    if funnel.breakdown is not None and funnel.breakdown.is_cohort and value != [OTHER]:
        return named(funnel.breakdown, value, context)
    return value, value


def _empty(funnel: Funnel) -> list[dict[str, Any]]:
    none: list[Any] = [None] * len(funnel.steps)
    return _steps(funnel, {"counts": [0] * len(funnel.steps), "averages": none, "medians": none})


def _steps(funnel: Funnel, row: Row) -> list[dict[str, Any]]:
    found = []
    for i, series in enumerate(funnel.steps):
        step: dict[str, Any] = {
            "action_id": series.label,
            "name": series.label,
            "custom_name": series.custom_name,
            "order": i,
            "people": [],
            "count": int(row["counts"][i]),
            "type": "events",
            "average_conversion_time": row["averages"][i - 1] if i else None,
            "median_conversion_time": row["medians"][i - 1] if i else None,
        }
        if funnel.order == "unordered":
            name = f"Completed {i + 1} step{'s' if i else ''}"
            step |= {"action_id": None, "name": name, "custom_name": None}
        found.append(step)
    return found


def _times(funnel: Funnel, row: Row) -> Any:
    found = []
    for i in range(len(funnel.periods)):
        counts = row[f"counts_{i}"]
        edges = [round(row["low"] + place * row["width"]) for place in range(len(counts))]
        bins = [[edge, int(count)] for edge, count in zip(edges, counts, strict=True)]
        found.append({"bins": bins, "average_conversion_time": row[f"average_{i}"]})
    if len(found) == 1:
        return found[0]
    return [{**one, "compare_label": name} for one, name in zip(found, _LABELS, strict=True)]


def _trends(
    funnel: Funnel, by_slot: Sequence[Sequence[Row]], context: Context
) -> list[dict[str, Any]]:
    found = []
    for i, (slot, period) in enumerate(zip(by_slot, funnel.periods, strict=True)):
        more = {"compare_label": _LABELS[i]} if len(by_slot) > 1 else {}
        if funnel.breakdown is None:
            row = slot[0] if slot else {"buckets": [], "came": [], "went": []}
            found.append({**_line(row, period), **more})
            continue
        largest = sorted(slot, key=lambda row: (-sum(row["came"]), row["value"]))
        limit = len(slot) if funnel.breakdown.is_cohort else funnel.breakdown.limit
        for row in sorted(largest[:limit], key=lambda row: list(row["value"])):
            value = _named(funnel, list(row["value"]), context)[1]
            found.append({**_line(row, period), "breakdown_value": value, **more})
    return found


def _line(row: Row, period: Period) -> dict[str, Any]:
    """Return the share of those who came in each interval that went on, in percent."""
    figures = zip(row["buckets"], row["came"], row["went"], strict=True)
    shares = {moment(str(text), period): _percent(went, came) for text, came, went in figures}
    points = period.points()
    return {
        "count": len(points),
        "data": [shares.get(point.astimezone(UTC), 0) for point in points],
        "days": [day(point, period.interval) for point in points],
        "labels": [label(point, period) for point in points],
    }


def _percent(went: int, came: int) -> float:
    return round(went / came * 100, 2) if came else 0
