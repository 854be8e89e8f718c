"""What the rules need to know of the calls they are about, read in at most five queries for all.

A rule that is about many traces gets at most ``TRACES`` of them, picked by the hash of their id,
and its sums are scaled by cost to all. Prompts are read only of the calls that a verdict points at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nightpane.optimizer import rows
from nightpane.optimizer.failures import FLAGS, PATTERNS
from nightpane.optimizer.fields import TOKENS, Scope, tokens
from nightpane.optimizer.model import Call
from nightpane.optimizer.patterns import TRACES as SHAPES
from nightpane.optimizer.recommendations.facts import (
    Group,
    Material,
    Prefixed,
    Prompts,
    TraceCalls,
)
from nightpane.optimizer.source import PAGE, Row, Source

__all__ = ["PREFIXED", "PROMPTS", "TRACES", "Limits", "Seen", "Wanted", "read", "seen"]

TRACES = 1000
_READ_TRACES, _READ_CALLS = 300, 15_000
PROMPTS, _IDS_OF_A_PROMPT = 1000, 100
PREFIXED = 4000
_DAY_S = 86_400
_NEVER = 1e18
_EXCERPT = 3000

_SINCE = " AND timestamp >= toDateTime({earliest})"
_GROUP = ("operation", "trace", "model", "provider", "tier", "above")
_COLUMNS = (
    *("operation", "model", "trace", "minute", "status", "failed", "latency", "stop", "prompt"),
    *("output", "cost", "error", "provider", "tier", "above", "priced"),
    *("uncached", "cache_read", "cache_write"),
)
_LIMITS = ("likely", "low", "high")
_SIDES = [(side, limit) for side in ("prompt", "output") for limit in _LIMITS]
_BOUNDS = [
    (side, bound)
    for side in ("prompt", "output")
    for bound in (*_LIMITS, "over", "upto", "answers")
]
# One step a column: the grammar takes its time over nested calls.
_STEPS = (
    *(
        f"transform(operation, {{operations}}, {{{s}_{b}}}, {_NEVER}) AS {s}_{b}"
        for s, b in _BOUNDS
    ),
    *(f"least({side}, {side}_upto) AS {side}_kept" for side in ("prompt", "output")),
    *(f"{side}_kept - {side}_{limit} AS {side}_over_{limit}" for side, limit in _SIDES),
    *(f"greatest({s}_over_{b}, 0.0) AS {s}_beyond_{b}" for s, b in _SIDES),
    "prompt > prompt_over AND output <= prompt_answers AS is_large",
    "output > output_over AS is_long",
    "concat(model, '|', provider) AS pair",
    "concat(operation, '|', pair) AS use",
    "has({dear}, use) AS is_dear",
    "has({unpriced}, pair) AS may_lack",
    "may_lack AND NOT priced AS is_unpriced",
    "has({differing}, pair) AS may_differ",
    "may_differ AND priced AS is_differing",
    "broken AND NOT late AS is_error",
)
_KINDS = {
    "prompt_bloat": "is_large",
    "runaway_output": "is_long",
    "model_misuse": "is_dear",
    "unpriced": "is_unpriced",
    "differing": "is_differing",
    "timeouts": "late",
    "rate_limits": "refused",
    "truncated": "cut",
    "empty": "empty",
    "errors": "is_error",
}
_KIND = (
    f"[{', '.join(f'if({flag}, {kind!r}, {str()!r})' for kind, flag in _KINDS.items())}] AS marks"
)
_BEYOND = ", ".join(f"sum({s}_beyond_{b}) AS {s}_{b}_" for s, b in _SIDES)
_GROUPS = f"""SELECT kind, {", ".join(_GROUP)}, count() AS calls, sum(cost) AS usd, {TOKENS},
  {_BEYOND}
FROM (SELECT {", ".join(_GROUP)}, cost, uncached, cache_read, cache_write, output, prompt,
    {FLAGS}, {", ".join(_STEPS)}, {_KIND},
    arrayFilter(mark -> mark > '', marks) AS kinds, arrayJoin(kinds) AS kind,
    concat(kind, '|', operation) AS subject, has({{wanted}}, subject) AS is_wanted
  FROM %s WHERE operation IN {{subjects}})
