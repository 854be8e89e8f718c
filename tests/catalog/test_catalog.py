"""The catalogue: what is declared, what fits, and that everything derived agrees with it."""

from __future__ import annotations

import dataclasses
import math
import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightpane import catalog
from nightpane.ids import is_ulid


def scored(**changes: Any) -> list[str]:
    return catalog.problems("round_scored", {**catalog.sample("round_scored"), **changes})


def test_all_events_of_the_schema_are_there() -> None:
    groups = [spec.group for spec in catalog.EVENTS.values()]
    assert {group: groups.count(group) for group in groups} == {
        "core": 9,
        "step": 6,
        "eval": 3,
        "token_machine": 3,
    }


@pytest.mark.parametrize("event", catalog.EVENTS)
def test_samples_fit(event: str) -> None:
    assert catalog.problems(event, catalog.sample(event)) == []
    assert catalog.sample(event) == catalog.sample(event)


@pytest.mark.parametrize("event", catalog.EVENTS)
def test_every_declared_property_is_checked(event: str) -> None:
    spec = catalog.EVENTS[event]
    for one in (*catalog.ENVELOPE, *spec.properties):
        properties = catalog.sample(event)
        if one.type != "any":
            found = catalog.problems(event, {**properties, one.name: object()})
            assert any(one.name in problem for problem in found), one.name
        if one.required:
            properties[one.name] = None
            found = catalog.problems(event, properties)
            assert f"{one.name} is missing; it is required" in found


def test_a_crashed_round_needs_no_score() -> None:
    assert scored(score=None) == ["score is missing; it is required"]
    assert scored(score=None, crashed=True) == []


@pytest.mark.parametrize("event", ["round_started", "step.plan", "eval.case"])
def test_what_happens_in_a_round_names_it(event: str) -> None:
    properties = catalog.sample(event)
    del properties["round_id"]
    assert catalog.problems(event, properties) == ["round_id is missing; it is required"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"score": "0.7"}, "score is '0.7'; expected a number"),
        ({"score": True}, "score is True; expected a number"),
        ({"score": math.nan}, "score is nan; expected a finite number"),
        ({"dim_recall": "high"}, "dim_recall is 'high'; expected a number"),
        ({"round_id": "round 7"}, "round_id is 'round 7'; expected a ULID (26 characters)"),
        (
            {"round_id": "0" * 26 + "\n"},
            "round_id is '00000000000000000000000000\\n'; expected a ULID",
        ),
        ({"direction": "up"}, "direction is 'up'; expected 'max' or 'min'"),
        ({"score": 10**400}, "score is 1000"),
        ({"quality_score": -math.inf}, "quality_score is -inf; expected a finite number"),
        ({"measured": 1}, "measured is 1; expected true or false"),
        ({"metric": ["x"] * 99}, "metric is list ['x', 'x',"),
    ],
)
def test_a_misfit_is_named_with_its_value(changes: dict[str, Any], says: str) -> None:
    found = scored(**changes)
    assert len(found) == 1
    assert found[0].startswith(says)
    assert len(found[0]) < 160


def test_numbers_at_their_bounds() -> None:
    plan = catalog.sample("step.plan")
    assert catalog.problems("step.plan", {**plan, "confidence": 1.0}) == []
    assert catalog.problems("step.plan", {**plan, "confidence": 1.01}) == [
        "confidence is 1.01; expected at most 1"
    ]
    generated = catalog.sample("proposal_generated")
    assert catalog.problems("proposal_generated", {**generated, "latency_ms": 3.0}) == []
    assert catalog.problems("proposal_generated", {**generated, "latency_ms": 3.5}) == [
        "latency_ms is 3.5; expected a whole number"
    ]
    assert catalog.problems("proposal_generated", {**generated, "cost_usd": -1}) == [
        "cost_usd is -1; expected at least 0"
    ]


def test_what_nobody_declared_passes() -> None:
    assert scored(anything={"at": "all"}, dim_recall=0.5) == []
    envelope = {"project": "p", "client": "c", "agent": "a"}
    assert catalog.problems("my_own_event", {**envelope, "x": object()}) == []
    assert catalog.problems("$ai_generation", {}) == []


def test_a_value_whose_repr_raises_is_still_named() -> None:
    class Rude:
        def __repr__(self) -> str:
            raise RuntimeError

    assert "whose repr raises RuntimeError" in scored(metric=Rude())[0]


def test_events_to_properties_leave_out_none_and_cut_texts() -> None:
    plan = catalog.StepPlan(step_id="0" * 26, plan="x" * 700)
    assert plan.to_properties() == {"step_id": "0" * 26, "plan": "x" * 500, "plan_length": 700}
    with pytest.raises(TypeError, match="failure_mode"):
        catalog.RoundReverted()


