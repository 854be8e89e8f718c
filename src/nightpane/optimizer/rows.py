"""Reading single calls: the rows of traces that something pointed at, never more.

A prompt may be megabytes, so it stays where it is: what travels of it is its length, its hashes
and, of the answer, the beginning.
"""

from __future__ import annotations

from collections.abc import Iterable

from nightpane.optimizer.fields import Scope, moment, tokens
from nightpane.optimizer.model import Call
from nightpane.optimizer.source import Row, Source

__all__ = ["read"]

CALLS_OF_A_TRACE = 300
_ROWS = 20_000
_COLUMNS = (
    *("id", "trace", "operation", "at", "model", "provider", "cost", "uncached", "cache_read"),
    *("cache_write", "output", "latency", "status", "failed", "stop", "error"),
)
_QUERY = f"""SELECT {", ".join(_COLUMNS)}, length(question) AS chars,
  cityHash64(question) AS whole, hex(whole) AS input_hash,
  substring(question, 1, 100000) AS much, replaceRegexpAll(much, '[0-9]+', '#') AS shape,
  cityHash64(shape) AS shape_, hex(shape_) AS shape_hash,
  substring(question, 1, 2000) AS prefix, cityHash64(prefix) AS prefix_,
  hex(prefix_) AS prefix_hash,
  substring(answer, 1, 2000) AS output_text
FROM %s WHERE trace IN {{trace_ids}}"""  # noqa: S608 (constants of this package; values go in placeholders)
_TRAVELLING = f"""SELECT {", ".join(_COLUMNS)},
  chars, input_hash, shape_hash, prefix_hash, output_text
FROM ({_QUERY}) ORDER BY trace, at, id LIMIT {CALLS_OF_A_TRACE} BY trace LIMIT {_ROWS}"""  # noqa: S608 (as above)


def read(source: Source, scope: Scope, trace_ids: Iterable[str]) -> dict[str, tuple[Call, ...]]:
    """Return the calls of traces in order of time, at most 300 of each, in one query."""
    wanted = sorted({one for one in trace_ids if one})
    if not wanted:
        return {}
    found: dict[str, list[Call]] = {}
    text = _TRAVELLING % scope.calls(*_COLUMNS, "question", "answer")
    for row in source.ask(text, scope.values({"trace_ids": wanted})):
        found.setdefault(row["trace"], []).append(_call(row))
    return {trace: tuple(calls) for trace, calls in found.items()}


def _call(row: Row) -> Call:
    has_prompt = int(row["chars"]) > len("[]")
    return Call(
        uuid=row["id"],
        trace_id=row["trace"],
        operation=row["operation"],
        at=moment(row["at"]),
        model=row["model"],
        provider=row["provider"],
        cost_usd=float(row["cost"] or 0),
        tokens=tokens(row, suffix=""),
        latency_s=None if row["latency"] is None else float(row["latency"]),
        status=int(row["status"]) or None,
        failed=bool(row["failed"]),
        stop_reason=row["stop"],
        input_hash=row["input_hash"] if has_prompt else "",
        shape_hash=row["shape_hash"] if has_prompt else "",
        prefix_hash=row["prefix_hash"] if has_prompt else "",
        input_chars=int(row["chars"]),
        output_text=row["output_text"],
        error=row["error"],
    )
