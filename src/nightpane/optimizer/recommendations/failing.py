"""Failures that are more than noise: cut answers, empty ones, rate limits, time-outs, errors.

Mending a failure seldom saves what it cost, since the work is then done properly: a saving is
claimed for failed calls that were paid for, and for nothing else. What failures are worth ranks the
advice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nightpane.optimizer.failures import PATTERNS
from nightpane.optimizer.model import FailureFinding, FailureKind, Fix
from nightpane.optimizer.recommendations import failing_fixes
from nightpane.optimizer.recommendations.facts import Draft, Excerpt, Group, Part, Plan, Subject
from nightpane.optimizer.recommendations.money import calls_of, input_share, merged, spend
from nightpane.optimizer.words import code, count, percent, usd

__all__ = ["KINDS", "advise_on"]


@dataclass(frozen=True, slots=True)
class _Kind:
    """How one failure mode is told of: ``flag`` is the HogQL over ``columns`` that marks it."""

    finding: FailureKind
    title: str
    metric: str
    columns: tuple[str, ...]
    flag: str
    issue: str
    excerpt: Excerpt
    ease: int
    fix: Callable[[Subject], Fix]
    consequence: str
    paid: bool = False


def advise_on(kind: str, subject: Subject) -> Draft | None:
    """Return the advice on one failure mode of an operation, where it is a finding."""
    about = KINDS[kind]
    finding = subject.failures.finding(about.finding) if subject.failures else None
    groups = tuple(one for one in subject.groups(kind) if one.trace_id)
    if finding is None or not groups:
        return None
    calls = sum(one.calls for one in subject.groups(kind))
    share = calls / subject.metrics.calls
    cost = sum(one.cost_usd for one in subject.groups(kind))
    good = subject.metrics.calls - subject.metrics.errors
    each = (subject.metrics.cost_usd - subject.metrics.error_cost_usd) / max(good, 1)
    paid = f" {spend(subject, cost)} was paid for them." if cost > 0 else ""
    return Draft(
        cause=kind,
        title=about.title.format(operation=code(subject.name, 60)),
        problem=_problem(subject, finding, kind),
        why=(
            f"{count(calls)} calls of {code(subject.name)}, {percent(share)} of them, "
            f"{about.consequence}.{paid}"
        ),
        parts=_parts(subject, groups) if about.paid else [],
        method=(
            "What the failed calls cost, if they are all prevented. Low: those of the most "
            "frequent model alone."
            if about.paid
            else "No saving is claimed: calls that succeed cost money too."
        ),
        fix=about.fix(subject),
        plan=Plan(
            metric=about.metric,
            unit="%",
            before=100 * share,
            after=10 * share,
            names=about.columns,
            select=f"100 * countIf({about.flag}) / count()",
            values=PATTERNS,
        ),
        ease=about.ease,
        issues=_issues(groups, about.issue),
        excerpt=about.excerpt,
        lost_usd=cost + calls * each,
    )


def _problem(subject: Subject, finding: FailureFinding, kind: str) -> str:
    text = f"Of {code(subject.name)}, {finding.text}."
    if kind == "rate_limits":
        own = [one for one in subject.bursts if one.own is not None]
        text += "".join(f" With {code(one.model, 40)}, {one.reason}." for one in own[:2])
    return text


def _parts(subject: Subject, groups: tuple[Group, ...]) -> list[Part]:
    paid = [one for one in groups if one.cost_usd > 0]
    costs: dict[str, float] = {}
    for one in paid:
        costs[one.model] = costs.get(one.model, 0.0) + one.cost_usd
    most = max(sorted(costs), key=lambda name: costs[name]) if costs else ""
    return merged(
        Part(
            one.trace_id,
            one.cost_usd,
            one.cost_usd if one.model == most else 0.0,
            one.cost_usd,
            one.cost_usd
            * input_share(subject.price(one.model, one.provider), one.tier, one.above, one.tokens),
            one.calls,
        )
        for one in paid
    )


def _issues(groups: tuple[Group, ...], issue: str) -> dict[str, str]:
    return {
        one.trace_id: f"{calls_of(one.calls)} {issue}"
        + (f", {usd(one.cost_usd)}" if one.cost_usd > 0 else "")
        for one in sorted(groups, key=lambda one: (-one.calls, -one.cost_usd, one.trace_id))
    }


KINDS: dict[str, _Kind] = {
    "truncated": _Kind(
        "truncated",
        "Mend the answers of {operation} that are cut off",
        "Share of answers that end at their limit",
        ("stop",),
        "match(stop, '(?i)^(length|max_tokens|max_output_tokens)$')",
        "cut off at the limit",
        "answer",
        3,
        failing_fixes.truncated,
        "end in mid-sentence and pass for complete",
    ),
    "empty": _Kind(
        "empty",
        "Refuse the empty answers of {operation}",
        "Share of calls that succeed with an empty answer",
        ("failed", "prompt", "output"),
        "failed = 0 AND prompt > 0 AND ifNull(output, 0) = 0",
        "without a word of answer",
        "prompt",
        3,
        failing_fixes.empty,
        "return nothing and count as a success",
    ),
    "rate_limits": _Kind(
        "rate_limits",
        "Keep {operation} below its rate limit",
        "Share of calls refused by a rate limit",
        ("refused",),
        "refused",
        "refused with 429",
        "error",
        2,
        failing_fixes.rate_limits,
        "are refused, and their work is late or lost",
    ),
    "timeouts": _Kind(
        "timeouts",
        "End the time-outs of {operation}",
        "Share of calls that time out",
        ("late",),
        "late",
        "timed out",
        "error",
        2,
        failing_fixes.timeouts,
        "keep their caller waiting for nothing",
        paid=True,
    ),
    "errors": _Kind(
        "errors",
        "Mend the failing calls of {operation}",
        "Share of calls that fail (rate limits and time-outs apart)",
        ("failed", "refused", "late"),
        "failed = 1 AND refused = 0 AND NOT ifNull(late, 0)",
        "failed",
        "error",
        2,
        failing_fixes.errors,
        "fail",
        paid=True,
    ),
}
