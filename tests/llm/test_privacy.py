"""Two hundred planted secrets, and privacy mode: down to the bytes on disk and on the wire."""

from __future__ import annotations

import gzip
import json
import logging
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
import requests
from google import genai
from tests.client.support import Network, spooled_bytes
from tests.llm.planted import SECRETS, Secret
from tests.llm.provider import ANSWER, Provider

import nightpane
from nightpane.client.transport import HttpTransport
from nightpane.client.verdicts import Response
from nightpane.llm import wrap
from nightpane.testing import LocalServer

CHANCE = random.Random(3)
Make = Callable[..., nightpane.Pane]


class Wire(HttpTransport):
    """The real transport, which keeps every body it sends."""

    def __init__(self) -> None:
        super().__init__()
        self.bodies: list[bytes] = []

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Response:
        self.bodies.append(gzip.decompress(body))
        return super().post(url, body, headers)


def leaks(text: str) -> list[str]:
    """Return the kinds of secrets of which nine characters in a row are found in a text."""
    known = {text[at : at + 9] for at in range(len(text) - 8)}
    return [one.kind for one in SECRETS if known & set(chunks(one))]


def chunks(secret: Secret) -> Iterator[str]:
    """Yield the pieces of a secret that tell something of it, not of its kind."""
    bare = secret.bare[8:] if len(secret.bare) > 24 else secret.bare
    for at in range(max(1, len(bare) - 8)):
        yield bare[at : at + 9]


@pytest.fixture
def client(provider: Provider) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key="k", base_url=provider.host + "/v1", max_retries=0) as made:
        yield made


def test_there_are_two_hundred() -> None:
    assert len(SECRETS) == 200
    assert len({one.bare for one in SECRETS}) == 200
    assert leaks("\n".join(one.text for one in SECRETS)) == [one.kind for one in SECRETS]


def plant(
    pane: nightpane.Pane, client: openai.OpenAI, provider: Provider, some: Sequence[Secret]
) -> None:
    """Put secrets wherever a loop may put one."""
    messages: Any = [message for one in some for message in told(one)]
    texts = [one.text for one in some]
    error_text = "\n".join(texts)
    with pane.run(agent="coder") as run, run.round() as round_:
        client.chat.completions.create(model="gpt-x", messages=messages)
        provider.error_text = error_text
        with pytest.raises(openai.RateLimitError):
            client.chat.completions.create(model="gpt-fails", messages=messages, stream=True)
        round_.observe("log", texts)
        for text in texts:
            with pytest.raises(ValueError, match=re.escape(text)), round_.tool("read", {"q": text}):
                raise ValueError(text)
            with round_.tool("write", text) as step:
                step.returns({"headers": {"X": text}, "lines": text.splitlines()})
            round_.plan(text)
            nested = [{"deep": {"deeper": [text, json.dumps({"deepest": text})]}}]
            round_.track("own event", note=text, nested=nested, bad=object())
        try:
            raise RuntimeError(error_text)
        except RuntimeError as error:
            pane.posthog.capture_exception(error)
        round_.revert("invalid", reason=texts[0])


def told(secret: Secret) -> Iterator[dict[str, Any]]:
    """Yield messages that tell a secret: plainly, split over parts, in JSON in JSON."""
    text = secret.text
    cut = text.index(secret.bare) + 1 + CHANCE.randrange(len(secret.bare) - 1)
    yield {"role": "system", "content": text}
    parts = [{"type": "text", "text": text[:cut]}, {"type": "text", "text": text[cut:]}]
    yield {"role": "user", "content": parts}
    yield {"role": "user", "content": json.dumps({"note": json.dumps({"deep": text})})}


def test_no_planted_secret_is_found_anywhere(
    server: LocalServer,
    client: openai.OpenAI,
    provider: Provider,
    tmp_path: Path,
    make_pane: Make,
    caplog: pytest.LogCaptureFixture,
) -> None:
    wire = Wire()
    pane = make_pane(
        host=server.host, api_key=server.api_key, spool_dir=tmp_path / "spool", transport=wire
    )
    wrap(client, pane)
    with caplog.at_level(logging.INFO, logger="nightpane"):
        for at in range(0, len(SECRETS), 20):
            plant(pane, client, provider, SECRETS[at : at + 20])
        assert pane.flush(60)
    assert pane.health().not_written == {}
    assert leaks(spooled_bytes(tmp_path / "spool").decode("utf-8", "replace")) == []
    sent = b"\n".join(wire.bodies).decode()
    assert leaks(sent) == []
    assert sent.count("[redacted:") > 200 * 10
    assert leaks(caplog.text) == []
    assert leaks(server.log) == []
    stored = stored_text(server)
    assert stored.count('"event":"$ai_generation"') == 20
    assert leaks(stored) == []
    assert leaks(page_text(server)) == []


