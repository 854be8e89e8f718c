"""A premium model answers what a small one could: name that one, price the very calls on it."""

from __future__ import annotations

from nightpane.optimizer.model import Fix
from nightpane.optimizer.price_map import ModelPrice
from nightpane.optimizer.recommendations.facts import Draft, Group, Part, Plan, Subject
from nightpane.optimizer.recommendations.measuring import cv_of
from nightpane.optimizer.recommendations.money import (
    calls_of,
    input_share,
    merged,
    repriced,
    scale_to,
    spend,
)
from nightpane.optimizer.recommendations.snippets import Dialect, join, literal
from nightpane.optimizer.tiers import cheaper, premium
from nightpane.optimizer.words import code, count, percent, usd

__all__ = ["advise", "dear_models"]

NAME = "model_misuse"
_ESCALATED = 0.2
"""The low bound: so many answers of the small model are refused and asked of the large one."""


def dear_models(subject: Subject) -> frozenset[tuple[str, str, str]]:
    """Return the (operation, model, provider) that a cheaper sibling could replace."""
    return frozenset(
        (subject.name, one.model, one.provider)
        for one in subject.usage
        if _small(subject, one.model, one.provider) is not None
    )


def _small(subject: Subject, model: str, provider: str) -> ModelPrice | None:
    price = subject.price(model, provider)
    if price is None or not premium(price):
        return None
    return cheaper(price, subject.pricing.prices.known)


def advise(subject: Subject) -> Draft | None:
    """Return the advice to send an operation's trivial calls to a small model."""
    groups = subject.groups(NAME)
    if subject.confirmed(NAME) is None or not groups:
        return None
    parts: list[Part] = []
    issues: dict[str, str] = {}
    for group in sorted(groups, key=lambda one: (-one.cost_usd, one.trace_id)):
        part, small = _part(subject, group)
        if part is None or small is None:
            continue
        parts.append(part)
        issues.setdefault(
            group.trace_id,
            f"{calls_of(group.calls)} of {code(group.model, 40)}, {group.tokens.output:,.0f} "
            f"output tokens; {usd(group.cost_usd - part.usd)} on {code(_name(small), 40)}",
        )
    if not parts:
        return None
    model, provider = _dearest(groups)
    small = _small(subject, model, provider)
    if small is None:
        return None
    cost = sum(one.cost_usd for one in subject.usage if _is_dear(subject, one.model, one.provider))
    known_cost = sum(group.cost_usd for group in groups)
    scale = scale_to(cost, known_cost)
    seen, name = subject.metrics, code(subject.name)
    saved = scale * sum(part.usd for part in parts)
    return Draft(
        cause=NAME,
        title=f"Answer {code(subject.name, 60)} with {code(_name(small), 40)}",
        problem=(
            f"{name} asks {code(model)} for answers of {count(seen.output.p50)} tokens (95 % "
            f"have {count(seen.output.p95)} or fewer) from prompts of {count(seen.prompt.p50)}. "
            "No tool is called and no context grows: it is a short decision, made "
            f"{count(seen.calls)} times."
        ),
        why=(
            f"These calls cost {spend(subject, cost)}; on {code(_name(small))} the same tokens "
            f"cost {usd(max(cost - saved, 0))}, "
            f"{percent(max(cost - saved, 0) / cost if cost else 0)} of it."
        ),
        parts=merged(parts),
        method=(
            f"The very tokens of these calls at the prices of {code(_name(small))}. Low: a fifth "
            "of its answers are refused and asked again of the large model, which is then paid "
            "as well."
            + ("" if scale == 1 else f" Read: {count(len(groups))} traces, scaled by cost to all.")
        ),
        fix=_fix(subject.dialect_of(model), model, _name(small)),
        plan=_plan(subject, model, saved),
        ease=2,
        issues=issues,
        scale=scale,
    )


def _part(subject: Subject, group: Group) -> tuple[Part | None, ModelPrice | None]:
    price, small = (
        subject.price(group.model, group.provider),
        _small(subject, group.model, group.provider),
    )
    if price is None or small is None:
        return None, None
    rates, low = price.rates(group.tier, group.above), small.rates(group.tier, group.above)
    after = repriced(group.cost_usd, rates, group.tokens, group.tokens, low)
    saved = group.cost_usd - after
    share = input_share(price, group.tier, group.above, group.tokens)
    inputs = group.cost_usd * share - after * input_share(
        small, group.tier, group.above, group.tokens
    )
    least = max(saved - _ESCALATED * group.cost_usd, 0.0)
    return Part(group.trace_id, saved, least, saved, inputs, group.calls), small


def _dearest(groups: tuple[Group, ...]) -> tuple[str, str]:
    costs: dict[tuple[str, str], float] = {}
    for one in groups:
        costs[one.model, one.provider] = costs.get((one.model, one.provider), 0.0) + one.cost_usd
    return max(sorted(costs), key=lambda pair: costs[pair])


def _is_dear(subject: Subject, model: str, provider: str) -> bool:
    return _small(subject, model, provider) is not None


def _name(price: ModelPrice) -> str:
    """The model as the provider's own API calls it."""
    return price.name.rsplit("/", 1)[-1]


def _plan(subject: Subject, model: str, saved: float) -> Plan:
    seen = subject.metrics
    if all(one.priced for one in subject.usage):
        return Plan(
            metric="Mean cost of a call",
            unit="USD",
            before=seen.cost_per_call_usd,
            after=max(seen.cost_usd - saved, 0.0) / seen.calls,
            names=("billed",),
            select="avg(billed)",
            cv=cv_of(seen.prompt),
        )
    calls = sum(one.calls for one in subject.usage if one.model == model)
    return Plan(
        metric="Share of calls on the large model",
        unit="%",
        before=100 * calls / seen.calls,
        after=100 * _ESCALATED * calls / seen.calls,
        names=("model",),
        select="100 * countIf(model = {model}) / count()",
        values={"model": model},
    )


def _fix(dialect: Dialect, model: str, small: str) -> Fix:
    before = join(dialect.client(), dialect.call(model))
    call = dialect.call("model", raw_model=True).replace("\n", "\n        ")
    after = f"""
def is_valid(answer: str) -> bool:
    return answer.strip() in ALLOWED  # whatever the caller accepts: labels, a number, a schema


def decide(messages: list) -> str:
    for model in ({literal(small)}, {literal(model)}):
        {call}
        answer = {dialect.text} or ""
        if is_valid(answer):
            break
    return answer
"""
    return Fix(
        before,
        join(dialect.client(), after),
        "Before switching, replay a hundred recorded prompts on the small model and compare its "
        "answers with the recorded ones; an answer that the caller would refuse goes to the "
        "large model.",
    )
