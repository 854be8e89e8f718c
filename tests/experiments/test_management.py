"""The management routes of experiments: what is accepted comes back, and what cannot be is told."""

from __future__ import annotations

from typing import Any

import pytest
from tests.experiments.loops import Api

from nightpane.experiments.presets import PRESETS, preset
from nightpane.testing import LocalServer


@pytest.fixture(scope="module")
def api(server: LocalServer) -> Api:
    return Api(server)


def create(api: Api, key: str, **more: Any) -> dict[str, Any]:
    body = {"name": key, "feature_flag_key": key, "metrics": [preset("kept_rate")], **more}
    return dict(api.call("POST", "experiments/", body, 201))


def test_every_accepted_field_comes_back_unchanged(api: Api) -> None:
    given = {
        "name": "all of it",
        "feature_flag_key": "whole",
        "description": "why",
        "metrics": [{**preset(name), "uuid": name} for name in PRESETS],
        "metrics_secondary": [{**preset("kept_rate"), "uuid": "second", "unknown": [1]}],
        "exposure_criteria": {"filterTestAccounts": True, "multiple_variant_handling": "exclude"},
        "stats_config": {"method": "frequentist", "baseline_variant_key": "test"},
        "parameters": {"variant_notes": {"test": "n"}, "minimum_detectable_effect": 7},
        "holdout_id": None,
        "tags": ["a"],
        "allow_unknown_events": True,
    }
    made = api.call("POST", "experiments/", given, 201)
    read = api.call("GET", f"experiments/{made['id']}/")
    assert {name: read[name] for name in given} == given
    assert (read["status"], read["start_date"], read["archived"]) == ("draft", None, False)
    changed = api.call("PATCH", f"experiments/{made['id']}/", {"description": "because"})
    assert {**read, **{k: changed[k] for k in ("description", "updated_at", "version")}} == changed


def test_a_new_flag_is_off_until_launch(api: Api) -> None:
    variants = [{"key": "old", "rollout_percentage": 90}, {"key": "new", "rollout_percentage": 10}]
    made = create(api, "own_split", parameters={"feature_flag_variants": variants})
    flag = made["feature_flag"]
    assert flag["active"] is False
    assert flag["filters"]["multivariate"]["variants"] == variants
    launched = api.call("POST", f"experiments/{made['id']}/launch/")
    assert launched["feature_flag"]["active"] is True
    assert launched["status"] == "running"
    assert launched["start_date"]
    # Without a variant named control, the first is what others are compared with.
    assert api.result(made)["baseline"]["key"] == "old"


def test_a_flag_that_is_there_is_linked(api: Api) -> None:
    first = create(api, "shared")
    second = create(api, "shared", name="again")
    assert first["feature_flag"]["id"] == second["feature_flag"]["id"]
    flag = {"key": "plain", "filters": {"groups": [{"rollout_percentage": 100}]}}
    api.call("POST", "feature_flags/", flag, 201)
    body = {"name": "x", "feature_flag_key": "plain"}
    answer = api.call("POST", "experiments/", body, 400)
    assert answer["attr"] == "feature_flag_key"
    assert "at least 2 variants" in answer["detail"]


def test_from_draft_to_archive_and_back(api: Api) -> None:
    made = create(api, "life")
    at = f"experiments/{made['id']}/"
    assert "draft" in api.call("POST", at + "pause/", {}, 400)["detail"]
    api.call("POST", at + "launch/")
    assert "running" in api.call("POST", at + "launch/", {}, 400)["detail"]
    paused = api.call("POST", at + "pause/")
    assert (paused["status"], paused["feature_flag"]["active"]) == ("paused", False)
    resumed = api.call("POST", at + "resume/")
    assert (resumed["status"], resumed["feature_flag"]["active"]) == ("running", True)
    assert "ended" in api.call("POST", at + "archive/", {}, 400)["detail"]
    said = {"conclusion": "won", "conclusion_comment": "by far"}
    assert api.call("POST", at + "end/", {"conclusion": "great"}, 400)["attr"] == "conclusion"
    ended = api.call("POST", at + "end/", said)
    assert {name: ended[name] for name in said} == said
    assert (ended["status"], ended["feature_flag"]["active"]) == ("stopped", True)
    api.call("POST", at + "archive/")
    listed = api.call("GET", "experiments/")["results"]
    assert made["id"] not in [one["id"] for one in listed]
    archived = api.call("GET", "experiments/?archived=true")["results"]
    assert [one["id"] for one in archived] == [made["id"]]
    again = api.call("POST", at + "reset/")
    assert (again["status"], again["archived"], again["conclusion"]) == ("draft", False, None)


