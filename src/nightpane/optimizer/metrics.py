"""Step 3: cost and volume by operation and by model, for the window, its last 7 and 3 days.

Sums come from the usage that was priced in step 2, so that no total is computed twice; only the
quantiles, which cannot be added, are asked for here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from nightpane.optimizer.fields import Scope, moment
from nightpane.optimizer.folder import Folder
from nightpane.optimizer.model import (
    Daily,
    Metrics,
    ModelMetrics,
    OperationMetrics,
    Pricing,
    Spread,
    Tokens,
    Usage,
    WindowTotals,
)
from nightpane.optimizer.source import PAGE, Row, Source

__all__ = ["DAILY_OPERATIONS", "run"]

DAILY_OPERATIONS = 20
"""So many of the dearest operations have a line of their own per day."""


def _quantiles(*columns: str) -> str:
    # Weighted: a table of distinct values, exact and small where a list of all would not be.
    return ", ".join(
        f"quantilesExactWeighted(0.5, 0.95)({name}, 1) AS {name}_, max({name}) AS {name}_max"
        for name in columns
    )


_OPERATIONS = f"""SELECT operation, count() AS calls, uniqExact(cityHash64(trace)) AS traces,
  countIf(trace = '') AS untraced, max(at) AS last, {_quantiles("latency", "prompt", "output")}
