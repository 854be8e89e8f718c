"""ActorsQuery: as many persons behind a figure as it says, and those that plain Python finds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from tests.insights.conftest import Ask
from tests.insights.funnels_in_python import Happened, Walk
from tests.insights.world import NOW, SEEN, Seen, start_of

from nightpane.errors import HogQLError, InsightError
from nightpane.store import Store

LOW, HIGH = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
MARCH = {"date_from": "2026-03-01", "date_to": "2026-03-31"}
GAMMA = [{"key": "project", "value": ["gamma"], "operator": "exact", "type": "event"}]
NULL = "$$_posthog_breakdown_null_$$"
AGENTS = {one.agent for one in SEEN}


def _insight(kind: str, math: str | None = None, **more: Any) -> dict[str, Any]:
    series = [{"event": "step.plan"}, {"event": "round_kept", "math": math, "properties": GAMMA}]
    return {"kind": kind, "series": series[kind == "LifecycleQuery" :], "dateRange": MARCH, **more}


def _behind(ask: Ask, insight: dict[str, Any] | None, **more: Any) -> set[str]:
    """Return the agents behind a figure: each of them once."""
    series = {} if insight is None or insight["kind"] == "LifecycleQuery" else {"series": 1}
    source = {"kind": "InsightActorsQuery", "source": insight, **series, **more}
    return _listed(ask, source=source)


def _listed(ask: Ask, **query: Any) -> set[str]:
    node = {"kind": "ActorsQuery", "select": ["actor"], "limit": 1_000, **query}
    found = [row[0]["distinct_ids"] for row in ask(node)["results"]]
    assert all(len(ids) == 1 for ids in found)
    assert len({ids[0] for ids in found}) == len(found)
    return {ids[0] for ids in found}


def _gamma(low: datetime, high: datetime) -> list[Seen]:
    return [
        one
        for one in SEEN
        if low <= one.at < high
        and one.event == "round_kept"
        and one.properties.get("project") == "gamma"
    ]


def _agents(seen: Iterable[Seen]) -> set[str]:
    return {one.agent for one in seen}


def test_every_person_field_by_field(ask: Ask, store: Store) -> None:
    response = ask({"kind": "ActorsQuery", "limit": 4, "offset": 2})
    # ClickHouse orders ids by their second half first.
    ids = sorted((str(store.person_id(agent)) for agent in AGENTS), key=lambda one: one[19:])
    assert response["columns"] == ["person", "id", "person.$delete"]
    assert [row[1] for row in response["results"]] == ids[2:6]
    assert [len(response["types"]), response["types"][1]] == [3, "UUID"]
    assert [response[name] for name in ("hasMore", "limit", "offset")] == [True, 4, 2]
    assert response["missing_actors_count"] == 0
    for person, person_id, delete in response["results"]:
        (agent,) = person["distinct_ids"]
        born = min(one.at for one in SEEN if one.agent == agent)
        assert (str(store.person_id(agent)), delete) == (person_id, 1)
        assert person == {
            "id": person_id,
            "properties": {"age": int(agent.removeprefix("agent-"))},
            "is_identified": False,
            "created_at": born.isoformat().replace("+00:00", "Z"),
            "distinct_ids": [agent],
        }


def test_columns_figures_and_order(ask: Ask) -> None:
    select = ["properties.age > 4 -- old", "count()", "matched_recordings"]
    response = ask({"kind": "ActorsQuery", "select": select})
    ages = [int(agent.removeprefix("agent-")) for agent in AGENTS]
    old = sum(age > 4 for age in ages)
    # Figures are ordered by the first one, the largest first.
    assert [[row[1], row[2]] for row in response["results"]] == [[old, []], [len(ages) - old, []]]
    assert response["columns"] == select
    order = ["toInt(properties.age) desc"]
    found = ask({"kind": "ActorsQuery", "select": ["properties.age"], "orderBy": order})
    assert [row[0] for row in found["results"]] == [str(age) for age in sorted(ages)[::-1]]


def test_what_persons_are_called(ask: Ask, store: Store) -> None:
    """PostHog's list of persons; these have neither an email nor a name."""
    select = ["id", "person_display_name -- Person", "created_at"]
    order = ["person_display_name -- Person DESC"]
    response = ask({"kind": "ActorsQuery", "select": select, "orderBy": order, "limit": 3})
    ids = sorted((str(store.person_id(agent)) for agent in AGENTS), reverse=True)
    called = [{"display_name": one, "id": one} for one in ids[:3]]
    assert [row[:2] for row in response["results"]] == [[one["id"], one] for one in called]
    assert response["columns"] == select


