"""Reading what is recorded as prompts and answers, whatever shape a provider or wrapper gave it.

OpenAI's chat and responses, Anthropic's blocks, Gemini's parts, LangChain's messages (plain,
serialised, with ``kwargs``), OpenTelemetry's parts, PostHog's own form, plain text, JSON in JSON
and JSON that was cut off come out in one small form. Never fails: what is not understood is text,
and what lies deeper than anybody nests a message is left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from nightpane.optimizer import mending

__all__ = ["Message", "ToolCall", "is_recorded", "messages", "tool_calls"]

_DEEPEST = 12
_MOST = 20_000
"""Messages of one prompt."""
_ROLES = {
    "human": "user",
    "ai": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "developer": "system",
    "function": "tool",
    "humanmessage": "user",
    "aimessage": "assistant",
    "aimessagechunk": "assistant",
    "systemmessage": "system",
    "toolmessage": "tool",
    "functionmessage": "tool",
    "chatmessage": "user",
}
_KNOWN_ROLES = {"user", "assistant", "system", "tool", *_ROLES}
_TEXTS = {"text", "input_text", "output_text"}
_THOUGHTS = {"thinking", "reasoning", "redacted_thinking", "reasoning_content"}
_CALLS = {
    *("tool_use", "function", "function_call", "tool_call", "server_tool_use", "mcp_call"),
    "custom_tool_call",
}
_RESULTS = {
    *("tool_result", "function_call_output", "tool_call_response", "tool_response"),
    *("custom_tool_call_output", "web_search_tool_result"),
}
_MEDIA = {
    *("image", "image_url", "input_image", "document", "file", "input_file", "audio", "video"),
    *("input_audio", "image_generation_call", "blob", "uri"),
}
_TYPES = _TEXTS | _THOUGHTS | _CALLS | _RESULTS | _MEDIA | {"message", "refusal"}
_PARTS = {
    "functionCall": "function_call",
    "function_call": "function_call",
    "functionResponse": "function_call_output",
    "function_response": "function_call_output",
    "inlineData": "file",
    "inline_data": "file",
    "fileData": "file",
    "file_data": "file",
}
"""Gemini's parts have no type: the key is the type."""
_LISTS = ("messages", "contents", "choices", "candidates", "generations", "output", "input")
_TELLING = ("parts", "contents", "tool_calls", "additional_kwargs", "generation_info")
"""Keys that only a message has."""
_FIRST = ("system", "instructions", "systemInstruction", "system_instruction")
_ARGUMENTS = ("arguments", "input", "args")
_SPOKEN = re.compile(
    r"^(system|developer|user|human|assistant|ai|tool): ?", re.MULTILINE | re.IGNORECASE
)
# In a text too broken to close: a name and its arguments, and the texts.
_CALL = re.compile(
    r'"name"\s*:\s*"([^"]*)"\s*,\s*"(?:arguments|input|args)"\s*:\s*'
    r'("[^"\\]*+(?:\\.[^"\\]*+)*+"|\{[^{}]*\})',
    re.DOTALL,
)
_STRING = re.compile(r'"(?:text|content)"\s*:\s*"([^"\\]*+(?:\\.[^"\\]*+)*+)', re.DOTALL)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool the model asked for; ``arguments`` as JSON with sorted keys where they are JSON."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. ``role`` is ``system``, ``user``, ``assistant``, ``tool``, or another's own word.

    ``results`` are what tools answered, ``media`` the number of images, files and the like,
    ``refused`` whether the provider marked the text as a refusal.
    """

    role: str
    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    results: tuple[str, ...] = ()
    thinking: str = ""
    media: int = 0
    refused: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all was said."""
        return not (self.text.strip() or self.calls or self.results or self.thinking or self.media)


@dataclass(slots=True)
class _Draft:
    texts: list[str] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    results: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    media: int = 0
    refused: bool = False

    def done(self, role: str) -> Message:
        return Message(
            role,
            "\n".join(text for text in self.texts if text),
            tuple(self.calls),
            tuple(self.results),
            "\n".join(text for text in self.thoughts if text),
            self.media,
            self.refused,
        )


def is_recorded(text: str) -> bool:
    """Return whether there is anything to read: privacy mode leaves null."""
    return text.strip() not in ("", "null")


def messages(recorded: str, role: str = "user") -> tuple[Message, ...]:
    """Return the messages of a recorded prompt, or with ``role`` "assistant" of an answer."""
    return _read(recorded, role)[0]


def tool_calls(output: str) -> tuple[tuple[str, str], ...]:
    """Return the (name, arguments) of every tool call in an answer, in order.

    Of an answer that was cut off, the last call is left out: its arguments may not be all.
    """
    read, whole = _read(output, "assistant")
    calls = [(call.name, call.arguments) for message in read for call in message.calls]
    return tuple(calls if whole else calls[:-1])


