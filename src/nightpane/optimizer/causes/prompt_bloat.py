"""Prompt bloat: prompts far larger than the task needs.

Two tells. Some calls send five times the operation's median prompt (and 4,000 tokens) without a
longer answer to show for it. Or the operation as a whole opens with 6,000 tokens or more and
answers with a fiftieth of it: reading that much for so little is what filters before the prompt are
for. The first call of each trace is taken, since in a conversation later ones hold what was said.
"""

from __future__ import annotations

from nightpane.optimizer.causes.context_stuffing import grows
from nightpane.optimizer.causes.facts import Cause, OperationFacts, TraceFacts, excluded
from nightpane.optimizer.model import Verdict
from nightpane.optimizer.patterns import BEYOND, LEAST_PROMPT_TAIL

__all__ = ["CAUSE"]

NAME = "prompt_bloat"
LARGE = 6000
RATIO = 50
_CACHED = 0.5
_LEAST_CALLS = 3
_LEAST_SHARE = 0.05
_SIZE = 1000  # a prompt that a filter could reach: six times less, still a page and a half


def of_trace(facts: TraceFacts) -> Verdict:
    usual = facts.operation.metrics
    limit = max(BEYOND * usual.prompt.p50, LEAST_PROMPT_TAIL)
    large = [
        call
        for call in facts.calls
        if call.tokens.prompt > limit and call.tokens.output <= BEYOND * max(usual.output.p50, 1)
    ]
    largest = max(call.tokens.prompt for call in facts.calls)
    wasted = (
        sum(max(call.tokens.uncached - usual.prompt.p50, 0.0) for call in large)
        * facts.latest_rates.uncached
    )
    numbers = {
        "largest_tokens": round(largest),
        "median_tokens": round(usual.prompt.p50),
        "large": len(large),
    }
    if not large:
        return excluded(NAME, f"its largest prompt has {largest:,.0f} tokens", **numbers)
    if grows(facts.calls):
        return excluded(NAME, "its prompts are large because they grow call by call", **numbers)
    if not facts.explains(wasted):
        return excluded(NAME, f"large prompts cost {wasted:.4f} USD more, too little", **numbers)
    return Verdict(
        NAME,
        True,
        f"{len(large)} prompts of up to {largest:,.0f} tokens, where {usual.prompt.p50:,.0f} are "
        "usual, with answers no longer than others",
        numbers,
        wasted,
        len(large),
        (facts.trace.trace_id,),
    )


def of_operation(facts: OperationFacts) -> Verdict:
    tails, patterns, usual = facts.tails, facts.patterns, facts.metrics
    first = patterns.first_prompt_p50 or usual.prompt.p50
    ratio = first / max(usual.output.p50, 1.0)
    wasted = tails.prompt_excess * facts.rates.uncached * (1 - facts.cached_share)
    numbers = {
        "first_prompt_p50": round(first),
        "prompt_p50": round(usual.prompt.p50),
        "prompt_p95": round(usual.prompt.p95),
        "output_p50": round(usual.output.p50),
        "prompt_per_output": round(ratio, 1),
        "cached_share": round(facts.cached_share, 4),
        "large": tails.prompt_calls,
    }
    if first >= LARGE and ratio >= RATIO and facts.cached_share < _CACHED:
        opening = usual.traces if patterns.calls_p50 > 1 else usual.calls
        spared = max(first - _SIZE, 0.0) * (1 - facts.cached_share) * opening
        return Verdict(
            NAME,
            True,
            f"the usual prompt has {first:,.0f} tokens and its answer {usual.output.p50:,.0f}: "
            f"{ratio:,.0f} tokens read for each one written",
            numbers,
            spared * facts.rates.uncached,
            usual.calls,
            tails.prompt_ids,
        )
    if tails.prompt_calls < _LEAST_CALLS or wasted < _LEAST_SHARE * usual.cost_usd:
        return excluded(
            NAME,
            f"{first:,.0f} prompt tokens for {usual.output.p50:,.0f} written, and "
            f"{tails.prompt_calls} calls far above that",
            **numbers,
        )
    if patterns.growing_cost_usd >= 0.5 * tails.prompt_cost_usd:
        return excluded(NAME, "large prompts stand in traces whose context grows", **numbers)
    return Verdict(
        NAME,
        True,
        f"{tails.prompt_calls:,} of {usual.calls:,} prompts exceed {tails.prompt_limit:,.0f} "
        f"tokens, where {usual.prompt.p50:,.0f} are usual, with answers no longer than others",
        numbers,
        wasted,
        tails.prompt_calls,
        tails.prompt_ids,
    )


CAUSE = Cause(NAME, "Prompt bloat", of_operation, of_trace)
