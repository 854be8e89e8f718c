"""Prompts far larger than their answers need: send less.

Where some calls are far beyond the operation's own usual prompt, the others show that prompt to be
enough. Where all are large, nothing in the data says how much can go: the range is a target.
"""

from __future__ import annotations

from nightpane.optimizer.model import Fix
from nightpane.optimizer.recommendations.facts import Draft, Group, Part, Plan, Subject
from nightpane.optimizer.recommendations.measuring import cv_of
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

NAME = "prompt_bloat"
_SMALL_TOKENS = 1000.0
_LARGE_TOKENS, _RATIO = 6000, 50


def _whole(subject: Subject) -> bool:
    """Whether the usual prompt itself is the problem, not some calls beyond it."""
    first = subject.patterns.first_prompt_p50 or subject.metrics.prompt.p50
    return first >= _LARGE_TOKENS and first >= _RATIO * max(subject.metrics.output.p50, 1.0)


def limits(subject: Subject) -> Limits:
    """Return which prompts are too large, and what they would be cut to."""
    usual = subject.metrics
    if not _whole(subject):
        return Limits(
            over=subject.tails.prompt_limit,
            likely=usual.prompt.p50,
            low=subject.tails.prompt_limit,
            high=usual.prompt.p50,
            answers=5 * max(usual.output.p50, 1.0),
        )
    first = subject.patterns.first_prompt_p50 or usual.prompt.p50
    # In a conversation only what it opens with is bloat: what was said since is another matter.
    upto = first if subject.patterns.calls_p50 > 1 else 1e18
    return Limits(
        over=_SMALL_TOKENS, likely=first / 2, low=0.75 * first, high=_SMALL_TOKENS, upto=upto
    )


def advise(subject: Subject) -> Draft | None:
    """Return the advice to cut prompts down."""
    groups = subject.groups(NAME)
    if subject.confirmed(NAME) is None or not groups:
        return None
    whole, bound, usual = _whole(subject), limits(subject), subject.metrics
    parts = [part for group in groups if (part := _part(subject, group)) is not None]
    known = sum(group.cost_usd for group in groups)
    total = usual.cost_usd if whole else subject.tails.prompt_cost_usd
    scale = scale_to(total, known)
    name, target = code(subject.name, 60), count(bound.likely)
    first = subject.patterns.first_prompt_p50 or usual.prompt.p50
    return Draft(
        cause=NAME,
        title=(
            f"Trim the {count(first)}-token prompts of {name}"
            if whole
            else f"Trim the outsized prompts of {name}"
        ),
        problem=_problem(subject, whole),
        why=(
            f"These calls cost {spend(subject, known * scale)}, "
            f"{percent(_prompt_share(subject, groups))} of it for prompts."
        ),
        parts=merged(parts),
        method=(
            f"What the tokens above {target} cost in these very calls. "
            + (
                f"How much can go must be tried: low is a cut to {count(bound.low)} tokens, high "
                f"one to {count(bound.high)}."
                if whole
                else "That is the median, which the operation's other calls do with. Low: only "
                f"what exceeds {count(bound.low)}."
            )
            + ("" if scale == 1 else " Read: a part of the traces, scaled by cost to all.")
        ),
        fix=_fix(subject.dialect, subject.model, _round(bound.likely)),
        plan=_plan(subject, bound) if whole else _tail_plan(subject, bound),
        ease=1 if whole else 2,
        issues=_issues(groups, usual.prompt.p50, whole=whole),
        scale=scale,
    )


def _part(subject: Subject, group: Group) -> Part | None:
    price = subject.price(group.model, group.provider)
    if not group.tokens.prompt:
        return None
    each = (
        group.cost_usd
        * input_share(price, group.tier, group.above, group.tokens)
        / group.tokens.prompt
    )
    likely, low, high = (beyond * each for beyond in group.prompt_beyond)
    return Part(group.trace_id, likely, low, high, likely, group.calls)


