"""The table of prices, and which row of it a model's name means: PostHog's order of search.

Manual prices are found by their exact name. OpenRouter's are found by the exact name, else by the
longest known name inside the given one (``gpt-4o-2026-01-01``), else by the first known name that
holds it. Unlike PostHog's, a name is found inside another only as whole words (``test`` is not a
part of ``gpt-latest``) and only from three characters on. What neither list has may be in
LiteLLM's, by exact name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from typing import Any

from nightpane.prices.providers import provider_row

__all__ = ["FIELDS", "Found", "Price", "Table"]

_MANY_NAMES = 4096
_LONGEST_NAME = 300
_SHORTEST_PART = 3
_WORDS = re.compile(r"[^a-z0-9\n]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What one provider asks for one model, in USD: per token, or per request and web search.

    ``tiers`` are the prices of longer prompts: from how many tokens on (exclusive), and which
    prices change there.
    """

    input: Decimal
    output: Decimal
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    cache_write_1h: Decimal | None = None
    request: Decimal | None = None
    web_search: Decimal | None = None
    image: Decimal | None = None
    image_output: Decimal | None = None
    audio: Decimal | None = None
    audio_output: Decimal | None = None
    audio_cache: Decimal | None = None
    tiers: tuple[tuple[int, Mapping[str, Decimal]], ...] = ()

    def for_prompt(self, prompt_tokens: Decimal) -> Price:
        """Return the prices for a prompt of that many tokens, cached ones included."""
        passed = [tier for tier in self.tiers if prompt_tokens > tier[0]]
        if not passed:
            return self
        changed: dict[str, Any] = dict(max(passed, key=lambda tier: tier[0])[1])
        return replace(self, **changed)


FIELDS: tuple[str, ...] = tuple(one.name for one in fields(Price) if one.name != "tiers")
_PER_ONE = ("request", "web_search")


@dataclass(frozen=True, slots=True)
class Found:
    """A price, and whose: the row's model and provider, and the list it stands in."""

    model: str
    provider: str
    source: str
    price: Price


Rows = Mapping[str, Sequence[Any]]


class Table:
    """Prices by model and provider; safe to ask from any thread.

    ``models`` maps list, model (lower case) and provider to a row: the values of ``FIELDS`` in USD
    per million tokens (per one for requests and searches), then ``[above_tokens, row]`` for tiers.
    ``own`` are the user's prices, which go before all others.
    """

    def __init__(
        self, models: Mapping[str, Mapping[str, Rows]], own: Mapping[str, Price] | None = None
    ) -> None:
        self._manual = models.get("manual", {})
        self._openrouter = models.get("openrouter", {})
        self._litellm = models.get("litellm", {})
        self._own = {name.lower(): price for name, price in (own or {}).items()}
        self._names: _Names | None = None
        self._found: dict[tuple[str, str | None, str | None], Found | None] = {}

    def find(
        self, model: str, provider: str | None = None, service_tier: object = None
    ) -> Found | None:
        """Return the price of a model at a provider, None when it is not known."""
        name = model[:_LONGEST_NAME].lower()
        provider = provider[:_LONGEST_NAME] if provider else None
        tier = service_tier if isinstance(service_tier, str) else None
        asked = (name, provider, tier[:_LONGEST_NAME] if tier else None)
        try:
            return self._found[asked]
        except KeyError:
            found = self._find(*asked)
        if len(self._found) >= _MANY_NAMES:
            self._found.clear()
        self._found[asked] = found
        return found

    def _find(self, name: str, provider: str | None, service_tier: str | None) -> Found | None:
        own = self._own.get(name) or self._own.get(_bare(name))
        if own is not None:
            return Found(name, "custom", "custom", own)
        place = self._search(name)
        if place is None:
            return None
        source, key = place
        rows: Rows = getattr(self, f"_{source}")[key]
        chosen = provider_row(rows, name, provider, service_tier)
        return Found(key, chosen, source, _price(rows[chosen]))

    def _search(self, name: str) -> tuple[str, str] | None:
        """Return the list and the row's name; takes milliseconds, so what is found is kept."""
        for key in (name, _bare(name)):
            if key in self._manual:
                return "manual", key
        if name in self._openrouter:
            return "openrouter", name
        if self._names is None:
            self._names = _Names(self._openrouter)
        key = self._names.like(name)
        if key:
            return "openrouter", key
        return ("litellm", name) if name in self._litellm else None


class _Names:
    """The list's names in every spelling, to be found inside another or around it."""

    def __init__(self, models: Iterable[str]) -> None:
        names = list(models)
        self._texts = list(zip(names, _spellings(names), strict=True))
        # The longest first; of equal ones the first in the list.
        self._parts = sorted(
            ((part, model) for model, text in self._texts for part in text.split("\n")),
            key=lambda one: -len(one[0]),
        )

    def like(self, name: str) -> str:
        """Return the model whose name is inside this one, else the first around it, else ""."""
        (text,) = _spellings([name])
        for part, model in self._parts:
            if part in text and _is_whole(part, text):
                return model
        given = [one for one in text.split("\n") if len(one) >= _SHORTEST_PART]
        for model, text in self._texts:
            if any(one in text and _is_whole(one, text) for one in given):
                return model
        return ""


def _bare(name: str) -> str:
    return name.rpartition("/")[2]


def _spellings(names: Sequence[str]) -> list[str]:
    """Return for each name itself and its short form, each also with hyphens for all else than
    letters and digits: a line each.
    """
    whole = [name.replace("\n", " ") for name in names]
    bare = [_bare(name) for name in whole]
    all_four = zip(whole, _hyphens(whole), bare, _hyphens(bare), strict=True)
    return ["\n".join(dict.fromkeys(filter(None, four))) for four in all_four]


def _hyphens(names: Sequence[str]) -> list[str]:
    # All at once: one by one it takes ten times as long.
    return [one.strip("-") for one in _WORDS.sub("-", "\n".join(names)).split("\n")]


def _is_whole(part: str, text: str) -> bool:
    start = text.find(part)
    while start >= 0:
        end = start + len(part)
        if not (start and text[start - 1].isalnum()) and not text[end : end + 1].isalnum():
            return True
        start = text.find(part, start + 1)
    return False


def _price(row: Sequence[Any]) -> Price:
    count = len(FIELDS)
    tiers = tuple((above, _values(part)) for above, part in row[count:])
    values: dict[str, Any] = _values(row[:count])
    return Price(**values, tiers=tiers)


def _values(row: Sequence[Any]) -> dict[str, Decimal]:
    return {
        name: Decimal(repr(value)) if name in _PER_ONE else Decimal(repr(value)).scaleb(-6)
        for name, value in zip(FIELDS, row, strict=False)
        if value is not None
    }
