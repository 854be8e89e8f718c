"""``wrap``: every provider, each way of calling, in the round it was started in."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import anthropic
import openai
import pytest
from google import genai
from tests.client.support import Network
from tests.llm.conftest import Recorded
from tests.llm.provider import ANSWER, TOOL_ARGUMENTS, Provider

import nightpane
from nightpane.errors import ConfigError
from nightpane.llm import wrap

# google-genai's own.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")

ASKED = [{"role": "user", "content": "How do I lower the loss?"}]
TOOL = {"name": "read_file", "description": "Read a file", "parameters": {"type": "object"}}
OPENAI_TOOLS = [{"type": "function", "function": TOOL}]
ANTHROPIC_TOOLS = [{"name": "read_file", "input_schema": {"type": "object"}}]


_made: list[Any] = []
T = TypeVar("T")


def kept(client: T) -> T:
    """Return a client that is closed when the test ends."""
    _made.append(client)
    return client


@pytest.fixture(autouse=True)
def _close_clients() -> Iterator[None]:
    yield
    while _made:
        client = _made.pop()
        if not inspect.iscoroutinefunction(client.close):
            client.close()


def run(night: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine and close the asynchronous clients it made."""

    async def closing() -> T:
        try:
            return await night()
        finally:
            for client in _made:
                if isinstance(client, genai.Client):
                    await client.aio.aclose()
                elif inspect.iscoroutinefunction(client.close):
                    await client.close()

    return asyncio.run(closing())


def openai_client(provider: Provider, **options: Any) -> openai.OpenAI:
    return kept(openai.OpenAI(api_key="sk-test", base_url=provider.host + "/v1", **options))


def anthropic_client(provider: Provider, **options: Any) -> anthropic.Anthropic:
    return kept(anthropic.Anthropic(api_key="sk-test", base_url=provider.host, **options))


def gemini_client(provider: Provider) -> genai.Client:
    return kept(genai.Client(api_key="test", http_options={"base_url": provider.host}))


def async_openai(provider: Provider) -> openai.AsyncOpenAI:
    return kept(openai.AsyncOpenAI(api_key="sk-test", base_url=provider.host + "/v1"))


def async_anthropic(provider: Provider) -> anthropic.AsyncAnthropic:
    return kept(anthropic.AsyncAnthropic(api_key="sk-test", base_url=provider.host))


# What is called, with what the caller gets as text.


def _chunks(stream: Any) -> str:
    return "".join(c.choices[0].delta.content or "" for c in stream if c.choices).strip()


def _helper(client: Any) -> str:
    with client.chat.completions.stream(model="gpt-x", messages=ASKED) as stream:
        text: str = stream.get_final_completion().choices[0].message.content
    return text.strip()


def _events(stream: Any) -> str:
    return "".join(getattr(e, "delta", "") for e in stream)


def _deltas(stream: Any) -> str:
    return "".join(e.delta.text for e in stream if e.type == "content_block_delta").strip()


def _claude(client: Any) -> str:
    with client.messages.stream(model="claude-x", max_tokens=9, messages=ASKED) as stream:
        text: str = stream.get_final_text()
    return text.strip()


