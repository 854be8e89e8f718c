"""Paths against plain Python over bursts of events, and a small one worked by hand."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.insights.conftest import Ask
from tests.insights.paths_in_python import SPAN, WALKED, Way, insert, limited, shown_as, ways
from tests.insights.world import Seen

from nightpane.errors import HogQLError, InsightError
from nightpane.store import Store

Name = Callable[[Seen], str]


@pytest.fixture(scope="module", autouse=True)
def _walked(store: Store) -> None:
    insert(store, "walked", WALKED)


def _node(span: dict[str, str] | None = None, **shown: Any) -> dict[str, Any]:
    return {"kind": "PathsQuery", "dateRange": span or SPAN, "pathsFilter": shown}


def _expected(sessions: list[tuple[str, Way]], shown: dict[str, Any]) -> list[Any]:
    times: dict[tuple[str, str], list[float]] = defaultdict(list)
    for _, whole in sessions:
        way = limited(whole, shown)
        for step in range(1, len(way)):
            (before, source), (after, target) = way[step - 1 : step + 1]
            edge = (f"{step}_{source}", f"{step + 1}_{target}")
            times[edge].append((after - before).total_seconds() * 1000)
    least, most = shown.get("minEdgeWeight", 0), shown.get("maxEdgeWeight", 10**9)
    edges = [edge for edge, each in times.items() if least <= len(each) <= most]
    edges.sort(key=lambda edge: (-len(times[edge]), edge))
    edges = edges[: shown.get("edgeLimit", 50)]
    reached = {source for source, _ in edges if source.startswith("1_")}
    for _ in range(60):
        reached |= {target for source, target in edges if source in reached}
    return [
        (*edge, len(times[edge]), pytest.approx(sum(times[edge]) / len(times[edge]), abs=0.01))
        for edge in edges
        if edge[0] in reached
    ]


def _check(
    ask: Ask,
    shown: dict[str, Any],
    name: Name = shown_as,
    kept: Callable[[Seen], bool] = lambda _: True,
    **more: Any,
) -> list[Any]:
    results = ask({**_node(**shown), **more})["results"]
    found = [tuple(row.values()) for row in results]
    assert found
    assert found == _expected(ways(name, kept), shown)
    assert list(results[0]) == ["source", "target", "value", "average_conversion_time"]
    return found


@pytest.mark.parametrize(
    "shown",
    [
        {"edgeLimit": 1_000},
        {"edgeLimit": 12, "stepLimit": 20},
        {},
        {"edgeLimit": 1_000, "startPoint": "plan"},
        {"edgeLimit": 1_000, "startPoint": "/docs/a", "stepLimit": 3},
        {"edgeLimit": 1_000, "endPoint": "score"},
        {"edgeLimit": 1_000, "endPoint": "score", "stepLimit": 2},
        {"edgeLimit": 1_000, "startPoint": "plan", "endPoint": "edit"},
        {"edgeLimit": 1_000, "startPoint": "plan", "endPoint": "Home", "stepLimit": 4},
        {"edgeLimit": 1_000, "startPoint": "score", "endPoint": "/", "stepLimit": 3},
        {"minEdgeWeight": 3, "maxEdgeWeight": 6, "edgeLimit": 1_000},
    ],
)
def test_points_and_limits(ask: Ask, shown: dict[str, Any]) -> None:
    _check(ask, shown)


def test_kinds_of_events(ask: Ask) -> None:
    true = [{"key": "kept", "value": ["true"], "operator": "exact", "type": "event"}]
    pages = _check(
        ask,
        {"includeEventTypes": ["$pageview"]},
        kept=lambda one: one.event == "$pageview" and one.properties["kept"],
        properties=true,
    )
    assert ("1_/docs", "2_/docs/a") in {row[:2] for row in pages}
    _check(
        ask,
        {"includeEventTypes": ["$screen", "custom_event"], "edgeLimit": 500},
        kept=lambda one: one.event == "$screen" or one.event[0] != "$",
    )
    written = "concat(event, toString(properties.kept)) -- what it is"
    _check(
        ask,
        {"includeEventTypes": ["hogql"], "pathsHogQLExpression": written, "edgeLimit": 500},
        lambda one: one.event + str(one.properties["kept"]).lower(),
    )


def test_what_is_left_out_and_what_is_one(ask: Ask) -> None:
    rules = [{"regex": "docs/(.)", "alias": "D\\1"}, {"regex": "^D", "alias": "never"}]
    shown = {"localPathCleaningFilters": rules, "pathReplacements": True, "edgeLimit": 500}

    def cleaned(one: Seen) -> str:
        return re.sub("docs/(.)", r"D\1", shown_as(one))

    def grouped(one: Seen) -> str:
        text = cleaned(one)
        return "/*" if "/" in text else "*co*" if "co" in text else text

    left_out = ["plan", "/Da"]
    _check(ask, {**shown, "excludeEvents": left_out}, cleaned, lambda o: cleaned(o) not in left_out)
    _check(ask, {**shown, "pathGroupings": ["/*", "*co*"]}, grouped)


def test_all_time_and_none(ask: Ask) -> None:
    of_walkers = [
        {
            "key": "distinct_id",
            "type": "event_metadata",
            "operator": "icontains",
            "value": "walker-",
        }
    ]
    everything = _node({"date_from": "all", "date_to": "2027-03-01"}, edgeLimit=1_000)
    found = ask({**everything, "properties": of_walkers})
    assert found["results"] == ask(_node(edgeLimit=1_000))["results"]
    assert found["resolved_date_range"]["date_from"].startswith("2026-02-27T")
    empty = ask(_node({"date_from": "2020-01-01", "date_to": "2020-01-02"}))
    assert (empty["results"], empty["error"]) == ([], None)
    assert empty["hogql"].endswith("limit 50")


def test_four_visitors_worked_by_hand(ask: Ask, store: Store) -> None:
    """PostHog's example: pages after 7 minutes, and one more after 8."""
    visits = {"v1": "/ /about", "v2": "/ /pricing /about", "v3": "/pricing /", "v4": "/ /pricing"}
    at = {0: 0, 1: 420, 2: 480}
    start = datetime(2027, 5, 14, 3, 21, 34, tzinfo=UTC)
    insert(
        store,
        "visits",
        [
            Seen("$pageview", who, start + timedelta(seconds=at[step]), {"$current_url": page})
            for who, pages in visits.items()
            for step, page in enumerate(pages.split())
        ],
    )
    found = ask(_node({"date_from": "2027-05-14", "date_to": "2027-05-14"}))["results"]
    minutes = 60_000.0
    assert [tuple(row.values()) for row in found] == [
        ("1_/", "2_/pricing", 2, 7 * minutes),
        ("1_/", "2_/about", 1, 7 * minutes),
        ("1_/pricing", "2_/", 1, 7 * minutes),
        ("2_/pricing", "3_/about", 1, minutes),
    ]


