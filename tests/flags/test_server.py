"""The server's flags, as unmodified clients and plain requests see them."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import posthog.client
import pytest
import requests
from tests.flags.support import ALL, Api, half, variants
from tests.helpers import require

from nightpane.flags import bucket
from nightpane.testing import LocalServer

AGENTS = [f"gtm:internal:coder{n}" for n in range(20)]
NODE = Path(__file__).parents[1] / "contract" / "node"


@pytest.fixture
def api(server: LocalServer) -> Iterator[Api]:
    api = Api(server)
    yield api
    api.clear()


def called(server: LocalServer, **filters: str) -> list[dict[str, Any]]:
    """Return the $feature_flag_called events, once there are any."""
    query = "select properties from events where event = '$feature_flag_called' and "
    query += " and ".join(f"properties.{name} = {{{name.strip('$')}}}" for name in filters)
    values = {name.strip("$"): value for name, value in filters.items()}
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        rows = server.query().hogql(query, values).rows
        if rows:
            return [json.loads(row[0]) for row in rows]
        time.sleep(0.05)
    raise AssertionError(f"no $feature_flag_called with {filters}")


def test_python_client_asked_for_and_local(server: LocalServer, api: Api) -> None:
    filters = variants(control=50, test=50)
    made = api.make("scorer_v2", filters={**filters, "payloads": {"test": '{"depth": 2}'}})
    expected = {
        agent: "control" if bucket("scorer_v2", agent, "variant") < 0.5 else "test"
        for agent in AGENTS
    }
    assert set(expected.values()) == {"control", "test"}
    for personal_api_key in (None, server.personal_api_key):
        client = posthog.client.Client(
            server.api_key,
            host=server.host,
            secret_key=personal_api_key,
            sync_mode=True,
            enable_local_evaluation=False,
        )
        if personal_api_key:
            client.load_feature_flags()
        for agent, variant in expected.items():
            flags = client.evaluate_flags(agent, only_evaluate_locally=bool(personal_api_key))
            assert flags.get_flag("scorer_v2") == variant
            payload = {"depth": 2} if variant == "test" else None
            assert flags.get_flag_payload("scorer_v2") == payload
            client.capture("probe", distinct_id=agent, flags=flags)
        client.shutdown()
    events = called(server, **{"$feature_flag": "scorer_v2"})
    assert {one["$feature_flag_response"] for one in events} == {"control", "test"}
    assert {one["locally_evaluated"] for one in events} == {True, False}
    assert {one["$feature_flag_id"] for one in events} == {made["id"]}
    remote = next(one for one in events if not one["locally_evaluated"])
    assert remote["$feature_flag_reason"] == "Matched condition set 1"
    probe = "select properties.`$feature/scorer_v2` from events where event = 'probe' "
    probe += "and distinct_id = {who}"
    assert server.query().hogql(probe, {"who": AGENTS[0]}).rows[0] == [expected[AGENTS[0]]]


def test_node_client(server: LocalServer, api: Api) -> None:
    node = shutil.which("node")
    require(node, "node (Debian's package nodejs)")
    require(
        (NODE / "node_modules" / "posthog-node").is_dir(), "npm ci --prefix tests/contract/node"
    )
    assert node is not None
    api.make("scorer_v2", filters={**variants(a=30, b=70), "payloads": {"b": "[1]"}})
    keys = (server.host, server.api_key, server.personal_api_key)
    script = Path(__file__).with_name("node_flags.mjs")
    done = subprocess.run(
        [node, str(script), str(NODE), *keys], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    saw = json.loads(done.stdout.splitlines()[-1])
    expected = {
        agent: "a" if bucket("scorer_v2", agent, "variant") < 0.3 else "b" for agent in AGENTS
    }
    assert saw["remote"] == saw["local"] == expected
    assert saw["payloads"] == {who: [1] if one == "b" else None for who, one in expected.items()}
    events = called(server, **{"$feature_flag": "scorer_v2", "$lib": "posthog-node"})
    assert {one["$feature_flag_response"] for one in events} == {"a", "b"}


def test_browser_client(server: LocalServer, api: Api, tmp_path: Path) -> None:
    node = shutil.which("node")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    require(node, "node (Debian's package nodejs)")
    require(chromium, "chromium (Debian's package chromium)")
    require((NODE / "node_modules" / "posthog-js").is_dir(), "npm ci --prefix tests/contract/node")
    assert node is not None
    assert chromium is not None
    who = "browser:internal:reader"
    api.make("scorer_v2", filters={**variants(a=0, b=100), "payloads": {"b": '{"depth": 2}'}})
    api.make("loop_only", filters={"groups": ALL}, evaluation_runtime="server")
    script = Path(__file__).with_name("browser_flags.mjs")
    arguments = (server.host, server.api_key, chromium, str(tmp_path / "profile"), who)
    done = subprocess.run(
        [node, str(script), str(NODE), *arguments], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    saw = json.loads(done.stdout.splitlines()[-1])
    assert saw == {"names": ["scorer_v2"], "variant": "b", "payload": {"depth": 2}}
    events = called(server, **{"$feature_flag": "scorer_v2", "$lib": "web"})
    assert events[0]["$feature_flag_response"] == "b"
    query = "select properties.`$feature/scorer_v2` from events where event = 'with_flags'"
    assert server.query().hogql(query).rows == [["b"]]


def test_definitions_are_sent_once(server: LocalServer, api: Api) -> None:
    made = api.make("a", filters=half())
    api.make("b", filters=half())
    for path in ("/flags/definitions", "/api/feature_flag/local_evaluation/"):
        url = f"{server.host}{path}?token={server.api_key}&send_cohorts"
        first = api.session.get(url, timeout=30)
        assert {flag["key"] for flag in first.json()["flags"]} == {"a", "b"}
        known = {"If-None-Match": first.headers["ETag"]}
        assert api.session.get(url, headers=known, timeout=30).status_code == 304
        api.change(made, active=not made["active"])
        made["active"] = not made["active"]
        assert api.session.get(url, headers=known, timeout=30).status_code == 200
        assert requests.get(url, timeout=30).status_code == 401
        wrong = f"{server.host}{path}?token=phc_wrong"
        assert api.session.get(wrong, timeout=30).status_code == 401


def test_shapes_by_version(server: LocalServer, api: Api) -> None:
    api.make("on", filters={"groups": ALL, "payloads": {"true": '"x"'}})
    api.make("off", filters={"groups": [{"properties": [], "rollout_percentage": 0}]})
    for version in (2, 4):
        answer = api.flags("a", version)
        record = answer["flags"]["on"]
        assert (record["enabled"], record["variant"], record["value"]) == (True, None, True)
        assert record["metadata"]["payload"] == '"x"'
        assert record["reason"]["code"] == "condition_match"
        assert answer["flags"]["off"]["reason"]["description"] == "Out of rollout bound"
        assert answer["errorsWhileComputingFlags"] is False
        assert uuid.UUID(answer["requestId"])
    legacy = api.flags("a", None)
    assert legacy["featureFlags"] == {"on": True, "off": False}
    assert legacy["featureFlagPayloads"] == {"on": '"x"'}
    asked = {"token": server.api_key, "distinct_id": "a"}
    for version, expected in {
        "1": ["on"],
        "2": {"on": True},
        "3": {"on": True, "off": False},
    }.items():
        url = f"{server.host}/decide/?v={version}"
        assert requests.post(url, json=asked, timeout=30).json()["featureFlags"] == expected
    assert (
        "on" in requests.post(f"{server.host}/decide/?v=4", json=asked, timeout=30).json()["flags"]
    )
    with_config = requests.post(
        f"{server.host}/flags/?v=2&config=true", json=asked, timeout=30
    ).json()
    assert with_config["supportedCompression"]
    assert with_config["flags"]["on"]["enabled"]


def test_what_is_asked_for(api: Api) -> None:
    api.make("a", filters={"groups": ALL})
    api.make("page", filters={"groups": ALL}, evaluation_runtime="client")
    api.make("loop", filters={"groups": ALL}, evaluation_runtime="server")
    api.make("docs", filters={"groups": ALL}, evaluation_contexts=["docs"])
    assert set(api.flags("x", flag_keys_to_evaluate=["a", "none"])["flags"]) == {"a"}
    assert set(api.flags("x", flag_keys=["page"])["flags"]) == {"page"}
    assert set(api.flags("x", evaluation_runtime="server")["flags"]) == {"a", "loop", "docs"}
    assert set(api.flags("x", evaluation_contexts=["main"])["flags"]) == {"a", "page", "loop"}
    assert api.flags("x", disable_flags=True)["flags"] == {}


def test_stored_properties_count_and_the_requests_come_first(api: Api) -> None:
    only = [{"key": "plan", "type": "person", "operator": "exact", "value": ["night"]}]
    api.make("a", filters={"groups": [{"properties": only, "rollout_percentage": 100}]})
    assert api.value("a", "nobody") is False
    known = {"event": "$identify", "distinct_id": "loop", "properties": {"$set": {"plan": "night"}}}
    api.send(known)
    assert api.value("a", "loop") is True
    assert api.value("a", "loop", person_properties={"plan": "day"}) is False
    assert api.value("a", "nobody", person_properties={"plan": "Night"}) is True


def test_groups(api: Api) -> None:
    grouped = {
        "groups": [
            {
                "properties": [{"key": "size", "type": "group", "operator": "gt", "value": "3"}],
                "rollout_percentage": 100,
            }
        ],
        "aggregation_group_type_index": 0,
    }
    properties = {"$group_type": "company", "$group_key": "acme"}
    api.send({"event": "$groupidentify", "distinct_id": "g", "properties": properties})
    api.make("team", filters=grouped)
    assert api.flags("x")["flags"]["team"]["reason"]["code"] == "no_group_type"
    inside = {"groups": {"company": "acme"}}
    assert api.value("team", "x", **inside, group_properties={"company": {"size": 4}}) is True
    assert api.value("team", "x", **inside, group_properties={"company": {"size": 2}}) is False


def test_cohorts(server: LocalServer, api: Api) -> None:
    coders = {"type": "AND", "values": [{"key": "role", "type": "person", "value": "coder"}]}
    by_property = api.call(
        "POST",
        "cohorts/",
        {"name": "coders", "filters": {"properties": {"type": "OR", "values": [coders]}}},
    ).json()
    nested = {"type": "OR", "values": [{"type": "cohort", "key": "id", "value": by_property["id"]}]}
    outer = api.call("POST", "cohorts/", {"name": "all", "filters": {"properties": nested}}).json()
    static = api.call(
        "POST", "cohorts/", {"name": "few", "is_static": True, "distinct_ids": ["one", "two"]}
    ).json()
    assert (static["count"], static["is_static"]) == (2, True)
    for key, cohort, operator in (
        ("nested", outer, "in"),
        ("outside", outer, "not_in"),
        ("static", static, "in"),
    ):
        one = {"key": "id", "type": "cohort", "value": cohort["id"], "operator": operator}
        api.make(key, filters={"groups": [{"properties": [one], "rollout_percentage": 100}]})
    found = api.flags("one", person_properties={"role": "coder"})["flags"]
    assert {key: record["enabled"] for key, record in found.items()} == {
        "nested": True,
        "outside": False,
        "static": True,
    }
    path = f"cohorts/{static['id']}/"
    assert api.value("static", "three") is False
    api.call("PATCH", path + "add_persons_to_static_cohort/", {"distinct_ids": ["three"]})
    assert api.value("static", "three") is True
    api.call("PATCH", path + "remove_person_from_static_cohort/", {"distinct_ids": ["three"]})
    assert api.value("static", "three") is False
    refused = api.call("PATCH", path, {"deleted": True})
    assert refused.json()["code"] == "cohort_in_use"
    url = f"{server.host}/flags/definitions?token={server.api_key}&send_cohorts"
    sent = api.session.get(url, timeout=30).json()["cohorts"]
    assert sent[str(outer["id"])] == nested
    assert str(static["id"]) not in sent
    behavioural = {"type": "OR", "values": [{"type": "behavioral", "key": "$pageview"}]}
    refused = api.call("POST", "cohorts/", {"name": "b", "filters": {"properties": behavioural}})
    assert refused.status_code == 400
    circle = {"type": "OR", "values": [{"type": "cohort", "key": "id", "value": outer["id"]}]}
    changed = {"filters": {"properties": circle}}
    assert api.call("PATCH", f"cohorts/{by_property['id']}/", changed).status_code == 400


def test_dependencies_in_the_servers_and_the_clients_evaluation(
    server: LocalServer, api: Api
) -> None:
    base = api.make("base", filters=variants(control=50, test=50))
    needs = [
        {"key": str(base["id"]), "type": "flag", "operator": "flag_evaluates_to", "value": "test"}
    ]
    api.make("upper", filters={"groups": [{"properties": needs, "rollout_percentage": 100}]})
    client = posthog.client.Client(
        server.api_key,
        host=server.host,
        secret_key=server.personal_api_key,
        sync_mode=True,
        enable_local_evaluation=False,
    )
    client.load_feature_flags()
    for agent in AGENTS:
        found = api.flags(agent)["flags"]
        assert found["upper"]["enabled"] is (found["base"]["variant"] == "test")
        local = client.evaluate_flags(agent, only_evaluate_locally=True)
        assert local.is_enabled("upper") is found["upper"]["enabled"]
    client.shutdown()
    dependents = api.call("GET", f"feature_flags/{base['id']}/dependent_flags/").json()
    assert [one["key"] for one in dependents] == ["upper"]
    refused = api.change(base, deleted=True)
    assert "depend on it: upper" in refused.json()["detail"]
    back = [{"key": "upper", "type": "flag", "operator": "flag_evaluates_to", "value": True}]
    refused = api.change(base, filters={"groups": [{"properties": back}]})
    assert "circular" in refused.json()["detail"]


def test_a_flag_that_cannot_be_evaluated_fails_alone(api: Api) -> None:
    one = [{"key": "n", "type": "person", "operator": "gt", "value": "many"}]
    api.make("bad", filters={"groups": [{"properties": one, "rollout_percentage": 100}]})
    api.make("good", filters={"groups": ALL})
    answer = api.flags("x", person_properties={"n": 1})
    assert answer["errorsWhileComputingFlags"] is True
    assert answer["flags"]["bad"]["failed"] is True
    assert answer["flags"]["bad"]["enabled"] is False
    assert answer["flags"]["good"]["enabled"] is True


def test_remote_config(server: LocalServer, api: Api) -> None:
    api.make(
        "budget_usd",
        filters={"groups": ALL, "payloads": {"true": "2.5"}},
        is_remote_configuration=True,
    )
    api.make("plain", filters={"groups": ALL})
    client = posthog.client.Client(
        server.api_key, host=server.host, secret_key=server.personal_api_key, sync_mode=True
    )
    assert client.get_remote_config_payload("budget_usd") == "2.5"
    client.shutdown()
    path = "feature_flags/{}/remote_config/"
    assert api.call("GET", path.format("plain")).status_code == 404
    url = f"{server.host}/api/projects/@current/feature_flags/budget_usd/remote_config"
    assert requests.get(url, timeout=30).status_code == 401


def test_flags_survive_a_crash(tmp_path: Path) -> None:
    with LocalServer(tmp_path) as server:
        made = Api(server).make("a", filters=half())
        server.kill()
        server.start()
        again = Api(server).call("GET", f"feature_flags/{made['id']}/").json()
        assert again == made