CLAUDE: dict[str, Any] = {"model": "claude-x", "max_tokens": 9, "messages": ASKED}
GPT: dict[str, Any] = {"model": "gpt-x", "messages": ASKED}
GEMINI: dict[str, Any] = {"model": "gemini-x", "contents": "How do I lower the loss?"}
SYNC: dict[str, tuple[Callable[[Provider], Any], Callable[[Any], str]]] = {
    "chat": (
        openai_client,
        lambda c: c.chat.completions.create(**GPT).choices[0].message.content,
    ),
    "chat stream": (
        openai_client,
        lambda c: _chunks(c.chat.completions.create(**GPT, stream=True)),
    ),
    "chat stream helper": (openai_client, _helper),
    "chat raw": (
        openai_client,
        lambda c: (
            c.chat.completions.with_raw_response.create(**GPT).parse().choices[0].message.content
        ),
    ),
    "chat parse": (
        openai_client,
        lambda c: c.chat.completions.parse(**GPT).choices[0].message.content,
    ),
    "beta chat parse": (
        openai_client,
        lambda c: c.beta.chat.completions.parse(**GPT).choices[0].message.content,
    ),
    "responses": (
        openai_client,
        lambda c: c.responses.create(model="gpt-x", input="?").output_text,
    ),
    "responses stream": (
        openai_client,
        lambda c: _events(c.responses.create(model="gpt-x", input="?", stream=True)),
    ),
    "messages": (anthropic_client, lambda c: c.messages.create(**CLAUDE).content[0].text),
    "messages create stream": (
        anthropic_client,
        lambda c: _deltas(c.messages.create(**CLAUDE, stream=True)),
    ),
    "messages stream": (anthropic_client, _claude),
    "messages raw": (
        anthropic_client,
        lambda c: c.messages.with_raw_response.create(**CLAUDE).parse().content[0].text,
    ),
    "beta messages": (
        anthropic_client,
        lambda c: c.beta.messages.create(**CLAUDE).content[0].text,
    ),
    "gemini": (gemini_client, lambda c: c.models.generate_content(**GEMINI).text),
    "gemini stream": (
        gemini_client,
        lambda c: "".join(e.text for e in c.models.generate_content_stream(**GEMINI)).strip(),
    ),
    "gemini chat": (
        gemini_client,
        lambda c: c.chats.create(model="gemini-x").send_message("How?").text,
    ),
}


async def _async_chunks(client: Any) -> str:
    stream = await client.chat.completions.create(**GPT, stream=True)
    return _chunks([chunk async for chunk in stream])


async def _async_claude(client: Any) -> str:
    async with client.messages.stream(**CLAUDE) as stream:
        text: str = await stream.get_final_text()
    return text.strip()


async def _async_deltas(client: Any) -> str:
    stream = await client.messages.create(**CLAUDE, stream=True)
    return _deltas([event async for event in stream])


async def _async_helper(client: Any) -> str:
    async with client.chat.completions.stream(**GPT) as stream:
        text: str = (await stream.get_final_completion()).choices[0].message.content
    return text.strip()


async def _async_gemini(client: Any) -> str:
    stream = await client.aio.models.generate_content_stream(**GEMINI)
    return "".join([chunk.text async for chunk in stream]).strip()


async def _chat(client: Any) -> str:
    text: str = (await client.chat.completions.create(**GPT)).choices[0].message.content
    return text


async def _async_raw(client: Any) -> str:
    raw = await client.chat.completions.with_raw_response.create(**GPT)
    assert raw.headers["x-request-id"] == "req_123"
    parsed = raw.parse()
    text: str = (
        (await parsed if hasattr(parsed, "__await__") else parsed).choices[0].message.content
    )
    return text


async def _responses(client: Any) -> str:
    text: str = (await client.responses.create(model="gpt-x", input="?")).output_text
    return text


async def _message(client: Any) -> str:
    text: str = (await client.messages.create(**CLAUDE)).content[0].text
    return text


async def _generate(client: Any) -> str:
    text: str = (await client.aio.models.generate_content(**GEMINI)).text
    return text


ASYNC: dict[str, tuple[Callable[[Provider], Any], Callable[[Any], Any]]] = {
    "chat": (async_openai, _chat),
    "chat raw": (async_openai, _async_raw),
    "chat stream": (async_openai, _async_chunks),
    "chat stream helper": (async_openai, _async_helper),
    "responses": (async_openai, _responses),
    "messages": (async_anthropic, _message),
    "messages create stream": (async_anthropic, _async_deltas),
    "messages stream": (async_anthropic, _async_claude),
    "gemini": (gemini_client, _generate),
    "gemini stream": (gemini_client, _async_gemini),
}


