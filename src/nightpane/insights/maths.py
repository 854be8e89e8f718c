"""One series of a trend as one SELECT: ``slot``, ``bucket``, the breakdown's columns and ``total``.

The columns are the same for every kind of math, so that the SELECTs of all series can stand in one
UNION ALL. Brackets are kept shallow: the grammar's time grows with their depth.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from nightpane.insights.breakdowns import Breakdown, Columns, columns
from nightpane.insights.dates import Period, bucket, calendar_step
from nightpane.insights.filters import Filters, property_of
from nightpane.insights.question import Values, expression
from nightpane.insights.reading import wrong
from nightpane.insights.series import MATHS_OF_ACTORS, MATHS_OF_PROPERTIES, Series

__all__ = ["Branch", "is_count"]

_ACTIVE_DAYS = {"weekly_active": 7, "monthly_active": 30}
_FIRST_TIME = ("first_time_for_user", "first_matching_event_for_user")
_COUNTS = (None, "total", "dau", "unique_session", "unique_group", *_ACTIVE_DAYS, *_FIRST_TIME)
_PLACES = {"person_properties": "person", "session_properties": "session"}
_STEPS = {"day": 1, "hour": 24, "minute": 24 * 60}


def is_count(series: Series) -> bool:
    """Say whether the totals of a series are whole numbers."""
    return series.math in _COUNTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """One series in one period. ``conditions`` are those of the whole query."""

    slot: int
    series: Series
    period: Period
    is_total: bool
    is_cumulative: bool
    breakdown: Breakdown | None
    conditions: tuple[str, ...]
    values: Values
    filters: Filters
    columns: Columns = field(default_factory=Columns)

    def text(self) -> str:
        """Return the SELECT. Raises InsightError for what cannot be asked."""
        broken = columns(self.breakdown, self.values, self.filters)
        return replace(self, columns=broken)._text()

    def at(self, point: datetime) -> Branch:
        """Return the branch of all that is counted at one point of time."""
        period, interval = self.period, self.period.interval
        math, unit = self._math(), interval if interval in _STEPS else "day"
        low, following = point, calendar_step(point, interval)
        if math in _ACTIVE_DAYS:
            # The days, hours or minutes that look forward to the point, its own among them.
            low = calendar_step(point, unit, 1 - _ACTIVE_DAYS[math] * _STEPS[unit])
            following = calendar_step(point, unit)
        elif period.since is not None:
            low = period.since if self.is_cumulative else max(point, period.since)
        elif self.is_cumulative:
            return self._within(None, following)
        return self._within(low, following)

    def whole(self) -> Branch:
        """Return the branch of all that is counted in the whole period."""
        end, days = self.period.end, _ACTIVE_DAYS.get(self._math())
        since = end - timedelta(days=days) if days and self.is_total else self.period.since
        return self._within(since, None)

    def _within(self, low: datetime | None, following: datetime | None) -> Branch:
        end = self.period.end
        high = end if following is None else min(following - timedelta(microseconds=1), end)
        period = replace(self.period, start=low, since=low, end=high)
        return replace(self, period=period, is_total=True, is_cumulative=False)

    def actors(self) -> str:
        """Return a SELECT of the persons behind the whole period, one row for each value.

        Its columns are ``actor``, those of the breakdown, ``event_count`` and
        ``event_distinct_ids`` (at most 100). Raises InsightError as ``text`` does.
        """
        found = replace(self, columns=columns(self.breakdown, self.values, self.filters))
        if self.series.math not in _FIRST_TIME:
            figures = ["count() as event_count"]
            figures.append("groupUniqArray(100)(distinct_id) as event_distinct_ids")
            return found._events([*found._groups(), "person_id as actor", *figures], ["actor"])
        shown = ", ".join(["actor", *found._first_shown(), "1 as event_count"])
        ids = "[first_distinct_id] as event_distinct_ids"
        return f"select {shown}, {ids}\nfrom (\n{_indent(found._first_times())}\n)"

    def _text(self) -> str:
        math = self._math()
        if math in _FIRST_TIME:
            return self._first_time()
        if math in _ACTIVE_DAYS:
            return self._active(_ACTIVE_DAYS[math])
        if math in MATHS_OF_ACTORS:
            inner = self._events([*self._groups(), "person_id as actor", "count() as n"], ["actor"])
            return self._outer(f"{MATHS_OF_ACTORS[math]}(n)", inner)
        if math in MATHS_OF_PROPERTIES and self.series.math_property == "$session_duration":
            length = ["$session_id as visit", "any(session.$session_duration) as n"]
            inner = self._events([*self._groups(), *length], ["visit"])
            return self._outer(f"{MATHS_OF_PROPERTIES[math]}(n)", inner)
        if self.is_cumulative and not self.is_total and math in ("dau", "unique_group"):
            return self._once_each(math)
        lead = [f"{self.slot} as slot"]
        return self._events([*lead, *self._groups(), f"{self._aggregate(math)} as total"], [])

    def _math(self) -> str:
        """Return the math that is meant: over as long an interval, active users are unique ones."""
        math, interval = self.series.math or "total", self.period.interval
        if math in _ACTIVE_DAYS and not self.is_total:
            if interval == "month" or (interval == "week" and math == "weekly_active"):
                return "dau"
            if interval == "second":
                raise wrong("interval", f"{math} by the second is not supported.")
        return math

    def _aggregate(self, math: str) -> str:
        series = self.series
        if math == "dau":
            return "uniqExact(person_id) * 1.0"
        if math == "unique_session":
            return "uniqExact($session_id) * 1.0"
        if math == "unique_group":
            return f"uniqExact($group_{series.math_group_type_index}) * 1.0"
        if math == "hogql":
            return f"toFloat{expression(series.math_hogql, f'{series.attr}.math_hogql')}"
        if math in MATHS_OF_PROPERTIES:
            return f"{MATHS_OF_PROPERTIES[math]}(toFloat({self._property()}))"
        return "count() * 1.0"

    def _property(self) -> str:
        series = self.series
        kind = _PLACES.get(series.math_property_type or "", "event")
        attr = f"{series.attr}.math_property"
        return property_of(kind, series.math_property or "", attr)

    def _groups(self) -> list[str]:
        shown = [f"{text} as b_{i}" for i, text in enumerate(self.columns.shown)]
        return shown if self.is_total else [f"{bucket(self.period.interval)} as bucket", *shown]

    def _keys(self) -> list[str]:
        return self.columns.keys if self.is_total else ["bucket", *self.columns.keys]

    def _times(self) -> list[str]:
        found = [f"timestamp <= {self.values.place(self.period.end)}"]
        if self.period.since is not None:
            found.insert(0, f"timestamp >= {self.values.place(self.period.since)}")
        return found

    def _where(self, times: list[str]) -> str:
        tests = [*times, *self.series.condition(self.values, self.filters), *self.conditions]
        if self.series.math == "unique_group":
            tests.append(f"$group_{self.series.math_group_type_index} != ''")
        return _all(tests)

    def _events(
        self,
        shown: list[str],
        extra_keys: list[str],
        *,
        times: list[str] | None = None,
        keys: list[str] | None = None,
    ) -> str:
        """Return a SELECT from events, grouped by its keys and the extra ones."""
        where = self._where(self._times() if times is None else times)
        group = [*(self._keys() if keys is None else keys), *extra_keys]
        return self._select(shown, where, group)

    def _select(self, shown: list[str], where: str, group: list[str], having: str = "") -> str:
        named = f"with {', '.join(self.columns.names)}\n" if self.columns.names else ""
        bounds = ""
        if self.columns.bounds:
            least = ", ".join(self.columns.bounds)
            # Fixed texts only, here and below: values are placeholders.
            bounds = f"\ncross join (select {least} from events where {where}) as bounds"  # noqa: S608
        grouped = f"\ngroup by {', '.join(group)}" if group else ""
        source = f"from events as e{bounds}\nwhere {where}{grouped}{having}"
        return f"{named}select {', '.join(shown)}\n{source}"

    def _outer(self, aggregate: str, inner: str, where: str = "") -> str:
        """Return the totals of the rows of an inner SELECT."""
        keys = self._keys()
        grouped = f"\ngroup by {', '.join(keys)}" if keys else ""
        shown = ", ".join([f"{self.slot} as slot", *keys, f"{aggregate} as total"])
        return f"select {shown}\nfrom (\n{_indent(inner)}\n){where}{grouped}"

    def _once_each(self, math: str) -> str:
        """Return each person at their first time only, so that the running sum counts them once."""
        who = "person_id" if math == "dau" else f"$group_{self.series.math_group_type_index}"
        first = f"min({bucket(self.period.interval)}) as bucket"
        shown = [f"{text} as b_{i}" for i, text in enumerate(self.columns.shown)]
        inner = self._events([first, *shown, f"{who} as actor"], ["actor"], keys=self.columns.keys)
        return self._outer("count() * 1.0", inner)

    def _active(self, days: int) -> str:
        """Return who was active in the days up to each point of time.

        Each day of activity of a person is put to every point of time that looks back on it.
        """
        period, interval = self.period, self.period.interval
        end = self.values.place(period.end)
        first = period.points()[0] if period.start is not None else None
        since = period.end - timedelta(days=days) if self.is_total else None
        if since is None and first is not None:
            since = first - timedelta(days=days)
        times = [f"timestamp <= {end}"]
        if since is not None:
            times.insert(0, f"timestamp >= {self.values.place(since)}")
        shown = [f"{text} as b_{i}" for i, text in enumerate(self.columns.shown)]
        keys = self.columns.keys
        if self.is_total:
            inner = self._events([*shown, "person_id as actor"], ["actor"], times=times, keys=keys)
            return self._outer("uniqExact(actor) * 1.0", inner)
        unit = interval if interval in _STEPS else "day"
        active = [f"{bucket(unit)} as active_at", *shown, "person_id as actor"]
        inner = self._events(active, ["active_at", "actor"], times=times, keys=keys)
        seen = _seen_from(interval, days, ", ".join([*keys, "actor"]), inner)
        limits = [f"bucket <= {end}"]
        if first is not None:
            limits.insert(0, f"bucket >= {self.values.place(first)}")
        if interval == "week":
            limits.append(f"bucket < active_at + toIntervalDay({days})")
        return self._outer("uniqExact(actor) * 1.0", seen, f"\nwhere {_all(limits)}")

    def _first_time(self) -> str:
        named = self._first_shown()
        if not self.is_total:
            named.insert(0, f"{bucket(self.period.interval, 'first_at')} as bucket")
        lead = ", ".join([f"{self.slot} as slot", *named, "count() * 1.0 as total"])
        grouped = f"\ngroup by {', '.join(self._keys())}" if self._keys() else ""
        return f"select {lead}\nfrom (\n{_indent(self._first_times())}\n){grouped}"

    def _first_shown(self) -> list[str]:
        return [f"nullIf(f_{i}, '') as b_{i}" for i in range(len(self.columns.shown))]

    def _first_times(self) -> str:
        """Return persons at their first event of all, if it meets the conditions."""
        name = self.series.event_condition(self.values)
        tests = [*self.series.condition(self.values, self.filters), *self.conditions]
        start, end = self.period.since, self.period.end
        before = [f"timestamp <= {self.values.place(end)}"]
        within = [] if start is None else [f"timestamp >= {self.values.place(start)}"]
        if self.series.math == "first_matching_event_for_user":
            before += tests
        else:
            before += [name] if name else []
            within += tests
        by_cohort = self.breakdown is not None and self.breakdown.is_cohort
        first = (
            self.columns.shown
            if by_cohort
            else [f"argMin(ifNull({text}, ''), timestamp)" for text in self.columns.shown]
        )
        shown = ["person_id as actor", "min(timestamp) as first_at"]
        shown.append(f"min(if({_all(within)}, timestamp, null)) as met_at")
        shown.append("argMin(distinct_id, timestamp) as first_distinct_id")
        shown += [f"{text} as f_{i}" for i, text in enumerate(first)]
        keys = [f"f_{i}" for i in range(len(first))] if by_cohort else []
        having = "\nhaving first_at = met_at"
        return self._select(shown, _all(before), ["actor", *keys], having)


def _seen_from(interval: str, days: int, keys: str, inner: str) -> str:
    if interval == "week":
        # The first start of a week that is not before the day, and those after it.
        at = "toStartOfWeek(active_at + toIntervalDay(6)) + toIntervalWeek(ahead)"
        steps = days // 7 + 1
    else:
        at = f"active_at + toInterval{interval.title()}(ahead)"
        steps = days * _STEPS[interval]
    return f"""select {at} as bucket, active_at, {keys}
from (
{_indent(inner)}
)
array join range({steps}) as ahead"""  # noqa: S608


def _all(tests: list[str]) -> str:
    return "\n    and ".join(tests) or "true"


def _indent(text: str) -> str:
    return "    " + text.replace("\n", "\n    ")
