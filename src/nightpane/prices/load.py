"""Reading the table that ships with nightpane, and the prices its user wrote down."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from nightpane.errors import ConfigError
from nightpane.prices.table import Price, Table

__all__ = ["OWN_PRICES", "load"]

OWN_PRICES = "prices.toml"
"""Name of the file of a user's own prices, in the server's data folder."""

# What a user may write for a model, and the price it is; the names are those of PostHog's events.
_KEYS: Mapping[str, str] = {
    "input_token_price": "input",
    "output_token_price": "output",
    "cache_read_token_price": "cache_read",
    "cache_write_token_price": "cache_write",
    "cache_write_1h_token_price": "cache_write_1h",
    "request_price": "request",
    "web_search_price": "web_search",
}
_MOST_USD = 1000


def load(own: Path | None = None) -> Table:
    """Return the table, with the prices of a file of the user's before all others.

    The file is TOML: a table for each model with ``input_token_price`` and ``output_token_price``
    in USD for one token, and further ones where they matter. No file is fine. Raises ConfigError
    for a file that cannot be used.
    """
    return Table(_shipped(), _own(own) if own is not None and own.exists() else None)


@cache
def _shipped() -> Mapping[str, Any]:
    text = (resources.files("nightpane.prices") / "prices.json").read_text("utf-8")
    models: Mapping[str, Any] = json.loads(text)["models"]
    return models


def _own(path: Path) -> dict[str, Price]:
    try:
        document = tomllib.loads(path.read_text("utf-8"), parse_float=Decimal)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}; mend it or move it away") from error
    return {model: _price(path, model, prices) for model, prices in document.items()}


def _price(path: Path, model: str, prices: Any) -> Price:
    if not isinstance(prices, Mapping):
        raise ConfigError(f"{path}: {model!r} stands in no table; write its prices under [{model}]")
    values: dict[str, Any] = {
        _KEYS[key]: _usd(path, model, key, prices[key]) for key in prices if key in _KEYS
    }
    unknown = sorted(prices.keys() - _KEYS)
    if unknown or "input" not in values or "output" not in values:
        said = f"has {', '.join(unknown)}" if unknown else "lacks one"
        raise ConfigError(
            f"{path}: model {model!r} needs input_token_price and output_token_price (USD for one "
            f"token) and may have {', '.join(list(_KEYS)[2:])}; it {said}. A model's name with a "
            'dot or slash is written in quotes: ["gpt-4.1"]'
        )
    return Price(**values)


def _usd(path: Path, model: str, key: str, value: Any) -> Decimal:
    if _is_number(value) and 0 <= value < _MOST_USD:
        return Decimal(value)
    raise ConfigError(
        f"{path}: {key} of model {model!r} is {value!r}; expected USD for one, as a number from 0 "
        f"to {_MOST_USD}"
    )


def _is_number(value: Any) -> bool:
    if isinstance(value, Decimal):
        return value.is_finite()
    return isinstance(value, int) and not isinstance(value, bool)
