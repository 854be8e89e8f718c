"""TracesQuery and TraceQuery against plain Python over the same random events."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.insights.conftest import Ask
from tests.insights.world import NOW

from nightpane.errors import InsightError
from nightpane.ids import deterministic_uuid
from nightpane.store import Store, StoredEvent

KINDS = ("$ai_generation", "$ai_generation", "$ai_embedding", "$ai_span", "$ai_metric")
START = datetime(2026, 3, 20, tzinfo=UTC)


def events() -> list[StoredEvent]:
    dice, found = random.Random(7), []

    def add(event: str, at: datetime, agent: str, **properties: Any) -> None:
        kept = {name.replace("_ai_", "$ai_"): one for name, one in properties.items()}
        uuid = deterministic_uuid("trace", str(len(found)))
        found.append(
            StoredEvent(uuid=uuid, event=event, distinct_id=agent, timestamp=at, properties=kept)
        )

    for number in range(40):
        trace, at = f"trace-{number:02d}", START + timedelta(hours=8 * number)
        agent = f"agent-{number % 4}"
        if number % 3 == 0:
            add("$ai_trace", at, agent, _ai_trace_id=trace, _ai_span_name=f"round {number}",
                _ai_input_state='{"q": 1}', _ai_output_state="plain", _ai_latency=9.5)  # fmt: skip
        for step in range(dice.randrange(1, 9)):
            at += timedelta(seconds=dice.randrange(1, 900))
            kind = dice.choice(KINDS)
            more: dict[str, Any] = {"project": dice.choice(["alpha", "beta"])}
            if kind in ("$ai_generation", "$ai_embedding"):
                more |= {"_ai_input_tokens": dice.randrange(500), "_ai_output_tokens": step,
                         "_ai_input_cost_usd": dice.random() / 1e3,
                         "_ai_total_cost_usd": dice.random() / 1e3,
                         "_ai_latency": dice.choice([0.5, 1.25, None])}  # fmt: skip
            if kind == "$ai_generation":
                more |= {"_ai_is_error": dice.choice([True, False]),
                         "_ai_tools_called": dice.choice(["", "grep", "grep,edit"])}  # fmt: skip
            if kind == "$ai_span":
                more |= {"_ai_span_name": f"span {step}", "_ai_latency": dice.choice([2.0, None])}
            parent = dice.choice([trace, f"{trace}-span", None])
            given = {"_ai_trace_id": trace, "_ai_parent_id": parent, **more}
            kept = {name: one for name, one in given.items() if one is not None}
            add(kind, at, dice.choice([agent, "agent-9"]), **kept)
    add("$ai_generation", START, "agent-1", _ai_input_tokens=5)
    # Begun one after the other, while their events with filters come the other way round.
    for number, trace in enumerate(("trace-97", "trace-98", "trace-99")):
        for minute, project in ((number, "alpha"), (9 - number, "late")):
            at = START + timedelta(days=14, minutes=minute)
            add("$ai_span", at, "agent-2", _ai_trace_id=trace, project=project, _ai_input_tokens=9)
    return found


EVENTS = events()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store.open(tmp_path_factory.mktemp("store")) as opened:
        opened.insert(EVENTS)
        yield opened


def traces() -> dict[str, list[StoredEvent]]:
    found: dict[str, list[StoredEvent]] = defaultdict(list)
    for one in EVENTS:
        if trace := one.properties.get("$ai_trace_id"):
            found[trace].append(one)
    return {
        trace: sorted(inside, key=lambda one: (one.timestamp, one.uuid))
        for trace, inside in found.items()
    }


def total(inside: list[StoredEvent], name: str) -> float | None:
    counted = ("$ai_generation", "$ai_embedding")
    return sum(one.properties.get(name, 0) for one in inside if one.event in counted) or None


def expected(trace: str, inside: list[StoredEvent]) -> dict[str, Any]:
    slow = [one for one in inside if (one.properties.get("$ai_latency") or 0) > 0]
    if slow and all(one.event == "$ai_generation" for one in slow):
        latency = sum(one.properties["$ai_latency"] for one in slow)
    else:
        children = [one for one in slow if one.properties.get("$ai_parent_id") in (None, trace)]
        latency = sum(one.properties["$ai_latency"] for one in children)
    own = next((one for one in inside if one.event == "$ai_trace"), None)
    first = own or inside[0]
    tools = [one.properties.get("$ai_tools_called", "") for one in inside
             if one.event == "$ai_generation"]  # fmt: skip
    return {
        "distinctId": first.distinct_id,
        "totalLatency": pytest.approx(latency, abs=0.005),
        "inputTokens": total(inside, "$ai_input_tokens"),
        "outputTokens": total(inside, "$ai_output_tokens"),
        "inputCost": pytest.approx(total(inside, "$ai_input_cost_usd"), abs=1e-9),
        "outputCost": None,
        "totalCost": pytest.approx(total(inside, "$ai_total_cost_usd"), abs=1e-9),
        "inputState": {"q": 1} if own else None,
        "outputState": "plain" if own else None,
        "errorCount": sum(bool(one.properties.get("$ai_is_error")) for one in inside),
        "isSupportTrace": False,
        "tools": {name for names in tools for name in names.split(",") if name},
        "events": [
            one.uuid
            for one in inside
            if one.event in ("$ai_metric", "$ai_feedback")
            or one.properties.get("$ai_parent_id") == trace
        ],
    }


def shown(row: dict[str, Any]) -> dict[str, Any]:
    told = {name: row[name] for name in expected("", [EVENTS[0]])}
    return {
        **told, "tools": set(row["tools"]), "events": [one["id"] for one in row["events"]]
    }  # fmt: skip


def newest_first() -> list[str]:
    return sorted(traces(), key=lambda one: (-traces()[one][0].timestamp.timestamp(), one))


def test_every_trace_as_plain_python_counts_it(ask: Ask) -> None:
    node = {"kind": "TracesQuery", "dateRange": {"date_from": "all"}, "filterTestAccounts": True}
    response = ask(node)
    assert [row["id"] for row in response["results"]] == newest_first()
    assert (response["hasMore"], response["limit"], response["offset"]) == (False, 100, 0)
    for row in response["results"]:
        assert shown(row) == expected(row["id"], traces()[row["id"]]), row["id"]


def test_the_shape_is_posthogs(ask: Ask) -> None:
    response = ask({"kind": "TracesQuery", "dateRange": {"date_from": "all"}, "limit": 1})
    (row,) = response["results"]
    assert set(row) == {
        "id", "aiSessionId", "createdAt", "distinctId", "person", "totalLatency", "inputTokens",
        "outputTokens", "inputCost", "outputCost", "totalCost", "inputState", "outputState",
        "traceName", "events", "errorCount", "isSupportTrace", "tools",
    }  # fmt: skip
    assert set(row["person"]) == {"uuid", "distinct_id", "created_at", "properties"}
    for event in row["events"]:
        assert set(event) == {"id", "event", "createdAt", "properties"}
    assert response["hasMore"] is True
    names = {row["id"]: row["traceName"] for row in ask(
        {"kind": "TracesQuery", "dateRange": {"date_from": "all"}})["results"]}  # fmt: skip
    assert names["trace-03"] == "round 3"


def test_pages_hold_every_trace_once(ask: Ask) -> None:
    node = {"kind": "TracesQuery", "dateRange": {"date_from": "all"}, "limit": 15}
    pages = [ask({**node, "offset": offset}) for offset in (0, 15, 30)]
    assert [one["hasMore"] for one in pages] == [True, True, False]
    assert [row["id"] for one in pages for row in one["results"]] == newest_first()


def filtered(since: datetime, until: datetime, project: str, tokens: int) -> dict[str, Any]:
    filters = [
        {"type": "event", "key": "project", "operator": "exact", "value": [project]},
        {"type": "event", "key": "$ai_input_tokens", "operator": "gt", "value": tokens},
    ]
    span = {"date_from": since.isoformat(), "date_to": until.isoformat(), "explicitDate": True}
    return {"kind": "TracesQuery", "dateRange": span, "properties": filters}


def test_pages_with_filters_are_cut_by_whole_traces(ask: Ask) -> None:
    """The order is that of the traces' begin, also where another event is the one that fits."""
    node = filtered(START, START + timedelta(days=15), "late", 8)
    pages = [ask({**node, "limit": 1, "offset": offset}) for offset in range(4)]
    found = [[row["id"] for row in one["results"]] for one in pages]
    assert found == [["trace-99"], ["trace-98"], ["trace-97"], []]