@pytest.mark.parametrize(
    ("attr", "shown"),
    [
        ("pathsFilter.includeEventTypes", {"includeEventTypes": ["$autocapture"]}),
        ("pathsFilter.includeEventTypes.0", {"includeEventTypes": [5]}),
        ("pathsFilter.stepLimit", {"stepLimit": 1_001}),
        ("pathsFilter.edgeLimit", {"edgeLimit": -1}),
        ("pathsFilter.minEdgeWeight", {"minEdgeWeight": "3"}),
        ("pathsFilter.startPoint", {"startPoint": 5}),
        ("pathsFilter.excludeEvents", {"excludeEvents": "plan"}),
        ("pathsFilter.pathGroupings", {"pathGroupings": ["a"] * 101}),
        ("pathsFilter.pathReplacements", {"pathReplacements": 1}),
        ("pathsFilter.localPathCleaningFilters.0.regex", {"localPathCleaningFilters": [{}]}),
        ("pathsFilter.pathsHogQLExpression", {"pathsHogQLExpression": "1) as x, (2"}),
        ("pathsFilter.pathStartKey", {"pathStartKey": "1_/"}),
        ("funnelPathsFilter", {"at_top": {"funnelPathsFilter": {"funnelStep": 1}}}),
        ("aggregation_group_type_index", {"at_top": {"aggregation_group_type_index": 2}}),
        ("breakdownFilter", {"at_top": {"breakdownFilter": {"breakdown": "x"}}}),
        ("pathsFilter", {"at_top": {"pathsFilter": [1]}}),
    ],
)
def test_bad_input(ask: Ask, attr: str, shown: dict[str, Any]) -> None:
    top = shown.pop("at_top", {})
    with pytest.raises(InsightError) as refused:
        ask({**_node(**shown), **top})
    assert refused.value.attr == attr


def test_a_rule_that_is_no_regular_expression(ask: Ask) -> None:
    with pytest.raises(HogQLError, match="not a valid re2 pattern"):
        ask(_node(localPathCleaningFilters=[{"regex": "(", "alias": "x"}]))
