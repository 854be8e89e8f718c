"""Trends against plain Python over the same events: every math, interval, display and breakdown."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from statistics import mean
from typing import Any

import pytest
from tests.insights.conftest import Ask
from tests.insights.world import NOW, SEEN, Seen, start_of

NULL, OTHER = "$$_posthog_breakdown_null_$$", "$$_posthog_breakdown_other_$$"
MARCH = {"date_from": "2026-03-01", "date_to": "2026-03-31"}


def _trend(series: list[dict[str, Any]] | dict[str, Any], **more: Any) -> dict[str, Any]:
    listed = series if isinstance(series, list) else [series]
    nodes = [{"kind": "EventsNode", **one} for one in listed]
    return {"kind": "TrendsQuery", "series": nodes, "dateRange": MARCH, **more}


def _in_march(seen: Iterable[Seen] = SEEN, event: str | None = "round_kept") -> list[Seen]:
    low, high = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
    return [one for one in seen if low <= one.at < high and event in (None, one.event)]


def _quantile(figures: list[float], level: float) -> float:
    """ClickHouse's quantile: linear between the two nearest, exact for so few figures."""
    ordered = sorted(figures)
    place = level * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def _by(seen: Iterable[Seen], key: Callable[[Seen], Any]) -> dict[Any, list[Seen]]:
    found: dict[Any, list[Seen]] = defaultdict(list)
    for one in seen:
        found[key(one)].append(one)
    return found


def _costs(seen: list[Seen]) -> list[float]:
    return [one.properties["cost_usd"] for one in seen if "cost_usd" in one.properties]


def _counts_per_agent(seen: list[Seen]) -> list[float]:
    return [float(len(group)) for group in _by(seen, lambda one: one.agent).values()]


SIMPLE: dict[str, Callable[[list[Seen]], float]] = {
    "total": len,
    "dau": lambda seen: len({one.agent for one in seen}),
    "unique_session": lambda seen: len(
        {one.properties.get("$session_id") for one in seen} - {None}
    ),
    "sum": lambda seen: sum(_costs(seen)),
    "avg": lambda seen: mean(_costs(seen)) if _costs(seen) else 0,
    "min": lambda seen: min(_costs(seen), default=0),
    "max": lambda seen: max(_costs(seen), default=0),
    **{
        name: lambda seen, level=level: _quantile(_costs(seen), level) if _costs(seen) else 0
        for name, level in (
            ("median", 0.5),
            ("p75", 0.75),
            ("p90", 0.9),
            ("p95", 0.95),
            ("p99", 0.99),
        )
    },
    "avg_count_per_actor": lambda seen: mean(_counts_per_agent(seen)) if seen else 0,
    "min_count_per_actor": lambda seen: min(_counts_per_agent(seen), default=0),
    "max_count_per_actor": lambda seen: max(_counts_per_agent(seen), default=0),
    **{
        f"{name}_count_per_actor": lambda seen, level=level: (
            _quantile(_counts_per_agent(seen), level) if seen else 0
        )
        for name, level in (
            ("median", 0.5),
            ("p75", 0.75),
            ("p90", 0.9),
            ("p95", 0.95),
            ("p99", 0.99),
        )
    },
    "hogql": lambda seen: sum(_costs(seen)) / len(seen) if seen else 0,
}
MATH = {"math_property": "cost_usd", "math_hogql": "sum(properties.cost_usd) / count() -- mean"}


EVERY_MATH = [{"event": "round_kept", "math": name, **MATH} for name in SIMPLE]


@pytest.mark.parametrize("interval", ["hour", "day", "week", "month"])
def test_every_math_by_interval(ask: Ask, interval: str) -> None:
    results = ask(_trend(EVERY_MATH, interval=interval))["results"]
    groups = _by(_in_march(), lambda one: start_of(interval)(one.at))
    form = "%Y-%m-%d %H:%M:%S" if interval == "hour" else "%Y-%m-%d"
    for found, (name, figure) in zip(results, SIMPLE.items(), strict=True):
        expected = {at.strftime(form): figure(group) for at, group in groups.items()}
        assert found["action"]["math"] == name
        assert set(expected) <= set(found["days"])
        figures = [expected.get(day, 0) for day in found["days"]]
        assert found["data"] == pytest.approx(figures), name
        assert found["count"] == pytest.approx(sum(found["data"]))


def test_every_math_as_one_number(ask: Ask) -> None:
    results = ask(_trend(EVERY_MATH, trendsFilter={"display": "BoldNumber"}))["results"]
    for found, (name, figure) in zip(results, SIMPLE.items(), strict=True):
        assert found["aggregated_value"] == pytest.approx(figure(_in_march())), name
        assert (found["data"], found["count"], found["days"]) == ([], 0, [])


