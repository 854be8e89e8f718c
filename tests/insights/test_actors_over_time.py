"""Who is behind a retention and behind paths: as many as a figure says, and as Python finds."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from tests.insights.conftest import Ask
from tests.insights.paths_in_python import SPAN, WALKED, insert, limited, shown_as, ways
from tests.insights.retention_in_python import behind
from tests.insights.world import SEEN

from nightpane.errors import HogQLError, InsightError
from nightpane.store import Store

KEPT, REVERTED = {"id": "round_kept", "type": "events"}, {"id": "round_reverted"}
RETENTION = {
    "kind": "RetentionQuery",
    "dateRange": {"date_from": "2026-03-01", "date_to": "2026-03-23"},
    "retentionFilter": {"targetEntity": KEPT, "returningEntity": REVERTED},
}
BY_PROJECT = {"breakdownFilter": {"breakdown": "project"}}
PATHS = {"kind": "PathsQuery", "dateRange": SPAN, "pathsFilter": {}}


@pytest.fixture(scope="module", autouse=True)
def _walked(store: Store) -> None:
    insert(store, "walked", WALKED)


def _retention(kind: str = "recurring", top: Any = None, **shown: Any) -> dict[str, Any]:
    shown = {**RETENTION["retentionFilter"], "retentionType": f"retention_{kind}", **shown}
    return {**RETENTION, "retentionFilter": shown, **(top or {})}


def _listed(ask: Ask, insight: Any, select: list[str], zone: str = "UTC", **more: Any) -> Any:
    """Return what is told of each agent, by its name."""
    source = {"kind": "InsightActorsQuery", "source": insight, **more}
    order = ["length(appearances) DESC", "actor_id"] if "appearances" in select else []
    node = {"kind": "ActorsQuery", "select": ["person", *select], "source": source}
    rows = ask({**node, "orderBy": order, "limit": 1_000}, timezone=zone)["results"]
    assert all(len(row[0]["distinct_ids"]) == 1 for row in rows)
    found = {row[0]["distinct_ids"][0]: row[1:] for row in rows}
    assert len(found) == len(rows)
    return found


EVER, FIRST = "first_ever_occurrence", "first_time"
SUM = {"aggregationType": "sum", "aggregationProperty": "cost_usd", "minimumOccurrences": 2}
BRACKETS = {"minimumOccurrences": 2, "retentionCustomBrackets": [1, 3, 5]}
ALL_TIME = {"dateRange": {"date_from": "all", "date_to": "2026-04-03"}}


@pytest.mark.parametrize(
    ("insight", "zone"),
    [
        (_retention(FIRST, BY_PROJECT | ALL_TIME, **BRACKETS), "America/New_York"),
        (
            _retention(EVER, BY_PROJECT, period="Week", totalIntervals=3, cumulative=True),
            "Asia/Tokyo",
        ),
    ],
)
def test_behind_each_figure_of_a_retention(ask: Ask, insight: dict[str, Any], zone: str) -> None:
    rows = ask(insight, timezone=zone)["results"]
    dates = [datetime.fromisoformat(row["date"]).astimezone(ZoneInfo(zone)) for row in rows]
    dates = list(dict.fromkeys(dates))
    expected = {key: sorted(lags) for key, lags, _ in behind(insight, dates, zone)}
    unit = insight["retentionFilter"].get("period", "Day").lower()
    flags = [f"{unit}_{lag}" for lag in range(len(rows[0]["values"]))]
    seen = 0
    ordered = sorted(enumerate(rows), key=lambda one: -one[1]["values"][0]["count"])
    for number, row in [*ordered[:3], ordered[-1]]:
        at, value = number % len(dates), row["breakdown_value"]
        which = {} if value is None else {"breakdown": [value]}
        found = _listed(ask, insight, ["appearances", *flags], zone, interval=at, **which)
        came = {
            agent: lags
            for (agent, has, place), lags in expected.items()
            if (has, place) == (value, at)
        }
        assert {agent: told[0] for agent, told in found.items()} == came
        counts = [sum(told[1 + lag] for told in found.values()) for lag in range(len(flags))]
        assert counts == [shown["count"] for shown in row["values"]]
        seen += sum(counts)
    assert seen > 5


def test_whoever_began_in_an_interval_and_in_any(ask: Ask) -> None:
    """Without a value, those of all values; without an interval, those of all intervals."""
    insight = _retention(top=BY_PROJECT, **SUM)
    dates = [datetime(2026, 3, day, tzinfo=UTC) for day in range(1, 24)]
    told = [(key, lags) for key, lags, _ in behind(insight, dates)]
    for number in (22, None):
        came: dict[str, set[int]] = {}
        for (agent, _, at), lags in told:
            if number in (at, None):
                came.setdefault(agent, set()).update(lags)
        found = _listed(ask, insight, ["appearances"], interval=number)
        assert {agent: set(row[0]) for agent, row in found.items()} == came
        assert len(found) > 2


def test_cohorts_of_a_retention(ask: Ask) -> None:
    cohorts = {"breakdown_type": "cohort", "breakdown": ["all", 1]}
    insight = _retention(top={"breakdownFilter": cohorts}, totalIntervals=2)
    everybody, old = (
        set(_listed(ask, insight, ["day_0"], interval=0, breakdown=value)) for value in ("all", 1)
    )
    began = {one.agent for one in SEEN if one.event == "round_kept" and f"{one.at:%m%d}" == "0301"}
    assert everybody == began
    assert old == {agent for agent in began if int(agent.removeprefix("agent-")) >= 3} < began


def _edges() -> list[tuple[str, list[str]]]:
    """Return each session's agent and steps, numbered."""
    told = [(agent, limited(way, {})) for agent, way in ways(shown_as, lambda _: True)]
    return [(a, [f"{n}_{item}" for n, (_, item) in enumerate(way, 1)]) for a, way in told]


