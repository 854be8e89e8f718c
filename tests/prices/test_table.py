"""Which price a name means: PostHog's own cases, the shipped table, and a user's prices."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from nightpane.errors import ConfigError
from nightpane.prices import OWN_PRICES, Found, Table, cost, load

TABLE = Table(
    {
        "manual": {
            "gpt-3.5-turbo": {"default": [0.5, 1.5], "openai": [0.5, 1.5]},
            "claude-2": {"default": [8, 24], "anthropic": [8, 24]},
            "mistral-7b-instruct-v0.2": {"default": [0.2, 0.2]},
            "text-embedding-ada-002": {"default": [0.1, 0]},
        },
        "openrouter": {
            "anthropic/claude-3.5-sonnet": {"default": [4, 18], "anthropic": [3, 15, 0.3, 3.75]},
            "anthropic/claude-profile": {
                "default": [1, 2],
                "amazon-bedrock-claude-on-aws": [3, 4],
                "amazon-bedrock-global": [5, 6],
                "amazon-bedrock-us-east-1": [7, 8],
                "anthropic": [9, 10],
            },
            "anthropic/claude-regions": {
                "default": [1, 2],
                "amazon-bedrock-us-east-1": [7, 8],
                "amazon-bedrock-us-west-2": [17, 18],
            },
            "google/gemini-x": {"default": [1, 2], "google-ai-studio-global": [3, 4]},
            "openai/gpt-4": {"default": [40, 80], "openai": [30, 60]},
            "openai/gpt-4o-mini": {
                "default": [0.2, 0.7],
                "openai": [0.15, 0.6],
                "openai-flex": [0.075, 0.3],
                "openai-priority": [0.25, 1],
            },
            "vendor/only-here": {"somewhere": [1, 1]},
        },
        "litellm": {"voyage/voyage-3": {"default": [0.06, 0]}},
    }
)


def place(model: str, provider: str | None = None, tier: object = None) -> tuple[str, str, str]:
    found = TABLE.find(model, provider, tier)
    assert found is not None
    return found.model, found.provider, found.source


@pytest.mark.parametrize(
    ("model", "provider", "expected"),
    [
        ("gpt-4", "openai", ("openai/gpt-4", "openai", "openrouter")),
        ("GPT-4", "OpenAI", ("openai/gpt-4", "openai", "openrouter")),
        ("openai/gpt-4", "gateway", ("openai/gpt-4", "default", "openrouter")),
        ("models/gpt-4", "openai", ("openai/gpt-4", "openai", "openrouter")),
        ("gpt-4@latest", "openai", ("openai/gpt-4", "openai", "openrouter")),
        ("gpt-4-turbo-2024-04-09", "openai", ("openai/gpt-4", "openai", "openrouter")),
        ("gpt-4o-mini-2024-07-18", "openai", ("openai/gpt-4o-mini", "openai", "openrouter")),
        (
            "claude-3-5-sonnet-20241022",
            "anthropic",
            ("anthropic/claude-3.5-sonnet", "anthropic", "openrouter"),
        ),
        ("gpt-3.5-turbo", None, ("gpt-3.5-turbo", "default", "manual")),
        ("openai/gpt-3.5-turbo", None, ("gpt-3.5-turbo", "default", "manual")),
        ("anthropic/claude-2", "openrouter", ("claude-2", "default", "manual")),
        ("gpt-3.5-turbo", "custom-provider", ("gpt-3.5-turbo", "default", "manual")),
        ("only-here", None, ("vendor/only-here", "somewhere", "openrouter")),
        # Shortened: the first known name that holds it.
        ("claude-3.5", "anthropic", ("anthropic/claude-3.5-sonnet", "anthropic", "openrouter")),
        ("voyage/voyage-3", None, ("voyage/voyage-3", "default", "litellm")),
    ],
)
def test_which_row_a_name_means(
    model: str, provider: str | None, expected: tuple[str, str, str]
) -> None:
    assert place(model, provider) == expected


@pytest.mark.parametrize(
    "model",
    [
        *("completely-unknown-model-xyz-123", "", "claude-2.1", "mistral-7b-instruct"),
        *("mistral-7b-instruct-v0.2-custom", "voyage-3", "xgpt-4", "gpt-41", "pt-4", "4"),
    ],
)
def test_names_that_mean_no_row(model: str) -> None:
    assert TABLE.find(model, "openai") is None


@pytest.mark.parametrize(
    ("alias", "key"),
    [
        ("claude", "anthropic"),
        ("Anthropic Claude", "anthropic"),
        ("anthropic", "anthropic"),
        ("openrouter", "default"),
        (None, "default"),
        ("nobody", "default"),
    ],
)
def test_providers_by_other_names(alias: str | None, key: str) -> None:
    assert place("claude-3.5-sonnet", alias)[1] == key


def test_a_provider_with_regional_rows_only() -> None:
    assert place("gemini-x", "gemini")[1] == "google-ai-studio-global"


@pytest.mark.parametrize(
    ("tier", "key"),
    [
        ("flex", "openai-flex"),
        ("priority", "openai-priority"),
        ("auto", "openai"),
        (None, "openai"),
        ({"x": 1}, "openai"),
    ],
)
def test_the_tier_a_call_was_served_in(tier: object, key: str) -> None:
    assert place("gpt-4o-mini", "openai", tier)[1] == key
    parameters = {"service_tier": tier}
    call = {"$ai_model": "gpt-4o-mini", "$ai_provider": "openai", "$ai_input_tokens": 1}
    added = cost({**call, "$ai_model_parameters": parameters}, TABLE)
    assert added["$ai_cost_model_provider"] == key


def test_a_model_without_the_tiers_price_has_the_plain_one() -> None:
    assert place("gpt-4", "openai", "flex")[1] == "openai"


@pytest.mark.parametrize(
    ("model", "provider", "key"),
    [
        ("us.anthropic.claude-profile", "bedrock", "amazon-bedrock-us-east-1"),
        ("global.anthropic.claude-profile", "amazon_bedrock", "amazon-bedrock-global"),
        ("us.anthropic.claude-profile", "anthropic", "anthropic"),
        ("au.anthropic.claude-profile", "aws", "amazon-bedrock-claude-on-aws"),
        (
            "arn:aws:bedrock:us-west-2:123456789012:inference-profile/us.anthropic.claude-regions",
            "bedrock",
            "amazon-bedrock-us-west-2",
        ),
    ],
)
def test_regions_of_bedrock(model: str, provider: str, key: str) -> None:
    assert place(model, provider)[1] == key


# Figures of PostHog's own list, per million tokens: input, output, cache read, cache write. Those
# that OpenRouter's market changes from day to day are left out.
POSTHOG: dict[str, tuple[str, str, str | None, str | None]] = {
    "anthropic/claude-3-haiku": ("0.25", "1.25", "0.03", "0.3"),
    "anthropic/claude-3.5-haiku": ("0.8", "4", "0.08", "1"),
    "anthropic/claude-haiku-4.5": ("1", "5", "0.1", "1.25"),
    "anthropic/claude-opus-4": ("15", "75", "1.5", "18.75"),
    "anthropic/claude-opus-4.1": ("15", "75", "1.5", "18.75"),
    "anthropic/claude-opus-4.5": ("5", "25", "0.5", "6.25"),
    "anthropic/claude-sonnet-4": ("3", "15", "0.3", "3.75"),
    "amazon/nova-lite-v1": ("0.06", "0.24", None, None),
    "amazon/nova-micro-v1": ("0.035", "0.14", None, None),
    "amazon/nova-pro-v1": ("0.8", "3.2", None, None),
    "ai21/jamba-large-1.7": ("2", "8", None, None),
    "aion-labs/aion-1.0": ("4", "8", None, None),
    "aion-labs/aion-2.0": ("0.8", "1.6", "0.2", None),
    "google/gemini-3.5-flash": ("1.5", "9", "0.15", "0.08333333333"),
    "google/gemma-2-27b-it": ("0.65", "0.65", None, None),
    "google/gemma-3n-e4b-it": ("0.06", "0.12", None, None),
    "google/gemma-4-26b-a4b-it:free": ("0", "0", None, None),
    "qwen/qwen3-coder-plus": ("0.65", "3.25", "0.13", "0.8125"),
    "qwen/qwen3-vl-32b-instruct": ("0.104", "0.416", None, None),
}
MANUAL: dict[str, tuple[str, str]] = {
    "gpt-4.5": ("75", "150"),
    "claude-2": ("8", "24"),
    "deepseek-v3-fireworks": ("0.9", "0.9"),
    "mistral-large-latest": ("2", "6"),
    "mistral-small-3.2": ("0.1", "0.3"),
    "text-embedding-3-small": ("0.02", "0"),
    "text-embedding-3-large": ("0.13", "0"),
    "text-embedding-ada-002": ("0.1", "0"),
}


def per_million(value: Decimal | None) -> Decimal | None:
    return None if value is None else value * 10**6


@pytest.mark.parametrize("model", POSTHOG)
def test_the_shipped_table_agrees_with_posthogs(model: str) -> None:
    found = load().find(model)
    assert found is not None
    assert found.model == model
    price = found.price
    said = (price.input, price.output, price.cache_read, price.cache_write)
    expected = tuple(None if text is None else Decimal(text) for text in POSTHOG[model])
    assert tuple(map(per_million, said)) == expected


@pytest.mark.parametrize("model", MANUAL)
def test_posthogs_hand_written_prices_come_first(model: str) -> None:
    found = load().find(model)
    assert found is not None
    assert found.source == "manual"
    assert (per_million(found.price.input), per_million(found.price.output)) == tuple(
        map(Decimal, MANUAL[model])
    )


@pytest.mark.parametrize(
    ("model", "provider", "used"),
    [
        ("claude-sonnet-4-5-20250929", "anthropic", "anthropic/claude-sonnet-4.5"),
        (
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "bedrock",
            "anthropic/claude-sonnet-4.5",
        ),
        ("gpt-4o-2024-08-06", "openai", "openai/gpt-4o"),
        ("gpt-4o-2031-01-01", "openai", "openai/gpt-4o"),
        ("models/gemini-2.5-flash", "gemini", "google/gemini-2.5-flash"),
        ("gpt-5-mini", "openai", "openai/gpt-5-mini"),
    ],
)
def test_the_names_providers_answer_with(model: str, provider: str, used: str) -> None:
    found = load().find(model, provider)
    assert found is not None
    assert found.model == used
    assert "flex" not in found.provider
    assert "priority" not in found.provider


def test_every_shipped_price_is_sound() -> None:
    table = load()
    seen: set[str] = set()
    for source in ("_manual", "_openrouter", "_litellm"):
        for model, rows in getattr(table, source).items():
            assert model == model.lower()
            for provider in rows:
                found = table.find(model, None if provider == "default" else provider)
                assert isinstance(found, Found)
                seen.add(found.source)
                prices = [found.price.input, found.price.output, found.price.cache_read or 0]
                assert all(0 <= price <= Decimal("0.001") for price in prices), (model, provider)
    assert seen == {"manual", "openrouter", "litellm"}


def own(folder: Path, text: str) -> Table:
    path = folder / OWN_PRICES
    path.write_text(text, "utf-8")
    return load(path)


def test_a_users_price_goes_before_all_others(tmp_path: Path) -> None:
    table = own(
        tmp_path,
        '["acme/Judge-7b"]\ninput_token_price = 2e-7\noutput_token_price = 0.0000006\n'
        '["gpt-4o"]\ninput_token_price = 0\noutput_token_price = 0\nrequest_price = 0.25\n',
    )
    mine = {"$ai_model": "acme/judge-7B", "$ai_input_tokens": 1000, "$ai_output_tokens": 1000}
    assert cost(mine, table) == {
        "$ai_input_cost_usd": 0.0002,
        "$ai_output_cost_usd": 0.0006,
        "$ai_request_cost_usd": 0.0,
        "$ai_web_search_cost_usd": 0.0,
        "$ai_total_cost_usd": 0.0008,
        "$ai_cache_reporting_exclusive": False,
        "$ai_model_cost_used": "acme/judge-7b",
        "$ai_cost_model_source": "custom",
        "$ai_cost_model_provider": "custom",
    }
    found = table.find("openai/gpt-4o", "azure")
    assert found is not None
    assert (found.source, found.price.request) == ("custom", Decimal("0.25"))
    assert place("gpt-4", "openai")[2] == "openrouter"


def test_no_file_is_fine(tmp_path: Path) -> None:
    assert load(tmp_path / OWN_PRICES).find("gpt-4o") is not None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[a\n", "cannot be read"),
        ("price = 3\n", "stands in no table"),
        ("[gpt-4.1]\ninput_token_price = 1\noutput_token_price = 1\n", "in quotes"),
        ("[a]\ninput_token_price = 1e-6\n", "output_token_price"),
        ("[a]\ninput_token_price = 1e-6\noutput_token_price = 1e-6\ncache = 2\n", "it has cache"),
        ("[a]\ninput_token_price = -1\noutput_token_price = 1\n", "expected USD"),
        ("[a]\ninput_token_price = '3'\noutput_token_price = 1\n", "expected USD"),
        ("[a]\ninput_token_price = nan\noutput_token_price = 1\n", "expected USD"),
        ("[a]\ninput_token_price = true\noutput_token_price = 1\n", "expected USD"),
    ],
)
def test_a_file_with_a_mistake_says_which(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        own(tmp_path, text)
    assert OWN_PRICES in str(caught.value)


def test_names_beyond_number_and_length_are_no_harm() -> None:
    names: list[Any] = [f"unheard-{number}" for number in range(5000)]
    assert {TABLE.find(name) for name in names} == {None}
    assert len(TABLE._found) <= 4096
    assert TABLE.find("x" * 1_000_000, "y" * 1_000_000) is None
    assert all(len(name) <= 300 for name, *_ in TABLE._found)