WHERE is_wanted
GROUP BY kind, {", ".join(_GROUP)}
ORDER BY kind, operation, cityHash64(trace), {", ".join(_GROUP)}
LIMIT {TRACES} BY kind, operation LIMIT {PAGE}"""  # noqa: S608 (constants of this package; values go in placeholders)
_SUSPECTS = f"""SELECT operation, kind, trace_, calls, weight FROM (
  SELECT operation, trace_, calls, if(repeating, 'retry_storm', '') AS repeats_,
    if(growing, 'context_stuffing', '') AS grows_, [repeats_, grows_] AS marks,
    arrayFilter(mark -> mark > '', marks) AS kinds, arrayJoin(kinds) AS kind,
    concat(kind, '|', operation) AS subject,
    has({{wanted}}, subject) AS is_wanted, usd * repeats / calls AS repeated_usd,
    if(kind = 'retry_storm', repeated_usd, usd) AS weight
  FROM ({SHAPES}))
WHERE is_wanted
ORDER BY operation, kind, cityHash64(trace_), trace_ LIMIT {_READ_TRACES} BY operation, kind
LIMIT {PAGE}"""  # noqa: S608 (as above)
_REPEATED = f"""SELECT operation, hash, count() AS calls, uniqExact(trace) AS traces,
  groupArray(second) AS seconds, arraySort(seconds) AS ordered, arrayDifference(ordered) AS gaps,
  arrayCount(gap -> gap > {_DAY_S}, gaps) AS late, groupUniqArray(trace) AS all_ids,
  arraySort(all_ids) AS sorted_ids, arraySlice(sorted_ids, 1, {_IDS_OF_A_PROMPT}) AS ids,
  sum(cost) AS usd, {TOKENS}, min(model) AS model_, min(provider) AS provider_
FROM (SELECT operation, second, trace, cost, uncached, cache_read, cache_write, output, model,
    provider, cityHash64(question, model) AS hash,
    transform(operation, {{operations}}, {{since}}, 0) AS since
  FROM %s
  WHERE operation IN {{operations}} AND second >= since AND trace != '' AND NOT failed
    AND length(question) > 2)
GROUP BY operation, hash HAVING traces > 1
ORDER BY operation, usd DESC, hash LIMIT {PROMPTS} BY operation LIMIT {PAGE}"""  # noqa: S608 (as above)
_PREFIXES = f"""SELECT operation, trace, second, model, provider, tier, above, cost, uncached,
  cache_read, cache_write, output, length(question) AS chars,
  transform(operation, {{operations}}, {{lengths}}, 1) AS shared,
  substring(question, 1, shared) AS beginning, cityHash64(beginning) AS hash, hex(hash) AS start_,
  transform(operation, {{operations}}, {{since}}, 0) AS since
FROM %s WHERE operation IN {{operations}} AND NOT failed AND second >= since
ORDER BY operation, second DESC, id LIMIT {PREFIXED} BY operation LIMIT {PAGE}"""  # noqa: S608 (as above)
_SEEN = f"""SELECT operation, trace, count() AS calls, sum(cost) AS usd,
  sum(prompt + output) AS size,
  argMax(asked, (prompt, id)) AS prompt_, argMax(answered, (cut, output, id)) AS answer_,
  argMax(error, (words, id)) AS error_
FROM (SELECT operation, trace, cost, prompt, output, substring(question, 1, {_EXCERPT}) AS asked,
    substring(answer, 1, {_EXCERPT}) AS answered, error, length(error) AS words, id,
    stop IN ('length', 'max_tokens', 'max_output_tokens') AS cut
  FROM %s WHERE trace IN {{ids}} AND operation IN {{operations}})
GROUP BY operation, trace ORDER BY operation, trace LIMIT {PAGE}"""  # noqa: S608 (as above)


@dataclass(frozen=True, slots=True)
class Limits:
    """Which calls of an operation are too large, and to what size they would be cut.

    A call counts when its prompt (or answer) exceeds ``over`` tokens and its answer does not exceed
    ``answers``. The (``likely``, ``low``, ``high``) saving is what lies above these sizes, up to
    ``upto``.
    """

    over: float
    likely: float
    low: float
    high: float
    upto: float = _NEVER
    answers: float = _NEVER


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What must be read, as the verdicts alone tell.

    ``groups`` are (kind, operation) pairs. ``shapes`` tells, of such a pair, what all traces of the
    kind weigh, so that those that are read can stand for the others. ``repeated`` tells since when
    to look for repeated prompts; ``lengths`` are shared prefixes in characters, with that time.
    """

    groups: frozenset[tuple[str, str]]
    prompts: Mapping[str, Limits]
    outputs: Mapping[str, Limits]
    dear: frozenset[tuple[str, str, str]]
    unpriced: frozenset[tuple[str, str]]
    differing: frozenset[tuple[str, str]]
    shapes: Mapping[tuple[str, str], float]
    loops: Mapping[str, tuple[str, ...]]
    repeated: Mapping[str, datetime]
    lengths: Mapping[str, tuple[int, datetime]]


