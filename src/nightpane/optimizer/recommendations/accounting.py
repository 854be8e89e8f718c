"""Costs that the project's dashboards do not show, or show wrongly: send the prices along.

Nothing is saved by it; what cannot be seen cannot be kept in check.
"""

from __future__ import annotations

from nightpane.optimizer.model import CrossCheck, Fix, Unpriced
from nightpane.optimizer.price_map import ModelPrice
from nightpane.optimizer.recommendations.facts import OF_MODEL, Draft, Group, Plan, Subject
from nightpane.optimizer.recommendations.money import calls_of, spend
from nightpane.optimizer.recommendations.snippets import join, literal
from nightpane.optimizer.words import code, count, percent, usd

__all__ = ["differing", "unpriced"]

_LEAST_CALLS, _LEAST_SHARE = 20, 0.01
_NO_MODEL = "unknown"
_CLIENT = """
from posthog import Posthog

posthog = Posthog(POSTHOG_API_KEY, host=POSTHOG_HOST)
"""
_TOKENS = ('"$ai_input_tokens": input_tokens,', '"$ai_output_tokens": output_tokens,')
_MANY_TIMES = 3
_WEIGHT = 0.1
"""Of the amount in question: what seeing a cost is worth, beside saving it."""


def unpriced(subject: Subject, one: Unpriced) -> Draft | None:
    """Return the advice to price a model that PostHog does not know."""
    groups = tuple(
        group
        for group in subject.groups("unpriced")
        if (group.model, group.provider) == (one.model, one.provider)
    )
    enough = one.calls >= max(_LEAST_CALLS, _LEAST_SHARE * subject.whole.calls)
    if not groups or not enough:
        return None
    price = subject.price(one.model, one.provider)
    if one.model == _NO_MODEL:
        return _unnamed(subject, one, groups)
    known = (
        f"The price map has it as {code(one.resolved)}, which makes it "
        f"{spend(subject, one.backfilled_usd or 0)}; dashboards show 0."
        if one.resolved
        else "The price map does not know it either: what it costs is in no total, here or "
        "elsewhere."
    )
    return Draft(
        cause="unpriced_model",
        about=one.model,
        title=f"Send prices with the calls of {code(one.model, 60)}",
        problem=(
            f"{count(one.calls)} calls of {code(one.model)} ({count(one.tokens.total)} tokens) "
            "reached PostHog without a cost, since it has no price for the model."
        ),
        why=known,
        parts=[],
        method="No saving: the cost is paid either way, only unseen.",
        fix=_fix(one.model, price),
        plan=Plan(
            metric="Share of the model's calls without a cost",
            unit="%",
            before=100.0,
            after=0.0,
            names=("billed",),
            select="100 * countIf(isNull(billed)) / count()",
            subject=OF_MODEL,
            values={"model": one.model},
        ),
        ease=3,
        issues=_issues(groups, "without a cost"),
        lost_usd=_WEIGHT * (one.backfilled_usd or 0.0),
    )


def _unnamed(subject: Subject, one: Unpriced, groups: tuple[Group, ...]) -> Draft:
    """Return the advice to say which model was called."""
    return Draft(
        cause="unnamed_model",
        title=f"Record the model of the calls of {code(subject.name, 60)}",
        problem=(
            f"{count(one.calls)} calls ({count(one.tokens.total)} tokens), most of "
            f"{code(subject.name)}, reached PostHog without `$ai_model`."
        ),
        why="Without a model there is no price: what they cost is in no total, here or elsewhere.",
        parts=[],
        method="No saving: the cost is paid either way, only unseen.",
        fix=_naming(),
        plan=Plan(
            metric="Share of calls without a model",
            unit="%",
            before=100.0,
            after=0.0,
            names=("model",),
            select="100 * countIf(isNull(model) OR model = '') / count()",
        ),
        ease=3,
        issues=_issues(groups, "without a model"),
    )


