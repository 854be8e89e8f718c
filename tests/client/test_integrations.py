"""PostHog's integrations with ids of their own: their trees hang whole where the code stands."""

from __future__ import annotations

import importlib.util
from typing import Any

from tests.client.support import Network
from tests.client.test_steps import events
from tests.helpers import require

import nightpane


def tree(pane: nightpane.Pane, network: Network) -> dict[str, str]:
    """Return for each of PostHog's events, by name, what it hangs under."""
    found = events(pane, network)
    names = {
        one["$ai_span_id"]: one.get("$ai_span_name") or one.get("tool") or one["event"]
        for one in found
        if "$ai_span_id" in one
    }
    assert len({one["$ai_trace_id"] for one in found if "round_id" in one}) == 1
    return {
        one.get("$ai_span_name") or one["event"]: names[one["$ai_parent_id"]]
        for one in found
        if one["event"].startswith("$ai_")
    }


def test_a_chain_of_langchain(pane: nightpane.Pane, network: Network) -> None:
    require(importlib.util.find_spec("langchain_core"), "langchain-core")
    from langchain_core.language_models.fake_chat_models import FakeListChatModel
    from langchain_core.runnables import RunnableLambda
    from posthog.ai.langchain import CallbackHandler

    def same(value: Any) -> Any:
        return value

    model = FakeListChatModel(responses=["yes"], name="model")
    inner = RunnableLambda(same, name="prepare") | model
    chain = RunnableLambda(same, name="outer") | inner.with_config(run_name="inner")
    with pane.run() as run, run.round(agent="coder") as round_:
        with round_.tool("ask"):
            handler = CallbackHandler(client=pane.posthog)
            chain.with_config(run_name="whole").invoke("q", config={"callbacks": [handler]})
        round_.keep()
    assert tree(pane, network) == {
        "outer": "ask",
        "prepare": "inner",
        "model": "inner",
        "inner": "ask",
        "whole": "ask",
    }


def test_a_trace_of_the_openai_agents_sdk(pane: nightpane.Pane, network: Network) -> None:
    require(importlib.util.find_spec("agents"), "openai-agents")
    from agents import tracing
    from posthog.ai.openai_agents import PostHogTracingProcessor

    tracing.set_trace_processors([PostHogTracingProcessor(client=pane.posthog)])
    try:
        with pane.run() as run, run.round(agent="coder") as round_:
            with (
                round_.tool("delegate"),
                tracing.trace("workflow"),
                tracing.agent_span("agent"),
                tracing.function_span("function"),
                tracing.generation_span(model="m-1"),
            ):
                pass
            round_.keep()
    finally:
        tracing.set_trace_processors([])
    assert tree(pane, network) == {
        "$ai_generation": "function",
        "function": "agent",
        "agent": "delegate",
        "$ai_trace": "delegate",
    }
