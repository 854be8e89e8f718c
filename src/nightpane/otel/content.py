"""What went into a call and what came out, from wherever a dialect puts it.

Message lists that follow the GenAI conventions are kept as they came, as PostHog keeps them; the
flattened and per-event forms become chat messages (``role``, ``content``, ``tool_calls``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from nightpane.otel.attributes import decoded, first, indexed, pruned
from nightpane.otel.model import SpanEvent

__all__ = ["CONTENT", "CONTENT_PREFIXES", "calls_content", "is_message_event", "work_content"]

_Attributes = Mapping[str, Any]

_ROLES = {
    f"gen_ai.{role}.message": role for role in ("system", "developer", "user", "assistant", "tool")
}
_CHOICE = "gen_ai.choice"
_DETAILS = "gen_ai.client.inference.operation.details"

_INPUT = ("gen_ai.input.messages", "gen_ai.prompt")
_OUTPUT = ("gen_ai.output.messages", "gen_ai.completion")
_SYSTEM = "gen_ai.system_instructions"
_LATE_INPUT = (
    *("ai.prompt.messages", "ai.prompt", "ai.value", "ai.values", "input.value"),
    *("pydantic_ai.all_messages", "traceloop.entity.input", "mlflow.spanInputs"),
)
_LATE_OUTPUT = ("output.value", "traceloop.entity.output", "mlflow.spanOutputs", "final_result")
_TOOL_INPUT = ("gen_ai.tool.call.arguments", "ai.toolCall.args", "tool_arguments")
_TOOL_OUTPUT = ("gen_ai.tool.call.result", "ai.toolCall.result", "tool_response")
_TOOLS = ("gen_ai.tool.definitions", "ai.prompt.tools", "mlflow.chat.tools")
_VERCEL_ANSWER = ("ai.response.text", "ai.response.toolCalls", "ai.response.object")
# Vectors: large, and of no use to a reader.
_VECTORS = ("ai.embedding", "ai.embeddings")

CONTENT = frozenset(
    {
        *_INPUT,
        *_OUTPUT,
        _SYSTEM,
        *_LATE_INPUT,
        *_LATE_OUTPUT,
        *_TOOL_INPUT,
        *_TOOL_OUTPUT,
        *_TOOLS,
        *_VERCEL_ANSWER,
        *_VECTORS,
        *("events", "input.mime_type", "output.mime_type"),
    }
)
CONTENT_PREFIXES = (
    *("gen_ai.prompt.", "gen_ai.completion.", "llm.input_messages.", "llm.output_messages."),
    *("llm.prompts.", "llm.choices.", "llm.request.functions.", "llm.tools."),
    "embedding.embeddings.",
)


def calls_content(attributes: _Attributes, events: Iterable[SpanEvent]) -> dict[str, Any]:
    """Return the input, the answers and the tools of a model call, those that are there."""
    told = _told(attributes, events)
    asked = _first_found(_INPUT_READERS, told)
    return pruned(
        {
            "$ai_input": _with_system(asked, decoded(told.get(_SYSTEM))),
            "$ai_output_choices": _first_found(_OUTPUT_READERS, told),
            "$ai_tools": _tools(told),
        }
    )


def work_content(attributes: _Attributes, events: Iterable[SpanEvent]) -> dict[str, Any]:
    """Return what a span that is no model call began and ended with."""
    told = _told(attributes, events)
    began, ended = first(told, _TOOL_INPUT), first(told, _TOOL_OUTPUT)
    return pruned(
        {
            "$ai_input_state": decoded(began)
            if began is not None
            else _first_found(_INPUT_READERS, told),
            "$ai_output_state": decoded(ended)
            if ended is not None
            else _first_found(_OUTPUT_READERS, told),
        }
    )


def is_message_event(name: str) -> bool:
    """Tell whether an event of this name carries messages of a call."""
    return name in _ROLES or name in (_CHOICE, _DETAILS)


def _told(attributes: _Attributes, events: Iterable[SpanEvent]) -> dict[str, Any]:
    """Return the attributes with what the span's events say put where attributes would say it."""
    told = dict(attributes)
    asked: list[Any] = []
    answers: list[Any] = []
    for event in (*events, *_logfire_events(attributes)):
        about = event.attributes
        if event.name in _ROLES:
            asked.append(_message(_body(about), _ROLES[event.name]))
        elif event.name == _CHOICE:
            answers.append(_choice(_body(about)))
        else:
            for name in (*_INPUT, *_OUTPUT, _SYSTEM, "gen_ai.tool.definitions"):
                if about.get(name) is not None:
                    told.setdefault(name, about[name])
    if asked:
        told.setdefault(_INPUT[0], asked)
    if answers:
        told.setdefault(_OUTPUT[0], answers)
    return told


