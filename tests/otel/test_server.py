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
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
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


def post(server: LocalServer, path: str, body: bytes, **headers: str) -> requests.Response:
    given = {"Authorization": f"Bearer {server.api_key}", **PROTOBUF}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.post(server.host + path, data=body, headers=given, timeout=30)


def test_spans_that_are_not_stored_are_counted(server: LocalServer) -> None:
    span = json_span("a" * 32)
    foreign = {"traceId": "b" * 32, "spanId": "1" * 16, "name": "GET /"}
    broken = {**span, "spanId": "xyz"}
    spans = {"resourceSpans": [{"scopeSpans": [{"spans": [span, foreign, broken]}]}]}
    answer = post(
        server, "/i/v1/traces", json.dumps(spans).encode(), Content_Type="application/json"
    )
    assert answer.status_code == 200
    told = answer.json()["partialSuccess"]
    assert told["rejectedSpans"] == "1"
    assert "no valid trace id or span id" in told["errorMessage"]
    assert len(rows(server, "properties.$ai_trace_id = {id}", id="a" * 32)) == 1

    answer = post(
        server,
        "/i/v1/traces",
        json.dumps(document(foreign)).encode(),
        Content_Type="application/json",
    )
    assert answer.json() == {
        "partialSuccess": {"errorMessage": "1 spans not stored: they are not about model calls"}
    }


def test_refused_spans_in_protobuf(server: LocalServer) -> None:
    request = trace_service_pb2.ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(name="no ids")
    answer = post(server, "/i/v0/ai/otel", request.SerializeToString())
    told = trace_service_pb2.ExportTraceServiceResponse.FromString(answer.content)
    assert answer.headers["content-type"] == "application/x-protobuf"
    assert told.partial_success.rejected_spans == 1
    assert "no ids" in told.partial_success.error_message


def test_an_empty_request_is_a_success(server: LocalServer) -> None:
    answer = post(server, "/i/v0/ai/otel", b"")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"{", {"Content-Type": "application/json"}, 400, 3),
        (b"[]", {"Content-Type": "application/json"}, 400, 3),
        (b"{}", {"Content-Type": "text/html"}, 415, 3),
        (b"{}", {"Content-Type": "application/json", "Authorization": "Bearer phc_x"}, 401, 16),
        (b"{}", {"Content-Type": "application/json", "Authorization": ""}, 401, 16),
        (
            b"\x1f\x8bnot gzip",
            {"Content-Type": "application/json", "Content-Encoding": "gzip"},
            400,
            3,
        ),
        (
            gzip.compress(b" " * (11 * 1024 * 1024)),
            {"Content-Type": "application/json", "Content-Encoding": "gzip"},
            413,
            8,
        ),
    ],
)
def test_refusals_in_json(
    server: LocalServer, body: bytes, headers: dict[str, str], status: int, code: int
) -> None:
    answer = requests.post(
        f"{server.host}/i/v0/ai/otel",
        data=body,
        headers={"Authorization": f"Bearer {server.api_key}", **headers},
        timeout=30,
    )
    assert answer.status_code == status
    assert answer.json()["code"] == code
    assert answer.json()["message"]


def test_a_refusal_in_protobuf(server: LocalServer) -> None:
    from google.rpc import status_pb2

    answer = post(server, "/i/v0/ai/otel", b"\x0a\xff\xff")
    told = status_pb2.Status.FromString(answer.content)
    assert (answer.status_code, told.code) == (400, 3)
    assert "protobuf" in told.message


def test_the_key_in_the_address_and_the_round_in_the_request(server: LocalServer) -> None:
    round_id = new_ulid()
    answer = requests.post(
        f"{server.host}/i/v1/traces",
        params={"token": server.api_key},
        json=document(json_span("c" * 32)),
        headers={"baggage": f"nightpane.round_id={round_id},nightpane.parent_id=step-1"},
        timeout=30,
    )
    assert answer.status_code == 200
    (row,) = rows(server, "properties.round_id = {id}", id=round_id)
    assert row["properties"]["$ai_parent_id"] == "step-1"


@pytest.mark.parametrize("path", ["/i/v1/logs", "/i/v0/ai/otel/v1/logs"])
def test_logs(server: LocalServer, path: str) -> None:
    trace_id = hashlib.sha256(path.encode()).hexdigest()[:32]
    records = [
        {
            "timeUnixNano": "1764000000000000000",
            "traceId": trace_id,
            "spanId": "1" * 16,
            "eventName": "gen_ai.client.inference.operation.details",
            "attributes": json_span(trace_id)["attributes"],
        },
        {"body": {"stringValue": "hello"}},
    ]
    answer = requests.post(
        server.host + path,
        params={"token": server.api_key},
        json={"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]},
        timeout=30,
    )
    assert answer.status_code == 200
    assert "1 records not stored" in answer.json()["partialSuccess"]["errorMessage"]
    (row,) = rows(server, "properties.$ai_trace_id = {id}", id=trace_id)
    assert row["event"] == "$ai_generation"


@pytest.mark.parametrize("path", ["/i/v1/metrics", "/i/v0/ai/otel/v1/metrics"])
def test_metrics_are_taken_and_dropped(server: LocalServer, path: str) -> None:
    answer = requests.post(
        server.host + path, params={"token": server.api_key}, json={}, timeout=30
    )
    assert answer.status_code == 200
    assert answer.json()["partialSuccess"]["errorMessage"] == "metrics are not stored"


def test_posthogs_own_tracing_and_its_otel_exporter(
    server: LocalServer, provider: TracerProvider
) -> None:
    from posthog import Posthog
    from posthog.ai.otel import PostHogTraceExporter

    memory = recorded(provider)
    with provider.get_tracer("t").start_as_current_span("chat", attributes=CALL):
        pass
    sent = memory.get_finished_spans()
    exported = PostHogTraceExporter(api_key=server.api_key, host=server.host).export(sent)
    assert exported is SpanExportResult.SUCCESS
    trace_id = f"{sent[0].context.trace_id:032x}"
    assert len(rows(server, "properties.$ai_trace_id = {id}", id=trace_id)) == 1

    client = Posthog(server.api_key, host=server.host, traces={"service_name": "loop"})
    round_id = new_ulid()
    with (
        client.start_span("round", attributes={"nightpane.round_id": round_id}),
        client.start_span("chat", attributes={**CALL, "phase": "score"}),
    ):
        pass
    client.shutdown()
    found = rows(server, "properties.round_id = {id}", id=round_id)
    assert sorted(row["event"] for row in found) == ["$ai_generation", "$ai_span"]
