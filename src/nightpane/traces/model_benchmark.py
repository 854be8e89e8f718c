"""A benchmark of models on one prompt: a list of answers with latency, tokens, cost and grade."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nightpane.traces.identity import trace_id
from nightpane.traces.model import Recorded, Trace
from nightpane.traces.usage import costs, known, provider_of, tokens

__all__ = ["AGENT", "NAME", "matches", "traces"]

NAME, AGENT = "model benchmark", "benchmark"


def matches(document: Any) -> bool:
    """Tell whether a JSON document is such a benchmark."""
    models = document.get("models") if isinstance(document, dict) else None
    return (
        isinstance(models, list)
        and bool(models)
        and all(isinstance(m, dict) and "model" in m and "prompt_tokens" in m for m in models)
    )


def traces(document: Any) -> Iterator[Trace]:
    """Yield one trace with a call for each model."""
    events = tuple(_call(i, answer) for i, answer in enumerate(document["models"]))
    name = str(document.get("task") or "model benchmark")
    yield Trace(trace_id(name, document), name, events)


def _call(ordinal: int, answer: Any) -> Recorded:
    model = str(answer["model"])
    failed = answer.get("ok") is False
    properties = {
        "$ai_span_name": AGENT,
        "$ai_model": model,
        "$ai_provider": provider_of(model),
        "$ai_latency": known(answer.get("latency_s")),
        "$ai_output_choices": [{"role": "assistant", "content": answer.get("output")}],
        "$ai_is_error": failed,
        "$ai_error": answer.get("error"),
        "quality_score": known(answer.get("judge_score")),
        "quality_reason": answer.get("judge_reason"),
        **tokens(answer),
        **costs(total=answer.get("cost_usd")),
    }
    return Recorded("$ai_generation", ordinal, f"{ordinal}:{model}", None, properties)