def differing(subject: Subject, one: CrossCheck) -> Draft | None:
    """Return the advice to look at a model whose recorded cost is not what its prices say."""
    groups = tuple(
        group
        for group in subject.groups("differing")
        if (group.model, group.provider) == (one.model, one.provider)
    )
    price = subject.price(one.model, one.provider)
    amount = abs(one.posthog_usd - one.map_usd)
    if not groups or price is None or one.calls < _LEAST_CALLS:
        return None
    if amount < _LEAST_SHARE * subject.whole.cost_usd:
        return None
    known = subject.pricing.prices.known
    tokens = sum(
        use.tokens.total
        for use in subject.pricing.usage
        if (use.model, use.provider) == (one.model, one.provider) and use.priced
    )
    return Draft(
        cause="price_difference",
        about=one.model,
        title=f"Check the recorded cost of {code(one.model, 60)}",
        problem=(
            f"The recorded cost of {count(one.calls)} calls of {code(one.model)} is "
            f"{usd(one.posthog_usd)}; {known.source} ({known.date}) makes it {usd(one.map_usd)}, "
            f"{_apart(one.posthog_usd, one.map_usd)}."
        ),
        why=(
            f"{spend(subject, amount)} of the recorded cost is in doubt. An agreement with the "
            "provider explains it, as does a price that changed; so does a tool that counts "
            "cached tokens twice."
        ),
        parts=[],
        method="No saving: which of the two is right is on the provider's invoice.",
        fix=_fix(one.model, price),
        plan=Plan(
            metric="Recorded cost of a million tokens",
            unit="USD",
            before=1e6 * one.posthog_usd / max(tokens, 1),
            after=1e6 * one.map_usd / max(tokens, 1),
            names=("billed", "prompt", "output"),
            select="1000000 * sum(billed) / sum(prompt + output)",
            subject=OF_MODEL,
            where="isNotNull(billed)",
            values={"model": one.model},
            cv=0.5,
        ),
        ease=3,
        issues=_issues(groups, "at the recorded price"),
        lost_usd=_WEIGHT * amount,
    )


def _apart(recorded_usd: float, map_usd: float) -> str:
    """How far the map's figure is from the recorded one."""
    low, high = sorted((recorded_usd, map_usd))
    if low > 0 and high >= _MANY_TIMES * low:
        times = f"{high / low:,.1f} times"
        return f"the record is {times} that" if map_usd < recorded_usd else f"{times} the record"
    share = abs(1 - map_usd / recorded_usd) if recorded_usd else 1.0
    return f"{percent(share)} {'less' if map_usd < recorded_usd else 'more'}"


def _issues(groups: tuple[Group, ...], issue: str) -> dict[str, str]:
    return {
        one.trace_id: f"{calls_of(one.calls)} {issue}, {count(one.tokens.prompt)} prompt and "
        f"{count(one.tokens.output)} output tokens"
        for one in sorted(groups, key=lambda one: (-one.tokens.total, one.trace_id))
        if one.trace_id
    }


def _naming() -> Fix:
    return Fix(
        join(_CLIENT, _capture(_TOKENS)),
        join(
            _CLIENT,
            _capture(('"$ai_model": response.model,', '"$ai_provider": provider,', *_TOKENS)),
        ),
        "The provider's answer names the model that gave it. PostHog's wrappers record both by "
        "themselves.",
    )


def _fix(model: str, price: ModelPrice | None) -> Fix:
    tokens = (f'"$ai_model": {literal(model)},', *_TOKENS)
    rates = price.rates() if price else None
    prices = [
        f'"$ai_input_token_price": {_price(rates.uncached if rates else None, "INPUT_USD")},',
        f'"$ai_output_token_price": {_price(rates.output if rates else None, "OUTPUT_USD")},',
    ]
    if price and rates and price.caches:
        prices.append(f'"$ai_cache_read_token_price": {_price(rates.cache_read, "")},')
    return Fix(
        join(_CLIENT, _capture(tokens)),
        join(_CLIENT, _capture((*tokens, *prices))),
        "Prices are USD for a single token"
        + (
            f", here those of {code(price.name)}: compare them with the invoice first."
            if price
            else "; take them from the provider's price list."
        )
        + " PostHog's wrappers take the same properties as `posthog_properties`.",
    )


def _price(value: float | None, name: str) -> str:
    return name if value is None else f"{value:.4g}"


def _capture(lines: tuple[str, ...]) -> str:
    body = "".join(f"        {line}\n" for line in lines)
    return (
        "posthog.capture(\n"
        '    "$ai_generation",\n    distinct_id=user_id,\n    properties={\n'
        f"{body}    }},\n)"
    )
