"""Ledgers of one JSON object a line: pi-autoresearch's ``autoresearch.jsonl`` and other runners'.

A config line opens a new segment: its scores are not compared with those before it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from nightpane.errors import LedgerError
from nightpane.ledgers import jsonrows, values
from nightpane.ledgers.jsonrows import Keys
from nightpane.ledgers.lines import Line, Source, clean
from nightpane.ledgers.model import Problem, Row, Segment, Stop

__all__ = ["JsonLedger", "loads", "recognise"]

_SAMPLE_LINES = 200
_PI_KEYS = {"run", "metric", "status"}

Item = tuple[int, Mapping[str, Any] | Problem]


def loads(text: str) -> Any:
    """Return the JSON value in a text (NaN and Infinity allowed); ValueError when it is none."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


@dataclass(slots=True)
class JsonLedger:
    """A recognised ledger of JSON records; ``items`` starts over at each call."""

    items: Callable[[], Iterable[Item]]
    keys: Keys
    name: str = "jsonl"
    project: str = "autoresearch"
    client: str | None = None
    notes: list[str] = field(default_factory=list)

    def records(self) -> Iterator[Row | Problem | Stop]:
        """Yield what each record says, in the file's order."""
        segment, configs, rows, index = Segment(), 0, 0, 0
        for line, record in self.items():
            if isinstance(record, Problem):
                yield record
                continue
            if (config := jsonrows.config_of(record, configs)) is not None:
                segment = config
                configs += 1
                if not self.keys.stated:
                    continue
                segment = Segment(index=config.index, metric=self.keys.metric, metric_stated=True)
                continue
            if jsonrows.is_stop(record):
                yield _stop(record, line, segment)
                continue
            row = jsonrows.row_of(record, line=line, index=index, segment=segment, keys=self.keys)
            index += 1
            if row is not None:
                rows += 1
                yield row


def _stop(record: Mapping[str, Any], line: int, segment: Segment) -> Stop:
    when = next(
        (m for k in ("timestamp", "ts", "t", "time") if (m := values.as_moment(record.get(k)))),
        None,
    )
    return Stop(
        line=line,
        segment=segment,
        reason=jsonrows.stop_reason(record) or "",
        when=when,
        total_cost_usd=values.as_number(record.get("total_cost_usd")),
    )


def parsed(lines: Iterable[Line]) -> Iterator[Item]:
    """Yield each line's object, or the problem of a line that holds none."""
    for line in lines:
        if line.text is None:
            yield line.number, Problem(line.number, "too long to be a record")
            continue
        text = clean(line.text).strip()
        if not text or text.startswith(("#", "//")):
            continue
        try:
            value = loads(text)
        except ValueError as error:
            yield line.number, Problem(line.number, f"not JSON: {_short(error)}")
            continue
        if isinstance(value, dict):
            yield line.number, value
        else:
            yield line.number, Problem(line.number, f"a JSON {_kind(value)}, not an object")


def _short(error: ValueError) -> str:
    return str(error).split(": line ")[0][:100]


def _kind(value: Any) -> str:
    return {list: "list", str: "text", bool: "boolean", type(None): "null"}.get(
        type(value), "number"
    )


def recognise(source: Source, *, metric: str | None = None) -> JsonLedger | None:
    """Return the ledger in a file of JSON lines, None when its records tell of no rounds.

    Raises LedgerError when ``metric`` is in none of them.
    """
    return from_items(lambda: parsed(source.lines()), str(source.path), metric=metric)


def from_items(
    items: Callable[[], Iterable[Item]], where: str, *, metric: str | None = None
) -> JsonLedger | None:
    """Return the ledger in some JSON records, as `recognise` does for those of a file."""
    sample = [r for _, r in islice(items(), _SAMPLE_LINES) if not isinstance(r, Problem)]
    if not sample:
        return None
    config = next((c for r in sample if (c := jsonrows.config_of(r, 0)) is not None), None)
    rounds = [r for r in sample if jsonrows.config_of(r, 0) is None]
    keys = jsonrows.guess_keys(rounds, metric, config)
    if metric is not None and not any(keys.metric in jsonrows.flatten(r) for r in rounds):
        raise LedgerError(f"{where} has no key {metric!r} in its records")
    is_pi = any(r.get("type") == "config" and "metricName" in r for r in sample) or any(
        set(r) >= _PI_KEYS for r in rounds
    )
    if config is None and not _tells_of_rounds(rounds, keys):
        return None
    return JsonLedger(items, keys, "autoresearch-jsonl" if is_pi else "jsonl")


def _tells_of_rounds(records: list[Mapping[str, Any]], keys: Keys) -> bool:
    """At least one record has a status, or tells of an experiment without one."""
    for index, record in enumerate(records):
        row = jsonrows.row_of(record, line=1, index=index, segment=Segment(), keys=keys)
        if row is not None and (row.status or jsonrows.describes(record, keys.metric)):
            return True
    return False