def test_columns_that_are_named(ask: Ask) -> None:
    named = ask({"kind": "ActorsQuery", "select": ["properties.age as a"]})["results"]
    assert named == sorted([agent.removeprefix("agent-")] for agent in AGENTS)
    counted = ask(
        {"kind": "ActorsQuery", "select": ["1 + count() as n", "properties.age > 4 as a"]}
    )
    ages = [int(agent.removeprefix("agent-")) for agent in AGENTS]
    old = sum(age > 4 for age in ages)
    assert [row[0] for row in counted["results"]] == [old + 1, len(ages) - old + 1]


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ({"search": "AGENT-1"}, lambda age: str(age).startswith("1")),
        ({"search": "agent_1"}, lambda _: False),
        (
            {"properties": [{"type": "person", "key": "age", "operator": "lt", "value": 6}]},
            lambda age: age < 6,
        ),
        (
            {
                "properties": {
                    "type": "OR",
                    "values": [{"type": "cohort", "key": "id", "value": 3}],
                },
                "fixedProperties": [{"type": "hogql", "key": "properties.age < '9'"}],
            },
            lambda age: age == 0,
        ),
        ({"properties": [{"type": "cohort", "key": "id", "value": 1}]}, lambda age: age >= 3),
    ],
)
def test_filters(ask: Ask, query: dict[str, Any], kept: Callable[[int], bool]) -> None:
    expected = {agent for agent in AGENTS if kept(int(agent.removeprefix("agent-")))}
    assert _listed(ask, **query) == expected


def test_a_query_as_the_source(ask: Ask) -> None:
    late = "select distinct person_id, 1 as n from events where timestamp >= {from} -- late"
    source = {"kind": "HogQLQuery", "query": late, "values": {"from": "2026-04-01"}}
    assert _listed(ask, source=source) == _agents(one for one in SEEN if one.at >= HIGH)
    both = "with a as (select id from persons) select id as actor_id from a where false union all "
    both += "select person_id as actor_id from events where event = 'step.plan' group by actor_id"
    found = _listed(ask, source={"kind": "HogQLQuery", "query": both}, orderBy=["id desc"])
    assert found == _agents(one for one in SEEN if one.event == "step.plan")


@pytest.mark.parametrize("interval", ["day", "week"])
def test_behind_each_bar(ask: Ask, interval: str) -> None:
    insight = _insight("TrendsQuery", "dau", interval=interval)
    bars = ask(insight)["results"][1]
    assert max(bars["data"]) > 2
    start = start_of(interval)
    pairs = list(zip(bars["days"], bars["data"], strict=True))
    for day, bar in pairs[:: 5 if interval == "day" else 1]:
        point = datetime.fromisoformat(day).replace(tzinfo=UTC)
        found = _behind(ask, insight, day=day)
        # The first week begins before the month does, and so before its events.
        assert found == _agents(one for one in _gamma(LOW, HIGH) if start(one.at) == point)
        assert len(found) == bar


def test_behind_the_bars_of_a_value(ask: Ask) -> None:
    filters = {"breakdownFilter": {"breakdown": "kept", "breakdown_type": "event"}}
    insight = _insight("TrendsQuery", "dau", interval="week", **filters)
    bars = [one for one in ask(insight)["results"] if one["action"]["order"] == 1]
    assert {one["breakdown_value"] for one in bars} == {"true", "false", NULL}
    for one in bars:
        value = one["breakdown_value"]
        for day, bar in list(zip(one["days"], one["data"], strict=True))[1:3]:
            assert len(_behind(ask, insight, day=day, breakdown=value)) == bar
        kept = {"true": True, "false": False, NULL: None}[value]
        found = (seen for seen in _gamma(LOW, HIGH) if seen.properties.get("kept") is kept)
        assert _behind(ask, insight, breakdown=[value]) == _agents(found)
    assert _behind(ask, insight) == _agents(_gamma(LOW, HIGH))
    cohorts = {"breakdownFilter": {"breakdown": ["all", 1], "breakdown_type": "cohort"}}
    insight = _insight("TrendsQuery", "dau", **cohorts)
    old = _agents(seen for seen in _gamma(LOW, HIGH) if seen.age >= 3)
    assert _behind(ask, insight, breakdown=1) == old < _behind(ask, insight, breakdown="all")


