"""PostHog's rules of what a model call cost, as its ingestion applies them.

The order: costs the caller gave; prices the caller gave; the table. Each side (input, output) is
priced only when its usage was reported, since a rate times an unknown count is unknown and not
zero. What a client sent that is no usable number counts as absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from nightpane.prices.numbers import number
from nightpane.prices.sides import INPUT_COUNTS, OUTPUT_COUNTS, Call
from nightpane.prices.table import Found, Price, Table
from nightpane.prices.usage import splits

__all__ = ["COSTED", "cost"]

COSTED = frozenset({"$ai_generation", "$ai_embedding", "$ai_evaluation"})

_INPUT = "$ai_input_cost_usd"
_OUTPUT = "$ai_output_cost_usd"
_REQUEST = "$ai_request_cost_usd"
_WEB_SEARCH = "$ai_web_search_cost_usd"
_TOTAL = "$ai_total_cost_usd"
_PARTS = (_INPUT, _OUTPUT, _REQUEST, _WEB_SEARCH)
_SOURCE = "$ai_cost_model_source"
_LONG_PROMPT_MODEL = "gemini-2.5-pro-preview"
_LONG_PROMPT_TOKENS = 200_000
_OPTIONAL_PRICES = {
    "cache_read": "$ai_cache_read_token_price",
    "cache_write": "$ai_cache_write_token_price",
    "cache_write_1h": "$ai_cache_write_1h_token_price",
    "request": "$ai_request_price",
    "web_search": "$ai_web_search_price",
}


def cost(properties: Mapping[str, Any], table: Table) -> dict[str, Any]:
    """Return the properties to add to a generation, embedding or evaluation; costs in USD.

    A value of None says that what was sent there is unusable. Without a known price, or without
    any usage to apply it to, no cost is among them.
    """
    added: dict[str, Any] = splits(properties.get("$ai_usage"))
    if added:
        properties = {**properties, **added}
    call = Call(properties)
    added |= call.mended
    given = {key: number(properties[key]) for key in (*_PARTS, _TOTAL) if key in properties}
    added |= {
        key: None if value is None else float(value)
        for key, value in given.items()
        if type(properties[key]) not in (int, float) or value is None
    }
    known = {key: value for key, value in given.items() if value is not None}
    if known.get(_INPUT) and known.get(_OUTPUT):
        total = known.get(_TOTAL) or sum((known.get(key, Decimal(0)) for key in _PARTS), Decimal(0))
        return added | {_TOTAL: float(total), _SOURCE: "passthrough"}
    if properties.get("$ai_cost_passthrough") in (True, "true") and _TOTAL in known:
        return added | {_SOURCE: "passthrough"}
    found = _custom(properties) or _from_table(properties, table)
    if found is None:
        return added
    return (
        added
        | _priced(call, properties, found, known)
        | {
            "$ai_model_cost_used": found.model,
            _SOURCE: found.source,
            "$ai_cost_model_provider": found.provider,
        }
    )


def _custom(properties: Mapping[str, Any]) -> Found | None:
    """Return the caller's own prices per token: both sides', or none."""
    into = number(properties.get("$ai_input_token_price"))
    out = number(properties.get("$ai_output_token_price"))
    if into is None or out is None:
        return None
    others: dict[str, Any] = {
        name: number(properties.get(key)) for name, key in _OPTIONAL_PRICES.items()
    }
    return Found("custom", "custom", "custom", Price(input=into, output=out, **others))


def _from_table(properties: Mapping[str, Any], table: Table) -> Found | None:
    model = properties.get("$ai_model")
    if not isinstance(model, str) or not model:
        return None
    if _LONG_PROMPT_MODEL in model.lower():
        sent = number(properties.get("$ai_input_tokens")) or 0
        model = _LONG_PROMPT_MODEL + (":large" if sent > _LONG_PROMPT_TOKENS else "")
    provider = properties.get("$ai_provider")
    parameters = properties.get("$ai_model_parameters")
    # The tier that was served, as the provider's answer said: a requested one may be refused.
    tier = parameters.get("service_tier") if isinstance(parameters, Mapping) else None
    return table.find(model, str(provider) if provider else None, tier)


def _priced(
    call: Call, properties: Mapping[str, Any], found: Found, known: Mapping[str, Decimal]
) -> dict[str, Any]:
    price = found.price.for_prompt(call.prompt_tokens()) if found.price.tiers else found.price
    parts = {
        _REQUEST: _times(price.request, properties.get("$ai_request_count"), default=1),
        _WEB_SEARCH: _times(price.web_search, properties.get("$ai_web_search_count"), default=0),
    }
    has_input, has_output = call.reports(INPUT_COUNTS), call.reports(OUTPUT_COUNTS)
    if not (has_input or has_output or any(parts.values()) or known):
        return {}
    if has_input:
        parts[_INPUT] = call.input_cost(price, custom=found.provider == "custom")
    if has_output:
        parts[_OUTPUT] = call.output_cost(price)
    parts |= {key: known[key] for key in _PARTS if key in known}
    total = known[_TOTAL] if _TOTAL in known else sum(parts.values(), Decimal(0))
    costs: dict[str, Any] = {key: float(value) for key, value in parts.items()}
    exclusive = {"$ai_cache_reporting_exclusive": call.exclusive} if has_input else {}
    return {**costs, _TOTAL: float(total), **exclusive}


def _times(price: Decimal | None, count: Any, *, default: int) -> Decimal:
    if price is None:
        return Decimal(0)
    counted = number(count)
    return price * (default if counted is None else counted)
