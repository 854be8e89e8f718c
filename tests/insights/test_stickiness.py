"""Stickiness and lifecycle against plain Python over the same events."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.insights.conftest import Ask
from tests.insights.world import NOW, SEEN, Seen, start_of

MARCH = {"date_from": "2026-03-01", "date_to": "2026-03-31"}
LOW, HIGH = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
GAMMA = [{"key": "project", "value": ["gamma"], "operator": "exact", "type": "event"}]


def _gamma(low: datetime = LOW, high: datetime = HIGH) -> list[Seen]:
    return [o for o in SEEN if low <= o.at < high and o.properties.get("project") == "gamma"]


def _node(kind: str, **more: Any) -> dict[str, Any]:
    series = [{"kind": "EventsNode", "event": None, "properties": GAMMA}]
    return {"kind": kind, "series": series, "dateRange": MARCH, **more}


@pytest.mark.parametrize("interval", ["hour", "day", "week", "month"])
def test_stickiness(ask: Ask, interval: str) -> None:
    (found,) = ask(_node("StickinessQuery", interval=interval))["results"]
    active: dict[str, set[datetime]] = defaultdict(set)
    for one in _gamma():
        active[one.agent].add(start_of(interval)(one.at))
    expected = Counter(len(points) for points in active.values())
    assert found["data"] == [expected.get(day, 0) for day in found["days"]]
    assert found["count"] == len(active)
    assert found["days"] == list(
        range(1, {"hour": 744, "day": 31, "week": 5, "month": 1}[interval] + 1)
    )
    assert found["labels"][:2] == [f"1 {interval}", f"2 {interval}s"][: len(found["labels"])]


def test_stickiness_in_all_its_fields(ask: Ask) -> None:
    more = {
        "intervalCount": 5,
        "stickinessFilter": {
            "computedAs": "cumulative",
            "stickinessCriteria": {"operator": "gte", "value": 2},
        },
        "compareFilter": {"compare": True, "compare_to": "-1d"},
    }
    now, before = ask(_node("StickinessQuery", **more))["results"]
    for item, shift in ((now, 0), (before, 1)):
        low, high = LOW - timedelta(days=shift), HIGH - timedelta(days=shift)
        counted: Counter[tuple[str, int]] = Counter()
        for one in _gamma(low, high):
            counted[one.agent, (high - timedelta(microseconds=1) - one.at).days // 5] += 1
        lots = Counter(agent for (agent, _), count in counted.items() if count >= 2)
        data = [sum(lot >= day for lot in lots.values()) for day in range(1, 8)]
        assert item == {
            "count": len(lots),
            "data": data,
            "days": [1, 2, 3, 4, 5, 6, 7],
            "label": "All events",
            "labels": [f"{day} day{'' if day == 1 else 's'} or more" for day in range(1, 8)],
            "action": {"order": 0, "type": "events", "name": "All events", "id": None},
            "compare": True,
            "compare_label": "previous" if shift else "current",
        }


@pytest.mark.parametrize("interval", ["day", "week", "month"])
@pytest.mark.parametrize("span", [MARCH, {"date_from": "all"}, {"date_from": "-14d"}])
def test_lifecycle(ask: Ask, interval: str, span: dict[str, str]) -> None:
    found = ask(_node("LifecycleQuery", interval=interval, dateRange=span))["results"]
    start = start_of(interval)
    born = {}
    active: dict[str, set[datetime]] = defaultdict(set)
    for one in sorted(SEEN, key=lambda one: one.at):
        born.setdefault(one.agent, start(one.at))
        if one.properties.get("project") == "gamma":
            active[one.agent].add(start(one.at))
    points = [datetime.fromisoformat(day).replace(tzinfo=UTC) for day in found[0]["days"]]
    statuses = ["new", "returning", "resurrecting", "dormant"]
    expected: dict[str, list[float]] = {status: [] for status in statuses}
    for point in points:
        before = start(point - timedelta(hours=1))
        counted: Counter[str] = Counter()
        for agent, at in active.items():
            if point in at:
                new = born[agent] == point
                back = before in at
                counted["returning" if back else "new" if new else "resurrecting"] += 1
            elif before in at:
                counted["dormant"] -= 1
        for status in statuses:
            expected[status].append(counted[status])
    assert points
    assert [item["status"] for item in found] == statuses
    for item in found:
        assert item["data"] == expected[item["status"]], item["status"]
        assert item["count"] == sum(item["data"])
        assert item["label"] == f"All events - {item['status']}"
        assert all(type(figure) is float for figure in item["data"])
    assert sum(found[0]["data"]) > 0 or span == {"date_from": "-14d"}


def test_lifecycle_field_by_field(ask: Ask) -> None:
    span = {"date_from": "2026-03-01", "date_to": "2026-03-02"}
    node = {
        "kind": "LifecycleQuery",
        "series": [{"kind": "EventsNode", "event": "no such event"}],
        "dateRange": span,
        "lifecycleFilter": {"showValuesOnSeries": True},
    }
    first = ask(node)["results"][0]
    assert first == {
        "action": {
            "id": "no such event",
            "name": "no such event",
            "type": "events",
            "order": 0,
            "math": "total",
        },
        "data": [0.0, 0.0],
        "count": 0.0,
        "labels": ["1-Mar-2026", "2-Mar-2026"],
        "days": ["2026-03-01", "2026-03-02"],
        "label": "no such event - new",
        "status": "new",
    }


def test_stickiness_of_all_time(ask: Ask) -> None:
    (found,) = ask(_node("StickinessQuery", dateRange={"date_from": "all"}))["results"]
    first = min(one.at for one in SEEN)
    assert len(found["days"]) == (NOW.date() - first.date()).days + 1
    assert found["count"] == len({one.agent for one in _gamma(first, NOW)})