@settings(deadline=None, derandomize=True)
@given(st.text(), st.integers(min_value=1, max_value=50))
def test_a_cut_is_a_beginning_within_the_limit(text: str, limit: int) -> None:
    cut = catalog.cut(text, limit)
    assert text.startswith(cut)
    assert len(cut) <= limit
    assert bool(cut) == bool(text)


def test_a_cut_keeps_whole_characters() -> None:
    family = "👨\u200d👩\u200d👧"
    assert catalog.cut("ab" + family, 4) == "ab"
    assert catalog.cut("cafe\u0301", 4) == "caf"


def test_property_types_follow_the_declarations() -> None:
    types = catalog.property_types()
    assert types["score"] == types["$ai_total_cost_usd"] == types["plan_length"] == "Numeric"
    assert types["$ai_is_error"] == types["ok"] == "Boolean"
    assert types["round_id"] == types["$ai_trace_id"] == "String"
    assert "value" not in types


def test_no_property_means_two_things() -> None:
    seen: dict[str, str] = {}
    for spec in catalog.EVENTS.values():
        for one in spec.properties:
            assert seen.setdefault(one.name, one.type) == one.type, one.name


def test_a_text_that_is_too_long_is_cut_wherever_it_comes_from() -> None:
    short = {"step_id": "0" * 26, "plan": "x" * 500, "next_action": "y" * 5_000}
    assert catalog.cut_texts("step.plan", short) is short
    long = {**short, "plan": "x" * 501}
    assert catalog.cut_texts("step.plan", long) == {**short, "plan_length": 501}
    assert long["plan"] == "x" * 501
    assert catalog.cut_texts("step.plan", {"plan": 3}) == {"plan": 3}
    assert catalog.cut_texts("another", long) is long
    once = catalog.cut_texts("step.plan", long)
    assert catalog.cut_texts("step.plan", once) == once


def test_events_are_values() -> None:
    kept = catalog.RoundKept(delta=0.1, cost_usd=0.02)
    assert repr(kept) == "RoundKept(delta=0.1, cost_usd=0.02)"
    assert kept == catalog.RoundKept(delta=0.1, cost_usd=0.02)
    assert kept != dataclasses.replace(kept, delta=0.2)
    assert catalog.StepRetry(step_id="a") != catalog.StepReflection(step_id="a")
    assert len({kept, dataclasses.replace(kept)}) == 1
    assert pickle.loads(pickle.dumps(kept)) == kept
    with pytest.raises(dataclasses.FrozenInstanceError):
        kept.delta = 0.3
    with pytest.raises(TypeError):
        catalog.RoundKept(0.1)


def test_a_payload_is_never_shown_whole() -> None:
    for payload in ("x" * 10**6, ["x" * 10**6] * 10**4, {"a": {"b": ["x" * 10**6]}}, "\0" * 999):
        (problem,) = scored(measured=payload)
        assert len(problem) < 130, problem


@settings(deadline=None, derandomize=True)
@given(st.one_of(st.text(), st.text("0123456789ABCDEFGHJKMNPQRSTVWXYZabcxyz", min_size=26)))
def test_a_ulid_is_what_ids_take_for_one(text: str) -> None:
    problems = catalog.problems("round_kept", {**catalog.sample("round_kept"), "run_id": text})
    assert (problems == []) == is_ulid(text)


NAMES = sorted({name for event in catalog.EVENTS for name in catalog.sample(event)})
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30)
VALUES = SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(st.text(max_size=3), SCALARS)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=9), VALUES, max_size=5),
    st.sampled_from([*catalog.EVENTS, "another", "$ai_generation"]),
)
def test_no_value_makes_validation_raise(changes: dict[str, Any], event: str) -> None:
    found = catalog.problems(event, {**catalog.sample("round_scored"), **changes})
    assert all(isinstance(problem, str) for problem in found)


def test_ai_properties_are_posthogs_and_named_once() -> None:
    names = [one.name for one in catalog.AI_PROPERTIES]
    assert len(names) == len(set(names))
    assert all(name.startswith("$ai_") for name in names if name not in ("phase", "task_type"))
    units = {one.name: one.unit for one in catalog.AI_PROPERTIES}
    assert units["$ai_latency"] == units["$ai_time_to_first_token"] == "s"
    assert units["$ai_input_token_price"] == "USD per token"
    for word in ("_tokens", "_usd", "_bytes"):
        assert all(units[name] for name in names if name.endswith(word))


def test_units_are_in_the_names() -> None:
    endings = {"_usd": "USD", "_ms": "ms", "_tokens": "tokens", "_bytes": "bytes"}
    for spec in catalog.EVENTS.values():
        for one in spec.properties:
            for ending, unit in endings.items():
                assert not one.name.endswith(ending) or one.unit == unit, one.name
