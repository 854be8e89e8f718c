"""What the server adds to AI events, on every way in."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.server.support import Http, new_id

from nightpane.testing import LocalServer

CALL = {
    "$ai_model": "gpt-4o-mini",
    "$ai_provider": "openai",
    "$ai_input_tokens": 1_000_000,
    "$ai_output_tokens": 1_000_000,
}
COSTS = {
    "$ai_input_cost_usd": 0.15,
    "$ai_output_cost_usd": 0.6,
    "$ai_request_cost_usd": 0.0,
    "$ai_web_search_cost_usd": 0.0,
    "$ai_total_cost_usd": 0.75,
    "$ai_cache_reporting_exclusive": False,
    "$ai_model_cost_used": "openai/gpt-4o-mini",
    "$ai_cost_model_source": "openrouter",
    "$ai_cost_model_provider": "openai",
}


def event(name: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {"event": name, "distinct_id": "a", "uuid": new_id(), "properties": properties}


def by_batch(http: Http, one: dict[str, Any]) -> int:
    return http.batch(one).status_code


def by_single(http: Http, one: dict[str, Any]) -> int:
    return http.post("/i/v0/e/", {**one, "api_key": http.key}).status_code


def by_ai_lane(http: Http, one: dict[str, Any]) -> int:
    return http.post("/i/v0/ai/batch/", {"api_key": http.key, "batch": [one]}).status_code


def by_parts(http: Http, one: dict[str, Any]) -> int:
    head = json.dumps({key: one[key] for key in ("event", "distinct_id", "uuid")})
    parts = [
        ("event", (None, head, "application/json")),
        ("event.properties", (None, json.dumps(one["properties"]), "application/json")),
    ]
    bearer = {"Authorization": f"Bearer {http.key}"}
    return http.ask("POST", "/i/v0/ai", files=parts, headers=bearer).status_code


def by_v1(http: Http, one: dict[str, Any]) -> int:
    now = datetime.now(UTC).isoformat()
    headers = {
        "Authorization": f"Bearer {http.key}",
        "PostHog-Sdk-Info": "test/1",
        "PostHog-Attempt": "1",
        "PostHog-Request-Id": new_id(),
        "PostHog-Request-Timestamp": now,
        "Content-Type": "application/json",
    }
    body = {"created_at": now, "batch": [{**one, "timestamp": now}]}
    answer = http.post("/i/v1/analytics/events/", body, headers=headers)
    assert answer.json()["results"][one["uuid"]] == {"result": "ok"}
    return answer.status_code


@pytest.mark.parametrize("send", [by_batch, by_single, by_ai_lane, by_parts, by_v1])
@pytest.mark.parametrize("name", ["$ai_generation", "$ai_embedding", "$ai_evaluation"])
def test_every_way_in_prices_a_call(http: Http, send: Any, name: str) -> None:
    one = event(name, {**CALL, "way": f"{send.__name__} {name}"})
    assert send(http, one) == 200
    query = "select properties from events where uuid = {uuid}"
    ((text,),) = http.server.query().hogql(query, {"uuid": one["uuid"]}).rows
    stored = json.loads(text)
    assert {key: stored.get(key) for key in COSTS} == COSTS


def test_costs_are_numbers_to_a_query_and_unknown_ones_null(http: Http) -> None:
    way = new_id()
    calls = [{**CALL, "way": way}, {**CALL, "way": way, "$ai_model": "unheard-of-7b"}]
    assert http.batch(*(event("$ai_generation", call) for call in calls)).status_code == 200
    query = """select properties.$ai_model, properties.$ai_total_cost_usd,
        properties.$ai_model_cost_used from events where properties.way = {way} order by 1"""
    assert http.server.query().hogql(query, {"way": way}).rows == [
        ["gpt-4o-mini", 0.75, "openai/gpt-4o-mini"],
        ["unheard-of-7b", None, None],
    ]


def test_spans_and_other_events_get_no_cost(http: Http) -> None:
    way = new_id()
    names = ("$ai_span", "$ai_trace", "round_scored")
    assert http.batch(*(event(name, {**CALL, "way": way}) for name in names)).status_code == 200
    query = "select properties from events where properties.way = {way}"
    for (text,) in http.server.query().hogql(query, {"way": way}).rows:
        assert json.loads(text) == {**CALL, "way": way}


def added(http: Http, properties: dict[str, Any], name: str = "$ai_generation") -> dict[str, Any]:
    """Return what the server made of an event's properties, where it differs."""
    way = new_id()
    assert http.batch(event(name, {**properties, "way": way})).status_code == 200
    query = "select properties from events where properties.way = {way}"
    ((text,),) = http.server.query().hogql(query, {"way": way}).rows
    stored = json.loads(text)
    return {
        key: stored.get(key)
        for key in {*stored, *properties} - {"way"}
        if stored.get(key) != properties.get(key) or key not in stored
    }


