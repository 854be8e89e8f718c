"""Which attribute becomes which ``$ai_*`` property, for every dialect at once.

The dialects' names do not clash, so no dialect has to be told apart: of each row the first
attribute that is there counts. In order: the GenAI semantic conventions in their newer and older
names (https://github.com/open-telemetry/semantic-conventions-genai), OpenInference
(https://arize-ai.github.io/openinference/spec/semantic_conventions.html), OpenLLMetry, the Vercel
AI SDK, MLflow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nightpane.otel.attributes import count, decoded, first, number, pruned, text

__all__ = ["MAPPED", "USAGE", "described", "parameters", "usage"]

_Reader = Callable[[Any], Any]
_Row = tuple[str, _Reader, tuple[str, ...]]


def _seconds(milliseconds: Any) -> float | None:
    found = number(milliseconds)
    return None if found is None else found / 1000


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


_DESCRIBED: tuple[_Row, ...] = (
    (
        "$ai_model",
        text,
        (
            *("gen_ai.response.model", "gen_ai.request.model", "llm.response.model_name"),
            *("llm.model_name", "llm.request.model_name", "embedding.model_name"),
            *("reranker.model_name", "ai.response.model", "ai.model.id", "mlflow.llm.model"),
        ),
    ),
    (
        "$ai_provider",
        text,
        (
            *("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system"),
            *("ai.model.provider", "mlflow.llm.provider"),
        ),
    ),
    ("$ai_base_url", text, ("server.address", "gen_ai.openai.api_base")),
    ("$ai_completion_id", text, ("gen_ai.response.id", "ai.response.id")),
    (
        "$ai_stop_reason",
        text,
        (
            *("ai.response.finishReason", "gen_ai.response.finish_reasons"),
            *("gen_ai.response.finish_reason", "gen_ai.response.stop_reason", "llm.finish_reason"),
            *("llm.response.finish_reason", "llm.response.stop_reason"),
            "gen_ai.completion.0.finish_reason",
        ),
    ),
    ("$ai_agent_name", text, ("gen_ai.agent.name", "agent.name")),
    (
        "$ai_prompt_name",
        text,
        ("gen_ai.prompt.name", "ai.telemetry.metadata.$ai_prompt_name", "traceloop.prompt.key"),
    ),
    (
        "$ai_session_id",
        text,
        (
            *("ai.telemetry.metadata.$ai_session_id", "ai.settings.context.$ai_session_id"),
            *("gen_ai.conversation.id", "session.id"),
            "traceloop.association.properties.session_id",
        ),
    ),
    (
        "$ai_service_tier",
        text,
        ("gen_ai.openai.response.service_tier", "openai.response.service_tier"),
    ),
    ("$ai_time_to_first_token", number, ("gen_ai.response.time_to_first_chunk",)),
    ("$ai_time_to_first_token", _seconds, ("ai.response.msToFirstChunk",)),
    (
        "$ai_stream",
        _flag,
        ("gen_ai.request.stream", "gen_ai.is_streaming", "llm.is_streaming"),
    ),
)

# USD. Whoever states both sides has priced the call; PostHog then leaves the price alone.
_COSTS: tuple[_Row, ...] = (
    ("$ai_input_cost_usd", number, ("llm.cost.prompt", "mlflow.llm.cost.input_cost")),
    ("$ai_output_cost_usd", number, ("llm.cost.completion", "mlflow.llm.cost.output_cost")),
    (
        "$ai_total_cost_usd",
        number,
        ("llm.cost.total", "gen_ai.usage.cost", "mlflow.llm.cost.total_cost"),
    ),
)

USAGE: tuple[_Row, ...] = (
    (
        "$ai_input_tokens",
        count,
        (
            *("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt"),
            *("llm.usage.prompt_tokens", "ai.usage.inputTokens", "ai.usage.promptTokens"),
            *("ai.usage.tokens", "mlflow.chat.tokenUsage.input_tokens"),
        ),
    ),
    (
        "$ai_output_tokens",
        count,
        (
            *("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"),
            *("llm.token_count.completion", "llm.usage.completion_tokens"),
            *("ai.usage.outputTokens", "ai.usage.completionTokens"),
            "mlflow.chat.tokenUsage.output_tokens",
        ),
    ),
    (
        "$ai_total_tokens",
        count,
        (
            *("gen_ai.usage.total_tokens", "llm.token_count.total", "llm.usage.total_tokens"),
            *("ai.usage.totalTokens", "mlflow.chat.tokenUsage.total_tokens"),
        ),
    ),
    (
        "$ai_reasoning_tokens",
        count,
        (
            *("gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_tokens"),
            *("llm.token_count.completion_details.reasoning", "llm.usage.reasoning_tokens"),
            *("ai.usage.outputTokenDetails.reasoningTokens", "ai.usage.reasoningTokens"),
        ),
    ),
    (
        "$ai_cache_read_input_tokens",
        count,
        (
            *("gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens"),
            *("llm.token_count.prompt_details.cache_read",),
            *("ai.usage.inputTokenDetails.cacheReadTokens", "ai.usage.cachedInputTokens"),
            "mlflow.chat.tokenUsage.cache_read_input_tokens",
        ),
    ),
    (
        "$ai_cache_creation_input_tokens",
        count,
        (
            *("gen_ai.usage.cache_creation.input_tokens",),
            *("gen_ai.usage.cache_creation_input_tokens",),
            *("llm.token_count.prompt_details.cache_write",),
            *("ai.usage.inputTokenDetails.cacheWriteTokens", "ai.usage.cacheCreationInputTokens"),
            "mlflow.chat.tokenUsage.cache_creation_input_tokens",
        ),
    ),
)

# Counts of these say what a cached token is counted as only with the provider's own rule.
_RAW_CACHE = ("ai.usage.cachedInputTokens", "ai.usage.cacheCreationInputTokens")

_PARAMETERS: dict[str, tuple[str, ...]] = {
    "temperature": ("gen_ai.request.temperature", "ai.settings.temperature"),
    "top_p": ("gen_ai.request.top_p", "ai.settings.topP"),
    "top_k": ("gen_ai.request.top_k", "llm.top_k", "ai.settings.topK"),
    "max_tokens": (
        *("gen_ai.request.max_tokens", "gen_ai.request.max_completion_tokens"),
        *("ai.settings.maxOutputTokens", "ai.settings.maxTokens"),
    ),
    "frequency_penalty": (
        *("gen_ai.request.frequency_penalty", "llm.frequency_penalty"),
        "ai.settings.frequencyPenalty",
    ),
    "presence_penalty": (
        *("gen_ai.request.presence_penalty", "llm.presence_penalty"),
        "ai.settings.presencePenalty",
    ),
    "seed": ("gen_ai.request.seed", "gen_ai.openai.request.seed", "ai.settings.seed"),
    "stop": ("gen_ai.request.stop_sequences", "llm.chat.stop_sequences"),
    "n": ("gen_ai.request.choice.count", "gen_ai.request.n"),
    "reasoning_effort": ("gen_ai.request.reasoning_effort", "llm.request.reasoning_effort"),
    "output_type": ("gen_ai.output.type",),
    "dimensions": ("gen_ai.embeddings.dimension.count",),
}
_INVOCATION = ("llm.invocation_parameters", "embedding.invocation_parameters")

MAPPED = frozenset(
    {
        *(name for _, _, names in (*_DESCRIBED, *_COSTS, *USAGE) for name in names),
        *(name for names in _PARAMETERS.values() for name in names),
        *_INVOCATION,
    }
)


def described(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the attributes say of the call, other than its tokens and its content."""
    found = _read(_DESCRIBED, attributes)
    found |= parameters(attributes)
    return found


