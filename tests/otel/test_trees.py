"""How spans nest, which of them count as calls, and which round they belong to."""

from __future__ import annotations

from typing import Any

import pytest
from tests.otel.support import TRACE, one, span, told

from nightpane.ids import deterministic_uuid, new_ulid, session_id_from_ulid
from nightpane.otel import (
    LogRecord,
    Memory,
    Source,
    Span,
    events_of_logs,
    events_of_spans,
    read_baggage,
)

ROOT, MIDDLE, LEAF, OTHER = ("1" * 16, "2" * 16, "3" * 16, "4" * 16)


def call(span_id: str, parent: str = "", tokens: tuple[int, int] = (10, 2), **more: Any) -> Span:
    usage = {"gen_ai.usage.input_tokens": tokens[0], "gen_ai.usage.output_tokens": tokens[1]}
    attributes = {"gen_ai.operation.name": "chat", **usage, **more}
    return span(span_id, parent, attributes=attributes)


def kinds(*spans: Span, memory: Memory | None = None) -> dict[str, str]:
    made = events_of_spans(spans, memory=memory)
    return {key: event["event"] for key, event in told(made).items()}


def test_ids_are_opentelemetrys_and_the_same_each_time() -> None:
    spans = [call(LEAF, ROOT), span(ROOT, attributes={"gen_ai.operation.name": "invoke_agent"})]
    first, again = events_of_spans(spans), events_of_spans(spans)
    assert first.events == again.events
    leaf = told(first)[LEAF]
    assert leaf["uuid"] == deterministic_uuid("otel", TRACE, LEAF)
    assert leaf["properties"]["$ai_trace_id"] == TRACE
    assert leaf["properties"]["$ai_parent_id"] == ROOT
    root = told(first)[ROOT]
    assert root["event"] == "$ai_trace"
    assert "$ai_parent_id" not in root["properties"]
    assert root["properties"]["$ai_trace_name"] == "a span"


def test_other_spans_are_kept_only_above_kept_ones() -> None:
    made = events_of_spans(
        [
            span(ROOT, name="POST /chat"),
            span(MIDDLE, ROOT, name="retry"),
            call(LEAF, MIDDLE),
            span(OTHER, ROOT, name="SELECT"),
        ]
    )
    assert {key: event["event"] for key, event in told(made).items()} == {
        ROOT: "$ai_trace",
        MIDDLE: "$ai_span",
        LEAF: "$ai_generation",
    }
    assert made.passed_over == 1


def test_a_parent_that_comes_in_a_later_request_is_kept() -> None:
    memory = Memory()
    assert kinds(call(LEAF, MIDDLE), memory=memory) == {LEAF: "$ai_generation"}
    assert kinds(span(OTHER, ROOT), span(MIDDLE, ROOT), memory=memory) == {MIDDLE: "$ai_span"}
    assert kinds(span(ROOT), memory=memory) == {ROOT: "$ai_trace"}


@pytest.mark.parametrize("requests", ["one", "several"])
def test_an_agent_that_repeats_its_calls_tokens_is_no_call(requests: str) -> None:
    agent = call(ROOT, tokens=(30, 6))
    calls = [call(LEAF, MIDDLE, (10, 2)), call(OTHER, ROOT, (20, 4))]
    wrapper = call(MIDDLE, ROOT, (10, 2))
    memory = Memory()
    if requests == "one":
        found = kinds(agent, *calls, wrapper)
    else:
        found = {}
        for each in (*calls, wrapper, agent):
            found |= kinds(each, memory=memory)
    assert found == {
        ROOT: "$ai_trace",
        MIDDLE: "$ai_span",
        LEAF: "$ai_generation",
        OTHER: "$ai_generation",
    }


def test_what_a_repeater_states_is_kept_apart() -> None:
    made = told(events_of_spans([call(ROOT), call(LEAF, ROOT)]))
    root = made[ROOT]["properties"]
    assert root["$ai_usage"] == {"$ai_input_tokens": 10, "$ai_output_tokens": 2}
    assert "$ai_input_tokens" not in root


def test_a_call_with_tokens_of_its_own_stays_a_call() -> None:
    """A tool that a model calls may itself call a model."""
    found = kinds(call(ROOT, tokens=(100, 9)), span(MIDDLE, ROOT), call(LEAF, MIDDLE, (10, 2)))
    assert found == {ROOT: "$ai_generation", MIDDLE: "$ai_span", LEAF: "$ai_generation"}


def test_exporting_again_changes_nothing_with_a_memory() -> None:
    memory = Memory()
    spans = [call(ROOT), call(LEAF, ROOT), span(OTHER)]
    assert kinds(*spans, memory=memory) == kinds(*spans, memory=memory)


def test_spans_that_are_each_others_parents() -> None:
    made = events_of_spans([call(ROOT, LEAF), call(LEAF, ROOT), call(MIDDLE, MIDDLE)])
    assert len(made.events) == 3
    assert "$ai_parent_id" not in told(made)[MIDDLE]["properties"]


def test_spans_without_ids_are_refused() -> None:
    made = events_of_spans([Span(trace_id="", span_id=LEAF), Span(trace_id=TRACE, span_id="")])
    assert (made.refused, made.events) == (2, [])
    assert "no valid trace id" in made.refusal


