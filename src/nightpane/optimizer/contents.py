"""What prompts and answers hold, by hash and by pattern: where heavy columns are read.

A prompt lies inside a large JSON text, so only a part of the window is read when the whole is too
much: its last stretch, and for an operation that was quiet then, its own last stretch. What is
found is counted in that part alone, and the report says which part it was.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from nightpane.optimizer.fields import Scope
from nightpane.optimizer.model import Contents, Metrics
from nightpane.optimizer.source import PAGE, Row, Source

__all__ = ["LADDER", "LOOP", "PATTERNS", "contents"]

_MOST_BYTES = 500_000_000
"""Read in a few seconds by two cores."""
_BYTES_OF_TOKEN, _BYTES_OF_EVENT = 5.0, 1000.0
_QUIET_OPERATIONS = 10
_CACHE_S = 300
"""For how long Anthropic's default cache, and at least as long OpenAI's, keeps a prefix."""
LADDER = (
    *(250, 500, 1000, 2000, 3000, 4000, 6000, 8000, 11_000, 16_000, 23_000, 32_000, 45_000),
    *(64_000, 90_000, 128_000),
)
_SHARED_BY = 5
_LEAST_SHARING = 10
LOOP = 4
_FEW = 5
_LOOPS_NAMED = 200

# The answer's first text, in the shapes the wrappers write; else the answer, if it is no message.
_TEXT = """JSONExtractString(answer, 1, 'content') AS plain,
  JSONExtractString(answer, 1, 'content', 1, 'text') AS block,
  JSONExtractString(answer, 1, 'message', 'content') AS choice,
  JSONExtractString(answer, 1, 'parts', 1, 'text') AS part,
  JSONExtractString(answer, 'data', 'content') AS data,
  multiIf(block > '', block, choice > '', choice, part > '', part, data > '', data, plain > '',
    plain, match(answer, {message}), '', answer) AS first, trim(first) AS text"""
PATTERNS = {
    "message": r'"(role|message|parts|content|data)"\s*:',
    "tool": r'"(tool_calls|tool_use|function_call|functionCall|function)"',
    # Nothing at all, or one message whose text is nothing.
    "empty": r'^\s*(\[\s*\]|\{\s*\}|""|\[\s*\{[^{]*"content"\s*:\s*'
    r'(""|null|\[\s*\]|\[\s*\{[^{}]*"text"\s*:\s*""[^{}]*\}\s*\])[^{}]*\}\s*\])\s*$',
    # As JSON begins, and prose such as "[tool-call]" or "{name} writes" does not.
    "json": r'^(\{\s*["}]|\[\s*(["\[{\]]|-?[0-9]|(true|false|null)\s*[,\]]))',
    # Name and arguments of every tool call; ids differ from call to call and are left out.
    "signature": r'"name"\s*:\s*"[^"]*"|"(?:arguments|input|args)"\s*:\s*'
    r'(?:"(?:[^"\\]|\\.)*"|\{[^{}]*\})',
}
_COLUMNS = ("operation", "trace", "model", "cost", "failed", "at", "question", "answer", "prompt")
_CALLS = f"""SELECT operation, trace, prompt, length(question) AS chars, NOT failed AS good,
  cityHash64(question, model) AS hash, answer, cityHash64(answer) AS answer_hash,
  match(answer, {{tool}}) AS tools, match(answer, {{empty}}) AS nothing, {_TEXT},
  match(text, {{json}}) AS braced, isValidJSON(text) AS valid, chars > 2 AS asked,
  good AND asked AS counted, good AND answer > '' AS answered,
  good AND nothing AND NOT tools AS is_empty, good AND braced AS is_json,
  is_json AND NOT valid AS is_broken
FROM %s"""  # noqa: S608 (constants of this package; values go in placeholders)


_COUNTS = f"""SELECT operation, count() AS calls, countIf(asked) AS read,
  avgIf(chars, asked) AS mean_chars, avgIf(prompt, asked) AS mean_prompt,
  uniqExactIf(hash, counted) AS hashes, uniqExactIf((hash, trace), counted) AS askers,
  countIf(answered) AS outputs, uniqExactIf(answer_hash, answered) AS distinct_outputs,
  countIf(tools) AS tool_calls, countIf(is_empty) AS empty_outputs,
  countIf(is_json) AS json_outputs, countIf(is_broken) AS malformed,
  minIf(trace, is_empty) AS empty_id, minIf(trace, is_broken) AS malformed_id
FROM ({_CALLS}) GROUP BY operation ORDER BY calls DESC, operation LIMIT {PAGE}"""  # noqa: S608 (as above)
_BEGINNINGS = f"""SELECT operation, step, count() AS calls, uniqExact(hash) AS prompts,
  uniqExact(start) AS starts, uniqExact((start, slot)) AS slots
FROM (SELECT operation, cityHash64(question) AS hash, length(question) AS chars,
    arrayFilter(n -> n <= chars, {{ladder}}) AS steps, arrayJoin(steps) AS step,
    substring(question, 1, step) AS beginning, cityHash64(beginning) AS start,
    toUnixTimestamp(at) AS second, intDiv(second, {_CACHE_S}) AS slot
  FROM %s WHERE NOT failed)
GROUP BY operation, step ORDER BY operation, step LIMIT {PAGE}"""  # noqa: S608 (as above)
_DUPLICATES = f"""SELECT operation, count() AS prompts, sum(traces - 1) AS again,
  sum(spared) AS usd, argMax(ids, (spared, hash)) AS most
FROM (SELECT operation, cityHash64(question, model) AS hash, uniqExact(trace) AS traces,
    sum(cost) * (traces - 1) / count() AS spared, groupUniqArray(trace) AS all_ids,
    arraySort(all_ids) AS sorted, arraySlice(sorted, 1, 10) AS ids
  FROM %s WHERE operation IN {{operations}} AND trace != '' AND NOT failed AND length(question) > 2
  GROUP BY operation, hash HAVING traces > 1)