@pytest.mark.parametrize("timezone", ["America/New_York", "Asia/Kolkata"])
@pytest.mark.parametrize("interval", ["hour", "day", "week"])
def test_days_are_those_of_the_timezone(ask: Ask, timezone: str, interval: str) -> None:
    node = _trend({"event": "round_kept"}, interval=interval)
    (found,) = ask(node, timezone=timezone)["results"]
    start = start_of(interval, timezone)
    low, high = start_of("day", timezone), NOW
    first = datetime.fromisoformat("2026-03-01T12:00:00Z")
    last = datetime.fromisoformat("2026-03-31T12:00:00Z")
    seen = [
        one
        for one in SEEN
        if one.event == "round_kept" and low(first) <= low(one.at) <= low(last) and one.at < high
    ]
    form = "%Y-%m-%d %H:%M:%S" if interval == "hour" else "%Y-%m-%d"
    expected = {at.strftime(form): len(g) for at, g in _by(seen, lambda one: start(one.at)).items()}
    assert dict(zip(found["days"], found["data"], strict=True)) == {
        day: expected.get(day, 0) for day in found["days"]
    }
    assert sum(expected.values()) == found["count"]


@pytest.mark.parametrize("days", [7, 30])
@pytest.mark.parametrize("interval", ["hour", "day", "week"])
def test_active_users_look_back(ask: Ask, days: int, interval: str) -> None:
    name = {7: "weekly_active", 30: "monthly_active"}[days]
    (found,) = ask(_trend({"event": "step.plan", "math": name}, interval=interval))["results"]
    if interval == "week" and days == 7:
        (plain,) = ask(_trend({"event": "step.plan", "math": "dau"}, interval="week"))["results"]
        assert found["data"] == plain["data"]
        return
    unit = "hour" if interval == "hour" else "day"
    end = datetime(2026, 4, 1, tzinfo=UTC)
    for text, figure in zip(found["days"], found["data"], strict=True):
        point = datetime.fromisoformat(text).replace(tzinfo=UTC)
        agents = {
            one.agent
            for one in SEEN
            if one.event == "step.plan"
            and one.at < end
            and point - timedelta(days=days) < start_of(unit)(one.at) <= point
        }
        assert figure == len(agents), text


@pytest.mark.parametrize("name", ["first_time_for_user", "first_matching_event_for_user"])
def test_first_times(ask: Ask, name: str) -> None:
    alpha = {"key": "project", "value": "alpha", "operator": "exact", "type": "event"}
    series = {"event": "round_reverted", "math": name, "properties": [alpha]}
    (found,) = ask(_trend(series))["results"]
    seen = [one for one in SEEN if one.event == "round_reverted"]
    matching = [one for one in seen if one.properties.get("project") == "alpha"]
    candidates = matching if name.startswith("first_matching") else seen
    firsts = [min(g, key=lambda one: one.at) for g in _by(candidates, lambda o: o.agent).values()]
    counted = [one for one in _in_march(firsts, None) if one in matching]
    expected = _by(counted, lambda one: f"{one.at:%Y-%m-%d}")
    assert counted
    assert found["data"] == [len(expected.get(day, [])) for day in found["days"]]


def _named(seen: Seen, key: str) -> str:
    value = seen.properties.get(key)
    return NULL if value in (None, "") else str(value).lower() if value in (True, False) else value


@pytest.mark.parametrize("key", ["project", "kept", "model"])
def test_breakdown_keeps_the_largest_and_joins_the_others(ask: Ask, key: str) -> None:
    response = ask(_trend({"event": "round_kept"}, breakdownFilter={"breakdown": key}))
    groups = _by(_in_march(), lambda one: _named(one, key))
    ranked = sorted(groups, key=lambda value: (value == NULL, -len(groups[value]), value))
    shown, others = ranked[:25], ranked[25:]
    by_value = {item["breakdown_value"]: item for item in response["results"]}
    assert [item["breakdown_value"] for item in response["results"]] == (
        shown + ([OTHER] if others else [])
    )
    for value in shown:
        assert by_value[value]["count"] == len(groups[value])
        assert by_value[value]["label"] == value
        days = _by(groups[value], lambda one: f"{one.at:%Y-%m-%d}")
        assert by_value[value]["data"] == [len(days.get(d, [])) for d in by_value[value]["days"]]
    if others:
        assert by_value[OTHER]["count"] == sum(len(groups[value]) for value in others)
    assert response["hasMore"] is bool(others)


