"""Both wire formats, and that nothing in them makes the translator raise."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from tests.otel.support import TRACE, source, span

from nightpane.errors import OtlpError
from nightpane.otel import (
    LogRecord,
    Source,
    Span,
    SpanEvent,
    events_of_logs,
    events_of_spans,
    json_wire,
    proto_wire,
)
from nightpane.store.json_text import dumps

FULL = Span(
    trace_id=TRACE,
    span_id="00f067aa0ba902b7",
    parent_id="1111111111111111",
    name="chat ü",
    kind=3,
    start_ns=1_764_000_000_123_456_789,
    end_ns=1_764_000_001_000_000_000,
    attributes={
        "text": "x",
        "int": 2**63 - 1,
        "negative": -5,
        "float": 0.5,
        "flag": False,
        "list": ["a", 1, None, [True]],
        "map": {"a": {"b": [1.5]}},
    },
    events=(SpanEvent("exception", 5, {"exception.type": "E"}),),
    failed=True,
    status_message="broken",
    source=source("scope"),
)


def test_both_formats_bring_a_span_back() -> None:
    as_json = json.loads(json.dumps(json_wire.write_traces([FULL])))
    assert json_wire.read_traces(as_json) == [FULL]
    assert proto_wire.read_traces(proto_wire.write_traces([FULL])) == [FULL]


def test_json_is_otlps_own() -> None:
    """Hex ids, numbers for enums, texts for 64-bit integers."""
    written = json_wire.write_traces([FULL])["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    assert written["traceId"] == TRACE
    assert written["kind"] == 3
    assert written["status"] == {"code": 2, "message": "broken"}
    assert written["startTimeUnixNano"] == "1764000000123456789"
    assert {"key": "int", "value": {"intValue": str(2**63 - 1)}} in written["attributes"]


def test_requests_in_protobuf_may_be_joined() -> None:
    second = span("2" * 16)
    joined = proto_wire.write_traces([FULL]) + proto_wire.write_traces([second])
    assert len(proto_wire.read_traces(joined)) == 2
    assert len(ExportTraceServiceRequest.FromString(joined).resource_spans) == 2


def request(**fields: Any) -> dict[str, Any]:
    return {"resourceSpans": [{"scopeSpans": [{"spans": [fields]}]}]}


@pytest.mark.parametrize("code", [2, "2", "STATUS_CODE_ERROR"])
def test_status_codes_by_number_and_by_name(code: Any) -> None:
    (found,) = json_wire.read_traces(request(status={"code": code}))
    assert found.failed


@pytest.mark.parametrize("code", [0, 1, "STATUS_CODE_OK", "STATUS_CODE_UNSET", None, []])
def test_other_status_codes(code: Any) -> None:
    (found,) = json_wire.read_traces(request(status={"code": code}))
    assert not found.failed


@pytest.mark.parametrize(("kind", "number"), [(3, 3), ("SPAN_KIND_CLIENT", 3), ("x", 0)])
def test_kinds_by_number_and_by_name(kind: Any, number: int) -> None:
    (found,) = json_wire.read_traces(request(kind=kind))
    assert found.kind == number


@pytest.mark.parametrize(
    ("given_id", "read"),
    [
        (TRACE, TRACE),
        (TRACE.upper(), TRACE),
        (base64.b64encode(bytes.fromhex(TRACE)).decode(), TRACE),
        ("0" * 32, ""),
        ("zz" * 16, ""),
        (TRACE[:-2], ""),
        (7, ""),
        (None, ""),
    ],
)
def test_ids(given_id: Any, read: str) -> None:
    (found,) = json_wire.read_traces(request(traceId=given_id))
    assert found.trace_id == read


def test_snake_case_is_read_as_well() -> None:
    document = {"resource_spans": [{"scope_spans": [{"spans": [{"trace_id": TRACE}]}]}]}
    assert json_wire.read_traces(document)[0].trace_id == TRACE


@pytest.mark.parametrize(
    "document",
    [[], "x", {"resourceSpans": {}}, {"resourceSpans": [1]}, request(attributes="x")],
)
def test_another_shape_is_refused(document: Any) -> None:
    with pytest.raises(OtlpError, match="OTLP"):
        json_wire.read_traces(document)


def test_broken_protobuf_is_refused() -> None:
    with pytest.raises(OtlpError, match="protobuf"):
        proto_wire.read_traces(b"\x0a\xff\xff not protobuf")


def test_values_nested_without_end() -> None:
    value: dict[str, Any] = {"stringValue": "deep"}
    for _ in range(500):
        value = {"arrayValue": {"values": [value]}}
    (found,) = json_wire.read_traces(request(attributes=[{"key": "gen_ai.prompt", "value": value}]))
    assert "deep" not in json.dumps(found.attributes)


NAMES = st.sampled_from(
    [
        *("gen_ai.operation.name", "gen_ai.input.messages", "gen_ai.output.messages"),
        *("gen_ai.prompt", "gen_ai.prompt.0.content", "gen_ai.prompt.0", "gen_ai.prompt.0.role.x"),
        *("gen_ai.completion.0.tool_calls.0.name", "gen_ai.completion.x.y"),
        *("gen_ai.system_instructions", "gen_ai.usage.input_tokens", "gen_ai.usage.cost"),
        *("gen_ai.request.max_tokens", "gen_ai.response.finish_reasons", "gen_ai.tool.definitions"),
        *(
            "llm.input_messages.0.message",
            "llm.input_messages.0.message.contents.0.message_content",
        ),
        *("llm.output_messages.0.message.tool_calls.0", "llm.tools.0.tool", "llm.tools.0"),
        *(
            "llm.invocation_parameters",
            "llm.request.functions.0",
            "embedding.embeddings.0.embedding",
        ),
        *(
            "ai.operationId",
            "ai.prompt",
            "ai.prompt.messages",
            "ai.response.toolCalls",
            "ai.values",
        ),
        *("openinference.span.kind", "metadata", "session.id", "round_id", "nightpane.parent_id"),
        *("mlflow.spanType", "mlflow.chat.tokenUsage", "events", "error.type", "nightpane.uuid"),
        *("exception.type", "user.id", "posthog.distinct_id", "$ai_span_id", "$ai_trace_id"),
        *("event.name", "gen_ai.evaluation.name", "gen_ai.evaluation.score.value"),
    ]
)
JSON_TEXTS = st.sampled_from(
    [
        *("[", "{}", "[]", '[{"role": 1}]', '{"messages": 3}', "[[[]]]", '"x"', "null", "1e999"),
        *('[{"event.name": "gen_ai.choice", "message": 4}]', "9" * 5000, "[" * 3000, '{"a": NaN}'),
        *("LLM", "chat", "embeddings", "ai.x.doGenerate", "\ud800", "01ARZ3NDEKTSV4RRFFQ69G5FAV"),
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | JSON_TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
ATTRIBUTES = st.dictionaries(NAMES | st.text(max_size=12), VALUES, max_size=10)
IDS = st.sampled_from(["", "1" * 16, "2" * 16, "3" * 16])
EVENTS = st.builds(
    SpanEvent,
    st.sampled_from(["exception", "gen_ai.choice", "gen_ai.user.message", "gen_ai.content.prompt"]),
    st.just(0),
    ATTRIBUTES,
)
SPANS = st.builds(
    Span,
    trace_id=st.sampled_from(["", TRACE]),
    span_id=IDS,
    parent_id=IDS,
    name=st.text(max_size=8),
    start_ns=st.integers(0, 2**64 - 1),
    end_ns=st.integers(0, 2**64 - 1),
    attributes=ATTRIBUTES,
    events=st.lists(EVENTS, max_size=2).map(tuple),
    failed=st.booleans(),
    source=st.builds(Source, ATTRIBUTES),
)


@settings(max_examples=80)
@given(st.lists(SPANS, max_size=4))
def test_no_span_makes_the_translator_raise(spans: list[Span]) -> None:
    made = events_of_spans(spans)
    assert len(made.events) + made.passed_over + made.refused <= len(spans)
    for event in made.events:
        assert event["event"] in {"$ai_generation", "$ai_embedding", "$ai_span", "$ai_trace"}
        assert event["distinct_id"]
        dumps(event)


@settings(max_examples=60)
@given(
    st.lists(
        st.builds(
            LogRecord,
            event_name=st.sampled_from(
                [
                    *("gen_ai.client.inference.operation.details", "gen_ai.user.message", ""),
                    *("gen_ai.choice", "gen_ai.evaluation.result"),
                ]
            ),
            trace_id=st.sampled_from(["", TRACE]),
            span_id=IDS,
            attributes=ATTRIBUTES,
            body=VALUES,
        ),
        max_size=3,
    )
)
def test_no_record_makes_the_translator_raise(records: list[LogRecord]) -> None:
    for event in events_of_logs(records).events:
        assert event["distinct_id"]
        dumps(event)


DOCUMENTS = st.recursive(
    VALUES,
    lambda inner: st.dictionaries(
        st.sampled_from(
            [
                *("resourceSpans", "scopeSpans", "spans", "resource", "attributes", "key", "value"),
                *("stringValue", "intValue", "arrayValue", "kvlistValue", "values", "bytesValue"),
                *("doubleValue", "boolValue", "status", "events", "traceId", "startTimeUnixNano"),
            ]
        ),
        inner | st.lists(inner, max_size=2),
        max_size=4,
    ),
    max_leaves=12,
)


@settings(max_examples=80)
@given(DOCUMENTS | DOCUMENTS.map(lambda one: request(attributes=[{"key": "k", "value": one}])))
def test_no_document_makes_the_reader_raise_anything_else(document: Any) -> None:
    try:
        spans = json_wire.read_traces(document)
    except OtlpError:
        return
    assert all(isinstance(one, Span) for one in spans)


@settings(max_examples=60)
@given(st.binary(max_size=200))
def test_no_bytes_make_the_reader_raise_anything_else(raw: bytes) -> None:
    with contextlib.suppress(OtlpError):
        assert isinstance(proto_wire.read_traces(raw), list)
