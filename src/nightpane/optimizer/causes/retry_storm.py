"""Retry storm: one trace asks the same thing again and again.

A repeat is a call whose prompt equals the one before (numbers aside: attempt counters, times), or,
where no prompt was recorded or the call before failed, one of the same model and size. Three
repeats are a storm: every provider's SDK tries again twice by itself, so three were not its doing.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from nightpane.optimizer.causes.facts import Cause, OperationFacts, TraceFacts, excluded, unknown
from nightpane.optimizer.model import Call, Verdict

__all__ = ["CAUSE", "repeats"]

NAME = "retry_storm"
LEAST_REPEATS = 3
_SHAPE_CHARS = 100_000
"""What ``Call.shape_hash`` looks at: a longer conversation that grew has the same one."""
_LEAST_SHARE = 0.02  # of the operation's cost, or
_LEAST_TRACES = 3  # so many traces: a single storm is that trace's matter, not the operation's


def repeats(calls: Sequence[Call]) -> list[Call]:
    """Return the calls that repeat the one before."""
    return [call for before, call in pairwise(calls) if _same(before, call)]


def _same(before: Call, call: Call) -> bool:
    if before.model != call.model:
        return False
    if before.input_hash and call.input_hash:
        longest = max(before.input_chars, call.input_chars)
        if before.input_hash == call.input_hash:
            return True
        if before.shape_hash == call.shape_hash and longest < _SHAPE_CHARS:
            return True
        alike = abs(before.input_chars - call.input_chars) <= 0.02 * longest
        return before.failed and alike and before.prefix_hash == call.prefix_hash
    size = max(before.tokens.prompt, call.tokens.prompt)
    if before.failed:
        return abs(before.tokens.prompt - call.tokens.prompt) <= 0.01 * size or not size
    return size > 0 and before.tokens.prompt == call.tokens.prompt


def of_trace(facts: TraceFacts) -> Verdict:
    found = repeats(facts.calls)
    wasted = sum(call.cost_usd for call in found)
    failed = sum(call.failed for call in facts.calls)
    numbers = {"calls": len(facts.calls), "repeats": len(found), "failed": failed}
    if len(found) < LEAST_REPEATS:
        return excluded(NAME, f"{len(found)} of its calls repeat the one before", **numbers)
    if not facts.explains(wasted):
        return excluded(
            NAME, f"{len(found)} repeats cost {wasted:.4f} USD, too little to explain it", **numbers
        )
    return Verdict(
        NAME,
        True,
        f"{len(found)} of {len(facts.calls)} calls ask what the call before asked"
        + (f"; {failed} had failed" if failed else ""),
        numbers,
        wasted,
        len(found),
        (facts.trace.trace_id,),
    )


def of_operation(facts: OperationFacts) -> Verdict:
    seen = facts.patterns
    numbers = {
        "traces": seen.traces,
        "suspect_traces": seen.repeating_traces,
        "suspect_cost_usd": round(seen.repeating_cost_usd, 6),
    }
    if not seen.repeating_traces:
        return excluded(NAME, "no trace repeats a prompt's size three times in a row", **numbers)
    read = facts.own(seen.repeating_ids)
    storms = [trace for trace, calls in read if len(repeats(calls)) >= LEAST_REPEATS]
    numbers |= {"read_traces": len(read), "storms_read": len(storms)}
    if not read:
        return unknown(NAME, "the suspect traces could not be read", **numbers)
    if 2 * len(storms) < len(read):
        return excluded(NAME, "prompts of equal size, but of different content", **numbers)
    share = len(storms) / len(read)
    wasted = seen.repeating_cost_usd * share * seen.sampled
    if seen.repeating_traces < _LEAST_TRACES and wasted < _LEAST_SHARE * facts.metrics.cost_usd:
        return excluded(NAME, f"only {seen.repeating_traces} of {seen.traces} traces", **numbers)
    return Verdict(
        NAME,
        True,
        f"{seen.repeating_traces:,} of {seen.traces:,} traces send a prompt again at least "
        f"{LEAST_REPEATS} times; {len(storms)} of {len(read)} that were read do",
        numbers,
        wasted,
        round(seen.repeating_calls * share * seen.sampled),
        tuple(storms),
    )


CAUSE = Cause(NAME, "Retry storm", of_operation, of_trace)