def stored_text(server: LocalServer) -> str:
    """Return everything the store can be asked for."""
    found: list[Any] = []
    for at in range(0, 20_000, 2_000):
        rows = server.query().hogql(
            "select event, distinct_id, properties from events "
            f"order by uuid limit 2000 offset {at}"
        )
        found += [f'"event":"{name}" {one} {properties}' for name, one, properties in rows.rows]
    found += server.query().hogql("select id, properties from persons limit 10000").rows
    return "\n".join(str(one) for one in found)


def page_text(server: LocalServer) -> str:
    """Return what the page gets to show."""
    keys = json.loads((server.data_dir / "keys.json").read_text("utf-8"))
    with requests.Session() as browser:
        answers = [browser.get(f"{server.host}/?token={keys['page_token']}", timeout=60)]
        for path in ("/pane/digest", "/pane/boards"):
            answers.append(browser.get(server.host + path, timeout=60))  # noqa: PERF401
    assert [answer.status_code for answer in answers] == [200] * 3
    return "\n".join(answer.text for answer in answers)


@pytest.mark.parametrize(
    "text",
    [
        "The token budget is 4096 tokens: keep max_tokens=1024 and n=3.",
        "def login(password: str, token: Token) -> None: self.password = password",
        "api_key=os.environ['OPENAI_API_KEY'], secret=settings.secret_key",
        "for token in tokens: token = tokenizer.decode(token_ids[0])",
        "See https://example.com/a?key&b and https://example.com:8080/x@2.",
        "The authorization: required for all endpoints of section 2.1.10.",
        "commit 1f0c9e7d5b3a1f0c9e7d5b3a1f0c9e7d5b3a1f0c of round 01J9ZQ3V9K8Y7X6W5V4T3S2R1Q",
        "uuid 0190c9e7-5b3a-7f0c-9e7d-5b3a1f0c9e7d, sha256:9f86d081884c7d659a2feaa0c55ad015",
        "loss: 0.1234, token: 17, secret sauce: none, key: value, keyboard: qwerty",
        '{"token": "running", "logprob": -0.1}, {"tokens": [1, 2, 3]}',
        "lr=0.0003 --token-budget 5000000 --keys-per-batch 1000000",
    ],
)
def test_what_loops_say_of_tokens_and_keys_stays(
    make_pane: Make, network: Network, text: str
) -> None:
    pane = make_pane(transport=network)
    pane.track("hello", agent="a", note=text, parts=[{"text": text[:20]}, {"text": text[20:]}])
    assert pane.flush()
    (found,) = network.named("hello")
    assert found["note"] == text
    assert "".join(part["text"] for part in found["parts"]) == text


@pytest.mark.parametrize(
    "headers",
    [
        [["x-api-key", "Quite5Harmless7"], ["accept", "*/*"]],
        [{"name": "Authorization", "value": "Quite5Harmless7"}],
        [{"key": "client_secret", "value": "Quite5Harmless7", "enabled": True}],
        {"X-Api-Key": "Quite5Harmless7", "accept": ["*/*"]},
        [("cookie", b"Quite5Harmless7")],
    ],
    ids=str,
)
def test_headers_in_any_form_are_masked(make_pane: Make, network: Network, headers: Any) -> None:
    pane = make_pane(transport=network)
    pane.track("hello", agent="a", headers=headers)
    assert pane.flush()
    assert "Quite5Harmless7" not in str(network.events)
    assert "[redacted:key]" in str(network.events)


SECRET_TEXT = "the plan nobody may read"
ASKED: Any = [{"role": "user", "content": SECRET_TEXT}]
TOOLS: Any = [{"type": "function", "function": {"name": "f", "description": SECRET_TEXT}}]


