"""Date ranges and intervals in PostHog's words, and the points of time a chart shows.

PostHog's rules: a relative start is the start of its day (of its hour for ``-24h``), the end is the
last moment of its day unless hours or less are asked for, weeks start on Sunday, and days, weeks
and months are those of the project's timezone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from nightpane.insights.reading import Fields, wrong

__all__ = ["INTERVALS", "Period", "bucket", "calendar_step", "floor", "is_bare_date", "moment_of"]
__all__ += ["read_period", "with_previous"]

INTERVALS = ("second", "minute", "hour", "day", "week", "month")
_MOST_POINTS = 20_000
_DAYS_BY_DEFAULT = 7
_MOMENT = timedelta(microseconds=1)
_WORD = re.compile(r"-?(?P<count>\d{1,6})?(?P<unit>[hdwmqyMs])(?P<edge>Start|End)?")
_BARE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}")
_EXACT_STEPS_S = {"second": 1, "minute": 60, "hour": 3600}
_UNITS = {"h": "hour", "d": "day", "w": "week", "m": "month", "q": "quarter", "y": "year"}
_UNITS |= {"M": "minute", "s": "second"}
_WHOLE_BEFORE = {"wStart": "week", "mStart": "month", "qStart": "quarter", "yStart": "year"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A stretch of time, both ends in it, cut into intervals.

    ``start`` is None for all time, until ``starting`` tells it. ``since`` is where events begin to
    count: PostHog takes the whole first interval of a range whose start is not exact.
    """

    start: datetime | None
    since: datetime | None
    end: datetime
    interval: str
    zone: ZoneInfo

    def starting(self, at: datetime | None) -> Period:
        """Return the period with the start that all time has: that of the first event."""
        if self.start is not None:
            return self
        first = self.end if at is None else min(at.astimezone(self.zone), self.end)
        return replace(self, start=first)

    def points(self) -> list[datetime]:
        """Return the start of each interval, the first one's before the period's own or at it."""
        if self.start is None:
            return []
        found: list[datetime] = []
        for at in _steps(floor(self.start, self.interval), self.interval):
            if at > self.end:
                return found
            if len(found) == _MOST_POINTS:
                raise wrong(
                    "interval",
                    f"the range has more than {_MOST_POINTS:,} times a {self.interval}: "
                    "ask for a longer interval or a shorter range.",
                )
            found.append(at)
        return found


@dataclass(frozen=True, slots=True)
class _Bound:
    at: datetime
    unit: str | None = None
    count: int = 0

    @property
    def relative(self) -> bool:
        return self.unit is not None


def read_period(
    fields: Fields, interval: str, now: datetime, timezone: str, *, exact: bool = False
) -> Period:
    """Return the period of a query's ``dateRange``, the last seven days when it has none.

    ``exact`` ends it now and rounds nothing, as a single number wants. Raises InsightError.
    """
    zone = ZoneInfo(timezone)
    local = now.astimezone(zone)
    span = fields.part("dateRange") or Fields({}, fields.at("dateRange"))
    explicit = span.flag("explicitDate")
    text_from, text_to = span.text("date_from"), span.text("date_to")
    end = _end(span, text_to, interval, local, explicit=explicit, exact=exact)
    if text_from == "all":
        return Period(start=None, since=None, end=end, interval=interval, zone=zone)
    start = _Bound(_back(floor(local, "day"), _DAYS_BY_DEFAULT, "day"))
    if text_from:
        start = _bound(text_from, local, span.at("date_from"))
        if start.relative and not exact and interval not in ("minute", "second"):
            start = replace(start, at=floor(start.at, "hour" if start.unit == "hour" else "day"))
    if start.at > end:
        raise wrong(span.at("date_from"), f"{text_from!r} is after the end of the range.")
    kept = exact or explicit or _is_kept(start, interval)
    since = start.at if kept else floor(start.at, "day" if interval == "week" else interval)
    return Period(start=start.at, since=since, end=end, interval=interval, zone=zone)


def with_previous(query: Fields, period: Period) -> tuple[Period, ...]:
    """Return the period, and the one that the query's ``compareFilter`` compares it with.

    The rules are those of PostHog: a range that began with this week, month, quarter or year is
    compared with the whole one before, and the last 7 or 14 days, which are 8 or 15 with today,
    with what was 7 or 14 days before.
    """
    compare, start = query.part("compareFilter"), period.start
    # PostHog too compares all time with nothing, rather than refusing.
    if compare is None or not compare.flag("compare") or start is None:
        return (period,)
    compare_to = compare.text("compare_to")
    if compare_to is not None:
        before = _bound(compare_to, start, compare.at("compare_to")).at
        end = before + (period.end - start)
        return period, replace(period, start=before, since=before, end=end)
    span = query.part("dateRange") or Fields({})
    text_from, text_to = span.text("date_from"), span.text("date_to")
    if not text_to and text_from in _WHOLE_BEFORE:
        before = _back(start, 1, _WHOLE_BEFORE[text_from])
        return period, replace(period, start=before, since=before, end=start - _MOMENT)
    words = _WORD.fullmatch(text_from or f"-{_DAYS_BY_DEFAULT}d")
    days = int(words["count"] or 0) if words and words["unit"] == "d" else 0
    to_now = not (text_to and _WORD.fullmatch(text_to))
    whole_weeks = period.interval == "day" and days > 0 and days % 7 == 0 and to_now
    return period, _before(period, start, timedelta(days=1 if whole_weeks else 0))


