"""The query client against a scripted HTTP server: what it retries, waits out and says."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from nightpane.config import Settings, load
from nightpane.errors import ApiError, ConfigError, UnreachableError
from nightpane.query import QueryClient

GOOD = {
    "columns": ["n"],
    "types": [["n", "UInt64"]],
    "results": [[3]],
    "hasMore": False,
    "limit": 100,
}


class Script(ThreadingHTTPServer):
    """Answers each request with the next (status, headers, body) and keeps what it was sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[tuple[int, dict[str, str], Any]] = []
        self.seen: list[dict[str, Any]] = []

    @property
    def host(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Script

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        body = json.loads(self.rfile.read(length))
        self.server.seen.append({"path": self.path, "headers": dict(self.headers), "body": body})
        status, headers, answer = self.server.answers.pop(0)
        text = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def script() -> Iterator[Script]:
    with Script() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def client(script: Script, slept: list[float]) -> QueryClient:
    return QueryClient(script.host, "1", "phx_key", sleep=slept.append)


def test_rows_come_back_and_the_request_is_posthogs(script: Script) -> None:
    script.answers = [(200, {}, GOOD)]
    result = client(script, []).hogql("SELECT {x}", {"x": 3})
    assert result.dicts() == [{"n": 3}]
    assert (result.types, result.has_more, result.limit) == (["UInt64"], False, 100)
    assert script.seen[0]["path"] == "/api/projects/1/query/"
    assert script.seen[0]["headers"]["Authorization"] == "Bearer phx_key"
    assert script.seen[0]["body"] == {
        "query": {"kind": "HogQLQuery", "query": "SELECT {x}", "values": {"x": 3}}
    }


def test_retry_after_is_waited_out(script: Script) -> None:
    script.answers = [(429, {"Retry-After": "7"}, {}), (503, {}, {}), (200, {}, GOOD)]
    slept: list[float] = []
    assert client(script, slept).hogql("SELECT 1").rows == [[3]]
    assert slept[0] == 7.0
    assert 0 < slept[1] <= 60


def test_a_limit_that_stays_is_said_at_last(script: Script) -> None:
    script.answers = [(429, {"Retry-After": "soon"}, {"detail": "slow down"})] * 4
    with pytest.raises(ApiError, match="answered 429: slow down"):
        client(script, []).hogql("SELECT 1")


def test_posthogs_words_for_a_refused_query_come_through(script: Script) -> None:
    body = {"type": "validation_error", "code": "hogql_error", "detail": 'Unknown table "x".'}
    script.answers = [(400, {}, body)]
    with pytest.raises(ApiError) as caught:
        client(script, []).hogql("SELECT * FROM x")
    assert str(caught.value) == 'Unknown table "x".'
    assert (caught.value.status, caught.value.code, caught.value.exit_code) == (
        400,
        "hogql_error",
        2,
    )


@pytest.mark.parametrize("answer", [(401, {}, {"detail": "Invalid key"}), (502, {}, b"<html>")])
def test_other_answers_are_named(script: Script, answer: tuple[int, dict[str, str], Any]) -> None:
    script.answers = [answer] * 4
    with pytest.raises(ApiError, match=f"answered {answer[0]}"):
        client(script, []).hogql("SELECT 1")


def test_an_answer_that_is_no_json_is_an_error(script: Script) -> None:
    script.answers = [(200, {}, b"hello")]
    with pytest.raises(ApiError, match="answered 200: hello"):
        client(script, []).hogql("SELECT 1")


def test_nobody_there() -> None:
    with pytest.raises(UnreachableError, match="nightpane up"):
        QueryClient("http://127.0.0.1:9", "1", "phx_key").hogql("SELECT 1")


def test_what_is_missing_is_named(tmp_path: Any) -> None:
    def settings(**given: str) -> Settings:
        return load(environ={}, cwd=tmp_path, find_server=False, **given)

    with pytest.raises(UnreachableError, match="set POSTHOG_HOST"):
        QueryClient.from_settings(settings())
    with pytest.raises(ConfigError, match="POSTHOG_PERSONAL_API_KEY"):
        QueryClient.from_settings(settings(host="http://127.0.0.1:1", api_key="phc_x"))
    # POSTHOG_API_KEY may hold the personal key, as in scripts that only read.
    read_only = settings(host="http://127.0.0.1:1", api_key="phx_x")
    assert QueryClient.from_settings(read_only).project_id == "@current"
