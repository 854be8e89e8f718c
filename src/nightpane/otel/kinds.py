"""What a span is: a model call, an embedding, another unit of work, or nothing to do with a model.

PostHog's rule is followed, and reaches further where dialects do: PostHog knows ``chat`` alone of
the operations that generate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nightpane.otel.attributes import decoded, first, text

__all__ = ["EMBEDDING", "GENERATION", "SPAN", "TRACE", "kind_of", "span_type"]

GENERATION, EMBEDDING, SPAN, TRACE = "$ai_generation", "$ai_embedding", "$ai_span", "$ai_trace"

_PREFIXES = (
    *("gen_ai.", "llm.", "ai.", "traceloop.", "openinference.", "mlflow.span", "mlflow.chat"),
    *("pydantic_ai.", "eve.", "$ai_span_id"),
)
_GENERATES = frozenset(
    {
        *("chat", "completion", "text_completion", "generate_content"),  # gen_ai, llm.request.type
        *("llm", "chat_model"),  # OpenInference, MLflow
    }
)
_EMBEDS = frozenset({"embedding", "embeddings"})
_VERCEL_GENERATES = (".doGenerate", ".doStream")
_VERCEL_EMBEDS = ".doEmbed"
# In order: whoever names an operation of its own knows it best.
_OPERATIONS = (
    *("openinference.span.kind", "gen_ai.operation.name", "llm.request.type"),
    *("mlflow.spanType", "traceloop.span.kind"),
)
_MODEL = ("gen_ai.request.model", "gen_ai.response.model")
_USAGE = (
    *("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"),
    *("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"),
)
_SYSTEM = ("gen_ai.provider.name", "gen_ai.system")
_TYPES = {"execute_tool": "tool", "invoke_agent": "agent", "create_agent": "agent"}


def kind_of(name: str, attributes: Mapping[str, Any]) -> str | None:
    """Return the event a span becomes, None when it says nothing of a model, agent or tool."""
    vercel = text(attributes.get("ai.operationId"))
    if vercel is not None:
        if vercel.endswith(_VERCEL_GENERATES):
            return GENERATION
        return EMBEDDING if vercel.endswith(_VERCEL_EMBEDS) else SPAN
    operation = _operation(attributes)
    if operation in _GENERATES:
        return GENERATION
    if operation in _EMBEDS:
        return EMBEDDING
    if operation is None and all(first(attributes, names) for names in (_MODEL, _SYSTEM, _USAGE)):
        return GENERATION  # conventions before 1.27 had no name for the operation
    if name.startswith(_PREFIXES) or any(key.startswith(_PREFIXES) for key in attributes):
        return SPAN
    return None


def span_type(attributes: Mapping[str, Any]) -> str | None:
    """Return what kind of work a span is: tool, agent, workflow, chain, retriever…"""
    if attributes.get("ai.operationId") == "ai.toolCall":
        return "tool"
    operation = _operation(attributes)
    return None if operation is None else _TYPES.get(operation, operation)


def _operation(attributes: Mapping[str, Any]) -> str | None:
    for name in _OPERATIONS:
        if (found := text(decoded(attributes.get(name)))) is not None:
            return found.lower()
    return None
