"""The shapes of traces, counted where the data is: repeats, growth, and calls far from the usual.

These are suspicions from sizes alone, cheap over millions of calls; the causes then read a few of
the traces that are named here before they accuse anybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from nightpane.optimizer.fields import Scope
from nightpane.optimizer.model import Metrics, Patterns, Tails
from nightpane.optimizer.source import PAGE, Row, Source

__all__ = ["TRACES", "patterns", "tails"]

LEAST_CALLS = 4
LEAST_REPEATS = 3
"""One retry is prudence and two are bad luck; the default of every provider's SDK is two."""
SAME_SIZE = 0.01
GROWTH = 2.0
GROWING_STEPS = 0.8
GROWN = 4000
"""Tokens: below, a re-sent history costs less than a cent per call with any model."""
BEYOND = 5.0
"""A prompt or output of five times the median is beyond anything a log-normal length (σ = 0.5)
shows in 1,000 calls."""
LEAST_PROMPT_TAIL, LEAST_OUTPUT_TAIL = 4000.0, 1000.0
_READ_OF_EACH = 3
_READ_OPERATIONS = 40
_MOST_TRACES = 400_000  # their arrays stay within the memory a query may take

_SIZES = """SELECT operation, {trace} AS trace_, count() AS calls, sum(cost) AS usd,
  groupArray((at, prompt)) AS pairs, arraySort(pairs) AS sorted,
  arrayMap(pair -> pair.2, sorted) AS sizes,
  sum(cache_read) AS from_cache, sum(prompt) AS sent_
FROM %s WHERE trace != ''{some} GROUP BY operation, trace_"""
TRACES = f"""SELECT operation, trace_, calls, usd, from_cache, sent_, sizes[1] AS first,
  sizes[-1] AS last, sent_ - last AS resent, arrayDifference(sizes) AS steps,
  arrayMap(size -> {SAME_SIZE} * size, sizes) AS slack, arrayMap(step -> abs(step), steps) AS moves,
  arrayCount((move, room) -> move <= room, moves, slack) AS same, same - 1 AS repeats,
  arrayCount(step -> step > 0, steps) AS grown, calls - 1 AS later, calls >= {LEAST_CALLS} AS many,
  many AND repeats >= {LEAST_REPEATS} AS repeating, {GROWING_STEPS} * later AS most,
  {GROWTH} * first AS twice, last >= {GROWN} AND last >= twice AS far,
  many AND far AND grown >= most AS growing
FROM ({_SIZES})"""  # noqa: S608 (constants of this package; values go in placeholders)
_PATTERNS = f"""SELECT operation, count() AS traces, sum(calls) AS all_calls, sum(usd) AS all_usd,
  quantileExactWeighted(0.5)(first, 1) AS first_p50,
  quantileExactWeighted(0.5)(calls, 1) AS calls_p50, max(calls) AS calls_max,
  countIf(repeating) AS repeating_traces, sumIf(repeats, repeating) AS repeating_calls,
  sumIf(usd * repeats / calls, repeating) AS repeating_usd,
  countIf(growing) AS growing_traces, sumIf(usd, growing) AS growing_usd,
  sumIf(sent_, growing) AS growing_prompt, sumIf(resent, growing) AS growing_resent,
  sumIf(from_cache, growing) AS growing_cached
FROM ({TRACES}) GROUP BY operation ORDER BY all_usd DESC, operation LIMIT {PAGE}"""  # noqa: S608 (as above)
_EXAMPLES = f"""SELECT operation, kind, trace_, weight FROM (
  SELECT operation, trace_, if(repeating, repeats, 0) AS w1, if(growing, usd, 0.0) AS w2,
    if(calls > {LEAST_CALLS}, calls, 0) AS w3, ['repeating', 'growing', 'long'] AS kinds,
    [toFloat(w1), toFloat(w2), toFloat(w3)] AS weights, arrayEnumerate(kinds) AS places,
    arrayJoin(places) AS place, kinds[place] AS kind, weights[place] AS weight
  FROM ({TRACES}))
WHERE weight > 0 ORDER BY operation, kind, weight DESC, trace_
LIMIT {_READ_OF_EACH} BY operation, kind LIMIT {PAGE}"""  # noqa: S608 (as above)

_LIMITS = ("prompts", "outputs", "prompt_medians", "output_medians")
_OF_OPERATION = ", ".join(
    f"transform(operation, {{operations}}, {{{name}}}, 0.0) AS {name}_" for name in _LIMITS
)
_MARKED = f"""SELECT operation, trace, cost, prompt, output,
  {_OF_OPERATION},
  prompt > prompts_ AND output <= {BEYOND} * output_medians_ AS large, output > outputs_ AS long
FROM %s WHERE operation IN {{operations}}"""  # noqa: S608 (as above)
_TAILS = f"""SELECT operation, countIf(large) AS prompt_calls, sumIf(cost, large) AS prompt_usd,
  sumIf(prompt - prompt_medians_, large) AS prompt_excess, countIf(long) AS output_calls,
  sumIf(cost, long) AS output_usd, sumIf(output - output_medians_, long) AS output_excess
FROM ({_MARKED}) GROUP BY operation ORDER BY operation LIMIT {PAGE}"""  # noqa: S608 (as above)
_TAIL_TRACES = f"""SELECT operation, trace, if(long, 'output', 'prompt') AS kind, max(cost) AS most
FROM ({_MARKED}) WHERE (large OR long) AND trace != ''
GROUP BY operation, trace, kind ORDER BY operation, kind, most DESC, trace
LIMIT 5 BY operation, kind LIMIT {PAGE}"""  # noqa: S608 (as above)


