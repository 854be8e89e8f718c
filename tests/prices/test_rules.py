"""What a call cost, in figures: the cases are those PostHog tests its own ingestion with."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightpane.prices import COSTED, Table, cost, load

COSTS = ("input", "output", "request", "web_search", "total")
# USD for a million tokens.
TABLE = Table(
    {
        "manual": {"gemini-2.5-pro-preview:large": {"default": [2.5, 15, 0.625]}},
        "openrouter": {
            "anthropic/claude-3.5-sonnet": {"default": [3, 15, 0.3, 3.75]},
            "anthropic/claude-2": {"default": [8, 24]},
            "openai/gpt-4o": {"default": [2.5, 10, 1.25]},
            "openai/gpt-4": {"default": [30, 60]},
            "openai/gpt-4o-audio-preview": {
                "default": [2.5, 10, *[None] * 7, 40, 80],
            },
            "openai/gpt-audio-mini": {"default": [0.15, 0.6, 0.075, *[None] * 6, 1, None, 0.1]},
            "openai/gpt-5.4": {
                "default": [2, 10, 0.2, *[None] * 9, [272000, [4, 20]], [1000000, [8]]]
            },
            "google/gemini-2.5-pro": {"default": [1.25, 10, 0.31]},
            "google/gemini-2.5-flash": {"default": [0.3, 2.5, 0.075]},
            "google/gemini-2.5-flash-image": {
                "default": [0.3, 2.5, None, None, None, None, None, 0.3, 30]
            },
            "google/gemini-3-flash-preview": {"default": [0.5, 3]},
            "google/gemini-2.0-flash-001": {"default": [0.1, 0.4]},
            "perplexity/sonar-pro": {"default": [1, 1, None, None, None, 0.005, 0.005]},
        },
    }
)


def call(model: str, provider: str = "", **counts: Any) -> dict[str, Any]:
    """Return a call's properties; counts without their ``$ai_``, and without ``_tokens``."""
    properties: dict[str, Any] = {"$ai_model": model}
    if provider:
        properties["$ai_provider"] = provider
    for name, value in counts.items():
        is_count = name.split("_")[-1] in ("input", "output", "reasoning", "audio")
        properties[f"$ai_{name}{'_tokens' if is_count else ''}"] = value
    return properties


def usd(properties: dict[str, Any], table: Table = TABLE) -> dict[str, float | None]:
    """Return the costs that are known, by their short names."""
    added = cost(properties, table)
    return {name: added[key] for name in COSTS if (key := f"$ai_{name}_cost_usd") in added}


def into(properties: dict[str, Any]) -> float | None:
    return usd(properties)["input"]


CLAUDE = "claude-3-5-sonnet"


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"cache_read_input": 500}, 0.00315),
        ({"cache_creation_input": 300}, 0.004125),
        ({"cache_read_input": 500, "cache_creation_input": 300}, 0.004275),
        (
            {
                "cache_creation_input": 100,
                "cache_creation_5m_input": 100,
                "cache_creation_1h_input": 0,
            },
            0.003375,
        ),
        (
            {
                "cache_creation_input": 100,
                "cache_creation_5m_input": 0,
                "cache_creation_1h_input": 100,
            },
            0.0036,
        ),
        (
            {
                "cache_creation_input": 300,
                "cache_creation_5m_input": "100",
                "cache_creation_1h_input": "200",
            },
            0.004575,
        ),
        # Half of the split is none: the sum counts.
        ({"cache_creation_input": 300, "cache_creation_5m_input": 100}, 0.004125),
        ({"cache_creation_input": 300, "cache_creation_1h_input": 200}, 0.004125),
    ],
)
def test_anthropic_reports_cached_tokens_beside_the_others(
    counts: dict[str, Any], expected: float
) -> None:
    assert into(call(CLAUDE, "anthropic", input=1000, **counts)) == expected


def test_what_anthropics_cache_costs_without_a_price_of_its_own() -> None:
    assert into(call("claude-2", "anthropic", input=1000, cache_creation_input=200)) == 0.01
    assert into(call("claude-2", "anthropic", input=1000, cache_read_input=400)) == 0.00832