def belongs(call: dict[str, Any], round_: nightpane.Round, parent_id: str) -> None:
    """Check all that a call inherits."""
    assert call["$ai_trace_id"] == call["round_id"] == round_.round_id
    assert call["$ai_parent_id"] == parent_id
    assert call["run_id"] == round_.run.run_id
    assert call["agent"] == "coder"
    assert call["distinct_id"] == "autoresearch:acme:coder"
    assert (call["phase"], call["task_type"]) == ("proposal", "ar.propose")
    assert call["$ai_span_name"] == "ask"
    assert "$process_person_profile" not in call
    assert "$context_tags" not in call


def tokens(call: dict[str, Any]) -> tuple[Any, ...]:
    names = ("input_tokens", "output_tokens", "cache_read_input_tokens", "reasoning_tokens")
    return tuple(call.get(f"$ai_{name}") for name in names)


EXPECTED = {
    "openai": (120, 30, 64, 8),
    "gemini": (120, 30, 64, 8),
    "anthropic": (50, 30, 400, None),
}


def check(call: dict[str, Any]) -> None:
    assert tokens(call) == EXPECTED[call["$ai_provider"]]
    assert call["$ai_model"] in ("gpt-x", "claude-x", "gemini-x")
    assert ANSWER in str(call["$ai_output_choices"]).replace("200 steps. ", "200 steps.")
    assert call["$ai_latency"] > 0
    assert call["$ai_http_status"] == 200
    assert "$ai_is_error" not in call


@pytest.mark.parametrize("way", SYNC)
def test_a_call_belongs_to_the_step_it_is_made_in(
    pane: nightpane.Pane, recorded: Recorded, provider: Provider, way: str
) -> None:
    make, call = SYNC[way]
    client = make(provider)
    assert wrap(client, pane) is client
    with pane.run(agent="coder") as run, run.round() as round_:
        with (
            round_.tool("think") as step,
            round_.calls(phase="proposal", task_type="ar.propose", span_name="ask"),
        ):
            assert call(client) == ANSWER
        round_.keep()
    found = recorded.one("$ai_generation")
    belongs(found, round_, step.step_id)
    check(found)


@pytest.mark.parametrize("way", ASYNC)
def test_an_asynchronous_call_belongs_to_the_step_it_is_made_in(
    pane: nightpane.Pane, recorded: Recorded, provider: Provider, way: str
) -> None:
    make, call = ASYNC[way]

    async def night() -> tuple[nightpane.Round, str]:
        client = wrap(make(provider), pane)
        async with pane.run(agent="coder") as run, run.round() as round_:
            async with round_.tool("think") as step:
                with round_.calls(phase="proposal", task_type="ar.propose", span_name="ask"):
                    assert await call(client) == ANSWER
            round_.keep()
        return round_, step.step_id

    round_, step_id = run(night)
    found = recorded.one("$ai_generation")
    belongs(found, round_, step_id)
    check(found)


def test_embeddings(pane: nightpane.Pane, recorded: Recorded, provider: Provider) -> None:
    client, google = wrap(openai_client(provider), pane), wrap(gemini_client(provider), pane)
    with pane.run(agent="coder") as run, run.round() as round_:
        assert client.embeddings.create(model="emb", input="a").data[0].embedding == [0.1, 0.2]
        google.models.embed_content(model="gemini-embedding-001", contents="a")
        round_.keep()
    first, second = (event["properties"] for event in recorded("$ai_embedding"))
    assert first["$ai_input_tokens"] == 9
    for found in (first, second):
        assert found["$ai_trace_id"] == found["$ai_parent_id"] == round_.round_id
        assert found["agent"] == "coder"
    assert {e["distinct_id"] for e in recorded("$ai_embedding")} == {"autoresearch:acme:coder"}


