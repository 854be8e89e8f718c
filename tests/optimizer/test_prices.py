"""The price map: which entry a name means, and what tokens cost by it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.optimizer.planted import MINI, plant, send

from nightpane.optimizer import Options, price_map, pricing, tiers
from nightpane.optimizer.fields import Scope
from nightpane.optimizer.folder import Folder
from nightpane.optimizer.model import Tokens
from nightpane.optimizer.price_map import PriceMap
from nightpane.optimizer.source import Source
from nightpane.testing import LocalServer


def entry(provider: str, into: float = 2e-6, out: float = 8e-6, **more: Any) -> dict[str, Any]:
    return {
        "litellm_provider": provider,
        "mode": "chat",
        "input_cost_per_token": into,
        "output_cost_per_token": out,
        **more,
    }


KNOWN = PriceMap(
    {
        "gpt-x": entry("openai"),
        "azure/gpt-x": entry("azure", 3e-6),
        "Claude-Y": entry("anthropic"),
        "vertex_ai/claude-y@2026": entry("vertex_ai-anthropic_models"),
        "gemini/flash-z-001": entry("gemini"),
        "gemini/flash-z-001-preview": entry("gemini"),
        "mistral/fast-v-mini-2501": entry("mistral"),
        "openrouter/gpt-w": entry("openrouter"),
        "gpt-image": {**entry("openai"), "mode": "image_generation"},
        "gpt-free": entry("openai", 0.0, 0.0),
    },
    "a map",
    "2026-01-01",
)


@pytest.mark.parametrize(
    ("model", "provider", "found"),
    [
        ("gpt-x", "openai", "gpt-x"),
        ("GPT-X", "openai", "gpt-x"),
        ("gpt-x", "azure", "azure/gpt-x"),
        ("openai/gpt-x", "openai", "gpt-x"),
        ("claude-y", "anthropic", "Claude-Y"),
        ("flash-z", "google", "gemini/flash-z-001"),
        ("claude-y@2026", "vertex_ai", "vertex_ai/claude-y@2026"),
        ("gpt-x", "a-gateway", "gpt-x"),
        ("fast-v", "mistral", None),
        ("gpt-xy", "openai", None),
        ("gpt-w", "openai", None),
        ("gpt-image", "openai", None),
        ("gpt-free", "openai", None),
        ("gpt-x-9-preview", "openai", None),
        ("", "openai", None),
    ],
)
def test_a_name_means_an_entry_or_none(model: str, provider: str, found: str | None) -> None:
    price = KNOWN.resolve(model, provider)
    assert (price.name if price else None) == found


def test_cached_batch_and_long_prompts_have_prices_of_their_own() -> None:
    known = PriceMap(
        {
            "m": entry(
                "anthropic",
                cache_read_input_token_cost=2e-7,
                cache_creation_input_token_cost=2.5e-6,
                input_cost_per_token_batches=1e-6,
                output_cost_per_token_batches=4e-6,
                input_cost_per_token_above_200k_tokens=4e-6,
            )
        },
        "a map",
        "",
    )
    price = known.models["m"]
    tokens = Tokens(uncached=1000, cache_read=10_000, cache_write=100, output=500)
    assert price.rates().cost(tokens) == pytest.approx(0.002 + 0.002 + 0.00025 + 0.004)
    assert price.rates("batch").cost(Tokens(1000, 0, 0, 500)) == pytest.approx(0.001 + 0.002)
    assert price.rates("", 200_000).uncached == 4e-6
    assert price.rates("", 128_000).uncached == 2e-6
    assert price.caches
    assert not KNOWN.models["gpt-x"].caches


def test_the_installed_map_is_kept_by_provider_and_read_without_importing_litellm() -> None:
    known = price_map.load(live=False)
    assert len(known.models) > 300
    families = {price.family for price in known.models.values()}
    assert {"openai", "anthropic", "gemini", "bedrock"} <= families
    assert "openrouter" not in families
    assert "litellm" in known.source


def test_a_cheaper_sibling_costs_a_third_or_less() -> None:
    known = price_map.load(live=False)
    for name, small in (
        ("gpt-4o", "gpt-4o-mini"),
        ("claude-sonnet-4-5", "claude-haiku-4-5"),
        ("gemini/gemini-2.5-pro", "gemini/gemini-2.5-flash-lite"),
        ("gpt-4o-mini", None),
        ("claude-haiku-4-5", None),
    ):
        found = tiers.cheaper(known.models[name], known)
        assert (found.name if found else None) == small, name


def test_calls_without_a_cost_are_priced_from_the_map_and_wrong_ones_reported(
    server: LocalServer, tmp_path: Path
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    made = plant(5, now - timedelta(minutes=1))
    send(server, made.events)
    (unpriced,) = made.unpriced
    own = [one for one in made.events if one["properties"]["$ai_model"] == unpriced]
    into = sum(one["properties"]["$ai_input_tokens"] for one in own)
    out = sum(one["properties"]["$ai_output_tokens"] for one in own)
    # The mini model at twice what PostHog was told, and the new one at a price of its own.
    known = PriceMap(
        {unpriced: entry("openai"), MINI[1]: entry("openai", 0.3e-6, 1.2e-6)}, "a map", "2026"
    )
    scope = Scope(now - timedelta(days=30), now)
    options = Options(results_dir=tmp_path, now=now)
    folder = Folder(tmp_path)
    source = Source(server.query())
    found, priced = pricing.run(source, folder, scope, options, known)

    (missing,) = found.unpriced
    assert missing.calls == len(own)
    assert missing.backfilled_usd == pytest.approx(into * 2e-6 + out * 8e-6, abs=1e-9)
    assert [(one.model, round(one.difference, 3)) for one in found.checks] == [(MINI[1], -0.5)]

    text = f"SELECT sum(cost) AS usd FROM {priced.calls('cost', 'model')} WHERE model = {{m}}"
    (row,) = source.ask(text, priced.values({"m": unpriced}))
    assert row["usd"] == pytest.approx(missing.backfilled_usd, abs=1e-9)