def _read(recorded: str, role: str) -> tuple[tuple[Message, ...], bool]:
    if not is_recorded(recorded):
        return (), True
    text = recorded.strip()
    if text[0] not in '[{"':
        return tuple(_spoken(recorded, role)), True
    value, whole = mending.read(text)
    for _ in range(3):  # JSON text in JSON
        if not isinstance(value, str):
            break
        inner, inner_whole = mending.read(value.strip()) if value.strip() else (value, True)
        if not isinstance(inner, str) and not _speaks(inner):
            return tuple(_spoken(value, role)), whole
        value, whole = inner, whole and inner_whole
    if value is mending.UNREADABLE:
        return _scraped(text, role), False
    if not _speaks(value):
        return tuple(_spoken(recorded, role)), whole
    found = []
    for message in _walk(value, role, 0):
        found.append(message)
        if len(found) >= _MOST:
            break
    return tuple(found), whole


def _speaks(value: Any) -> bool:
    """Return whether this is messages, and not an answer that happens to be JSON."""
    if isinstance(value, list):
        return not value or any(_speaks(one) for one in value[:3] if isinstance(one, dict | list))
    if not isinstance(value, dict):
        return False
    kind = _kind(value)
    if any(isinstance(value.get(key), list) and _speaks(value[key]) for key in _LISTS):
        return True
    if isinstance(value.get("message"), dict) or "lc" in value:
        return True
    if kind in _TYPES or (kind in _KNOWN_ROLES and "data" in value):
        return True
    if any(key in value for key in _TELLING):
        return True
    if value.keys() & _PARTS.keys() or value.keys() <= {"text", "thought", "thoughtSignature"}:
        return True
    return "content" in value and (
        len(value) == 1 or str(value.get("role")).lower() in _KNOWN_ROLES
    )


def _kind(value: dict[str, Any]) -> str:
    kind = value.get("type")
    return kind if isinstance(kind, str) else ""


def _walk(value: Any, role: str, depth: int) -> Iterator[Message]:
    """Yield the messages of a list, of what wraps one, or of one message; loose blocks as one."""
    if depth > _DEEPEST:
        return
    if isinstance(value, list):
        yield from _turns(value, role, depth)
    elif isinstance(value, dict):
        yield from _unwrapped(value, role, depth)
    elif value is not None:
        yield Message(role, str(value))


def _turns(items: list[Any], role: str, depth: int) -> Iterator[Message]:
    loose, whose = _Draft(), role
    for item in items:
        is_block = isinstance(item, str) or (isinstance(item, dict) and _is_block(item))
        turn = _speaker(item, role) if is_block else ""
        if loose != _Draft() and turn != whose:
            yield loose.done(whose)
            loose = _Draft()
        if is_block:
            _block(item, loose, depth + 1)
            whose = turn
        else:
            yield from _walk(item, role, depth + 1)
    if loose != _Draft():
        yield loose.done(whose)


def _speaker(block: Any, role: str) -> str:
    """Return who says a block that stands alone: a call is the model's, a result a tool's."""
    kind = _kind(block) if isinstance(block, dict) else ""
    if kind in _CALLS or kind in _THOUGHTS:
        return "assistant"
    return "tool" if kind in _RESULTS else role


def _is_block(item: dict[str, Any]) -> bool:
    if "role" in item or _kind(item) == "message" or isinstance(item.get("message"), dict):
        return False
    return _kind(item) in _TYPES or bool(item.keys() & _PARTS.keys()) or "text" in item


def _unwrapped(value: dict[str, Any], role: str, depth: int) -> Iterator[Message]:
    inner = value.get("message")
    if isinstance(inner, dict):
        yield from _unwrapped(inner, role, depth + 1) if depth <= _DEEPEST else ()
        return
    wrapped = [key for key in _LISTS if isinstance(value.get(key), list)]
    if wrapped and "role" not in value and "type" not in value:
        for key in _FIRST:
            if value.get(key):
                yield from _walk({"role": "system", "content": value[key]}, "system", depth + 1)
        for key in wrapped:
            yield from _walk(value[key], role, depth + 1)
        return
    if "lc" in value and isinstance(value.get("kwargs"), dict):
        name = value.get("id")
        kind = name[-1] if isinstance(name, list) and name else ""
        yield _message(value["kwargs"], _role(kind, role), depth)
    elif isinstance(value.get("data"), dict) and _role(value.get("type"), ""):
        yield _message(value["data"], _role(value["type"], role), depth)
    elif isinstance(value.get("content"), dict) and "parts" in value["content"]:
        yield from _unwrapped(value["content"], role, depth + 1) if depth <= _DEEPEST else ()
    else:
        yield _message(value, role, depth)


def _role(given: Any, default: str) -> str:
    if not isinstance(given, str) or not given:
        return default
    low = given.lower()[:40]
    if low in _KNOWN_ROLES:
        return _ROLES.get(low, low)
    return default