def test_tool_calls(pane: nightpane.Pane, recorded: Recorded, provider: Provider) -> None:
    gpt, claude = wrap(openai_client(provider), pane), wrap(anthropic_client(provider), pane)
    gpt.chat.completions.create(**GPT, tools=OPENAI_TOOLS)
    claude.messages.create(**CLAUDE, tools=ANTHROPIC_TOOLS)
    calls = [event["properties"] for event in recorded()]
    assert [call["$ai_stop_reason"] for call in calls] == ["tool_calls", "tool_use"]
    assert TOOL_ARGUMENTS in str(calls[0]["$ai_output_choices"])
    assert "train.py" in str(calls[1]["$ai_output_choices"])
    for call in calls:
        assert "read_file" in str(call["$ai_tools"])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("make", "call", "error"),
    [
        (
            openai_client,
            lambda c, **o: c.chat.completions.create(**{**GPT, "model": "gpt-fails"}, **o),
            openai.RateLimitError,
        ),
        (
            anthropic_client,
            lambda c, **o: c.messages.create(**{**CLAUDE, "model": "claude-fails"}, **o),
            anthropic.RateLimitError,
        ),
    ],
    ids=["openai", "anthropic"],
)
def test_an_error_is_recorded_and_passes_unchanged(
    pane: nightpane.Pane,
    recorded: Recorded,
    provider: Provider,
    make: Any,
    call: Any,
    error: type[Exception],
    stream: bool,
) -> None:
    client = wrap(make(provider, max_retries=0), pane)
    with pytest.raises(error) as raised:
        call(client, **({"stream": True} if stream else {}))
    found = recorded.one()
    assert found["$ai_is_error"] is True
    assert found["$ai_http_status"] == 429
    assert found["$ai_error"] == str(raised.value)
    assert tokens(found)[:2] == (None, None)


def test_an_asynchronous_error_and_a_cancelled_call(
    pane: nightpane.Pane, recorded: Recorded, provider: Provider
) -> None:
    async def night() -> None:
        client = wrap(async_openai(provider), pane)
        with pytest.raises(openai.RateLimitError):
            await client.with_options(max_retries=0).chat.completions.create(
                model="gpt-fails", messages=ASKED
            )
        waiting = asyncio.create_task(
            client.chat.completions.create(model="gpt-waits", messages=ASKED)
        )
        while not any(body.get("model") == "gpt-waits" for _, _, body in provider.requests):
            await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    run(night)
    provider.go.set()
    failed, cancelled = (event["properties"] for event in recorded())
    assert failed["$ai_http_status"] == 429
    assert cancelled["$ai_error"] == "cancelled"


def test_a_stream_that_breaks_off_keeps_what_came(
    pane: nightpane.Pane, recorded: Recorded, provider: Provider
) -> None:
    client = wrap(openai_client(provider, max_retries=0), pane)
    with pytest.raises(openai.APIConnectionError) as raised:
        list(client.chat.completions.create(model="gpt-breaks", messages=ASKED, stream=True))
    found = recorded.one()
    assert found["$ai_is_error"] is True
    assert found["$ai_error"] == str(raised.value)
    assert "Try" in str(found["$ai_output_choices"])


def test_a_retry_of_the_client_is_one_call(
    pane: nightpane.Pane, recorded: Recorded, provider: Provider
) -> None:
    client = wrap(openai_client(provider, max_retries=2), pane)
    client.chat.completions.create(model="gpt-flaky", messages=ASKED)
    assert len([body for _, _, body in provider.requests if body.get("model") == "gpt-flaky"]) == 2
    assert recorded.one()["$ai_http_status"] == 200


# Where a streamed call belongs.


def streams(pane: nightpane.Pane, provider: Provider) -> Any:
    client = wrap(openai_client(provider), pane)
    return lambda: client.chat.completions.create(**GPT, stream=True)


def test_a_stream_read_in_the_next_round_belongs_to_the_round_it_was_started_in(
    pane: nightpane.Pane, recorded: Recorded, provider: Provider
) -> None:
    start = streams(pane, provider)
    with pane.run(agent="coder") as run:
        with run.round(agent="writer") as first, first.tool("think") as step:
            stream = start()
            first.keep()
        with run.round() as second, second.tool("later"):
            list(stream)
            second.keep()
    found = recorded.one()
    assert found["round_id"] == found["$ai_trace_id"] == first.round_id
    assert found["$ai_parent_id"] == step.step_id
    assert found["agent"] == "writer"
    assert found["distinct_id"] == "autoresearch:acme:writer"


