"""Context stuffing: every call of a trace re-sends all that went before, and pays for it in full.

Growth alone is how a conversation works; it is a cause of cost when the prompt at least doubles to
4,000 tokens or more, half of the tokens paid were sent before, and no cache takes them at a
discount.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from nightpane.optimizer.causes.facts import Cause, OperationFacts, TraceFacts, excluded
from nightpane.optimizer.model import Call, Verdict
from nightpane.optimizer.patterns import GROWING_STEPS, GROWN, GROWTH, LEAST_CALLS

__all__ = ["CAUSE", "grows", "resent_tokens"]

NAME = "context_stuffing"
_CACHED = 0.5
_RESENT = 0.4
_LEAST_SHARE = 0.2  # of the operation's cost is in growing traces


def grows(calls: Sequence[Call]) -> bool:
    """Return whether the prompts grow nearly always, to at least twice the first and 4,000."""
    sizes = [call.tokens.prompt for call in calls if call.tokens.prompt]
    steps = sum(after > before for before, after in pairwise(sizes))
    return (
        len(sizes) >= LEAST_CALLS
        and steps >= GROWING_STEPS * (len(sizes) - 1)
        and sizes[-1] >= max(GROWN, GROWTH * sizes[0])
    )


def resent_tokens(calls: Sequence[Call]) -> float:
    """Return the prompt tokens that the call before had sent already."""
    return sum(min(a.tokens.prompt, b.tokens.prompt) for a, b in pairwise(calls))


def _rewritten(calls: Sequence[Call]) -> bool:
    """Return whether long prompts begin differently from call to call: then nothing is re-sent."""
    pairs = [(a, b) for a, b in pairwise(calls) if min(a.input_chars, b.input_chars) >= 2000]
    return bool(pairs) and 2 * sum(a.prefix_hash == b.prefix_hash for a, b in pairs) < len(pairs)


def of_trace(facts: TraceFacts) -> Verdict:
    calls = facts.calls
    prompt = sum(call.tokens.prompt for call in calls)
    cached = sum(call.tokens.cache_read for call in calls)
    resent = resent_tokens(calls)
    numbers = {
        "calls": len(calls),
        "first_prompt_tokens": round(calls[0].tokens.prompt),
        "last_prompt_tokens": round(calls[-1].tokens.prompt),
        "resent_tokens": round(resent),
        "cached_tokens": round(cached),
    }
    if not grows(calls):
        return excluded(NAME, "its prompts do not grow call by call", **numbers)
    if _rewritten(calls):
        return excluded(NAME, "its prompts grow, but each begins differently", **numbers)
    if cached >= _CACHED * prompt:
        return excluded(NAME, "the re-sent context comes from a cache", **numbers)
    wasted = max(resent - cached, 0.0) * facts.latest_rates.uncached
    if not facts.explains(wasted):
        return excluded(NAME, f"re-sent tokens cost {wasted:.4f} USD, too little", **numbers)
    return Verdict(
        NAME,
        True,
        f"prompts grow from {calls[0].tokens.prompt:,.0f} to {calls[-1].tokens.prompt:,.0f} tokens "
        f"over {len(calls)} calls; {resent:,.0f} tokens were sent before",
        numbers,
        wasted,
        len(calls),
        (facts.trace.trace_id,),
    )


def of_operation(facts: OperationFacts) -> Verdict:
    seen = facts.patterns
    numbers = {
        "traces": seen.traces,
        "growing_traces": seen.growing_traces,
        "growing_cost_usd": round(seen.growing_cost_usd, 6),
        "resent_tokens": round(seen.growing_resent),
        "cached_tokens": round(seen.growing_cached),
    }
    if not seen.growing_traces:
        return excluded(NAME, "no trace's prompts grow to twice the first", **numbers)
    if seen.growing_cost_usd < _LEAST_SHARE * seen.cost_usd:
        return excluded(NAME, "growing traces make up less than a fifth of its cost", **numbers)
    if seen.growing_cached >= _CACHED * seen.growing_prompt:
        return excluded(NAME, "most of the re-sent context comes from a cache", **numbers)
    if seen.growing_resent < _RESENT * seen.growing_prompt:
        return excluded(NAME, "little of what is sent was sent before", **numbers)
    read = facts.own(seen.growing_ids)
    if read and 2 * sum(_rewritten(calls) for _, calls in read) > len(read):
        return excluded(NAME, "prompts grow, but each begins differently", **numbers)
    resent = max(seen.growing_resent - seen.growing_cached, 0.0) * seen.sampled
    return Verdict(
        NAME,
        True,
        f"in {seen.growing_traces:,} of {seen.traces:,} traces every call re-sends those before: "
        f"{seen.growing_resent / seen.growing_prompt:.0%} of their prompt tokens",
        numbers,
        resent * facts.rates.uncached,
        0,
        seen.growing_ids,
    )


CAUSE = Cause(NAME, "Context stuffing", of_operation, of_trace)
