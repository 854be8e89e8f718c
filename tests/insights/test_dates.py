# ruff: noqa: E501 (one range a line is easier to compare)
"""Date ranges in PostHog's words, seen through the days and bounds of a trend."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.insights.conftest import Ask

from nightpane import insights
from nightpane.errors import InsightError

# A Friday, in UTC, on which New York still has the day before for five hours.
NOW = datetime(2026, 4, 3, 15, 30, tzinfo=UTC)
LAST = "T23:59:59.999999Z"


def _trend(**more: Any) -> dict[str, Any]:
    return {"kind": "TrendsQuery", "series": [{"event": "round_kept"}], **more}


RANGES = [
    # given, interval, first day, last day, date_from, date_to
    ({}, "day", "2026-03-27", "2026-04-03", "2026-03-27T00:00:00Z", f"2026-04-03{LAST}"),
    ({"date_from": "-7d"}, "day", "2026-03-27", "2026-04-03", "2026-03-27T00:00:00Z", f"2026-04-03{LAST}"),
    ({"date_from": "-24h"}, "hour", "2026-04-02 15:00:00", "2026-04-03 15:00:00", "2026-04-02T15:00:00Z", "2026-04-03T15:59:59.999999Z"),
    ({"date_from": "mStart"}, "day", "2026-04-01", "2026-04-03", "2026-04-01T00:00:00Z", f"2026-04-03{LAST}"),
    ({"date_from": "-1mStart", "date_to": "-1mEnd"}, "day", "2026-03-01", "2026-03-31", "2026-03-01T00:00:00Z", f"2026-03-31{LAST}"),
    ({"date_from": "yStart"}, "month", "2026-01-01", "2026-04-01", "2026-01-01T00:00:00Z", f"2026-04-03{LAST}"),
    ({"date_from": "wStart"}, "day", "2026-03-29", "2026-04-03", "2026-03-29T00:00:00Z", f"2026-04-03{LAST}"),
    ({"date_from": "qStart"}, "day", "2026-04-01", "2026-04-03", "2026-04-01T00:00:00Z", f"2026-04-03{LAST}"),
    ({"date_from": "dStart"}, "hour", "2026-04-03 00:00:00", "2026-04-03 15:00:00", "2026-04-03T00:00:00Z", "2026-04-03T15:59:59.999999Z"),
    ({"date_from": "-1dStart", "date_to": "-1dEnd"}, "day", "2026-04-02", "2026-04-02", "2026-04-02T00:00:00Z", f"2026-04-02{LAST}"),
    ({"date_from": "-1m"}, "week", "2026-03-01", "2026-03-29", "2026-03-03T00:00:00Z", f"2026-04-03{LAST}"),
    ({"date_from": "-1q"}, "month", "2026-01-01", "2026-04-01", "2026-01-02T00:00:00Z", f"2026-04-03{LAST}"),
    ({"date_from": "-5M"}, "minute", "2026-04-03 15:25:00", "2026-04-03 15:30:00", "2026-04-03T15:25:00Z", "2026-04-03T15:30:59.999999Z"),
    ({"date_from": "2026-03-30", "date_to": "2026-03-31"}, "day", "2026-03-30", "2026-03-31", "2026-03-30T00:00:00Z", f"2026-03-31{LAST}"),
    ({"date_from": "2026-03-31", "date_to": "2026-03-31"}, "hour", "2026-03-31 00:00:00", "2026-03-31 23:00:00", "2026-03-31T00:00:00Z", f"2026-03-31{LAST}"),
    ({"date_from": "2026-3-1", "date_to": "2026-3-2"}, "day", "2026-03-01", "2026-03-02", "2026-03-01T00:00:00Z", f"2026-03-02{LAST}"),
    ({"date_from": "2026-03-30T10:30:00", "date_to": "2026-03-31T09:00:00"}, "day", "2026-03-30", "2026-03-31", "2026-03-30T10:30:00Z", f"2026-03-31{LAST}"),
    ({"date_from": "2026-03-30T10:30:00+02:00", "date_to": "2026-03-31T09:00:00", "explicitDate": True}, "day", "2026-03-30", "2026-03-31", "2026-03-30T08:30:00Z", "2026-03-31T09:00:00Z"),
]  # fmt: skip


@pytest.mark.parametrize(("span", "interval", "first", "last", "start", "end"), RANGES)
def test_range(
    ask: Ask, span: dict[str, Any], interval: str, first: str, last: str, start: str, end: str
) -> None:
    response = ask(_trend(dateRange=span, interval=interval), now=NOW)
    days = response["results"][0]["days"]
    assert (days[0], days[-1]) == (first, last)
    assert response["resolved_date_range"] == {"date_from": start, "date_to": end}


COMPARED = [
    # given, first and last day of the period before
    ({"date_from": "-7d"}, {}, "2026-03-20", "2026-03-27"),
    ({"date_from": "-6d"}, {}, "2026-03-21", "2026-03-27"),
    ({"date_from": "-14d"}, {}, "2026-03-06", "2026-03-20"),
    ({"date_from": "mStart"}, {}, "2026-03-01", "2026-03-31"),
    ({"date_from": "wStart"}, {}, "2026-03-22", "2026-03-28"),
    ({"date_from": "2026-03-11", "date_to": "2026-03-20"}, {}, "2026-03-01", "2026-03-10"),
    ({"date_from": "-7d"}, {"compare_to": "-1y"}, "2025-03-27", "2025-04-03"),
]


@pytest.mark.parametrize(("span", "compare", "first", "last"), COMPARED)
def test_the_period_before(
    ask: Ask, span: dict[str, Any], compare: dict[str, Any], first: str, last: str
) -> None:
    node = _trend(dateRange=span, compareFilter={"compare": True, **compare})
    _, before = ask(node, now=NOW)["results"]
    assert (before["days"][0], before["days"][-1]) == (first, last)


def test_today_is_that_of_the_timezone(ask: Ask) -> None:
    night = datetime(2026, 4, 3, 2, tzinfo=UTC)
    response = ask(
        _trend(dateRange={"date_from": "dStart"}), now=night, timezone="America/New_York"
    )
    assert response["results"][0]["days"] == ["2026-04-02"]
    assert response["resolved_date_range"]["date_from"] == "2026-04-02T00:00:00-04:00"


def test_an_hour_that_comes_twice_is_two_points(ask: Ask) -> None:
    span = {"date_from": "2026-10-25", "date_to": "2026-10-25"}
    node = _trend(dateRange=span, interval="hour")
    days = ask(node, now=NOW, timezone="Europe/Berlin")["results"][0]["days"]
    assert len(days) == 25
    assert days.count("2026-10-25 02:00:00") == 2


def test_figures_of_an_hour_that_comes_twice_are_kept_apart() -> None:
    hours = ["2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00"]
    rows = {"columns": ["slot", "buckets", "totals"], "results": [[0, hours, [1, 2]]]}
    span = {"date_from": "2026-10-25", "date_to": "2026-10-25"}
    context = insights.Context(now=NOW, timezone="Europe/Berlin")
    node = _trend(dateRange=span, interval="hour")
    data = insights.answer(node, context, lambda query, values: rows)["results"][0]["data"]
    assert data[:5] == [0, 0, 1, 2, 0]


@pytest.mark.parametrize(
    ("interval", "labels"),
    [
        ("hour", ["28-Feb 00:00", "28-Feb 01:00"]),
        ("day", ["28-Feb-2026", "1-Mar-2026"]),
        ("week", ["28-Feb-2026", "1–7 Mar"]),
        ("month", ["Feb 2026", "Mar 2026"]),
    ],
)
def test_labels(ask: Ask, interval: str, labels: list[str]) -> None:
    span = {"date_from": "2026-02-28", "date_to": "2026-03-20"}
    found = ask(_trend(dateRange=span, interval=interval))["results"][0]["labels"]
    assert found[:2] == labels


REFUSED = [
    ({"dateRange": {"date_from": "soon"}}, "dateRange.date_from", "'soon' is not a date"),
    ({"dateRange": {"date_to": "d"}}, "dateRange.date_to", "'d' is not a date"),
    ({"dateRange": {"date_from": "-999999y"}}, "dateRange.date_from", "further away"),
    ({"dateRange": {"date_from": "2026-05-01"}}, "dateRange.date_from", "after the end"),
    ({"dateRange": {"date_from": 7}}, "dateRange.date_from", "must be a text"),
    ({"dateRange": "-7d"}, "dateRange", "must be an object"),
    ({"interval": "year"}, "interval", "not one of"),
    ({"interval": "second", "dateRange": {"date_from": "-7d"}}, "interval", "more than 20,000"),
    ({"compareFilter": {"compare": True, "compare_to": "x"}}, "compareFilter.compare_to", "not a date"),
]  # fmt: skip


@pytest.mark.parametrize(("more", "attr", "why"), REFUSED)
def test_refused(ask: Ask, more: dict[str, Any], attr: str, why: str) -> None:
    with pytest.raises(InsightError, match=why) as refusal:
        ask(_trend(**more), now=NOW)
    assert refusal.value.attr == attr