def test_a_stream_started_outside_of_rounds_belongs_to_none(
    pane: nightpane.Pane, recorded: Recorded, provider: Provider
) -> None:
    stream = streams(pane, provider)()
    with pane.run(agent="coder") as run, run.round() as round_, round_.tool("think"):
        list(stream)
        round_.keep()
    found = recorded.one()
    assert not {"round_id", "run_id", "$ai_parent_id", "$session_id"} & found.keys()
    assert found["$ai_trace_id"] != round_.round_id
    assert found["distinct_id"] == "autoresearch:acme:orchestrator"


def test_a_stream_left_early_is_recorded(
    pane: nightpane.Pane, recorded: Recorded, provider: Provider
) -> None:
    with pane.run(agent="coder") as run, run.round() as round_:
        with streams(pane, provider)() as stream:
            next(stream)
            next(stream)
        round_.keep()
    found = recorded.one()
    assert found["round_id"] == round_.round_id
    assert "Try" in str(found["$ai_output_choices"])


def test_a_stream_read_on_another_thread(
    pane: nightpane.Pane, recorded: Recorded, provider: Provider
) -> None:
    with pane.run(agent="coder") as run, run.round() as round_:
        stream = streams(pane, provider)()
        reader = threading.Thread(target=list, args=(stream,))
        reader.start()
        reader.join()
        round_.keep()
    assert recorded.one()["round_id"] == round_.round_id


def test_rounds_in_threads_keep_their_calls_apart(
    pane: nightpane.Pane, recorded: Recorded, provider: Provider
) -> None:
    client = wrap(openai_client(provider), pane)

    def work(number: int) -> tuple[str, str]:
        with run.round(agent=f"coder-{number}") as round_:
            client.chat.completions.create(model=f"gpt-{number}", messages=ASKED)
            list(client.chat.completions.create(model=f"gpt-{number}", messages=ASKED, stream=True))
            round_.keep()
        return f"gpt-{number}", round_.round_id

    with pane.run(agent="coder") as run, ThreadPoolExecutor(8) as threads:
        rounds = dict(threads.map(run.bind(work), range(16)))
    calls = [event["properties"] for event in recorded()]
    assert len(calls) == 32
    for call in calls:
        assert call["round_id"] == rounds[call["$ai_model"]]
        assert call["agent"] == f"coder-{call['$ai_model'].removeprefix('gpt-')}"


def test_rounds_in_tasks_keep_their_calls_apart(
    pane: nightpane.Pane, recorded: Recorded, provider: Provider
) -> None:
    async def work(run: nightpane.Run, client: Any, number: int) -> tuple[str, str]:
        async with run.round() as round_:
            stream = await client.chat.completions.create(
                model=f"gpt-{number}", messages=ASKED, stream=True
            )
            async for _ in stream:
                await asyncio.sleep(0)
            round_.keep()
        return f"gpt-{number}", round_.round_id

    async def night() -> dict[str, str]:
        client = wrap(async_openai(provider), pane)
        async with pane.run(agent="coder") as run:
            return dict(await asyncio.gather(*(work(run, client, n) for n in range(12))))

    rounds = run(night)
    calls = [event["properties"] for event in recorded()]
    assert {call["$ai_model"]: call["round_id"] for call in calls} == rounds


def test_a_judge_within_a_case_hangs_below_the_case(
    pane: nightpane.Pane, recorded: Recorded, provider: Provider
) -> None:
    client = wrap(anthropic_client(provider), pane)
    with pane.run(agent="coder") as run, run.round() as round_:
        with round_.suite("gtm-9dim", scorer_version="1") as suite, suite.case("clarity") as case:
            client.messages.create(**CLAUDE)
            case.judged(score=0.8)
        round_.keep()
    assert recorded.one("$ai_generation")["$ai_parent_id"] == f"{suite.suite_id}:clarity"