def _round(tokens: float) -> int:
    """Two digits are as exact as a target is."""
    step = 10 ** max(0, len(str(round(tokens))) - 2)
    return int(max(step * round(tokens / step), step))


def _prompt_share(subject: Subject, groups: tuple[Group, ...]) -> float:
    cost = sum(one.cost_usd for one in groups)
    share = sum(
        one.cost_usd
        * input_share(subject.price(one.model, one.provider), one.tier, one.above, one.tokens)
        for one in groups
    )
    return share / cost if cost else 0.0


def _problem(subject: Subject, whole: bool) -> str:
    seen, name = subject.metrics, code(subject.name)
    if whole:
        first = subject.patterns.first_prompt_p50 or seen.prompt.p50
        return (
            f"{name} opens with {count(first)} prompt tokens (median) for an answer of "
            f"{count(seen.output.p50)}: {count(first / max(seen.output.p50, 1))} tokens are read "
            "for each one written."
        )
    tails = subject.tails
    return (
        f"{count(tails.prompt_calls)} of the {count(seen.calls)} calls of {name} send more than "
        f"{count(tails.prompt_limit)} tokens, where {count(seen.prompt.p50)} are usual, and "
        "their answers are no longer than the others'."
    )


def _issues(groups: tuple[Group, ...], usual: float, *, whole: bool) -> dict[str, str]:
    found = {}
    for one in sorted(groups, key=lambda one: (-one.tokens.prompt / one.calls, one.trace_id)):
        if one.trace_id and one.trace_id not in found:
            beside = "" if whole else f"; {count(usual)} are usual"
            found[one.trace_id] = (
                f"{calls_of(one.calls)}: {count(one.tokens.prompt / one.calls)} prompt tokens "
                f"for {count(one.tokens.output / one.calls)} of answer{beside}"
            )
    return found


def _plan(subject: Subject, bound: Limits) -> Plan:
    return Plan(
        metric="Median prompt",
        unit="tokens",
        before=subject.metrics.prompt.p50,
        after=max(subject.metrics.prompt.p50 - (bound.likely), bound.likely)
        if bound.upto < 1e18
        else bound.likely,
        names=("prompt",),
        select="quantile(0.5)(prompt)",
        cv=cv_of(subject.metrics.prompt),
    )


def _tail_plan(subject: Subject, bound: Limits) -> Plan:
    share = 100 * subject.tails.prompt_calls / subject.metrics.calls
    return Plan(
        metric=f"Share of prompts above {count(bound.over)} tokens",
        unit="%",
        before=share,
        after=share / 10,
        names=("prompt",),
        select="100 * countIf(prompt > {limit}) / count()",
        values={"limit": bound.over},
    )


def _fix(dialect: Dialect, model: str, target: int) -> Fix:
    asked = 'messages=[{"role": "user", "content": f"{context}\\n\\n{question}"}]'
    given = asked.removeprefix("messages=")
    if dialect.api == "gemini":
        given = 'f"{context}\\n\\n{question}"'
    elif dialect.api == "bedrock":
        given = '[{"role": "user", "content": [{"text": f"{context}\\n\\n{question}"}]}]'
    call = dialect.call(model, system="", messages=given)
    before = join(dialect.client(), 'context = "\\n\\n".join(passages)', call)
    after = join(
        dialect.client(),
        f"""
        BUDGET_TOKENS = {target:_}


        def within(passages: list[str], budget_tokens: int) -> list[str]:
            kept, used = [], 0
            for passage in passages:  # the most relevant first
                used += len(passage) // 4  # some four characters a token
                if used > budget_tokens:
                    break
                kept.append(passage)
            return kept
        """,
        'context = "\\n\\n".join(within(ranked(passages, question), BUDGET_TOKENS))',
        call,
    )
    return Fix(
        before,
        after,
        "Look at the excerpt for what fills the prompt: retrieved passages, whole files, tool "
        "output or examples. Rank it against the question (`ranked` stands for your search's "
        "own score), keep what fits a budget, and compare answers on recorded prompts before "
        "and after.",
    )
