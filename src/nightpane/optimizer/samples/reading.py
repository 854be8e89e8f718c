"""Reading the sampled traces: all their calls, and the prompts and answers of a few.

A trace may hold hundreds of calls with megabytes each: of a few calls the beginning and the end of
the prompt travel, of the others the answer's first characters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from nightpane.optimizer import mending, rows
from nightpane.optimizer.fields import Scope
from nightpane.optimizer.messages import Message, messages
from nightpane.optimizer.model import Call, Causes, Metrics, Tails
from nightpane.optimizer.samples.facts import Exchange, Picked, Reading
from nightpane.optimizer.source import PAGE, Row, Source

__all__ = ["read"]

_CALLS = 5
"""Of a trace, whose prompts are read."""
_HEAD, _TAIL, _ANSWER = 24_000, 16_000, 300_000
_PREFIX = 2000  # what rows.read keeps of an answer
_STARTS = re.compile(r'\{"(?:role|type|content|parts)"\s*:')
_TRIES = 60
_YES = ("true", "1", "1.0")
"""An error's mark, as boolean, number or text, before the query engine makes a type of it."""
_TEXTS = f"""SELECT id, length(question) AS chars, chars - {_TAIL - 1} AS back,
  greatest(back, {_HEAD + 1}) AS from_, substring(question, 1, {_HEAD}) AS head,
  substring(question, from_, {_TAIL}) AS tail, length(answer) AS answer_chars,
  substring(answer, 1, {_ANSWER}) AS said, marked_as
FROM %s WHERE trace IN {{traces}} AND id IN {{ids}} ORDER BY id LIMIT {PAGE}"""  # noqa: S608 (constants of this package; values go in placeholders)


def read(
    source: Source, scope: Scope, picked: Sequence[Picked], metrics: Metrics, causes: Causes
) -> tuple[Reading, ...]:
    """Return the traces that were picked, in two queries. One that is gone is left out."""
    known = dict(causes.calls)
    known |= rows.read(source, scope, {one.trace_id for one in picked} - known.keys())
    calls = {one: _own(one, known.get(one.trace_id, ())) for one in picked}
    chosen = {call.uuid: call for own in calls.values() for call in _telling(own)}
    texts: dict[str, Row] = {}
    if chosen:
        values = {
            "ids": sorted(chosen),
            "traces": sorted({call.trace_id for call in chosen.values()}),
        }
        text = _TEXTS % scope.calls("id", "trace", "question", "answer", "marked_as")
        texts = {row["id"]: row for row in source.ask(text, scope.values(values))}
    traces = {(one.operation, one.trace_id): one for one in causes.traces}
    return tuple(
        Reading(
            picked=one,
            metrics=of,
            exchanges=tuple(_exchange(call, texts) for call in own),
            operation=causes.operation(one.operation),
            trace=traces.get((one.operation, one.trace_id)),
            tails=causes.tails.get(one.operation, Tails()),
        )
        for one, own in calls.items()
        if own and (of := metrics.operation(one.operation)) is not None
    )


def _own(picked: Picked, calls: Sequence[Call]) -> tuple[Call, ...]:
    return tuple(call for call in calls if call.operation == picked.operation)


def _telling(calls: Sequence[Call]) -> list[Call]:
    """Return the few calls of a trace whose texts tell most: the first, the last, the largest
    prompt, the longest answer, and the first that ended in another way than most."""
    if len(calls) <= _CALLS:
        return list(calls)
    ends = [call.stop_reason for call in calls]
    odd = [call for call in calls if call.failed or 2 * ends.count(call.stop_reason) < len(ends)]
    wanted = [
        calls[0],
        calls[-1],
        *odd[:1],
        max(calls, key=lambda call: call.tokens.output),
        max(calls, key=lambda call: call.tokens.prompt),
    ]
    return list({call.uuid: call for call in wanted}.values())


def _exchange(call: Call, texts: Mapping[str, Row]) -> Exchange:
    row = texts.get(call.uuid)
    if row is None:
        whole = len(call.output_text.encode()) < _PREFIX
        return Exchange(call, (), messages(call.output_text, "assistant"), whole)
    if row["marked_as"].strip('"').lower() in _YES:
        call = replace(call, failed=True)
    return Exchange(
        call,
        _prompt(row["head"], row["tail"]),
        messages(row["said"], "assistant"),
        int(row["answer_chars"]) <= _ANSWER,
    )


def _prompt(head: str, tail: str) -> tuple[Message, ...]:
    """Return the messages of a prompt's beginning and, where it is long, of its end."""
    begun = messages(head)
    return (*begun, *_ending(tail)) if tail else begun


def _ending(tail: str) -> tuple[Message, ...]:
    """Return the whole messages at the end of a JSON text that begins anywhere."""
    for tried, start in enumerate(_STARTS.finditer(tail)):
        text = f"[{tail[start.start() :]}"
        value, whole = mending.read(text)
        if whole and isinstance(value, list):
            return messages(text)
        if tried >= _TRIES:
            break
    return ()
