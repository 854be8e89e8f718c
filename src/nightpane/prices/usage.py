"""Token counts that only the provider's raw usage has: cache lifetimes, audio, images.

Read from ``$ai_usage``, which wrappers fill with what the provider answered: Anthropic's and
Bedrock's cache writes by lifetime, Gemini's and OpenAI's tokens by modality, also as the Vercel AI
SDK nests them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["splits"]

# Where the provider's own object may stand in what a wrapper recorded.
_PLACES: tuple[tuple[str, ...], ...] = (
    (),
    ("usage", "raw"),
    ("rawResponse", "usageMetadata"),
    ("providerMetadata", "google"),
    ("providerMetadata", "anthropic", "usage"),
    ("rawUsage", "providerMetadata", "google"),
    ("rawUsage", "usage", "raw"),
    ("rawUsage", "rawResponse", "usageMetadata"),
)
_BEDROCK_PLACES: tuple[tuple[str, ...], ...] = tuple(
    (*outer, "providerMetadata", name, "usage")
    for outer in ((), ("rawUsage",))
    for name in ("amazonBedrock", "bedrock")
)
# The details of which side, in the spellings they come in, and the modalities that are counted.
_DETAILS: tuple[tuple[tuple[str, ...], Mapping[str, str]], ...] = (
    (
        ("promptTokensDetails", "prompt_tokens_details"),
        {
            "audio": "$ai_audio_input_tokens",
            "image": "$ai_image_input_tokens",
            "text": "$ai_text_input_tokens",
        },
    ),
    (
        ("candidatesTokensDetails", "candidates_tokens_details", "outputTokenDetails"),
        {"image": "$ai_image_output_tokens", "text": "$ai_text_output_tokens"},
    ),
    (
        ("cacheTokensDetails", "cache_tokens_details"),
        {"audio": "$ai_cache_read_audio_tokens"},
    ),
)
_LIFETIMES = {
    "ephemeral_5m_input_tokens": "$ai_cache_creation_5m_input_tokens",
    "ephemeral_1h_input_tokens": "$ai_cache_creation_1h_input_tokens",
}


def splits(usage: Any) -> dict[str, Any]:
    """Return the counts a provider's raw usage holds, by PostHog's names; empty without any."""
    if not isinstance(usage, Mapping):
        return {}
    found: dict[str, Any] = {}
    for place in _PLACES:
        raw = _at(usage, place)
        if isinstance(raw, Mapping):
            found |= _of_provider(raw)
    for place in _BEDROCK_PLACES:
        found |= _of_bedrock(_at(usage, (*place, "cacheDetails")))
    return found


def _of_provider(raw: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    cache = raw.get("cache_creation")
    if isinstance(cache, Mapping):
        found |= {ours: cache[key] for key, ours in _LIFETIMES.items() if _is_count(cache.get(key))}
    for spellings, names in _DETAILS:
        details = next((raw[key] for key in spellings if raw.get(key) is not None), None)
        for modality, count in _modalities(details):
            if modality in names and (count > 0 or modality == "text"):
                found[names[modality]] = count
    for path, ours in (
        (("audio_tokens",), "$ai_audio_input_tokens"),
        (("cached_tokens_details", "audio_tokens"), "$ai_cache_read_audio_tokens"),
    ):
        count = _at(raw, ("prompt_tokens_details", *path))
        if _is_count(count) and count > 0:
            found[ours] = count
    return found


def _modalities(details: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(details, Mapping):
        for modality in ("audio", "image", "text"):
            if _is_count(details.get(f"{modality}Tokens")):
                yield modality, details[f"{modality}Tokens"]
    for one in details if isinstance(details, list) else ():
        if isinstance(one, Mapping) and isinstance(one.get("modality"), str):
            count = one.get("tokenCount", one.get("token_count"))
            if _is_count(count):
                yield one["modality"].lower(), count


def _of_bedrock(details: Any) -> dict[str, Any]:
    written = {"5m": 0, "1h": 0}
    seen = False
    for one in details if isinstance(details, list) else ():
        if isinstance(one, Mapping) and _is_count(one.get("inputTokens")):
            lifetime = str(one.get("ttl", "")).lower().removeprefix("t")
            if lifetime in written:
                written[lifetime] += one["inputTokens"]
                seen = True
    if not seen:
        return {}
    return {f"$ai_cache_creation_{key}_input_tokens": count for key, count in written.items()}


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _is_count(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
