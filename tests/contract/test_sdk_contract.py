"""What PostHog's contract for SDKs asks of a client, asked of ours, over real HTTP on loopback.

The cases are those of the public suite's capture and flag contracts, stated anew. Where the client
differs on purpose, the case says what it does instead; docs/node.md lists those.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.contract.scripted import OK, Answer, Scripted, scripted

from nightpane import Pane

KEY = "phc_of_the_contract"
# How the suite wants a time on the wire.
UTC_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")


@pytest.fixture
def posthog() -> Iterator[Scripted]:
    with scripted() as told:
        yield told


@pytest.fixture
def pane(posthog: Scripted, tmp_path: Path) -> Iterator[Pane]:
    made = Pane("contract", api_key=KEY, host=posthog.host, spool_dir=tmp_path / "spool")
    yield made
    made.close(0)


def capture(pane: Pane, event: str = "test_event", **about: Any) -> None:
    pane.posthog.capture(event, distinct_id="test_user", **about)


def test_the_envelope_of_a_batch(pane: Pane, posthog: Scripted) -> None:
    capture(pane, properties={"text": "hello", "number": 42, "flag": True, "nested": {"a": [1]}})
    assert pane.flush(5)
    (request,) = posthog.requests
    assert request.path == "/batch/"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["content-encoding"] == "gzip"
    assert request.headers["user-agent"].startswith("nightpane/")
    assert "authorization" not in request.headers
    assert request.body["api_key"] == KEY
    assert UTC_TIME.fullmatch(request.body["sent_at"])
    assert request.body.keys() == {"api_key", "sent_at", "batch"}
    (event,) = request.batch
    assert event.keys() == {"event", "distinct_id", "uuid", "timestamp", "properties"}
    assert (event["event"], event["distinct_id"]) == ("test_event", "test_user")
    assert str(uuid.UUID(event["uuid"])) == event["uuid"]
    assert UTC_TIME.fullmatch(event["timestamp"])
    given = {name: event["properties"][name] for name in ("text", "number", "flag", "nested")}
    assert given == {"text": "hello", "number": 42, "flag": True, "nested": {"a": [1]}}
    assert event["properties"]["$lib"] == "posthog-python"
    assert event["properties"]["$lib_version"]


def test_a_migration_is_marked(posthog: Scripted, tmp_path: Path) -> None:
    with Pane(
        "contract",
        api_key=KEY,
        host=posthog.host,
        spool_dir=tmp_path / "spool",
        historical_migration=True,
    ) as pane:
        capture(pane)
        assert pane.flush(5)
    assert posthog.requests[0].body["historical_migration"] is True


@pytest.mark.parametrize("ai", [False, True], ids=["capture", "capture_ai"])
def test_a_time_with_an_offset_is_sent_in_utc(pane: Pane, posthog: Scripted, ai: bool) -> None:
    text = "2025-01-02T08:34:05+05:30"
    send = pane.posthog.capture_ai if ai else pane.posthog.capture
    send(
        "$ai_generation" if ai else "test_event",
        distinct_id="test_user",
        timestamp=datetime.fromisoformat(text),
        properties={"timestamp_like": text},
    )
    assert pane.flush(5)
    event = posthog.requests[0].batch[0]
    assert UTC_TIME.fullmatch(event["timestamp"])
    assert datetime.fromisoformat(event["timestamp"]) == datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert event["properties"]["timestamp_like"] == text


def test_nothing_to_send_sends_nothing(pane: Pane, posthog: Scripted) -> None:
    assert pane.flush(5)
    assert posthog.requests == []


def test_events_share_a_request_and_no_uuid(pane: Pane, posthog: Scripted) -> None:
    for number in range(5):
        capture(pane, f"test_event_{number}", properties={"same": True})
    assert pane.flush(5)
    (request,) = posthog.requests
    assert [event["event"] for event in request.batch] == [f"test_event_{at}" for at in range(5)]
    assert len({event["uuid"] for event in request.batch}) == 5


def test_a_uuid_that_is_given_is_kept(pane: Pane, posthog: Scripted) -> None:
    given = "0198c0de-0000-7000-8000-000000000abc"
    capture(pane, uuid=given)
    assert pane.flush(5)
    assert posthog.requests[0].batch[0]["uuid"] == given


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again_unchanged(pane: Pane, posthog: Scripted, status: int) -> None:
    posthog.script = [Answer(status, '{"error": "not now"}'), OK]
    for number in range(3):
        capture(pane, f"test_event_{number}")
    assert pane.flush(10)
    first, second = posthog.requests
    assert second.batch == first.batch
    assert len({event["uuid"] for event in second.batch}) == 3
    assert second.at - first.at >= 0.1
    assert pane.health().delivered == 3


@pytest.mark.parametrize("status", [400, 413])
def test_what_cannot_pass_is_set_aside_after_one_attempt(
    pane: Pane, posthog: Scripted, status: int, tmp_path: Path
) -> None:
    posthog.script = [Answer(status, '{"error": "no"}')]
    capture(pane)
    assert pane.flush(5)
    assert len(posthog.requests) == 1
    assert pane.health().set_aside == 1
    # The plain SDK drops it; ours can be looked at, and sent again.
    refused = (tmp_path / "spool" / "refused.jsonl").read_text("utf-8")
    assert posthog.requests[0].batch[0]["uuid"] in refused


@pytest.mark.parametrize("status", [401, 402, 403, 404])
def test_what_somebody_must_mend_is_asked_once_and_kept(
    pane: Pane, posthog: Scripted, status: int
) -> None:
    posthog.script = [Answer(status, '{"error": "no"}')]
    capture(pane)
    assert not pane.flush(1)
    assert len(posthog.requests) == 1
    assert (pane.health().delivered, pane.health().set_aside) == (0, 0)
    assert pane.health().pending_bytes


def test_retry_after_is_waited_for(pane: Pane, posthog: Scripted) -> None:
    posthog.script = [Answer(429, headers={"Retry-After": "2"}), OK]
    capture(pane)
    assert pane.flush(10)
    first, second = posthog.requests
    assert second.at - first.at >= 2


def test_attempts_come_further_and_further_apart(pane: Pane, posthog: Scripted) -> None:
    posthog.script = [Answer(503)] * 3 + [OK]
    capture(pane)
    assert not pane.flush(0.3)  # as a caller who does not wait for the whole schedule
    assert pane.flush(15)
    times = [request.at for request in posthog.requests]
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert len(waits) == 3
    assert min(waits) >= 0.1
    # A back-off of 0.5, 1, 2 s, each cut by up to a half at random; the second flush cuts once.
    assert waits[2] >= 1


def test_events_of_models_are_not_rerouted_by_their_name(pane: Pane, posthog: Scripted) -> None:
    capture(pane, "$ai_generation")
    pane.posthog.capture_ai("$ai_generation", distinct_id="test_user")
    assert pane.flush(5)
    # The plain SDK sends capture_ai() to /i/v0/ai/batch/; ours sends only large events there.
    assert {request.path for request in posthog.requests} == {"/batch/"}
    assert sum(len(request.batch) for request in posthog.requests) == 2


def flags(pane: Pane, *keys: str, **about: Any) -> Any:
    return pane.posthog.evaluate_flags("user_1", flag_keys=list(keys), **about)


RECORD = {
    "key": "a-flag",
    "enabled": True,
    "variant": "b",
    "reason": {"code": "condition_match", "condition_index": 0, "description": "matched"},
    "metadata": {"id": 1, "version": 2, "payload": None, "description": None},
}
FLAGS = Answer(body=json.dumps({"flags": {"a-flag": RECORD}, "errorsWhileComputingFlags": False}))


def test_a_request_for_flags(pane: Pane, posthog: Scripted) -> None:
    posthog.script = [FLAGS]
    found = flags(
        pane,
        "a-flag",
        person_properties={"$device_id": "d"},
        groups={"company": "acme"},
        group_properties={"company": {"plan": "enterprise"}},
        disable_geoip=False,
    )
    (request,) = posthog.to("/flags")
    assert request.query["v"] in (["2"], ["4"])
    assert "authorization" not in request.headers
    body = request.body
    assert body.get("token", body.get("api_key")) == KEY
    assert body["distinct_id"] == "user_1"
    assert body["person_properties"]["$device_id"] == "d"
    assert body["groups"] == {"company": "acme"}
    assert body["group_properties"]["company"]["plan"] == "enterprise"
    assert body["geoip_disable"] is False
    assert body["flag_keys_to_evaluate"] == ["a-flag"]
    assert found.get_flag("a-flag") == "b"
    assert pane.flush(5)
    (called,) = (event for request in posthog.to("/batch") for event in request.batch)
    assert called["event"] == "$feature_flag_called"
    assert called["properties"]["$feature_flag"] == "a-flag"
    assert called["properties"]["$feature_flag_response"] == "b"
    assert called["properties"]["project"] == "contract"


def test_groups_that_are_not_given_are_empty(pane: Pane, posthog: Scripted) -> None:
    posthog.script = [FLAGS, FLAGS]
    for _ in range(2):
        flags(pane, "a-flag")
    requests = posthog.to("/flags")
    assert [(one.body["groups"], one.body["group_properties"]) for one in requests] == [
        ({}, {})
    ] * 2


def test_flags_are_asked_for_only_when_asked(pane: Pane, posthog: Scripted) -> None:
    capture(pane)
    assert pane.flush(5)
    assert posthog.to("/flags") == []
    assert len(posthog.to("/batch")) == 1


@pytest.mark.parametrize("status", [502, 504])
def test_flags_are_asked_for_again(pane: Pane, posthog: Scripted, status: int) -> None:
    posthog.script = [Answer(status), FLAGS]
    assert flags(pane, "a-flag").get_flag("a-flag") == "b"
    assert len(posthog.to("/flags")) == 2
