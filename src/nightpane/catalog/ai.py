"""The properties of PostHog's LLM events: ``$ai_generation``, ``$ai_span`` and their relatives.

Names and units are PostHog's; nightpane declares them for the types of the store's columns and for
readers, and never checks them: those events belong to PostHog's SDKs. Costs are in USD, prices in
USD for a single token, latencies in seconds (unlike the milliseconds of nightpane's own events).
"""

from __future__ import annotations

from nightpane.catalog.spec import PropertySpec, TypeWord
from nightpane.catalog.taxonomy import PHASES, TASK_TYPES

__all__ = ["AI_EVENTS", "AI_PROPERTIES"]

# What PostHog's lane for large AI events takes; anything else there is refused.
AI_EVENTS = frozenset(
    {
        *("$ai_generation", "$ai_embedding", "$ai_span", "$ai_trace", "$ai_metric"),
        *("$ai_feedback", "$ai_evaluation"),
    }
)

# Type and unit of the group, then name and meaning of each.
_GROUPS: tuple[tuple[TypeWord, str | None, dict[str, str]], ...] = (
    (
        "str",
        None,
        {
            "trace_id": "the trace it belongs to; the round_id in a loop",
            "trace_name": "name of the trace",
            "session_id": "groups traces; not the event's $session_id",
            "span_id": "its own id within the trace",
            "generation_id": "its own id, in an older spelling",
            "parent_id": "the span it ran in: a step, case or suite",
            "span_name": "name of the operation",
            "span_type": "kind of operation",
            "group_id": "groups spans",
            "experiment_id": "the experiment it belongs to",
            "experiment_name": "name of that experiment",
            "experiment_item_id": "the item of the experiment",
            "experiment_item_name": "name of that item",
            "target_event_id": "the event that is judged",
            "target_event_type": "kind of the event that is judged",
            "target_id": "what is judged",
            "target_type": "kind of what is judged",
            "provider": "who serves the model",
            "model": "the model that answered",
            "base_url": "address it was called at",
            "service_tier": "tier the provider served it in",
            "framework": "framework that made the call",
            "framework_version": "version of that framework",
            "lib": "library that recorded the call",
            "lib_version": "version of that library",
            "ingestion_source": "the way the event came in",
            "completion_id": "the provider's id of the answer",
            "agent_name": "agent that made the call",
            "prompt_name": "name of a managed prompt",
            "prompt_version_id": "id of that prompt's version",
            "project_name": "project the call was made in",
            "git_branch": "branch of the calling code",
            "git_repo": "repository of the calling code",
            "user_prompt": "what the person asked",
            "reasoning": "the model's reasoning, or a judge's",
            "tools_called": "names of the called tools, with commas between",
            "tokens_source": "sdk or passthrough: who counted the tokens",
            "error": "the error; an object is kept as its JSON text",
            "error_type": "kind of error",
            "error_normalized": "the error without its varying parts",
            "stop_reason": "why the model stopped",
            "status": "how it ended",
            "result_type": "kind of result",
            "request_url": "address of the request",
            "metric_name": "name of a metric",
            "metric_version": "version of that metric",
            "feedback_text": "a person's words on the trace",
            "eval_source": "where an evaluation came from",
            "evaluation_id": "the evaluation",
            "evaluation_name": "name of the evaluation",
            "evaluation_type": "kind of evaluation",
            "evaluation_model": "model that judged",
            "evaluation_provider": "who serves the judging model",
            "evaluation_reasoning": "why it was judged so",
            "evaluation_runtime": "what ran the evaluation",
            "model_cost_used": "model whose prices were used; set by the server",
            "cost_model_source": "where those prices come from; set by the server",
            "cost_model_provider": "whose prices they are; set by the server",
        },
    ),
    (
        "any",
        None,
        {
            "model_parameters": "parameters of the call",
            "provider_metadata": "what else the provider said",
            "prompt_version": "version of a managed prompt",
            "input": "messages sent",
            "output": "what came back",
            "output_choices": "answers of the model",
            "input_state": "what a span began with",
            "output_state": "what a span ended with",
            "instructions": "system prompt",
            "tools": "tools offered to the model",
            "expected": "the answer that was expected",
            "usage": "token counts as the provider reported them",
            "metric_value": "value of a metric, a number or a word",
            "evaluation_result": "the verdict",
            "evaluation_start_time": "when the evaluation began",
        },
    ),
    (
        "bool",
        None,
        {
            "stream": "whether it was streamed",
            "is_error": "whether it failed",
            "cache_reporting_exclusive": "whether input_tokens leaves cached tokens out",
            "cost_passthrough": "whether the caller gave the cost",
            "billable": "whether PostHog bills the event",
            "evaluation_applicable": "whether the evaluation applies",
            "evaluation_allows_na": "whether it may be found not to apply",
        },
    ),
    (
        "int",
        None,
        {
            "http_status": "HTTP status of the call",
            "tool_call_count": "tool calls in the answer",
            "web_search_count": "web searches made",
            "request_count": "requests it took",
            "blob_count": "contents stored apart",
        },
    ),
    ("int", "bytes", {"blob_bytes": "size of the contents stored apart"}),
    (
        "int",
        "tokens",
        {
            "max_tokens": "limit of the answer",
            "input_tokens": "tokens sent",
            "output_tokens": "tokens answered",
            "total_tokens": "sent and answered",
            "total_input_tokens": "sent, cached ones included",
            "total_output_tokens": "answered, reasoning included",
            "reasoning_tokens": "spent on reasoning",
            "cache_read_input_tokens": "sent and read from the cache",
            "cache_creation_input_tokens": "sent and written to the cache",
            "cache_creation_5m_input_tokens": "of these, kept for five minutes",
            "cache_creation_1h_input_tokens": "of these, kept for an hour",
            "cache_read_audio_tokens": "audio read from the cache",
            **{
                f"{kind}_{way}_tokens": f"{kind} {what}"
                for kind in ("text", "audio", "image", "video")
                for way, what in (("input", "sent"), ("output", "answered"))
            },
        },
    ),
    (
        "float",
        None,
        {
            "temperature": "sampling temperature",
            "score": "a score given to the trace",
            "score_min": "lowest score possible",
            "score_max": "highest score possible",
        },
    ),
    (
        "float",
        "USD",
        {
            "total_cost_usd": "cost of the call",
            "input_cost_usd": "cost of the input",
            "output_cost_usd": "cost of the output",
            "request_cost_usd": "cost of the request itself",
            "web_search_cost_usd": "cost of web searches",
            "audio_cost_usd": "cost of audio",
            "image_cost_usd": "cost of images",
            "video_cost_usd": "cost of video",
            "request_price": "price of one request",
            "web_search_price": "price of one web search",
        },
    ),
    (
        "float",
        "USD per token",
        {
            "input_token_price": "price of input",
            "output_token_price": "price of output",
            "cache_read_token_price": "price of reading the cache",
            "cache_write_token_price": "price of writing to the cache",
            "cache_write_1h_token_price": "price of writing for an hour",
        },
    ),
    (
        "float",
        "s",
        {
            "latency": "how long it took",
            "time_to_first_token": "until the first token arrived",
        },
    ),
)

AI_PROPERTIES: tuple[PropertySpec, ...] = (
    # nightpane's own two on PostHog's events.
    PropertySpec(name="phase", type="str", description="part of the round", known=PHASES),
    PropertySpec(name="task_type", type="str", description="kind of task", known=TASK_TYPES),
    *(
        PropertySpec(name=f"$ai_{name}", type=kind, unit=unit, description=meaning)
        for kind, unit, group in _GROUPS
        for name, meaning in group.items()
    ),
)