@pytest.mark.parametrize(
    ("breakdown", "more"),
    [
        ({"breakdown": "model"}, {}),
        ({"breakdown": "model"}, {"compareFilter": {"compare": True}, "interval": "week"}),
        ({"breakdown": "model"}, {"trendsFilter": {"display": "ActionsPie", "formula": "A + B"}}),
        ({"breakdowns": [{"property": "model"}, {"property": "project"}]}, {}),
    ],
)
def test_hidden_others(ask: Ask, breakdown: dict[str, Any], more: dict[str, Any]) -> None:
    """As in PostHog all else is as it was, and it is still said that there is more."""
    series = [{"event": "round_kept"}] * (2 if "trendsFilter" in more else 1)
    limited = {**breakdown, "breakdown_limit": 2}
    hiding = {**limited, "breakdown_hide_other_aggregation": True}
    whole = ask(_trend(series, breakdownFilter=limited, **more))
    hidden = ask(_trend(series, breakdownFilter=hiding, **more))
    kept = [one for one in whole["results"] if OTHER not in one["breakdown_value"]]
    assert 0 < len(kept) < len(whole["results"])
    names = ("label", "breakdown_value", "data", "count", "aggregated_value", "compare_label")
    told = [
        [{name: one.get(name) for name in names} for one in of] for of in (hidden["results"], kept)
    ]
    assert told[0] == told[1]
    assert hidden["hasMore"] is whole["hasMore"] is True


def test_several_breakdowns(ask: Ask) -> None:
    breakdown = {"breakdowns": [{"property": "project"}, {"property": "age", "type": "person"}]}
    response = ask(
        _trend({"event": "round_kept", "math": "avg", **MATH}, breakdownFilter=breakdown)
    )
    groups = _by(_in_march(), lambda one: (_named(one, "project"), str(one.age)))
    kept = [item for item in response["results"] if OTHER not in item["breakdown_value"]]
    assert len(kept) == min(25, len(groups))
    for item in kept:
        group = groups[tuple(item["breakdown_value"])]
        assert item["label"] == "::".join(item["breakdown_value"])
        days = _by(group, lambda one: f"{one.at:%Y-%m-%d}")
        expected = [SIMPLE["avg"](days.get(day, [])) for day in item["days"]]
        assert item["data"] == pytest.approx(expected)


def test_bins_of_a_number(ask: Ask) -> None:
    breakdown = {"breakdown": "cost_usd", "breakdown_histogram_bin_count": 4}
    response = ask(_trend({"event": "round_kept"}, breakdownFilter=breakdown))
    costs = _costs(_in_march())
    low, width = min(costs), (max(costs) - min(costs)) / 4
    found = {item["breakdown_value"]: item["count"] for item in response["results"]}
    missing = len(_in_march()) - len(costs)
    assert found.pop(NULL) == missing
    assert sum(found.values()) == len(costs)
    for text, count in found.items():
        start, end = (float(part) for part in text.strip("[]").split(","))
        assert count == sum(start <= cost < end for cost in costs)
        assert (start - low) / width == pytest.approx(round((start - low) / width))
    assert max(float(text.strip("[]").split(",")[1]) for text in found) == max(costs) + 0.01


def test_cohorts_overlap(ask: Ask) -> None:
    breakdown = {"breakdown": [1, 3, "all"], "breakdown_type": "cohort"}
    response = ask(_trend({"event": "round_kept"}, breakdownFilter=breakdown))
    found = {
        item["breakdown_value"]: (item["label"], item["count"]) for item in response["results"]
    }
    seen = _in_march()
    assert found == {
        "all": ("all users", len(seen)),
        1: ("Old agents", sum(one.age >= 3 for one in seen)),
        3: ("The first", sum(one.age == 0 for one in seen)),
    }


def test_an_expression_as_breakdown(ask: Ask) -> None:
    breakdown = {"breakdown": "if(properties.kept, 'yes', 'no')", "breakdown_type": "hogql"}
    response = ask(_trend({"event": "round_kept"}, breakdownFilter=breakdown))
    kept = sum(one.properties.get("kept") is True for one in _in_march())
    found = {item["breakdown_value"]: item["count"] for item in response["results"]}
    assert found == {"yes": kept, "no": len(_in_march()) - kept}


@pytest.mark.parametrize("name", ["total", "dau"])
def test_cumulative(ask: Ask, name: str) -> None:
    display = {"display": "ActionsLineGraphCumulative"}
    (found,) = ask(_trend({"event": "step.plan", "math": name}, trendsFilter=display))["results"]
    seen = _in_march(event="step.plan")
    expected = []
    for text in found["days"]:
        until = [one for one in seen if f"{one.at:%Y-%m-%d}" <= text]
        expected.append(len({one.agent for one in until}) if name == "dau" else len(until))
    assert found["data"] == expected
    assert found["count"] == expected[-1]


