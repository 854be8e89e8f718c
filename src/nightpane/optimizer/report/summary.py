"""``summary.md``: one screen for who has a minute. Its sentences also open the report."""

from __future__ import annotations

from nightpane.optimizer.model import Analysis, Recommendation
from nightpane.optimizer.savings import together
from nightpane.optimizer.words import cell, code, count, percent, plain, table, usd

__all__ = ["headline", "screen", "top_findings"]

_FINDINGS = 3


def headline(analysis: Analysis) -> str:
    """Return what was read, what it cost, and what could be saved."""
    metrics, options = analysis.metrics, analysis.options
    text = (
        f"**{count(metrics.calls)}** model calls in {options.window_days} days cost "
        f"**{usd(metrics.cost_usd)}** over {count(len(metrics.operations))} operations and "
        f"{count(len(metrics.models))} models; {percent(metrics.errors / metrics.calls)} failed."
    )
    unknown = sum(one.calls for one in analysis.pricing.unpriced if one.backfilled_usd is None)
    if unknown:
        text += f" {count(unknown)} calls have no price anywhere and are missing from the total."
    saving = together(analysis.recommendations)
    if saving.monthly_usd > 0:
        text += (
            f" The recommendations below would save about **{usd(saving.monthly_usd)} a month** "
            f"({usd(saving.low_usd)} to {usd(saving.high_usd)}), overlaps counted once."
        )
    elif not analysis.recommendations:
        text += " Nothing in them was found that should be changed."
    return text


def top_findings(analysis: Analysis) -> list[str]:
    """Return the first findings, one sentence each."""
    return [_finding(one) for one in analysis.recommendations[:_FINDINGS]]


def _finding(one: Recommendation) -> str:
    worth = f": {usd(one.saving.monthly_usd)} a month" if one.saving.monthly_usd > 0 else ""
    return f"**{plain(one.title, 200)}**{worth}. {one.why}"


def period(analysis: Analysis) -> str:
    """Return the window's first and last day."""
    return f"{analysis.connection.start:%Y-%m-%d} to {analysis.connection.end:%Y-%m-%d}"


def _project(analysis: Analysis) -> str:
    connection = analysis.connection
    return f"project {code(connection.project_id)} of {code(connection.host)}"


def screen(analysis: Analysis) -> str:
    """Return the summary, short enough for one screen."""
    parts = [
        "# Trace optimizer summary",
        f"{period(analysis)} UTC, {_project(analysis)}.",
        headline(analysis),
    ]
    if analysis.recommendations:
        parts.append(
            table(
                ("Recommendation", "Operation", "A month"),
                (
                    (
                        cell(one.title),
                        code(one.operation, 40),
                        usd(one.saving.monthly_usd),
                    )
                    for one in analysis.recommendations[:_FINDINGS]
                ),
                left=2,
            )
        )
        more = len(analysis.recommendations) - _FINDINGS
        if more > 0:
            parts.append(f"{more} more in `recommendations.md`.")
    return "\n\n".join(parts) + "\n"
