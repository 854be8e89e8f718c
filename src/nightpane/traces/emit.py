"""Recorded traces become events of a pane: importing twice changes nothing.

An event's uuid follows from its trace and its place in it. A call without a time gets one: the
calls of its trace are spaced a second apart, ending when the file was last written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from nightpane.client import Pane
from nightpane.ids import deterministic_uuid
from nightpane.traces.model import Recorded, Trace, TraceFile, Unread

__all__ = ["Imported", "import_traces"]


@dataclass(slots=True)
class Imported:
    """What an import did, in counts. Costs are in USD, as the file states them."""

    traces: int = 0
    calls: int = 0
    errors: int = 0
    events: int = 0
    lost: int = 0
    estimated_times: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    calls_without_cost: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None
    models: Counter[str] = field(default_factory=Counter)
    unread: list[Unread] = field(default_factory=list)


def import_traces(
    source: TraceFile, pane: Pane | None, progress: Callable[[int], None] | None = None
) -> Imported:
    """Emit a file's traces into ``pane`` and return the counts; with None, only count.

    ``progress`` is called with the number of events so far. Raises LedgerError when the file turns
    out not to be what it looked like.
    """
    done = Imported()
    modified = datetime.fromtimestamp(source.path.stat().st_mtime, UTC)
    for trace in source.traces():
        if isinstance(trace, Unread):
            done.unread.append(trace)
            continue
        done.traces += 1
        for event, at, properties in _events(trace, modified, done):
            done.events += 1
            if pane is not None and not _emit(pane, source, event, at, properties):
                done.lost += 1
            if progress is not None:
                progress(done.events)
    return done


def _emit(
    pane: Pane, source: TraceFile, event: str, at: datetime, properties: dict[str, Any]
) -> bool:
    uuid = deterministic_uuid(event, properties["$ai_trace_id"], properties["$ai_span_id"])
    props = {name: value for name, value in properties.items() if value is not None}
    props["$ai_ingestion_source"] = source.format
    return pane.track(event, agent=source.agent, timestamp=at, uuid=uuid, **props) is not None


def _events(
    trace: Trace, modified: datetime, done: Imported
) -> Iterator[tuple[str, datetime, dict[str, Any]]]:
    times = [event.ended_at for event in trace.events]
    last = max((at for at in times if at is not None), default=None)
    for event in trace.events:
        at = event.ended_at
        if at is None:
            done.estimated_times += 1
            behind = len(trace.events) - 1 - event.ordinal
            at = (last or modified) - timedelta(seconds=behind)
        _count(done, event, at)
        yield (
            event.kind,
            at,
            {
                **event.properties,
                "$ai_trace_id": trace.trace_id,
                "$ai_span_id": event.span_id,
                "$ai_parent_id": event.parent_id or trace.trace_id,
            },
        )
    if len(trace.events) == 1 and not trace.properties:
        return
    ids = {"$ai_trace_id": trace.trace_id, "$ai_span_id": trace.trace_id}
    yield "$ai_trace", last or modified, {"$ai_span_name": trace.name, **trace.properties, **ids}


def _count(done: Imported, event: Recorded, at: datetime) -> None:
    done.first_at = at if done.first_at is None else min(done.first_at, at)
    done.last_at = at if done.last_at is None else max(done.last_at, at)
    if event.kind == "$ai_span":
        return
    properties = event.properties
    done.calls += 1
    done.errors += bool(properties.get("$ai_is_error"))
    done.models[str(properties.get("$ai_model") or "unknown")] += 1
    done.input_tokens += properties.get("$ai_input_tokens") or 0
    done.output_tokens += properties.get("$ai_output_tokens") or 0
    cost_usd = properties.get("$ai_total_cost_usd")
    done.cost_usd += cost_usd or 0.0
    done.calls_without_cost += cost_usd is None
