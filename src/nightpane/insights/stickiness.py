"""``StickinessQuery``: how many persons were active in so many of the intervals."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from nightpane.insights.dates import INTERVALS, Period, bucket, read_period, with_previous
from nightpane.insights.filters import Filters
from nightpane.insights.question import Context, Question, Values, expression
from nightpane.insights.reading import Fields
from nightpane.insights.series import Series, read_series

__all__ = ["CRITERIA", "Stickiness", "actors", "build", "read_stickiness", "results"]

CRITERIA = {"gte": ">=", "lte": "<=", "exact": "="}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stickiness:
    """A stickiness query that was read.

    ``width`` is how many intervals are one; ``least`` what makes an interval one of activity, as an
    operator and a number of events.
    """

    series: tuple[Series, ...]
    periods: tuple[Period, ...]
    width: int
    is_cumulative: bool
    least: tuple[str, int] | None

    def starting(self, at: datetime | None) -> Stickiness:
        """Return the query with the start that all time has."""
        return replace(self, periods=tuple(period.starting(at) for period in self.periods))


def read_stickiness(query: Fields, context: Context) -> Stickiness:
    """Return a ``StickinessQuery``. Raises InsightError naming the field that is wrong."""
    interval = query.choice("interval", INTERVALS, "day") or "day"
    shown = query.part("stickinessFilter") or Fields({}, query.at("stickinessFilter"))
    computed = shown.choice("computedAs", ("cumulative", "non_cumulative"))
    criteria = shown.part("stickinessCriteria")
    least = None
    if criteria is not None:
        operator = criteria.choice("operator", tuple(CRITERIA), "gte") or "gte"
        least = (CRITERIA[operator], criteria.whole("value") or 0)
    return Stickiness(
        series=read_series(query),
        periods=with_previous(query, read_period(query, interval, context.now, context.timezone)),
        width=query.whole("intervalCount", least=1, most=1_000) or 1,
        is_cumulative=computed == "cumulative",
        least=least,
    )


def build(stickiness: Stickiness, query: Fields, context: Context) -> Question:
    """Return the one query: ``slot``, ``active`` (numbers of intervals) and ``totals``.

    ``earliest`` is the first event of all when all time is asked for.
    """
    values = Values()
    filters = Filters(values, context)
    condition = filters.of(query.given.get("properties"), query.at("properties"))
    count = len(stickiness.series)
    branches = [
        _branch(
            stickiness, place * count + series.order, series, period, condition, filters, values
        )
        for place, period in enumerate(stickiness.periods)
        for series in stickiness.series
    ]
    counted = "\nunion all\n".join(branches)
    earliest = ""
    if stickiness.periods[0].start is None:
        earliest = ", (select min(timestamp) from events) as earliest"
    text = f"""with counted as (
{counted}
)
select slot, groupArray(active) as active, groupArray(total) as totals{earliest}
from counted
group by slot"""  # noqa: S608 (fixed texts only: values are placeholders)
    return Question(text, values.given)


def results(stickiness: Stickiness, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return PostHog's ``results``, in its order."""
    by_slot = {int(row["slot"]): row for row in rows}
    count = len(stickiness.series)
    found = []
    for slot in range(count * len(stickiness.periods)):
        place, order = divmod(slot, count)
        row = by_slot.get(slot, {"active": [], "totals": []})
        counted = dict(zip(row["active"], row["totals"], strict=True))
        shown = _shown(stickiness, stickiness.series[order], stickiness.periods[place], counted)
        if len(stickiness.periods) > 1:
            shown |= {"compare": True, "compare_label": "previous" if place else "current"}
        found.append(shown)
    return found


def _branch(
    stickiness: Stickiness,
    slot: int,
    series: Series,
    period: Period,
    condition: str | None,
    filters: Filters,
    values: Values,
) -> str:
    inner = actors(stickiness, series, period, condition, filters, values)
    return f"""    select {slot} as slot, active, count() as total
    from (
{inner}
    )
    group by active"""  # noqa: S608


def actors(
    stickiness: Stickiness,
    series: Series,
    period: Period,
    condition: str | None,
    filters: Filters,
    values: Values,
) -> str:
    """Return a SELECT of each ``actor`` and the number of intervals it was ``active`` in.

    ``condition`` is the one of the whole query.
    """
    end = values.place(period.end)
    tests = [f"timestamp <= {end}", *series.condition(values, filters)]
    if period.since is not None:
        tests.insert(0, f"timestamp >= {values.place(period.since)}")
    if condition is not None:
        tests.append(condition)
    actor = "person_id"
    if series.math == "hogql":
        actor = expression(series.math_hogql, f"{series.attr}.math_hogql")
    elif series.math == "unique_group":
        actor = f"$group_{series.math_group_type_index}"
        tests.append(f"{actor} != ''")
    at = bucket(period.interval)
    if stickiness.width > 1:
        # Counted back from the end, as PostHog does.
        width = values.place(stickiness.width)
        at = f"floor(age('{period.interval}', timestamp, toDateTime({end})) / {width})"
    having = ""
    if stickiness.least is not None:
        operator, number = stickiness.least
        having = f"\n            having count() {operator} {values.place(number)}"
    where = "\n                and ".join(tests)
    return f"""        select actor, count() as active
        from (
            select {actor} as actor, {at} as bucket
            from events as e
            where {where}
            group by actor, bucket{having}
        )
        group by actor"""  # noqa: S608


def _shown(
    stickiness: Stickiness, series: Series, period: Period, counted: dict[int, int]
) -> dict[str, Any]:
    steps = -(-len(period.points()) // stickiness.width)
    days = list(range(1, steps + 1))
    data = [counted.get(day, 0) for day in days]
    count = sum(data)
    suffix = ""
    if stickiness.is_cumulative:
        data = [sum(data[at:]) for at in range(len(data))]
        suffix = " or more"
    unit = period.interval
    return {
        "count": count,
        "data": data,
        "days": days,
        "label": series.label or "All events",
        "labels": [f"{day} {unit}{'' if day == 1 else 's'}{suffix}" for day in days],
        "action": {
            "order": series.order,
            "type": "events",
            "name": series.label or "All events",
            "id": series.label,
        },
    }