def read(source: Source, scope: Scope, wanted: Wanted) -> Material:
    """Return what the rules need."""
    return Material(
        groups=_groups(source, scope, wanted) if wanted.groups else {},
        traces=_traces(source, scope, wanted),
        prompts=_prompts(source, scope, wanted.repeated) if wanted.repeated else {},
        prefixed=_prefixed(source, scope, wanted.lengths) if wanted.lengths else {},
    )


def _groups(
    source: Source, scope: Scope, wanted: Wanted
) -> dict[tuple[str, str], tuple[Group, ...]]:
    operations = sorted({*wanted.prompts, *wanted.outputs}) or [""]
    none = Limits(_NEVER, _NEVER, _NEVER, _NEVER)
    values: dict[str, Any] = {
        **PATTERNS,
        "operations": operations,
        "dear": _keys(wanted.dear),
        "unpriced": _keys(wanted.unpriced),
        "differing": _keys(wanted.differing),
        "wanted": _keys(wanted.groups),
        "subjects": _operations(wanted.groups),
    }
    for side, limits in (("prompt", wanted.prompts), ("output", wanted.outputs)):
        for name in (*_LIMITS, "over", "upto", "answers"):
            values[f"{side}_{name}"] = [
                float(getattr(limits.get(operation, none), name)) for operation in operations
            ]
    found: dict[tuple[str, str], list[Group]] = {}
    for row in source.ask(_GROUPS % scope.calls(*_COLUMNS), scope.values(values)):
        found.setdefault((row["kind"], row["operation"]), []).append(_group(row))
    return {key: tuple(groups) for key, groups in found.items()}


def _operations(pairs: Iterable[tuple[str, str]]) -> list[str]:
    return sorted({operation for _, operation in pairs})


def _keys(pairs: Iterable[Sequence[str]]) -> list[str]:
    return sorted("|".join(pair) for pair in pairs) or [""]


def _group(row: Row) -> Group:
    return Group(
        trace_id=row["trace"],
        model=row["model"],
        provider=row["provider"],
        tier=row["tier"],
        above=int(row["above"]),
        calls=int(row["calls"]),
        cost_usd=float(row["usd"] or 0),
        tokens=tokens(row),
        prompt_beyond=_three(row, "prompt"),
        output_beyond=_three(row, "output"),
    )


def _three(row: Row, side: str) -> tuple[float, float, float]:
    likely, low, high = (float(row[f"{side}_{limit}_"] or 0) for limit in _LIMITS)
    return likely, low, high


def _traces(source: Source, scope: Scope, wanted: Wanted) -> dict[tuple[str, str], TraceCalls]:
    """Return the traces of suspicious shape with their calls; ``shapes`` is what all of a kind
    weigh, so that those that are read can stand for the others."""
    suspects: dict[tuple[str, str], list[Row]] = {}
    if wanted.shapes:
        calls = scope.calls("operation", "trace", "at", "cost", "prompt", "cache_read")
        some = " AND operation IN {subjects}"
        text = _SUSPECTS.replace("{trace}", "trace").replace("{some}", some) % calls
        values = {"wanted": _keys(wanted.shapes), "subjects": _operations(wanted.shapes)}
        for row in source.ask(text, scope.values(values)):
            suspects.setdefault((row["kind"], row["operation"]), []).append(row)
    ids: dict[tuple[str, str], list[str]] = {
        ("tool_loop", name): list(of) for name, of in wanted.loops.items()
    }
    share = _READ_CALLS // max(len(suspects) + len(ids), 1)
    scales: dict[tuple[str, str], float] = {}
    for key, found in suspects.items():
        picked, calls_read = [], 0
        for row in found:
            if calls_read and calls_read + int(row["calls"]) > share:
                break
            picked.append(row)
            calls_read += min(int(row["calls"]), rows.CALLS_OF_A_TRACE)
        ids[key] = [row["trace_"] for row in picked]
        weight = sum(float(row["weight"] or 0) for row in picked)
        scales[key] = max(wanted.shapes[key] / weight, 1.0) if weight else 1.0
    calls_of = rows.read(source, scope, {one for of in ids.values() for one in of})
    return {
        key: TraceCalls(
            {one: own for one in of if (own := _own(key[1], calls_of.get(one, ())))},
            _whole(scales.get(key, 1.0)),
        )
        for key, of in ids.items()
    }


