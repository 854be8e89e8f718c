"""``recommendations.md``: eight sections, each from what a step found and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nightpane.optimizer.model import Analysis, OperationMetrics
from nightpane.optimizer.report import appendix, findings
from nightpane.optimizer.report.advice import priority, roadmap
from nightpane.optimizer.report.figures import Figure
from nightpane.optimizer.report.summary import headline, top_findings
from nightpane.optimizer.words import code, count, percent, table, usd

__all__ = ["document"]

_ROWS = 10


def document(analysis: Analysis, figures: tuple[Figure, ...]) -> str:
    """Return the report."""
    drawn = {path: f"![{title}]({path})" for path, title in figures}
    sections = (
        ("Executive Summary", _summary(analysis)),
        ("Cost Analysis", _cost(analysis, drawn)),
        ("High-Variance Investigation", findings.variance(analysis, drawn)),
        ("Failure-Mode Analysis", findings.failures(analysis, drawn)),
        ("Qualitative Findings", findings.samples(analysis)),
        ("Recommendations", _recommendations(analysis)),
        ("Implementation Roadmap", roadmap(analysis)),
        ("Appendix", appendix.parts(analysis)),
    )
    connection = analysis.connection
    of = f", project {code(analysis.options.project)}" if analysis.options.project else ""
    lines = [
        "# Trace optimizer report",
        (
            f"{connection.start:%Y-%m-%d} to {connection.end:%Y-%m-%d %H:%M} UTC, project "
            f"{code(connection.project_id)} of {code(connection.host)}{of}."
        ),
    ]
    for title, parts in sections:
        lines += [f"## {title}", *parts]
    return "\n\n".join(lines) + "\n"


def _summary(analysis: Analysis) -> Iterator[str]:
    yield headline(analysis)
    found = top_findings(analysis)
    if found:
        yield "\n".join(f"{place}. {text}" for place, text in enumerate(found, 1))
    yield from _news(analysis)


def _news(analysis: Analysis) -> Iterator[str]:
    history = analysis.history
    if not history.source:
        yield "There is no earlier report to compare with."
        return
    reached = sum(one.reached is True for one in history.earlier)
    measured = sum(one.now is not None for one in history.earlier)
    yield (
        f"Compared with {history.source}: {reached} of {measured} measured targets are reached; "
        f"{len(history.skip)} recommendations shipped or were rejected and are not repeated."
    )
    if history.worse:
        yield "What got worse:\n\n" + "\n".join(f"- {line}" for line in history.worse)


def _cost(analysis: Analysis, drawn: dict[str, str]) -> Iterator[str]:
    metrics = analysis.metrics
    dearest = metrics.operations[:_ROWS]
    yield "### Most expensive operations"
    yield _operations(analysis, dearest)
    yield from _image(drawn, "cost_by_operation")
    by_calls = sorted(metrics.operations, key=lambda one: (-one.calls, one.operation))[:_ROWS]
    if [one.operation for one in by_calls] != [one.operation for one in dearest]:
        yield "### Most called operations"
        yield _operations(analysis, by_calls)
    yield "### Models"
    yield table(
        ("Model", "Provider", "Calls", "Cost", "Share", "Cost per call", "Errors"),
        (
            (
                code(one.model, 50),
                code(one.provider, 30) if one.provider else "",
                count(one.calls),
                usd(one.cost_usd),
                percent(one.cost_usd / metrics.cost_usd) if metrics.cost_usd else "",
                usd(one.cost_usd / one.calls),
                percent(one.error_rate),
            )
            for one in metrics.models[:_ROWS]
        ),
        left=2,
    )
    yield "### Trend"
    yield table(
        ("Window", "Calls", "Cost", "Cost per day", "Errors"),
        (
            (
                f"last {one.days} days",
                count(one.calls),
                usd(one.cost_usd),
                usd(one.cost_per_day_usd),
                percent(one.errors / one.calls) if one.calls else "",
            )
            for one in metrics.windows
        ),
    )
    yield from _image(drawn, "cost_per_day")
    yield from _prices(analysis)


def _operations(analysis: Analysis, shown: Iterable[OperationMetrics]) -> str:
    total = analysis.metrics.cost_usd
    return table(
        (
            "Operation",
            "Calls",
            "Cost",
            "Share",
            "Cost per call",
            "Tokens per call",
            "p50 / p95 latency",
            "Errors",
            "Trend",
        ),
        (
            (
                code(one.operation, 50),
                count(one.calls),
                usd(one.cost_usd),
                percent(one.cost_usd / total) if total else "",
                usd(one.cost_per_call_usd),
                count(one.tokens.total / one.calls),
                f"{one.latency_s.p50:.1f} / {one.latency_s.p95:.1f} s" if one.latency_s.max else "",
                percent(one.error_rate),
                "" if one.trend is None else f"×{one.trend:.2f}",
            )
            for one in shown
        ),
    )


def _image(drawn: dict[str, str], name: str) -> Iterator[str]:
    if image := drawn.get(f"figures/{name}.png"):
        yield image


def _prices(analysis: Analysis) -> Iterator[str]:
    pricing = analysis.pricing
    known = pricing.prices.known
    priced = [one for one in pricing.unpriced if one.backfilled_usd is not None]
    unknown = [one for one in pricing.unpriced if one.backfilled_usd is None]
    if not (pricing.unpriced or pricing.checks):
        return
    yield "### Prices"
    if priced:
        yield (
            "Calls that came without a cost, priced from "
            f"{known.source} ({known.date}) and included above:"
        )
        yield table(
            ("Model", "Priced as", "Calls", "Cost"),
            (
                (
                    code(one.model, 50),
                    code(str(one.resolved)),
                    count(one.calls),
                    usd(one.backfilled_usd or 0),
                )
                for one in priced[:_ROWS]
            ),
            left=2,
        )
    if unknown:
        yield "Models without a price anywhere; their cost is missing above, not zero:"
        yield table(
            ("Model", "Calls", "Tokens"),
            (
                (code(one.model, 50), count(one.calls), count(one.tokens.total))
                for one in unknown[:_ROWS]
            ),
        )
    if pricing.checks:
        yield (
            f"Models whose recorded cost differs by more than 5 % from {known.source} "
            f"({known.date}):"
        )
        yield table(
            ("Model", "Calls", "Recorded", "By the price map", "Difference"),
            (
                (
                    code(one.model, 50),
                    count(one.calls),
                    usd(one.posthog_usd),
                    usd(one.map_usd),
                    f"{100 * one.difference:+.0f} %",
                )
                for one in pricing.checks[:_ROWS]
            ),
        )


def _recommendations(analysis: Analysis) -> Iterator[str]:
    found = analysis.recommendations
    wanted = analysis.options.min_recommendations
    if len(found) < wanted:
        many = "no recommendation" if not found else f"{len(found)} of {wanted} recommendations"
        yield (f"The data supports {many}: nothing else was confirmed on the calls of this window.")
    for one in found:
        yield from priority(analysis, one)
