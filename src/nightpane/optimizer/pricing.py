"""Step 2: what the calls cost by LiteLLM's price map, beside what PostHog says they cost.

PostHog leaves the cost of a model it does not know at null: those calls are priced from the map.
Calls that PostHog priced keep its figure, and the map only checks it.
"""

from __future__ import annotations

from dataclasses import replace

from nightpane.optimizer import price_map
from nightpane.optimizer.fields import TOKENS, Backfill, Scope, tokens
from nightpane.optimizer.folder import Folder
from nightpane.optimizer.model import CrossCheck, Options, Pricing, Tokens, Unpriced, Usage
from nightpane.optimizer.price_map import PriceMap, Prices
from nightpane.optimizer.source import PAGE, Source

__all__ = ["run", "tell"]

TOLERANCE = 0.05
"""A larger difference between PostHog's cost and the map's is a finding, says the issue."""
_SMALLEST_USD = 0.01  # below a cent a difference is rounding

_GROUP = "operation, model, provider, tier, above, priced, age, failed"
_QUERY = f"""SELECT {_GROUP}, count() AS calls, sum(ifNull(billed, 0)) AS usd, {TOKENS}
FROM (SELECT *,
    multiIf(at >= toDateTime({{since_3}}), 3, at >= toDateTime({{since_7}}), 7, {{days}}) AS age
  FROM %s)
GROUP BY {_GROUP} ORDER BY usd DESC, calls DESC, {_GROUP} LIMIT {PAGE}"""  # noqa: S608 (constants of this package; values go in placeholders)
_COLUMNS = (
    *("at", "operation", "model", "provider", "tier", "above", "priced", "failed"),
    *("billed", "uncached", "cache_read", "cache_write", "output"),
)


def run(
    source: Source, folder: Folder, scope: Scope, options: Options, known: PriceMap | None = None
) -> tuple[Pricing, Scope]:
    """Return the window's usage with its prices, and the scope that prices single calls likewise.

    ``known`` stands in for LiteLLM's map. Raises MissingExtraError when there is no map at all.
    """
    known = known or price_map.load(live=options.live_prices)
    read = _usage(source, scope)
    prices = Prices(known, ((one.model, one.provider) for one in read))
    usage = tuple(_backfilled(one, prices) for one in read)
    pricing = Pricing(
        prices=prices,
        usage=usage,
        unpriced=_unpriced(usage, prices),
        checks=_checks(usage, prices),
    )
    _write(folder, pricing)
    return pricing, replace(scope, backfill=_backfill(usage, prices))


def tell(pricing: Pricing) -> str:
    """Return one line on what the prices were needed for."""
    missing = sum(one.calls for one in pricing.unpriced)
    known = sum(one.calls for one in pricing.unpriced if one.backfilled_usd is not None)
    known_map = pricing.prices.known
    return (
        f"{known_map.source} ({known_map.date}), {len(known_map.models):,} models; "
        f"{missing:,} calls without a cost, {known:,} of them backfilled; "
        f"{len(pricing.checks)} models priced differently"
    )


def _usage(source: Source, scope: Scope) -> list[Usage]:
    rows = source.ask(
        _QUERY % scope.calls(*_COLUMNS),
        scope.values(
            {"since_3": scope.since(3), "since_7": scope.since(7), "days": scope.days},
        ),
    )
    return [
        Usage(
            operation=row["operation"],
            model=row["model"],
            provider=row["provider"],
            tier=row["tier"],
            above=int(row["above"]),
            priced=bool(row["priced"]),
            age_days=int(row["age"]),
            calls=int(row["calls"]),
            errors=int(row["calls"]) if row["failed"] else 0,
            cost_usd=float(row["usd"] or 0),
            error_cost_usd=float(row["usd"] or 0) if row["failed"] else 0.0,
            tokens=tokens(row),
        )
        for row in rows
    ]


def _backfilled(one: Usage, prices: Prices) -> Usage:
    price = prices.of(one.model, one.provider)
    if one.priced or price is None:
        return one
    cost = price.rates(one.tier, one.above).cost(one.tokens)
    return replace(one, cost_usd=cost, error_cost_usd=cost if one.errors else 0.0)


