"""No secret reaches the disk: by property name, by look, by callable, in privacy mode."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.client.support import Network, spooled_bytes

import nightpane
from nightpane.client.redact import mask_text, may_hold_secret
from nightpane.client.secret_rules import VALUE_RULES

Make = Callable[..., nightpane.Pane]

# Each is assembled from parts, so that no scanner takes this file for a leak.
SECRETS = {
    "anthropic_key": "sk-ant-" + "api03-Ab1Cd2Ef3Gh4Ij5Kl6Mn7Op8",
    "provider_key": "sk-" + "proj-Ab1Cd2Ef3Gh4Ij5Kl6Mn7Op8",
    "posthog_key": "phx_" + "Ab1Cd2Ef3Gh4Ij5Kl6Mn7Op8Qr9",
    "github_token": "ghp_" + "Ab1Cd2Ef3Gh4Ij5Kl6Mn7Op8Qr9St0Uv1Wx2",
    "github_pat": "github_pat_" + "11ABCDEFG0Ab1Cd2Ef3Gh4_Ij5Kl6Mn7Op8Qr9",
    "gitlab_token": "glpat-" + "Ab1Cd2Ef3Gh4Ij5Kl6Mn",
    "aws_key": "AKIA" + "IOSFODNN7EXAMPLE",
    "aws_session_key": "ASIA" + "IOSFODNN7EXAMPLE",
    "google_key": "AIza" + "SyAb1Cd2Ef3Gh4Ij5Kl6Mn7Op8Qr9St0Uv1",
    "slack_token": "xoxb-" + "123456789012-Ab1Cd2Ef3Gh4",
    "stripe_key": "sk_live_" + "Ab1Cd2Ef3Gh4Ij5Kl6Mn",
    "huggingface_token": "hf_" + "Ab1Cd2Ef3Gh4Ij5Kl6Mn7Op8Qr9St0Uv1W",
    "groq_key": "gsk_" + "Ab1Cd2Ef3Gh4Ij5Kl6Mn7Op8Qr9St0Uv1Wx2Yz3Ab4Cd5Ef6Gh7",
    "replicate_token": "r8_" + "Ab1Cd2Ef3Gh4Ij5Kl6Mn7Op8Qr9St0Uv1Wx2Y",
    "xai_key": "xai-" + "Ab1Cd2Ef3Gh4Ij5Kl6Mn7Op8Qr9St0Uv1Wx2Yz3Ab4Cd5",
    "npm_token": "npm_" + "Ab1Cd2Ef3Gh4Ij5Kl6Mn7Op8Qr9St0Uv1Wx2",
    "pypi_token": "pypi-" + "AgEIcHlwaS5vcmcCJDAb1Cd2Ef3Gh4Ij5Kl6Mn7Op8Qr9St0Uv1Wx2Yz3",
    "jwt": "eyJ" + "hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmN_x",
    "private_key": "-----BEGIN " + "PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END PRIVATE KEY-----",
    "bearer": "Authorization: Bearer " + "Ab1Cd2Ef3Gh4Ij5Kl6Mn7Op8",
    "basic": "authorization: basic " + "dXNlcjpwYXNzd29yZC1vZi1tZQ==",
    "url_password": "postgres://admin:" + "hunter2hunter2" + "@db.example:5432/x",
    "env_secret": "export OPENAI_API_KEY=" + "Ab1Cd2Ef3Gh4Ij5",
    "env_password": "DB_PASSWORD='" + "correct-horse-battery'",
}  # fmt: skip
# What must not be found afterwards: the secret part itself.
BARE = {
    **SECRETS,
    "bearer": "Ab1Cd2Ef3Gh4Ij5Kl6Mn7Op8",
    "basic": "dXNlcjpwYXNzd29yZC1vZi1tZQ==",
    "url_password": "hunter2hunter2",
    "env_secret": "Ab1Cd2Ef3Gh4Ij5",
    "env_password": "correct-horse-battery",
    "private_key": "MIIEpAIBAAKCAQEA",
}

HARMLESS = [
    "task-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "risk-assessment-of-the-whole-thing-here",
    "max_tokens=1000 and n_tokens: 5",
    "https://example.com:8080/path@2x.png",
    "git@github.com:org/repo.git",
    "basic understanding of the bearer of news",
    "TOKEN=$SECRET_FROM_ELSEWHERE",
    "api_key = os.environ['OPENAI_API_KEY']",
    "-----BEGIN CERTIFICATE-----",
    "the commit 1f0c9e7d5b3a1f0c9e7d5b3a1f0c9e7d5b3a1f0c",
    "01J9ZQ3V9K8Y7X6W5V4T3S2R1Q",
    "sk-learn and sk-short",
]


@pytest.mark.parametrize("name", SECRETS)
def test_no_secret_reaches_the_disk(make_pane: Make, spool_dir: Path, name: str) -> None:
    pane = make_pane()
    secret = SECRETS[name]
    pane.track(
        "hello",
        agent="a",
        plain=secret,
        within=f"before\n{secret}\nafter",
        nested={"list": [{"deep": f"x {secret}"}], secret: 1},
        reason=ValueError(secret),
    )
    pane.track(f"event {secret}", agent=secret, round_id=secret)
    pane.posthog.capture("captured", distinct_id=secret, properties={"x": secret})
    pane.posthog.set(distinct_id="someone", properties={"note": secret})
    try:
        raise RuntimeError(secret)
    except RuntimeError as error:
        pane.posthog.capture_exception(error)
    on_disk = spooled_bytes(spool_dir)
    assert BARE[name].encode() not in on_disk
    assert BARE[name].encode("unicode_escape") not in on_disk
    assert b"[redacted:" in on_disk
    assert pane.health().redacted == 5


@pytest.mark.parametrize("text", HARMLESS)
def test_ordinary_text_is_left_alone(text: str) -> None:
    found: list[str] = []
    assert mask_text(text, found) == text
    assert found == []


@pytest.mark.parametrize("rule", VALUE_RULES, ids=lambda rule: rule.name)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_the_quick_look_misses_no_rule(rule: Any, data: st.DataObject) -> None:
    secret = data.draw(st.from_regex(rule.pattern))
    assert rule.pattern.search(secret)
    assert any(hint in secret for hint in rule.hints), secret
    assert may_hold_secret(f"some text {secret} more text"), secret


def test_misses_in_the_code_of_installed_packages_are_few() -> None:
    """Ordinary code: how often a rule fires where no secret is. docs/client.md has the figure."""
    import click
    import requests

    found: list[str] = []
    size = 0
    for package in (click, requests):
        for path in Path(os.fspath(package.__file__)).parent.rglob("*.py"):
            text = path.read_text("utf-8")
            size += len(text)
            mask_text(text, found)
    assert size > 300_000
    assert found == []


KEYS_MASKED = [
    *("api_key", "apiKey", "X-API-Key", "OPENAI_API_KEY", "authorization", "Authorization"),
    *("password", "db.password", "passwd", "passphrase", "secret", "client_secret", "cookie"),
    *("Set-Cookie", "private_key", "privateKey", "aws_secret_access_key", "credentials"),
    *("access_token", "accessToken", "token", "refresh_token", "auth-token"),
]
KEYS_KEPT = [
    *("prompt_tokens", "completion_tokens", "$ai_input_tokens", "max_tokens", "tokens"),
    *("tokenizer", "token_count", "key", "keyboard", "score", "monkey", "author", "keys"),
]


@pytest.mark.parametrize("key", KEYS_MASKED)
def test_a_property_named_like_a_secret_is_masked(
    pane: nightpane.Pane, network: Network, key: str
) -> None:
    value = "quite-harmless-looking-value"
    pane.track("hello", agent="a", **{key: value, "nested": [{key: value}]})
    assert pane.flush(10)
    properties = network.events[0]["properties"]
    assert properties[key].startswith("[redacted:")
    assert properties["nested"][0][key].startswith("[redacted:")


@pytest.mark.parametrize("key", KEYS_KEPT)
def test_a_property_named_harmlessly_is_kept(
    pane: nightpane.Pane, network: Network, key: str
) -> None:
    pane.track("hello", agent="a", **{key: "quite-harmless-looking-value", "n": {key: 5}})
    assert pane.flush(10)
    properties = network.events[0]["properties"]
    assert properties[key] == "quite-harmless-looking-value"
    assert properties["n"] == {key: 5}


def test_the_tokens_of_a_text_are_not_secrets(pane: nightpane.Pane, network: Network) -> None:
    pane.track("hello", agent="a", top=[{"token": " the", "logprob": -0.5}], token=17)
    assert pane.flush(10)
    assert network.events[0]["properties"]["top"][0]["token"] == " the"


def test_a_users_own_pattern_and_callable(make_pane: Make, network: Network) -> None:
    def no_paths(event: dict[str, Any]) -> dict[str, Any] | None:
        if event["event"] == "unwanted":
            return None
        event["properties"].pop("path", None)
        return event

    pane = make_pane(redact=["employee_?name", no_paths])
    assert pane.track("hello", agent="a", employee_name="Ann", path="/home/ann", x=1) is not None
    assert pane.track("unwanted", agent="a") is None
    assert pane.flush(10)
    (event,) = network.events
    assert event["properties"]["employee_name"] == "[redacted:key]"
    assert "path" not in event["properties"]
    assert event["properties"]["x"] == 1
    health = pane.health()
    assert health.dropped_by_redactor == 1
    assert health.not_written == {}


def test_what_a_callable_adds_is_looked_at_too(make_pane: Make, spool_dir: Path) -> None:
    secret = SECRETS["anthropic_key"]

    def leaky(event: dict[str, Any]) -> dict[str, Any]:
        event["properties"]["added"] = secret
        return event

    make_pane(redact=[leaky]).track("hello", agent="a")
    assert secret.encode() not in spooled_bytes(spool_dir)


def raising(event: dict[str, Any]) -> dict[str, Any]:
    raise RuntimeError(f"cannot handle {event['properties']}")


def returning_nonsense(event: dict[str, Any]) -> dict[str, Any]:
    return ["nonsense"]  # type: ignore[return-value]


@pytest.mark.parametrize("redactor", [raising, returning_nonsense])
def test_a_failing_redactor_lets_nothing_raw_through(
    make_pane: Make, network: Network, spool_dir: Path, caplog: Any, redactor: Any
) -> None:
    pane = make_pane(redact=[redactor])
    assert pane.track("hello", agent="a", private="do not tell") is not None
    pane.posthog.set(distinct_id="b", properties={"private": "do not tell"})
    assert b"do not tell" not in spooled_bytes(spool_dir)
    assert "do not tell" not in caplog.text
    assert pane.flush(10)
    properties = network.events[0]["properties"]
    assert properties["agent"] == "a"
    assert "while redacting" in properties["$nightpane_redaction_failed"]
    assert pane.health().redaction_failures == 2


def test_privacy_mode_leaves_texts_out(make_pane: Make, network: Network, spool_dir: Path) -> None:
    pane = make_pane(privacy_mode=True)
    with pane.run() as run, run.round(agent="a") as round_:
        round_.generated(prompt_tokens=5, summary="private words", diff="private words")
        pane.posthog.capture(
            "$ai_generation",
            properties={
                "$ai_input": [{"role": "user", "content": "private words"}],
                "$ai_output_choices": "private words",
                "$ai_input_state": {"a": "private words"},
                "$ai_output_state": "private words",
                "$ai_instructions": "private words",
                "$ai_model": "m",
                "$ai_input_tokens": 3,
            },
        )
        round_.keep()
    assert b"private words" not in spooled_bytes(spool_dir)
    assert pane.flush(10)
    (generation,) = network.named("$ai_generation")
    assert generation["$ai_input"] is None
    assert generation["$ai_model"] == "m"
    assert generation["$ai_input_tokens"] == 3
    (proposal,) = network.named("proposal_generated")
    assert proposal["prompt_tokens"] == 5
    assert proposal["diff"] is None