@pytest.mark.parametrize(
    ("math", "more"),
    [
        ("weekly_active", {}),
        ("monthly_active", {"interval": "week"}),
        ("first_time_for_user", {"dateRange": {"date_from": "2026-02-20"}, "interval": "week"}),
        ("dau", {"trendsFilter": {"display": "ActionsLineGraphCumulative"}, "interval": "week"}),
        ("dau", {"dateRange": {"date_from": "all"}, "interval": "week"}),
        ("dau", {"compareFilter": {"compare": True}, "interval": "week"}),
    ],
)
def test_as_many_as_each_bar_says(ask: Ask, math: str, more: dict[str, Any]) -> None:
    insight = _insight("TrendsQuery", math, **more)
    series = [one for one in ask(insight)["results"] if one["action"]["order"] == 1]
    assert len(series) == (2 if "compareFilter" in more else 1)
    for one in series:
        which = {"compare": one["compare_label"]} if "compareFilter" in more else {}
        pairs = list(zip(one["days"], one["data"], strict=True))
        for day, bar in pairs[:: 8 if len(pairs) > 10 else 2]:
            assert len(_behind(ask, insight, day=day, **which)) == bar, day
        assert any(bar for _, bar in pairs)


def test_behind_one_number_and_what_each_did(ask: Ask) -> None:
    insight = _insight("TrendsQuery", trendsFilter={"display": "BoldNumber"})
    select = ["event_count", "event_distinct_ids", "properties.age"]
    source = {"kind": "InsightActorsQuery", "source": insight, "series": 1}
    order = ["event_count desc", "properties.age"]
    node = {"kind": "ActorsQuery", "select": select, "source": source, "orderBy": order}
    counted: dict[str, int] = defaultdict(int)
    for one in _gamma(LOW, HIGH):
        counted[one.agent] += 1
    expected = [[n, [agent], agent.removeprefix("agent-")] for agent, n in counted.items()]
    assert ask(node)["results"] == sorted(expected, key=lambda row: (-int(str(row[0])), row[2]))
    assert ask({**node, "select": None, "orderBy": []})["columns"][-1] == "event_distinct_ids"


def test_behind_stickiness(ask: Ask) -> None:
    active: dict[str, set[datetime]] = defaultdict(set)
    for one in _gamma(LOW, HIGH):
        active[one.agent].add(start_of("day")(one.at))
    insight = _insight("StickinessQuery")
    bars = ask(insight)["results"][1]
    for day in [bar for bar in range(1, 32) if bars["data"][bar - 1]]:
        found = _behind(ask, insight, day=str(day))
        assert found == {agent for agent, days in active.items() if len(days) == day}
        assert len(found) == bars["data"][day - 1]
    cumulative = _insight("StickinessQuery", stickinessFilter={"computedAs": "cumulative"})
    asked = {"kind": "StickinessActorsQuery", "source": insight, "series": 1, "operator": "gte"}
    at_least = {agent for agent, days in active.items() if len(days) >= 3}
    assert _behind(ask, cumulative, day=3) == _listed(ask, source={**asked, "day": 3}) == at_least
    assert len(at_least) == ask(cumulative)["results"][1]["data"][2]


def test_behind_a_lifecycle(ask: Ask) -> None:
    insight = _insight("LifecycleQuery", interval="week")
    seen = 0
    for one in ask(insight)["results"]:
        for day, bar in list(zip(one["days"], one["data"], strict=True))[1:3]:
            found = _behind(ask, insight, day=day, status=one["status"])
            assert len(found) == abs(bar)
            seen += len(found)
    assert seen > 5
    points = [start_of("week")(LOW) + timedelta(weeks=week) for week in range(6)]
    before, at = (_agents(_gamma(low, high)) for low, high in list(pairwise(points))[2:4])
    day = f"{points[3]:%Y-%m-%d}"
    assert _behind(ask, insight, day=day, status="dormant") == before - at
    assert _behind(ask, insight, day=day, status="returning") == before & at


