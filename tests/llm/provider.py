"""A model provider on loopback: the shapes of OpenAI's, Anthropic's and Gemini's protocols.

The answers were taken down from the providers' API references. What a request asks for by its
model's name happens: ``…-fails`` answers 429 with a secret in its text, ``…-flaky`` fails once,
``…-breaks`` ends a stream in the middle, ``…-odd`` sends what no provider would, ``…-waits`` does
not answer until the test says so.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ANSWER = "Try a warm-up of 200 steps."
TOOL_ARGUMENTS = '{"path": "train.py"}'


class Provider:
    """The running server: ``host``, and every request it got."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.failed: set[str] = set()
        self.go = threading.Event()
        self.error_text = "Rate limit reached"
        handler = type("Handler", (_Handler,), {"provider": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.host = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        self.go.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def headers(self) -> dict[str, str]:
        """Those of the last request, names in lower case."""
        return self.requests[-1][1]


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that went away."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    provider: Provider

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.provider.requests.append((self.path, headers, body))
        model = str(body.get("model") or self.path)
        if "-fails" in model or ("-flaky" in model and model not in self.provider.failed):
            self.provider.failed.add(model)
            self._json(429, {"error": {"message": self.provider.error_text, "type": "rate_limit"}})
            return
        if "-waits" in model:
            self.provider.go.wait(20)
        self._answer(self.path.split("?")[0], body, model)

    def _answer(self, path: str, body: dict[str, Any], model: str) -> None:
        if path.endswith("/chat/completions"):
            stream = chat_stream(model) if body.get("stream") else None
            self._say(stream, chat(model, tools="tools" in body), model)
        elif path.endswith("/responses"):
            self._say(
                response_stream(model) if body.get("stream") else None, response(model), model
            )
        elif path.endswith("/embeddings"):
            self._json(200, embedding(model))
        elif path.endswith("/messages"):
            stream = message_stream(model) if body.get("stream") else None
            self._say(stream, message(model, tools="tools" in body), model)
        elif path.endswith(":generateContent"):
            self._json(200, gemini(ANSWER))
        elif path.endswith(":streamGenerateContent"):
            self._say(gemini_stream(), {}, model)
        elif path.endswith(":batchEmbedContents"):
            self._json(200, {"embeddings": [{"values": [0.1, 0.2]}]})
        else:
            self._json(404, {"error": {"message": f"no such path {path}"}})

    def _say(self, stream: Iterator[str] | None, whole: dict[str, Any], model: str) -> None:
        if stream is None:
            self._json(200, {"choices": 5, "usage": "much"} if "-odd" in model else whole)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for at, part in enumerate(stream):
            if "-breaks" in model and at == 2:
                self.close_connection = True
                return
            data = part.encode()
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")

    def _json(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("x-request-id", "req_123")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def chat(model: str, *, tools: bool = False) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": ANSWER, "refusal": None}
    if tools:
        call = {"name": "read_file", "arguments": TOOL_ARGUMENTS}
        message["content"] = None
        message["tool_calls"] = [{"id": "call_1", "type": "function", "function": call}]
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_750_000_000,
        "model": model,
        "service_tier": "default",
        "choices": [
            {
                "index": 0,
                "message": message,
                "logprobs": None,
                "finish_reason": "tool_calls" if tools else "stop",
            }
        ],
        "usage": USAGE,
    }


USAGE = {
    "prompt_tokens": 120,
    "completion_tokens": 30,
    "total_tokens": 150,
    "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 8, "audio_tokens": 0},
}


def _sse(data: Any, event: str | None = None) -> str:
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {data if isinstance(data, str) else json.dumps(data)}\n\n"


def chat_stream(model: str) -> Iterator[str]:
    base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model}
    deltas: list[Any] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": word + " "} for word in ANSWER.split()]
    if "-odd" in model:
        deltas[3] = {"content": 7, "tool_calls": "none"}
    for delta in deltas:
        yield _sse({**base, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    yield _sse({**base, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    yield _sse({**base, "choices": [], "usage": USAGE})
    yield _sse("[DONE]")


def response(model: str) -> dict[str, Any]:
    text = {"type": "output_text", "text": ANSWER, "annotations": []}
    output = {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant"}
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_750_000_000,
        "status": "completed",
        "model": model,
        "output": [{**output, "content": [text]}],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": 120,
            "input_tokens_details": {"cached_tokens": 64},
            "output_tokens": 30,
            "output_tokens_details": {"reasoning_tokens": 8},
            "total_tokens": 150,
        },
    }


def response_stream(model: str) -> Iterator[str]:
    whole = response(model)
    (item,) = whole["output"]
    (part,) = item["content"]
    began = {**whole, "status": "in_progress", "output": [], "usage": None}
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": began},
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {**item, "status": "in_progress", "content": []},
        },
        {"type": "response.content_part.added", **place, "part": {**part, "text": ""}},
        {"type": "response.output_text.delta", **place, "delta": ANSWER, "logprobs": []},
        {"type": "response.output_text.done", **place, "text": ANSWER, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": whole},
    ]
    for number, event in enumerate(events):
        yield _sse({**event, "sequence_number": number}, event["type"])


def embedding(model: str) -> dict[str, Any]:
    return {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}],
        "model": model,
        "usage": {"prompt_tokens": 9, "total_tokens": 9},
    }


MESSAGE_USAGE = {
    "input_tokens": 50,
    "cache_creation_input_tokens": 20,
    "cache_read_input_tokens": 400,
    "output_tokens": 30,
}


def message(model: str, *, tools: bool = False) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"type": "text", "text": ANSWER}]
    if tools:
        use = {"type": "tool_use", "id": "toolu_1", "name": "read_file"}
        content.append({**use, "input": json.loads(TOOL_ARGUMENTS)})
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": "tool_use" if tools else "end_turn",
        "stop_sequence": None,
        "usage": MESSAGE_USAGE,
    }


def message_stream(model: str) -> Iterator[str]:
    usage = {**MESSAGE_USAGE, "output_tokens": 1}
    began = {**message(model), "content": [], "stop_reason": None, "usage": usage}
    yield _sse({"type": "message_start", "message": began}, "message_start")
    block = {"type": "text", "text": ""}
    start = {"type": "content_block_start", "index": 0, "content_block": block}
    yield _sse(start, "content_block_start")
    for word in ANSWER.split():
        delta = {"type": "text_delta", "text": word + " "}
        event = {"type": "content_block_delta", "index": 0, "delta": delta}
        yield _sse(event, "content_block_delta")
    yield _sse({"type": "content_block_stop", "index": 0}, "content_block_stop")
    end = {"stop_reason": "end_turn", "stop_sequence": None}
    event = {"type": "message_delta", "delta": end, "usage": {"output_tokens": 30}}
    yield _sse(event, "message_delta")
    yield _sse({"type": "message_stop"}, "message_stop")


def gemini(text: str, reason: str | None = "STOP") -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": [{"text": text}]}}
    if reason:
        candidate |= {"finishReason": reason, "index": 0}
    usage = {
        "promptTokenCount": 120,
        "candidatesTokenCount": 30,
        "totalTokenCount": 150,
        "cachedContentTokenCount": 64,
        "thoughtsTokenCount": 8,
    }
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-2.5-flash"}


def gemini_stream() -> Iterator[str]:
    words = ANSWER.split()
    for at, word in enumerate(words):
        yield _sse(gemini(word + " ", "STOP" if at == len(words) - 1 else None))
