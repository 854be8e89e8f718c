"""Makes the price table that ships with nightpane: src/nightpane/prices/prices.json.

    python -m pip install genai-prices litellm
    python docs/make_prices.py

It is a tool of the release and never needed at run time. Three sections, in the order they are
asked:

- ``manual``: the few models PostHog prices by hand (figures of its public ingestion source).
- ``openrouter``: OpenRouter's public prices, which are what PostHog's list is made of, as the
  package genai-prices tracks them; a provider's own price stands beside where it differs.
- ``litellm``: models neither of them has, from LiteLLM's map.

Prices are in USD for a million tokens, those of a request or a web search for one.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nightpane.prices.table import FIELDS, Table

TARGET = Path(__file__).parent.parent / "src" / "nightpane" / "prices" / "prices.json"
Row = list[Any]

# PostHog's list of hand-written prices, per token as it writes them.
MANUAL: Mapping[str, tuple[str, ...]] = {
    "gpt-4.5": ("0.000075", "0.00015"),
    "claude-2": ("0.000008", "0.000024"),
    "gemini-2.5-pro-preview:large": ("0.0000025", "0.000015", "0.000000625"),
    "deepseek-v3-fireworks": ("0.0000009", "0.0000009"),
    "mistral-large-latest": ("0.000002", "0.000006"),
    "mistral-small-3.2": ("0.0000001", "0.0000003"),
    "text-embedding-3-small": ("0.00000002", "0"),
    "text-embedding-3-large": ("0.00000013", "0"),
    "text-embedding-ada-002": ("0.0000001", "0"),
}
# A provider's name in genai-prices, and in PostHog's list.
PROVIDERS: Mapping[str, str] = {
    "anthropic": "anthropic",
    "aws": "amazon-bedrock",
    "azure": "azure",
    "baseten": "baseten",
    "cerebras": "cerebras",
    "cloudflare": "cloudflare",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "fireworks": "fireworks",
    "google": "google-ai-studio",
    "groq": "groq",
    "minimax": "minimax",
    "mistral": "mistral",
    "moonshotai": "moonshotai",
    "novita": "novita",
    "openai": "openai",
    "perplexity": "perplexity",
    "together": "together",
    "x-ai": "xai",
    "zai": "z-ai",
}
# Who makes a model, by the first word of its name at OpenRouter: the provider whose own price fills
# in what OpenRouter leaves out.
MAKERS: Mapping[str, str] = {
    "anthropic": "anthropic",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "google": "google-ai-studio",
    "mistralai": "mistral",
    "moonshotai": "moonshotai",
    "openai": "openai",
    "perplexity": "perplexity",
    "x-ai": "xai",
    "z-ai": "z-ai",
}
_GENAI: Mapping[str, str] = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "input_audio_mtok": "audio",
    "output_audio_mtok": "audio_output",
    "cache_audio_read_mtok": "audio_cache",
    "input_image_mtok": "image",
    "output_image_mtok": "image_output",
    "web_searches_kcount": "web_search",
    "requests_kcount": "request",
}
_LITELLM: Mapping[str, str] = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_write",
    "input_cost_per_audio_token": "audio",
    "output_cost_per_audio_token": "audio_output",
    "cache_read_input_audio_token_cost": "audio_cache",
    "input_cost_per_image_token": "image",
    "output_cost_per_image_token": "image_output",
    "input_cost_per_request": "request",
}
_TIER = re.compile(r"(.+)_above_(\d+)k_tokens")
# Service tiers LiteLLM knows, and how PostHog's list marks them.
_SERVICE = {"flex": "-flex", "priority": "-priority"}
_PER_ONE = ("request", "web_search")
_DEAREST_USD_PER_MILLION = 1000


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--date", default=date.today().isoformat(), help="prices of this day")
    day = date.fromisoformat(parser.parse_args().date)
    litellm = litellm_map()
    manual = {
        model: {"default": [number(Decimal(price) * 10**6) for price in prices]}
        for model, prices in MANUAL.items()
    }
    openrouter = openrouter_rows(day, litellm)
    table = Table({"manual": manual, "openrouter": openrouter, "litellm": {}})
    rest = {
        model: {"default": row}
        for model, about in sorted(litellm.items())
        if (row := litellm_row(about)) and table.find(model) is None
    }
    sections = {"manual": manual, "openrouter": openrouter, "litellm": rest}
    versions = " and ".join(
        f"{name} {metadata.version(name)}" for name in ("genai-prices", "litellm")
    )
    write(day, f"PostHog's hand-written prices; OpenRouter's and others' by {versions}", sections)
    print({name: len(models) for name, models in sections.items()}, TARGET.stat().st_size, "bytes")


def write(day: date, source: str, sections: Mapping[str, Mapping[str, Any]]) -> None:
    """Write one model a line, so that a change of price reads as one in a diff."""

    def lines(models: Mapping[str, Any]) -> str:
        return ",\n".join(
            f"{json.dumps(model)}:{json.dumps(rows, separators=(',', ':'))}"
            for model, rows in models.items()
        )

    body = ",\n".join(f'"{name}":{{\n{lines(models)}\n}}' for name, models in sections.items())
    head = {"prices_of": day.isoformat(), "source": source, "fields": list(FIELDS)}
    TARGET.write_text(f'{json.dumps(head)[:-1]},\n"models":{{\n{body}\n}}}}\n', "utf-8")


def openrouter_rows(day: date, litellm: Mapping[str, Any]) -> dict[str, dict[str, Row]]:
    """Return the rows of OpenRouter's models, by provider."""
    from genai_prices.data import providers

    by_id = {provider.id: provider for provider in providers}
    others = {
        key: {name: row for model in by_id[name_].models for name, row in named(model, day)}
        for name_, key in PROVIDERS.items()
    }
    tiers = service_tiers(litellm)
    found: dict[str, dict[str, Row]] = {}
    for model in sorted(by_id["openrouter"].models, key=lambda one: one.id):
        row = genai_row(model, day)
        if row is None and model.id.endswith(":free"):
            row = [0, 0]
        if row is None:
            continue
        rows = {"default": row}
        bare = plain(model.id.rpartition("/")[2])
        maker = MAKERS.get(model.id.partition("/")[0], "")
        own = others.get(maker, {}).get(bare) or makers_own(by_id, maker, bare, day)
        if own and ":" not in model.id:
            rows["default"] = filled(row, own)
        for key in sorted(others):
            other = others[key].get(bare)
            if other is not None and ":" not in model.id:
                other = filled(other, rows["default"])
                if other != rows["default"]:
                    # Google's list has other makers' models as Vertex sells them.
                    foreign = key == "google-ai-studio" and maker != key
                    rows["google-vertex" if foreign else key] = other
        marked = tiers.get((maker, bare), {})
        if marked:
            # Else the provider's plain name would be found within a marked one.
            rows.setdefault(maker, rows["default"])
        rows |= {f"{maker}{mark}": row for mark, row in marked.items()}
        found[model.id.lower()] = rows
    for name, about in litellm.items():
        model_id = name.removeprefix("openrouter/")
        row = litellm_row(about) if model_id != name else None
        if row and model_id not in found:
            found[model_id] = {"default": row}
    return dict(sorted(found.items()))