@pytest.mark.parametrize(
    ("properties", "exclusive"),
    [
        (call("gpt-4o", "openai", input=10, cache_reporting_exclusive=True), True),
        (call(CLAUDE, "anthropic", input=10, cache_reporting_exclusive=False), False),
        (call(CLAUDE, "vertex", input=10), True),
        (call("anthropic/claude-2", "openrouter", input=10), True),
        (
            call(
                "anthropic/claude-2",
                "gateway",
                framework="vercel",
                input=14013,
                cache_read_input=13306,
                cache_creation_input=701,
            ),
            False,
        ),
        # Fewer tokens than were read from the cache: they cannot be among them.
        (
            call("anthropic/claude-2", "gateway", framework="vercel", input=247)
            | {"$ai_cache_read_input_tokens": 6287},
            True,
        ),
        (call("gpt-4o", "openai", input=10), False),
        (call("gpt-4o", "openai", input=149, cache_read_input=23104), True),
        (call("gpt-4o", "openai", input=1000, cache_read_input=500), False),
        (
            call("gpt-4o", "openai", input=100, cache_read_input=200)
            | {"$ai_cache_reporting_exclusive": False},
            False,
        ),
    ],
)
def test_whether_the_inputs_count_leaves_cached_tokens_out(
    properties: dict[str, Any], exclusive: bool
) -> None:
    assert cost(properties, TABLE)["$ai_cache_reporting_exclusive"] is exclusive


def test_everyone_else_reports_cached_tokens_among_the_others() -> None:
    # 600 at 2.5, 400 at 1.25
    assert into(call("gpt-4o", "openai", input=1000, cache_read_input=400)) == 0.002
    # no price of its own: half
    assert into(call("gpt-4", "openai", input=1000, cache_read_input=400)) == 0.024
    # a write is priced as input where the provider asks nothing special
    assert into(call("gpt-4", "openai", input=1000, cache_creation_input=400)) == 0.03
    assert into(call(CLAUDE, "anthropic", input=1000, cache_read_input=400)) == 0.00312


def test_an_anthropic_call_that_counts_them_in_is_not_billed_twice() -> None:
    properties = call(CLAUDE, "anthropic", input=1000, cache_read_input=500)
    properties |= {
        "$ai_cache_creation_input_tokens": 300,
        "$ai_cache_reporting_exclusive": False,
    }
    assert into(properties) == pytest.approx(200 * 3e-6 + 500 * 3e-7 + 300 * 3.75e-6, abs=1e-15)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gemini-2.5-pro", 0.003),
        ("GEMINI-2.5-PRO", 0.003),
        ("models/gemini-3-flash-preview", 0.0009),
        ("gemini-2.0-flash", 0.00004),
        ("gpt-4o", 0.001),
        (CLAUDE, 0.0015),
    ],
)
def test_reasoning_is_added_only_where_it_is_reported_apart(model: str, expected: float) -> None:
    assert usd(call(model, output=100, reasoning=200)) == {
        "output": expected,
        "request": 0.0,
        "web_search": 0.0,
        "total": expected,
    }


@pytest.mark.parametrize(
    ("reasoning", "expected"), [("abc", 0.001), ("0x10", 0.001), (" 200 ", 0.003), (0, 0.001)]
)
def test_counts_that_are_texts(reasoning: Any, expected: float) -> None:
    properties = call("gemini-2.5-pro", "google", output=100, reasoning=reasoning)
    assert usd(properties)["output"] == expected


def test_audio_and_images_have_prices_of_their_own() -> None:
    heard = call("gpt-4o-audio-preview", "openai", input=1000, output=1000)
    heard |= {"$ai_audio_input_tokens": 200, "$ai_audio_output_tokens": 800}
    assert usd(heard) == {
        "input": 0.01,
        "output": 0.066,
        "request": 0.0,
        "web_search": 0.0,
        "total": 0.076,
    }
    drawn = call("gemini-2.5-flash-image", "google", output=1300, image_output=1290)
    assert usd(drawn)["output"] == 0.038725
    drawn |= {"$ai_text_output_tokens": 10, "$ai_reasoning_tokens": 200}
    assert usd(drawn)["output"] == 0.039225
    unpriced = call("gpt-4o", "openai", output=1300, image_output=1290)
    assert usd(unpriced)["output"] == 0.013
    cached = call("gpt-audio-mini", "openai", input=1000, cache_read_input=500, audio_input=400)
    cached |= {"$ai_cache_read_audio_tokens": 300}
    # 400 text, 200 cached text, 100 audio, 300 cached audio
    assert into(cached) == pytest.approx(400 * 1.5e-7 + 200 * 7.5e-8 + 1e-4 + 3e-5, abs=1e-15)


@pytest.mark.parametrize(
    ("tokens", "price"), [(271_999, 2), (272_000, 2), (272_001, 4), (1_500_000, 8)]
)
def test_long_prompts_have_dearer_tiers(tokens: int, price: int) -> None:
    found = usd(call("gpt-5.4", "openai", input=tokens, output=100))
    assert found["input"] == tokens * price / 1e6
    assert found["output"] == {2: 0.001, 4: 0.002, 8: 0.001}[price]


