"""PostHog's own Python client, unmodified, in every mode of capturing."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from posthog import Posthog
from tests.contract.support import arrived, wait_for

from nightpane.testing import LocalServer

PROPERTIES: dict[str, Any] = {
    "score": 0.75,
    "count": 3,
    "big": 2**63 + 1,
    "text": "ü 😀 \u0000 end",
    "nothing": None,
    "nested": {"list": [1, None, {"deep": True}]},
    "ok": False,
}

MODES: dict[str, dict[str, Any]] = {
    "threads": {},
    "sync": {"sync_mode": True},
    "gzip": {"gzip": True},
    "v1": {"capture_mode": "v1"},
    "v1-gzip": {"capture_mode": "v1", "gzip": True},
    "v1-sync": {"capture_mode": "v1", "sync_mode": True},
    "ai-lane": {"enable_full_ai_capture": True},
}


@pytest.fixture(autouse=True)
def _client_logs_nothing(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.WARNING, logger="posthog"):
        yield
    assert [record.message for record in caplog.records if record.name.startswith("posthog")] == []


def client(server: LocalServer, errors: list[Any], **options: Any) -> Posthog:
    def on_error(error: Any, items: Any) -> None:
        errors.append((error, items))

    return Posthog(server.api_key, host=server.host, on_error=on_error, **options)


@pytest.mark.parametrize("mode", MODES)
def test_events_arrive_as_they_were_sent(server: LocalServer, mode: str) -> None:
    errors: list[Any] = []
    sender = client(server, errors, **MODES[mode])
    who = f"autoresearch:{mode}:coder"
    uuids = [
        sender.capture("round_scored", distinct_id=who, properties={**PROPERTIES, "number": number})
        for number in range(20)
    ]
    sender.capture(
        "$ai_generation",
        distinct_id=who,
        properties={"$ai_trace_id": "t", "$ai_model": "m", "$ai_input": [{"role": "user"}]},
    )
    sender.shutdown()
    rows = wait_for(server, who, 21)
    assert errors == []
    assert len(rows) == 21
    scored = [(json.loads(text), uuid) for event, text, uuid in rows if event == "round_scored"]
    assert sorted(uuid for _, uuid in scored) == sorted(str(uuid) for uuid in uuids)
    for properties, _ in scored:
        assert {name: properties[name] for name in PROPERTIES} == PROPERTIES
        assert properties["$lib"] == "posthog-python"
    assert sorted(properties["number"] for properties, _ in scored) == list(range(20))


def test_capture_ai_has_a_lane_of_its_own(server: LocalServer) -> None:
    errors: list[Any] = []
    sender = client(server, errors)
    who = "autoresearch:ai:coder"
    sender.capture_ai(
        "$ai_generation",
        distinct_id=who,
        properties={
            "$ai_trace_id": "01K",
            "$ai_model": "m",
            "$ai_input": [{"role": "user", "content": "x" * 1_500_000}],
            "$ai_input_tokens": 12,
        },
    )
    sender.shutdown()
    ((event, properties, _),) = wait_for(server, who, 1)
    assert errors == []
    assert event == "$ai_generation"
    assert len(json.loads(properties)["$ai_input"][0]["content"]) == 1_500_000
    tokens = "select properties.$ai_input_tokens from events where distinct_id = {who}"
    assert server.query().hogql(tokens, {"who": who}).rows == [[12.0]]


def test_persons_are_set_and_merged(server: LocalServer) -> None:
    errors: list[Any] = []
    sender = client(server, errors)
    sender.set(distinct_id="autoresearch:persons:a", properties={"plan": "night"})
    sender.set_once(distinct_id="autoresearch:persons:a", properties={"plan": "no", "first": 1})
    sender.alias("autoresearch:persons:a", "autoresearch:persons:b")
    sender.capture("later", distinct_id="autoresearch:persons:b")
    sender.shutdown()
    wait_for(server, "autoresearch:persons:b", 1)
    query = (
        "select distinct person.properties.plan, person.properties.first from events "
        "where event = 'later'"
    )
    assert errors == []
    assert server.query().hogql(query).rows == [["night", "1"]]


def test_exceptions_arrive(server: LocalServer) -> None:
    errors: list[Any] = []
    sender = client(server, errors)
    try:
        raise ValueError("a crashed round")
    except ValueError as error:
        sender.capture_exception(error, distinct_id="autoresearch:exceptions:coder")
    sender.shutdown()
    rows = wait_for(server, "autoresearch:exceptions:coder", 1)
    assert errors == []
    assert "a crashed round" in json.loads(rows[0][1])["$exception_list"][0]["value"]


def test_flags_are_empty_and_no_error(server: LocalServer) -> None:
    errors: list[Any] = []
    sender = client(server, errors, secret_key=server.personal_api_key)
    flags = sender.evaluate_flags("autoresearch:flags:coder")
    assert flags.get_flag("no-such-flag") is None
    sender.load_feature_flags()
    assert sender.feature_flags == []
    assert sender.evaluate_flags("autoresearch:flags:coder").get_flag("no-such-flag") is None
    sender.shutdown()
    assert errors == []


def test_a_wrong_key_is_an_error_and_nothing_is_stored(
    server: LocalServer, caplog: pytest.LogCaptureFixture
) -> None:
    errors: list[Any] = []
    stranger = Posthog(
        "phc_of_another_project",
        host=server.host,
        on_error=lambda error, items: errors.append((error, items)),
        max_retries=0,
    )
    stranger.capture("round_scored", distinct_id="autoresearch:stranger:coder")
    stranger.shutdown()
    assert len(errors) == 1
    assert "401" in str(errors[0][0])
    assert arrived(server, "autoresearch:stranger:coder") == []
    caplog.clear()
