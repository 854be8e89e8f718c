"""LiteLLM's calls: in the round they were made in, with LiteLLM's own cost."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.helpers import require
from tests.llm.conftest import Recorded
from tests.llm.provider import ANSWER, TOOL_ARGUMENTS, Provider

import nightpane

require(importlib.util.find_spec("litellm"), "litellm")

# LiteLLM's and pydantic's own, on every answer.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]

ASKED = [{"role": "user", "content": "How do I lower the loss?"}]
TOOLS = [{"type": "function", "function": {"name": "read_file", "parameters": {}}}]


@pytest.fixture
def litellm(pane: nightpane.Pane) -> Iterator[Any]:
    """LiteLLM with a callback to the pane of the test."""
    import litellm

    from nightpane.llm import LiteLLMCallback

    before = litellm.callbacks
    litellm.callbacks = [LiteLLMCallback(pane)]
    litellm.suppress_debug_info = True
    yield litellm
    litellm.logging_callback_manager._reset_all_callbacks()
    litellm.callbacks = before


@pytest.fixture(scope="module", autouse=True)
def _close_loops() -> Iterator[None]:
    """Close the event loops that LiteLLM's threads leave behind."""
    yield
    for one in gc.get_objects():
        if isinstance(one, asyncio.BaseEventLoop) and not one.is_running() and not one.is_closed():
            one.close()


def eventually(recorded: Recorded, count: int) -> list[dict[str, Any]]:
    """Return the events once LiteLLM's own threads have told of so many calls."""
    deadline = time.monotonic() + 20
    while len(found := recorded()) < count and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(found) == count
    return [{**event["properties"], "distinct_id": event["distinct_id"]} for event in found]


def at(provider: Provider, model: str = "openai/gpt-4o-mini") -> dict[str, Any]:
    return {"model": model, "api_key": "sk-test", "api_base": provider.host + "/v1"}


def in_a_round(pane: nightpane.Pane, action: Callable[[], Any]) -> tuple[str, str]:
    with pane.run(agent="coder") as run, run.round() as round_:
        with round_.tool("ask") as step, round_.calls(phase="score"):
            action()
        round_.keep()
    return round_.round_id, step.step_id


def check_place(found: dict[str, Any], where: tuple[str, str]) -> None:
    assert (found["$ai_trace_id"], found["$ai_parent_id"]) == where
    assert found["round_id"] == where[0]
    assert found["phase"] == "score"
    assert found["distinct_id"] == "autoresearch:acme:coder"


def test_a_call_with_its_cost(
    pane: nightpane.Pane, recorded: Recorded, provider: Provider, litellm: Any
) -> None:
    where = in_a_round(pane, lambda: litellm.completion(**at(provider), messages=ASKED))
    (found,) = eventually(recorded, 1)
    check_place(found, where)
    assert (found["$ai_provider"], found["$ai_model"]) == ("openai", "gpt-4o-mini")
    assert found["$ai_input"] == ASKED
    assert found["$ai_output_choices"][0]["content"] == ANSWER
    assert found["$ai_stop_reason"] == "stop"
    assert (found["$ai_input_tokens"], found["$ai_output_tokens"]) == (120, 30)
    assert (found["$ai_cache_read_input_tokens"], found["$ai_reasoning_tokens"]) == (64, 8)
    assert found["$ai_cache_reporting_exclusive"] is False
    assert found["$ai_cost_passthrough"] is True
    # 56 new and 64 cached tokens in, 30 out, at 0.15, 0.075 and 0.6 USD a million.
    assert found["$ai_total_cost_usd"] == pytest.approx(3.12e-05)
    assert found["$ai_input_cost_usd"] == pytest.approx(1.32e-05)
    assert found["$ai_output_cost_usd"] == pytest.approx(1.8e-05)
    assert found["$ai_latency"] > 0
    assert found["$ai_base_url"].startswith(provider.host)


def test_a_model_without_a_price_has_no_cost(
    recorded: Recorded, provider: Provider, litellm: Any
) -> None:
    litellm.completion(**at(provider, "openai/my-own-model"), messages=ASKED)
    (found,) = eventually(recorded, 1)
    assert not [name for name in found if "cost" in name]


def test_the_answer_of_a_mock(pane: nightpane.Pane, recorded: Recorded, litellm: Any) -> None:
    where = in_a_round(
        pane,
        lambda: litellm.completion(model="gpt-4o-mini", messages=ASKED, mock_response="Yes."),
    )
    (found,) = eventually(recorded, 1)
    check_place(found, where)
    assert found["$ai_output_choices"][0]["content"] == "Yes."


