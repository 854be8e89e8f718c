"""cap-evolve's ``events.jsonl``: ``step``, ``accept`` and ``reject`` decide about candidates.

``evaluate`` events are measurements, some of them repeats or of other splits; they are no rounds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from nightpane.ledgers import values
from nightpane.ledgers.jsonl import parsed
from nightpane.ledgers.lines import Source
from nightpane.ledgers.model import Problem, Row, Segment, Stop

__all__ = ["CapEvolve", "recognise"]

_DECISIONS = {"baseline", "step", "accept", "reject"}
_KINDS = _DECISIONS | {"splits", "evaluate", "finalize", "run_config", "gate_warning"}
_USED = {"t", "kind", "val", "accept", "reason", "note", "cost_usd", "opt_cost_usd"}


@dataclass(slots=True)
class CapEvolve:
    """A recognised cap-evolve log. Its reward is better when higher: the gate accepts a rise."""

    source: Source
    name: str = "cap-evolve"
    project: str = "cap-evolve"
    client: str | None = None
    notes: list[str] = field(default_factory=list)

    def records(self) -> Iterator[Row | Problem | Stop]:
        """Yield the decisions, in the file's order."""
        segment = Segment(metric="val_reward", direction="max", metric_stated=True)
        index = 0
        for line, record in parsed(self.source.lines()):
            if isinstance(record, Problem):
                yield record
            elif record.get("kind") in _DECISIONS:
                yield _row(record, line, index, segment)
                index += 1


def _row(record: Mapping[str, Any], line: int, index: int, segment: Segment) -> Row:
    kind = str(record["kind"])
    if kind == "step":
        accepted = record.get("accept")
        state = (
            {True: "accept", False: "reject"}.get(accepted) if isinstance(accepted, bool) else None
        )
    else:
        state = kind
    costs = [
        c
        for key in ("cost_usd", "opt_cost_usd")
        if (c := values.as_number(record.get(key))) is not None
    ]
    text = record.get("reason") or record.get("note")
    rest = {k: v for k, v in record.items() if k not in _USED and v is not None}
    return Row(
        line=line,
        index=index,
        segment=segment,
        status=state,
        score=values.as_number(record.get("val")),
        score_text=str(record.get("val")),
        description=values.json_safe(text)[:2000] if isinstance(text, str) else None,
        when=values.as_moment(record.get("t")),
        cost_usd=sum(costs) if costs else None,
        baseline_score=values.as_number(record.get("parent_val")),
        properties=values.json_safe(rest),
    )


def recognise(source: Source) -> CapEvolve | None:
    """Return the log when its records have cap-evolve's kinds."""
    kinds: set[str] = set()
    for _, record in islice(parsed(source.lines()), 200):
        if not isinstance(record, Problem) and "t" in record:
            kinds.add(str(record.get("kind")))
    decided = kinds & {"step", "accept", "reject"} or {"baseline", "evaluate"} <= kinds
    return CapEvolve(source) if decided and kinds & _KINDS and "evaluate" in kinds else None
