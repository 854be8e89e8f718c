"""Property filters of every operator, and groups of them, against plain Python."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.insights.conftest import Ask
from tests.insights.world import SEEN, Seen

from nightpane.errors import HogQLError, InsightError

Test = Callable[[Seen], bool]


def _of(key: str) -> Callable[[Seen], Any]:
    # An empty text is a value: PostHog's null is what was not sent.
    return lambda one: one.properties.get(key)


def _text(value: Any) -> str | None:
    return str(value).lower() if isinstance(value, bool) else None if value is None else str(value)


def _version(text: str) -> list[int]:
    return [int(part) for part in text.split(".")]


project, cost, kept, when = _of("project"), _of("cost_usd"), _of("kept"), _of("when")


def _moment(one: Seen) -> datetime | None:
    return datetime.fromisoformat(when(one)) if when(one) else None


def _case(key: str, operator: str, value: Any, test: Test, **more: Any) -> Any:
    item = {"key": key, "operator": operator, "value": value, "type": "event", **more}
    return pytest.param(item, test, id=f"{key}-{operator}-{value}")


def _numbers(test: Callable[[float], bool]) -> Test:
    return lambda one: cost(one) is not None and test(cost(one))


def _dates(test: Callable[[datetime], bool]) -> Test:
    return lambda one: (at := _moment(one)) is not None and test(at)


SECOND = datetime(2026, 3, 2, tzinfo=UTC)
CASES = [
    _case("project", "exact", "alpha", lambda one: project(one) == "alpha"),
    _case("project", "exact", ["alpha", "beta"], lambda one: project(one) in ("alpha", "beta")),
    _case("project", "exact", [], lambda one: False),
    _case("project", "is_not", "alpha", lambda one: project(one) != "alpha"),
    _case(
        "project", "is_not", ["alpha", "beta"], lambda one: project(one) not in ("alpha", "beta")
    ),
    _case("project", "in", ["alpha"], lambda one: project(one) == "alpha"),
    _case("project", "not_in", ["alpha"], lambda one: project(one) != "alpha"),
    _case("project", "icontains", "ALP", lambda one: "alp" in (project(one) or "")),
    _case("project", "icontains", "%", lambda one: False),
    _case("project", "not_icontains", "alp", lambda one: "alp" not in (project(one) or "")),
    _case(
        "project", "icontains_multi", ["alp", "bet"], lambda one: project(one) in ("alpha", "beta")
    ),
    _case("project", "regex", "^(al|be)", lambda one: bool(re.match("al|be", project(one) or ""))),
    _case("project", "not_regex", "^al", lambda one: not (project(one) or "").startswith("al")),
    _case("project", "is_set", None, lambda one: project(one) is not None),
    _case("project", "is_not_set", None, lambda one: project(one) is None),
    _case("kept", "exact", ["true"], lambda one: kept(one) is True),
    _case("kept", "exact", False, lambda one: kept(one) is False),
    _case("kept", "is_not", ["true"], lambda one: kept(one) is not True),
    _case("cost_usd", "exact", ["2.25", "10"], lambda one: cost(one) in (2.25, 10)),
    _case("cost_usd", "exact", 10, lambda one: cost(one) == 10),
    _case("cost_usd", "gt", 1, _numbers(lambda figure: figure > 1)),
    _case("cost_usd", "gte", "1", _numbers(lambda figure: figure >= 1)),
    _case("cost_usd", "lt", 1, _numbers(lambda figure: figure < 1)),
    _case("cost_usd", "lte", [1], _numbers(lambda figure: figure <= 1)),
    _case("cost_usd", "min", 1, _numbers(lambda figure: figure >= 1)),
    _case("cost_usd", "max", 1, _numbers(lambda figure: figure <= 1)),
    _case("cost_usd", "between", [0, 3], _numbers(lambda figure: 0 <= figure <= 3)),
    _case("cost_usd", "not_between", [0, 3], _numbers(lambda figure: not 0 <= figure <= 3)),
    _case("when", "is_date_exact", "2026-03-02", _dates(lambda at: at.date() == SECOND.date())),
    _case("when", "is_date_before", "2026-03-02", _dates(lambda at: at < SECOND)),
    _case("when", "is_date_after", "2026-03-01", _dates(lambda at: at >= SECOND)),
    _case(
        "when", "is_date_after", "-20d", _dates(lambda at: at > datetime(2026, 3, 14, tzinfo=UTC))
    ),
    _case(
        "version",
        "semver_gt",
        "1.2.3",
        lambda one: _version(one.properties.get("version", "0")) > [1, 2, 3],
    ),
    _case("version", "semver_eq", "0.9", lambda one: one.properties.get("version") == "0.9"),
    _case("age", "gte", 3, lambda one: one.age >= 3, type="person"),
    _case(
        "event", "exact", "step.plan", lambda one: one.event == "step.plan", type="event_metadata"
    ),
    _case(
        "properties.cost_usd > 1 -- costly", "exact", None, _numbers(lambda f: f > 1), type="hogql"
    ),
    _case("id", "in", 1, lambda one: one.age >= 3, type="cohort"),
    _case("id", "not_in", 1, lambda one: one.age < 3, type="cohort"),
    _case("id", "in", 3, lambda one: one.agent == "agent-0", type="cohort"),
]


def _count(ask: Ask, properties: Any) -> int:
    node = {
        "kind": "TrendsQuery",
        "series": [{"kind": "EventsNode", "event": None}],
        "dateRange": {"date_from": "all", "date_to": "2026-12-31"},
        "trendsFilter": {"display": "BoldNumber"},
        "properties": properties,
    }
    return int(ask(node)["results"][0]["aggregated_value"])


@pytest.mark.parametrize(("item", "test"), CASES)
def test_operator(ask: Ask, item: dict[str, Any], test: Test) -> None:
    assert _count(ask, [item]) == sum(map(test, SEEN))


_LEAVES = {
    "alpha": (
        {"key": "project", "value": "alpha", "operator": "exact"},
        lambda one: project(one) == "alpha",
    ),
    "costly": ({"key": "cost_usd", "value": 1, "operator": "gt"}, _numbers(lambda f: f > 1)),
    "unkept": (
        {"key": "kept", "value": ["true"], "operator": "is_not"},
        lambda one: kept(one) is not True,
    ),
    "or": (
        {"type": "hogql", "key": "event = 'step.plan' or properties.kept = true"},
        lambda one: one.event == "step.plan" or kept(one) is True,
    ),
}
_GROUPS = st.recursive(
    st.sampled_from(sorted(_LEAVES)),
    lambda inner: st.tuples(st.sampled_from(["AND", "OR"]), st.lists(inner, max_size=3)),
    max_leaves=4,
)


def _filter(group: Any) -> Any:
    if isinstance(group, str):
        return _LEAVES[group][0]
    return {"type": group[0], "values": [_filter(one) for one in group[1]]}


def _holds(group: Any, one: Seen) -> bool | None:
    """Say whether an event meets a group; an empty group asks nothing at all."""
    if isinstance(group, str):
        return bool(_LEAVES[group][1](one))
    tests = [found for item in group[1] if (found := _holds(item, one)) is not None]
    if not tests:
        return None
    return all(tests) if group[0] == "AND" else any(tests)


@settings(max_examples=15)
@given(group=st.tuples(st.sampled_from(["AND", "OR"]), st.lists(_GROUPS, max_size=3)))
def test_groups_of_filters(ask: Ask, group: Any) -> None:
    expected = sum(_holds(group, one) is not False for one in SEEN)
    assert _count(ask, _filter(group)) == expected


REFUSED = [
    ({"key": "a", "value": "x", "operator": "like"}, "operator", "the operator 'like'"),
    ({"key": "a", "value": "x", "type": "feature"}, "type", r"\$feature/<flag>"),
    ({"key": "a", "value": "x", "type": "element"}, "type", "no page elements"),
    ({"key": "a", "value": "x", "type": "group"}, "type", "no groups"),
    ({"key": "team_id", "value": 1, "type": "event_metadata"}, "type", "'team_id' is not one of"),
    ({"key": "a", "operator": "exact"}, "value", "needs a value"),
    ({"value": "x"}, "key", "needs a key"),
    ({"key": "a", "operator": "between", "value": [1]}, "value", "two numbers"),
    ({"key": "a", "operator": "is_date_before", "value": "soon"}, "value", "is not a date"),
    ({"key": "1 +", "type": "hogql"}, "key", "cannot be read"),
    ({"key": "true) or (true", "type": "hogql"}, "key", "cannot be read"),
    ({"key": "id", "value": 9, "type": "cohort"}, "value", "there is no cohort 9"),
    ({"key": "id", "value": "x", "type": "cohort"}, "value", "not the number of a cohort"),
]


@pytest.mark.parametrize(("item", "field", "why"), REFUSED)
def test_refused_by_name(ask: Ask, item: dict[str, Any], field: str, why: str) -> None:
    with pytest.raises(InsightError, match=why) as refusal:
        _count(ask, [item])
    assert refusal.value.attr == f"properties.0.{field}"


def test_a_value_is_never_part_of_the_text(ask: Ask) -> None:
    hostile = "' or 1 = 1 -- {value_0} `"
    assert _count(ask, [{"key": hostile, "value": hostile, "operator": "exact"}]) == 0
    assert _count(ask, [{"key": hostile, "value": hostile, "operator": "is_not"}]) == len(SEEN)


def test_a_mistake_only_the_compiler_sees_has_no_place_in_the_answer(ask: Ask) -> None:
    with pytest.raises(HogQLError, match="nonsense") as refusal:
        _count(ask, [{"type": "hogql", "key": "nonsense = 1"}])
    assert refusal.value.start is None
