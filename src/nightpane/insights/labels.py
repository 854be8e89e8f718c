"""How PostHog writes points of time: ``days`` for programs and ``labels`` for people."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from nightpane.insights.dates import Period

__all__ = ["day", "iso", "label"]

_SHORT = ("second", "minute", "hour")


def day(at: datetime, interval: str) -> str:
    """Return a point of time as ``2026-01-31``, with its time of day for hours and less."""
    return at.strftime("%Y-%m-%d %H:%M:%S" if interval in _SHORT else "%Y-%m-%d")


def label(at: datetime, period: Period) -> str:
    """Return a point of time as PostHog shows it; a week as its days within the period."""
    if period.interval == "week":
        last = at.date() + timedelta(days=6)
        first = max(at.date(), period.start.date()) if period.start else at.date()
        return _days(first, max(min(last, period.end.date()), first))
    if period.interval == "second":
        return f"{at.day}-{at:%b %H:%M:%S}"
    if period.interval in _SHORT:
        return f"{at.day}-{at:%b %H:%M}"
    return f"{at:%b %Y}" if period.interval == "month" else f"{at.day}-{at:%b-%Y}"


def iso(at: datetime) -> str:
    """Return an instant as PostHog's JSON has it."""
    if at.utcoffset() == timedelta(0):
        return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return at.isoformat()


def _days(first: date, last: date) -> str:
    if first == last:
        return f"{first.day}-{first:%b-%Y}"
    if first.year != last.year:
        return f"{first.day}-{first:%b-%Y} – {last.day}-{last:%b-%Y}"
    if first.month != last.month:
        return f"{first.day}-{first:%b} – {last.day}-{last:%b}"
    return f"{first.day}–{last.day} {last:%b}"
