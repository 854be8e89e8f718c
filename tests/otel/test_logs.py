"""GenAI events that come as log records."""

from __future__ import annotations

from typing import Any

import pytest
from tests.otel.support import START_NS, TRACE, span

from nightpane.ids import new_ulid
from nightpane.otel import LogRecord, Memory, events_of_logs, events_of_spans

SPAN = "00f067aa0ba902b7"
CALL = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 12,
    "gen_ai.usage.output_tokens": 3,
}
DETAILS = {
    **CALL,
    "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "Hi"}]}],
    "gen_ai.output.messages": [{"role": "assistant", "parts": []}],
}


def record(
    name: str, attributes: dict[str, Any], *, body: Any = None, span_id: str = SPAN
) -> LogRecord:
    return LogRecord(
        event_name=name,
        trace_id=TRACE if span_id else "",
        span_id=span_id,
        time_ns=START_NS,
        attributes=attributes,
        body=body,
    )


def details(span_id: str = SPAN) -> LogRecord:
    return record("gen_ai.client.inference.operation.details", DETAILS, span_id=span_id)


def test_a_record_of_a_whole_call_is_a_generation_below_its_span() -> None:
    (event,) = events_of_logs([details()]).events
    found = event["properties"]
    assert event["event"] == "$ai_generation"
    assert (found["$ai_input_tokens"], found["$ai_output_tokens"]) == (12, 3)
    assert found["$ai_input"] == DETAILS["gen_ai.input.messages"]
    assert found["$ai_trace_id"] == TRACE
    assert found["$ai_parent_id"] == SPAN
    assert found["$ai_span_name"] == "chat gpt-4o"


def test_a_record_outside_of_any_span() -> None:
    first, again = (events_of_logs([details("")]).events[0] for _ in range(2))
    assert first == again
    assert first["event"] == "$ai_generation"
    assert "$ai_parent_id" not in first["properties"]


@pytest.mark.parametrize("order", ["span first", "record first"])
def test_a_call_that_span_and_record_both_tell_counts_once(order: str) -> None:
    memory = Memory()
    steps = [
        lambda: events_of_spans([span(SPAN, attributes=CALL)], memory=memory),
        lambda: events_of_logs([details()], memory=memory),
    ]
    if order == "record first":
        steps.reverse()
    made = [event for step in steps for event in step().events]
    again = [event for step in steps for event in step().events]
    calls = [event for event in made if event["event"] == "$ai_generation"]
    assert len(calls) == 1
    assert calls[0]["properties"]["$ai_input_tokens"] == 12
    (other,) = [event for event in made if event not in calls]
    assert other["event"] in ("$ai_span", "$ai_trace")
    assert "$ai_input_tokens" not in other["properties"]
    assert [event["uuid"] for event in again] == [event["uuid"] for event in made]
    assert [event["event"] for event in again] == [event["event"] for event in made]
    assert any("Hi" in str(event["properties"]) for event in made)


def test_messages_one_by_one_become_one_span_below_the_call() -> None:
    round_id = new_ulid()
    made = events_of_logs(
        [
            record("gen_ai.user.message", {"gen_ai.system": "openai"}, body={"content": "Hi"}),
            record(
                "gen_ai.choice",
                {"gen_ai.system": "openai"},
                body={"index": 0, "finish_reason": "stop", "message": {"content": "Hello"}},
            ),
            record("app.started", {}),
            record("gen_ai.user.message", {}, body={"content": "nowhere"}, span_id=""),
        ],
        baggage={"nightpane.round_id": round_id},
    )
    (event,) = made.events
    found = event["properties"]
    assert made.passed_over == 2
    assert event["event"] == "$ai_span"
    assert found["$ai_parent_id"] == SPAN
    assert found["$ai_trace_id"] == found["round_id"] == round_id
    assert found["$ai_input_state"] == [{"role": "user", "content": "Hi"}]
    assert found["$ai_output_state"][0]["content"] == "Hello"
    assert found["$ai_output_state"][0]["finish_reason"] == "stop"


def test_an_evaluations_result() -> None:
    about = {
        "gen_ai.evaluation.name": "correctness",
        "gen_ai.evaluation.score.value": 0.9,
        "gen_ai.evaluation.score.label": "pass",
        "gen_ai.evaluation.explanation": "it is grounded",
    }
    made = events_of_logs([record("gen_ai.evaluation.result", about)])
    (event,) = made.events
    found = event["properties"]
    assert event["event"] == "$ai_evaluation"
    assert found["$ai_evaluation_name"] == "correctness"
    assert found["$ai_evaluation_result"] == "pass"
    assert found["$ai_score"] == 0.9
    assert found["$ai_evaluation_reasoning"] == "it is grounded"
    assert found["$ai_target_id"] == SPAN
    assert events_of_logs([record("gen_ai.evaluation.result", {})]).refused == 1