def _own(operation: str, calls: Iterable[Call]) -> tuple[Call, ...]:
    return tuple(call for call in calls if call.operation == operation)


def _whole(scale: float) -> float:
    """A scale that differs from 1 by rounding alone is 1: then all traces were read."""
    return 1.0 if abs(scale - 1) < 1e-6 else scale


def _prompts(
    source: Source, scope: Scope, since: Mapping[str, datetime]
) -> dict[str, tuple[Prompts, ...]]:
    columns = (
        *_GROUP[:4],
        "second",
        "cost",
        "uncached",
        "cache_read",
        "cache_write",
        "output",
        "failed",
    )
    found: dict[str, list[Prompts]] = {}
    names, earliest = sorted(since), min(since.values())
    text = _REPEATED % scope.calls(*columns, "question", part=_SINCE)
    values = {
        "operations": names,
        "since": [int(since[name].timestamp()) for name in names],
        "earliest": earliest,
    }
    for row in source.ask(text, scope.values(values)):
        found.setdefault(row["operation"], []).append(
            Prompts(
                calls=int(row["calls"]),
                traces=int(row["traces"]),
                late=int(row["late"]),
                cost_usd=float(row["usd"] or 0),
                tokens=tokens(row),
                model=row["model_"],
                provider=row["provider_"],
                trace_ids=tuple(row["ids"]),
            )
        )
    return {name: tuple(prompts) for name, prompts in found.items()}


def _prefixed(
    source: Source, scope: Scope, lengths: Mapping[str, tuple[int, datetime]]
) -> dict[str, tuple[Prefixed, ...]]:
    names = sorted(lengths)
    earliest = min(since for _, since in lengths.values())
    text = _PREFIXES % scope.calls(
        *("operation", "trace", "second", "id", "model", "provider", "tier", "above", "cost"),
        *("uncached", "cache_read", "cache_write", "output", "failed", "question"),
        part=_SINCE,
    )
    values = {
        "operations": names,
        "lengths": [lengths[name][0] for name in names],
        "since": [int(lengths[name][1].timestamp()) for name in names],
        "earliest": earliest,
    }
    found: dict[str, list[Prefixed]] = {}
    for row in source.ask(text, scope.values(values)):
        found.setdefault(row["operation"], []).append(
            Prefixed(
                trace_id=row["trace"],
                at_s=float(row["second"]),
                model=row["model"],
                provider=row["provider"],
                tier=row["tier"],
                above=int(row["above"]),
                cost_usd=float(row["cost"] or 0),
                tokens=tokens(row, suffix=""),
                chars=int(row["chars"]),
                prefix=row["start_"],
            )
        )
    return {name: tuple(reversed(calls)) for name, calls in found.items()}


@dataclass(frozen=True, slots=True)
class Seen:
    """An operation's calls in one trace: what they cost, and what was said."""

    calls: int
    cost_usd: float
    tokens: int
    prompt: str
    answer: str
    error: str


def seen(
    source: Source, scope: Scope, pairs: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], Seen]:
    """Return what evidence shows of (operation, trace) pairs, in one query."""
    wanted = sorted(set(pairs))
    if not wanted:
        return {}
    columns = ("operation", "trace", "cost", "prompt", "output", "error", "stop", "id")
    values = {
        "ids": sorted({trace for _, trace in wanted}),
        "operations": sorted({operation for operation, _ in wanted}),
    }
    found = {}
    for row in source.ask(
        _SEEN % scope.calls(*columns, "question", "answer"), scope.values(values)
    ):
        found[row["operation"], row["trace"]] = Seen(
            calls=int(row["calls"]),
            cost_usd=float(row["usd"] or 0),
            tokens=round(float(row["size"] or 0)),
            prompt=row["prompt_"],
            answer=row["answer_"],
            error=row["error_"],
        )
    return found
