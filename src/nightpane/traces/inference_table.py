"""Azure's public inference trace: when a call came, tokens in, tokens out; nothing else."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from nightpane.traces.identity import trace_id
from nightpane.traces.model import Recorded, Trace, Unread, moment

__all__ = ["AGENT", "NAME", "NOTES", "matches", "traces"]

NAME, AGENT = "inference trace", "inference"
NOTES = ("no model and no text are in it: each line is a call, and a trace, of its own",)
_COLUMNS = ["TIMESTAMP", "ContextTokens", "GeneratedTokens"]


def matches(head: str) -> bool:
    """Tell whether a text begins as such a table."""
    return head.lstrip("\ufeff").splitlines()[:1] == [",".join(_COLUMNS)]


def traces(path: Path) -> Iterator[Trace | Unread]:
    """Yield one trace for each line, or that it cannot be read."""
    with path.open(encoding="utf-8-sig", newline="") as lines:
        for ordinal, row in enumerate(csv.DictReader(lines)):
            # Seven decimals, of which Python's clock keeps six.
            ended = moment((row["TIMESTAMP"] or "")[:26])
            sent, answered = row["ContextTokens"], row["GeneratedTokens"]
            if ended is None or not (sent or "").isdecimal() or not (answered or "").isdecimal():
                yield Unread(ordinal + 2, "not a time and two counts")
                continue
            properties = {
                "$ai_span_name": AGENT,
                "$ai_input_tokens": int(sent),
                "$ai_output_tokens": int(answered),
            }
            event = Recorded("$ai_generation", 0, "0", ended, properties)
            yield Trace(trace_id(f"{path.stem}-{ordinal}"), AGENT, (event,))
