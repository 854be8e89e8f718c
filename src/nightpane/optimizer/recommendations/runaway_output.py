"""Answers many times longer than usual: bound them."""

from __future__ import annotations

import math

from nightpane.optimizer.model import Fix
from nightpane.optimizer.recommendations.facts import Draft, Group, Part, Plan, Subject
from nightpane.optimizer.recommendations.money import (
    calls_of,
    input_share,
    merged,
    scale_to,
    spend,
)
from nightpane.optimizer.recommendations.reading import Limits
from nightpane.optimizer.recommendations.snippets import Dialect, join
from nightpane.optimizer.words import code, count, percent

__all__ = ["advise", "limits"]

NAME = "runaway_output"


def limits(subject: Subject) -> Limits:
    """Return which answers are too long, and what they would be cut to.

    That is the operation's p95, at least what a limit in the call cuts, at most the median. Where
    the p95 itself is too long, twice what makes an answer too long stands in for it.
    """
    over, usual = subject.tails.output_limit, subject.metrics.output
    if usual.p95 > over:
        return Limits(over=over, likely=2 * over, low=4 * over, high=over)
    return Limits(over=over, likely=usual.p95, low=over, high=max(usual.p50, 1.0))


def advise(subject: Subject) -> Draft | None:
    """Return the advice to bound answers."""
    groups = subject.groups(NAME)
    if subject.confirmed(NAME) is None or not groups:
        return None
    bound, tails, usual = limits(subject), subject.tails, subject.metrics.output
    parts = [part for one in groups if (part := _part(subject, one)) is not None]
    known = sum(one.cost_usd for one in groups)
    scale = scale_to(tails.output_cost_usd, known)
    share = 100 * tails.output_calls / subject.metrics.calls
    return Draft(
        cause=NAME,
        title=f"Bound the answers of {code(subject.name, 60)}",
        problem=(
            f"{count(tails.output_calls)} of the {count(subject.metrics.calls)} answers of "
            f"{code(subject.name)} have more than {count(bound.over)} tokens, up to "
            f"{count(usual.max)}; {count(usual.p50)} are usual"
            + (f" and 95 % have {count(usual.p95)} or fewer." if usual.p95 < bound.over else ".")
        ),
        why=(
            f"{percent(share / 100)} of its calls make up "
            f"{percent(tails.output_cost_usd / max(subject.metrics.cost_usd, 1e-12))} of its "
            f"cost: {spend(subject, tails.output_cost_usd)}. A runaway answer also keeps its "
            "caller waiting."
        ),
        parts=merged(parts),
        method=(
            f"The output tokens of these very calls above {count(bound.likely)}, at what they "
            f"cost. Low: only those above {count(bound.low)}; high: those above "
            f"{count(bound.high)}."
            + ("" if scale == 1 else " Read: a part of the traces, scaled by cost to all.")
        ),
        fix=_fix(subject.dialect, subject.model, _round(max(bound.over, bound.likely))),
        plan=Plan(
            metric=f"Share of answers above {count(bound.over)} tokens",
            unit="%",
            before=share,
            after=share / 10,
            names=("output",),
            select="100 * countIf(output > {limit}) / count()",
            values={"limit": bound.over},
        ),
        ease=3,
        issues={
            one.trace_id: f"{calls_of(one.calls)} of {count(one.tokens.output / one.calls)} output "
            f"tokens{' on average' if one.calls > 1 else ''}; {count(usual.p50)} are usual"
            for one in sorted(groups, key=lambda one: (-one.tokens.output, one.trace_id))
            if one.trace_id
        },
        excerpt="answer",
        scale=scale,
    )


def _part(subject: Subject, group: Group) -> Part | None:
    price = subject.price(group.model, group.provider)
    if not group.tokens.output:
        return None
    share = 1 - input_share(price, group.tier, group.above, group.tokens)
    each = group.cost_usd * share / group.tokens.output
    likely, low, high = (beyond * each for beyond in group.output_beyond)
    return Part(group.trace_id, likely, low, high, 0.0, group.calls)


def _round(tokens: float) -> int:
    return max(100, 100 * math.ceil(tokens / 100))


def _fix(dialect: Dialect, model: str, limit: int) -> Fix:
    bounded = dialect.call(model, system='SYSTEM + " Be brief."', limit=str(limit))
    after = join(
        dialect.client(),
        bounded,
        f"""
        if {dialect.cut}:
            raise ValueError("the answer ran into its limit: see what the prompt asks for")
        """,
    )
    return Fix(
        join(dialect.client(), dialect.call(model)),
        after,
        f"A limit of {count(limit)} tokens leaves the usual answers alone. It stops the cost, "
        "not the cause: read where the long answers start to repeat themselves, and say in the "
        "prompt how long an answer should be. A reasoning model's limit must leave room for its "
        "reasoning.",
    )
