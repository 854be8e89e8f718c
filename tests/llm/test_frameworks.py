"""Agent frameworks: their own traces become spans of the round they run in."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from tests.helpers import require
from tests.llm.conftest import Recorded
from tests.llm.provider import ANSWER, Provider

import nightpane
from nightpane import llm


def tree(recorded: Recorded, round_id: str) -> dict[str, str]:
    """Return for each event, by name, what it hangs below; all of them in one trace."""
    events = [event["properties"] for event in recorded()]
    assert {event["$ai_trace_id"] for event in events} == {round_id}
    assert {event["round_id"] for event in events} == {round_id}
    names = {event["$ai_span_id"]: name_of(event) for event in events}
    assert len(names) == len(events)
    return {
        name_of(event): names.get(event["$ai_parent_id"], event["$ai_parent_id"])
        for event in events
    }


def name_of(event: dict[str, Any]) -> str:
    return str(event.get("$ai_span_name") or event.get("$ai_model"))


def in_a_step(pane: nightpane.Pane, action: Callable[[], Any]) -> tuple[str, str]:
    with pane.run(agent="coder") as run, run.round() as round_:
        with round_.tool("ask") as step:
            action()
        round_.keep()
    return round_.round_id, step.step_id


def chain(provider: Provider) -> Any:
    require(importlib.util.find_spec("langchain_openai"), "langchain-openai")
    from langchain_core.runnables import RunnableLambda
    from langchain_openai import ChatOpenAI

    def ask(question: str) -> str:
        return question

    model = ChatOpenAI(model="gpt-x", api_key="sk-test", base_url=provider.host + "/v1")
    return (RunnableLambda(ask, name="prepare") | model).with_config(run_name="whole")


def test_a_chain_of_langchain(pane: nightpane.Pane, recorded: Recorded, provider: Provider) -> None:
    callbacks = {"callbacks": [llm.langchain_handler(pane)]}
    runnable = chain(provider)
    round_id, step_id = in_a_step(pane, lambda: runnable.invoke("How?", callbacks))
    assert tree(recorded, round_id) == {
        "whole": step_id,
        "prepare": "whole",
        "ChatOpenAI": "whole",
    }
    assert {event["distinct_id"] for event in recorded()} == {"autoresearch:acme:coder"}
    (call,) = (event["properties"] for event in recorded("$ai_generation"))
    assert (call["$ai_input_tokens"], call["$ai_output_tokens"]) == (120, 30)
    assert call["$ai_cache_read_input_tokens"] == 64
    assert ANSWER in str(call["$ai_output_choices"])
    assert recorded("$ai_trace") == []


def test_a_model_of_langchain_without_a_chain(
    pane: nightpane.Pane, recorded: Recorded, provider: Provider
) -> None:
    callbacks = {"callbacks": [llm.langchain_handler(pane)]}
    model = chain(provider).bound.last
    round_id, step_id = in_a_step(pane, lambda: model.invoke("How?", callbacks))
    assert tree(recorded, round_id) == {"ChatOpenAI": step_id}


def test_a_stream_of_langchain_read_in_the_next_round(
    pane: nightpane.Pane, recorded: Recorded, provider: Provider
) -> None:
    callbacks = {"callbacks": [llm.langchain_handler(pane)]}
    with pane.run(agent="coder") as run:
        with run.round() as first:
            stream = chain(provider).stream("How?", callbacks)
            next(stream)
            first.keep()
        with run.round() as second:
            list(stream)
            second.keep()
    for event in recorded():
        assert event["properties"]["round_id"] == first.round_id


def test_asynchronous_chains(pane: nightpane.Pane, recorded: Recorded, provider: Provider) -> None:
    callbacks = {"callbacks": [llm.langchain_handler(pane)]}

    async def ask(run: nightpane.Run) -> str:
        async with run.round() as round_:
            await chain(provider).ainvoke("How?", callbacks)
            round_.keep()
        return round_.round_id

    async def night() -> list[str]:
        async with pane.run(agent="coder") as run:
            rounds = await asyncio.gather(*(ask(run) for _ in range(3)))
        # One HTTP client for all models at the same address.
        await chain(provider).bound.last.root_async_client.close()
        return list(rounds)

    rounds = asyncio.run(night())
    events = [event["properties"] for event in recorded()]
    assert len(events) == 9
    for round_id in rounds:
        mine = [event for event in events if event["round_id"] == round_id]
        assert len(mine) == 3
        assert {event["$ai_trace_id"] for event in mine} == {round_id}


def test_outside_of_rounds_a_trace_stays_a_trace(
    pane: nightpane.Pane, recorded: Recorded, provider: Provider
) -> None:
    chain(provider).invoke("How?", {"callbacks": [llm.langchain_handler(pane)]})
    (trace,) = recorded("$ai_trace")
    assert trace["properties"]["$ai_span_name"] == "whole"
    assert len({event["properties"]["$ai_trace_id"] for event in recorded()}) == 1


@pytest.fixture
def agents(provider: Provider) -> Iterator[Any]:
    """openai-agents, tracing only where the test says."""
    require(importlib.util.find_spec("agents"), "openai-agents")
    import agents
    import openai

    client = openai.AsyncOpenAI(api_key="sk-test", base_url=provider.host + "/v1")
    agents.set_default_openai_client(client, use_for_tracing=False)
    agents.set_default_openai_api("chat_completions")
    yield agents, client
    agents.set_trace_processors([])


def test_a_run_of_the_openai_agents_sdk(
    pane: nightpane.Pane, recorded: Recorded, agents: Any
) -> None:
    agents, client = agents
    agents.set_trace_processors([llm.openai_agents_processor(pane)])
    agent = agents.Agent(name="planner", instructions="Be short.", model="gpt-x")

    async def night() -> tuple[str, str]:
        async with pane.run(agent="coder") as run, run.round() as round_:
            async with round_.tool("ask") as step:
                done = await agents.Runner.run(agent, "How do I lower the loss?")
                assert done.final_output == ANSWER
            round_.keep()
        await client.close()
        return round_.round_id, step.step_id

    round_id, step_id = asyncio.run(night())
    found = tree(recorded, round_id)
    assert found["Agent workflow"] == step_id
    assert found["planner"] in ("Agent workflow", "task")
    (call,) = (event["properties"] for event in recorded("$ai_generation"))
    assert (call["$ai_input_tokens"], call["$ai_output_tokens"]) == (120, 30)
    assert {event["distinct_id"] for event in recorded()} == {"autoresearch:acme:coder"}
    assert recorded("$ai_trace") == []


def test_a_query_of_the_claude_agent_sdk(
    pane: nightpane.Pane, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    require(importlib.util.find_spec("claude_agent_sdk"), "claude-agent-sdk")
    from posthog.ai.claude_agent_sdk import processor

    monkeypatch.setattr(processor, "original_query", recorded_conversation)

    async def night() -> tuple[str, str]:
        async with pane.run(agent="coder") as run:
            async with run.round() as round_:
                async with round_.tool("ask") as step:
                    messages = llm.claude_agent(pane).query(prompt="How?")
                round_.keep()
            async with run.round() as later:
                assert len([message async for message in messages]) == 7
                later.keep()
        return round_.round_id, step.step_id

    round_id, step_id = asyncio.run(night())
    found = tree(recorded, round_id)
    assert found["claude_agent_sdk_query"] == step_id
    assert found["generation_1"] == "claude_agent_sdk_query"
    assert found["Read"] == "generation_1"
    (call,) = (event["properties"] for event in recorded("$ai_generation"))
    assert (call["$ai_input_tokens"], call["$ai_output_tokens"]) == (50, 30)
    assert {event["distinct_id"] for event in recorded()} == {"autoresearch:acme:coder"}


async def recorded_conversation(**_: Any) -> AsyncIterator[Any]:
    """What the SDK yields for one answer with one use of a tool."""
    from claude_agent_sdk import AssistantMessage, ResultMessage, TextBlock, ToolUseBlock
    from claude_agent_sdk.types import StreamEvent

    def event(**raw: Any) -> StreamEvent:
        return StreamEvent(uuid="u", session_id="s", event=raw)

    usage = {"input_tokens": 50, "output_tokens": 1}
    yield event(type="message_start", message={"model": "claude-x", "usage": usage})
    yield event(type="content_block_start", index=0, content_block={"type": "text", "text": ""})
    yield event(type="content_block_stop", index=0)
    content = [TextBlock(text=ANSWER), ToolUseBlock(id="t", name="Read", input={"path": "a"})]
    yield AssistantMessage(content=content, model="claude-x")
    end = {"stop_reason": "tool_use"}
    yield event(type="message_delta", delta=end, usage={"output_tokens": 30})
    yield event(type="message_stop")
    yield ResultMessage(
        subtype="success",
        duration_ms=10,
        duration_api_ms=9,
        is_error=False,
        num_turns=1,
        session_id="s",
        total_cost_usd=0.01,
        usage={"input_tokens": 50, "output_tokens": 30},
        result=ANSWER,
    )
