"""Langfuse's export of one trace: the trace, and its observations in any order."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from nightpane.traces.identity import trace_id
from nightpane.traces.model import Kind, Recorded, Trace, moment
from nightpane.traces.usage import costs, provider_of, tokens

__all__ = ["AGENT", "NAME", "matches", "traces"]

NAME, AGENT = "Langfuse trace", "langfuse"
_CACHED = ("$ai_cache_read_input_tokens", "$ai_cache_creation_input_tokens")


def matches(document: Any) -> bool:
    """Tell whether a JSON document is such an export."""
    return (
        isinstance(document, dict)
        and isinstance(document.get("trace"), dict)
        and isinstance(document.get("observations"), list)
    )


def traces(document: Any) -> Iterator[Trace]:
    """Yield the one trace of an export."""
    trace = document["trace"]
    observations = [o for o in document["observations"] if isinstance(o, dict) and o.get("id")]
    observations.sort(key=lambda o: str(o.get("startTime") or ""))
    around = _around_calls(observations)
    name = str(trace.get("name") or "trace")
    identity = trace_id(str(trace.get("id") or ""), *(() if trace.get("id") else observations))
    yield Trace(
        identity,
        name,
        tuple(_event(i, o, o["id"] in around, identity) for i, o in enumerate(observations)),
        {
            "$ai_input_state": _decoded(trace.get("input")),
            "$ai_output_state": _decoded(trace.get("output")),
            "$ai_session_id": trace.get("sessionId"),
        },
    )


def _around_calls(observations: list[Any]) -> set[str]:
    """The generations with a generation inside: two instrumentations saw one call.

    The inner one is the call; the outer would count its tokens and cost a second time.
    """
    parent = {o["id"]: o.get("parentObservationId") for o in observations}
    around: set[str] = set()
    for observation in observations:
        above = parent[observation["id"]] if observation.get("type") == "GENERATION" else None
        while above is not None and above not in around:
            around.add(above)
            above = parent.get(above)
    return around


def _event(ordinal: int, observation: Any, around: bool, identity: str) -> Recorded:
    kind = _kind(observation, around)
    began, ended = moment(observation.get("startTime")), moment(observation.get("endTime"))
    failed = observation.get("level") == "ERROR"
    properties: dict[str, Any] = {
        "$ai_span_name": observation.get("name"),
        "$ai_is_error": failed,
        "$ai_error": observation.get("statusMessage") if failed else None,
    }
    if began is not None and ended is not None and ended >= began:
        # Its own `latency` is in seconds in some exports and in milliseconds in others.
        properties["$ai_latency"] = (ended - began) / timedelta(seconds=1)
    content = _decoded(observation.get("input")), _decoded(observation.get("output"))
    if kind == "$ai_span":
        properties |= {"$ai_input_state": content[0], "$ai_output_state": content[1]}
    else:
        properties |= {"$ai_input": content[0], "$ai_output_choices": content[1]}
        properties |= _model_call(observation)
    return Recorded(
        kind,
        ordinal,
        str(observation["id"]),
        ended or began,
        properties,
        parent_id=str(observation.get("parentObservationId") or identity),
    )


def _kind(observation: Any, around: bool) -> Kind:
    kind = observation.get("type")
    if kind == "EMBEDDING":
        return "$ai_embedding"
    return "$ai_generation" if kind == "GENERATION" and not around else "$ai_span"


def _model_call(observation: Any) -> dict[str, Any]:
    model = observation.get("model")
    counted = tokens(observation.get("usageDetails") or observation.get("usage"))
    if any(counted.get(name) for name in _CACHED):
        # Langfuse's buckets do not overlap: `input` is what was not cached.
        counted["$ai_cache_reporting_exclusive"] = True
    return {
        "$ai_model": model,
        "$ai_provider": provider_of(model),
        "$ai_model_parameters": observation.get("modelParameters") or None,
        "$ai_prompt_name": observation.get("promptName"),
        **counted,
        **costs(
            total=observation.get("totalCost"),
            input_usd=observation.get("inputCost"),
            output_usd=observation.get("outputCost"),
        ),
    }


def _decoded(value: Any) -> Any:
    """Messages are written as JSON, sometimes as JSON in a JSON text."""
    for _ in range(2):
        if not isinstance(value, str) or not value.lstrip().startswith(("{", "[", '"')):
            break
        try:
            value = json.loads(value)
        except ValueError:
            break
    return value
