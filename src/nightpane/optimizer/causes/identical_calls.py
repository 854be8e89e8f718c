"""Identical calls: different traces ask one model exactly the same, and each pays for the answer.

Repeats within a trace are another cause's (retry storm) or meant (several samples of one prompt),
so only calls whose model and whole prompt a call of another trace had are counted.
"""

from __future__ import annotations

from nightpane.optimizer.causes.facts import Cause, OperationFacts, TraceFacts, excluded, unknown
from nightpane.optimizer.model import Verdict

__all__ = ["CAUSE"]

NAME = "identical_calls"
_LEAST = 10
_LEAST_SHARE = 0.1


def of_trace(facts: TraceFacts) -> Verdict:  # noqa: ARG001 (every cause is asked alike)
    return excluded(NAME, "a prompt that other traces send too does not make this one dearer")


def of_operation(facts: OperationFacts) -> Verdict:
    seen = facts.contents
    share = seen.duplicates / seen.read if seen.read else 0.0
    numbers = {
        "calls_read": seen.read,
        "duplicates": seen.duplicates,
        "share": round(share, 4),
        "prompts": seen.duplicate_groups,
        "duplicate_cost_usd": round(seen.duplicate_cost_usd, 6),
    }
    if not seen.read:
        return unknown(NAME, "no prompts are recorded", **numbers)
    if seen.duplicates < _LEAST or share < _LEAST_SHARE:
        return excluded(NAME, f"{share:.1%} of its calls repeat another trace's", **numbers)
    scale = facts.metrics.calls / seen.calls
    return Verdict(
        NAME,
        True,
        f"{seen.duplicates:,} of {seen.read:,} calls that were read ({share:.0%}) send a prompt "
        f"that another trace sent; {seen.duplicate_groups:,} prompts are repeated",
        numbers,
        seen.duplicate_cost_usd * scale,
        round(seen.duplicates * scale),
        seen.duplicate_ids,
    )


CAUSE = Cause(NAME, "Identical calls", of_operation, of_trace)