def _before(period: Period, start: datetime, moved: timedelta) -> Period:
    """Return the period as long before, at the same times of the day."""
    length = period.end - start
    if period.interval in ("second", "minute"):
        return replace(period, start=start - length, since=start - length, end=start)
    before = _at_time_of(start - length, start) + moved
    end = before + length
    hour = end.hour if period.interval == "hour" else period.end.hour
    end = _at_time_of(end, period.end).replace(hour=hour)
    since = floor(before, "day" if period.interval == "week" else period.interval)
    return replace(period, start=before, since=min(before, since), end=end)


def floor(at: datetime, unit: str) -> datetime:
    """Return the start of the second, minute, …, year that an instant is in, in its timezone."""
    if unit == "second":
        return at.replace(microsecond=0)
    if unit == "minute":
        return at.replace(second=0, microsecond=0)
    hour = at.replace(minute=0, second=0, microsecond=0)
    if unit == "hour":
        return hour
    day = hour.replace(hour=0, fold=0)
    if unit == "week":
        return day - timedelta(days=(day.weekday() + 1) % 7)
    if unit == "month":
        return day.replace(day=1)
    if unit == "quarter":
        return day.replace(day=1, month=(day.month - 1) // 3 * 3 + 1)
    return day.replace(day=1, month=1) if unit == "year" else day


def bucket(interval: str, field: str = "timestamp") -> str:
    """Return HogQL for the start of the interval that an event is in."""
    return f"toStartOf{interval.title()}({field})"


def calendar_step(at: datetime, interval: str, count: int = 1) -> datetime:
    """Return the same moment so many intervals later, or earlier when it is negative."""
    seconds = _EXACT_STEPS_S.get(interval)
    if seconds is not None:
        return (at.astimezone(UTC) + timedelta(seconds=seconds * count)).astimezone(at.tzinfo)
    return _back(at, -count, interval)


def moment_of(text: str, now: datetime, timezone: str, attr: str) -> datetime:
    """Return the instant that a date or a word such as ``-7d`` names. Raises InsightError."""
    return _bound(text, now.astimezone(ZoneInfo(timezone)), attr).at


def is_bare_date(text: str) -> bool:
    """Say whether a text is a date without a time of day."""
    return _BARE.fullmatch(text) is not None


def _steps(first: datetime, interval: str) -> Iterator[datetime]:
    count = 0
    while True:
        yield calendar_step(first, interval, count)
        count += 1


def _end(
    span: Fields, text: str | None, interval: str, now: datetime, *, explicit: bool, exact: bool
) -> datetime:
    found = _bound(text, now, span.at("date_to")) if text else _Bound(now, "now")
    if text and is_bare_date(text):
        return _last_moment(found.at, "day")
    if explicit or (exact and not text):
        return found.at
    if interval not in _EXACT_STEPS_S:
        return _last_moment(found.at, "day")
    return _last_moment(found.at, interval) if found.relative else found.at


def _is_kept(start: _Bound, interval: str) -> bool:
    """Say whether events count from the start itself, not from that of its interval."""
    if not start.relative:
        return False
    return interval in _EXACT_STEPS_S or (interval == "day" and start.unit == "hour")


def _bound(text: str, now: datetime, attr: str) -> _Bound:
    words = _WORD.fullmatch(text)
    if words and (words["count"] or words["edge"]):
        unit, count = _UNITS[words["unit"]], int(words["count"] or 0)
        try:
            at = _back(now, 13 * count, "week") if unit == "quarter" else _back(now, count, unit)
            if words["edge"] == "Start":
                at = floor(at, unit)
            elif words["edge"] == "End":
                at = _last_moment(at, unit)
        except (OverflowError, ValueError) as error:
            raise wrong(attr, f"{text!r} is further away than time can be told.") from error
        return _Bound(at, unit, count)
    try:
        plain = "-".join(part.zfill(2) for part in text.split("-")) if is_bare_date(text) else text
        found = datetime.fromisoformat(plain)
    except ValueError as error:
        raise wrong(
            attr, f"{text!r} is not a date, nor of the form -7d, -24h, mStart or all."
        ) from error
    zone = now.tzinfo
    return _Bound(found.replace(tzinfo=zone) if found.tzinfo is None else found.astimezone(zone))


def _back(at: datetime, count: int, unit: str) -> datetime:
    seconds = _EXACT_STEPS_S.get(unit)
    if seconds is not None:
        return (at.astimezone(UTC) - timedelta(seconds=seconds * count)).astimezone(at.tzinfo)
    if unit in ("day", "week"):
        return at - timedelta(days=count * (7 if unit == "week" else 1))
    months = at.year * 12 + at.month - 1 - count * {"month": 1, "quarter": 3, "year": 12}[unit]
    first = at.replace(year=months // 12, month=months % 12 + 1, day=1)
    last = ((first + timedelta(days=31)).replace(day=1) - timedelta(days=1)).day
    return first.replace(day=min(at.day, last))


def _last_moment(at: datetime, unit: str) -> datetime:
    start = floor(at, unit)
    if unit in _EXACT_STEPS_S:
        return start + timedelta(seconds=_EXACT_STEPS_S[unit]) - _MOMENT
    return _back(start, -1, unit) - _MOMENT


def _at_time_of(at: datetime, other: datetime) -> datetime:
    return at.replace(
        hour=other.hour, minute=other.minute, second=other.second, microsecond=other.microsecond
    )
