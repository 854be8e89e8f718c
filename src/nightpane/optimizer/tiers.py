"""Which model is dear, and which cheaper one of the same provider could take a simple task.

By price alone, from the map: a model is premium when a sibling of the same provider and generation
costs a third of it or less. Whether the task is simple is not decided here.
"""

from __future__ import annotations

import re

from nightpane.optimizer.price_map import ModelPrice, PriceMap

__all__ = ["cheaper", "premium"]

_PREMIUM_OUTPUT_USD = 5e-6
"""USD per output token: every provider's small models cost less, its large ones this or more."""
_FACTOR = 3.0
# The steps of each provider's range from large to small: word in the large one's name → the words
# that stand in the small one's, newest first. A name decides who is whose sibling, never a price.
_SMALLER: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "anthropic": (
        ("opus", ("claude-haiku-4-5", "claude-3-5-haiku-20241022", "claude-3-haiku-20240307")),
        ("sonnet", ("claude-haiku-4-5", "claude-3-5-haiku-20241022", "claude-3-haiku-20240307")),
    ),
    "openai": (
        ("gpt-5", ("gpt-5-mini", "gpt-4.1-mini", "gpt-4o-mini")),
        ("gpt-4.1", ("gpt-4.1-mini", "gpt-4o-mini")),
        ("gpt-4o", ("gpt-4o-mini",)),
        ("gpt-4", ("gpt-4.1-mini", "gpt-4o-mini")),
        ("o1", ("gpt-5-mini", "gpt-4.1-mini")),
        ("o3", ("gpt-5-mini", "gpt-4.1-mini")),
        ("gpt-", ("gpt-5-mini", "gpt-4.1-mini")),
    ),
    "gemini": (("pro", ("gemini/gemini-2.5-flash-lite", "gemini/gemini-2.5-flash")),),
    "vertex_ai": (
        ("pro", ("gemini-2.5-flash-lite", "gemini-2.5-flash")),
        ("opus", ("vertex_ai/claude-haiku-4-5@20251001",)),
        ("sonnet", ("vertex_ai/claude-haiku-4-5@20251001",)),
    ),
    "azure": (("gpt-", ("azure/gpt-5-mini", "azure/gpt-4.1-mini", "azure/gpt-4o-mini")),),
    "mistral": (("large", ("mistral/mistral-small-latest",)),),
    "bedrock": (
        ("opus", ("anthropic.claude-haiku-4-5-20251001-v1:0",)),
        ("sonnet", ("anthropic.claude-haiku-4-5-20251001-v1:0",)),
    ),
    "cohere": (("command-r-plus", ("command-r",)),),
}


def premium(price: ModelPrice) -> bool:
    """Return whether a model's output costs 5 USD a million tokens or more."""
    return price.rates().output >= _PREMIUM_OUTPUT_USD


def cheaper(price: ModelPrice, known: PriceMap) -> ModelPrice | None:
    """Return the sibling that costs a third or less, None when the range or the map has none."""
    for word, names in _SMALLER.get(price.family, ()):
        if not re.search(rf"(?<![a-z]){re.escape(word)}", price.name.lower()):
            continue
        for name in names:
            small = known.models.get(name)
            if small is not None and small.name != price.name and _is_cheaper(small, price):
                return small
    return None


def _is_cheaper(small: ModelPrice, large: ModelPrice) -> bool:
    low, high = small.rates(), large.rates()
    # A hair of slack: a third of 15.0 is not 5.0 in binary.
    return all(
        cheap * _FACTOR <= dear * 1.001
        for cheap, dear in ((low.uncached, high.uncached), (low.output, high.output))
    )
