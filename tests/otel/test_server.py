"""The real OpenTelemetry SDK and its exporter against a real local server."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from opentelemetry import baggage, context, trace
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Status, StatusCode

from nightpane.ids import new_ulid, session_id_from_ulid
from nightpane.testing import LocalServer

PROTOBUF = {"Content-Type": "application/x-protobuf"}
CALL = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.usage.input_tokens": 120,
    "gen_ai.usage.output_tokens": 30,
    "gen_ai.input.messages": json.dumps(
        [{"role": "user", "parts": [{"type": "text", "content": "Hello?"}]}]
    ),
    "gen_ai.output.messages": json.dumps(
        [{"role": "assistant", "parts": [{"type": "text", "content": "Hello."}]}]
    ),
}


class BaggageToAttributes(SpanProcessor):
    """Copies baggage to span attributes, as opentelemetry-processor-baggage does."""

    def on_start(self, span: Span, parent_context: context.Context | None = None) -> None:
        for name, value in baggage.get_all(parent_context).items():
            span.set_attribute(name, str(value))


def exporter(server: LocalServer, **settings: Any) -> OTLPSpanExporter:
    return OTLPSpanExporter(
        endpoint=f"{server.host}/i/v0/ai/otel/v1/traces",
        headers={"Authorization": f"Bearer {server.api_key}"},
        **settings,
    )


@pytest.fixture
def provider() -> Iterator[TracerProvider]:
    made = TracerProvider(resource=Resource.create({"service.name": "loop"}))
    made.add_span_processor(BaggageToAttributes())
    yield made
    made.shutdown()


def rows(server: LocalServer, where: str, **values: Any) -> list[dict[str, Any]]:
    found = server.query().hogql(
        "SELECT event, uuid, distinct_id, timestamp, properties FROM events "
        f"WHERE {where} ORDER BY timestamp, event",
        values or None,
    )
    made = found.dicts()
    for row in made:
        if isinstance(row["properties"], str):
            row["properties"] = json.loads(row["properties"])
    return made


def recorded(provider: TracerProvider) -> InMemorySpanExporter:
    memory = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    return memory


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
def test_the_sdk_exports_a_round(
    server: LocalServer, provider: TracerProvider, compression: Compression
) -> None:
    memory = recorded(provider)
    tracer = provider.get_tracer("opentelemetry.instrumentation.openai_v2", "2.1")
    round_id, run_id = new_ulid(), new_ulid()
    ctx = baggage.set_baggage("nightpane.round_id", round_id)
    for name, value in {"run_id": run_id, "project": "autoagent", "agent": "coder"}.items():
        ctx = baggage.set_baggage(f"nightpane.{name}", value, ctx)
    step = tracer.start_span("step", context=ctx)
    tracer.start_span(
        "chat gpt-4o-mini",
        context=trace.set_span_in_context(step, ctx),
        attributes={**CALL, "phase": "proposal"},
    ).end()
    step.end()
    sent: list[ReadableSpan] = list(memory.get_finished_spans())
    assert exporter(server, compression=compression).export(sent) is SpanExportResult.SUCCESS
    assert exporter(server, compression=compression).export(sent) is SpanExportResult.SUCCESS

    found = rows(server, "properties.round_id = {id}", id=round_id)
    assert [row["event"] for row in found] == ["$ai_span", "$ai_generation"]
    outer, call = (row["properties"] for row in found)
    assert outer["$ai_parent_id"] == round_id
    assert call["$ai_parent_id"] == outer["$ai_span_id"]
    assert call["$ai_trace_id"] == round_id
    assert call["$session_id"] == session_id_from_ulid(round_id)
    assert call["run_id"] == run_id
    assert call["project"] == "autoagent"
    assert call["agent"] == "coder"
    assert call["phase"] == "proposal"
    assert call["service.name"] == "loop"
    assert call["$ai_input_tokens"] == 120
    assert call["$ai_input"][0]["role"] == "user"
    assert call["$ai_model"] == "gpt-4o-mini"
    assert call["$ai_total_cost_usd"] > 0
    assert call["$ai_lib"] == "opentelemetry/opentelemetry.instrumentation.openai_v2"
    assert found[1]["distinct_id"] == "autoagent:internal:coder"
    length_s = (sent[0].end_time - sent[0].start_time) / 1e9
    assert call["$ai_latency"] == pytest.approx(length_s)


def test_an_error_keeps_its_exception(server: LocalServer, provider: TracerProvider) -> None:
    memory = recorded(provider)
    with provider.get_tracer("t").start_as_current_span("chat", attributes=CALL) as span:
        span.record_exception(TimeoutError("no answer"))
        span.set_status(Status(StatusCode.ERROR, "failed"))
        span.set_attribute("error.type", "timeout")
    assert exporter(server).export(memory.get_finished_spans()) is SpanExportResult.SUCCESS
    trace_id = f"{memory.get_finished_spans()[0].context.trace_id:032x}"
    (row,) = rows(server, "properties.$ai_trace_id = {id}", id=trace_id)
    assert row["properties"]["$ai_is_error"] is True
    assert row["properties"]["$ai_error"] == "TimeoutError: no answer"
    assert row["properties"]["$process_person_profile"] is False
    assert "$ai_parent_id" not in row["properties"]


def document(span: dict[str, Any]) -> dict[str, Any]:
    return {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}


def json_span(trace_id: str, span_id: str = "00f067aa0ba902b7", **more: Any) -> dict[str, Any]:
    return {
        "traceId": trace_id,
        "spanId": span_id,
        "name": "chat",
        "startTimeUnixNano": "1764000000000000000",
        "endTimeUnixNano": "1764000001500000000",
        "attributes": [
            {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
            {"key": "gen_ai.request.model", "value": {"stringValue": "gpt-4o"}},
            {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "7"}},
        ],
        **more,
    }


@pytest.mark.parametrize(
    "path",
    [
        "/i/v0/ai/otel",
        "/i/v0/ai/otel/",
        "/i/v0/ai/otel/v1/traces",
        "/i/v0/llma_otel",
        "/i/v0/llma_otel/v1/traces",
        "/i/v1/traces",
    ],
)
def test_json_on_every_route(server: LocalServer, path: str) -> None:
    trace_id = hashlib.sha256(path.encode()).hexdigest()[:32]
    body = json.dumps(document(json_span(trace_id, status={"code": "STATUS_CODE_ERROR"})))
    answer = requests.post(
        server.host + path,
        data=gzip.compress(body.encode()),
        headers={
            "Content-Type": "application/json",
            "Content-Encoding": "gzip",
            "Authorization": f"Bearer {server.api_key}",
        },
        timeout=30,
    )
    assert (answer.status_code, answer.json()) == (200, {})
    (row,) = rows(server, "properties.$ai_trace_id = {id}", id=trace_id)
    assert row["event"] == "$ai_generation"
    assert row["timestamp"].startswith("2025-11-24T16:00:00")
    assert row["properties"]["$ai_latency"] == 1.5
    assert row["properties"]["$ai_is_error"] is True
