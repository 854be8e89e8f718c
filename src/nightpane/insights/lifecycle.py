"""``LifecycleQuery``: who is new, returning, resurrecting or dormant in each interval.

New is who was first seen in the interval; returning, who was active in the one before too;
resurrecting, who was not; dormant, who was active in the one before and no longer is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from nightpane.insights.dates import INTERVALS, Period, bucket, calendar_step, read_period
from nightpane.insights.filters import Filters
from nightpane.insights.labels import day
from nightpane.insights.question import Context, Question, Values
from nightpane.insights.reading import Fields, wrong
from nightpane.insights.series import Series, read_series
from nightpane.insights.trends_result import moment

__all__ = ["STATUSES", "Lifecycle", "build", "marked", "read_lifecycle", "results"]

STATUSES = ("new", "returning", "resurrecting", "dormant")
_FRAME = "partition by actor order by at rows between unbounded preceding and unbounded following"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifecycle:
    """A lifecycle query that was read: one series."""

    series: Series
    period: Period

    def starting(self, at: datetime | None) -> Lifecycle:
        """Return the query with the start that all time has."""
        return replace(self, period=self.period.starting(at))


def read_lifecycle(query: Fields, context: Context) -> Lifecycle:
    """Return a ``LifecycleQuery``. Raises InsightError naming the field that is wrong."""
    interval = query.choice("interval", INTERVALS, "day") or "day"
    query.refuse("aggregation_group_type_index", why="there are no groups here.")
    series = read_series(query)
    if len(series) > 1:
        raise wrong(query.at("series"), "a lifecycle has one series only.")
    period = read_period(query, interval, context.now, context.timezone)
    return Lifecycle(series=series[0], period=period)


def build(lifecycle: Lifecycle, query: Fields, context: Context) -> Question:
    """Return the one query: ``status``, ``buckets`` and ``totals``.

    ``earliest`` is the first event of all when all time is asked for.
    """
    values = Values()
    earliest = ", (select min(timestamp) from events) as earliest"
    text = f"""{marked(lifecycle, query, context, values)},
counted as (
    select bucket, status, count() as total
    from marked
    group by bucket, status
)
select status, groupArray(bucket) as buckets, groupArray(total) as totals\
{earliest if lifecycle.period.start is None else ""}
from counted
group by status"""  # noqa: S608 (fixed texts only: values are placeholders)
    return Question(text, values.given)


def marked(lifecycle: Lifecycle, query: Fields, context: Context, values: Values) -> str:
    """Return the steps up to ``marked``: each ``actor`` with its ``status`` in each ``bucket``."""
    filters = Filters(values, context)
    period, interval = lifecycle.period, lifecycle.period.interval
    tests = lifecycle.series.condition(values, filters)
    condition = filters.of(query.given.get("properties"), query.at("properties"))
    tests += [] if condition is None else [condition]
    # The interval before the first one, to know who returned, and the whole of the last one.
    points = period.points()
    last = points[-1] if points else _floor_of(period)
    following = calendar_step(last, interval)
    tests.append(f"timestamp < {values.place(following)}")
    limits = [f"bucket <= {values.place(last)}", "status != ''"]
    if points:
        tests.append(f"timestamp >= {values.place(calendar_step(points[0], interval, -1))}")
        limits.append(f"bucket >= {values.place(points[0])}")
    one = f"toInterval{interval.title()}(1)"
    ahead = f"toInterval{interval.title()}(ahead)"
    return f"""with active as (
    select person_id as actor, {bucket(interval)} as at, min(person.created_at) as born
    from events as e
    where {_all(tests)}
    group by actor, at
),
told as (
    select
        actor,
        at,
        {bucket(interval, "born")} as born_at,
        at - {one} as before_at,
        at + {one} as after_at,
        toNullable(at) as point,
        lagInFrame(point) over ({_FRAME}) as before,
        leadInFrame(point) over ({_FRAME}) as after
    from active
),
marked as (
    select
        actor,
        at + {ahead} as bucket,
        multiIf(
            ahead = 1, if(after = after_at, '', 'dormant'),
            before = before_at, 'returning',
            before is null and born_at = at, 'new',
            'resurrecting'
        ) as status
    from told
    array join [0, 1] as ahead
    where {_all(limits)}
)"""  # noqa: S608 (fixed texts only: values are placeholders)


def results(lifecycle: Lifecycle, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return PostHog's ``results``: the four statuses in its order."""
    by_status = {row["status"]: row for row in rows}
    return [
        _shown(lifecycle, status, by_status.get(status, {"buckets": [], "totals": []}))
        for status in STATUSES
    ]


def _shown(lifecycle: Lifecycle, status: str, row: dict[str, Any]) -> dict[str, Any]:
    period, event = lifecycle.period, lifecycle.series.label
    name = event or "All events"
    pairs = zip(row["buckets"], row["totals"], strict=True)
    counted = {moment(text, period): total for text, total in pairs}
    sign = -1.0 if status == "dormant" else 1.0
    points = period.points()
    found = [counted.get(point.astimezone(UTC)) for point in points]
    data = [sign * total if total else 0.0 for total in found]
    hours = " %H:%M" if period.interval in ("second", "minute", "hour") else ""
    return {
        "action": {"id": event, "name": name, "type": "events", "order": 0, "math": "total"},
        "data": data,
        "count": float(sum(data)),
        "labels": [f"{point.day}-{point.strftime(f'%b-%Y{hours}')}" for point in points],
        "days": [day(point, period.interval) for point in points],
        "label": f"{name} - {status}",
        "status": status,
    }


def _floor_of(period: Period) -> datetime:
    return period.starting(period.end).points()[-1]


def _all(tests: list[str]) -> str:
    return "\n        and ".join(tests) or "true"
