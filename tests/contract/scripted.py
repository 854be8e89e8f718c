"""A PostHog on loopback that answers as it is told and remembers what it was asked."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

__all__ = ["OK", "Answer", "Request", "Scripted", "scripted"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request is answered."""

    status: int = 200
    body: str = '{"status":1}'
    headers: Mapping[str, str] = field(default_factory=dict)


OK = Answer()


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked: its body as it is within any compression."""

    at: float
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: dict[str, Any]

    @property
    def batch(self) -> list[dict[str, Any]]:
        """The events of a capture request."""
        found: list[dict[str, Any]] = self.body["batch"]
        return found


class Scripted:
    """The server's other end: its address, its script, what it was asked."""

    def __init__(self) -> None:
        self.host = ""
        self.script: list[Answer] = []
        self.requests: list[Request] = []

    def to(self, path: str) -> list[Request]:
        """Return the requests to a path, with or without a slash at its end."""
        return [one for one in self.requests if one.path.rstrip("/") == path]


@contextmanager
def scripted() -> Iterator[Scripted]:
    """Serve on a free loopback port; without a script every answer is PostHog's 200."""
    told = Scripted()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Content-Encoding") == "gzip":
                raw = gzip.decompress(raw)
            url = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            told.requests.append(
                Request(time.monotonic(), url.path, parse_qs(url.query), headers, json.loads(raw))
            )
            answer = told.script.pop(0) if told.script else OK
            body = answer.body.encode()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    told.host = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