def makers_own(by_id: Mapping[str, Any], maker: str, bare: str, day: date) -> Row | None:
    """Return the maker's row for a name its own rules of names take."""
    ids = [name for name, key in PROVIDERS.items() if key == maker]
    for model in by_id[ids[0]].models if ids else ():
        if model.match.is_match(bare):
            return genai_row(model, day)
    return None


def named(model: Any, day: date) -> Iterator[tuple[str, Row]]:
    row = genai_row(model, day)
    if row is not None:
        for name in {model.id, *equal_names(model.match)}:
            yield plain(name.rpartition("/")[2]), row


def equal_names(match: Any) -> Iterable[str]:
    if hasattr(match, "equals"):
        return [match.equals]
    return [name for part in getattr(match, "or_", ()) for name in equal_names(part)]


def plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def genai_row(model: Any, day: date) -> Row | None:
    """Return a model's row on a day, None when it has no price for a token."""
    prices = model.prices
    if isinstance(prices, list):
        prices = next(
            (
                one.prices
                for one in reversed(prices)
                if one.constraint is None or getattr(one.constraint, "start_date", day) <= day
            ),
            prices[0].prices,
        )
    values: dict[str, Decimal] = {}
    tiers: dict[int, dict[str, Decimal]] = {}
    for theirs, ours in _GENAI.items():
        price = getattr(prices, theirs, None)
        if price is None:
            continue
        for tier in getattr(price, "tiers", ()):
            tiers.setdefault(tier.start, {})[ours] = tier.price
        value = getattr(price, "base", price)
        values[ours] = value / 1000 if ours in _PER_ONE else value
    return make_row(values, tiers)


