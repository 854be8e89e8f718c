"""posthog.ai's tracers for agent frameworks, feeding a pane.

A framework's own trace becomes a span of the round it runs in (see ``Frames``). What a framework
reports later, from a task or thread of its own, belongs to where the run, span or query began.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from nightpane.client.pane import Pane
from nightpane.client.scopes import Scope, innermost_scope, standing_in
from nightpane.llm.calls import Frames, PaneChoice

__all__ = ["claude_agent", "claude_client", "langchain_handler", "openai_agents_processor"]


def langchain_handler(pane: Pane | None = None, **options: Any) -> Any:
    """Return a callback handler for LangChain: ``chain.invoke(…, {"callbacks": [handler]})``.

    ``options`` are those of ``posthog.ai.langchain.CallbackHandler``. Raises ConfigError when
    there is no pane, ModuleNotFoundError without langchain-core.
    """
    frames: Any = Frames(PaneChoice(pane, "nightpane.llm.langchain_handler").call)
    return _langchain()(frames, **options)


def openai_agents_processor(pane: Pane | None = None, **options: Any) -> Any:
    """Return a tracing processor for ``agents.set_trace_processors([…])``.

    ``options`` are those of ``posthog.ai.openai_agents.PostHogTracingProcessor``. Raises
    ConfigError when there is no pane, ModuleNotFoundError without openai-agents.
    """
    frames: Any = Frames(PaneChoice(pane, "nightpane.llm.openai_agents_processor").call)
    return _openai_agents()(frames, **options)


def claude_agent(pane: Pane | None = None, **options: Any) -> Any:
    """Return an object whose ``query`` stands for ``claude_agent_sdk.query``.

    ``options`` are those of ``posthog.ai.claude_agent_sdk.instrument``. Raises ConfigError when
    there is no pane, ModuleNotFoundError without claude-agent-sdk.
    """
    return _ClaudeAgent(PaneChoice(pane, "nightpane.llm.claude_agent"), options)


def claude_client(pane: Pane | None = None, **options: Any) -> Any:
    """Return posthog.ai's ``ClaudeSDKClient`` for a conversation, which belongs to this place.

    ``options`` are those of ``posthog.ai.claude_agent_sdk.PostHogClaudeSDKClient``. Raises
    ConfigError when there is no pane, ModuleNotFoundError without claude-agent-sdk.
    """
    from posthog.ai.claude_agent_sdk import PostHogClaudeSDKClient

    call = PaneChoice(pane, "nightpane.llm.claude_client").call()
    frames: Any = Frames(lambda: call)
    return PostHogClaudeSDKClient(posthog_client=frames, **options)


class _ClaudeAgent:
    def __init__(self, choice: PaneChoice, options: dict[str, Any]) -> None:
        self._choice = choice
        self._options = options

    def query(self, **arguments: Any) -> Any:
        """Return the messages of one query, as ``claude_agent_sdk.query`` does."""
        from posthog.ai.claude_agent_sdk import instrument

        call = self._choice.call(private=arguments.get("posthog_privacy_mode"))
        frames: Any = Frames(lambda: call)
        return instrument(client=frames, **self._options).query(**arguments)


class _Begun:
    """Where runs that are under way began, by their ids."""

    def __init__(self) -> None:
        self._scopes: dict[Any, Scope | None] = {}

    def note(self, key: Any) -> None:
        """Remember the scope the code stands in."""
        self._scopes[key] = innermost_scope()

    @contextmanager
    def at(self, key: Any) -> Iterator[None]:
        """Stand there once more, for the last time."""
        if key not in self._scopes:
            yield
            return
        with standing_in(self._scopes.pop(key)):
            yield


@functools.cache
def _langchain() -> Any:
    from posthog.ai.langchain import CallbackHandler

    class Handler(CallbackHandler):
        def __init__(self, client: Any, **options: Any) -> None:
            super().__init__(client, **options)
            self._begun = _Begun()

    for name in ("chain", "chat_model", "llm", "tool", "retriever"):
        setattr(Handler, f"on_{name}_start", _noting(getattr(CallbackHandler, f"on_{name}_start")))
    for name in ("chain", "llm", "tool", "retriever"):
        for end in ("end", "error"):
            method = f"on_{name}_{end}"
            setattr(Handler, method, _returning(getattr(CallbackHandler, method)))
    return Handler


def _noting(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def start(self: Any, *args: Any, run_id: Any, **kwargs: Any) -> Any:
        self._begun.note(run_id)
        return method(self, *args, run_id=run_id, **kwargs)

    return start


def _returning(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def end(self: Any, *args: Any, run_id: Any, **kwargs: Any) -> Any:
        with self._begun.at(run_id):
            return method(self, *args, run_id=run_id, **kwargs)

    return end


@functools.cache
def _openai_agents() -> Any:
    from posthog.ai.openai_agents import PostHogTracingProcessor

    class Processor(PostHogTracingProcessor):
        def __init__(self, client: Any, **options: Any) -> None:
            super().__init__(client, **options)
            self._begun = _Begun()

        def on_trace_start(self, trace: Any) -> None:
            self._begun.note(trace.trace_id)
            super().on_trace_start(trace)

        def on_trace_end(self, trace: Any) -> None:
            with self._begun.at(trace.trace_id):
                super().on_trace_end(trace)

        def on_span_start(self, span: Any) -> None:
            self._begun.note(span.span_id)
            super().on_span_start(span)

        def on_span_end(self, span: Any) -> None:
            with self._begun.at(span.span_id):
                super().on_span_end(span)

    return Processor
