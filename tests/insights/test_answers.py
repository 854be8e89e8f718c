"""Insights over HTTP: PostHog's response field by field, and what is refused."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.insights.conftest import Ask

from nightpane.errors import InsightError
from nightpane.testing import LocalServer

NULL, OTHER = "$$_posthog_breakdown_null_$$", "$$_posthog_breakdown_other_$$"
TWO_DAYS = {"date_from": "2026-03-01", "date_to": "2026-03-02"}


def _post(server: LocalServer, query: Any) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(
        f"{server.host}/api/environments/@current/query/",
        data=json.dumps({"query": query}).encode(),
        headers={
            "Authorization": f"Bearer {server.personal_api_key}",
            "Content-Type": "application/json",
        },
    )
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def _trend(**more: Any) -> dict[str, Any]:
    series = [{"kind": "EventsNode", "event": "round_kept", "name": "round_kept"}]
    return {"kind": "TrendsQuery", "series": series, "dateRange": TWO_DAYS, **more}


@pytest.mark.parametrize("wrapper", ["InsightVizNode", "DataVisualizationNode", None])
def test_response_over_http(server: LocalServer, wrapper: str | None) -> None:
    node = _trend() if wrapper is None else {"kind": wrapper, "source": _trend()}
    status, found = _post(server, node)
    assert status == 200
    assert set(found) >= {
        *("results", "hasMore", "hogql", "timings", "modifiers", "error", "resolved_date_range"),
        *("is_cached", "last_refresh", "timezone", "query_status", "cache_key"),
    }
    assert found["error"] is None
    assert "event = 'round_kept'" in found["hogql"]
    assert found["results"][0]["data"] == [0, 0]


@pytest.mark.parametrize("kind", ["StickinessQuery", "LifecycleQuery", "EventsQuery"])
def test_the_other_kinds_over_http(server: LocalServer, kind: str) -> None:
    more = {"select": ["event"]} if kind == "EventsQuery" else {}
    status, found = _post(server, {**_trend(), "kind": kind, **more})
    assert status == 200
    assert isinstance(found["results"], list)
    assert found["hogql"].startswith(("with ", "select "))


def test_the_hogql_of_an_answer_can_be_run_as_it_is(server: LocalServer) -> None:
    quoted = [{"key": "project", "value": 'it\'s \\ "so"', "operator": "exact"}]
    _, found = _post(server, _trend(properties=quoted, breakdownFilter={"breakdown": "x"}))
    status, again = _post(server, {"kind": "HogQLQuery", "query": found["hogql"]})
    assert (status, again["results"]) == (200, [])


def test_a_refusal_names_the_field(server: LocalServer) -> None:
    status, found = _post(server, _trend(interval="fortnight"))
    assert status == 400
    assert (found["type"], found["attr"]) == ("validation_error", "interval")
    assert "'fortnight' is not one of" in found["detail"]


def test_an_unknown_kind_names_those_that_are_known(server: LocalServer) -> None:
    status, found = _post(server, {"kind": "LogsQuery"})
    assert status == 400
    assert "TrendsQuery" in found["detail"]


def test_a_refused_expression(server: LocalServer) -> None:
    series = [{"event": "a", "math": "hogql", "math_hogql": "sum(nonsense)"}]
    status, found = _post(server, _trend(series=series))
    assert (status, found["type"]) == (400, "validation_error")
    assert found["detail"] == "Unable to resolve field: nonsense"


def test_a_series_field_by_field(ask: Ask) -> None:
    series = [
        {
            "kind": "EventsNode",
            "event": "round_kept",
            "name": "round_kept",
            "custom_name": "Kept",
            "math": "sum",
            "math_property": "cost_usd",
        }
    ]
    more = {
        "series": series,
        "trendsFilter": {"display": "ActionsLineGraph", "hiddenLegendIndexes": [1], "new": None},
        "breakdownFilter": {"breakdown": "no such property", "breakdown_type": "event"},
        "compareFilter": {"compare": True},
        "filterTestAccounts": True,
        "someday": {"a": 1},
    }
    (found, before) = ask(_trend(**more))["results"]
    data = found.pop("data")
    assert len(data) == 2
    assert found.pop("count") == sum(data)
    assert found == {
        "labels": ["1-Mar-2026", "2-Mar-2026"],
        "days": ["2026-03-01", "2026-03-02"],
        "label": NULL,
        "breakdown_value": NULL,
        "compare": True,
        "compare_label": "current",
        "order": 0,
        "action": {
            "days": ["2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"],
            "id": "round_kept",
            "type": "events",
            "order": 0,
            "name": "round_kept",
            "custom_name": "Kept",
            "math": "sum",
            "math_property": "cost_usd",
            "math_hogql": None,
            "math_group_type_index": None,
            "properties": {},
        },
        "filter": {
            "insight": "TRENDS",
            "filter_test_accounts": True,
            "date_to": "2026-03-02T23:59:59.999999Z",
            "date_from": "2026-03-01T00:00:00Z",
            "entity_type": "events",
            "interval": "day",
            "display": "ActionsLineGraph",
            "hiddenLegendIndexes": [1],
            "breakdown": "no such property",
            "breakdown_type": "event",
        },
    }
    assert (before["compare_label"], before["days"]) == ("previous", ["2026-02-27", "2026-02-28"])


def test_a_dashboard_overrides_dates_and_adds_filters(ask: Ask) -> None:
    alpha = [{"key": "project", "value": "alpha", "operator": "exact"}]
    beta = [{"key": "project", "value": "beta", "operator": "exact"}]
    override = {"date_from": "2026-03-05", "date_to": "2026-03-20", "properties": alpha}
    span = {"date_from": "2026-03-05", "date_to": "2026-03-20"}
    (found,) = ask(_trend(filters_override=override))["results"]
    (plain,) = ask(_trend(dateRange=span, properties=alpha))["results"]
    assert found["data"] == plain["data"]
    assert found["count"] > 0
    (both,) = ask(_trend(properties=beta, filters_override=override))["results"]
    assert both["count"] == 0


def test_labels_name_the_series_when_there_are_several(ask: Ask) -> None:
    series = [{"event": "round_kept"}, {"event": None}]
    found = ask(_trend(series=series, breakdownFilter={"breakdown": "project"}))["results"]
    assert {item["label"].split(" - ")[0] for item in found} == {"round_kept", "All events"}
    assert all(item["label"].endswith(f" - {item['breakdown_value']}") for item in found)


def test_a_total_field_by_field(ask: Ask) -> None:
    display = {"display": "ActionsPie"}
    (found,) = ask(_trend(trendsFilter=display))["results"]
    assert {name: found[name] for name in ("data", "days", "count", "order", "label")} == {
        "data": [],
        "days": [],
        "count": 0,
        "order": 0,
        "label": "round_kept",
    }
    assert isinstance(found["aggregated_value"], int)
    assert "labels" not in found
    (formula,) = ask(_trend(trendsFilter={**display, "formulas": ["A * 2"]}))["results"]
    assert formula["aggregated_value"] == 2.0 * found["aggregated_value"]
    assert (formula["data"], formula["count"], formula["action"]) == (None, 0, None)


def test_a_total_by_breakdown_has_the_largest_first(ask: Ask) -> None:
    more = {
        "trendsFilter": {"display": "ActionsTable"},
        "breakdownFilter": {"breakdown": "project"},
    }
    found = ask(_trend(**more, dateRange={"date_from": "all"}))["results"]
    figures = [item["aggregated_value"] for item in found if item["breakdown_value"] != NULL]
    assert figures == sorted(figures, reverse=True)
    assert found[-1]["breakdown_value"] == NULL


REFUSED = [
    ({"series": []}, "series", "at least one"),
    ({"series": None}, "series", "at least one"),
    ({"series": [7]}, "series.0", "must be an object"),
    (
        {"series": [{"kind": "ActionsNode", "id": 1}]},
        "series.0.kind",
        "ActionsNode is not supported",
    ),
    ({"series": [{"kind": "DataWarehouseNode"}]}, "series.0.kind", "no data warehouse"),
    ({"series": [{"kind": "Node"}]}, "series.0.kind", "not a series"),
    ({"series": [{"kind": "GroupNode", "nodes": []}]}, "series.0.nodes", "one or more events"),
    ({"series": [{"event": 5}]}, "series.0.event", "must be a text"),
    ({"series": [{"math": "mode"}]}, "series.0.math", "'mode' is not one of"),
    ({"series": [{"math": "sum"}]}, "series.0.math", "needs math_property"),
    (
        {"series": [{"math": "hogql", "math_hogql": "1, 2"}]},
        "series.0.math_hogql",
        "cannot be read",
    ),
    ({"series": [{}] * 27}, "series", "at most 26"),
    ({"properties": "x"}, "properties", "a list of filters"),
    ({"trendsFilter": {"display": "Sankey"}}, "trendsFilter.display", "'Sankey' is not one of"),
    ({"trendsFilter": {"smoothingIntervals": 0}}, "trendsFilter.smoothingIntervals", "must be 1"),
    ({"trendsFilter": {"formula": "A+C"}}, "trendsFilter.formula", "references series C"),
    ({"trendsFilter": {"formula": "A +"}}, "trendsFilter.formula", "not a formula"),
    ({"trendsFilter": {"formulas": ["len(A)"]}}, "trendsFilter.formulas", "not Call"),
    ({"trendsFilter": {"formula": "A.real"}}, "trendsFilter.formula", "not Attribute"),
    ({"trendsFilter": {"formula": "9**9**9"}}, "trendsFilter.formula", "a power is"),
    ({"trendsFilter": {"formula": "'A' * 9"}}, "trendsFilter.formula", "not Constant"),
    (
        {"trendsFilter": {"formulaNodes": [{}]}},
        "trendsFilter.formulaNodes.0.formula",
        "not a formula",
    ),
    ({"breakdownFilter": {"breakdown": ["a", "b"]}}, "breakdownFilter.breakdown", "use breakdowns"),
    (
        {"breakdownFilter": {"breakdown": "a", "breakdown_type": "group"}},
        "breakdownFilter.breakdown_type",
        "by 'group' is not supported",
    ),
    ({"breakdownFilter": {"breakdowns": [{}] * 4}}, "breakdownFilter.breakdowns", "at most 3"),
    (
        {"breakdownFilter": {"breakdown": 9, "breakdown_type": "cohort"}},
        "breakdownFilter.breakdown",
        "no cohort 9",
    ),
    ({"aggregation_group_type_index": 1}, "aggregation_group_type_index", "no groups"),
    ({"kind": "LifecycleQuery", "series": [{}, {}]}, "series", "one series only"),
    ({"kind": "EventsQuery"}, "select", "at least one column"),
    ({"kind": "EventsQuery", "select": ["1 +"]}, "select", "cannot be read"),
    ({"kind": "EventsQuery", "select": ["1"], "actionId": 1}, "actionId", "no actions"),
    ({"kind": "EventsQuery", "select": ["1"], "after": "soon"}, "after", "not a date"),
]


@pytest.mark.parametrize(("more", "attr", "why"), REFUSED)
def test_refused_by_name(ask: Ask, more: dict[str, Any], attr: str, why: str) -> None:
    with pytest.raises(InsightError, match=why) as refusal:
        ask({**_trend(), **more}, now=datetime(2026, 4, 3, tzinfo=UTC))
    assert refusal.value.attr == attr