def litellm_map() -> dict[str, Any]:
    # Not imported: importing litellm asks the network for a newer map.
    package = find_spec("litellm")
    if package is None or package.origin is None:
        raise SystemExit("litellm is not installed")
    file = Path(package.origin).parent / "model_prices_and_context_window_backup.json"
    found: dict[str, Any] = json.loads(file.read_text("utf-8"), parse_float=Decimal)
    return {model.lower(): about for model, about in found.items() if model != "sample_spec"}


def litellm_row(about: Mapping[str, Any], suffix: str = "") -> Row | None:
    """Return a row of LiteLLM's map, None for what is not sold by the token."""
    values: dict[str, Decimal] = {}
    tiers: dict[int, dict[str, Decimal]] = {}
    for name, price in about.items():
        if not isinstance(price, int | Decimal) or isinstance(price, bool):
            continue
        if suffix and not name.endswith(suffix):
            continue
        name = name.removesuffix(suffix) if suffix else name
        tier = _TIER.fullmatch(name)
        ours = _LITELLM.get(tier[1] if tier else name)
        if ours is None:
            continue
        value = Decimal(price) if ours in _PER_ONE else Decimal(price) * 10**6
        if tier:
            tiers.setdefault(int(tier[2]) * 1000, {})[ours] = value
        else:
            values[ours] = value
    if about.get("mode") == "embedding" and "input" in values:
        values.setdefault("output", Decimal(0))
    dearest = max(values.get("input", Decimal(0)), values.get("output", Decimal(0)))
    # Some rows of the map are a hundred thousand times too high.
    return make_row(values, tiers) if 0 < dearest <= _DEAREST_USD_PER_MILLION else None


def service_tiers(litellm: Mapping[str, Any]) -> dict[tuple[str, str], dict[str, Row]]:
    found: dict[tuple[str, str], dict[str, Row]] = {}
    keys = {"openai": "openai", "gemini": "google-ai-studio"}
    for model, about in litellm.items():
        key = keys.get(about.get("litellm_provider"))
        for tier, mark in _SERVICE.items():
            row = litellm_row(about, f"_{tier}") if key else None
            if row and key:
                found.setdefault((key, plain(model.rpartition("/")[2])), {})[mark] = row
    return found


def make_row(
    values: Mapping[str, Decimal], tiers: Mapping[int, Mapping[str, Decimal]]
) -> Row | None:
    if "input" not in values or "output" not in values:
        return None
    row = listed(values)
    if tiers:
        row += [None] * (len(FIELDS) - len(row))
        row += [[above, listed(tiers[above])] for above in sorted(tiers)]
    return row


def listed(values: Mapping[str, Decimal]) -> Row:
    row = [number(values.get(name)) for name in FIELDS]
    while row and row[-1] is None:
        row.pop()
    return row


def number(value: Decimal | None) -> int | float | None:
    """Return a price at ten significant digits, as PostHog rounds them."""
    if value is None:
        return None
    short = float(f"{value:.10g}")
    return int(short) if short.is_integer() else short


def same_base(one: Row, other: Row) -> bool:
    return one[:2] == other[:2]


def filled(row: Row, own: Row) -> Row:
    """Return a row with the prices only the other has, when both ask the same for a token."""
    if not same_base(row, own):
        return row
    count = len(FIELDS)
    first, second = row[:count], own[:count]
    first += [None] * (count - len(first))
    second += [None] * (count - len(second))
    merged = [other if mine is None else mine for mine, other in zip(first, second, strict=True)]
    tiers = row[count:]
    while not tiers and merged and merged[-1] is None:
        merged.pop()
    return merged + tiers


if __name__ == "__main__":
    main()