def test_ids_are_texts(http: Http) -> None:
    ids = {
        "$ai_trace_id": 7,
        "$ai_parent_id": 7.0,
        "$ai_span_id": True,
        "$ai_session_id": {"a": 1},
        "$ai_generation_id": "x",
    }
    assert added(http, ids, "$ai_span") == {
        "$ai_trace_id": "7",
        "$ai_parent_id": "7",
        "$ai_span_id": "true",
        "$ai_session_id": None,
    }


def test_parameters_are_lifted(http: Http) -> None:
    parameters = {"temperature": 0.5, "stream": True, "max_completion_tokens": 9, "top_p": 1}
    assert added(http, {"$ai_model_parameters": {**parameters, "service_tier": "flex"}}) == {
        "$ai_temperature": 0.5,
        "$ai_stream": True,
        "$ai_max_tokens": 9,
        "$ai_service_tier": "flex",
    }
    said = {"$ai_service_tier": "auto", "$ai_model_parameters": {"service_tier": "flex"}}
    assert added(http, said) == {}
    assert added(http, {"$ai_model_parameters": "none"}) == {}


@pytest.mark.parametrize(
    ("answer", "names"),
    [
        ([{"message": {"tool_calls": [{"function": {"name": "a"}}]}}], "a"),
        ({"choices": [{"message": {"tool_calls": [{"function": {"name": "a"}}]}}]}, "a"),
        ([{"role": "assistant", "tool_calls": [{"function": {"name": "a,b "}}]}], "a_b"),
        ([{"type": "function_call", "name": "a"}, {"type": "function_call", "name": "b"}], "a,b"),
        ([{"content": [{"type": "function", "function": {"name": "a"}}]}], "a"),
        ([{"content": [{"type": "tool-call", "function": {"name": "a"}}]}], "a"),
        ([{"parts": [{"type": "tool_call", "name": "a"}]}], "a"),
        ([{"message": {"content": [{"type": "tool_use", "name": "a"}]}}], "a"),
        (json.dumps([{"type": "function_call", "name": "a"}]), "a"),
        ("[ResponseFunctionToolCall(id='1', name='a', type='function_call')]", "a"),
        ([{"type": "function_call", "name": "x" * 300}], "x" * 200),
    ],
)
def test_called_tools(http: Http, answer: Any, names: str) -> None:
    found = added(http, {"$ai_output_choices": answer})
    assert found == {"$ai_tools_called": names, "$ai_tool_call_count": len(names.split(","))}


@pytest.mark.parametrize(
    "answer",
    ["no tool", "{tool_call", [{"content": "text"}], [None, 3], {"choices": 7}, None, [[]]],
)
def test_no_called_tools(http: Http, answer: Any) -> None:
    assert added(http, {"$ai_output_choices": answer}) == {}


def test_tools_the_client_named(http: Http) -> None:
    listed = added(http, {"$ai_tools_called": ["a", "b,c", " "]})
    assert listed == {"$ai_tools_called": "a,b_c", "$ai_tool_call_count": 2}
    assert added(http, {"$ai_tools_called": '["a"]', "$ai_tool_call_count": 5}) == {
        "$ai_tools_called": "a"
    }
    assert added(http, {"$ai_tools_called": "a,b"}) == {"$ai_tool_call_count": 2}
    assert added(http, {"$ai_tools_called": []}) == {"$ai_tools_called": None}


def test_what_is_added_does_not_count_against_the_limit(http: Http) -> None:
    properties = {**CALL, "$ai_input": ""}
    room = 983_040 - len(json.dumps(properties, separators=(",", ":")))
    assert http.batch(event("$ai_generation", {**properties, "$ai_input": "x" * room})).ok
    larger = event("$ai_generation", {**properties, "$ai_input": "x" * (room + 100_000)})
    assert http.batch(larger).status_code == 413


def test_a_users_own_price_applies_from_the_servers_start(tmp_path: Path) -> None:
    own = '["acme/judge-7b"]\ninput_token_price = 2e-7\noutput_token_price = 6e-7\n'
    server = LocalServer(tmp_path)
    server.data_dir.mkdir(parents=True, exist_ok=True)
    (server.data_dir / "prices.toml").write_text(own, "utf-8")
    with server:
        call = {**CALL, "$ai_model": "acme/judge-7b", "$ai_provider": "vllm"}
        assert Http(server).batch(event("$ai_generation", call)).status_code == 200
        query = "select properties.$ai_total_cost_usd, properties.$ai_cost_model_source from events"
        assert server.query().hogql(query).rows == [[0.8, "custom"]]