def _backfill(usage: tuple[Usage, ...], prices: Prices) -> Backfill:
    cells = {
        (one.model, one.provider, one.tier, one.above): price.rates(one.tier, one.above)
        for one in usage
        if not one.priced
        and one.tokens.total
        and (price := prices.of(one.model, one.provider)) is not None
    }
    ordered = sorted(cells.items())
    return Backfill(
        keys=["|".join(map(str, key)) for key, _ in ordered],
        uncached=[rates.uncached for _, rates in ordered],
        cache_read=[rates.cache_read for _, rates in ordered],
        cache_write=[rates.cache_write for _, rates in ordered],
        output=[rates.output for _, rates in ordered],
    )


def _unpriced(usage: tuple[Usage, ...], prices: Prices) -> tuple[Unpriced, ...]:
    """Return the models PostHog has no cost for; calls without any tokens cost nothing anyway."""
    groups: dict[tuple[str, str], list[Usage]] = {}
    for one in usage:
        if not one.priced and one.tokens.total:
            groups.setdefault((one.model, one.provider), []).append(one)
    found = []
    for (model, provider), cells in groups.items():
        price = prices.of(model, provider)
        found.append(
            Unpriced(
                model,
                provider,
                calls=sum(one.calls for one in cells),
                tokens=sum((one.tokens for one in cells), Tokens()),
                resolved=None if price is None else price.name,
                backfilled_usd=None if price is None else sum(one.cost_usd for one in cells),
                operations=tuple(sorted({one.operation for one in cells})),
            )
        )
    return tuple(sorted(found, key=lambda one: (-one.calls, one.model, one.provider)))


def _checks(usage: tuple[Usage, ...], prices: Prices) -> tuple[CrossCheck, ...]:
    sums: dict[tuple[str, str], list[float]] = {}
    for one in usage:
        price = prices.of(one.model, one.provider)
        if one.priced and price is not None and one.tokens.total:
            total = sums.setdefault((one.model, one.provider), [0, 0.0, 0.0])
            total[0] += one.calls
            total[1] += one.cost_usd
            total[2] += price.rates(one.tier, one.above).cost(one.tokens)
    found = (
        CrossCheck(model, provider, int(calls), posthog, by_map)
        for (model, provider), (calls, posthog, by_map) in sums.items()
    )
    differing = [
        one
        for one in found
        if abs(one.difference) > TOLERANCE and abs(one.posthog_usd - one.map_usd) > _SMALLEST_USD
    ]
    return tuple(
        sorted(differing, key=lambda one: (-abs(one.posthog_usd - one.map_usd), one.model))
    )


def _write(folder: Folder, pricing: Pricing) -> None:
    known = pricing.prices.known
    folder.json(
        "data/model_pricing.json",
        {
            name: {
                **{key: value for key, value in price.entry.items() if "cost_per_token" in key},
                **{key: value for key, value in price.entry.items() if key.startswith("cache_")},
                "litellm_provider": price.provider,
                "mode": price.entry["mode"],
            }
            for name, price in known.models.items()
        },
    )
    folder.json(
        "data/pricing_check.json",
        {
            "source": known.source,
            "date": known.date,
            "models": [
                {"model": model, "provider": provider, "resolved": name}
                for (model, provider), name in pricing.prices.names.items()
            ],
            "unpriced": [
                {
                    "model": one.model,
                    "provider": one.provider,
                    "calls": one.calls,
                    "tokens": round(one.tokens.total),
                    "resolved": one.resolved,
                    "backfilled_usd": None
                    if one.backfilled_usd is None
                    else round(one.backfilled_usd, 6),
                    "operations": list(one.operations),
                }
                for one in pricing.unpriced
            ],
            "differing": [
                {
                    "model": one.model,
                    "provider": one.provider,
                    "calls": one.calls,
                    "posthog_usd": round(one.posthog_usd, 6),
                    "map_usd": round(one.map_usd, 6),
                    "difference": round(one.difference, 4),
                }
                for one in pricing.checks
            ],
        },
    )
