"""Which traces are read: cheap, usual, dear, slow and failed ones, shared fairly by operation.

The choice follows from costs, latencies and errors alone, with ties broken by id: equal data gives
the same sample.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import get_args

from nightpane.optimizer.fields import Scope
from nightpane.optimizer.model import (
    Causes,
    Contents,
    Failures,
    Metrics,
    OperationMetrics,
    OperationVariance,
    Options,
    SampleBucket,
)
from nightpane.optimizer.samples.facts import Picked
from nightpane.optimizer.source import PAGE, Source

__all__ = ["BUCKETS", "pick", "share"]

BUCKETS: tuple[SampleBucket, ...] = get_args(SampleBucket)
_MOST_TRACES = 400_000
_SPARE = 5
"""Candidates beyond a bucket's part, since one trace may be dearest and slowest."""
_TRACES = """SELECT operation, trace, sum(cost) AS usd, sum(latency) AS seconds,
  sum(prompt) AS read_, sum(output) AS written_, read_ + written_ AS size,
  countIf(failed) AS failures, countIf(ended_badly) AS bad
FROM (SELECT operation, trace, cost, latency, failed, prompt, output, NOT failed AS good,
    stop IN ('length', 'max_tokens', 'max_output_tokens') AS at_limit,
    prompt > 0 AND output = 0 AS silent, at_limit OR silent AS odd, good AND odd AS ended_badly
  FROM %s WHERE operation IN {operations} AND trace != ''{some})
GROUP BY operation, trace"""
_CANDIDATES = f"""SELECT operation, bucket, trace, weight FROM (
  SELECT operation, trace, transform(operation, {{operations}}, {{medians}}, -1.0) AS middle,
    transform(operation, {{operations}}, {{costs}}, 0.0) AS all_usd,
    size / 1000000000000 AS slight, usd + slight AS worth, 0 - worth AS by_worth,
    usd - middle AS off, abs(off) AS distance, 0 - seconds AS by_time,
    failures * 1000.0 AS heavy, heavy + bad AS wrong, 0 - wrong AS by_errors,
    failures = 0 AS good, usd > 0 OR all_usd = 0 AS costs_something,
    good AND costs_something AS usual, usual AND middle >= 0 AS is_middle, wrong > 0 AS is_wrong,
    seconds > 0 AS is_timed,
    [worth, distance, by_worth, by_time, by_errors] AS weights,
    [usual, is_middle, costs_something, is_timed, is_wrong] AS fits,
    arrayEnumerate(weights) AS places, arrayJoin(places) AS place,
    place AS bucket, weights[place] AS weight, fits[place] AS fit
  FROM ({_TRACES}))
WHERE fit ORDER BY operation, bucket, weight, trace
LIMIT {{spare}} BY operation, bucket LIMIT {PAGE}"""  # noqa: S608 (constants of this package; values go in placeholders)


def pick(
    source: Source,
    scope: Scope,
    metrics: Metrics,
    variance: Sequence[OperationVariance],
    causes: Causes,
    failures: Failures,
    options: Options,
) -> tuple[Picked, ...]:
    """Return the sample: at most ``options.sample_size`` traces, by bucket.

    "errored" holds traces with failed calls, and those whose calls succeeded with an answer that
    was cut off, empty or no JSON. Over 400,000 traces, one in so many by the hash of its id may be
    chosen.
    """
    of = _operations(metrics, causes, failures, options)
    if not of:
        return ()
    medians = {one.operation: one.median for one in variance}
    sampled = -(-sum(one.traces for one in of) // _MOST_TRACES)
    some = f" AND modulo(cityHash64(trace), {sampled}) = 0" if sampled > 1 else ""
    calls = scope.calls(
        *("operation", "trace", "cost", "latency", "failed", "stop", "prompt", "output")
    )
    values = {
        "operations": [one.operation for one in of],
        "medians": [float(medians.get(one.operation, -1.0)) for one in of],
        "costs": [float(one.cost_usd) for one in of],
        "spare": -(-options.sample_size // len(BUCKETS)) + _SPARE,
    }
    found: dict[tuple[str, SampleBucket], list[str]] = {}
    text = _CANDIDATES.replace("{some}", some) % calls
    for row in source.ask(text, scope.values(values)):
        key = (row["operation"], BUCKETS[int(row["bucket"]) - 1])
        found.setdefault(key, []).append(row["trace"])
    for one in of:
        ill = causes.contents.get(one.operation, Contents()).ill_ids
        failed = found.setdefault((one.operation, "errored"), [])
        failed[1:1] = ill
    return share([one.operation for one in of], found, options.sample_size)


def _operations(
    metrics: Metrics, causes: Causes, failures: Failures, options: Options
) -> list[OperationMetrics]:
    """Return the dearest operations, and after them those that something was found against."""
    traced = [one for one in metrics.operations if one.traces]
    accused = {one.operation for one in causes.operations if one.causes}
    accused |= {one.operation for one in failures.operations if one.findings}
    others = [one for one in traced[options.top_n :] if one.operation in accused]
    return [*traced[: options.top_n], *others][: options.sample_size]


def share(
    operations: Sequence[str],
    found: dict[tuple[str, SampleBucket], list[str]],
    size: int,
) -> tuple[Picked, ...]:
    """Return a sample of candidates: bucket by bucket in turn, each time of the operation that has
    the fewest so far. A trace is read once, whatever it is a candidate for."""
    left = {key: list(ids) for key, ids in found.items()}
    taken: set[str] = set()
    of_operation: Counter[str] = Counter()
    of_both: Counter[tuple[str, SampleBucket]] = Counter()
    picked: list[Picked] = []
    while len(picked) < size:
        before = len(picked)
        for bucket in BUCKETS[: size - before]:
            for name in sorted(
                operations, key=lambda name: (of_operation[name], of_both[name, bucket])
            ):
                ids = left.get((name, bucket), [])
                while ids and ids[0] in taken:
                    ids.pop(0)
                if ids:
                    taken.add(ids[0])
                    picked.append(Picked(name, ids.pop(0), bucket))
                    of_operation[name] += 1
                    of_both[name, bucket] += 1
                    break
        if len(picked) == before:
            break
    order = {name: place for place, name in enumerate(operations)}
    return tuple(sorted(picked, key=lambda one: (BUCKETS.index(one.bucket), order[one.operation])))