# The client stays as it was.


def test_the_clients_configuration_stays(pane: nightpane.Pane, provider: Provider) -> None:
    client = openai_client(
        provider,
        timeout=7.0,
        max_retries=5,
        default_headers={"X-Mine": "yes"},
        organization="org-1",
        project="proj-1",
    )
    before = client._client
    chat, completions = type(client.chat), type(client.chat.completions)
    wrap(client, pane)
    client.chat.completions.create(**GPT)
    assert (client.timeout, client.max_retries, client._client) == (7.0, 5, before)
    assert provider.headers["x-mine"] == "yes"
    assert provider.headers["authorization"] == "Bearer sk-test"
    assert provider.headers["openai-organization"] == "org-1"
    assert (type(client.chat), type(client.chat.completions)) == (chat, completions)
    assert isinstance(client, openai.OpenAI)


def test_a_copy_of_the_client_is_recorded_too(
    pane: nightpane.Pane, recorded: Recorded, provider: Provider
) -> None:
    client = wrap(openai_client(provider), pane)
    client.with_options(timeout=3).chat.completions.create(**GPT)
    client.copy(max_retries=1).copy().responses.create(model="gpt-x", input="?")
    wrap(anthropic_client(provider), pane).with_options(timeout=3).messages.create(**CLAUDE)
    assert len(recorded()) == 3


def test_another_client_of_the_same_class_is_left_alone(
    pane: nightpane.Pane, recorded: Recorded, provider: Provider
) -> None:
    wrap(openai_client(provider), pane)
    openai_client(provider).chat.completions.create(**GPT)
    assert recorded() == []


def test_wrapping_twice_records_once(
    make_pane: Callable[..., nightpane.Pane], pane: nightpane.Pane, recorded: Recorded,
    provider: Provider,
) -> None:  # fmt: skip
    other = Network()
    client = wrap(openai_client(provider), make_pane(transport=other))
    wrap(client, pane).chat.completions.create(**GPT)
    assert recorded.one()["$ai_model"] == "gpt-x"
    assert other.events == []


def test_azure_bedrock_and_vertex_are_wrapped(
    pane: nightpane.Pane, recorded: Recorded, provider: Provider
) -> None:
    azure = kept(
        openai.AzureOpenAI(api_key="k", azure_endpoint=provider.host, api_version="2024-10-21")
    )
    wrap(azure, pane).chat.completions.create(**GPT)
    assert "/openai/deployments/gpt-x/chat/completions" in provider.requests[-1][0]
    found = recorded.one()
    assert found["$ai_base_url"].startswith(provider.host)
    for make in (anthropic.AnthropicBedrock, anthropic.AsyncAnthropicBedrock):
        bedrock: Any = kept(make(aws_access_key="a", aws_secret_key="b", aws_region="us-east-1"))
        before = bedrock.messages.create
        assert wrap(bedrock, pane).messages.create is not before
    vertex = kept(anthropic.AnthropicVertex(region="us-east5", project_id="p", access_token="t"))
    before = vertex.messages.create
    assert wrap(vertex, pane).messages.create is not before


def test_posthogs_own_arguments_work_and_stay_off_the_wire(
    pane: nightpane.Pane, recorded: Recorded, provider: Provider
) -> None:
    client = wrap(openai_client(provider), pane)
    with pane.run(agent="coder") as run, run.round() as round_:
        client.chat.completions.create(
            **GPT,
            posthog_distinct_id="somebody",
            posthog_properties={"mine": 1, "phase": "critique"},
            posthog_provider_override="deepseek",
            posthog_groups={"team": "a"},
        )
        round_.keep()
    found = recorded.one("$ai_generation")
    assert found["distinct_id"] == "somebody"
    assert (found["mine"], found["phase"], found["$ai_provider"]) == (1, "critique", "deepseek")
    assert found["$groups"] == {"team": "a"}
    assert found["$ai_trace_id"] == round_.round_id
    assert not [name for name in provider.requests[-1][2] if name.startswith("posthog")]


