"""What a client asks for, read without trust.

Only OpenAI's own fields go on to LiteLLM: others, such as an address or a key, would let a client
send the proxy's secrets where it likes.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from nightpane.router.refusal import Refusal
from nightpane.router.rules import AUTO, Model, Settings

__all__ = ["Asked", "read_asked", "read_json"]

_CHAT = frozenset(
    {
        *("messages", "temperature", "top_p", "n", "stop", "max_tokens", "max_completion_tokens"),
        *("presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "top_logprobs"),
        *("response_format", "seed", "tools", "tool_choice", "parallel_tool_calls", "user"),
        *("reasoning_effort", "verbosity", "modalities", "audio", "prediction", "service_tier"),
        *("functions", "function_call", "stream_options", "safety_identifier"),
        *("prompt_cache_key", "web_search_options"),
    }
)
# Fields whose wrong type LiteLLM would stumble over.
_TYPES: Mapping[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("temperature", "top_p"), (int, float)),
    **dict.fromkeys(("n", "max_tokens", "max_completion_tokens", "seed", "dimensions"), int),
    **dict.fromkeys(("tools", "functions", "modalities"), list),
    **dict.fromkeys(("response_format", "stream_options", "logit_bias", "metadata"), dict),
    **dict.fromkeys(("user", "model"), str),
    "input": (str, list),
    "messages": list,
    "stream": bool,
}
_EMBEDDING = frozenset({"input", "dimensions", "encoding_format", "user"})
# Read here and not sent on.
_OWN = frozenset({"model", "stream", "metadata", "store"})
_MAX_TASK_CHARS = 100
_CHARS_PER_TOKEN = 3
_PART_TOKENS = 2_000
_MOST_DEPTH = 64
_BODY_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request: what is sent on, and what decides where. ``input_tokens`` is a high estimate."""

    model: str
    task_type: str | None
    is_stream: bool
    wants_usage: bool
    is_embedding: bool
    params: Mapping[str, Any]
    input_tokens: int

    def most_output_tokens(self, model: Model) -> int:
        """Return how many tokens a model may answer with, as far as anyone said."""
        if self.is_embedding:
            return 0
        limits = (*self._limits(self.params), *self._limits(model.params))
        answers = self.params.get("n")
        answers = answers if isinstance(answers, int) and answers > 0 else 1
        return (limits[0] if limits else model.max_output_tokens) * answers

    @staticmethod
    def _limits(params: Mapping[str, Any]) -> list[int]:
        names = ("max_completion_tokens", "max_tokens")
        found = (params.get(name) for name in names)
        return [one for one in found if isinstance(one, int) and one > 0]


async def read_json(request: Request, limit_bytes: int) -> dict[str, Any]:
    """Return a request's JSON object.

    Raises Refusal: 413 when it is too large, 408 when it does not come in time, 400 for no object.
    """
    try:
        async with asyncio.timeout(_BODY_S):
            data = await _read_bytes(request, limit_bytes)
    except TimeoutError:
        text = f"the request did not come within {_BODY_S:g} s"
        raise Refusal(408, "invalid_request_error", "request_timeout", text) from None
    try:
        body = json.loads(data)
        if b"\\u" in data:
            # Half of a surrogate pair cannot be sent on.
            json.dumps(body, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict) or _too_deep(body):
        raise _wrong("the body is no JSON object that can be sent on")
    return body


def read_asked(
    body: Mapping[str, Any], header: str | None, settings: Settings, *, is_embedding: bool
) -> Asked:
    """Return what a body asks for; ``header`` is X-Task-Type. Raises Refusal (400)."""
    known = _EMBEDDING if is_embedding else _CHAT
    for name in body:
        if name not in known and name not in _OWN:
            raise _wrong(f"unrecognized request argument: {str(name)[:100]!r}", param=str(name))
    for name, kind in _TYPES.items():
        if body.get(name) is not None and not isinstance(body[name], kind):
            raise _wrong(f"{name!r} has the wrong type", param=name)
    required = "input" if is_embedding else "messages"
    if not body.get(required):
        raise _wrong(f"{required!r} is missing", param=required)
    if not is_embedding:
        _check_messages(body["messages"], settings)
    return Asked(
        model=body.get("model") or AUTO,
        task_type=_task_type(body, header),
        is_stream=body.get("stream") is True and not is_embedding,
        wants_usage=bool((body.get("stream_options") or {}).get("include_usage")),
        is_embedding=is_embedding,
        params={name: body[name] for name in body if name in known and body[name] is not None},
        input_tokens=_estimate({name: body[name] for name in body if name not in _OWN}),
    )


async def _read_bytes(request: Request, limit_bytes: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit_bytes:
            text = f"the request is larger than {limit_bytes} bytes, the limit here"
            raise Refusal(413, "invalid_request_error", "request_too_large", text)
        chunks.append(chunk)
    return b"".join(chunks)


def _too_deep(value: Any, left: int = _MOST_DEPTH) -> bool:
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return left == 0 or any(_too_deep(one, left - 1) for one in inner)


def _task_type(body: Mapping[str, Any], header: str | None) -> str | None:
    found = header or (body.get("metadata") or {}).get("task_type")
    if found is None or found == "":
        return None
    if not isinstance(found, str) or len(found) > _MAX_TASK_CHARS or not found.isprintable():
        raise _wrong(f"the task type is no text of at most {_MAX_TASK_CHARS} characters")
    return found


def _check_messages(messages: Any, settings: Settings) -> None:
    if not all(isinstance(one, dict) for one in messages):
        raise _wrong("'messages' holds what is no object", param="messages")
    if settings.allow_remote_urls:
        return
    for message in messages:
        content = message.get("content")
        for part in content if isinstance(content, list) else []:
            if _names_address(part):
                raise _wrong(
                    "a part of the content names an address: send a data: URL (for some providers "
                    "the proxy would have to fetch it; allow_remote_urls in the rules allows that)",
                    param="messages",
                )


def _names_address(part: Any) -> bool:
    """Tell whether a part names something to be fetched: an image, a file or a sound."""
    if not isinstance(part, dict) or part.get("type") == "text":
        return False
    found = [value for key, value in _texts(part) if key in ("url", "image_url", "file_id", "file")]
    return any(not value.startswith("data:") for value in found)


def _texts(value: Any, key: str = "") -> list[tuple[str, str]]:
    if isinstance(value, str):
        return [(key, value)]
    inner = value.items() if isinstance(value, dict) else ()
    return [one for name, below in inner for one in _texts(below, str(name))]


def _estimate(value: Any) -> int:
    """Return a high estimate of the tokens in what is sent on."""
    return math.ceil(_weight(value) / _CHARS_PER_TOKEN)


def _weight(value: Any) -> int:
    if isinstance(value, str):
        # A picture is billed by its size in pixels, not by its text.
        return (
            _PART_TOKENS * _CHARS_PER_TOKEN
            if value.startswith("data:")
            else len(value.encode("utf-8", "replace"))
        )
    if isinstance(value, Mapping):
        return sum(len(str(name)) + _weight(one) + 4 for name, one in value.items())
    if isinstance(value, Sequence):
        return sum(_weight(one) + 1 for one in value)
    return 6


def _wrong(message: str, *, param: str | None = None) -> Refusal:
    return Refusal(400, "invalid_request_error", "invalid_request", message, param=param)
