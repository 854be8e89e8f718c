"""The Slack poster: what is sent, and that the webhook's address is never told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from nightpane import slack
from nightpane.errors import ApiError, ConfigError, UnreachableError

SECRET = "/services/T000/B000/abcdefghijklmnopqrstuvwx"


class Webhook:
    """A stand-in for Slack on a loopback port; ``answer`` is what it says next."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.answer: tuple[int, str, dict[str, str]] = (200, "ok", {})
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                webhook.bodies.append(json.loads(self.rfile.read(length)))
                status, text, headers = webhook.answer
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}{SECRET}"


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    made = Webhook()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def test_a_text_and_blocks(webhook: Webhook) -> None:
    slack.post(webhook.url, slack.escape("a < b & <!channel>"))
    block = {"type": "section", "text": {"type": "mrkdwn", "text": "x"}}
    slack.post(webhook.url, [block], text="short")
    assert webhook.bodies == [
        {"text": "a &lt; b &amp; &lt;!channel&gt;"},
        {"text": "short", "blocks": [block]},
    ]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((404, "no_service", {}), "404: no_service"),
        ((500, f"<html>{SECRET}</html>", {}), "500;"),
        ((302, "", {"Location": "http://127.0.0.1:9/elsewhere"}), "302;"),
    ],
)
def test_a_refusal_is_told_without_the_address(
    webhook: Webhook, answer: tuple[int, str, dict[str, str]], told: str
) -> None:
    webhook.answer = answer
    with pytest.raises(ApiError, match=told) as caught:
        slack.post(webhook.url, "x")
    assert "services" not in str(caught.value)
    assert len(webhook.bodies) == 1


def test_no_answer_is_told_without_the_address() -> None:
    with pytest.raises(UnreachableError) as caught:
        slack.post(f"http://127.0.0.1:9{SECRET}", "x")
    assert "services" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "url", ["", "ftp://x/y", "http://hooks.slack.com/services/T/B/s", "http://["]
)
def test_an_unusable_address(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        slack.post(url, "x")
    assert "services" not in str(caught.value)


def test_the_address_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(slack.ADDRESS_ENV, raising=False)
    with pytest.raises(ConfigError, match=slack.ADDRESS_ENV):
        slack.address("-")
    monkeypatch.setenv(slack.ADDRESS_ENV, "https://hooks.slack.com/services/x")
    assert slack.address("-") == "https://hooks.slack.com/services/x"
    assert slack.address("https://a/b") == "https://a/b"