def test_a_prompt_is_as_long_as_all_its_tokens_cached_ones_included() -> None:
    table = Table({"openrouter": {"claude-x": {"default": [3, 15, *[None] * 10, [200000, [6]]]}}})
    parts = call("claude-x", "anthropic", input=30_000, cache_read_input=170_001)
    assert usd(parts, table)["input"] == pytest.approx(30_000 * 6e-6 + 170_001 * 6e-7, abs=1e-12)


@pytest.mark.parametrize(
    ("tokens", "used"),
    [
        (200_000, "google/gemini-2.5-pro"),
        (200_001, "gemini-2.5-pro-preview:large"),
        (None, "google/gemini-2.5-pro"),
    ],
)
def test_the_model_whose_long_prompts_are_another_row(tokens: int | None, used: str) -> None:
    properties = call("google/gemini-2.5-pro-preview-0514", "google", input=tokens, output=1)
    assert cost(properties, TABLE)["$ai_model_cost_used"] == used


def test_costs_the_caller_gave_are_kept() -> None:
    given = {
        "$ai_input_cost_usd": 0.25,
        "$ai_output_cost_usd": "0.5",
        "$ai_request_cost_usd": 0.125,
    }
    added = cost({**call("gpt-4o", "openai", input=1000), **given}, TABLE)
    assert added == {
        "$ai_output_cost_usd": 0.5,
        "$ai_total_cost_usd": 0.875,
        "$ai_cost_model_source": "passthrough",
    }
    total = cost({**given, "$ai_total_cost_usd": 2, "$ai_output_cost_usd": 0.5}, TABLE)
    assert total["$ai_total_cost_usd"] == 2.0


@pytest.mark.parametrize("flag", [True, "true"])
@pytest.mark.parametrize("total", [0, 0.25])
def test_a_total_that_is_said_to_be_right_is_kept(flag: Any, total: float) -> None:
    properties = call("gpt-4o", "openai", input=1000, output=10)
    properties |= {"$ai_cost_passthrough": flag, "$ai_total_cost_usd": total}
    assert cost(properties, TABLE) == {"$ai_cost_model_source": "passthrough"}


def test_a_total_alone_is_kept_beside_the_sides_costs() -> None:
    properties = call("gpt-4o", "openai", input=1000, output=10) | {"$ai_total_cost_usd": 7}
    assert usd(properties) == {
        "input": 0.0025,
        "output": 0.0001,
        "request": 0.0,
        "web_search": 0.0,
        "total": 7.0,
    }


def test_prices_the_caller_gave() -> None:
    prices = {"$ai_input_token_price": 3e-6, "$ai_output_token_price": 1.5e-5}
    known = call(CLAUDE, "anthropic", input=1000, output=100) | prices
    added = cost(known, TABLE)
    assert added["$ai_total_cost_usd"] == 0.0045
    assert added["$ai_model_cost_used"] == "custom"
    assert added["$ai_cost_model_source"] == "custom"
    assert added["$ai_cost_model_provider"] == "custom"
    cached = known | {
        "$ai_cache_write_token_price": 4e-6,
        "$ai_cache_creation_5m_input_tokens": 100,
        "$ai_cache_creation_1h_input_tokens": 200,
    }
    assert into(cached) == 0.0042
    one_side = call("unheard-of", input=1000) | {"$ai_input_token_price": 3e-6}
    assert cost(one_side, TABLE) == {}
    fees = {"$ai_request_price": 0.5, "$ai_web_search_price": 0.25, "$ai_web_search_count": 3}
    assert usd(known | fees)["total"] == pytest.approx(0.0045 + 0.5 + 0.75, abs=1e-12)


def test_a_request_is_paid_once_unless_counted_and_a_search_only_when_counted() -> None:
    asked = call("sonar-pro", "perplexity", input=1000, output=1000)
    assert usd(asked) == {
        "input": 0.001,
        "output": 0.001,
        "request": 0.005,
        "web_search": 0.0,
        "total": 0.007,
    }
    more = asked | {"$ai_request_count": 2, "$ai_web_search_count": 3}
    assert usd(more)["total"] == 0.027


