"""LiteLLM's price map: what every provider asks for its models, and which entry a name means.

The newest map is fetched where that is allowed and quick; else the one inside the installed
``litellm`` package is read, without importing that package (which takes seconds). An entry is kept
by its ``litellm_provider``, never by a fragment of its name. A name that means no entry for sure
means none: prices are not guessed.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nightpane.errors import MissingExtraError

if TYPE_CHECKING:
    from nightpane.optimizer.model import Tokens

__all__ = ["ModelPrice", "PriceMap", "Prices", "Rates", "load"]

URL = "https://raw.githubusercontent.com/BerriAI/litellm/main/model_prices_and_context_window.json"
_TIMEOUT_S = 4.0
_MOST_BYTES = 20_000_000
_FILE = "model_prices_and_context_window_backup.json"
_PROVIDERS = frozenset(
    {
        *("openai", "anthropic", "vertex_ai", "gemini", "azure", "azure_ai", "deepseek"),
        *("mistral", "bedrock", "cohere", "groq"),
    }
)
# Routes of one provider's API that LiteLLM keeps apart.
_ROUTES = {"bedrock_converse": "bedrock", "cohere_chat": "cohere"}
_MODES = ("chat", "completion")
_SIDES = {
    "uncached": "input_cost_per_token",
    "cache_read": "cache_read_input_token_cost",
    "cache_write": "cache_creation_input_token_cost",
    "output": "output_cost_per_token",
}
_TIERS = {"batch": "batches", "batches": "batches", "flex": "flex", "priority": "priority"}
_ABOVE = re.compile(r"_above_(\d+)k_tokens$")
_SHORTEST_PART = 3
# A name with one of these words more is another model, not a longer name of the same.
_VARIANTS = frozenset(
    {
        *("mini", "nano", "lite", "small", "tiny", "flash", "turbo", "pro", "max", "codex"),
        *("audio", "realtime", "search", "vision", "image", "transcribe", "tts", "instruct"),
    }
)
# What PostHog's and OpenTelemetry's wrappers write as $ai_provider → providers of the map.
_NAMES: Mapping[str, tuple[str, ...]] = {
    "google": ("gemini", "vertex_ai"),
    "google_genai": ("gemini", "vertex_ai"),
    "vertex": ("vertex_ai",),
    "vertexai": ("vertex_ai",),
    "aws": ("bedrock",),
    "amazon": ("bedrock",),
    "azure": ("azure", "azure_ai"),
    "azure_openai": ("azure",),
    "mistralai": ("mistral",),
    "claude": ("anthropic",),
}


@dataclass(frozen=True, slots=True)
class Rates:
    """USD per token of each kind."""

    uncached: float
    cache_read: float
    cache_write: float
    output: float

    def cost(self, tokens: Tokens) -> float:
        """Return what these tokens cost in USD."""
        return (
            tokens.uncached * self.uncached
            + tokens.cache_read * self.cache_read
            + tokens.cache_write * self.cache_write
            + tokens.output * self.output
        )


@dataclass(frozen=True, slots=True)
class ModelPrice:
    """One entry of the map."""

    name: str
    provider: str
    entry: Mapping[str, Any]

    @property
    def family(self) -> str:
        """The provider without its route or product: vertex_ai for vertex_ai-anthropic_models."""
        return _family(self.provider)

    @property
    def caches(self) -> bool:
        """Whether a cached prompt is cheaper than a new one."""
        return 0 < self._price("cache_read", "", 0, 0.0) < self.rates().uncached

    def rates(self, tier: str = "", above: int = 0) -> Rates:
        """Return the prices of a service tier, for prompts above that many tokens.

        Without a price of its own a cached token costs what an uncached one does.
        """
        fresh = self._price("uncached", tier, above, 0.0)
        return Rates(
            fresh,
            self._price("cache_read", tier, above, fresh),
            self._price("cache_write", tier, above, fresh),
            self._price("output", tier, above, 0.0),
        )

    def _price(self, side: str, tier: str, above: int, default: float) -> float:
        key, suffix = _SIDES[side], _TIERS.get(tier, "")
        limits = sorted(
            (
                int(found.group(1)) * 1000
                for name in self.entry
                if name.startswith(key) and (found := _ABOVE.search(name))
            ),
            reverse=True,
        )
        passed = next((limit for limit in limits if limit <= above), 0)
        long = f"{key}_above_{passed // 1000}k_tokens" if passed else ""
        for name in (f"{long}_{suffix}", long, f"{key}_{suffix}", key):
            value = self.entry.get(name)
            if isinstance(value, int | float) and value > 0:
                return float(value)
        return default


class PriceMap:
    """The kept entries. ``source`` and ``date`` tell which map this is."""

    def __init__(self, entries: Mapping[str, Any], source: str, date: str) -> None:
        self.source = source
        self.date = date
        self.models: dict[str, ModelPrice] = {
            name: ModelPrice(name, str(entry["litellm_provider"]), entry)
            for name, entry in sorted(entries.items())
            if _is_kept(entry)
        }
        self._lower: dict[str, str] = {}
        self._bare: dict[str, list[str]] = {}
        for name in self.models:
            self._lower.setdefault(name.lower(), name)
            self._bare.setdefault(_bare(name), []).append(name)

    def resolve(self, model: str, provider: str = "") -> ModelPrice | None:
        """Return the entry a name means, None when none does.

        Tried in turn: the exact name; without regard to case; without ``provider/`` on either side;
        the shortest known name that holds it as whole words and names no variant of it (``mini``).
        Entries of the call's own provider go
        before others.
        """
        if model in self.models and self._fits(self.models[model], provider):
            return self.models[model]
        lower = model.lower()
        steps: tuple[Iterable[str], ...] = (
            filter(None, [self._lower.get(lower)]),
            self._bare.get(_bare(lower), ()),
            self._holding(_bare(lower)),
        )
        found = [[self.models[name] for name in names] for names in steps]
        for step in found:
            own = [one for one in step if self._fits(one, provider)]
            if own:
                return min(own, key=_shortest)
        # The provider may be a gateway: another's entry of the very same name.
        for step in (found[0], found[1]):
            if step:
                return min(step, key=_shortest)
        return None

    def _holding(self, part: str) -> list[str]:
        if len(part) < _SHORTEST_PART:
            return []
        whole = re.compile(rf"(?<![a-z0-9]){re.escape(part)}(?![a-z0-9.])")
        return [
            name
            for lower, name in self._lower.items()
            if whole.search(lower) and not _VARIANTS & _words(whole.sub("", lower))
        ]

    def _fits(self, price: ModelPrice, provider: str) -> bool:
        wanted = provider.lower().replace("-", "_")
        if not wanted or wanted not in {*_NAMES, *_PROVIDERS}:
            return True
        return price.family in _NAMES.get(wanted, (wanted,))


class Prices:
    """The price map seen from one project: its (model, provider) pairs, resolved once."""

    def __init__(self, known: PriceMap, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self.known = known
        self._found = {pair: known.resolve(*pair) for pair in sorted(set(pairs))}

    def of(self, model: str, provider: str = "") -> ModelPrice | None:
        """Return the price of one of the project's models, None when the map has none."""
        pair = (model, provider)
        if pair not in self._found:
            self._found[pair] = self.known.resolve(*pair)
        return self._found[pair]

    @property
    def names(self) -> dict[tuple[str, str], str | None]:
        """The map's name of each of the project's models, None for the unknown."""
        return {pair: None if one is None else one.name for pair, one in self._found.items()}


