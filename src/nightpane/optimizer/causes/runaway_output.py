"""Runaway output: answers many times longer than the operation's usual one.

Beyond five times the median and 1,000 tokens; see ``patterns.BEYOND`` for why.
"""

from __future__ import annotations

from nightpane.optimizer.causes.facts import Cause, OperationFacts, TraceFacts, excluded
from nightpane.optimizer.model import Verdict
from nightpane.optimizer.patterns import BEYOND, LEAST_OUTPUT_TAIL

__all__ = ["CAUSE"]

NAME = "runaway_output"
_LEAST_CALLS = 3
_LEAST_SHARE = 0.05


def of_trace(facts: TraceFacts) -> Verdict:
    usual = facts.operation.metrics.output.p50
    limit = max(BEYOND * usual, LEAST_OUTPUT_TAIL)
    long = [call for call in facts.calls if call.tokens.output > limit]
    longest = max(call.tokens.output for call in facts.calls)
    wasted = sum(call.tokens.output - usual for call in long) * facts.latest_rates.output
    numbers = {"longest_tokens": round(longest), "median_tokens": round(usual), "long": len(long)}
    if not long:
        return excluded(NAME, f"its longest answer has {longest:,.0f} tokens", **numbers)
    if not facts.explains(wasted):
        return excluded(NAME, f"long answers cost {wasted:.4f} USD, too little", **numbers)
    cut = sum(call.stop_reason in ("length", "max_tokens") for call in long)
    return Verdict(
        NAME,
        True,
        f"{len(long)} answers of up to {longest:,.0f} tokens, where {usual:,.0f} are usual"
        + (f"; {cut} ran into the limit" if cut else ""),
        numbers,
        wasted,
        len(long),
        (facts.trace.trace_id,),
    )


def of_operation(facts: OperationFacts) -> Verdict:
    tails, usual = facts.tails, facts.metrics.output
    wasted = tails.output_excess * facts.rates.output
    numbers = {
        "median_tokens": round(usual.p50),
        "p95_tokens": round(usual.p95),
        "max_tokens": round(usual.max),
        "long": tails.output_calls,
        "long_cost_usd": round(tails.output_cost_usd, 6),
    }
    if tails.output_calls < _LEAST_CALLS:
        return excluded(NAME, f"{tails.output_calls} answers are far beyond the median", **numbers)
    if wasted < _LEAST_SHARE * facts.metrics.cost_usd:
        return excluded(NAME, "long answers make up under 5 % of its cost", **numbers)
    return Verdict(
        NAME,
        True,
        f"{tails.output_calls:,} of {facts.metrics.calls:,} answers exceed "
        f"{tails.output_limit:,.0f} tokens, where {usual.p50:,.0f} are usual",
        numbers,
        wasted,
        tails.output_calls,
        tails.output_ids,
    )


CAUSE = Cause(NAME, "Runaway output", of_operation, of_trace)