STEPS = ["round_kept", "step.plan", "round_reverted"]
WINDOW = {"funnelWindowInterval": 3, "funnelWindowIntervalUnit": "hour"}
FUNNEL = {
    "kind": "FunnelsQuery",
    "series": [{"event": name} for name in STEPS],
    "dateRange": {"date_from": "2026-03-01T00:00:00", "date_to": "2026-03-31"},
    "funnelsFilter": WINDOW,
}


def _through(ask: Ask, insight: dict[str, Any], step: int, **more: Any) -> set[str]:
    source = {"kind": "FunnelsActorsQuery", "source": insight, "funnelStep": step, **more}
    return _listed(ask, source=source)


def _moments(names: list[str], kept: Callable[[Seen], bool]) -> dict[str, dict[int, int]]:
    """Return when each agent that began came to which step, within three hours."""
    found = {}
    for agent in AGENTS:
        happened = [
            Happened(
                int((one.at - LOW).total_seconds()),
                frozenset({names.index(one.event) + 1}),
                number=number,
            )
            for number, one in enumerate(SEEN)
            if one.agent == agent and one.event in names and LOW <= one.at < HIGH and kept(one)
        ]
        if best := Walk(steps=len(names), window=3 * 3600).best(happened):
            found[agent] = best
    return found


def test_behind_each_step_of_a_funnel(ask: Ask) -> None:
    moments = _moments(STEPS, lambda _: True)
    came = [{agent for agent, at in moments.items() if step in at} for step in (1, 2, 3)]
    counts = [step["count"] for step in ask(FUNNEL)["results"]]
    assert counts == [len(agents) for agents in came]
    assert counts[0] > counts[1] > counts[2] > 0
    assert [_through(ask, FUNNEL, step) for step in (1, 2, 3)] == came
    dropped = [came[0] - came[1], came[1] - came[2]]
    assert [_through(ask, FUNNEL, step) for step in (-2, -3)] == dropped


def test_behind_the_steps_of_a_value(ask: Ask) -> None:
    funnel = {**WINDOW, "breakdownAttributionType": "all_events"}
    more = {"breakdownFilter": {"breakdown": "project"}, "funnelsFilter": funnel}
    insight = {**FUNNEL, "series": [{"event": name} for name in STEPS[:2]], **more}
    for value in ("alpha", "beta"):
        moments = _moments(STEPS[:2], lambda one: one.properties.get("project") == value)  # noqa: B023
        dropped = {agent for agent, at in moments.items() if 2 not in at}
        assert len(dropped) > 2
        assert _through(ask, insight, -2, funnelStepBreakdown=[value]) == dropped


TREND = {"kind": "TrendsQuery", "series": [{"event": "step.plan"}], "dateRange": MARCH}
BY_COST = {**TREND, "breakdownFilter": {"breakdown": "cost_usd", "breakdown_limit": 2}}
BIN = {"property": "cost_usd", "histogram_bin_count": 3}
BINS = {**TREND, "breakdownFilter": {"breakdowns": [BIN]}}
ONE = {**TREND, "trendsFilter": {"display": "BoldNumber"}}
STICKY = {**TREND, "kind": "StickinessQuery"}
LIFE = {**TREND, "kind": "LifecycleQuery"}
ROUNDS = {**FUNNEL, "funnelsFilter": {"funnelAggregateByHogQL": "properties.project"}}


def _of(insight: Any, **more: Any) -> dict[str, Any]:
    return {"source": {"kind": "InsightActorsQuery", "source": insight, **more}}


def _step(insight: Any, **more: Any) -> dict[str, Any]:
    return {"source": {"kind": "FunnelsActorsQuery", "source": insight, **more}}


def _hogql(query: str, **more: Any) -> dict[str, Any]:
    return {"source": {"kind": "HogQLQuery", "query": query, **more}}


