"""What a night is: from noon to noon, in the reader's own time zone.

A loop's night crosses midnight, so a calendar day would cut it in two; hardly any run crosses noon.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo

__all__ = ["Night", "night_of"]


@dataclass(frozen=True, slots=True)
class Night:
    """The night that begins at noon of ``date``: ``start`` inclusive, ``end`` not, both aware."""

    date: date
    start: datetime
    end: datetime

    @property
    def label(self) -> str:
        """The night in words, such as "22 to 23 November 2026"."""
        a, b = self.date, self.date + timedelta(days=1)
        first = f"{a.day}"
        if (a.year, a.month) != (b.year, b.month):
            first += f" {a:%B}" + (f" {a.year}" if a.year != b.year else "")
        return f"{first} to {b.day} {b:%B} {b.year}"

    def earlier(self, nights: int, tz: tzinfo | None) -> Night:
        """Return the night this many nights before."""
        return _beginning(self.date - timedelta(days=nights), tz)


def night_of(at: datetime | date, tz: tzinfo | None = None) -> Night:
    """Return the night a time falls into, or the night that begins on a date.

    ``tz`` None is the machine's own zone, with its daylight saving as of that date.
    """
    if not isinstance(at, datetime):
        return _beginning(at, tz)
    local = at.astimezone(tz)
    return _beginning(local.date() - timedelta(days=local.time() < time(12)), tz)


def _beginning(day: date, tz: tzinfo | None) -> Night:
    return Night(day, _noon(day, tz), _noon(day + timedelta(days=1), tz))


def _noon(day: date, tz: tzinfo | None) -> datetime:
    noon = datetime.combine(day, time(12))
    return noon.astimezone() if tz is None else noon.replace(tzinfo=tz)
