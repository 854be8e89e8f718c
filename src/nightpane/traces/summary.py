"""A trace file's summary as plain values: what came in, and what did not."""

from __future__ import annotations

from typing import Any

from nightpane.traces.emit import Imported
from nightpane.traces.model import TraceFile

__all__ = ["summary"]

_MAX_LISTED = 1000


def summary(source: TraceFile, done: Imported, *, project: str, client: str) -> dict[str, Any]:
    """Return the summary of one file, ready for JSON. Costs in USD, as the file states them."""
    estimated = min(done.estimated_times, done.calls)
    partly = "estimated" if estimated == done.calls else "partly estimated"
    return {
        "path": str(source.path),
        "format": source.format,
        "project": project,
        "client": client,
        "traces": done.traces,
        "calls": done.calls,
        "errors": done.errors,
        "models": dict(done.models.most_common()),
        "input_tokens": done.input_tokens,
        "output_tokens": done.output_tokens,
        "cost_usd": done.cost_usd,
        "calls_without_cost": done.calls_without_cost,
        "events": done.events,
        "lost": done.lost,
        "timestamps": partly if estimated else "file",
        "first_at": done.first_at.isoformat() if done.first_at else None,
        "last_at": done.last_at.isoformat() if done.last_at else None,
        "unread": len(done.unread),
        "unread_lines": [
            {"line": item.line, "reason": item.reason} for item in done.unread[:_MAX_LISTED]
        ],
        "notes": list(source.notes),
    }