def load(*, live: bool) -> PriceMap:
    """Return the newest map the network gives within seconds, else the installed package's.

    Raises MissingExtraError when there is neither.
    """
    fetched = _fetch() if live else None
    if fetched is not None:
        return PriceMap(fetched, "LiteLLM's live price map", f"{datetime.now(UTC):%Y-%m-%d}")
    spec = importlib.util.find_spec("litellm")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    path = next((Path(one) / _FILE for one in folders if (Path(one) / _FILE).is_file()), None)
    if path is None:
        raise MissingExtraError("optimizer")
    version = importlib.metadata.version("litellm")
    installed = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    entries = json.loads(path.read_text("utf-8"))
    source = f"the price map of the installed litellm {version}"
    return PriceMap(entries, source, f"{installed:%Y-%m-%d}")


def _fetch() -> Mapping[str, Any] | None:
    import requests  # imported late: only a live map needs it

    try:
        answer = requests.get(URL, timeout=_TIMEOUT_S)
        answer.raise_for_status()
        entries = answer.json() if len(answer.content) <= _MOST_BYTES else None
    except (requests.RequestException, ValueError):
        return None  # the installed map serves, and the report says that it did
    return entries if isinstance(entries, dict) and len(entries) > len(_PROVIDERS) else None


def _family(provider: str) -> str:
    return _ROUTES.get(provider, "vertex_ai" if provider.startswith("vertex_ai") else provider)


def _bare(name: str) -> str:
    return name.lower().rsplit("/", 1)[-1]


def _words(text: str) -> set[str]:
    return set(re.split(r"[^a-z]+", text))


def _shortest(price: ModelPrice) -> tuple[int, str]:
    return len(price.name), price.name


def _is_kept(entry: Any) -> bool:
    if not isinstance(entry, dict) or entry.get("mode") not in _MODES:
        return False
    prices = [entry.get("input_cost_per_token"), entry.get("output_cost_per_token")]
    return _family(str(entry.get("litellm_provider"))) in _PROVIDERS and all(
        isinstance(price, int | float) and price > 0 for price in prices
    )