def _went(ask: Ask, **keys: str) -> dict[str, int]:
    insight = {**PATHS, "pathsFilter": keys}
    return {agent: row[0] for agent, row in _listed(ask, insight, ["event_count"]).items()}


def test_behind_each_edge(ask: Ask) -> None:
    told = _edges()
    edges = ask(PATHS)["results"]
    for edge in edges[::9]:
        pair = (edge["source"], edge["target"])
        found = _went(ask, pathStartKey=pair[0], pathEndKey=pair[1])
        assert found == Counter(agent for agent, keys in told if pair in pairwise(keys))
        assert sum(found.values()) == edge["value"]
    assert len(edges) > 20
    assert _went(ask, pathStartKey="1_plan", pathEndKey="3_edit") == {}


def test_who_went_on_who_came_and_who_left(ask: Ask) -> None:
    told = _edges()
    for key in ("1_plan", "2_score", "5_edit"):
        onward = Counter(agent for agent, keys in told if key in keys[:-1])
        came = Counter(agent for agent, keys in told if key in keys)
        left = Counter(agent for agent, keys in told if keys[-1:] == [key])
        assert _went(ask, pathStartKey=key) == onward
        assert _went(ask, pathEndKey=key) == came
        # As in PostHog, where a way ended is all that is asked then.
        assert _went(ask, pathDropoffKey=key, pathEndKey="1_edit") == left
        assert came == onward + left
    assert _went(ask) == Counter(agent for agent, keys in told if keys)


def _source(insight: Any, **more: Any) -> dict[str, Any]:
    return {"source": {"kind": "InsightActorsQuery", "source": insight, **more}}


@pytest.mark.parametrize(
    ("query", "attr"),
    [
        (_source({"kind": "RetentionQuery"}), "source.source.retentionFilter"),
        (_source(RETENTION, interval=23), "source.interval"),
        (_source(RETENTION, interval=-1), "source.interval"),
        (_source(RETENTION, interval="0"), "source.interval"),
        (_source(RETENTION, day="2026-03-03"), "source.day"),
        (_source(RETENTION, breakdown=["alpha"]), "source.breakdown"),
        (_source({**RETENTION, **BY_PROJECT}, breakdown=["a", "b"]), "source.breakdown"),
        (
            _source({**RETENTION, **BY_PROJECT}, breakdown="$$_posthog_breakdown_other_$$"),
            "source.breakdown",
        ),
        (_source(PATHS, interval=1), "source.interval"),
        (
            _source({**PATHS, "pathsFilter": {"pathStartKey": 1}}),
            "source.source.pathsFilter.pathStartKey",
        ),
        (_source({**PATHS, "funnelPathsFilter": {"a": 1}}), "source.source.funnelPathsFilter"),
    ],
)
def test_what_cannot_be_answered_is_refused(ask: Ask, query: dict[str, Any], attr: str) -> None:
    with pytest.raises(InsightError) as refused:
        ask({"kind": "ActorsQuery", **query})
    assert refused.value.attr == attr


def test_an_interval_that_a_retention_does_not_show(ask: Ask) -> None:
    with pytest.raises(HogQLError, match="day_8"):
        ask({"kind": "ActorsQuery", "select": ["day_8"], **_source(RETENTION)})
