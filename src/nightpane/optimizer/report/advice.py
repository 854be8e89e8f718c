"""A recommendation with its five parts, and the roadmap of all."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from nightpane.optimizer.model import Analysis, Recommendation
from nightpane.optimizer.savings import together
from nightpane.optimizer.words import block, cell, code, count, number, plain, python, table, usd

__all__ = ["PARTS", "priority", "roadmap"]

PARTS = ("Problem", "Why it matters", "Evidence", "Fix", "How to measure")
"""The five parts of a recommendation, as its headings spell them."""
_EFFORT = {3: "an afternoon", 2: "some days", 1: "some weeks"}
_LONGEST_DAYS = 90
"""Past it a date says less than that the change will be hard to see."""


def priority(analysis: Analysis, one: Recommendation) -> Iterator[str]:
    """Yield one recommendation."""
    yield f"### Priority {one.priority}: {plain(one.title, 200)}"
    yield f"#### {PARTS[0]}"
    yield one.problem
    yield f"#### {PARTS[1]}"
    yield one.why
    saving = one.saving
    if saving.monthly_usd > 0:
        yield (
            f"Saving: **{usd(saving.monthly_usd)} a month** ({usd(saving.monthly_low_usd)} to "
            f"{usd(saving.monthly_high_usd)}), from {count(saving.calls)} calls of the window "
            f"worth {usd(saving.window_usd)}. {saving.method}"
        )
    yield f"#### {PARTS[2]}"
    yield table(
        ("Trace", "Operation", "Cost", "Tokens", "Issue"),
        (
            (
                code(row.trace_id, 80),
                code(row.operation, 40),
                usd(row.cost_usd),
                count(row.tokens),
                cell(row.issue),
            )
            for row in one.evidence
        ),
        left=2,
        last=1,
    )
    if one.excerpt:
        yield block(one.excerpt)
    yield f"#### {PARTS[3]}"
    if one.fix.note:
        yield one.fix.note
    yield "Before:"
    yield python(one.fix.before)
    yield "After:"
    yield python(one.fix.after)
    yield f"#### {PARTS[4]}"
    yield from _measurement(analysis, one)


def _measurement(analysis: Analysis, one: Recommendation) -> Iterator[str]:
    plan = one.measurement
    yield (
        f"**{plain(plan.metric, 200)}**: {number(plan.baseline)} {plan.unit} now, "
        f"{number(plan.target)} {plan.unit} or better {plan.window_days} days after the change. "
        f"{plan.why_window}"
    )
    until = analysis.options.now
    filled = {
        **plan.values,
        "since": f"{until - timedelta(days=plan.window_days):%Y-%m-%dT%H:%M:%SZ}",
        "until": f"{until:%Y-%m-%dT%H:%M:%SZ}",
    }
    text = plan.hogql
    for name, value in filled.items():
        text = text.replace(f"{{{name}}}", _literal(value))
    yield block(text, "sql")
    yield f"`nightpane optimize verify` measures it again; its id is {code(one.id)}."


def _literal(value: object) -> str:
    """A value as HogQL spells it."""
    if isinstance(value, list | tuple):
        return f"({', '.join(map(_literal, value))})"
    if isinstance(value, int | float):
        return repr(value)
    text = str(value).replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"'{text}'"


def _judged(shipped: datetime, days: int) -> str:
    if days > _LONGEST_DAYS:
        return "too rare for a date"
    return f"{shipped + timedelta(days=days):%Y-%m-%d}"


def roadmap(analysis: Analysis) -> Iterator[str]:
    """Yield the order of work, with effort, saving and when it can be judged."""
    found = analysis.recommendations
    if not found:
        yield "There is nothing to do."
        return
    until = analysis.options.now
    yield table(
        ("", "Change", "Effort", "Saving a month", "Judged on, if shipped today"),
        (
            (
                str(one.priority),
                cell(one.title),
                _EFFORT.get(one.ease, _EFFORT[2]),
                usd(one.saving.monthly_usd) if one.saving.monthly_usd > 0 else "–",
                _judged(until, one.measurement.window_days),
            )
            for one in found
        ),
        left=3,
        last=1,
    )
    saving = together(found)
    if saving.overlap_usd > 0.005:
        yield (
            f"Together {usd(saving.monthly_usd)} a month: {usd(saving.overlap_usd)} of the single "
            "figures overlap, since one change saves what another would have saved as well."
        )
