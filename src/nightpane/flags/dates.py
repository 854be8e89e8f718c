"""Dates in conditions: ISO 8601, or so long before now (``-7d``, ``3m``)."""

from __future__ import annotations

import calendar
import re
from datetime import UTC, datetime, timedelta

__all__ = ["parse_date", "parse_limit"]

_RELATIVE = re.compile(r"-?([0-9]{1,4})([hdwmy])")
_SPANS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def parse_limit(value: str, now: datetime) -> datetime:
    """Return the date a condition compares with. Raises ValueError for one that is none."""
    found = _RELATIVE.fullmatch(value)
    if found is None:
        return parse_date(value, now)
    count, unit = int(found[1]), found[2]
    if unit in _SPANS:
        return now - count * _SPANS[unit]
    return _months_before(now, count * 12 if unit == "y" else count)


def parse_date(value: str, now: datetime) -> datetime:
    """Return a moment; without a zone it is UTC's. Raises ValueError.

    A year alone is this day of that year, as PostHog's SDK reads it.
    """
    written = value.strip()
    if written.upper().endswith(" UTC"):
        written = written[:-4] + "+00:00"
    if re.fullmatch(r"\d{4}", written):
        return datetime(int(written), now.month, now.day, tzinfo=UTC)
    found = datetime.fromisoformat(re.sub(r" ([+-]\d{2}:\d{2})$", r"\1", written))
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _months_before(now: datetime, months: int) -> datetime:
    """Go back month by month, the day cut to each month's length on the way (PostHog's rule)."""
    last = now.year * 12 + now.month - 1
    first = last - months
    if first < 12:
        raise ValueError(f"{months} months before now there is no date")
    day = now.day
    if months % 12 == 0 and (now.month, day) == (2, 29) and months:
        return now.replace(year=first // 12, day=28)
    for index in range(last - 1, first - 1, -1):
        if day <= 28:
            break
        day = min(day, calendar.monthrange(index // 12, index % 12 + 1)[1])
    return now.replace(year=first // 12, month=first % 12 + 1, day=day)
