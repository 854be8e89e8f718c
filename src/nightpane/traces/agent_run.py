"""Agent benchmarks' ``agent-run.json``: steps with usage, cost and tool calls, without times."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nightpane.traces.identity import trace_id
from nightpane.traces.model import Messages, Recorded, Trace
from nightpane.traces.usage import costs, provider_of, tokens

__all__ = ["AGENT", "NAME", "matches", "traces"]

NAME, AGENT = "agent run", "agent-run"


def matches(document: Any) -> bool:
    """Tell whether a JSON document is such a run."""
    result = document.get("result") if isinstance(document, dict) else None
    steps = result.get("steps") if isinstance(result, dict) else None
    return isinstance(steps, list) and all(
        isinstance(step, dict) and "usage" in step for step in steps
    )


def traces(document: Any) -> Iterator[Trace]:
    """Yield the one trace of a run."""
    name = str(document.get("taskId") or "agent run")
    run = str(document.get("runIndex") or "")
    steps = document["result"]["steps"]
    events = tuple(_calls(steps, document.get("model")))
    yield Trace(
        trace_id(name, document.get("model"), run, steps),
        name,
        events,
        {"$ai_output_state": document["result"].get("text")},
    )


def _calls(steps: list[Any], configured: Any) -> Iterator[Recorded]:
    sent = Messages()
    for ordinal, step in enumerate(steps):
        model = str(step.get("modelVersion") or configured or "") or None
        calls = [call for call in step.get("toolCalls") or () if isinstance(call, dict)]
        asked = [
            {
                "id": call.get("callId"),
                "type": "function",
                "function": {"name": call.get("toolName"), "arguments": call.get("input")},
            }
            for call in calls
        ]
        answer = {"role": "assistant", "content": step.get("text"), "tool_calls": asked}
        answer = {key: value for key, value in answer.items() if value}
        yield Recorded(
            "$ai_generation",
            ordinal,
            str(step.get("step") or ordinal),
            None,
            {
                "$ai_span_name": AGENT,
                "$ai_model": model,
                "$ai_provider": provider_of(model),
                "$ai_input": sent.sent(),
                "$ai_output_choices": [answer],
                **tokens(step.get("usage")),
                **costs(total=step.get("costUsd")),
            },
        )
        sent.add(answer)
        for call in calls:
            result = call.get("output")
            content = {"tool_call_id": call.get("callId"), "content": result}
            sent.add({"role": "tool", **content})
