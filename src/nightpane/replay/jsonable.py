"""A trace as JSON: what the page draws and ``nightpane trace --json`` prints. See docs/trace.md."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from nightpane.replay.model import Node, Trace
from nightpane.replay.queries import LIMIT

__all__ = ["to_json"]

_PLAIN = [field.name for field in fields(Node) if field.name not in ("tokens", "suite_id")]
_ROUNDED = frozenset({"at_ms", "start_ms", "duration_ms"})


def to_json(trace: Trace) -> dict[str, Any]:
    """Return the trace as JSON values; what is not known of a node is left out."""
    return {
        "round": asdict(trace.round),
        "neighbours": asdict(trace.neighbours),
        "started_at": trace.started_at.isoformat(),
        "from_ms": trace.from_ms,
        "until_ms": trace.until_ms,
        "events": trace.events,
        "limit": LIMIT,
        "is_cut": trace.is_cut,
        "calls": trace.calls,
        "calls_cost_usd": trace.calls_cost_usd,
        "notes": list(trace.notes),
        "nodes": [_node(node) for node in trace.nodes],
    }


def _node(node: Node) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in _PLAIN:
        value = getattr(node, name)
        if value is None or value == () or value == "":
            continue
        found[name] = round(value, 3) if name in _ROUNDED else value
    tokens = {f.name: n for f in fields(node.tokens) if (n := getattr(node.tokens, f.name))}
    return {**found, "tokens": tokens} if tokens else found
