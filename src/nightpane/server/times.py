"""When an event happened: PostHog's rules for timestamps, and one of our own.

PostHog takes the difference between the client's ``sent_at`` and its own clock off every timestamp,
and the time on the network with it. Client and server here share a machine, so a difference below
two seconds is latency, not skew, and correcting it would only shuffle a round's events.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

__all__ = ["EPOCH", "event_time", "parse_time", "skew"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SKEW_THRESHOLD = timedelta(seconds=2)
_FUTURE = timedelta(hours=23)
_SLASHES = re.compile(r"\d{4}/\d{1,2}/\d{1,2}\b")
_NUMERIC = re.compile(r"-?\d{1,16}(\.\d{1,9})?")
_YEAR_BEYOND = re.compile(r"[+-]\d{4,6}-\d{2}-\d{2}|\d{5,6}-\d{2}-\d{2}")
_MILLISECONDS_FROM = 1e11  # a number this large cannot be meant in seconds (the year 5138)


def parse_time(value: Any) -> datetime | None:
    """Return a time in UTC, None when it is no time.

    Reads ISO 8601 with any offset, dates, slash dates, RFC 2822 and epochs in seconds or
    milliseconds; without a zone it is UTC. A year outside 0–9999 gives the epoch, as in PostHog.
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return _from_epoch(float(value))
    if not isinstance(value, str) or len(value) > 64:
        return None
    try:
        return _utc(datetime.fromisoformat(value))
    except ValueError:
        return _from_other(value.strip())
    except OverflowError:
        return EPOCH


def skew(sent_at: datetime | None, now: datetime) -> timedelta:
    """Return how far the client's clock is ahead, zero when it is no more than latency."""
    if sent_at is None:
        return timedelta()
    ahead = sent_at - now
    return ahead if abs(ahead) > _SKEW_THRESHOLD else timedelta()


def event_time(value: Any, *, now: datetime, ahead: timedelta, offset_ms: Any = None) -> datetime:
    """Return the time an event is stored under.

    ``value`` is its timestamp, ``ahead`` the client's skew, ``offset_ms`` milliseconds before now,
    which win. What cannot be read, or lies more than 23 hours ahead, counts as now.
    """
    if isinstance(offset_ms, int | float) and not isinstance(offset_ms, bool):
        try:
            return now - timedelta(milliseconds=max(float(offset_ms), 0.0))
        except OverflowError:
            return now
    moment = parse_time(value)
    if moment is None:
        return now
    if ahead:
        try:
            moment -= ahead
        except OverflowError:
            return EPOCH
    return now if moment - now > _FUTURE else moment


def _from_other(text: str) -> datetime | None:
    if _NUMERIC.fullmatch(text):
        return _from_epoch(float(text))
    try:
        if _SLASHES.match(text):
            date, _, rest = text.replace("/", "-").partition(" ")
            year, month, day = date.split("-")
            return _utc(datetime.fromisoformat(f"{year}-{month:0>2}-{day:0>2} {rest}".strip()))
        if _YEAR_BEYOND.match(text):
            return EPOCH
        return _utc(parsedate_to_datetime(text))
    except (ValueError, TypeError, IndexError):
        return None
    except OverflowError:
        return EPOCH


def _from_epoch(number: float) -> datetime | None:
    if not math.isfinite(number):
        return None
    seconds = number / 1000 if abs(number) >= _MILLISECONDS_FROM else number
    try:
        return EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        return EPOCH


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