ROUND, RUN = new_ulid(), new_ulid()


@pytest.mark.parametrize(
    "attributes",
    [
        {"nightpane.round_id": ROUND},
        {"round_id": ROUND.lower()},
        {"session.id": ROUND},
        {"ai.telemetry.metadata.round_id": ROUND},
        {"traceloop.association.properties.round_id": ROUND},
        {"metadata": '{"round_id": "' + ROUND + '"}'},
    ],
)
def test_a_round_by_attribute(attributes: dict[str, Any]) -> None:
    found = one({"gen_ai.operation.name": "chat", **attributes})["properties"]
    assert found["round_id"] == found["$ai_trace_id"] == found["$ai_parent_id"] == ROUND
    assert found["$session_id"] == session_id_from_ulid(ROUND)


def test_a_round_of_the_whole_loop() -> None:
    header = (
        f"nightpane.round_id={ROUND},nightpane.run_id={RUN};p=1, nightpane.project=auto%20agent,"
        "nightpane.client=acme,nightpane.agent=coder,nightpane.parent_id=S:case.1,=x,broken"
    )
    made = events_of_spans([call(ROOT), call(LEAF, ROOT, (1, 1))], baggage=read_baggage(header))
    root, leaf = (told(made)[key]["properties"] for key in (ROOT, LEAF))
    assert root["$ai_parent_id"] == "S:case.1"
    assert leaf["$ai_parent_id"] == ROOT
    for found in (root, leaf):
        assert found["$ai_trace_id"] == found["round_id"] == ROUND
        assert (found["run_id"], found["project"]) == (RUN, "auto agent")
        assert (found["client"], found["agent"]) == ("acme", "coder")
    assert told(made)[LEAF]["distinct_id"] == "auto agent:acme:coder"


def test_the_nearest_round_counts() -> None:
    here, there, process = new_ulid(), new_ulid(), new_ulid()
    of_process = Source({"nightpane.round_id": process, "nightpane.project": "p"})
    spans = [
        call(LEAF, MIDDLE, **{"nightpane.round_id": here}),
        call(OTHER, MIDDLE, (1, 1)),
        span(MIDDLE, ROOT, attributes={"nightpane.round_id": there, "nightpane.agent": "a"}),
        Span(trace_id="f" * 32, span_id=LEAF, attributes=call(LEAF).attributes, source=of_process),
    ]
    made = events_of_spans(spans)
    found = {
        (event["properties"]["$ai_span_id"], event["properties"]["round_id"]): event["properties"]
        for event in made.events
    }
    assert set(found) == {(LEAF, here), (OTHER, there), (MIDDLE, there), (LEAF, process)}
    assert found[OTHER, there]["agent"] == "a"
    assert "agent" not in found[LEAF, here]
    assert found[LEAF, process]["project"] == "p"


def test_a_trace_lends_its_only_round() -> None:
    other = Span(
        trace_id=TRACE,
        span_id=OTHER,
        attributes={"gen_ai.operation.name": "chat", "nightpane.round_id": ROUND},
    )
    assert told(events_of_spans([call(LEAF), other]))[LEAF]["properties"]["round_id"] == ROUND
    second = Span(
        trace_id=TRACE,
        span_id=ROOT,
        attributes={"gen_ai.operation.name": "chat", "round_id": new_ulid()},
    )
    made = told(events_of_spans([call(LEAF), other, second]))
    assert "round_id" not in made[LEAF]["properties"]


def test_a_trace_lends_its_round_to_later_requests_and_to_its_records() -> None:
    memory = Memory()
    events_of_spans(
        [call(LEAF, **{"nightpane.round_id": ROUND, "nightpane.run_id": RUN})], memory=memory
    )
    later = told(events_of_spans([call(OTHER)], memory=memory))[OTHER]["properties"]
    said = LogRecord(
        event_name="gen_ai.choice",
        trace_id=TRACE,
        span_id=OTHER,
        body={"message": {"content": "x"}},
    )
    (record,) = events_of_logs([said], memory=memory).events
    for found in (later, record["properties"]):
        assert (found["round_id"], found["$ai_trace_id"], found["run_id"]) == (ROUND, ROUND, RUN)
    assert record["properties"]["$ai_parent_id"] == OTHER


@pytest.mark.parametrize("value", ["not-a-ulid", "", 7, None, "8ZZZZZZZZZZZZZZZZZZZZZZZZZ"])
def test_what_is_no_ulid_is_no_round(value: Any) -> None:
    event = one({"gen_ai.operation.name": "chat", "round_id": value, "session.id": "chat-1"})
    assert "$session_id" not in event["properties"]
    assert event["properties"]["$ai_trace_id"] == TRACE
    assert event["properties"]["$ai_session_id"] == "chat-1"


def test_nobody_in_particular_is_the_same_nobody_each_time() -> None:
    event = one({"gen_ai.operation.name": "chat"})
    assert event["distinct_id"] == one({"gen_ai.operation.name": "embeddings"})["distinct_id"]
    assert event["properties"]["$process_person_profile"] is False
    named = one({"gen_ai.operation.name": "chat", "user.id": "ann"})
    assert named["distinct_id"] == "ann"
    assert "$process_person_profile" not in named["properties"]
