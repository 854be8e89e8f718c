"""Model calls, recorded in the round they are made in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nightpane.llm.frameworks import (
    claude_agent,
    claude_client,
    langchain_handler,
    openai_agents_processor,
)
from nightpane.llm.wrap import wrap

if TYPE_CHECKING:
    from nightpane.llm.litellm import LiteLLMCallback

__all__ = [
    "LiteLLMCallback",
    "claude_agent",
    "claude_client",
    "langchain_handler",
    "openai_agents_processor",
    "wrap",
]


def __getattr__(name: str) -> Any:
    # Its base class is LiteLLM's, whose import takes seconds.
    if name == "LiteLLMCallback":
        from nightpane.llm.litellm import LiteLLMCallback

        return LiteLLMCallback
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
