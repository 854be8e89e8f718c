"""Cache misses: a large beginning that all prompts share is paid in full each time.

Providers cache prefixes of 1,024 tokens and more. The shared beginning is found in the prompts
themselves, and a hit is counted only where another call with the same beginning came within the
five minutes that a cache lasts.
"""

from __future__ import annotations

from nightpane.optimizer.causes.facts import Cause, OperationFacts, TraceFacts, excluded, unknown
from nightpane.optimizer.model import Verdict

__all__ = ["CACHEABLE", "CAUSE"]

NAME = "cache_misses"
CACHEABLE = 1024
_CACHED = 0.1
_USUALLY_CACHED = 0.3
_LEAST_PREFIX = 0.3  # of the prompt
_LEAST_HITS = 0.5  # of the calls
_LEAST_SHARE = 0.05


def of_trace(facts: TraceFacts) -> Verdict:
    prompt = sum(call.tokens.prompt for call in facts.calls)
    cached = sum(call.tokens.cache_read for call in facts.calls)
    usual = facts.operation.cached_share
    numbers = {
        "prompt_tokens": round(prompt),
        "cached_tokens": round(cached),
        "usual_cached_share": round(usual, 4),
    }
    if usual < _USUALLY_CACHED:
        return excluded(NAME, "the operation's other traces hardly use a cache either", **numbers)
    missed = usual * prompt - cached
    rates = facts.latest_rates
    wasted = max(missed, 0.0) * (rates.uncached - rates.cache_read)
    if cached >= 0.5 * usual * prompt or not facts.explains(wasted):
        return excluded(
            NAME, f"{cached:,.0f} of {prompt:,.0f} prompt tokens were cached", **numbers
        )
    return Verdict(
        NAME,
        True,
        f"{cached / prompt:.0%} of its prompt tokens were cached, where {usual:.0%} are usual",
        numbers,
        wasted,
        len(facts.calls),
        (facts.trace.trace_id,),
    )


def of_operation(facts: OperationFacts) -> Verdict:
    seen = facts.contents
    per_char = seen.mean_prompt / seen.mean_chars if seen.mean_chars else 0.0
    prefix = seen.stable_chars * per_char
    hits = seen.cache_hits / seen.stable_calls if seen.stable_calls else 0.0
    numbers = {
        "calls_read": seen.read,
        "prefix_chars": seen.stable_chars,
        "prefix_tokens": round(prefix),
        "prompt_tokens_mean": round(seen.mean_prompt),
        "cached_share": round(facts.cached_share, 4),
        "hits": seen.cache_hits,
        "hit_rate": round(hits, 4),
    }
    if not seen.read:
        return unknown(NAME, "no prompts are recorded", **numbers)
    if not facts.caches:
        return excluded(NAME, "its models have no cheaper price for cached prompts", **numbers)
    if facts.cached_share >= _CACHED:
        return excluded(NAME, f"{facts.cached_share:.0%} of its prompts are cached", **numbers)
    if prefix < CACHEABLE or prefix < _LEAST_PREFIX * seen.mean_prompt:
        return excluded(NAME, f"its prompts share a beginning of {prefix:,.0f} tokens", **numbers)
    if 2 * facts.patterns.growing_cost_usd > facts.patterns.cost_usd:
        return excluded(
            NAME, "what its prompts share is the context that grows in each trace", **numbers
        )
    if hits < _LEAST_HITS:
        return excluded(NAME, "its calls come too far apart for a cache", **numbers)
    rates = facts.rates
    saved = seen.cache_hits * prefix * (rates.uncached - rates.cache_read)
    saved -= seen.cache_writes * prefix * max(rates.cache_write - rates.uncached, 0.0)
    wasted = saved * facts.metrics.calls / seen.calls
    if wasted < _LEAST_SHARE * facts.metrics.cost_usd:
        return excluded(NAME, "a cache would save under 5 % of its cost", **numbers)
    return Verdict(
        NAME,
        True,
        f"its prompts share a beginning of at least {prefix:,.0f} tokens, paid in full; "
        f"{hits:.0%} of the calls would find it in a five-minute cache",
        numbers,
        wasted,
        round(seen.cache_hits * facts.metrics.calls / seen.calls),
        tuple(sorted(facts.calls))[:3],
    )


CAUSE = Cause(NAME, "Cache misses", of_operation, of_trace)
