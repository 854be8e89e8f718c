"""The rows of a trend as PostHog's result: a list of series, or of formulas over them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from nightpane.insights.breakdowns import NULL, OTHER, named
from nightpane.insights.dates import Period
from nightpane.insights.labels import day, iso, label
from nightpane.insights.maths import is_count
from nightpane.insights.question import Context
from nightpane.insights.series import Series
from nightpane.insights.trends import FormulaNode, Trends

__all__ = ["is_other", "moment", "results"]

Row = Mapping[str, Any]
_SAME = "all"


def results(trends: Trends, rows: Sequence[Row], context: Context) -> list[dict[str, Any]]:
    """Return PostHog's ``results``, in its order."""
    by_slot: dict[int, list[Row]] = {}
    for row in rows:
        by_slot.setdefault(int(row["slot"]), []).append(row)
    count = len(trends.series)
    slots = range(count * len(trends.periods))
    shown = [_series(trends, slot, by_slot.get(slot, []), context) for slot in slots]
    if not trends.formulas:
        return [_ordered(item) for one in shown for item in one]
    found = []
    for order, node in enumerate(trends.formulas):
        halves = [shown[at : at + count] for at in range(0, len(shown), count)]
        for half in halves:
            found += [{**item, "order": order} for item in _applied(trends, node, half)]
    return found


def is_other(value: Any) -> bool:
    """Say whether a breakdown's value stands for those beyond the limit."""
    return value == OTHER or (isinstance(value, list) and OTHER in value)


def moment(text: str, period: Period) -> datetime:
    """Return the instant a row names, in UTC; a date is the start of its day in the timezone.

    Two local times of an hour that comes twice would be equal, and one count would be lost.
    """
    at = datetime.fromisoformat(text)
    return (at.replace(tzinfo=period.zone) if at.tzinfo is None else at).astimezone(UTC)


def _series(
    trends: Trends, slot: int, rows: Sequence[Row], context: Context
) -> list[dict[str, Any]]:
    """Return what is shown of one series: one object, or one for each value of the breakdown."""
    place, order = divmod(slot, len(trends.series))
    series, period = trends.series[order], trends.periods[place]
    base = _base(trends, series)
    if len(trends.periods) > 1:
        base |= {"compare": True, "compare_label": "previous" if place else "current"}
    if trends.breakdown is None:
        row = rows[0] if rows else {"total": 0, "totals": [], "buckets": []}
        return [{**base, **_figures(trends, series, period, row)}]
    found = []
    for row in rows:
        value, text = named(trends.breakdown, row["value"], context)
        if trends.breakdown.hides_other and is_other(value):
            continue
        if len(trends.series) > 1:
            text = f"{base['label']} - {text}"
        figures = _figures(trends, series, period, row)
        found.append({**base, **figures, "label": text, "breakdown_value": value})
    return sorted(found, key=lambda item: (_rank(item), -_size(item), _text_key(item)))


def _figures(trends: Trends, series: Series, period: Period, row: Row) -> dict[str, Any]:
    whole = is_count(series)
    if trends.is_total:
        value = row["total"]
        if value is None and series.math != "hogql":
            value = 0
        value = int(value) if whole else value
        return {"data": [], "days": [], "count": 0, "aggregated_value": value}
    at = {moment(text, period): total for text, total in _pairs(row)}
    points = period.points()
    data: list[float] = [at.get(point.astimezone(UTC)) or 0 for point in points]
    if whole:
        data = [int(figure) for figure in data]
    if trends.is_cumulative:
        data = _running(data)
    if trends.smoothing > 1:
        data = _smoothed(data, trends.smoothing)
    last = data[-1] if data else 0
    return {
        "data": data,
        "labels": [label(point, period) for point in points],
        "days": [day(point, period.interval) for point in points],
        "count": last if trends.is_cumulative else float(sum(data)),
    }


def _pairs(row: Row) -> Iterable[tuple[str, Any]]:
    return zip(row["buckets"], row["totals"], strict=True)


