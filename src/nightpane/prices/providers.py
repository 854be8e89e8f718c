"""Whose price of a model applies: the names providers go by, service tiers, regions of Bedrock.

The names and the order of the search are PostHog's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["provider_row"]

_ALIASES: Mapping[str, str] = {
    alias: key
    for key, aliases in {
        "anthropic": ("claude", "anthropic-claude"),
        "openai": ("oai", "openai-api", "open-ai"),
        "google-ai-studio": ("google", "gemini", "google-gemini", "google-ai"),
        "google-vertex": ("vertex", "vertex-ai"),
        "google-vertex-us": ("vertex-us",),
        "google-vertex-europe": ("vertex-europe",),
        "google-vertex-global": ("vertex-global",),
        "amazon-bedrock": ("amazon", "bedrock", "aws", "aws-bedrock"),
        "azure": ("azure-openai", "azure-ai"),
        "cohere": ("cohere-ai",),
        "mistral": ("mistralai", "mistral-ai"),
        "xai": ("grok", "x-ai", "grok-fast", "xai-turbo"),
        "deepseek": ("deep-seek",),
        "fireworks": ("fireworks-ai",),
        "groq": ("groq-cloud",),
        "perplexity": ("perplexity-ai", "pplx"),
        "cloudflare": ("cloudflare-workers", "cf-workers"),
        "default": ("openrouter", "or"),
    }.items()
    for alias in aliases
}
_SERVICE_TIERS: Mapping[str, tuple[str, ...]] = {
    "flex": ("-flex",),
    "priority": ("-priority", "-fast"),
}
_BEDROCK = "amazon-bedrock"
_PROFILE_ARN = re.compile(
    r"arn:aws(?:-cn|-us-gov)?:bedrock:([a-z0-9-]+):\d{12}:inference-profile/[^/]+"
)


def provider_row(
    rows: Mapping[str, Sequence[Any]],
    model: str,
    provider: str | None,
    service_tier: object = None,
) -> str:
    """Return which of a model's rows applies, by its key; ``rows`` is not empty."""
    if provider:
        for key in _candidates(rows, model, provider, service_tier):
            if key in rows:
                return key
    return "default" if "default" in rows else next(iter(rows))


def _candidates(
    rows: Mapping[str, Sequence[Any]], model: str, provider: str, service_tier: object
) -> Iterable[str]:
    written = _hyphens(provider)
    key = _ALIASES.get(written, written)
    if isinstance(service_tier, str):
        yield from (key + mark for mark in _SERVICE_TIERS.get(service_tier, ()))
    if key == _BEDROCK:
        yield from _bedrock(rows, model)
    yield from (key, written)
    for part in dict.fromkeys((key, written)):
        # A region's or a precision's row, where the provider has no plain one.
        yield from (name for name in rows if part and part in name)


def _bedrock(rows: Mapping[str, Sequence[Any]], model: str) -> Iterable[str]:
    """Yield the rows of the region that the name of an inference profile says."""
    arn = _PROFILE_ARN.fullmatch(model)
    if arn:
        yield f"{_BEDROCK}-{arn[1]}"
    region = f"{_BEDROCK}-{model.rpartition('/')[2].partition('.')[0]}"
    yield region
    regional = [name for name in rows if name.startswith(f"{region}-")]
    if len(regional) == 1:
        yield regional[0]


def _hyphens(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
