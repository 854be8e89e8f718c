"""The properties of PostHog's LLM events that have a type of their own.

Names, types and units as PostHog documents them for LLM analytics; texts and JSON contents
(messages, tools, states) have none and are read as they are.
"""

from __future__ import annotations

from nightpane.catalog.spec import PropertySpec, TypeWord
from nightpane.catalog.taxonomy import PHASES, TASK_TYPES

__all__ = ["AI_PROPERTIES"]


def _spec(name: str, kind: TypeWord, description: str, unit: str | None = None) -> PropertySpec:
    return PropertySpec(name=f"$ai_{name}", type=kind, description=description, unit=unit)


AI_PROPERTIES: tuple[PropertySpec, ...] = (
    PropertySpec(name="phase", type="str", description="part of the round", known=PHASES),
    PropertySpec(name="task_type", type="str", description="kind of task", known=TASK_TYPES),
    _spec("trace_id", "str", "the trace: the round"),
    _spec("session_id", "str", "groups traces"),
    _spec("parent_id", "str", "the span it ran in"),
    _spec("span_id", "str", "its own id"),
    _spec("generation_id", "str", "its own id, in an older spelling"),
    _spec("experiment_id", "str", "the experiment it belongs to"),
    _spec("span_name", "str", "name of the operation"),
    _spec("model", "str", "the model that answered"),
    _spec("provider", "str", "who serves it"),
    _spec("base_url", "str", "address it was called at"),
    _spec("stop_reason", "str", "why the model stopped"),
    _spec("error", "str", "the error"),
    _spec("http_status", "int", "HTTP status of the call"),
    _spec("is_error", "bool", "whether it failed"),
    _spec("stream", "bool", "whether it was streamed"),
    _spec("temperature", "float", "sampling temperature"),
    _spec("max_tokens", "int", "limit of the answer", "tokens"),
    _spec("input_tokens", "int", "tokens sent", "tokens"),
    _spec("output_tokens", "int", "tokens answered", "tokens"),
    _spec("total_tokens", "int", "both", "tokens"),
    _spec("reasoning_tokens", "int", "tokens of reasoning", "tokens"),
    _spec("cache_read_input_tokens", "int", "input read from the cache", "tokens"),
    _spec("cache_creation_input_tokens", "int", "input written to the cache", "tokens"),
    _spec("cache_reporting_exclusive", "bool", "whether input_tokens leaves the cache out"),
    _spec("tool_call_count", "int", "tool calls in the answer"),
    _spec("web_search_count", "int", "web searches"),
    _spec("input_cost_usd", "float", "cost of the input", "USD"),
    _spec("output_cost_usd", "float", "cost of the output", "USD"),
    _spec("request_cost_usd", "float", "cost of the request itself", "USD"),
    _spec("web_search_cost_usd", "float", "cost of web searches", "USD"),
    _spec("total_cost_usd", "float", "cost of the call", "USD"),
    _spec("input_token_price", "float", "price given by the caller", "USD per token"),
    _spec("output_token_price", "float", "price given by the caller", "USD per token"),
    _spec("latency", "float", "how long it took", "s"),
    _spec("time_to_first_token", "float", "until the first token", "s"),
    _spec("score", "float", "a score given to a trace"),
    _spec("metric_name", "str", "name of a metric"),
)