def parameters(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the call's parameters, as one object and those PostHog has properties for."""
    given = decoded(first(attributes, _INVOCATION))
    whole: dict[str, Any] = dict(given) if isinstance(given, dict) else {}
    whole |= pruned({name: first(attributes, names) for name, names in _PARAMETERS.items()})
    if not whole:
        return {}
    return pruned(
        {
            "$ai_model_parameters": whole,
            "$ai_temperature": number(whole.get("temperature")),
            "$ai_max_tokens": count(whole.get("max_tokens")),
        }
    )


def usage(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return tokens and costs that the attributes state.

    OpenTelemetry's conventions count cached tokens among the input tokens; PostHog's rule for
    Anthropic's models is the opposite, so the way of counting is said wherever it is known.
    """
    found = _read(USAGE, attributes)
    cached = found.get("$ai_cache_read_input_tokens", 0) + found.get(
        "$ai_cache_creation_input_tokens", 0
    )
    if cached:
        if found.get("$ai_input_tokens", 0) < cached:
            found["$ai_cache_reporting_exclusive"] = True
        elif first(attributes, _RAW_CACHE) is None:
            found["$ai_cache_reporting_exclusive"] = False
    costs = _read(_COSTS, attributes)
    if "$ai_total_cost_usd" in costs and len(costs) < len(_COSTS):
        costs["$ai_cost_passthrough"] = True
    return found | costs


def _read(rows: tuple[_Row, ...], attributes: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, read, sources in rows:
        if name in found:
            continue
        for source in sources:
            value = attributes.get(source)
            if value is not None and (value := read(value)) is not None:
                found[name] = value
                break
    return found