FROM %s GROUP BY operation ORDER BY calls DESC, operation LIMIT {PAGE}"""  # noqa: S608 (constants of this package)
_MODELS = f"""SELECT model, provider, count() AS calls, {_quantiles("latency")}
FROM %s GROUP BY model, provider ORDER BY calls DESC, model, provider LIMIT {PAGE}"""  # noqa: S608 (as above)
_DAILY = f"""SELECT day, named, count() AS calls, sum(cost) AS usd, countIf(failed) AS errors
FROM (SELECT day, cost, failed, if(operation IN {{operations}}, operation, '') AS named FROM %s)
GROUP BY day, named ORDER BY day, named LIMIT {PAGE}"""  # noqa: S608 (as above)


def run(source: Source, folder: Folder, scope: Scope, pricing: Pricing) -> Metrics:
    """Return the metrics, and write ``data/metrics_by_span.csv`` and ``metrics_by_model.csv``."""
    by_operation = _group(pricing.usage, lambda one: one.operation)
    by_model = _group(pricing.usage, lambda one: (one.model, one.provider))
    rows = source.ask(
        _OPERATIONS % scope.calls("operation", "trace", "at", "latency", "prompt", "output"),
        scope.values(),
    )
    operations = sorted(
        (
            _operation(row, by_operation[row["operation"]], scope)
            for row in rows
            if row["operation"] in by_operation
        ),
        key=lambda one: (-one.cost_usd, -one.calls, one.operation),
    )
    models = sorted(
        (
            _model(row, by_model[row["model"], row["provider"]], scope)
            for row in source.ask(
                _MODELS % scope.calls("model", "provider", "latency"), scope.values()
            )
            if (row["model"], row["provider"]) in by_model
        ),
        key=lambda one: (-one.cost_usd, -one.calls, one.model, one.provider),
    )
    metrics = Metrics(
        operations=tuple(operations),
        models=tuple(models),
        windows=_windows(pricing.usage, scope),
        daily=_daily(source, scope, [one.operation for one in operations[:DAILY_OPERATIONS]]),
        cost_usd=sum(one.cost_usd for one in pricing.usage),
        calls=sum(one.calls for one in pricing.usage),
        errors=sum(one.errors for one in pricing.usage),
        tokens=_tokens(pricing.usage),
        untraced_calls=sum(int(row["untraced"]) for row in rows),
    )
    _write(folder, metrics)
    return metrics


def _group(usage: Iterable[Usage], key: Callable[[Usage], object]) -> dict[object, list[Usage]]:
    groups: dict[object, list[Usage]] = {}
    for one in usage:
        groups.setdefault(key(one), []).append(one)
    return groups


def _operation(row: Row, usage: Sequence[Usage], scope: Scope) -> OperationMetrics:
    windows = _windows(usage, scope)
    costs: dict[str, float] = {}
    for one in usage:
        costs[one.model] = costs.get(one.model, 0.0) + one.cost_usd
    return OperationMetrics(
        operation=row["operation"],
        calls=sum(one.calls for one in usage),
        errors=sum(one.errors for one in usage),
        cost_usd=sum(one.cost_usd for one in usage),
        error_cost_usd=sum(one.error_cost_usd for one in usage),
        tokens=_tokens(usage),
        traces=int(row["traces"]),
        latency_s=_spread(row, "latency"),
        prompt=_spread(row, "prompt"),
        output=_spread(row, "output"),
        last=moment(row["last"]),
        windows=windows,
        trend=_trend(windows),
        models=tuple(sorted(costs, key=lambda name: (-costs[name], name))),
    )


def _model(row: Row, usage: Sequence[Usage], scope: Scope) -> ModelMetrics:
    windows = _windows(usage, scope)
    return ModelMetrics(
        model=row["model"],
        provider=row["provider"],
        calls=sum(one.calls for one in usage),
        errors=sum(one.errors for one in usage),
        cost_usd=sum(one.cost_usd for one in usage),
        tokens=_tokens(usage),
        latency_s=_spread(row, "latency"),
        windows=windows,
        trend=_trend(windows),
    )


def _tokens(usage: Iterable[Usage]) -> Tokens:
    return sum((one.tokens for one in usage), Tokens())


def _spread(row: Row, name: str) -> Spread:
    p50, p95 = row[f"{name}_"] or (0, 0)
    return Spread(float(p50 or 0), float(p95 or 0), float(row[f"{name}_max"] or 0))


def _windows(usage: Sequence[Usage], scope: Scope) -> tuple[WindowTotals, ...]:
    found = []
    for days in sorted({min(3, scope.days), min(7, scope.days), scope.days}):
        cells = [one for one in usage if one.age_days <= days]
        found.append(
            WindowTotals(
                days,
                calls=sum(one.calls for one in cells),
                cost_usd=sum(one.cost_usd for one in cells),
                errors=sum(one.errors for one in cells),
                tokens=_tokens(cells).total,
            )
        )
    return tuple(found)


def _trend(windows: Sequence[WindowTotals]) -> float | None:
    """Return the daily cost of the last 7 days over that of the days before them."""
    week = next((one for one in windows if one.days == 7), None)
    whole = windows[-1]
    if week is None or whole.days < 14:
        return None
    before = (whole.cost_usd - week.cost_usd) / (whole.days - week.days)
    return week.cost_per_day_usd / before if before > 0 else None


def _daily(source: Source, scope: Scope, operations: list[str]) -> tuple[Daily, ...]:
    rows = source.ask(
        _DAILY % scope.calls("day", "operation", "cost", "failed"),
        scope.values({"operations": operations}),
    )
    return tuple(
        Daily(
            _day(int(row["day"])),
            row["named"],
            int(row["calls"]),
            float(row["usd"] or 0),
            int(row["errors"]),
        )
        for row in rows
    )


def _day(number: int) -> str:
    from datetime import date, timedelta

    return (date(1970, 1, 1) + timedelta(days=number)).isoformat()


def _write(folder: Folder, metrics: Metrics) -> None:
    lengths = [one.days for one in metrics.windows]
    by_window = [f"{name}_{days}d" for days in lengths[:-1] for name in ("calls", "cost_usd")]
    folder.csv(
        "data/metrics_by_span.csv",
        [
            *("operation", "calls", "total_cost_usd", "total_tokens", "avg_cost_per_call"),
            *("p50_latency_s", "p95_latency_s", "error_rate", "traces", *by_window, "trend"),
        ],
        (
            [
                *(one.operation, one.calls, round(one.cost_usd, 6), round(one.tokens.total)),
                *(round(one.cost_per_call_usd, 9), one.latency_s.p50, one.latency_s.p95),
                *(round(one.error_rate, 6), one.traces, *_by_window(one.windows)),
                _rounded(one.trend),
            ]
            for one in metrics.operations
        ),
    )
    folder.csv(
        "data/metrics_by_model.csv",
        [
            *("model", "provider", "calls", "total_cost_usd", "total_tokens", "avg_cost_per_call"),
            *("p50_latency_s", "p95_latency_s", "error_rate", *by_window, "trend"),
        ],
        (
            [
                *(one.model, one.provider, one.calls, round(one.cost_usd, 6)),
                *(round(one.tokens.total), round(one.cost_usd / one.calls, 9)),
                *(one.latency_s.p50, one.latency_s.p95, round(one.error_rate, 6)),
                *(*_by_window(one.windows), _rounded(one.trend)),
            ]
            for one in metrics.models
        ),
    )


def _by_window(windows: Sequence[WindowTotals]) -> list[float]:
    return [value for one in windows[:-1] for value in (one.calls, round(one.cost_usd, 6))]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