def calls(provider: Provider, pane: nightpane.Pane, **options: Any) -> None:
    """Call each provider, streaming and failing, with a text that must stay private."""
    with (
        openai.OpenAI(api_key="k", base_url=provider.host + "/v1", max_retries=0) as gpt,
        anthropic.Anthropic(api_key="k", base_url=provider.host, max_retries=0) as claude,
        genai.Client(api_key="k", http_options={"base_url": provider.host}) as gemini,
    ):
        for client in (gpt, claude, gemini):
            wrap(client, pane)
        chat = {"model": "gpt-x", "messages": ASKED, "tools": TOOLS, **options}
        gpt.chat.completions.create(**chat)
        list(gpt.chat.completions.create(**chat, stream=True))
        gpt.responses.create(model="gpt-x", input=SECRET_TEXT, instructions=SECRET_TEXT, **options)
        gpt.embeddings.create(model="emb", input=SECRET_TEXT, **options)
        provider.error_text = f"cannot read {SECRET_TEXT}"
        with pytest.raises(openai.RateLimitError):
            gpt.chat.completions.create(**{**chat, "model": "gpt-fails"})
        asked = {"max_tokens": 9, "messages": ASKED, "system": SECRET_TEXT, **options}
        claude.messages.create(model="claude-x", **asked)
        list(claude.messages.create(model="claude-x", **asked, stream=True))
        with claude.messages.stream(model="claude-x", **asked) as stream:
            stream.get_final_text()
        gemini.models.generate_content(model="gemini-x", contents=SECRET_TEXT, **options)
        list(gemini.models.generate_content_stream(model="g", contents=SECRET_TEXT, **options))


@pytest.mark.parametrize(
    ("of_pane", "of_call"),
    [({"privacy_mode": True}, {}), ({}, {"posthog_privacy_mode": True})],
    ids=["pane", "call"],
)
def test_privacy_mode_leaves_contents_out_of_disk_and_wire(
    make_pane: Make,
    network: Network,
    provider: Provider,
    tmp_path: Path,
    of_pane: dict[str, Any],
    of_call: dict[str, Any],
) -> None:
    pane = make_pane(spool_dir=tmp_path / "private", transport=network, **of_pane)
    with pane.run(agent="coder") as run, run.round() as round_:
        calls(provider, pane, **of_call)
        round_.keep()
    assert pane.flush()
    everything = spooled_bytes(tmp_path / "private").decode("utf-8", "replace") + json.dumps(
        network.events
    )
    assert SECRET_TEXT not in everything
    assert ANSWER.split()[2] not in everything
    found = network.named("$ai_generation") + network.named("$ai_embedding")
    assert len(found) == 10
    assert all(one["$ai_input"] is None for one in found)
    assert [one["$ai_error"] for one in found if "$ai_error" in one] == [
        "RateLimitError: 429 rate_limit request_id=req_123 (caused by HTTPStatusError)"
    ]
    # What is no content stays.
    assert sum(one.get("$ai_output_tokens") or 0 for one in found) == 8 * 30


def test_a_call_cannot_lift_the_panes_privacy(
    make_pane: Make, network: Network, provider: Provider
) -> None:
    pane = make_pane(privacy_mode=True, transport=network)
    calls(provider, pane, posthog_privacy_mode=False)
    assert pane.flush()
    assert SECRET_TEXT not in str(network.events)


def test_a_callable_redacts_a_model_call(
    make_pane: Make, network: Network, provider: Provider, client: openai.OpenAI, tmp_path: Path
) -> None:
    def without_names(event: dict[str, Any]) -> dict[str, Any]:
        text = json.dumps(event["properties"]).replace("Grace Hopper", "(name)")
        return {**event, "properties": json.loads(text)}

    pane = make_pane(
        spool_dir=tmp_path / "selective",
        transport=network,
        redact=[without_names, "internal_note"],
    )
    wrap(client, pane)
    client.chat.completions.create(
        model="gpt-x",
        messages=[{"role": "user", "content": "Ask Grace Hopper about it."}],
        posthog_properties={"internal_note": "do not ask"},
    )
    assert pane.flush()
    (found,) = network.named("$ai_generation")
    assert found["$ai_input"][0]["content"] == "Ask (name) about it."
    assert found["internal_note"] == "[redacted:key]"
    on_disk = spooled_bytes(tmp_path / "selective")
    assert b"Hopper" not in on_disk
    assert b"do not ask" not in on_disk
