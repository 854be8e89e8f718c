"""The catalogue: what is declared, what fits, and that everything derived agrees with it."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightpane import catalog
from nightpane.catalog.reference import markdown
from nightpane.cli.main import run

SCHEMA_DIGEST = "8ace11f7018ab4084a6b947c522fce454a12f8cc16b1e1fe0f34c3bb2899ad3a"

DOCS = Path(__file__).parents[2] / "docs"


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


def test_the_published_schema_is_pinned() -> None:
    text = json.dumps(catalog.json_schema(), sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert digest == SCHEMA_DIGEST, (
        "the published schema has changed: other programs read these events. If that is meant, "
        f"set SCHEMA_DIGEST to {digest} and say in CHANGELOG.md what changed"
    )


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


def test_the_json_schema_names_every_event_and_property() -> None:
    schema = catalog.json_schema()
    for name, spec in catalog.EVENTS.items():
        properties = schema["$defs"][name]["properties"]["properties"]
        assert {one.name for one in (*catalog.ENVELOPE, *spec.properties)} == set(
            properties["properties"]
        )
    assert schema["$defs"]["round_scored"]["properties"]["properties"]["patternProperties"] == {
        "^dim_": {"type": "number"}
    }


def test_the_reference_page_is_fresh() -> None:
    page = (DOCS / "events.md").read_text("utf-8")
    assert page == markdown(), "run: nightpane schema --markdown > docs/events.md"


def test_schema_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["schema"]) == 0
    table = capsys.readouterr().out
    assert all(name in table for name in catalog.EVENTS)
    assert run(["schema", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == catalog.json_schema()
    assert run(["schema", "round_kept"]) == 0
    assert "new_best" in capsys.readouterr().out
    assert run(["schema", "--markdown"]) == 0
    assert capsys.readouterr().out == markdown()
    assert run(["schema", "round_won"]) == 2
    assert "no event 'round_won'" in capsys.readouterr().err
