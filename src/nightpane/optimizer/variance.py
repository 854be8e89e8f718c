"""Step 4: how a trace's cost varies within an operation, and which traces stand out.

Two rules, side by side: mean + 2 σ, as the outline asks, and median + 5 scaled MADs, because a few
monsters inflate σ until they hide behind it. A trace is an outlier by either.
"""

from __future__ import annotations

from nightpane.optimizer.fields import Scope, moment
from nightpane.optimizer.folder import Folder
from nightpane.optimizer.model import Metrics, OperationVariance, Options, OutlierTrace
from nightpane.optimizer.source import Row, Source

__all__ = ["run"]

SIGMAS = 2.0
MADS = 5.0
"""Five robust standard deviations: beyond them a normal cost falls once in three million, and a
log-normal one (the usual shape of costs, σ = 0.5) once in a few hundred."""
LEAST_RATIO = 2.0
"""Nothing below twice the median is an outlier, however evenly the others cost: a tenth of a cent
more is not worth a reader's time."""
DEAREST = 500
SHOWN = 10
_LEAST_TRACES = 8
"""Fewer traces have no distribution to stand out of."""
_CONSISTENCY = 1.4826  # makes a normal's MAD its standard deviation

_PER_TRACE = """SELECT operation, cityHash64(trace) AS hash, sum(cost) AS usd FROM %s
  WHERE trace != '' AND operation IN {operations} GROUP BY operation, hash HAVING usd > 0"""
_SPREAD = f"""SELECT operation, count() AS n, min(usd) AS least, avg(usd) AS mean,
  quantilesExact(0.5, 0.95)(usd) AS quantiles, max(usd) AS most, stddevPop(usd) AS std
FROM ({_PER_TRACE}) GROUP BY operation LIMIT 100"""  # noqa: S608 (constants of this package; values go in placeholders)
_MAD = f"""SELECT operation, quantileExact(0.5)(off) AS mad
FROM (SELECT operation, abs(usd - transform(operation, {{operations}}, {{medians}}, 0.0)) AS off
  FROM ({_PER_TRACE})) GROUP BY operation LIMIT 100"""  # noqa: S608 (as above)
_OUTSIDE = f"""SELECT operation, countIf(outside) AS traces, sumIf(usd, outside) AS cost
FROM (SELECT operation, usd, usd > transform(operation, {{operations}}, {{limits}}, 0.0) AS outside
  FROM ({_PER_TRACE})) GROUP BY operation LIMIT 100"""  # noqa: S608 (as above)
_DEAREST = f"""SELECT operation, trace, sum(cost) AS usd, count() AS calls, min(at) AS start FROM %s
WHERE trace != '' AND operation IN {{operations}} GROUP BY operation, trace HAVING usd > 0
ORDER BY usd DESC, operation, trace LIMIT {DEAREST} BY operation LIMIT 50000"""  # noqa: S608 (as above)


def run(
    source: Source, folder: Folder, scope: Scope, metrics: Metrics, options: Options
) -> tuple[OperationVariance, ...]:
    """Return the cost per trace of the dearest operations; write ``data/cost_variance.json``."""
    dearest = [one.operation for one in metrics.operations if one.cost_usd > 0][: options.top_n]
    found = _measured(source, scope, dearest) if dearest else ()
    folder.json("data/cost_variance.json", {one.operation: _document(one) for one in found})
    return found


def _measured(source: Source, scope: Scope, dearest: list[str]) -> tuple[OperationVariance, ...]:
    def ask(text: str, **more: list[float]) -> dict[str, Row]:
        calls = scope.calls("operation", "trace", "cost")
        rows = source.ask(text % calls, scope.values({"operations": dearest, **more}))
        return {row["operation"]: row for row in rows}

    spread = ask(_SPREAD)
    names = [name for name in dearest if name in spread]
    medians = [float(spread[name]["quantiles"][0]) if name in spread else 0.0 for name in dearest]
    mads = ask(_MAD, medians=medians)
    limits = [
        _limit(spread[name], float(mads[name]["mad"])) if name in spread else 0.0
        for name in dearest
    ]
    outside = ask(_OUTSIDE, limits=limits)
    traces: dict[str, list[Row]] = {name: [] for name in names}
    for row in source.ask(
        _DEAREST % scope.calls("operation", "trace", "cost", "at"),
        scope.values({"operations": dearest}),
    ):
        traces[row["operation"]].append(row)
    return tuple(
        _variance(name, spread[name], float(mads[name]["mad"]), outside[name], traces[name])
        for name in names
    )


def _limits(row: Row, mad: float) -> tuple[float, float]:
    """Return the two limits of a distribution, σ's and MAD's."""
    median = float(row["quantiles"][0])
    sigma = float(row["mean"]) + SIGMAS * float(row["std"])
    return sigma, median + MADS * _CONSISTENCY * mad


def _limit(row: Row, mad: float) -> float:
    """Return from which cost on a trace is an outlier by either rule."""
    if int(row["n"]) < _LEAST_TRACES:
        return 2 * float(row["most"])  # a cost is summed anew: beyond every rounding of the most
    return max(min(_limits(row, mad)), LEAST_RATIO * float(row["quantiles"][0]))


def _variance(
    name: str, row: Row, mad: float, outside: Row, dearest: list[Row]
) -> OperationVariance:
    sigma, robust = _limits(row, mad)
    limit = _limit(row, mad)
    outliers = tuple(
        OutlierTrace(
            trace_id=one["trace"],
            operation=name,
            cost_usd=float(one["usd"]),
            calls=int(one["calls"]),
            start=moment(one["start"]),
            by_sigma=float(one["usd"]) > sigma,
            by_mad=float(one["usd"]) > robust,
        )
        for one in dearest[:SHOWN]
        if float(one["usd"]) > limit
    )
    return OperationVariance(
        operation=name,
        n=int(row["n"]),
        min=float(row["least"]),
        mean=float(row["mean"]),
        median=float(row["quantiles"][0]),
        max=float(row["most"]),
        std=float(row["std"]),
        p95=float(row["quantiles"][1]),
        mad=_CONSISTENCY * mad,
        sigma_limit=sigma,
        mad_limit=robust,
        outlier_traces=int(outside["traces"]),
        outlier_cost_usd=float(outside["cost"] or 0),
        outliers=outliers,
        costs=tuple(float(one["usd"]) for one in dearest),
    )


def _document(one: OperationVariance) -> dict[str, object]:
    numbers = ("min", "mean", "median", "max", "std", "p95", "mad", "sigma_limit", "mad_limit")
    return {
        "n": one.n,
        **{name: round(float(getattr(one, name)), 9) for name in numbers},
        "outlier_traces": one.outlier_traces,
        "outlier_cost_usd": round(one.outlier_cost_usd, 9),
        "outlier_trace_ids": [trace.trace_id for trace in one.outliers],
        "outliers": [
            {
                "trace_id": trace.trace_id,
                "cost_usd": round(trace.cost_usd, 9),
                "calls": trace.calls,
                "rules": [
                    rule
                    for rule, holds in (("2 sigma", trace.by_sigma), ("5 MAD", trace.by_mad))
                    if holds
                ],
            }
            for trace in one.outliers
        ],
    }
