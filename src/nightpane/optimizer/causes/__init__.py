"""Step 5: why the outlier traces, and whole operations, cost what they cost.

Every hypothesis is tested on every subject and says which numbers confirm or exclude it; one that
nothing confirms is unexplained, and that is a verdict too.
"""

from __future__ import annotations

from nightpane.optimizer import contents as reading
from nightpane.optimizer import patterns as shapes
from nightpane.optimizer import rows
from nightpane.optimizer.causes import (
    cache_misses,
    context_stuffing,
    identical_calls,
    model_misuse,
    prompt_bloat,
    retry_storm,
    runaway_output,
    tool_loop,
)
from nightpane.optimizer.causes.facts import Cause, OperationFacts, TraceFacts
from nightpane.optimizer.fields import Scope
from nightpane.optimizer.folder import Folder
from nightpane.optimizer.model import (
    Call,
    Causes,
    Contents,
    Diagnosis,
    Metrics,
    OperationVariance,
    OutlierTrace,
    Patterns,
    Pricing,
    Tails,
    Usage,
)
from nightpane.optimizer.source import Source

__all__ = ["CAUSES", "UNEXPLAINED", "run"]

CAUSES: tuple[Cause, ...] = (
    tool_loop.CAUSE,
    retry_storm.CAUSE,
    context_stuffing.CAUSE,
    runaway_output.CAUSE,
    prompt_bloat.CAUSE,
    cache_misses.CAUSE,
    identical_calls.CAUSE,
    model_misuse.CAUSE,
)
"""The most specific first: a tool loop also makes the context grow."""
UNEXPLAINED = "unexplained"
_MOST_OPERATIONS = 500


def run(
    source: Source,
    folder: Folder,
    scope: Scope,
    metrics: Metrics,
    variance: tuple[OperationVariance, ...],
    pricing: Pricing,
) -> Causes:
    """Return the diagnoses, and write them to ``data/root_causes.json``."""
    patterns = shapes.patterns(source, scope, metrics)
    tails = shapes.tails(source, scope, metrics)
    contents, part = reading.contents(source, scope, metrics)
    outliers = [trace for one in variance for trace in one.outliers]
    ids = {trace.trace_id for trace in outliers}
    for one in patterns.values():
        ids |= {*one.repeating_ids, *one.growing_ids, *one.long_ids}
    for tail in tails.values():
        ids |= {*tail.prompt_ids[:2], *tail.output_ids[:2]}
    calls = rows.read(source, scope, ids)
    usage: dict[str, list[Usage]] = {}
    for use in pricing.usage:
        usage.setdefault(use.operation, []).append(use)
    facts = {
        one.operation: OperationFacts(
            metrics=one,
            usage=tuple(usage.get(one.operation, ())),
            patterns=patterns.get(one.operation, Patterns()),
            tails=tails.get(one.operation, Tails()),
            contents=contents.get(one.operation, Contents()),
            prices=pricing.prices,
            calls=_own(one.operation, calls),
        )
        for one in metrics.operations[:_MOST_OPERATIONS]
    }
    medians = {one.operation: one.median for one in variance}
    found = Causes(
        traces=tuple(
            _of_trace(trace, facts[trace.operation], medians[trace.operation])
            for trace in sorted(outliers, key=lambda trace: (-trace.cost_usd, trace.trace_id))
            if trace.trace_id in facts[trace.operation].calls
        ),
        operations=tuple(_of_operation(one) for one in facts.values()),
        calls=calls,
        patterns=patterns,
        tails=tails,
        contents=contents,
        contents_part=part,
    )
    folder.json("data/root_causes.json", _document(found))
    return found


def _own(operation: str, calls: dict[str, tuple[Call, ...]]) -> dict[str, tuple[Call, ...]]:
    return {
        trace: own
        for trace, all_calls in calls.items()
        if (own := tuple(call for call in all_calls if call.operation == operation))
    }


def _of_trace(trace: OutlierTrace, facts: OperationFacts, median: float) -> Diagnosis:
    calls = facts.calls[trace.trace_id]
    of = TraceFacts(trace, calls, facts, max(trace.cost_usd - median, 0.0))
    verdicts = tuple(cause.of_trace(of) for cause in CAUSES)
    causes = tuple(one.cause for one in verdicts if one.confirmed)
    return Diagnosis(
        trace.operation,
        trace.trace_id,
        trace.cost_usd,
        trace.calls,
        causes or (UNEXPLAINED,),
        verdicts,
    )


def _of_operation(facts: OperationFacts) -> Diagnosis:
    verdicts = tuple(cause.of_operation(facts) for cause in CAUSES)
    return Diagnosis(
        facts.name,
        None,
        facts.metrics.cost_usd,
        facts.metrics.calls,
        tuple(one.cause for one in verdicts if one.confirmed),
        verdicts,
    )


def _document(causes: Causes) -> dict[str, object]:
    return {
        "read": causes.contents_part,
        "traces": [_diagnosis(one) for one in causes.traces],
        "operations": [_diagnosis(one) for one in causes.operations],
    }


def _diagnosis(one: Diagnosis) -> dict[str, object]:
    return {
        "operation": one.operation,
        **({} if one.trace_id is None else {"trace_id": one.trace_id}),
        "cost_usd": round(one.cost_usd, 6),
        "calls": one.calls,
        "causes": list(one.causes),
        "verdicts": [
            {
                "cause": verdict.cause,
                "confirmed": verdict.confirmed,
                "reason": verdict.reason,
                "numbers": dict(verdict.numbers),
                "wasted_usd": round(verdict.wasted_usd, 6),
                "calls": verdict.calls,
                "trace_ids": list(verdict.trace_ids),
            }
            for verdict in one.verdicts
        ],
    }
