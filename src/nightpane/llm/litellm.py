"""A callback for LiteLLM: every provider and gateway it reaches, recorded in the round.

LiteLLM tells of a call when it is over, mostly on a thread of its own; where it was made is noted
when LiteLLM announces it. Its own cost goes along, so that nobody prices the call a second time.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from typing import Any

from nightpane.client.pane import Pane
from nightpane.errors import MissingExtraError
from nightpane.llm.calls import Call, PaneChoice

# Otherwise LiteLLM asks the network for prices as it is imported.
if "litellm" not in sys.modules:
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
try:
    from litellm.integrations.custom_logger import CustomLogger
except ModuleNotFoundError as error:
    raise MissingExtraError("litellm") from error

__all__ = ["LiteLLMCallback"]

log = logging.getLogger("nightpane")

_MAX_UNDER_WAY = 10_000
_PARAMETERS = frozenset(
    {
        *("temperature", "max_tokens", "max_completion_tokens", "top_p", "frequency_penalty"),
        *("presence_penalty", "n", "stop", "stream", "seed", "reasoning_effort"),
    }
)


class LiteLLMCallback(CustomLogger):
    """Records LiteLLM's calls: ``litellm.callbacks = [LiteLLMCallback(pane)]``.

    Without ``pane`` a call goes to the pane of the scope it is made in. Raises ConfigError when
    there is no pane, MissingExtraError without LiteLLM.
    """

    def __init__(self, pane: Pane | None = None) -> None:
        super().__init__()
        self._choice = PaneChoice(pane, "nightpane.llm.LiteLLMCallback")
        self._under_way: dict[str, Call] = {}

    def log_pre_api_call(self, model: Any, messages: Any, kwargs: Mapping[str, Any]) -> None:  # noqa: ARG002 (LiteLLM's signature)
        """Note where a call is made."""
        if len(self._under_way) >= _MAX_UNDER_WAY:
            # Streams that nobody read to their end.
            self._under_way.pop(next(iter(self._under_way)), None)
        self._under_way[str(kwargs.get("litellm_call_id"))] = self._choice.call()

    def log_success_event(
        self, kwargs: Mapping[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Record a call that was answered."""
        del response_obj, start_time, end_time  # all of it is in LiteLLM's own summary
        self._record(kwargs)

    async def async_log_success_event(
        self, kwargs: Mapping[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Record an asynchronous call that was answered."""
        del response_obj, start_time, end_time
        self._record(kwargs)

    def log_failure_event(
        self, kwargs: Mapping[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Record a call that failed."""
        del response_obj, start_time, end_time
        self._record(kwargs)

    async def async_log_failure_event(
        self, kwargs: Mapping[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Record an asynchronous call that failed."""
        del response_obj, start_time, end_time
        self._record(kwargs)

    def _record(self, kwargs: Mapping[str, Any]) -> None:
        try:
            call = self._under_way.pop(str(kwargs.get("litellm_call_id")), None)
            call = call or self._choice.call()
            summary = kwargs.get("standard_logging_object")
            if isinstance(summary, Mapping):
                event, properties = _event(summary, private=call.privacy_mode)
                chosen = (kwargs.get("litellm_params") or {}).get("metadata") or {}
                properties |= chosen.get("posthog_properties") or {}
                call.capture(event, properties=properties)
        except Exception as error:  # noqa: BLE001 (LiteLLM's summary may change)
            log.warning("a model call was not recorded: %s", type(error).__name__)


def _event(summary: Mapping[str, Any], *, private: bool) -> tuple[str, dict[str, Any]]:
    """Return the event for LiteLLM's summary of a call."""
    is_embedding = "embedding" in str(summary.get("call_type"))
    properties = {
        "$ai_provider": summary.get("custom_llm_provider"),
        "$ai_model": summary.get("model"),
        "$ai_base_url": summary.get("api_base"),
        "$ai_input": summary.get("messages"),
        "$ai_latency": summary.get("response_time"),
        "$ai_http_status": 200,
        "$ai_framework": "litellm",
        "$ai_lib": "litellm",
        **_tokens(summary, is_embedding=is_embedding),
        **_cost(summary),
    }
    if not is_embedding:
        properties |= _answer(summary)
    if summary.get("status") == "failure":
        properties |= _failure(summary, private=private)
    return (
        "$ai_embedding" if is_embedding else "$ai_generation",
        {name: value for name, value in properties.items() if value is not None},
    )


def _answer(summary: Mapping[str, Any]) -> dict[str, Any]:
    parameters = summary.get("model_parameters") or {}
    response = summary.get("response")
    choices = response.get("choices") if isinstance(response, Mapping) else None
    found: dict[str, Any] = {
        "$ai_tools": parameters.get("tools"),
        "$ai_model_parameters": {
            name: value
            for name, value in parameters.items()
            if name in _PARAMETERS and value is not None
        },
    }
    if choices:
        found["$ai_output_choices"] = [choice.get("message") for choice in choices]
        found["$ai_stop_reason"] = choices[0].get("finish_reason")
    elif response:
        found["$ai_output_choices"] = response
    if summary.get("stream") and summary.get("completionStartTime"):
        began = summary.get("startTime") or summary["completionStartTime"]
        found["$ai_time_to_first_token"] = summary["completionStartTime"] - began
    return found


def _tokens(summary: Mapping[str, Any], *, is_embedding: bool) -> dict[str, Any]:
    if summary.get("status") == "failure":
        return {}
    usage = (summary.get("metadata") or {}).get("usage_object") or {}
    read = (usage.get("prompt_tokens_details") or {}).get("cached_tokens")
    reasoning = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens")
    return {
        "$ai_input_tokens": summary.get("prompt_tokens"),
        "$ai_output_tokens": None if is_embedding else summary.get("completion_tokens"),
        "$ai_cache_read_input_tokens": usage.get("cache_read_input_tokens") or read or None,
        "$ai_cache_creation_input_tokens": usage.get("cache_creation_input_tokens") or None,
        "$ai_reasoning_tokens": reasoning or None,
        # LiteLLM counts cached tokens in, for every provider.
        "$ai_cache_reporting_exclusive": False,
        "$ai_usage": usage or None,
    }


def _cost(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return what LiteLLM knows of the cost; nothing for a model whose price it does not know."""
    total = summary.get("response_cost")
    if not isinstance(total, int | float) or total <= 0:
        return {}
    parts = summary.get("cost_breakdown") or {}
    return {
        "$ai_cost_passthrough": True,
        "$ai_total_cost_usd": total,
        "$ai_input_cost_usd": parts.get("input_cost"),
        "$ai_output_cost_usd": parts.get("output_cost"),
    }


def _failure(summary: Mapping[str, Any], *, private: bool) -> dict[str, Any]:
    about = summary.get("error_information") or {}
    kind, code = about.get("error_class"), str(about.get("error_code") or "")
    text = " ".join(one for one in (kind, code) if one) if private else summary.get("error_str")
    return {
        "$ai_is_error": True,
        "$ai_error": text or "unknown",
        "$ai_error_type": kind,
        "$ai_http_status": int(code) if code.isdigit() else 0,
    }