def _running(data: Sequence[float]) -> list[float]:
    found: list[float] = []
    for figure in data:
        found.append(figure + (found[-1] if found else 0))
    return found


def _smoothed(data: Sequence[float], intervals: int) -> list[float]:
    """Return the averages of each figure and those before it, rounded down as PostHog does."""
    found: list[float] = []
    for end in range(1, len(data) + 1):
        part = data[max(end - intervals, 0) : end]
        found.append(sum(part) // len(part))
    return found


def _base(trends: Trends, series: Series) -> dict[str, Any]:
    shown = series.label
    return {
        "label": "All events" if shown is None else shown,
        "filter": _filter(trends),
        "action": {
            "days": [iso(point) for point in trends.periods[0].points()],
            "id": shown,
            "type": "events",
            "order": series.order,
            "name": shown or "All events",
            "custom_name": series.custom_name,
            "math": series.math,
            "math_property": series.math_property,
            "math_hogql": series.math_hogql,
            "math_group_type_index": series.math_group_type_index,
            "properties": {},
        },
    }


def _filter(trends: Trends) -> dict[str, Any]:
    """Return the query as PostHog's older clients know it."""
    given, period = trends.given, trends.periods[0]
    found = {
        "insight": "TRENDS",
        "properties": given.get("properties"),
        "filter_test_accounts": given.get("filterTestAccounts"),
        "date_to": iso(period.end),
        "date_from": None if period.start is None else iso(period.start),
        "entity_type": "events",
        "sampling_factor": given.get("samplingFactor"),
        "interval": trends.interval,
        **(given.get("trendsFilter") or {}),
        **(given.get("breakdownFilter") or {}),
    }
    return {name: value for name, value in found.items() if value is not None}


def _ordered(item: dict[str, Any]) -> dict[str, Any]:
    return {**item, "order": item["action"]["order"]}


def _applied(
    trends: Trends, node: FormulaNode, shown: Sequence[Sequence[dict[str, Any]]]
) -> list[dict[str, Any]]:
    """Return a formula's results: one, or one for each value any of its series has."""
    groups: dict[Any, list[dict[str, Any] | None]] = {}
    for place, items in enumerate(shown):
        for item in items:
            key = _key(item) if trends.breakdown else _SAME
            groups.setdefault(key, [None] * len(shown))[place] = item
    found = [_computed(trends, node, group) for group in groups.values()]
    return sorted(found, key=lambda item: (_rank(item), -_size(item), _text_key(item)))


def _computed(
    trends: Trends, node: FormulaNode, group: Sequence[dict[str, Any] | None]
) -> dict[str, Any]:
    base = next(item for item in group if item is not None)
    computed = {**base, "label": node.custom_name or f"Formula ({node.formula.text})"}
    computed["action"] = None
    if trends.is_total:
        figures = [item["aggregated_value"] if item else 0 for item in group]
        total = float(node.formula.of(figures))
        return {**computed, "aggregated_value": total, "data": None, "count": 0}
    empty = [0.0] * len(base["data"])
    columns = [item["data"] if item else empty for item in group]
    data = [node.formula.of(figures) for figures in zip(*columns, strict=True)]
    return {**computed, "data": data, "count": float(sum(data))}


def _key(item: Mapping[str, Any]) -> Any:
    value = item["breakdown_value"]
    return tuple(value) if isinstance(value, list) else value


def _rank(item: Mapping[str, Any]) -> int:
    """Put the others last and what has no value before them."""
    value = item.get("breakdown_value")
    values = value if isinstance(value, list) else [value]
    return 2 if OTHER in values else 1 if NULL in values else 0


def _size(item: Mapping[str, Any]) -> float:
    if item.get("data"):
        return float(sum(item["data"]))
    return float(item.get("aggregated_value") or 0)


def _text_key(item: Mapping[str, Any]) -> str:
    return str(item.get("breakdown_value"))
