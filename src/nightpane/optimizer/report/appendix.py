"""The appendix: how the figures came about, and what became of earlier recommendations."""

from __future__ import annotations

from collections.abc import Iterator

from nightpane.optimizer.model import Analysis, Earlier
from nightpane.optimizer.words import cell, code, count, number, table

__all__ = ["parts"]


def parts(analysis: Analysis) -> Iterator[str]:
    """Yield the appendix."""
    metrics, pricing = analysis.metrics, analysis.pricing
    known = pricing.prices.known
    yield "### Method"
    lines = [
        (
            "An operation is a `$ai_span_name` (empty: `unnamed`), a trace a `$ai_trace_id`, a "
            "call one `$ai_generation`."
        ),
        (
            "Costs are those recorded on the events; calls without one are priced from "
            f"{known.source} ({known.date})."
        ),
        (
            "Outlier traces lie above mean + 2 standard deviations, or above median + 5 median "
            "absolute deviations (scaled to a normal's deviation)."
        ),
        "Intervals are Wilson's, at 95 %.",
        (
            f"{count(analysis.queries)} HogQL queries were asked; the traces themselves were read "
            "only where this report cites them or samples them."
        ),
    ]
    if analysis.causes.contents_part:
        lines.append(f"Prompts and answers were compared over {analysis.causes.contents_part}.")
    if metrics.untraced_calls:
        lines.append(
            f"{count(metrics.untraced_calls)} calls carry no trace id: they count in every total, "
            "and cannot be investigated one by one."
        )
    yield "\n".join(f"- {line}" for line in lines)
    if analysis.history.earlier:
        yield "### Earlier recommendations"
        yield table(
            ("Id", "Status", "Metric", "Baseline", "Target", "Now", "Reached", "Note"),
            (_earlier(one) for one in analysis.history.earlier),
            left=3,
            last=2,
        )
    yield "### Files"
    yield (
        "`data/` holds every table (CSV, JSON), `data/recommendations.json` what `nightpane "
        "optimize verify` measures again, `validation_report.json` the check of this report."
    )


def _earlier(one: Earlier) -> tuple[str, ...]:
    def figure(value: float | None) -> str:
        return "" if value is None else number(value)

    verdict = {True: "yes", False: "no", None: ""}[one.reached]
    return (
        code(one.id, 80),
        one.status,
        cell(one.metric),
        figure(one.baseline),
        figure(one.target),
        figure(one.now),
        verdict,
        cell(one.note),
    )