def test_a_stream_belongs_to_where_it_was_started(
    pane: nightpane.Pane, recorded: Recorded, provider: Provider, litellm: Any
) -> None:
    streams: list[Any] = []
    where = in_a_round(
        pane,
        lambda: streams.append(
            litellm.completion(**at(provider), messages=ASKED, stream=True, temperature=0.5)
        ),
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in streams[0])
    assert text.strip() == ANSWER
    (found,) = eventually(recorded, 1)
    check_place(found, where)
    assert found["$ai_output_choices"][0]["content"].strip() == ANSWER
    assert found["$ai_model_parameters"]["stream"] is True
    assert found["$ai_model_parameters"]["temperature"] == 0.5
    assert 0 <= found["$ai_time_to_first_token"] <= found["$ai_latency"]


def test_tool_calls_and_embeddings(recorded: Recorded, provider: Provider, litellm: Any) -> None:
    litellm.completion(**at(provider), messages=ASKED, tools=TOOLS)
    litellm.embedding(**at(provider, "openai/text-embedding-3-small"), input=["a"])
    by_provider = sorted(eventually(recorded, 2), key=lambda one: str(one["$ai_model"]))
    call, embedding = by_provider
    assert call["$ai_tools"] == TOOLS
    made = call["$ai_output_choices"][0]["tool_calls"][0]["function"]
    assert (made["name"], made["arguments"]) == ("read_file", TOOL_ARGUMENTS)
    assert embedding["$ai_input_tokens"] == 9
    assert embedding["$ai_total_cost_usd"] == pytest.approx(1.8e-07)
    assert "$ai_output_tokens" not in embedding
    assert {event["event"] for event in recorded()} == {"$ai_generation", "$ai_embedding"}


def test_an_error_is_recorded_and_passes_unchanged(
    pane: nightpane.Pane, recorded: Recorded, provider: Provider, litellm: Any
) -> None:
    def ask() -> None:
        with pytest.raises(litellm.RateLimitError):
            litellm.completion(**at(provider, "openai/gpt-fails"), messages=ASKED, max_retries=0)

    where = in_a_round(pane, ask)
    (found,) = eventually(recorded, 1)
    check_place(found, where)
    assert found["$ai_is_error"] is True
    assert (found["$ai_http_status"], found["$ai_error_type"]) == (429, "RateLimitError")
    assert "Rate limit reached" in found["$ai_error"]
    assert "$ai_input_tokens" not in found


def test_asynchronous_calls(
    pane: nightpane.Pane, recorded: Recorded, provider: Provider, litellm: Any
) -> None:
    async def ask(run: nightpane.Run, number: int) -> str:
        async with run.round() as round_:
            model = at(provider, f"openai/own-{number}")
            await litellm.acompletion(**model, messages=ASKED)
            stream = await litellm.acompletion(**model, messages=ASKED, stream=True)
            with pytest.raises(litellm.RateLimitError):
                await litellm.acompletion(
                    **at(provider, f"openai/own-{number}-fails"), messages=ASKED, max_retries=0
                )
            round_.keep()
        async for _ in stream:
            pass
        return round_.round_id

    async def night() -> list[str]:
        async with pane.run(agent="coder") as run:
            rounds = await asyncio.gather(*(ask(run, number) for number in range(3)))
        deadline = time.monotonic() + 20
        while pane.health().written < 9 + 3 * 2 + 1 and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        return list(rounds)

    rounds = asyncio.run(night())
    for found in eventually(recorded, 9):
        assert found["round_id"] == rounds[int(found["$ai_model"].split("-")[1])]


def test_privacy_mode_leaves_contents_out(
    make_pane: Callable[..., nightpane.Pane], provider: Provider
) -> None:
    import litellm
    from tests.client.support import Network

    from nightpane.llm import LiteLLMCallback

    network = Network()
    pane = make_pane(privacy_mode=True, transport=network)
    litellm.callbacks = [LiteLLMCallback(pane)]
    recorded = Recorded(pane, network)
    try:
        litellm.completion(**at(provider), messages=ASKED, tools=TOOLS)
        with pytest.raises(litellm.RateLimitError):
            litellm.completion(**at(provider, "openai/gpt-fails"), messages=ASKED, max_retries=0)
        calls = eventually(recorded, 2)
    finally:
        litellm.logging_callback_manager._reset_all_callbacks()
        litellm.callbacks = []
    for found in calls:
        assert found["$ai_input"] is None
        assert "lower the loss" not in str(found)
        assert "Rate limit reached" not in str(found)
    assert [found.get("$ai_error") for found in calls if "$ai_error" in found] == [
        "RateLimitError 429"
    ]


def test_the_import_asks_nobody_for_prices() -> None:
    code = (
        "import socket\n"
        "def refuse(*a, **k): raise SystemExit('it opened a connection')\n"
        "socket.socket.connect = refuse; socket.create_connection = refuse\n"
        "import nightpane, sys\n"
        "import nightpane.llm\n"
        "assert 'litellm' not in sys.modules\n"
        "from nightpane.llm import LiteLLMCallback\n"
        "assert 'litellm' in sys.modules\n"
    )
    environ = {k: v for k, v in os.environ.items() if k != "LITELLM_LOCAL_MODEL_COST_MAP"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr[-500:]) == (0, "")
