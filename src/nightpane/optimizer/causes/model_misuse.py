"""Model misuse: a premium model on a task that a small one does as well.

Trivial means: nearly all answers have 100 tokens or fewer, reasoning included, from prompts of
3,000 or fewer; no tool is called and no context grows: an agent's short answers are decisions.
A cheaper sibling of the same provider must exist at a third of the price.
"""

from __future__ import annotations

from nightpane.optimizer.causes.facts import Cause, OperationFacts, TraceFacts, excluded
from nightpane.optimizer.model import Number, Usage, Verdict
from nightpane.optimizer.price_map import ModelPrice
from nightpane.optimizer.tiers import cheaper, premium

__all__ = ["CAUSE", "SHORT", "SMALL"]

NAME = "model_misuse"
SHORT = 100
SMALL = 3000
_LEAST_CALLS = 20
_LEAST_SHARE = 0.1
_DEARER = 3.0


def of_trace(facts: TraceFacts) -> Verdict:
    usual = facts.operation.metrics.models[0]
    other = [call for call in facts.calls if call.model != usual]
    own = facts.operation.prices.of(usual, _provider(facts.operation, usual))
    numbers: dict[str, Number] = {
        "usual_model": usual,
        "calls": len(facts.calls),
        "other_model_calls": len(other),
    }
    if not other or own is None:
        return excluded(NAME, f"its calls went to {usual}, as usual", **numbers)
    wasted = 0.0
    for call in other:
        price = facts.operation.prices.of(call.model, call.provider)
        if price is not None and price.rates().output >= _DEARER * own.rates().output:
            wasted += call.cost_usd - own.rates().cost(call.tokens)
    if wasted <= 0 or not facts.explains(wasted):
        return excluded(NAME, "no dearer model than usual explains its cost", **numbers)
    names = ", ".join(sorted({call.model for call in other}))
    return Verdict(
        NAME,
        True,
        f"{len(other)} of {len(facts.calls)} calls went to {names}, where {usual} is usual",
        numbers,
        wasted,
        len(other),
        (facts.trace.trace_id,),
    )


def of_operation(facts: OperationFacts) -> Verdict:
    seen, contents, patterns = facts.metrics, facts.contents, facts.patterns
    numbers: dict[str, Number] = {
        "calls": seen.calls,
        "prompt_p95": round(seen.prompt.p95),
        "output_p50": round(seen.output.p50),
        "output_p95": round(seen.output.p95),
        "with_tools": contents.tool_calls,
        "distinct_answers": contents.distinct_outputs,
        "answers_read": contents.outputs,
        "model": seen.models[0],
    }
    dear = [
        (one, price, small)
        for one in facts.usage
        if (price := facts.prices.of(one.model, one.provider)) is not None
        and premium(price)
        and (small := cheaper(price, facts.prices.known)) is not None
    ]
    if not dear:
        return excluded(NAME, "it uses no premium model with a cheaper sibling", **numbers)
    if seen.output.p95 > SHORT or seen.prompt.p95 > SMALL or seen.calls < _LEAST_CALLS:
        return excluded(
            NAME,
            f"prompts of {seen.prompt.p95:,.0f} and answers of {seen.output.p95:,.0f} tokens (p95) "
            f"over {seen.calls} calls are no trivial task",
            **numbers,
        )
    if 20 * contents.tool_calls > contents.outputs or 5 * patterns.growing_traces > patterns.traces:
        return excluded(NAME, "its short answers choose tools or steps", **numbers)
    saved = sum(_saved(*row) for row in dear)
    if saved < _LEAST_SHARE * seen.cost_usd:
        return excluded(NAME, "a cheaper model would save under a tenth of its cost", **numbers)
    most, _, small = max(dear, key=lambda row: row[0].cost_usd)
    return Verdict(
        NAME,
        True,
        f"{most.model} answers with {seen.output.p50:,.0f} tokens (p95 {seen.output.p95:,.0f}) "
        f"from {seen.prompt.p50:,.0f}: {small.name} costs "
        f"{small.rates().uncached / max(_price(facts, most), 1e-12):.0%} of it",
        {**numbers, "model": most.model, "cheaper": small.name},
        saved,
        sum(one.calls for one, _, _ in dear),
        tuple(sorted(facts.calls))[:3],
    )


def _saved(one: Usage, price: ModelPrice, small: ModelPrice) -> float:
    """Return what the calls cost more than on the small model, at the map's prices."""
    rates, low = price.rates(one.tier, one.above), small.rates(one.tier, one.above)
    own = rates.cost(one.tokens)
    return one.cost_usd * (1 - low.cost(one.tokens) / own) if own else 0.0


def _price(facts: OperationFacts, one: Usage) -> float:
    price = facts.prices.of(one.model, one.provider)
    return price.rates().uncached if price else 0.0


def _provider(facts: OperationFacts, model: str) -> str:
    return next((one.provider for one in facts.usage if one.model == model), "")


CAUSE = Cause(NAME, "Model misuse", of_operation, of_trace)
