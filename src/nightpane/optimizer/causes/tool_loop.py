"""Tool loop: a trace calls the same tool with the same arguments four times or more.

Once is work, twice may be a check; from the fourth time on the answer has been in the context three
times over.
"""

from __future__ import annotations

from collections.abc import Sequence

from nightpane.optimizer.causes.facts import Cause, OperationFacts, TraceFacts, excluded, unknown
from nightpane.optimizer.contents import LOOP
from nightpane.optimizer.messages import tool_calls
from nightpane.optimizer.model import Call, Verdict

__all__ = ["CAUSE", "again"]

NAME = "tool_loop"
_LEAST_SHARE = 0.02
_LEAST_TRACES = 3


def again(calls: Sequence[Call]) -> list[Call]:
    """Return the calls after the first of every tool call that is made four times or more."""
    made: dict[object, list[Call]] = {}
    for call in calls:
        signature = tool_calls(call.output_text)
        if signature and not call.failed:
            made.setdefault(signature, []).append(call)
    return [call for same in made.values() if len(same) >= LOOP for call in same[1:]]


def of_trace(facts: TraceFacts) -> Verdict:
    found = again(facts.calls)
    wasted = sum(call.cost_usd for call in found)
    with_tools = sum(bool(tool_calls(call.output_text)) for call in facts.calls)
    numbers = {"calls": len(facts.calls), "with_tools": with_tools, "repeated": len(found)}
    if not found:
        return excluded(NAME, "no tool is called four times with the same arguments", **numbers)
    if not facts.explains(wasted):
        return excluded(NAME, f"{len(found)} repeated tool calls cost {wasted:.4f} USD", **numbers)
    name = tool_calls(found[0].output_text)[0][0]
    return Verdict(
        NAME,
        True,
        f"{len(found)} of {len(facts.calls)} calls ask for a tool again with the same arguments "
        f"({name})",
        numbers,
        wasted,
        len(found),
        (facts.trace.trace_id,),
    )


def of_operation(facts: OperationFacts) -> Verdict:
    seen = facts.contents
    numbers = {
        "calls_read": seen.calls,
        "with_tools": seen.tool_calls,
        "loop_traces": seen.loop_traces,
        "loop_cost_usd": round(seen.loop_cost_usd, 6),
    }
    if not seen.outputs:
        return unknown(NAME, "no answers are recorded", **numbers)
    if not seen.loop_traces:
        return excluded(NAME, "no trace calls a tool four times with the same arguments", **numbers)
    scale = facts.metrics.calls / seen.calls
    wasted = seen.loop_cost_usd * scale
    if seen.loop_traces < _LEAST_TRACES and wasted < _LEAST_SHARE * facts.metrics.cost_usd:
        return excluded(NAME, f"only {seen.loop_traces} traces", **numbers)
    return Verdict(
        NAME,
        True,
        f"{seen.loop_traces:,} traces call the same tool with the same arguments {LOOP} times or "
        f"more, {seen.loop_calls:,} calls in all",
        numbers,
        wasted,
        round(seen.loop_calls * scale),
        seen.loop_ids,
    )


CAUSE = Cause(NAME, "Tool loop", of_operation, of_trace)
