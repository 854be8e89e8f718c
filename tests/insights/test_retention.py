"""Retention against plain Python over the same events, and a small one worked by hand."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from tests.insights.conftest import Ask
from tests.insights.retention_in_python import figures
from tests.insights.world import SEEN

from nightpane.errors import InsightError
from nightpane.ids import deterministic_uuid
from nightpane.store import Store, StoredEvent

KEPT, REVERTED = {"id": "round_kept", "type": "events"}, {"id": "round_reverted"}
MARCH = {"date_from": "2026-03-01", "date_to": "2026-03-31"}
OTHER = "$$_posthog_breakdown_other_$$"


def _property(key: str, value: Any) -> list[dict[str, Any]]:
    return [{"key": key, "value": [value], "operator": "exact", "type": "event"}]


def _node(span: dict[str, Any] | None = None, **shown: Any) -> dict[str, Any]:
    node: dict[str, Any] = {"kind": "RetentionQuery", "retentionFilter": shown}
    return node | {"dateRange": MARCH if span is None else span}


def _dates(found: list[dict[str, Any]], zone: str) -> list[datetime]:
    dates = [datetime.fromisoformat(row["date"]).astimezone(ZoneInfo(zone)) for row in found]
    return list(dict.fromkeys(dates))


def _check(ask: Ask, node: dict[str, Any], zone: str = "UTC") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ask(node, timezone=zone)["results"]
    dates = _dates(found, zone)
    counted = figures(node, dates, zone)
    values = list(dict.fromkeys(row["breakdown_value"] for row in found))
    assert len(found) == len(values) * len(dates)
    begun: Counter[Any] = Counter()
    for (value, _, lag), (count, _) in counted.items():
        begun[value] += int(count) if lag == 0 else 0
    ordered = sorted(begun, key=lambda value: (-begun[value], str(value)))
    limit = (node.get("breakdownFilter") or {}).get("breakdown_limit", 25)
    if (node.get("breakdownFilter") or {}).get("breakdown"):
        assert values == ordered[:limit] + [OTHER] * (len(ordered) > limit)
    figure = node["retentionFilter"].get("aggregationType", "count")
    for number, row in enumerate(found):
        names = ordered[limit:] if row["breakdown_value"] == OTHER else [row["breakdown_value"]]
        at = number % len(dates)
        assert row["label"].endswith(f" {at}")
        for lag, shown in enumerate(row["values"]):
            cells = [counted.get((name, at, lag), (0, 0.0)) for name in names]
            assert shown["count"] == sum(cell[0] for cell in cells), (row["date"], lag)
            if figure == "sum":
                assert shown["aggregation_value"] == pytest.approx(sum(cell[1] for cell in cells))
            if figure == "avg":
                average = sum(cell[1] for cell in cells) / (shown["count"] or 1)
                assert shown["aggregation_value"] == pytest.approx(average)
    assert sum(begun.values()) > 0
    return found


EVER, FIRST = "first_ever_occurrence", "first_time"


@pytest.mark.parametrize(
    ("kind", "zone", "period", "more"),
    [
        ("recurring", "UTC", "Day", {}),
        ("recurring", "America/New_York", "Day", {"totalIntervals": 20}),
        ("recurring", "UTC", "Day", {"minimumOccurrences": 2}),
        (FIRST, "America/New_York", "Hour", {"totalIntervals": 20}),
        (FIRST, "Asia/Kathmandu", "Hour", {"totalIntervals": 3}),
        ("recurring", "America/New_York", "Week", {"totalIntervals": 5, "cumulative": True}),
        ("recurring", "UTC", "Week", {"totalIntervals": 2, "cumulative": True}),
        (FIRST, "UTC", "Month", {"totalIntervals": 2, "minimumOccurrences": 3}),
        ("recurring", "UTC", "Day", {"retentionCustomBrackets": [1, 3, 5]}),
        (FIRST, "UTC", "Day", {"retentionCustomBrackets": [2, 7], "cumulative": True}),
    ],
)
def test_periods(ask: Ask, kind: str, zone: str, period: str, more: dict[str, Any]) -> None:
    shown = {"targetEntity": KEPT, "returningEntity": REVERTED, "period": period, **more}
    span = {"date_from": "2026-03-02", "date_to": "2026-03-24"}
    _check(ask, _node(span, **shown, retentionType=f"retention_{kind}"), zone)


GAMMA = {"id": "round_kept", "properties": _property("project", "gamma")}
ANY = {"id": None, "properties": _property("kept", value=True)}


@pytest.mark.parametrize(
    ("kind", "target", "returning"),
    [
        ("recurring", ANY, GAMMA),
        ("recurring", KEPT, KEPT),
        (FIRST, GAMMA, KEPT),
        (EVER, GAMMA, {"id": None}),
    ],
)
def test_entities(ask: Ask, kind: str, target: Any, returning: Any) -> None:
    shown = {"targetEntity": target, "returningEntity": returning}
    span = {"date_from": "-5w"}
    _check(ask, _node(span, **shown, retentionType=f"retention_{kind}"))


@pytest.mark.parametrize("kind", ["recurring", FIRST, EVER])
def test_breakdown(ask: Ask, kind: str) -> None:
    shown = {"targetEntity": KEPT, "returningEntity": {"id": None}, "period": "Week"}
    node = _node(**shown, retentionType=f"retention_{kind}")
    node["properties"] = _property("version", "0.9")
    for limit in (2, 25):
        node["breakdownFilter"] = {"breakdown": "project", "breakdown_limit": limit}
        found = _check(ask, node)
        assert {"", "alpha"} & {row["breakdown_value"] for row in found}


@pytest.mark.parametrize(
    ("kind", "figure", "returning"),
    [("recurring", "sum", REVERTED), (FIRST, "avg", KEPT)],
)
def test_figures(ask: Ask, kind: str, figure: str, returning: Any) -> None:
    shown = {"targetEntity": KEPT, "returningEntity": returning, "totalIntervals": 5}
    shown |= {"aggregationType": figure, "aggregationProperty": "cost_usd"}
    _check(ask, _node(**shown, retentionType=f"retention_{kind}"))


def test_figures_of_a_breakdown(ask: Ask) -> None:
    """Those of the others too, whose average is of all their actors."""
    shown = {"targetEntity": KEPT, "returningEntity": REVERTED, "period": "Week"}
    shown |= {"aggregationType": "avg", "aggregationProperty": "cost_usd", "totalIntervals": 3}
    node = _node({"date_from": "-6w"}, **shown)
    node["breakdownFilter"] = {"breakdown": "project", "breakdown_limit": 2}
    assert OTHER in {row["breakdown_value"] for row in _check(ask, node)}


def test_two_agents_worked_by_hand(ask: Ask, store: Store) -> None:
    # After everything else in the store, so that no other test sees it.
    first = datetime(2027, 6, 10, 9, tzinfo=UTC)
    days = [("a", day) for day in (0, 1, 2, 5, 5, 6)] + [("b", day) for day in (1, 2, 3, 6)]
    store.insert(
        [
            StoredEvent(
                uuid=deterministic_uuid("by hand", str(number)),
                event="$pageview",
                distinct_id=f"by-hand-{agent}",
                timestamp=first + timedelta(days=day),
                properties={},
            )
            for number, (agent, day) in enumerate(days)
        ]
    )
    span = {"date_to": "2027-06-16"}
    for kind, expected in {
        "retention_recurring": ["1110011", "221012", "21012", "1001", "000", "11", "2"],
        "retention_first_time": ["1110011", "111001", "00000", "0000", "000", "00", "0"],
    }.items():
        found = ask(_node(span, totalIntervals=7, retentionType=kind))["results"]
        counts = ["".join(str(one["count"]) for one in row["values"]) for row in found]
        assert counts == [row.ljust(7, "0") for row in expected]


def test_cohorts(ask: Ask) -> None:
    shown = {"targetEntity": KEPT, "returningEntity": KEPT, "period": "Month", "totalIntervals": 2}
    node = _node(**shown) | {
        "breakdownFilter": {"breakdown_type": "cohort", "breakdown": ["all", 1, 3]}
    }
    found = ask(node)["results"]
    begun = {row["breakdown_value"]: row["values"][0]["count"] for row in found}
    inside = [o for o in SEEN if o.event == "round_kept" and o.at.month == 3]
    agents = {one.agent: one.age for one in inside}
    assert begun == {"0": len(agents), "1": sum(a >= 3 for a in agents.values()), "3": 1}


def test_all_time(ask: Ask) -> None:
    shown = {"targetEntity": KEPT, "returningEntity": KEPT}
    found = _check(ask, _node({"date_from": "all"}, **shown))
    assert found[0]["date"] == min(one.at for one in SEEN).strftime("%Y-%m-%dT00:00:00Z")


def test_without_a_start_there_are_as_many_rows_as_intervals(ask: Ask) -> None:
    shown = {"targetEntity": KEPT, "returningEntity": KEPT}
    assert len(_check(ask, _node({"date_to": "2026-03-11"}, **shown))) == 8
    found = _check(ask, _node({}, **shown, totalIntervals=4, period="Week", cumulative=True))
    assert [row["date"] for row in found] == [
        f"2026-03-{day:02}T00:00:00Z" for day in (8, 15, 22, 29)
    ]
    assert len(ask(_node({}, **shown, totalIntervals=None))["results"]) == 7


def test_a_response_field_by_field(ask: Ask) -> None:
    span = {"date_from": "2026-03-02", "date_to": "2026-03-03"}
    found = ask(_node(span, totalIntervals=2, meanRetentionCalculation="simple"))
    assert found["results"] == [
        {
            "values": [{"count": 0, "label": "Day 0"}, {"count": 0, "label": "Day 1"}],
            "label": f"Day {day}",
            "date": f"2026-03-0{day + 2}T00:00:00Z",
            "breakdown_value": None,
        }
        for day in (0, 1)
    ]
    assert "event = '$pageview'" in found["hogql"]
    labels = ask(_node(span, retentionCustomBrackets=[1, 3]))["results"][0]["values"]
    assert [shown["label"] for shown in labels] == ["Day 0", "Day 1", "Day 2-4"]


@pytest.mark.parametrize(
    ("attr", "more"),
    [
        ("retentionFilter.period", {"period": "Year"}),
        ("retentionFilter.totalIntervals", {"totalIntervals": -1}),
        ("retentionFilter.retentionType", {"retentionType": "first"}),
        ("retentionFilter.targetEntity.type", {"targetEntity": {"id": "5", "type": "actions"}}),
        ("retentionFilter.returningEntity.id", {"returningEntity": {"id": 5}}),
        ("retentionFilter.targetEntity.kind", {"targetEntity": {"kind": "ActionsNode"}}),
        ("retentionFilter.targetEntity", {"targetEntity": "round_kept"}),
        ("retentionFilter.timeWindowMode", {"timeWindowMode": "24_hour_windows"}),
        ("retentionFilter.cumulative", {"cumulative": "yes"}),
        ("retentionFilter.minimumOccurrences", {"minimumOccurrences": 1.5}),
        ("retentionFilter.aggregationType", {"aggregationType": "max"}),
        ("retentionFilter.retentionCustomBrackets.1", {"retentionCustomBrackets": [1, 0]}),
        ("retentionFilter.retentionCustomBrackets", {"retentionCustomBrackets": [None]}),
        (
            "retentionFilter.cumulative",
            {"cumulative": True, "aggregationType": "sum", "aggregationProperty": "cost_usd"},
        ),
        ("retentionFilter", None),
        ("aggregation_group_type_index", {"at_top": {"aggregation_group_type_index": 1}}),
        ("breakdownFilter.breakdowns", {"at_top": {"breakdownFilter": {"breakdowns": [
            {"property": "a"}, {"property": "b"}]}}}),
        ("breakdownFilter.breakdown", {"at_top": {"breakdownFilter": {
            "breakdown": "cost_usd", "breakdown_histogram_bin_count": 5}}}),
    ],
)  # fmt: skip
def test_bad_input(ask: Ask, attr: str, more: dict[str, Any] | None) -> None:
    top = {} if more is None else more.pop("at_top", {})
    with pytest.raises(InsightError) as refused:
        ask({**_node(), "retentionFilter": more, **top})
    assert refused.value.attr == attr


def test_more_figures_than_an_answer_has(ask: Ask) -> None:
    with pytest.raises(InsightError, match="more than the 500,000"):
        ask(_node({"date_from": "-35d"}, period="Hour", totalIntervals=1_000))
