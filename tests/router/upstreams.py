"""Small OpenAI-compatible servers that count, fail, stream and stall as a test says."""

from __future__ import annotations

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USAGE = {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}


class Fake(ThreadingHTTPServer):
    """One provider. ``mode``: ok, cut (a stream ends in the middle), tools-cut (of a
    tool's call), stall, hold, or a status.

    ``hold`` waits for ``let_go``; ``seen`` are the bodies that came, ``keys`` their authorizations.
    """

    daemon_threads = True

    def __init__(self, name: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.name = name
        self.mode = "ok"
        self.seen: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.let_go = threading.Event()
        self.message = "broken"
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def reset(self) -> None:
        self.mode, self.message = "ok", "broken"
        self.seen.clear()
        self.keys.clear()
        self.let_go.clear()

    def close(self) -> None:
        self.let_go.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is what some tests do."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Fake

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        fake = self.server
        fake.seen.append(body)
        fake.keys.append(self.headers.get("authorization", ""))
        if fake.mode in ("stall", "hold"):
            fake.let_go.wait(30 if fake.mode == "hold" else 3)
        if fake.mode.isdigit():
            self._json(int(fake.mode), {"error": {"message": fake.message, "type": "x"}})
        elif self.path.endswith("/embeddings"):
            data = [{"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}]
            usage = {"prompt_tokens": 10, "total_tokens": 10}
            self._json(200, {"object": "list", "model": fake.name, "data": data, "usage": usage})
        elif body.get("stream"):
            self._stream(fake)
        else:
            message = {"role": "assistant", "content": f"I am {fake.name}."}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            self._json(200, {**_base(fake, "chat.completion"), "choices": [choice], "usage": USAGE})

    def _stream(self, fake: Fake) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        base = _base(fake, "chat.completion.chunk")
        for word in ("I ", "am ", f"{fake.name}."):
            delta: dict[str, Any] = {"role": "assistant", "content": word}
            if fake.mode == "tools-cut":
                function = {"name": "look", "arguments": "{"}
                one = {"index": 0, "id": "t", "type": "function", "function": function}
                delta = {"role": "assistant", "tool_calls": [one]}
            self._piece({**base, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
            if fake.mode in ("cut", "tools-cut"):
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
        self._piece({**base, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        self._piece({**base, "choices": [], "usage": USAGE})
        self._piece("[DONE]")
        self.wfile.write(b"0\r\n\r\n")

    def _piece(self, value: Any) -> None:
        text = value if isinstance(value, str) else json.dumps(value)
        data = f"data: {text}\n\n".encode()
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def _json(self, status: int, value: Any) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _base(fake: Fake, kind: str) -> dict[str, Any]:
    return {"id": f"c-{fake.name}", "object": kind, "created": 1, "model": fake.name}
