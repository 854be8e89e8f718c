"""Which tools a model called, read from its answer in any of the shapes providers give it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from nightpane.store.json_text import loads

__all__ = ["called_tools"]

_MAX_NAME_CHARS = 200
_MAX_TOOLS = 100
_MAX_TEXT_CHARS = 500_000
_CALLED = "$ai_tools_called"
_COUNT = "$ai_tool_call_count"
_SIGNS = ("tool_call", "tool_use", "function_call", '"function"', "tool-call")
# How OpenAI's Agents SDK prints a call in Python.
_PRINTED = re.compile(r"ResponseFunctionToolCall\([^)]*name='([^']+)'")


def called_tools(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``$ai_tools_called`` (names with commas between, in the order of the calls) and
    ``$ai_tool_call_count``; what the client said of them stands. Empty without any call.
    """
    said = properties.get(_CALLED)
    if said is not None:
        text = _said(said)
        if text is None:
            return {_CALLED: None}
        count = len([name for name in text.split(",") if name.strip()])
        return {_CALLED: text, _COUNT: _or(properties.get(_COUNT), count)}
    names = [_clean(name) for name in _names(properties.get("$ai_output_choices"))]
    kept = [name for name in names if name][:_MAX_TOOLS]
    return {_CALLED: ",".join(kept), _COUNT: len(kept)} if kept else {}


def _or(value: Any, default: int) -> Any:
    return default if value is None else value


def _said(value: Any) -> str | None:
    """Return the client's own list of tools as text; None when it names none."""
    names = value
    if isinstance(value, str):
        names = _parsed(value) if value.strip().startswith("[") else None
        if not isinstance(names, list):
            return value if value.strip() else None
    if not isinstance(names, list):
        return str(value)
    cleaned = [_clean(name) for name in names if isinstance(name, str)]
    return ",".join(name for name in cleaned if name) or None


def _names(answer: Any) -> Iterator[str]:
    if isinstance(answer, str):
        if len(answer) > _MAX_TEXT_CHARS or not any(sign in answer for sign in _SIGNS):
            printed = _PRINTED.findall(answer[:_MAX_TEXT_CHARS])
            yield from printed
            return
        found = list(_names(_parsed(answer)))
        yield from found or _PRINTED.findall(answer)
        return
    if isinstance(answer, Mapping):
        answer = answer.get("choices")
    for choice in answer if isinstance(answer, list) else ():
        if isinstance(choice, Mapping):
            yield from _of_choice(choice)


def _of_choice(choice: Mapping[str, Any]) -> Iterator[str]:
    if choice.get("type") == "function_call" and isinstance(choice.get("name"), str):
        yield choice["name"]
        return
    inner = choice.get("message")
    message = inner if isinstance(inner, Mapping) else choice
    for call in _items(message, "tool_calls"):
        yield from _function(call)
    for key in ("content", "parts"):
        for part in _items(message, key):
            kind = part.get("type")
            if kind in ("tool_call", "tool_use") and isinstance(part.get("name"), str):
                yield part["name"]
            elif kind in ("function", "tool-call"):
                yield from _function(part)


def _function(call: Mapping[str, Any]) -> Iterator[str]:
    function = call.get("function")
    if isinstance(function, Mapping) and isinstance(function.get("name"), str):
        yield function["name"]


def _items(message: Mapping[str, Any], key: str) -> Iterator[Mapping[str, Any]]:
    items = message.get(key)
    for item in items if isinstance(items, list) else ():
        if isinstance(item, Mapping):
            yield item


def _clean(name: str) -> str:
    return name.strip().replace(",", "_")[:_MAX_NAME_CHARS]


def _parsed(text: str) -> Any:
    try:
        return loads(text.encode("utf-8", "replace"))
    except ValueError:
        return None