def test_a_shipped_variant_goes_to_everybody(api: Api) -> None:
    made = create(api, "shipped")
    at = f"experiments/{made['id']}/"
    api.call("POST", at + "launch/")
    assert (
        api.call("POST", at + "ship_variant/", {"variant_key": "x"}, 400)["attr"] == "variant_key"
    )
    shipped = api.call("POST", at + "ship_variant/", {"variant_key": "test", "conclusion": "won"})
    assert (shipped["status"], shipped["conclusion"]) == ("stopped", "won")
    for number in range(5):
        body = {"distinct_id": f"agent{number}"}
        flag = api.call(
            "POST", f"feature_flags/{made['feature_flag']['id']}/test_evaluation/", body
        )
        assert flag["variant"] == "test"


def test_deleting_marks_it(api: Api) -> None:
    made = create(api, "gone")
    at = f"experiments/{made['id']}/"
    assert "patch" in api.call("DELETE", at, None, 405)["detail"]
    api.call("PATCH", at, {"deleted": True})
    assert api.call("GET", at, None, 404)["code"] == "not_found"
    assert api.result(made, status=400)["attr"] == "experiment_id"


def test_lists_are_paged_and_searched(api: Api) -> None:
    ids = [create(api, "paged", name=f"page {number}")["id"] for number in range(3)]
    page = api.call("GET", "experiments/?search=PAGE&limit=2")
    assert (page["count"], [one["id"] for one in page["results"]]) == (3, [ids[2], ids[1]])
    assert page["next"]
    assert api.call("GET", "experiments/?feature_flag_key=paged")["count"] == 3
    assert api.call("GET", "experiments/?search=page&status=running")["count"] == 0


@pytest.mark.parametrize(
    ("body", "attr"),
    [
        ({"feature_flag_key": "k"}, "name"),
        ({"name": "n"}, "feature_flag_key"),
        ({"name": "n", "feature_flag_key": "not a key"}, "key"),
        ({"name": "n" * 401, "feature_flag_key": "k"}, "name"),
        ({"name": "n", "feature_flag_key": "k", "metrics": {}}, "metrics"),
        ({"name": "n", "feature_flag_key": "k", "metrics": [7]}, "metrics"),
        ({"name": "n", "feature_flag_key": "k", "start_date": "soon"}, "start_date"),
        ({"name": "n", "feature_flag_key": "k", "stats_config": {"method": "x"}}, "stats_config"),
        (
            {"name": "n", "feature_flag_key": "k", "parameters": {"minimum_detectable_effect": 0}},
            "parameters",
        ),
        (
            {"name": "n", "feature_flag_key": "k", "exposure_criteria": {"analysis_unit": "day"}},
            "exposure_criteria",
        ),
        ({"name": "n", "feature_flag_key": "k", "secondary_metrics": [{}]}, "secondary_metrics"),
    ],
)
def test_what_cannot_be_accepted_names_its_field(api: Api, body: Any, attr: str) -> None:
    answer = api.call("POST", "experiments/", body, 400)
    assert (answer["type"], answer["attr"]) == ("validation_error", attr)
    # Nothing of a refused experiment stays, its flag neither.
    flags = api.call("GET", "feature_flags/?search=k&limit=1000")["results"]
    assert "k" not in [flag["key"] for flag in flags]


def test_the_units_must_fit_the_flag(api: Api) -> None:
    made = create(api, "units", exposure_criteria={"assignment_unit": "round"})
    api.call("POST", f"experiments/{made['id']}/launch/")
    criteria = {"exposure_criteria": {"assignment_unit": "round", "analysis_unit": "run"}}
    changed = api.call("PATCH", f"experiments/{made['id']}/", criteria)
    answer = api.result(changed, status=400)
    assert answer["attr"] == "exposure_criteria"
    assert "vary within a run" in answer["detail"]
