"""What the server adds to an AI event on its way in, as PostHog's ingestion does: ids as text, the
parameters boards ask for, the tools that were called, what it cost.

Nothing that was sent is taken away except what cannot be used. The names Token Machine has for the
same things are kept equal, so that a query may use either.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nightpane.catalog.token_machine import TWINS, TokenMachineRequest
from nightpane.prices import COSTED, Table, cost
from nightpane.server.tool_calls import called_tools

__all__ = ["ADDED_LIMIT_BYTES", "prepare"]

# The most that is added to one event: a hundred tool names, and figures.
ADDED_LIMIT_BYTES = 96 * 1024
_IDS = ("$ai_trace_id", "$ai_parent_id", "$ai_span_id", "$ai_generation_id", "$ai_session_id")
_LIFTED = {
    "$ai_temperature": ("temperature",),
    "$ai_stream": ("stream",),
    "$ai_max_tokens": ("max_tokens", "max_completion_tokens"),
}


def prepare(event: str, properties: dict[str, Any], distinct_id: str, prices: Table) -> None:
    """Add to an event's properties what the server knows of them; other events stay as they are."""
    if event.startswith("$ai_"):
        _name_ids(properties)
        if event in COSTED:
            properties.update(cost(properties, prices))
            _lift_parameters(properties)
        if event == "$ai_generation":
            properties.update(called_tools(properties))
            _pair(properties)
    elif event == TokenMachineRequest.event:
        _pair(properties)
        if properties.get("user_id") is None:
            properties["user_id"] = distinct_id


def _name_ids(properties: dict[str, Any]) -> None:
    for key in _IDS:
        value = properties.get(key)
        if value is None or isinstance(value, str):
            continue
        if isinstance(value, bool):
            properties[key] = "true" if value else "false"
        elif isinstance(value, int | float):
            whole = isinstance(value, float) and value.is_integer() and abs(value) < 1e15
            properties[key] = str(int(value) if whole else value)
        else:
            del properties[key]


def _lift_parameters(properties: dict[str, Any]) -> None:
    parameters = properties.get("$ai_model_parameters")
    if not isinstance(parameters, Mapping):
        return
    for key, names in _LIFTED.items():
        name = next((name for name in names if name in parameters), None)
        if name is not None:
            properties[key] = parameters[name]
    if "service_tier" in parameters:
        properties.setdefault("$ai_service_tier", parameters["service_tier"])


def _pair(properties: dict[str, Any]) -> None:
    for ours, theirs in TWINS.items():
        if properties.get(ours) is None and properties.get(theirs) is not None:
            properties[ours] = properties[theirs]
        elif properties.get(theirs) is None and properties.get(ours) is not None:
            properties[theirs] = properties[ours]