def patterns(source: Source, scope: Scope, metrics: Metrics) -> dict[str, Patterns]:
    """Return the shapes of every operation's traces, with the ids of those worth reading.

    Over 400,000 traces, one in so many (by the hash of its id) is counted.
    """
    traces = sum(one.traces for one in metrics.operations)
    sampled = max(1, -(-traces // _MOST_TRACES))
    calls = scope.calls("operation", "trace", "at", "cost", "prompt", "cache_read")
    one_in = f" AND modulo(cityHash64(trace), {sampled}) = 0" if sampled > 1 else ""
    text = _PATTERNS.replace("{trace}", "cityHash64(trace)").replace("{some}", one_in) % calls
    found = {row["operation"]: _patterns(row, sampled) for row in source.ask(text, scope.values())}
    suspects = [
        name
        for name, one in found.items()
        if one.repeating_traces or one.growing_traces or one.calls_max > LEAST_CALLS
    ][:_READ_OPERATIONS]
    if not suspects:
        return found
    some = f"{one_in} AND operation IN {{operations}}"
    text = _EXAMPLES.replace("{trace}", "trace").replace("{some}", some) % calls
    ids: dict[tuple[str, str], list[str]] = {}
    for row in source.ask(text, scope.values({"operations": suspects})):
        ids.setdefault((row["operation"], row["kind"]), []).append(row["trace_"])
    for name in suspects:
        found[name] = replace(
            found[name],
            repeating_ids=tuple(ids.get((name, "repeating"), ())),
            growing_ids=tuple(ids.get((name, "growing"), ())),
            long_ids=tuple(ids.get((name, "long"), ())),
        )
    return found


def _patterns(row: Row, sampled: int) -> Patterns:
    return Patterns(
        traces=int(row["traces"]),
        calls=int(row["all_calls"]),
        cost_usd=float(row["all_usd"] or 0),
        first_prompt_p50=float(row["first_p50"] or 0),
        calls_p50=float(row["calls_p50"] or 0),
        calls_max=int(row["calls_max"]),
        repeating_traces=int(row["repeating_traces"]),
        repeating_calls=int(row["repeating_calls"] or 0),
        repeating_cost_usd=float(row["repeating_usd"] or 0),
        growing_traces=int(row["growing_traces"]),
        growing_cost_usd=float(row["growing_usd"] or 0),
        growing_prompt=float(row["growing_prompt"] or 0),
        growing_resent=float(row["growing_resent"] or 0),
        growing_cached=float(row["growing_cached"] or 0),
        sampled=sampled,
    )


def tails(source: Source, scope: Scope, metrics: Metrics) -> Mapping[str, Tails]:
    """Return the calls far beyond each operation's median, for those that have any."""
    tailed = [
        one
        for one in metrics.operations
        if one.prompt.max > _prompt_limit(one.prompt.p50)
        or one.output.max > _output_limit(one.output.p50)
    ][:1000]
    if not tailed:
        return {}
    values: dict[str, Any] = {
        "operations": [one.operation for one in tailed],
        "prompts": [_prompt_limit(one.prompt.p50) for one in tailed],
        "outputs": [_output_limit(one.output.p50) for one in tailed],
        "prompt_medians": [one.prompt.p50 for one in tailed],
        "output_medians": [max(one.output.p50, 1.0) for one in tailed],
    }
    calls = scope.calls("operation", "trace", "cost", "prompt", "output")
    rows = source.ask(_TAILS % calls, scope.values(values))
    ids: dict[tuple[str, str], list[str]] = {}
    for row in source.ask(_TAIL_TRACES % calls, scope.values(values)):
        ids.setdefault((row["operation"], row["kind"]), []).append(row["trace"])
    usual = {one.operation: one for one in tailed}
    return {
        name: Tails(
            prompt_limit=_prompt_limit(usual[name].prompt.p50),
            prompt_calls=int(row["prompt_calls"]),
            prompt_cost_usd=float(row["prompt_usd"] or 0),
            prompt_excess=float(row["prompt_excess"] or 0),
            prompt_ids=tuple(ids.get((name, "prompt"), ())),
            output_limit=_output_limit(usual[name].output.p50),
            output_calls=int(row["output_calls"]),
            output_cost_usd=float(row["output_usd"] or 0),
            output_excess=float(row["output_excess"] or 0),
            output_ids=tuple(ids.get((name, "output"), ())),
        )
        for row in rows
        if (name := row["operation"]) in usual
    }


def _prompt_limit(median: float) -> float:
    return max(BEYOND * median, LEAST_PROMPT_TAIL)


def _output_limit(median: float) -> float:
    return max(BEYOND * median, LEAST_OUTPUT_TAIL)