@pytest.mark.parametrize(
    ("query", "attr"),
    [
        ({"select": ["group"]}, "select"),
        ({"select": ["id from"]}, "select"),
        ({"select": [3]}, "select"),
        ({"orderBy": ["1; drop"]}, "orderBy"),
        ({"limit": -1}, "limit"),
        ({"search": 7}, "search"),
        ({"properties": [{"key": "age", "value": 3}]}, "properties.0.type"),
        ({"properties": [{"key": "a", "value": 3, "type": "session"}]}, "properties.0.type"),
        ({"filters_override": {"date_from": "-7d"}}, "filters_override"),
        ({"source": {"kind": "FunnelCorrelationActorsQuery"}}, "source.kind"),
        (_hogql("select event from events"), "source.query"),
        (_hogql("select"), "source.query"),
        (_hogql("select id from persons where id = {value_0}"), "source.query"),
        (_hogql("select id from persons where {filters}"), "source.query"),
        (_hogql("select id from persons", values={"value_3": 1}), "source.values"),
        (_hogql("select id from persons", filters={"properties": GAMMA}), "source.filters"),
        (_of(None), "source.source"),
        (_of({"kind": "FunnelsQuery"}), "source.source.kind"),
        (_of({**TREND, "series": []}), "source.source.series"),
        (_of(TREND, series=1), "source.series"),
        (_of(TREND, day="2026-04-04"), "source.day"),
        (_of(TREND, day="2026-03-04T01:00:00"), "source.day"),
        (_of(TREND, day="soon"), "source.day"),
        (_of(TREND, status="new"), "source.status"),
        (_of(TREND, interval=2), "source.interval"),
        (_of(TREND, breakdown="alpha"), "source.breakdown"),
        (_of(TREND, compare="previous"), "source.compare"),
        (_of(BY_COST, breakdown=["1", "2"]), "source.breakdown"),
        (_of(BY_COST, breakdown="$$_posthog_breakdown_other_$$"), "source.breakdown"),
        (_of(BY_COST, breakdown=[{}]), "source.breakdown"),
        (_of(BINS, breakdown=["[0,3]"]), "source.breakdown"),
        (_of(ONE, day="2026-03-04"), "source.day"),
        (_of(STICKY, day=0), "source.day"),
        (_of(STICKY, day="2026-03-04"), "source.day"),
        (_of(STICKY, breakdown="a"), "source.breakdown"),
        (_of(LIFE, status="born"), "source.status"),
        (_of(LIFE, compare="current"), "source.compare"),
        (_step(FUNNEL), "source.funnelStep"),
        (_step(FUNNEL, funnelStep=0), "source.funnelStep"),
        (_step(FUNNEL, funnelStep=-1), "source.funnelStep"),
        (_step(FUNNEL, funnelStep=4), "source.funnelStep"),
        (_step(FUNNEL, funnelStep=1, funnelCustomSteps=[1]), "source.funnelCustomSteps"),
        (_step(FUNNEL, funnelStep=1, funnelTrendsDropOff=False), "source.funnelTrendsDropOff"),
        (_step(FUNNEL, funnelStep=1, funnelStepBreakdown="a"), "source.funnelStepBreakdown"),
        (_step(TREND, funnelStep=1), "source.source.kind"),
        (_step(ROUNDS, funnelStep=1), "source.source.funnelsFilter.funnelAggregateByHogQL"),
    ],
)
def test_what_cannot_be_answered_is_refused(ask: Ask, query: dict[str, Any], attr: str) -> None:
    with pytest.raises(InsightError) as refused:
        ask({"kind": "ActorsQuery", **query})
    assert refused.value.attr == attr
    assert str(refused.value).startswith(attr)


def test_a_column_that_is_not_there(ask: Ask) -> None:
    with pytest.raises(HogQLError, match="event_count"):
        ask({"kind": "ActorsQuery", "select": ["event_count"]})


def test_the_future_is_nobodys(ask: Ask) -> None:
    later = f"{NOW + timedelta(days=400):%Y-%m-%d}"
    insight = {**TREND, "dateRange": {"date_from": later, "date_to": later}}
    assert _behind(ask, {**insight, "series": [{"event": None}] * 2}, day=later) == set()