def test_filters_choose_traces_and_show_them_whole(ask: Ask) -> None:
    since, until = START + timedelta(days=3), START + timedelta(days=6)
    response = ask(filtered(since, until, "alpha", 250))
    chosen = {
        trace
        for trace, inside in traces().items()
        for one in inside
        if since <= one.timestamp <= until
        and one.properties.get("project") == "alpha"
        and one.properties.get("$ai_input_tokens", 0) > 250
    }
    assert chosen
    assert {row["id"] for row in response["results"]} == chosen
    for row in response["results"]:
        assert shown(row) == expected(row["id"], traces()[row["id"]])


def test_a_persons_traces(ask: Ask, store: Store) -> None:
    node = {"kind": "TracesQuery", "dateRange": {"date_from": "all"}}
    response = ask({**node, "personId": store.person_id("agent-9")})
    wanted = {trace for trace, inside in traces().items()
              if any(one.distinct_id == "agent-9" for one in inside)}  # fmt: skip
    assert {row["id"] for row in response["results"]} == wanted


def test_one_trace_has_all_its_events(ask: Ask) -> None:
    inside = traces()["trace-06"]
    response = ask({"kind": "TraceQuery", "traceId": "trace-06"})
    (row,) = response["results"]
    assert [one["id"] for one in row["events"]] == [
        one.uuid for one in inside if one.event != "$ai_trace"
    ]
    by_id = {one.uuid: one.properties for one in inside}
    assert all(one["properties"] == by_id[one["id"]] for one in row["events"])
    wanted = expected("trace-06", inside)
    for name in ("distinctId", "totalLatency", "inputTokens", "totalCost", "inputState"):
        assert row[name] == wanted[name], name
    assert row["traceName"] == "round 6"
    assert ask({"kind": "TraceQuery", "traceId": "none"})["results"] == []


@pytest.mark.parametrize(
    ("node", "attr"),
    [
        ({"kind": "TraceQuery"}, "traceId"),
        ({"kind": "TraceQuery", "traceId": 7}, "traceId"),
        ({"kind": "TracesQuery", "randomOrder": True}, "randomOrder"),
        ({"kind": "TracesQuery", "groupKey": "a"}, "groupKey"),
        ({"kind": "TracesQuery", "limit": 0}, "limit"),
        ({"kind": "TracesQuery", "dateRange": {"date_from": "soon"}}, "dateRange.date_from"),
        ({"kind": "TracesQuery", "properties": [{"type": "magic", "key": "a"}]},
         "properties.0.type"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(ask: Ask, node: dict[str, Any], attr: str) -> None:
    with pytest.raises(InsightError) as found:
        ask(node, now=NOW)
    assert found.value.attr == attr