def _logfire_events(attributes: _Attributes) -> list[SpanEvent]:
    """Return the message events that Logfire keeps as JSON in one attribute."""
    held = decoded(attributes.get("events"))
    if not isinstance(held, list):
        return []
    return [
        SpanEvent(str(one.get("event.name") or ""), attributes=one)
        for one in held
        if isinstance(one, dict)
    ]


def _body(about: _Attributes) -> dict[str, Any]:
    """Return a message event's members: its attributes, or the JSON that Azure puts in one."""
    inner = decoded(about.get("gen_ai.event.content"))
    members = inner if isinstance(inner, dict) else about
    return {name: decoded(value) for name, value in members.items() if "." not in name}


def _message(body: Mapping[str, Any], role: str) -> dict[str, Any]:
    return pruned(
        {
            "role": body.get("role") or role,
            "content": body.get("content"),
            "tool_calls": body.get("tool_calls"),
            "tool_call_id": body.get("tool_call_id") or body.get("id"),
        }
    )


def _choice(body: Mapping[str, Any]) -> dict[str, Any]:
    inner = body.get("message")
    if isinstance(inner, str):
        inner = {"content": inner}
    message = {**body, **inner} if isinstance(inner, dict) else dict(body)
    return pruned({**_message(message, "assistant"), "finish_reason": body.get("finish_reason")})


_Reader = Callable[[_Attributes], Any]


def _first_found(readers: Iterable[_Reader], told: _Attributes) -> Any:
    for read in readers:
        found = read(told)
        if found is not None and found not in ("", [], {}):
            return found
    return None


def _flattened(prefix: str) -> _Reader:
    """Read OpenLLMetry's ``<prefix>.<n>.role``, ``.content`` and ``.tool_calls.<m>.…``."""

    def read(told: _Attributes) -> list[Any]:
        return [_flat_message(one) for one in indexed(told, prefix) if isinstance(one, dict)]

    return read


def _flat_message(one: dict[str, Any]) -> dict[str, Any]:
    calls = one.get("tool_calls")
    message = {**one, "content": decoded(one.get("content"))}
    if isinstance(calls, list):
        message["tool_calls"] = [_tool_call(call) for call in calls if isinstance(call, dict)]
    return pruned(message)


def _tool_call(call: Mapping[str, Any]) -> dict[str, Any]:
    """Return a tool call in the shape chat messages have."""
    inner = call.get("tool_call", call)
    about = inner if isinstance(inner, dict) else call
    function = about.get("function")
    named = function if isinstance(function, dict) else about
    return pruned(
        {
            "id": about.get("id") or about.get("toolCallId"),
            "type": "function",
            "function": pruned(
                {
                    "name": named.get("name") or named.get("toolName"),
                    "arguments": _first_of(named, ("arguments", "args", "input")),
                }
            ),
        }
    )


