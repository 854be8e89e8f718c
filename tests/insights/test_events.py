"""EventsQuery: rows in the order of its columns."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from tests.insights.conftest import Ask
from tests.insights.world import NOW, SEEN


def _ask(ask: Ask, select: list[str], **more: Any) -> dict[str, Any]:
    return ask({"kind": "EventsQuery", "select": select, "after": "all", **more})


def test_rows_in_the_order_asked_for(ask: Ask) -> None:
    response = _ask(
        ask,
        ["event", "properties.project -- Project", "timestamp"],
        event="round_kept",
        orderBy=["timestamp ASC", "distinct_id desc"],
        where=["properties.project = 'alpha' or properties.project = 'beta'", "1 = 1 -- yes"],
        limit=7,
        offset=2,
    )
    expected = sorted(
        (
            one
            for one in SEEN
            if one.event == "round_kept"
            and one.properties.get("project") in ("alpha", "beta")
            and one.at < NOW + timedelta(seconds=5)
        ),
        key=lambda one: one.at,
    )
    assert response["results"] == [
        [one.event, one.properties["project"], one.at.isoformat().replace("+00:00", "Z")]
        for one in expected[2:9]
    ]
    assert response["columns"] == ["event", "properties.project -- Project", "timestamp"]
    assert len(response["types"]) == 3
    assert (response["hasMore"], response["limit"], response["offset"]) == (True, 7, 2)


def test_figures_are_grouped_by_the_other_columns(ask: Ask) -> None:
    response = _ask(ask, ["event", "count()"], before="2026-03-20")
    counted = Counter(one.event for one in SEEN if f"{one.at:%Y-%m-%d}" < "2026-03-20")
    assert response["results"] == [[event, count] for event, count in counted.most_common()]
    named = _ask(ask, ["event as what", "count() as n"], before="2026-03-20")
    assert named["results"] == response["results"]
    assert response["hasMore"] is False


def test_the_last_day_by_default_newest_first(ask: Ask) -> None:
    response = ask({"kind": "EventsQuery", "select": ["timestamp", "distinct_id"]})
    low = NOW - timedelta(hours=24)
    expected = sorted((one for one in SEEN if low < one.at < NOW), key=lambda one: one.at)[::-1]
    assert [row[1] for row in response["results"]] == [one.agent for one in expected]
    assert expected


def test_whole_events_and_persons(ask: Ask) -> None:
    select = ["*", "person", "person_display_name -- Person"]
    response = _ask(ask, select, orderBy=["timestamp"], limit=1)
    ((event, person, display),) = response["results"]
    first = min(SEEN, key=lambda one: one.at)
    assert set(event) == {
        *("uuid", "event", "properties", "timestamp", "distinct_id", "elements_chain"),
        *("created_at", "person_mode"),
    }
    assert event["event"] == first.event
    assert first.properties.items() <= event["properties"].items()
    assert set(person) == {"uuid", "created_at", "properties", "distinct_id"}
    assert (person["distinct_id"], person["properties"]) == (first.agent, {"age": first.age})
    assert display == {
        "display_name": first.agent,
        "id": person["uuid"],
        "distinct_id": first.agent,
    }
    (again,) = _ask(ask, ["count()"], personId=person["uuid"])["results"]
    assert again == [sum(one.agent == first.agent for one in SEEN if one.at < NOW)]