def test_smoothing(ask: Ask) -> None:
    (plain,) = ask(_trend({"event": "round_kept"}))["results"]
    (found,) = ask(_trend({"event": "round_kept"}, trendsFilter={"smoothingIntervals": 3}))[
        "results"
    ]
    data = plain["data"]
    windows = [data[max(0, i - 2) : i + 1] for i in range(len(data))]
    assert found["data"] == [sum(window) // len(window) for window in windows]


def test_formulas(ask: Ask) -> None:
    series = [{"event": "round_kept"}, {"event": "round_reverted"}]
    first, second = ask(_trend(series))["results"]
    formulas = {
        "formulaNodes": [
            {"formula": "A / (A + B) * 100", "custom_name": "Kept %"},
            {"formula": "b - -2 ** 2"},
        ]
    }
    kept, odd = ask(_trend(series, trendsFilter=formulas))["results"]
    pairs = list(zip(first["data"], second["data"], strict=True))
    assert kept["data"] == pytest.approx([a / (a + b) * 100 if a + b else 0 for a, b in pairs])
    assert (kept["label"], kept["action"], kept["order"]) == ("Kept %", None, 0)
    assert kept["count"] == pytest.approx(sum(kept["data"]))
    assert odd["data"] == [b + 4 for _, b in pairs]
    assert (odd["label"], odd["order"]) == ("Formula (b - -2 ** 2)", 1)


def test_formula_with_breakdown_and_comparison(ask: Ask) -> None:
    series = [{"event": "round_kept"}, {"event": "round_reverted"}]
    more = {"breakdownFilter": {"breakdown": "project"}, "compareFilter": {"compare": True}}
    plain = ask(_trend(series, **more))["results"]
    found = ask(_trend(series, **more, trendsFilter={"formula": "A+B"}))["results"]
    assert {item["compare_label"] for item in found} == {"current", "previous"}
    for item in found:
        parts = [
            one["data"]
            for one in plain
            if one["breakdown_value"] == item["breakdown_value"]
            and one["compare_label"] == item["compare_label"]
        ]
        assert item["data"] == [sum(figures) for figures in zip(*parts, strict=True)]


def test_comparison_with_the_period_before_and_a_week_before(ask: Ask) -> None:
    span = {"date_from": "2026-03-11", "date_to": "2026-03-20"}
    for compare, days in (({"compare": True}, 10), ({"compare": True, "compare_to": "-1w"}, 7)):
        node = _trend({"event": "round_kept"}, dateRange=span, compareFilter=compare)
        now, before = ask(node)["results"]
        assert (now["compare_label"], before["compare_label"]) == ("current", "previous")
        assert now["compare"] is before["compare"] is True
        for item, shift in ((now, 0), (before, days)):
            first = datetime(2026, 3, 11, tzinfo=UTC) - timedelta(days=shift)
            dates = [f"{first + timedelta(days=i):%Y-%m-%d}" for i in range(10)]
            seen = _by(
                [one for one in SEEN if one.event == "round_kept"], lambda o: f"{o.at:%Y-%m-%d}"
            )
            assert item["days"] == dates
            assert item["data"] == [len(seen.get(day, [])) for day in dates]


def test_all_time_starts_with_the_first_event(ask: Ask) -> None:
    response = ask(_trend({"event": "round_kept"}, dateRange={"date_from": "all"}))
    (found,) = response["results"]
    first = min(one.at for one in SEEN)
    assert found["days"][0] == f"{first:%Y-%m-%d}"
    assert found["days"][-1] == f"{NOW:%Y-%m-%d}"
    assert found["count"] == sum(one.event == "round_kept" for one in SEEN)


def test_all_events_and_groups_of_events(ask: Ask) -> None:
    alpha = [{"key": "project", "value": ["alpha"], "type": "event"}]
    group = {
        "kind": "GroupNode",
        "operator": "OR",
        "custom_name": "Ends",
        "nodes": [
            {"kind": "EventsNode", "event": "round_kept", "properties": alpha},
            {"kind": "EventsNode", "event": "round_reverted"},
        ],
    }
    everything, ends = ask(_trend([{"event": None}, group]))["results"]
    assert everything["label"] == "All events"
    assert everything["action"]["id"] is None
    assert everything["count"] == len(_in_march(event=None))
    expected = [
        one
        for one in _in_march(event=None)
        if one.event == "round_reverted"
        or (one.event == "round_kept" and one.properties.get("project") == "alpha")
    ]
    assert (ends["label"], ends["count"]) == ("Ends", len(expected))


def test_session_duration(ask: Ask) -> None:
    series = {"event": "round_kept", "math": "max", "math_property": "$session_duration"}
    (found,) = ask(_trend(series, trendsFilter={"display": "BoldNumber"}))["results"]
    groups = _by(SEEN, lambda one: one.properties.get("$session_id"))
    used = {one.properties.get("$session_id") for one in _in_march()} - {None}
    lengths = [
        int(max(o.at for o in groups[s]).timestamp())
        - int(min(o.at for o in groups[s]).timestamp())
        for s in used
    ]
    assert found["aggregated_value"] == max(lengths)