def _first_of(members: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((members[name] for name in names if members.get(name) is not None), None)


def _openinference(prefix: str) -> _Reader:
    """Read ``<prefix>.<n>.message.…``."""

    def read(told: _Attributes) -> list[Any]:
        found = [one.get("message") for one in indexed(told, prefix) if isinstance(one, dict)]
        return [_inference_message(message) for message in found if isinstance(message, dict)]

    return read


def _inference_message(message: dict[str, Any]) -> dict[str, Any]:
    calls, parts = message.get("tool_calls"), message.get("contents")
    content = message.get("content")
    if content is None and isinstance(parts, list):
        content = [part.get("message_content", part) for part in parts if isinstance(part, dict)]
    return pruned(
        {
            "role": message.get("role"),
            "content": content,
            "name": message.get("name"),
            "tool_call_id": message.get("tool_call_id"),
            "tool_calls": [_tool_call(call) for call in calls if isinstance(call, dict)]
            if isinstance(calls, list)
            else None,
        }
    )


def _texts(prefix: str, *path: str) -> _Reader:
    """Read ``<prefix>.<n>.<path>`` as a list of texts."""

    def read(told: _Attributes) -> list[Any]:
        found: list[Any] = indexed(told, prefix)
        for part in path:
            found = [one.get(part) for one in found if isinstance(one, dict)]
        return [one for one in found if one is not None]

    return read


def _attribute(names: tuple[str, ...]) -> _Reader:
    return lambda told: decoded(first(told, names))


def _vercel_prompt(told: _Attributes) -> Any:
    """Read ``ai.prompt``: a text, or an object of system, prompt and messages."""
    given = decoded(told.get("ai.prompt"))
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    if not isinstance(given, dict):
        return given
    messages = given.get("messages")
    if not isinstance(messages, list):
        prompt = given.get("prompt")
        messages = [{"role": "user", "content": prompt}] if prompt is not None else []
    return _with_system(messages, given.get("system"))


def _vercel_answer(told: _Attributes) -> Any:
    answer, called, made = (told.get(name) for name in _VERCEL_ANSWER)
    called = decoded(called)
    calls = (
        [_tool_call(call) for call in called if isinstance(call, dict)]
        if isinstance(called, list)
        else []
    )
    content = answer if answer not in (None, "") else decoded(made)
    if content is None and not calls:
        return None
    return [pruned({"role": "assistant", "content": content, "tool_calls": calls or None})]


def _with_system(messages: Any, system: Any) -> Any:
    """Return the messages with the system prompt first, unless they begin with one."""
    if isinstance(system, list):
        texts = [part.get("content") for part in system if isinstance(part, dict)]
        system = "\n\n".join(one for one in texts if isinstance(one, str)) or system
    if system in (None, "", [], {}):
        return messages
    if messages is None:
        messages = []
    if not isinstance(messages, list):
        messages = [{"role": "user", "content": messages}]
    begins = messages[0] if messages else None
    if isinstance(begins, dict) and begins.get("role") == "system":
        return messages
    return [{"role": "system", "content": system}, *messages]


def _tools(told: _Attributes) -> Any:
    listed = decoded(first(told, _TOOLS))
    if listed is None:
        listed = indexed(told, "llm.request.functions") or [
            one.get("tool", {}).get("json_schema") if isinstance(one.get("tool"), dict) else one
            for one in indexed(told, "llm.tools")
            if isinstance(one, dict)
        ]
    if isinstance(listed, list):
        listed = [decoded(one) for one in listed if one is not None]
    return listed or None


_INPUT_READERS: tuple[_Reader, ...] = (
    _attribute(_INPUT[:1]),
    _flattened("gen_ai.prompt"),
    _attribute(_INPUT[1:]),
    _openinference("llm.input_messages"),
    _texts("llm.prompts", "prompt", "text"),
    _texts("embedding.embeddings", "embedding", "text"),
    _attribute(("ai.prompt.messages",)),
    _vercel_prompt,
    _attribute(_LATE_INPUT),
)
_OUTPUT_READERS: tuple[_Reader, ...] = (
    _attribute(_OUTPUT[:1]),
    _flattened("gen_ai.completion"),
    _attribute(_OUTPUT[1:]),
    _openinference("llm.output_messages"),
    _texts("llm.choices", "completion", "text"),
    _vercel_answer,
    _attribute(_LATE_OUTPUT),
)
