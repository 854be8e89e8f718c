"""Reading what the wrappers record as prompts and answers, whatever provider's shape they have.

Never fails: a text that is cut off, or no JSON at all, is read as far as it goes.
"""

from __future__ import annotations

import json
import re
from typing import Any

__all__ = ["tool_calls"]

# In a text that was cut off: a name, and the arguments that follow it.
_CALL = re.compile(
    r'"name"\s*:\s*"([^"]*)"\s*,\s*"(?:arguments|input|args)"\s*:\s*("(?:[^"\\]|\\.)*"|\{[^{}]*\})'
)


def tool_calls(output: str) -> tuple[tuple[str, str], ...]:
    """Return the (name, arguments as JSON) of every tool call in an answer, in order.

    Reads OpenAI's ``function``, Anthropic's ``tool_use``, Gemini's ``functionCall`` and
    LangChain's ``tool_calls``.
    """
    try:
        found: list[tuple[str, str]] = []
        _walk(json.loads(output), found)
        return tuple(found)
    except ValueError:
        return tuple((name, text) for name, text in _CALL.findall(output))


def _walk(node: Any, found: list[tuple[str, str]]) -> None:
    if isinstance(node, list):
        for item in node:
            _walk(item, found)
    elif isinstance(node, dict):
        name = node.get("name")
        given = next((node[key] for key in ("arguments", "input", "args") if key in node), None)
        if isinstance(name, str) and given is not None:
            text = given if isinstance(given, str) else json.dumps(given, sort_keys=True)
            found.append((name, text))
            return
        for value in node.values():
            if isinstance(value, list | dict):
                _walk(value, found)