def test_each_side_is_known_only_when_its_usage_was_reported() -> None:
    assert usd(call("gpt-4o", "openai", input=1000)) == {
        "input": 0.0025,
        "request": 0.0,
        "web_search": 0.0,
        "total": 0.0025,
    }
    aborted = cost(call("gpt-4o", "openai"), TABLE)
    assert {key for key in aborted if key.endswith("_usd")} == set()
    assert aborted["$ai_model_cost_used"] == "openai/gpt-4o"
    # Nothing used is known, and free.
    assert usd(call("gpt-4o", "openai", input=0, output=0))["total"] == 0.0
    # A fee is known without any count.
    assert usd(call("sonar-pro"))["total"] == 0.005


@pytest.mark.parametrize(
    "model", ["completely-unknown-model-xyz-123", "", None, 7, "smollm2-360m", "test", "m", "a/b"]
)
def test_an_unknown_model_has_no_cost_rather_than_none_to_pay(model: Any) -> None:
    properties = {"$ai_model": model, "$ai_input_tokens": 10, "$ai_output_tokens": 10}
    assert cost(properties, TABLE) == {}
    assert cost(properties, load()) == {}


def test_counts_of_nested_shape_are_read_and_mended() -> None:
    added = cost(call("gpt-4o", input={"total": 1000, "noCache": 1000}, output={"x": 1}), TABLE)
    assert added["$ai_input_tokens"] == 1000
    assert added["$ai_output_tokens"] is None
    assert added["$ai_total_cost_usd"] == 0.0025


def test_a_cost_that_is_no_number_is_worked_out_anew() -> None:
    bad = {"$ai_input_cost_usd": "abc", "$ai_output_cost_usd": -3, "$ai_total_cost_usd": None}
    added = cost(call("gpt-4o", input=1000, output=100) | bad, TABLE)
    assert usd(call("gpt-4o", input=1000, output=100) | bad)["total"] == 0.0035
    assert added["$ai_output_cost_usd"] == 0.001
    unknown = cost(call("unheard-of", input=1) | bad, TABLE)
    assert unknown == {
        "$ai_input_cost_usd": None,
        "$ai_output_cost_usd": None,
        "$ai_total_cost_usd": None,
    }


def test_a_count_that_contradicts_the_others_makes_nothing_negative() -> None:
    properties = call("gpt-4o", "openai", input=100, cache_read_input=200)
    properties["$ai_cache_reporting_exclusive"] = False
    assert into(properties) == 200 * 1.25e-6
    assert into(call("gpt-4o", input=100, image_input=500)) == 500 * 2.5e-6


def test_sums_are_exact_decimals() -> None:
    # 0.1 + 0.2 in binary would show.
    table = Table({"openrouter": {"x/y-model": {"default": [100_000, 200_000]}}})
    assert usd(call("y-model", input=1, output=1), table)["total"] == 0.3


ANY = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["-1", "1e5", "1e400", "٣", " 7 ", "inf", "nan"]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.sampled_from(["total", "x"]), st.integers(-5, 5), max_size=2),
)
KEYS = st.sampled_from(
    [
        *(f"$ai_{name}_cost_usd" for name in COSTS),
        *("$ai_input_tokens", "$ai_output_tokens", "$ai_cache_read_input_tokens"),
        *("$ai_cache_creation_input_tokens", "$ai_cache_creation_5m_input_tokens"),
        *("$ai_cache_creation_1h_input_tokens", "$ai_reasoning_tokens", "$ai_audio_input_tokens"),
        *("$ai_cache_read_audio_tokens", "$ai_image_output_tokens", "$ai_text_output_tokens"),
        *("$ai_input_token_price", "$ai_output_token_price", "$ai_cache_write_token_price"),
        *("$ai_request_price", "$ai_request_count", "$ai_web_search_count", "$ai_provider"),
        *("$ai_cache_reporting_exclusive", "$ai_cost_passthrough", "$ai_framework", "$ai_usage"),
        "$ai_model_parameters",
    ]
)
MODELS = st.sampled_from(["gpt-4o", CLAUDE, "gemini-2.5-pro-preview", "sonar-pro", "gpt-5.4", "?"])


@given(st.dictionaries(KEYS, ANY, max_size=12), MODELS)
def test_no_cost_is_ever_negative_whatever_is_sent(sent: dict[str, Any], model: str) -> None:
    properties = {**sent, "$ai_model": model}
    added = cost(properties, TABLE)
    json.dumps(added, allow_nan=False)
    after = {**properties, **added}
    for name in COSTS:
        value = after.get(f"$ai_{name}_cost_usd")
        assert value is None or (type(value) in (int, float) and value >= 0)
    assert properties == {**sent, "$ai_model": model}


def test_evaluations_are_priced_as_well() -> None:
    assert {"$ai_generation", "$ai_embedding", "$ai_evaluation"} == COSTED