# Nothing of it may fail a call.


def test_an_answer_of_no_known_shape_reaches_the_caller(
    pane: nightpane.Pane, recorded: Recorded, provider: Provider
) -> None:
    client = wrap(openai_client(provider), pane)
    answer: Any = client.chat.completions.create(model="gpt-odd", messages=ASKED)
    assert answer.choices == 5
    stream = client.chat.completions.create(model="gpt-odd", messages=ASKED, stream=True)
    chunks: Any = [chunk.choices[0].delta.content for chunk in stream if chunk.choices]
    words = ANSWER.split()
    assert chunks == ["", words[0] + " ", words[1] + " ", 7, *(w + " " for w in words[3:]), None]


def test_an_asynchronous_answer_of_no_known_shape_reaches_the_caller(
    pane: nightpane.Pane, provider: Provider
) -> None:
    async def night() -> list[Any]:
        client = wrap(async_openai(provider), pane)
        answer: Any = await client.chat.completions.create(model="gpt-odd", messages=ASKED)
        assert answer.choices == 5
        stream = await client.chat.completions.create(model="gpt-odd", messages=ASKED, stream=True)
        return [chunk.choices[0].delta.content async for chunk in stream if chunk.choices]

    assert len(run(night)) == len(ANSWER.split()) + 2


class Broken:
    """A PostHog client that fails at everything."""

    privacy_mode = False

    def capture(self, *_: Any, **__: Any) -> None:
        raise RuntimeError("broken")


@pytest.mark.parametrize("way", SYNC)
def test_a_call_survives_a_recorder_that_raises(
    pane: nightpane.Pane, provider: Provider, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    make, call = SYNC[way]
    client = wrap(make(provider), pane)
    monkeypatch.setattr(pane, "posthog", Broken())
    assert call(client) == ANSWER


@pytest.mark.parametrize("way", ASYNC)
def test_an_asynchronous_call_survives_a_recorder_that_raises(
    pane: nightpane.Pane, provider: Provider, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    make, call = ASYNC[way]

    async def night() -> str:
        client = wrap(make(provider), pane)
        monkeypatch.setattr(pane, "posthog", Broken())
        text: str = await call(client)
        return text

    assert run(night) == ANSWER


def test_a_full_disk_fails_no_call(
    make_pane: Callable[..., nightpane.Pane], provider: Provider
) -> None:
    pane = make_pane(max_spool_bytes=4096)
    client = wrap(openai_client(provider), pane)
    for _ in range(8):
        client.chat.completions.create(**GPT)
    assert pane.health().not_written["spool_full"] > 0


# Which pane.


def test_without_a_pane_it_is_that_of_the_scope(
    make_pane: Callable[..., nightpane.Pane], provider: Provider
) -> None:
    networks = [Network(), Network()]
    first, second = (make_pane(transport=one, client=f"c{n}") for n, one in enumerate(networks))
    client = wrap(openai_client(provider))
    for pane in (first, second):
        with pane.run(agent="coder") as run, run.round() as round_:
            client.chat.completions.create(**GPT)
            round_.keep()
    # Outside of every scope it is the newest.
    client.chat.completions.create(**GPT)
    assert first.flush()
    assert second.flush()
    assert [len(one.named("$ai_generation")) for one in networks] == [1, 2]


def test_without_any_pane_it_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, provider: Provider
) -> None:
    monkeypatch.setattr("nightpane.llm.calls.newest_pane", lambda: None)
    with pytest.raises(ConfigError, match=r"make one first.*nightpane\.Pane"):
        wrap(openai_client(provider))


def test_what_is_no_known_client_is_refused(pane: nightpane.Pane) -> None:
    from posthog.ai.openai import OpenAI

    with pytest.raises(ConfigError, match=r"does not know builtins\.dict.*LiteLLMCallback"):
        wrap({}, pane)
    with pytest.raises(ConfigError, match="pass the provider's client"):
        wrap(OpenAI(posthog_client=pane.posthog, api_key="k"), pane)
