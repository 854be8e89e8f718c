from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from nightpane.digest import night_of

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("at", "begins"),
    [
        (datetime(2026, 3, 8, 11, 59, 59, tzinfo=UTC), date(2026, 3, 7)),
        (datetime(2026, 3, 8, 12, tzinfo=UTC), date(2026, 3, 8)),
        (datetime(2026, 3, 9, 0, tzinfo=UTC), date(2026, 3, 8)),
    ],
)
def test_a_night_goes_from_noon_to_noon(at: datetime, begins: date) -> None:
    assert night_of(at, UTC).date == begins


def test_noon_is_the_readers_own() -> None:
    night = night_of(datetime(2026, 3, 8, 11, 30, tzinfo=UTC), BERLIN)
    assert night.date == date(2026, 3, 8)
    assert night.start == datetime(2026, 3, 8, 11, tzinfo=UTC)


def test_the_clocks_change_makes_a_night_longer_or_shorter() -> None:
    def hours(day: date) -> timedelta:
        night = night_of(day, BERLIN)
        return night.end.astimezone(UTC) - night.start.astimezone(UTC)

    assert hours(date(2026, 10, 24)) == timedelta(hours=25)
    assert hours(date(2026, 3, 28)) == timedelta(hours=23)
    assert hours(date(2026, 6, 1)) == timedelta(hours=24)


@pytest.mark.parametrize(
    ("day", "label"),
    [
        (date(2026, 3, 8), "8 to 9 March 2026"),
        (date(2026, 3, 31), "31 March to 1 April 2026"),
        (date(2026, 12, 31), "31 December 2026 to 1 January 2027"),
    ],
)
def test_label(day: date, label: str) -> None:
    assert night_of(day, UTC).label == label
