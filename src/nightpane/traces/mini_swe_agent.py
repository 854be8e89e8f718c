"""mini-swe-agent's trajectories (``*.traj.json``): each assistant message is one model call."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from nightpane.traces.identity import trace_id
from nightpane.traces.model import Messages, Recorded, Trace, moment
from nightpane.traces.usage import costs, provider_of, tokens

__all__ = ["AGENT", "NAME", "matches", "traces"]

NAME, AGENT = "mini-swe-agent trajectory", "mini-swe-agent"


def matches(document: Any) -> bool:
    """Tell whether a JSON document is such a trajectory."""
    if isinstance(document, dict):
        return str(document.get("trajectory_format", "")).startswith("mini-swe-agent")
    return (
        isinstance(document, list)
        and len(document) > 1
        and all(isinstance(m, dict) and "role" in m and "content" in m for m in document)
        and document[0]["role"] == "system"
    )


def traces(document: Any) -> Iterator[Trace]:
    """Yield the one trace of a trajectory."""
    whole = document if isinstance(document, dict) else {"messages": document}
    messages = [m for m in whole.get("messages") or () if isinstance(m, dict)]
    info = whole.get("info") or {}
    name = str(whole.get("instance_id") or "trajectory")
    settings = (info.get("config") or {}).get("model") or {}
    events = tuple(_calls(messages, settings, info))
    stated = costs(total=(info.get("model_stats") or {}).get("instance_cost"))
    extra: dict[str, Any] = {"exit_status": info.get("exit_status")}
    if not any("$ai_total_cost_usd" in event.properties for event in events):
        extra |= stated
    first = messages[1].get("content") if len(messages) > 1 else None
    yield Trace(trace_id(name, messages), name, events, {"$ai_input_state": first, **extra})


def _calls(messages: list[Any], settings: Any, info: Any) -> Iterator[Recorded]:
    sent, before = Messages(), None
    configured = settings.get("model_name")
    common = {"$ai_span_name": AGENT, "$ai_model_parameters": settings.get("model_kwargs")}
    ordinal = 0
    for message in messages:
        extra = message.get("extra") or {}
        if message.get("role") == "assistant":
            properties, ended = _call(message, extra, before, configured)
            yield Recorded(
                "$ai_generation",
                ordinal,
                str((extra.get("response") or {}).get("id") or ordinal),
                ended,
                {**common, **properties, "$ai_input": sent.sent()},
            )
            ordinal += 1
        elif message.get("role") == "exit" and info.get("exception_str"):
            # The call that ended the trajectory: it has no answer, and cost what it cost.
            yield Recorded(
                "$ai_generation",
                ordinal,
                str(ordinal),
                moment(extra.get("timestamp")) or before,
                {
                    **common,
                    "$ai_model": configured,
                    "$ai_provider": provider_of(configured),
                    "$ai_input": sent.sent(),
                    "$ai_is_error": True,
                    "$ai_error": info["exception_str"],
                    "$ai_error_type": info.get("exit_status"),
                },
            )
        before = moment(extra.get("timestamp")) or before
        sent.add({k: message[k] for k in ("role", "content", "tool_calls") if message.get(k)})


def _call(
    message: Any, extra: Any, before: datetime | None, configured: Any
) -> tuple[dict[str, Any], datetime | None]:
    response = extra.get("response") or {}
    usage = response.get("usage") or {}
    choices = response.get("choices") or [{}]
    model = response.get("model") or configured
    began, ended = moment(response.get("created")), moment(extra.get("timestamp"))
    # `created` has whole seconds; the end of the tool before it is exact, and close.
    began = before if before is not None and ended is not None else began
    properties = {
        "$ai_model": model,
        "$ai_provider": provider_of(configured or model),
        "$ai_output_choices": [
            {k: message[k] for k in ("role", "content", "tool_calls") if message.get(k)}
        ],
        "$ai_stop_reason": choices[0].get("finish_reason"),
        "$ai_completion_id": response.get("id"),
        **tokens(usage),
        **costs(total=extra.get("cost") or usage.get("cost")),
    }
    if began is not None and ended is not None and ended >= began:
        properties["$ai_latency"] = (ended - began) / timedelta(seconds=1)
    return properties, ended or began