def _message(body: dict[str, Any], role: str, depth: int) -> Message:
    given = body.get("role")
    name = _role(given, "") or (given.lower()[:40] if isinstance(given, str) and given else "")
    kind = _kind(body)
    draft = _Draft()
    if not name and (kind in _TYPES - {"message"} or body.keys() & _PARTS.keys()):
        role = _speaker(body, role)
        _block(body, draft, depth + 1)
    else:
        role = name or _role(kind, role)
        _content(_first(body, ("content", "parts", "text", "message")), draft, depth + 1)
        draft.thoughts.append(_plain(body.get("reasoning_content")))
        # LangChain says the same call up to three times: as a block, a call, and an extra.
        for holder in (body, body.get("additional_kwargs")):
            if isinstance(holder, dict) and not draft.calls:
                _asked_tools(holder, draft)
    if role == "tool" and draft.texts and not draft.results:
        draft.results, draft.texts = ["\n".join(draft.texts)], []
    if isinstance(refusal := body.get("refusal"), str) and refusal:
        draft.texts.append(refusal)
        draft.refused = True
    return draft.done(role)


def _asked_tools(holder: dict[str, Any], draft: _Draft) -> None:
    calls = holder.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        if isinstance(call, dict):
            _call(call, draft)
    if isinstance(holder.get("function_call"), dict):
        _call(holder["function_call"], draft)


def _content(value: Any, draft: _Draft, depth: int) -> None:
    if depth > _DEEPEST:
        return
    for item in value if isinstance(value, list) else [value]:
        _block(item, draft, depth + 1)


def _block(block: Any, draft: _Draft, depth: int) -> None:
    """Add one block of a message's content."""
    if isinstance(block, str):
        draft.texts.append(block)
        return
    if isinstance(block, list):
        _content(block, draft, depth)
        return
    if not isinstance(block, dict):
        return
    kind = _kind(block)
    part = next((key for key in _PARTS if key in block and kind not in _TYPES), None)
    if part is not None:
        kind, block = _PARTS[part], block[part] if isinstance(block[part], dict) else {}
    if kind in _CALLS:
        _call(block, draft, bare=part is not None)
    elif kind in _RESULTS:
        draft.results.append(_plain(_first(block, ("content", "output", "result", "response"))))
    elif kind in _MEDIA:
        draft.media += 1
    elif kind in _THOUGHTS or block.get("thought") is True:
        told = _first(block, ("thinking", "reasoning", "text", "content", "summary"))
        draft.thoughts.append(_plain(told))
    elif kind == "refusal":
        draft.texts.append(_plain(block.get("refusal")))
        draft.refused = True
    else:
        _content(_first(block, ("text", "content", "value", "parts")), draft, depth + 1)


def _call(block: dict[str, Any], draft: _Draft, *, bare: bool = False) -> None:
    """Add a tool call; a definition of a tool has no arguments and is none."""
    inner = block.get("function")
    call = inner if isinstance(inner, dict) else block
    name = call.get("name")
    given: Any = next((call[key] for key in _ARGUMENTS if key in call), {} if bare else None)
    if isinstance(name, str) and given is not None:
        draft.calls.append(ToolCall(name, _json(given)))


def _json(value: Any) -> str:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return str(value)
    try:
        return json.dumps(value, sort_keys=True, ensure_ascii=False)
    except (ValueError, RecursionError):
        return "{}"


def _first(block: dict[str, Any], keys: tuple[str, ...]) -> Any:
    return next((block[key] for key in keys if block.get(key) is not None), None)


def _plain(value: Any, depth: int = 0) -> str:
    """Return the text of a tool's answer or a thought: its texts, or its JSON."""
    if isinstance(value, str):
        return value
    if value is None or depth > _DEEPEST:
        return ""
    if isinstance(value, list) and all(isinstance(one, dict | str) for one in value):
        return "\n".join(text for one in value if (text := _plain(one, depth + 1)))
    if isinstance(value, dict):
        for key in ("text", "content", "thinking", "output"):
            if isinstance(value.get(key), str | list):
                return _plain(value[key], depth + 1)
    return _json(value)


def _spoken(text: str, role: str) -> Iterator[Message]:
    """Yield plain text as one message, or as several when it is a dialogue that names its roles."""
    if not _SPOKEN.match(text):
        yield Message(role, text)
        return
    turns = list(_SPOKEN.finditer(text))[:_MOST]
    for turn, after in zip(turns, [*turns[1:], None], strict=True):
        said = text[turn.end() : after.start() if after else len(text)]
        who = _role(turn[1], role)
        tooled = who == "tool"
        yield Message(
            who, "" if tooled else said.strip(), results=(said.strip(),) if tooled else ()
        )


def _scraped(text: str, role: str) -> tuple[Message, ...]:
    calls = tuple(ToolCall(name, _json(given)) for name, given in _CALL.findall(text))
    texts = [_unescaped(found) for found in _STRING.findall(text)]
    if not calls and not texts:
        return (Message(role, text),)
    return (Message(role, "\n".join(texts), calls),)


def _unescaped(text: str) -> str:
    try:
        return str(json.loads(f'"{text}"', strict=False))
    except ValueError:
        return text
