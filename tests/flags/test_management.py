"""The management API of flags: PostHog's shapes, and its way of refusing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from tests.flags.support import ALL, Api, half, variants

from nightpane.errors import ApiError
from nightpane.management import Resource
from nightpane.testing import LocalServer


@pytest.fixture
def api(server: LocalServer) -> Iterator[Api]:
    api = Api(server)
    yield api
    api.clear()


def test_every_accepted_field_comes_back(api: Api) -> None:
    sent = {
        "name": "what it is for",
        "active": False,
        "tags": ["a", "b"],
        "ensure_experience_continuity": True,
        "evaluation_runtime": "server",
        "evaluation_contexts": ["main"],
        "bucketing_identifier": "device_id",
        "is_remote_configuration": True,
        "rollback_conditions": [{"threshold": 1}],
        "filters": {
            **variants(control=33.3, test=66.7),
            "payloads": {"test": '{"x": 1}', "control": {"kept": "as sent", "n": 2**70}},
            "early_exit": True,
            "holdout": {"id": 3, "exclusion_percentage": 10},
            "somebody_elses": {"field": [1, None]},
        },
    }
    made = api.make("full", **sent)
    read = api.call("GET", f"feature_flags/{made['id']}/").json()
    assert {name: read[name] for name in sent} == sent
    assert read == made
    assert (read["version"], read["deleted"], read["created_by"]["id"]) == (1, False, 1)
    changed = api.change(made, active=True, tags=[]).json()
    assert (changed["version"], changed["active"], changed["tags"]) == (2, True, [])
    assert changed["filters"] == sent["filters"]
    assert changed["created_at"] == made["created_at"]


def test_lists_are_paged_searched_and_filtered(server: LocalServer, api: Api) -> None:
    for number in range(5):
        api.make(f"plain-{number}", filters=half(), active=number < 3, name=f"number {number}")
    api.make("split", filters=variants(a=50, b=50))
    page = api.call("GET", "feature_flags/?limit=2&offset=2").json()
    assert page["count"] == 6
    assert [flag["key"] for flag in page["results"]] == ["plain-3", "plain-2"]
    assert "offset=4" in page["next"]
    assert "offset=0" in page["previous"]

    def keys(query: str) -> set[str]:
        found = api.call("GET", f"feature_flags/?{query}").json()["results"]
        return {flag["key"] for flag in found}

    assert keys("search=NUMBER%204") == {"plain-4"}
    assert keys("active=false") == {"plain-3", "plain-4"}
    assert keys("type=multivariant") == {"split"}
    assert api.call("GET", "feature_flags/?limit=many").status_code == 400
    resource = Resource(server.query(), "feature_flags")
    assert len(resource.list()) == 6
    assert [flag["key"] for flag in resource.list(search="split")] == ["split"]


@pytest.mark.parametrize(
    ("fields", "attr", "code", "said"),
    [
        ({"key": None}, "key", "required", "required"),
        ({"key": "two words"}, "key", "invalid_key", "Only letters"),
        ({"active": "yes"}, "active", "invalid", "boolean"),
        ({"evaluation_runtime": "moon"}, "evaluation_runtime", "invalid_choice", "moon"),
        ({"bucketing_identifier": "mood"}, "bucketing_identifier", "invalid_choice", "mood"),
        ({"has_encrypted_payloads": True}, "has_encrypted_payloads", "invalid_input", "encrypt"),
        ({"filters": []}, "filters", "invalid_input", "object"),
        ({"filters": {"groups": {}}}, "filters", "invalid_input", "list"),
        ({"filters": variants(a=50, b=49)}, "filters", "invalid_input", "sum to 100"),
        ({"filters": {"groups": [{"rollout_percentage": 101}]}}, "filters", "invalid_input", "101"),
        (
            {"filters": {"groups": [{"variant": "none", "properties": []}]}},
            "filters",
            "invalid_input",
            "variant override",
        ),
        (
            {"filters": {"groups": ALL, "payloads": {"true": "{"}}},
            "filters",
            "invalid_input",
            "not valid JSON",
        ),
        (
            {"filters": {"groups": ALL, "payloads": {"other": "1"}}},
            "filters",
            "invalid_input",
            "be 'true'",
        ),
        (
            {"filters": {"groups": [{"properties": [{"type": "cohort", "value": 99}]}]}},
            "filters",
            "cohort_does_not_exist",
            "99",
        ),
        (
            {
                "filters": {
                    "groups": [
                        {
                            "properties": [
                                {
                                    "key": "77",
                                    "type": "flag",
                                    "operator": "flag_evaluates_to",
                                    "value": True,
                                }
                            ]
                        }
                    ]
                }
            },
            "filters",
            "invalid_input",
            "non-existent flag",
        ),
        (
            {
                "filters": {
                    "groups": [
                        {"properties": [{"key": "a", "operator": "regex", "value": "(a+)+$"}]}
                    ]
                }
            },
            "filters",
            "invalid_input",
            "search for ever",
        ),
        (
            {"filters": {"groups": [{"properties": [{"key": "a", "operator": "sounds_like"}]}]}},
            "filters",
            "invalid_input",
            "sounds_like",
        ),
    ],
)
def test_what_could_not_be_evaluated_is_refused(
    api: Api, fields: dict[str, Any], attr: str, code: str, said: str
) -> None:
    answer = api.call("POST", "feature_flags/", {"key": "a", "filters": half(), **fields})
    assert answer.status_code == 400
    body = answer.json()
    assert (body["type"], body["attr"], body["code"]) == ("validation_error", attr, code)
    assert said in body["detail"]
    assert api.call("GET", "feature_flags/").json()["count"] == 0


def test_a_key_is_used_once_until_it_is_deleted(api: Api) -> None:
    first = api.make("a", filters=half())
    again = api.call("POST", "feature_flags/", {"key": "a"})
    assert again.json()["code"] == "unique"
    assert api.call("DELETE", f"feature_flags/{first['id']}/").status_code == 405
    assert api.change(first, deleted=True).json()["deleted"] is True
    assert api.call("GET", f"feature_flags/{first['id']}/").status_code == 404
    second = api.make("a", filters=half())
    assert second["id"] == first["id"] + 1
    other = api.make("b", filters=half())
    assert api.change(other, key="a").json()["code"] == "unique"
    assert api.change(other, key="c").json()["key"] == "c"


def test_two_who_change_the_same_version(api: Api) -> None:
    made = api.make("a", filters=half())
    assert api.change(made, version=1, name="first").status_code == 200
    late = api.change(made, version=1, name="second")
    assert (late.status_code, late.json()["code"]) == (409, "conflict")
    assert api.call("GET", f"feature_flags/{made['id']}/").json()["name"] == "first"


def test_a_flag_of_a_running_experiment_is_kept(api: Api) -> None:
    made = api.call("POST", "experiments/", {"name": "e", "feature_flag_key": "tried"})
    assert made.status_code == 201, made.text
    experiment = made.json()
    (flag,) = api.call("GET", "feature_flags/?search=tried").json()["results"]
    assert flag["experiment_set"] == [experiment["id"]]
    assert api.flags("x")["flags"]["tried"]["metadata"]["has_experiment"] is True
    for changes in ({"deleted": True}, {"key": "other"}):
        refused = api.change(flag, **changes)
        assert refused.status_code == 400
        assert f"ID(s) {experiment['id']}" in refused.json()["detail"]
    path = f"experiments/{experiment['id']}/"
    assert api.call("PATCH", path, {"deleted": True}).status_code == 200


def test_actions(api: Api) -> None:
    made = api.make("a", filters=half())
    path = f"feature_flags/{made['id']}/"
    assert api.call("POST", path + "disable/").json()["active"] is False
    assert api.call("GET", path + "status/").json()["status"] == "INACTIVE"
    assert api.call("POST", path + "enable/").json()["active"] is True
    tested = api.call("POST", path + "test_evaluation/", {"distinct_id": "gtm:internal:coder"})
    assert tested.json()["enabled"] is api.value("a", "gtm:internal:coder")
    assert api.call("POST", path + "archive/").json()["archived"] is True
    assert api.call("GET", "feature_flags/").json()["count"] == 0
    assert api.call("GET", "feature_flags/?archived=true").json()["count"] == 1
    gone = api.call("POST", "feature_flags/bulk_delete/", {"ids": [made["id"], 999]}).json()
    assert [one["id"] for one in gone["deleted"]] == [made["id"]]
    assert [one["id"] for one in gone["errors"]] == [999]


def test_who_may_ask(server: LocalServer, api: Api) -> None:
    made = api.make("a", filters=half())
    for kind in ("projects", "environments"):
        for project in (server.project_id, "@current"):
            url = f"{server.host}/api/{kind}/{project}/feature_flags/{made['id']}/"
            assert api.session.get(url, timeout=30).status_code == 200
    base = f"{server.host}/api/projects/{server.project_id}/feature_flags/"
    assert requests.get(base, timeout=30).status_code == 401
    with_project_key = {"Authorization": f"Bearer {server.api_key}"}
    assert requests.post(base, json={}, headers=with_project_key, timeout=30).status_code == 401
    other = f"{server.host}/api/projects/987654/feature_flags/"
    assert api.session.get(other, timeout=30).status_code == 404
    assert api.session.post(base, data=b"{", timeout=30).json()["code"] == "parse_error"
    assert api.session.post(base, data=b"[]", timeout=30).status_code == 400


def test_the_client_of_the_management_api(server: LocalServer, api: Api) -> None:
    flags = Resource(server.query(), "feature_flags")
    made = flags.create({"key": "a", "filters": half()})
    assert flags.get(made["id"])["key"] == "a"
    assert flags.change(made["id"], {"active": False})["active"] is False
    with pytest.raises(ApiError, match="already a feature flag with this key") as refused:
        flags.create({"key": "a"})
    assert (refused.value.status, refused.value.code) == (400, "unique")
    assert flags.delete(made["id"])["deleted"] is True
    assert flags.list() == []