GROUP BY operation ORDER BY operation LIMIT {PAGE}"""  # noqa: S608 (as above)
_LOOPS = f"""SELECT operation, trace, sum(calls - 1) AS again, sum(spared) AS usd
FROM (SELECT operation, trace, signature, count() AS calls,
    sum(cost) * (calls - 1) / calls AS spared
  FROM (SELECT operation, trace, cost, extractAll(answer, {{signature}}) AS parts,
      arrayStringConcat(parts) AS whole, cityHash64(whole) AS signature
    FROM %s WHERE operation IN {{operations}} AND trace != '' AND NOT failed
      AND match(answer, {{tool}}))
  GROUP BY operation, trace, signature HAVING calls >= {LOOP})
GROUP BY operation, trace ORDER BY operation, usd DESC, trace LIMIT 1000 BY operation
LIMIT {PAGE}"""  # noqa: S608 (as above)


def contents(source: Source, scope: Scope, metrics: Metrics) -> tuple[dict[str, Contents], str]:
    """Return what was found by operation, and which part of the window was read, in words."""
    part, words = _part(scope, metrics)
    calls = scope.calls(*_COLUMNS, part=part[0])
    values = scope.values({**part[1], **PATTERNS})
    found = {row["operation"]: _contents(row) for row in source.ask(_COUNTS % calls, values)}
    begun: dict[str, list[Row]] = {}
    for row in source.ask(_BEGINNINGS % calls, {**values, "ladder": list(LADDER)}):
        begun.setdefault(row["operation"], []).append(row)
    for name, rows in begun.items():
        found[name] = _stable(found[name], rows)
    repeated = [name for name, one in found.items() if one.duplicates >= _FEW]
    if repeated:
        rows = source.ask(_DUPLICATES % calls, {**values, "operations": repeated})
        for row in rows:
            found[row["operation"]] = replace(
                found[row["operation"]],
                duplicates=int(row["again"]),
                duplicate_groups=int(row["prompts"]),
                duplicate_cost_usd=float(row["usd"] or 0),
                duplicate_ids=tuple(row["most"]),
            )
    tooled = [name for name, one in found.items() if one.tool_calls >= LOOP]
    if tooled:
        rows = source.ask(_LOOPS % calls, {**values, "operations": tooled})
        for name in tooled:
            found[name] = _looping(found[name], [row for row in rows if row["operation"] == name])
    return found, words


def _part(scope: Scope, metrics: Metrics) -> tuple[tuple[str, dict[str, datetime]], str]:
    """Return the condition and values that bound what is read, and words for it."""
    size = metrics.tokens.total * _BYTES_OF_TOKEN + metrics.calls * _BYTES_OF_EVENT
    if size <= _MOST_BYTES:
        return ("", {}), "all calls of the window"
    stretch = (scope.end - scope.start) * (_MOST_BYTES / size)
    values = {"from_0": scope.end - stretch}
    conditions = ["timestamp >= toDateTime({from_0})"]
    quiet = [one for one in metrics.operations if one.last < values["from_0"]]
    for number, one in enumerate(quiet[:_QUIET_OPERATIONS], 1):
        values[f"from_{number}"] = one.last - stretch / _QUIET_OPERATIONS
        values[f"to_{number}"] = one.last + timedelta(seconds=1)
        conditions.append(
            f"(timestamp >= toDateTime({{from_{number}}}) "
            f"AND timestamp < toDateTime({{to_{number}}}))"
        )
    hours = stretch.total_seconds() / 3600
    words = f"the last {hours:,.1f} hours of the window"
    if quiet:
        words += f" and the last stretches of {min(len(quiet), _QUIET_OPERATIONS)} quiet operations"
    return (f" AND ({' OR '.join(conditions)})", values), words


def _contents(row: Row) -> Contents:
    return Contents(
        calls=int(row["calls"]),
        read=int(row["read"]),
        mean_chars=float(row["mean_chars"] or 0),
        mean_prompt=float(row["mean_prompt"] or 0),
        duplicates=int(row["askers"]) - int(row["hashes"]),
        outputs=int(row["outputs"]),
        distinct_outputs=int(row["distinct_outputs"]),
        tool_calls=int(row["tool_calls"]),
        empty_outputs=int(row["empty_outputs"]),
        json_outputs=int(row["json_outputs"]),
        malformed_outputs=int(row["malformed"]),
        ill_ids=tuple(sorted({row["empty_id"] or "", row["malformed_id"] or ""} - {""})),
    )


def _stable(one: Contents, rows: list[Row]) -> Contents:
    """Add the longest step at which most prompts are so long and five different ones share each
    beginning."""
    shared = [
        row
        for row in rows
        if 2 * int(row["calls"]) >= one.read
        and int(row["prompts"]) >= max(_LEAST_SHARING, _SHARED_BY * int(row["starts"]))
    ]
    if not shared:
        return one
    longest = max(shared, key=lambda row: int(row["step"]))
    return replace(
        one,
        stable_chars=int(longest["step"]),
        stable_calls=int(longest["calls"]),
        cache_hits=int(longest["calls"]) - int(longest["slots"]),
        cache_writes=int(longest["slots"]),
    )


def _looping(one: Contents, rows: list[Row]) -> Contents:
    return replace(
        one,
        loop_traces=len(rows),
        loop_calls=sum(int(row["again"]) for row in rows),
        loop_cost_usd=sum(float(row["usd"] or 0) for row in rows),
        loop_ids=tuple(row["trace"] for row in rows[:_LOOPS_NAMED]),
    )
