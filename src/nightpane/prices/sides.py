"""The two sides of a model call, each priced by PostHog's rules for what its tokens were.

Where PostHog lets a count that contradicts the others make a cost negative, here the tokens left
over are none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from nightpane.prices.numbers import number, plain
from nightpane.prices.table import Price

__all__ = ["INPUT_COUNTS", "OUTPUT_COUNTS", "Call"]

# A side is known when any of its counts was reported, a zero included.
INPUT_COUNTS = (
    "$ai_input_tokens",
    "$ai_cache_read_input_tokens",
    "$ai_cache_creation_input_tokens",
    "$ai_cache_creation_5m_input_tokens",
    "$ai_cache_creation_1h_input_tokens",
    "$ai_audio_input_tokens",
    "$ai_image_input_tokens",
    "$ai_cache_read_audio_tokens",
)
OUTPUT_COUNTS = (
    "$ai_output_tokens",
    "$ai_text_output_tokens",
    "$ai_reasoning_tokens",
    "$ai_audio_output_tokens",
    "$ai_image_output_tokens",
)
_COUNTS = (*INPUT_COUNTS, *OUTPUT_COUNTS)
# These report reasoning beside the answer's tokens; everyone else within them.
_REASONING_APART = re.compile(r"gemini-(2\.5|3(\.\d+)?)-")
_NONE = Decimal(0)
# Where a model has no price of its own for them: cached tokens relative to the input's price.
_ANTHROPIC_READ, _ANTHROPIC_WRITE, _ANTHROPIC_WRITE_1H = Decimal("0.1"), Decimal("1.25"), Decimal(2)
_OTHER_READ = Decimal("0.5")


class Call:
    """One call's counts."""

    def __init__(self, properties: Mapping[str, Any]) -> None:
        self._counts: dict[str, Decimal] = {}
        self.mended: dict[str, Any] = {}
        """Counts that some clients send as ``{"total": n}``, as plain numbers; None if unusable."""
        for key in _COUNTS:
            value = properties.get(key)
            if value is None:
                continue
            nested = isinstance(value, dict | list)
            count = number(value.get("total") if isinstance(value, dict) else value)
            if count is not None:
                self._counts[key] = count
            if nested:
                self.mended[key] = plain(count)
        self._model = _lower(properties.get("$ai_model"))
        self._is_anthropic = (
            _lower(properties.get("$ai_provider")) == "anthropic"
            or "anthropic" in self._model
            or self._model.startswith("claude")
        )
        self.exclusive = self._is_exclusive(properties)

    def reports(self, keys: tuple[str, ...]) -> bool:
        """Tell whether any of these counts was reported."""
        return any(key in self._counts for key in keys)

    def prompt_tokens(self) -> Decimal:
        """Return how long the prompt was, cached tokens included."""
        sent = self._of("$ai_input_tokens")
        if not self.exclusive:
            return sent
        return sent + self._of("$ai_cache_read_input_tokens") + sum(self._writes(), _NONE)

    def input_cost(self, price: Price, *, custom: bool) -> Decimal:
        """Return the cost of the input in USD.

        ``custom`` prices without one for an hour's cache ask the price of writing for both.
        """
        read = self._of("$ai_cache_read_input_tokens")
        audio, image = self._of("$ai_audio_input_tokens"), self._of("$ai_image_input_tokens")
        cached_audio = min(self._of("$ai_cache_read_audio_tokens"), audio, read)
        cached_text = read - cached_audio
        writes = self._writes()
        rest = self._of("$ai_input_tokens") - audio - image
        if not self.exclusive:
            rest -= cached_text + sum(writes, _NONE)
        cost = price.input * max(rest, _NONE)
        if cached_text:
            cost += _first(price.cache_read, price.input * self._read_share()) * cached_text
        if any(writes):
            cost += self._write_cost(price, writes, custom)
        if audio:
            cached = _first(price.audio_cache, price.cache_read, price.input * _OTHER_READ)
            cost += _first(price.audio, price.input) * (audio - cached_audio)
            cost += cached * cached_audio
        return cost + _first(price.image, price.input) * image

    def output_cost(self, price: Price) -> Decimal:
        """Return the cost of the output in USD."""
        audio, image = self._of("$ai_audio_output_tokens"), self._of("$ai_image_output_tokens")
        text = self._counts.get("$ai_text_output_tokens")
        if text is None:
            text = max(self._of("$ai_output_tokens") - audio - image, _NONE)
        if _REASONING_APART.match(self._model.rpartition("/")[2]):
            text += self._of("$ai_reasoning_tokens")
        return (
            price.output * text
            + _first(price.audio_output, price.output) * audio
            + _first(price.image_output, price.output) * image
        )

    def _of(self, key: str) -> Decimal:
        return self._counts.get(key, _NONE)

    def _is_exclusive(self, properties: Mapping[str, Any]) -> bool:
        """Tell whether the input's count leaves cached tokens out."""
        said = properties.get("$ai_cache_reporting_exclusive")
        if isinstance(said, bool):
            return said
        # Vercel's gateway counts them in, for Anthropic's models too.
        inclusive = (
            _lower(properties.get("$ai_provider")) == "gateway"
            and _lower(properties.get("$ai_framework")) == "vercel"
        )
        if self._is_anthropic and not inclusive:
            return True
        cached = self._of("$ai_cache_read_input_tokens")
        cached += self._of("$ai_cache_creation_input_tokens")
        return self._of("$ai_input_tokens") < cached

    def _writes(self) -> tuple[Decimal, Decimal]:
        """Return the tokens written to the cache for five minutes, and for an hour."""
        short = self._counts.get("$ai_cache_creation_5m_input_tokens")
        long = self._counts.get("$ai_cache_creation_1h_input_tokens")
        if self._is_anthropic and short is not None and long is not None:
            return short, long
        return self._of("$ai_cache_creation_input_tokens"), _NONE

    def _write_cost(self, price: Price, writes: tuple[Decimal, Decimal], custom: bool) -> Decimal:
        if not self._is_anthropic:
            return _first(price.cache_write, price.input) * writes[0]
        short = _first(price.cache_write, price.input * _ANTHROPIC_WRITE)
        same = price.cache_write if custom else None
        long = _first(price.cache_write_1h, same, price.input * _ANTHROPIC_WRITE_1H)
        return short * writes[0] + long * writes[1]

    def _read_share(self) -> Decimal:
        return _ANTHROPIC_READ if self._is_anthropic else _OTHER_READ


def _first(*prices: Decimal | None) -> Decimal:
    return next(price for price in prices if price is not None)


def _lower(value: Any) -> str:
    return value.lower() if isinstance(value, str) else ""
