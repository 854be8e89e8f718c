"""Counts from the provider's raw usage, in every place and spelling wrappers put them."""

from __future__ import annotations

from typing import Any

import pytest

from nightpane.prices import Table, cost

TABLE = Table({})
GEMINI = {
    "candidatesTokensDetails": [
        {"modality": "TEXT", "tokenCount": 10},
        {"modality": "IMAGE", "tokenCount": 1290},
    ]
}
SPLIT = {"$ai_text_output_tokens": 10, "$ai_image_output_tokens": 1290}


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (GEMINI, SPLIT),
        ({"candidatesTokensDetails": {"textTokens": 10, "imageTokens": 1290}}, SPLIT),
        ({"outputTokenDetails": {"textTokens": 10, "imageTokens": 1290}}, SPLIT),
        (
            {"candidates_tokens_details": [{"modality": "text", "token_count": 10}]},
            dict([*SPLIT.items()][:1]),
        ),
        ({"usage": {"raw": GEMINI}}, SPLIT),
        ({"rawResponse": {"usageMetadata": GEMINI}}, SPLIT),
        ({"providerMetadata": {"google": GEMINI}}, SPLIT),
        ({"rawUsage": {"providerMetadata": {"google": GEMINI}}}, SPLIT),
        ({"rawUsage": {"usage": {"raw": GEMINI}}}, SPLIT),
        ({"rawUsage": {"rawResponse": {"usageMetadata": GEMINI}}}, SPLIT),
        (
            {
                "promptTokensDetails": [
                    {"modality": "AUDIO", "tokenCount": 750},
                    {"modality": "TEXT", "tokenCount": 598},
                ],
                "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 50}],
            },
            {
                "$ai_audio_input_tokens": 750,
                "$ai_text_input_tokens": 598,
                "$ai_cache_read_audio_tokens": 50,
            },
        ),
        (
            {
                "prompt_tokens_details": {
                    "audio_tokens": 200,
                    "cached_tokens_details": {"audio_tokens": 50},
                }
            },
            {"$ai_audio_input_tokens": 200, "$ai_cache_read_audio_tokens": 50},
        ),
        (
            {
                "cache_creation": {
                    "ephemeral_5m_input_tokens": 30,
                    "ephemeral_1h_input_tokens": 0,
                }
            },
            {"$ai_cache_creation_5m_input_tokens": 30, "$ai_cache_creation_1h_input_tokens": 0},
        ),
        (
            {
                "providerMetadata": {
                    "bedrock": {
                        "usage": {
                            "cacheDetails": [
                                {"inputTokens": 5, "ttl": "T5M"},
                                {"inputTokens": 6, "ttl": "5m"},
                                {"inputTokens": 7, "ttl": "1h"},
                                {"inputTokens": -1, "ttl": "1h"},
                            ]
                        }
                    }
                }
            },
            {"$ai_cache_creation_5m_input_tokens": 11, "$ai_cache_creation_1h_input_tokens": 7},
        ),
        ({"candidatesTokensDetails": [{"modality": "image", "tokenCount": 0}]}, {}),
        ({"candidatesTokensDetails": {"textTokens": "10", "imageTokens": None}}, {}),
        ({"promptTokenCount": 100}, {}),
        ({"providerMetadata": {"openai": {"x": 1}}, "usage": 3, "rawUsage": []}, {}),
        (None, {}),
        ("text", {}),
        ([1], {}),
    ],
)
def test_counts_in_raw_usage(usage: Any, expected: dict[str, int]) -> None:
    assert cost({"$ai_usage": usage}, TABLE) == expected


def test_the_split_of_cache_writes_is_priced() -> None:
    table = Table({"openrouter": {"claude-x": {"default": [3, 15, 0.3, 3.75]}}})
    call = {
        "$ai_model": "claude-x",
        "$ai_input_tokens": 1000,
        "$ai_cache_creation_input_tokens": 300,
        "$ai_usage": {
            "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200}
        },
    }
    assert cost(call, table)["$ai_input_cost_usd"] == 0.004575
