"""A model call's properties as GenAI attributes: the way out, where ``fields`` is the way in.

Messages take the conventions' form (``role`` and ``parts``, as JSON text); what the conventions
have no name for keeps PostHog's, so that it comes back as it went.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from nightpane.otel.attributes import decoded

__all__ = ["attributes_of_call", "attributes_of_work", "json_text"]

_DIRECT = {
    "$ai_provider": "gen_ai.provider.name",
    "$ai_model": "gen_ai.response.model",
    "$ai_input_tokens": "gen_ai.usage.input_tokens",
    "$ai_output_tokens": "gen_ai.usage.output_tokens",
    "$ai_reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
    "$ai_cache_read_input_tokens": "gen_ai.usage.cache_read.input_tokens",
    "$ai_cache_creation_input_tokens": "gen_ai.usage.cache_creation.input_tokens",
    "$ai_completion_id": "gen_ai.response.id",
    "$ai_session_id": "gen_ai.conversation.id",
    "$ai_base_url": "server.address",
    "$ai_time_to_first_token": "gen_ai.response.time_to_first_chunk",
    "$ai_stream": "gen_ai.request.stream",
    "$ai_agent_name": "gen_ai.agent.name",
    "$ai_http_status": "http.response.status_code",
    "$ai_error_type": "error.type",
}
_PARAMETERS = {
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "top_k": "gen_ai.request.top_k",
    "max_tokens": "gen_ai.request.max_tokens",
    "max_completion_tokens": "gen_ai.request.max_tokens",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
    "seed": "gen_ai.request.seed",
    "stop": "gen_ai.request.stop_sequences",
    "n": "gen_ai.request.choice.count",
}
# Said by the span itself, by the attributes above, or of no use to another reader.
_LEFT_OUT = frozenset(
    {
        *("$ai_input", "$ai_output_choices", "$ai_output", "$ai_tools", "$ai_stop_reason"),
        *("$ai_model_parameters", "$ai_temperature", "$ai_max_tokens", "$ai_usage"),
        *("$ai_span_name", "$ai_latency", "$ai_is_error", "$ai_error", "$ai_instructions"),
        *("$ai_lib", "$ai_lib_version", "$ai_ingestion_source", "$ai_input_state"),
        *("$ai_output_state", "$ai_trace_name"),
    }
)
_OPERATIONS = {"tool": "execute_tool", "agent": "invoke_agent"}
_OWN = ("phase", "task_type", "quality_score")


def attributes_of_call(event: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of a generation or an embedding."""
    stop = properties.get("$ai_stop_reason")
    operation = "embeddings" if event == "$ai_embedding" else "chat"
    found: dict[str, Any] = {"gen_ai.operation.name": operation}
    if properties.get("$ai_model") is not None:
        found["gen_ai.request.model"] = properties["$ai_model"]
    if stop is not None:
        found["gen_ai.response.finish_reasons"] = [str(stop)]
    given = decoded(properties.get("$ai_model_parameters"))
    if isinstance(given, dict):
        found |= {
            name: given[key]
            for key, name in _PARAMETERS.items()
            if _is_scalar(given.get(key)) or (key == "stop" and isinstance(given.get(key), list))
        }
    answers = _first(properties, "$ai_output_choices", "$ai_output")
    for name, value in (
        ("gen_ai.input.messages", _messages(properties.get("$ai_input"), "user")),
        ("gen_ai.output.messages", _messages(answers, "assistant", stop)),
        ("gen_ai.system_instructions", _instructions(properties.get("$ai_instructions"))),
        ("gen_ai.tool.definitions", decoded(properties.get("$ai_tools"))),
    ):
        if value:
            found[name] = json_text(value)
    return found | _rest(properties)


def attributes_of_work(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of a ``$ai_span`` or ``$ai_trace``."""
    found: dict[str, Any] = {}
    operation = _OPERATIONS.get(str(properties.get("$ai_span_type")))
    if operation is not None:
        found["gen_ai.operation.name"] = operation
    for name, source in (("arguments", "$ai_input_state"), ("result", "$ai_output_state")):
        if (value := properties.get(source)) is not None:
            found[f"gen_ai.tool.call.{name}"] = json_text(value)
    return found | _rest(properties)


def json_text(value: Any) -> str:
    """Return a text as it is, any other value as JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def _rest(properties: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in properties.items():
        if not _is_scalar(value):
            continue
        if name in _DIRECT:
            found[_DIRECT[name]] = value
        elif name in _OWN or (name.startswith("$ai_") and name not in _LEFT_OUT):
            found[name] = value
    return found


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str | int | float | bool)


def _first(properties: Mapping[str, Any], *names: str) -> Any:
    return next((properties[name] for name in names if properties.get(name) is not None), None)


def _messages(given: Any, role: str, stop: Any = None) -> list[dict[str, Any]]:
    """Return messages in the conventions' form; those that have it already stay as they are."""
    given = decoded(given)
    if given is None:
        return []
    made = [_message(one, role) for one in (given if isinstance(given, list) else [given])]
    if role == "assistant":
        for message in made:
            message.setdefault("finish_reason", "" if stop is None else str(stop))
    return made


def _message(one: Any, role: str) -> dict[str, Any]:
    if not isinstance(one, dict):
        return {"role": role, "parts": [_text_part(one)]}
    if isinstance(one.get("message"), dict):
        one = {**one["message"], "finish_reason": one.get("finish_reason")}
    if isinstance(one.get("parts"), list):
        return dict(one)
    role = str(one.get("role") or role)
    parts = [] if role == "tool" else _parts(one.get("content"))
    if role == "tool":
        about = {"id": one.get("tool_call_id"), "response": one.get("content")}
        parts = [{"type": "tool_call_response", **about}]
    calls = one.get("tool_calls")
    for call in calls if isinstance(calls, list) else []:
        parts.append(_call_part(call) if isinstance(call, dict) else _text_part(call))
    message: dict[str, Any] = {"role": role, "parts": parts}
    if one.get("finish_reason") is not None:
        message["finish_reason"] = str(one["finish_reason"])
    return message


def _parts(content: Any) -> list[Any]:
    if content is None:
        return []
    if not isinstance(content, list):
        return [_text_part(content)]
    return [_part(part) for part in content]


def _part(part: Any) -> dict[str, Any]:
    if not isinstance(part, dict):
        return _text_part(part)
    if part.get("type") == "text" and "text" in part:
        return _text_part(part["text"])
    if isinstance(part.get("function"), dict):
        return _call_part(part)
    return {"type": "unknown", **part}


def _call_part(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call.get("function")
    named = function if isinstance(function, dict) else call
    return {
        "type": "tool_call",
        "id": call.get("id"),
        "name": named.get("name"),
        "arguments": decoded(named.get("arguments")),
    }


def _text_part(content: Any) -> dict[str, Any]:
    return {"type": "text", "content": json_text(content)}


def _instructions(given: Any) -> list[dict[str, Any]]:
    return [] if given in (None, "") else _parts(decoded(given))
