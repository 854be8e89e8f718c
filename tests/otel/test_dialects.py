"""What each dialect's exporters send for one call, and what it becomes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.otel.support import one, properties, source

from nightpane.otel import SpanEvent, events_of_spans, json_wire

ASKED = [{"role": "user", "content": "Weather in Paris?"}]
TOOL = {"name": "get_weather", "arguments": '{"city":"Paris"}'}

# The newest names, as a structured attribute and as JSON text.
GENAI_NEW: dict[str, Any] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "anthropic",
    "gen_ai.request.model": "claude-sonnet-4-5",
    "gen_ai.response.model": "claude-sonnet-4-5-20250929",
    "gen_ai.request.temperature": 0.2,
    "gen_ai.request.max_tokens": 512,
    "gen_ai.request.stop_sequences": ["END"],
    "gen_ai.request.stream": True,
    "gen_ai.response.id": "msg_01",
    "gen_ai.response.finish_reasons": ["end_turn"],
    "gen_ai.response.time_to_first_chunk": 0.31,
    "gen_ai.usage.input_tokens": 1100,
    "gen_ai.usage.output_tokens": 40,
    "gen_ai.usage.cache_read.input_tokens": 1000,
    "gen_ai.usage.cache_creation.input_tokens": 50,
    "gen_ai.usage.reasoning.output_tokens": 12,
    "gen_ai.conversation.id": "conv-1",
    "gen_ai.agent.name": "planner",
    "gen_ai.system_instructions": json.dumps([{"type": "text", "content": "Be brief."}]),
    "gen_ai.input.messages": json.dumps(
        [{"role": "user", "parts": [{"type": "text", "content": "Weather in Paris?"}]}]
    ),
    "gen_ai.output.messages": [
        {
            "role": "assistant",
            "parts": [{"type": "text", "content": "Rain."}],
            "finish_reason": "stop",
        }
    ],
    "gen_ai.tool.definitions": json.dumps([{"type": "function", "name": "get_weather"}]),
    "server.address": "api.anthropic.com",
}


def test_genai_conventions_in_their_newest_names() -> None:
    event = one(GENAI_NEW, source=source("anthropic"), name="chat claude")
    found = event["properties"]
    assert event["event"] == "$ai_generation"
    assert event["timestamp"] == "2025-11-24T16:00:00+00:00"
    expected = {
        "$ai_model": "claude-sonnet-4-5-20250929",
        "$ai_provider": "anthropic",
        "$ai_base_url": "api.anthropic.com",
        "$ai_span_name": "chat claude",
        "$ai_latency": 2.5,
        "$ai_time_to_first_token": 0.31,
        "$ai_input_tokens": 1100,
        "$ai_output_tokens": 40,
        "$ai_reasoning_tokens": 12,
        "$ai_cache_read_input_tokens": 1000,
        "$ai_cache_creation_input_tokens": 50,
        "$ai_cache_reporting_exclusive": False,
        "$ai_stop_reason": "end_turn",
        "$ai_completion_id": "msg_01",
        "$ai_session_id": "conv-1",
        "$ai_agent_name": "planner",
        "$ai_stream": True,
        "$ai_temperature": 0.2,
        "$ai_max_tokens": 512,
        "$ai_model_parameters": {"temperature": 0.2, "max_tokens": 512, "stop": ["END"]},
        "$ai_tools": [{"type": "function", "name": "get_weather"}],
        "$ai_lib": "opentelemetry/anthropic",
        "$lib_version": "1.2.3",
        "service.name": "loop",
    }
    assert {name: found.get(name) for name in expected} == expected
    assert [message["role"] for message in found["$ai_input"]] == ["system", "user"]
    assert found["$ai_output_choices"] == GENAI_NEW["gen_ai.output.messages"]
    left = [name for name in found if name.startswith("gen_ai.") or name == "host.name"]
    assert left == []


@pytest.mark.parametrize(
    ("operation", "event"),
    [
        ("chat", "$ai_generation"),
        ("text_completion", "$ai_generation"),
        ("generate_content", "$ai_generation"),
        ("embeddings", "$ai_embedding"),
        ("execute_tool", "$ai_trace"),
        ("invoke_agent", "$ai_trace"),
        ("something_new", "$ai_trace"),
    ],
)
def test_the_operation_decides(operation: str, event: str) -> None:
    assert one({"gen_ai.operation.name": operation})["event"] == event


def test_a_call_before_operations_had_names() -> None:
    attributes = {
        "gen_ai.system": "openai",
        "gen_ai.request.model": "gpt-4",
        "gen_ai.usage.prompt_tokens": 9,
        "gen_ai.usage.completion_tokens": 3,
    }
    assert one(attributes)["event"] == "$ai_generation"
    found = properties(attributes)
    assert (found["$ai_input_tokens"], found["$ai_output_tokens"]) == (9, 3)
    assert (found["$ai_provider"], found["$ai_model"]) == ("openai", "gpt-4")


def test_messages_as_span_events() -> None:
    found = properties(
        {"gen_ai.operation.name": "chat", "gen_ai.system": "openai"},
        SpanEvent("gen_ai.system.message", 1, {"content": "Be brief.", "gen_ai.system": "openai"}),
        SpanEvent("gen_ai.user.message", 2, {"content": "Weather?"}),
        SpanEvent(
            "gen_ai.choice",
            3,
            {"index": 0, "finish_reason": "stop", "message": '{"content": "Rain."}'},
        ),
    )
    assert found["$ai_input"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Weather?"},
    ]
    assert found["$ai_output_choices"] == [
        {"role": "assistant", "content": "Rain.", "finish_reason": "stop"}
    ]


def test_messages_as_events_of_azure_and_logfire() -> None:
    azure = properties(
        {"gen_ai.operation.name": "chat"},
        SpanEvent("gen_ai.user.message", 1, {"gen_ai.event.content": '{"content": "Hi"}'}),
    )
    assert azure["$ai_input"] == [{"role": "user", "content": "Hi"}]
    logfire = properties(
        {
            "gen_ai.operation.name": "chat",
            "events": json.dumps(
                [
                    {"event.name": "gen_ai.user.message", "content": "Hi", "role": "user"},
                    {
                        "event.name": "gen_ai.choice",
                        "message": {"role": "assistant", "content": "Yo"},
                    },
                ]
            ),
        }
    )
    assert logfire["$ai_input"] == [{"role": "user", "content": "Hi"}]
    assert logfire["$ai_output_choices"] == [{"role": "assistant", "content": "Yo"}]
    assert "events" not in logfire


def test_content_events_of_the_first_conventions() -> None:
    found = properties(
        {"gen_ai.operation.name": "chat"},
        SpanEvent("gen_ai.content.prompt", 1, {"gen_ai.prompt": json.dumps(ASKED)}),
        SpanEvent(
            "gen_ai.content.completion",
            2,
            {"gen_ai.completion": '[{"role": "assistant", "content": "Rain."}]'},
        ),
    )
    assert found["$ai_input"] == ASKED
    assert found["$ai_output_choices"] == [{"role": "assistant", "content": "Rain."}]


def test_openllmetry() -> None:
    attributes = {
        "llm.request.type": "chat",
        "gen_ai.system": "Anthropic",
        "gen_ai.request.model": "claude-3-5-haiku",
        "gen_ai.usage.input_tokens": 700,
        "gen_ai.usage.output_tokens": 20,
        "gen_ai.usage.cache_read_input_tokens": 600,
        "llm.usage.total_tokens": 720,
        "llm.is_streaming": False,
        "gen_ai.prompt.0.role": "system",
        "gen_ai.prompt.0.content": "Be brief.",
        "gen_ai.prompt.1.role": "user",
        "gen_ai.prompt.1.content": '[{"type": "text", "text": "Weather?"}]',
        "gen_ai.completion.0.role": "assistant",
        "gen_ai.completion.0.finish_reason": "tool_use",
        "gen_ai.completion.0.tool_calls.0.id": "call_1",
        "gen_ai.completion.0.tool_calls.0.name": "get_weather",
        "gen_ai.completion.0.tool_calls.0.arguments": '{"city":"Paris"}',
        "llm.request.functions.0.name": "get_weather",
        "llm.request.functions.0.parameters": '{"type": "object"}',
        "traceloop.association.properties.session_id": "s-1",
        "traceloop.entity.path": "a.b",
    }
    event = one(attributes)
    found = event["properties"]
    assert event["event"] == "$ai_generation"
    assert found["$ai_input"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Weather?"}]},
    ]
    assert found["$ai_output_choices"] == [
        {
            "role": "assistant",
            "finish_reason": "tool_use",
            "tool_calls": [{"id": "call_1", "type": "function", "function": TOOL}],
        }
    ]
    assert found["$ai_tools"] == [{"name": "get_weather", "parameters": '{"type": "object"}'}]
    assert found["$ai_stop_reason"] == "tool_use"
    assert found["$ai_cache_reporting_exclusive"] is False
    assert found["$ai_total_tokens"] == 720
    assert found["$ai_session_id"] == "s-1"
    assert found["traceloop.entity.path"] == "a.b"
    assert not [name for name in found if name.startswith(("gen_ai.", "llm."))]


def test_openllmetry_workflows_are_spans() -> None:
    event = one(
        {
            "traceloop.span.kind": "tool",
            "traceloop.entity.name": "search",
            "traceloop.entity.input": '{"q": "x"}',
            "traceloop.entity.output": "found",
        },
        parent="1111111111111111",
    )
    assert event["event"] == "$ai_span"
    assert event["properties"]["$ai_span_type"] == "tool"
    assert event["properties"]["$ai_input_state"] == {"q": "x"}
    assert event["properties"]["$ai_output_state"] == "found"


def test_openinference() -> None:
    prefix = "llm.output_messages.0.message"
    event = one(
        {
            "openinference.span.kind": "LLM",
            "llm.model_name": "gpt-4o-2024-08-06",
            "llm.provider": "azure",
            "llm.system": "openai",
            "llm.invocation_parameters": '{"temperature": 0.5, "max_tokens": 64, "model": "m"}',
            "llm.token_count.prompt": 25,
            "llm.token_count.completion": 8,
            "llm.token_count.total": 33,
            "llm.token_count.prompt_details.cache_read": 20,
            "llm.token_count.completion_details.reasoning": 4,
            "llm.cost.prompt": 0.001,
            "llm.cost.completion": 0.002,
            "llm.cost.total": 0.003,
            "llm.input_messages.0.message.role": "user",
            "llm.input_messages.0.message.contents.0.message_content.type": "text",
            "llm.input_messages.0.message.contents.0.message_content.text": "Weather?",
            f"{prefix}.role": "assistant",
            f"{prefix}.tool_calls.0.tool_call.id": "call_1",
            f"{prefix}.tool_calls.0.tool_call.function.name": "get_weather",
            f"{prefix}.tool_calls.0.tool_call.function.arguments": '{"city":"Paris"}',
            "llm.tools.0.tool.json_schema": '{"type": "function"}',
            "input.value": '{"messages": []}',
            "input.mime_type": "application/json",
            "output.value": "raw",
            "session.id": "s-9",
        }
    )
    found = event["properties"]
    assert event["event"] == "$ai_generation"
    assert found["$ai_model"] == "gpt-4o-2024-08-06"
    assert found["$ai_provider"] == "azure"
    assert found["$ai_input"] == [
        {"role": "user", "content": [{"type": "text", "text": "Weather?"}]}
    ]
    assert found["$ai_output_choices"][0]["tool_calls"][0]["function"] == TOOL
    assert found["$ai_tools"] == [{"type": "function"}]
    assert found["$ai_temperature"] == 0.5
    assert (found["$ai_input_tokens"], found["$ai_output_tokens"]) == (25, 8)
    assert (found["$ai_cache_read_input_tokens"], found["$ai_reasoning_tokens"]) == (20, 4)
    assert (found["$ai_input_cost_usd"], found["$ai_output_cost_usd"]) == (0.001, 0.002)
    assert found["$ai_total_cost_usd"] == 0.003
    assert "input.value" not in found


def test_openinference_embeddings_leave_vectors_out() -> None:
    event = one(
        {
            "openinference.span.kind": "EMBEDDING",
            "embedding.model_name": "text-embedding-3-small",
            "embedding.embeddings.0.embedding.text": "one",
            "embedding.embeddings.0.embedding.vector": [0.1] * 1536,
            "embedding.embeddings.1.embedding.text": "two",
            "llm.token_count.prompt": 4,
            "output.value": "[0.1]",
        }
    )
    assert event["event"] == "$ai_embedding"
    assert event["properties"]["$ai_input"] == ["one", "two"]
    assert event["properties"]["$ai_input_tokens"] == 4
    assert "0.1" not in json.dumps(event["properties"])


def test_openinference_tools_are_spans() -> None:
    event = one(
        {
            "openinference.span.kind": "TOOL",
            "tool.name": "search",
            "input.value": '{"q": 1}',
            "output.value": "found",
        },
        parent="1111111111111111",
    )
    assert event["event"] == "$ai_span"
    assert event["properties"]["$ai_span_type"] == "tool"
    assert event["properties"]["$ai_input_state"] == {"q": 1}
    assert event["properties"]["tool.name"] == "search"


def test_the_vercel_ai_sdk() -> None:
    event = one(
        {
            "ai.operationId": "ai.streamText.doStream",
            "operation.name": "ai.streamText.doStream",
            "ai.model.id": "gpt-4o-mini",
            "ai.model.provider": "openai.chat",
            "ai.usage.promptTokens": 11,
            "ai.usage.completionTokens": 5,
            "ai.usage.cachedInputTokens": 4,
            "ai.prompt.messages": '[{"role":"user","content":[{"type":"text","text":"Hi"}]}]',
            "ai.prompt.tools": ['{"type":"function","name":"get_weather"}'],
            "ai.response.text": "Let me look.",
            "ai.response.toolCalls": json.dumps(
                [{"toolCallId": "call_1", "toolName": "get_weather", "args": '{"city":"Paris"}'}]
            ),
            "ai.response.finishReason": "tool-calls",
            "ai.response.msToFirstChunk": 250.0,
            "ai.response.id": "resp_1",
            "ai.settings.maxRetries": 2,
            "ai.request.headers.authorization": "Bearer sk-secret",
            "ai.telemetry.metadata.posthog_distinct_id": "ann",
        }
    )
    found = event["properties"]
    assert event["event"] == "$ai_generation"
    assert event["distinct_id"] == "ann"
    assert found["$ai_input"][0]["content"][0]["text"] == "Hi"
    (answer,) = found["$ai_output_choices"]
    assert answer["content"] == "Let me look."
    assert answer["tool_calls"][0] == {"id": "call_1", "type": "function", "function": TOOL}
    assert found["$ai_tools"] == [{"type": "function", "name": "get_weather"}]
    assert found["$ai_time_to_first_token"] == 0.25
    assert found["$ai_stop_reason"] == "tool-calls"
    assert (found["$ai_input_tokens"], found["$ai_cache_read_input_tokens"]) == (11, 4)
    assert "$ai_cache_reporting_exclusive" not in found
    assert "sk-secret" not in json.dumps(found)


@pytest.mark.parametrize(
    ("operation", "event"),
    [
        ("ai.generateText.doGenerate", "$ai_generation"),
        ("ai.generateObject.doGenerate", "$ai_generation"),
        ("ai.embed.doEmbed", "$ai_embedding"),
        ("ai.embedMany.doEmbed", "$ai_embedding"),
        ("ai.generateText", "$ai_span"),
        ("ai.toolCall", "$ai_span"),
    ],
)
def test_the_vercel_ai_sdks_operations(operation: str, event: str) -> None:
    assert one({"ai.operationId": operation}, parent="1111111111111111")["event"] == event


def test_the_vercel_ai_sdks_tools() -> None:
    found = properties(
        {
            "ai.operationId": "ai.toolCall",
            "ai.toolCall.name": "get_weather",
            "ai.toolCall.args": '{"city":"Paris"}',
            "ai.toolCall.result": '"rain"',
        },
        parent="1111111111111111",
    )
    assert found["$ai_span_name"] == "get_weather"
    assert found["$ai_span_type"] == "tool"
    assert found["$ai_input_state"] == {"city": "Paris"}
    assert found["$ai_output_state"] == "rain"


def test_mlflow() -> None:
    event = one(
        {
            "mlflow.spanType": '"CHAT_MODEL"',
            "mlflow.llm.model": "gpt-4o",
            "mlflow.chat.tokenUsage": '{"input_tokens": 6, "output_tokens": 2, "total_tokens": 8}',
            "mlflow.llm.cost": '{"input_cost": 0.1, "output_cost": 0.2, "total_cost": 0.3}',
            "mlflow.spanInputs": json.dumps({"messages": ASKED}),
            "mlflow.spanOutputs": '{"choices": []}',
        }
    )
    assert event["event"] == "$ai_generation"
    assert event["properties"]["$ai_input_tokens"] == 6
    assert event["properties"]["$ai_total_cost_usd"] == 0.3
    assert event["properties"]["$ai_input"] == {"messages": ASKED}


def test_only_a_total_cost_is_passed_through() -> None:
    found = properties({"gen_ai.operation.name": "chat", "gen_ai.usage.cost": 0.5})
    assert found["$ai_total_cost_usd"] == 0.5
    assert found["$ai_cost_passthrough"] is True


def test_cached_tokens_beyond_the_input_are_counted_apart() -> None:
    found = properties(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.usage.input_tokens": 10,
            "gen_ai.usage.cache_read.input_tokens": 900,
        }
    )
    assert found["$ai_cache_reporting_exclusive"] is True


@pytest.mark.parametrize("value", ["-1", -1, "many", True, [1], float("inf"), 1.5, 1 << 70, None])
def test_what_is_no_count_is_left_out(value: Any) -> None:
    found = properties({"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": value})
    assert "$ai_input_tokens" not in found


RECORDED = sorted((Path(__file__).parent / "recorded").glob("*.json"))


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_what_instrumentations_of_openai_sent(path: Path) -> None:
    """One chat with a tool call, one embedding, recorded from each package against a stand-in."""
    made = events_of_spans(json_wire.read_traces(json.loads(path.read_text("utf-8"))))
    by_name = {event["event"]: event["properties"] for event in made.events}
    assert set(by_name) == {"$ai_generation", "$ai_embedding"}
    call, embedding = by_name["$ai_generation"], by_name["$ai_embedding"]
    assert call["$ai_model"] == "gpt-4o-mini-2024-07-18"
    assert call["$ai_provider"] == "openai"
    assert (call["$ai_input_tokens"], call["$ai_output_tokens"]) == (20, 7)
    assert (call["$ai_temperature"], call["$ai_max_tokens"]) == (0.3, 50)
    assert call["$ai_stop_reason"].startswith("tool_call")
    assert embedding["$ai_model"] == "text-embedding-3-small"
    assert embedding["$ai_input_tokens"] == 4
    if "openai-v2" not in path.stem:  # that one sends messages as log records
        assert [message["role"] for message in call["$ai_input"]] == ["system", "user"]
        assert "get_weather" in json.dumps(call["$ai_output_choices"])
        assert "get_weather" in json.dumps(call["$ai_tools"])
        assert call["$ai_cache_read_input_tokens"] == 5
        assert call["$ai_reasoning_tokens"] == 2
