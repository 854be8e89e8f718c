"""Token counts under the names that providers and tools give them, as PostHog's properties."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["costs", "known", "provider_of", "tokens"]

# The first name that is there counts. Dots lead into nested objects.
_INPUT = ("prompt_tokens", "input_tokens", "promptTokens", "promptTokenCount", "input")
_OUTPUT = ("completion_tokens", "output_tokens", "candidatesTokenCount", "output")
_REASONING = (
    "completion_tokens_details.reasoning_tokens",
    "output_tokens_details.reasoning_tokens",
    "reasoning_output_tokens",
    "thinkingTokens",
    "thoughtsTokenCount",
    "output_reasoning",
    "output_reasoning_tokens",
)
_CACHE_READ = (
    "prompt_tokens_details.cached_tokens",
    "input_tokens_details.cached_tokens",
    "cache_read_input_tokens",
    "cached_input_tokens",
    "prompt_cache_hit_tokens",
    "cachedTokens",
    "cachedContentTokenCount",
    "input_cache_read",
    "input_cached_tokens",
)
_CACHE_WRITE = (
    "cache_creation_input_tokens",
    "prompt_tokens_details.cache_write_tokens",
    "input_cache_creation",
)
_CACHE_WRITE_5M = ("cache_creation.ephemeral_5m_input_tokens",)
_CACHE_WRITE_1H = ("cache_creation.ephemeral_1h_input_tokens",)
_PROVIDERS = (
    ("claude", "anthropic"),
    ("gpt", "openai"),
    ("chatgpt", "openai"),
    ("codex", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
    ("gemini", "gemini"),
    ("deepseek", "deepseek"),
    ("mistral", "mistral"),
    ("grok", "xai"),
)


def tokens(usage: Any) -> dict[str, int]:
    """Return the token counts that a usage object states; what it does not state is left out."""
    if not isinstance(usage, Mapping):
        return {}
    found = {
        "$ai_input_tokens": _first(usage, _INPUT),
        "$ai_output_tokens": _output(usage),
        "$ai_reasoning_tokens": _first(usage, _REASONING),
        "$ai_cache_read_input_tokens": _first(usage, _CACHE_READ),
        "$ai_cache_creation_input_tokens": _first(usage, _CACHE_WRITE),
        "$ai_cache_creation_5m_input_tokens": _first(usage, _CACHE_WRITE_5M),
        "$ai_cache_creation_1h_input_tokens": _first(usage, _CACHE_WRITE_1H),
    }
    return {name: count for name, count in found.items() if count is not None}


def _output(usage: Mapping[str, Any]) -> int | None:
    # Some tools count the answer and the thinking apart; providers bill both as output.
    answer, thinking = _count(usage.get("responseTokens")), _count(usage.get("thinkingTokens"))
    if answer is not None:
        return answer + (thinking or 0)
    return _first(usage, _OUTPUT)


def costs(*, total: Any, input_usd: Any = None, output_usd: Any = None) -> dict[str, Any]:
    """Return the cost properties for what a file states; nothing for a cost of 0 or none.

    Tools write 0 where they know no price, so it is not taken for a price: the server computes it.
    """
    amounts = [known(value) for value in (total, input_usd, output_usd)]
    if not amounts[0]:
        return {}
    named = {"$ai_total_cost_usd": amounts[0], "$ai_cost_passthrough": True}
    if amounts[1] is not None and amounts[2] is not None:
        named |= {"$ai_input_cost_usd": amounts[1], "$ai_output_cost_usd": amounts[2]}
    return named


def known(value: Any) -> float | None:
    """Return a finite number that is not negative, None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < float("inf") else None


def provider_of(model: str | None) -> str | None:
    """Return the provider that a model's name tells, None when it does not."""
    if not model:
        return None
    prefix, slash, _ = model.partition("/")
    if slash:
        return "gemini" if prefix == "google" else prefix
    return next((who for start, who in _PROVIDERS if model.lower().startswith(start)), None)


def _first(usage: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    for name in names:
        value: Any = usage
        for key in name.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        if (count := _count(value)) is not None:
            return count
    return None


def _count(value: Any) -> int | None:
    number = known(value)
    return None if number is None else int(number)
