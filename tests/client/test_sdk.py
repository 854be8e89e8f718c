"""The official SDK's client inside a pane: everything it captures takes the same way."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from typing import Any

import posthog
import pytest
from tests.client.support import Network

import nightpane
from nightpane.ids import session_id_from_ulid

Make = Callable[..., nightpane.Pane]


def test_it_starts_no_thread_and_keeps_no_queue(make_pane: Make) -> None:
    before = threading.active_count()
    pane = make_pane()
    pane.posthog.capture("one")
    pane.posthog.capture_ai("$ai_generation")
    names = {thread.name for thread in threading.enumerate()}
    assert threading.active_count() - before == 2
    assert {"nightpane-sync", "nightpane-send"} <= names
    assert pane.posthog.queue.qsize() == 0
    assert not pane.posthog.consumers


def test_every_way_to_capture_is_delivered(pane: nightpane.Pane, network: Network) -> None:
    client = pane.posthog
    client.capture("captured", distinct_id="d-1", properties={"x": 1})
    client.capture_ai("$ai_span", distinct_id="d-1")
    client.set(distinct_id="d-1", properties={"plan": "x"})
    client.alias(previous_id="d-0", distinct_id="d-1")
    client.group_identify("company", "acme")
    try:
        raise ValueError("broken")
    except ValueError as error:
        client.capture_exception(error, distinct_id="d-1")
    assert pane.flush(10)
    by_name = {event["event"]: event for event in network.events}
    assert set(by_name) == {
        *("captured", "$ai_span", "$set", "$create_alias", "$groupidentify", "$exception")
    }
    assert by_name["captured"]["distinct_id"] == "d-1"
    assert by_name["captured"]["properties"]["project"] == "autoresearch"
    assert by_name["$set"]["$set"] == {"plan": "x"}
    (exception,) = by_name["$exception"]["properties"]["$exception_list"]
    assert (exception["type"], exception["value"]) == ("ValueError", "broken")


def test_track_says_what_the_plain_sdk_says(pane: nightpane.Pane, network: Network) -> None:
    plain: list[dict[str, Any]] = []

    def keep(message: dict[str, Any]) -> None:
        plain.append(message)

    client = posthog.Posthog("phc_x", send=False, sync_mode=True, before_send=keep)
    client.capture("hello", distinct_id="d", properties={"x": 1})
    pane.track("hello", agent="a", x=1)
    assert pane.flush(10)
    (ours,) = network.events
    (theirs,) = plain
    assert theirs.keys() == ours.keys()
    for name, value in theirs["properties"].items():
        assert ours["properties"][name] == value


def test_tags_of_a_context_reach_tracked_events(pane: nightpane.Pane, network: Network) -> None:
    with pane.posthog.new_context():
        pane.posthog.tag("experiment", "b")
        pane.posthog.set_context_session("0192d0c0-0000-7000-8000-000000000001")
        pane.track("hello", agent="a", own=1)
    assert pane.flush(10)
    properties = network.events[0]["properties"]
    assert properties["experiment"] == "b"
    assert properties["$session_id"] == "0192d0c0-0000-7000-8000-000000000001"


def test_a_model_call_inside_a_round_joins_it(pane: nightpane.Pane, network: Network) -> None:
    generated = str(uuid.uuid4())
    with pane.run() as run, run.round(agent="coder") as round_:
        # As the streaming wrappers send it: a random trace id, which is the distinct id as well.
        pane.posthog.capture(
            "$ai_generation",
            distinct_id=generated,
            properties={"$ai_trace_id": generated, "$process_person_profile": False},
        )
        pane.posthog.capture(
            "$ai_generation", distinct_id="me", properties={"$ai_trace_id": "chosen-by-hand"}
        )
        pane.posthog.capture("$ai_embedding", properties={"$ai_span_id": "mine"})
        round_.keep()
    pane.posthog.capture("$ai_generation", properties={"$ai_trace_id": generated})
    assert pane.flush(10)
    streamed, chosen, embedding, outside = (
        event for event in network.events if event["event"].startswith("$ai_")
    )
    assert streamed["properties"]["$ai_trace_id"] == round_.round_id
    assert streamed["properties"]["$session_id"] == session_id_from_ulid(round_.round_id)
    assert streamed["distinct_id"] == "autoresearch:acme:coder"
    assert "$process_person_profile" not in streamed["properties"]
    assert streamed["properties"]["$ai_span_id"] == streamed["uuid"]
    assert chosen["properties"]["$ai_trace_id"] == "chosen-by-hand"
    assert chosen["distinct_id"] == "me"
    assert embedding["properties"]["$ai_span_id"] == "mine"
    assert embedding["properties"]["$ai_trace_id"] == round_.round_id
    assert outside["properties"]["$ai_trace_id"] == generated


def test_a_hook_around_ours_sees_every_event(pane: nightpane.Pane, network: Network) -> None:
    ours, seen = pane.posthog.before_send, []

    def watching(message: dict[str, Any]) -> Any:
        seen.append(message["event"])
        return ours(message)

    pane.posthog.before_send = watching
    assert pane.track("tracked", agent="a") is not None
    pane.posthog.capture("captured")
    assert seen == ["tracked", "captured"]

    def broken(message: dict[str, Any]) -> Any:
        raise RuntimeError

    pane.posthog.before_send = broken
    assert pane.track("lost", agent="a") is None
    assert pane.health().not_written == {"disabled": 1}


def test_an_unconfigured_pane_still_keeps_events(
    monkeypatch: pytest.MonkeyPatch, network: Network, tmp_path: Any
) -> None:
    monkeypatch.setenv("NIGHTPANE_STATE_DIR", str(tmp_path))
    with nightpane.Pane("autoresearch", transport=network) as pane:
        assert pane.track("hello", agent="a") is not None
        assert not pane.flush(0.01)
    assert network.requests == []
    with nightpane.Pane(
        "autoresearch", host="https://ph.example", api_key="phc_late", transport=network
    ) as pane:
        pane.track("later", agent="a")
        assert pane.flush(10)
    assert [event["event"] for event in network.events] == ["hello", "later"]
    assert network.requests[0]["api_key"] == "phc_late"
