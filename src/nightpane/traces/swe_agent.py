"""SWE-agent's trajectories (``*.traj``): a history of messages, and totals for all calls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nightpane.traces.identity import trace_id
from nightpane.traces.model import Messages, Recorded, Trace
from nightpane.traces.usage import costs, known

__all__ = ["AGENT", "NAME", "NOTES", "matches", "traces"]

NAME, AGENT = "SWE-agent trajectory", "SWE-agent"
NOTES = ("tokens and cost are stated for the whole trajectory only: they are on its $ai_trace",)


def matches(document: Any) -> bool:
    """Tell whether a JSON document is such a trajectory."""
    return (
        isinstance(document, dict)
        and isinstance(document.get("trajectory"), list)
        and isinstance(document.get("history"), list)
    )


def traces(document: Any) -> Iterator[Trace]:
    """Yield the one trace of a trajectory: its own calls, without the demonstration before them."""
    history = [m for m in document["history"] if isinstance(m, dict)]
    info = document.get("info") or {}
    stats = info.get("model_stats") or {}
    name = str(document.get("environment") or "trajectory")
    totals = {
        "total_input_tokens": known(stats.get("tokens_sent")),
        "total_output_tokens": known(stats.get("tokens_received")),
    }
    yield Trace(
        trace_id(name, history),
        name,
        tuple(_calls(history)),
        {
            **{f"$ai_{key}": value for key, value in totals.items() if value},
            **costs(total=stats.get("instance_cost")),
            "exit_status": info.get("exit_status"),
        },
    )


def _calls(history: list[Any]) -> Iterator[Recorded]:
    sent, ordinal = Messages(), 0
    for message in history:
        if message.get("role") == "assistant" and not message.get("is_demo"):
            yield Recorded(
                "$ai_generation",
                ordinal,
                str(ordinal),
                None,
                {
                    "$ai_span_name": str(message.get("agent") or AGENT),
                    "$ai_input": sent.sent(),
                    "$ai_output_choices": [
                        {"role": "assistant", "content": message.get("content")}
                    ],
                },
            )
            ordinal += 1
        sent.add({"role": message.get("role"), "content": message.get("content")})
