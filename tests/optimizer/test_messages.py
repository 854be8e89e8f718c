"""Prompts and answers in every shape the wrappers write come out in one small form."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightpane.optimizer.messages import Message, ToolCall, messages, tool_calls

SEARCH = ToolCall("search", '{"q": "x"}')
DIALOGUE = (
    Message("system", "Be brief."),
    Message("user", "Find x."),
    Message("assistant", "", (SEARCH,)),
    Message("tool", results=("42 hits",)),
)
PROMPTS: dict[str, Any] = {
    "OpenAI chat": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Find x."}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "1",
                    "type": "function",
                    "function": {"name": "search", "arguments": '{"q":"x"}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "1", "content": "42 hits"},
    ],
    "OpenAI responses": [
        {"role": "developer", "content": "Be brief."},
        {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "Find x."}],
        },
        {"type": "function_call", "name": "search", "arguments": '{"q":"x"}', "call_id": "1"},
        {"type": "function_call_output", "call_id": "1", "output": "42 hits"},
    ],
    "Anthropic request": {
        "system": "Be brief.",
        "messages": [
            {"role": "user", "content": "Find x."},
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "name": "search", "input": {"q": "x"}}],
            },
            {"role": "tool", "content": [{"type": "text", "text": "42 hits"}]},
        ],
    },
    "Gemini": {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "Find x."}]},
            {
                "role": "model",
                "parts": [{"functionCall": {"name": "search", "args": {"q": "x"}}}],
            },
            {"role": "function", "parts": [{"text": "42 hits"}]},
        ],
    },
    "LangChain dumps": [
        {"type": "system", "data": {"content": "Be brief."}},
        {"type": "human", "data": {"content": "Find x."}},
        {
            "type": "ai",
            "data": {"content": "", "tool_calls": [{"name": "search", "args": {"q": "x"}}]},
        },
        {"type": "tool", "data": {"content": "42 hits"}},
    ],
    "LangChain serialised": [
        {
            "lc": 1,
            "type": "constructor",
            "id": ["langchain", "schema", "messages", name],
            "kwargs": kwargs,
        }
        for name, kwargs in (
            ("SystemMessage", {"content": "Be brief."}),
            ("HumanMessage", {"content": "Find x."}),
            (
                "AIMessage",
                {
                    "content": "",
                    "additional_kwargs": {
                        "tool_calls": [{"function": {"name": "search", "arguments": '{"q":"x"}'}}]
                    },
                },
            ),
            ("ToolMessage", {"content": "42 hits"}),
        )
    ],
    "OpenTelemetry": [
        {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
        {"role": "user", "parts": [{"type": "text", "content": "Find x."}]},
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "name": "search", "arguments": {"q": "x"}}],
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "result": "42 hits"}]},
    ],
}


@pytest.mark.parametrize("shape", PROMPTS)
@pytest.mark.parametrize("wraps", [0, 1, 2])
def test_every_shape_of_a_dialogue_reads_alike(shape: str, wraps: int) -> None:
    text = json.dumps(PROMPTS[shape])
    for _ in range(wraps):  # JSON text in JSON
        text = json.dumps(text)
    assert messages(text) == DIALOGUE


@pytest.mark.parametrize(
    ("answer", "read"),
    [
        ([{"role": "assistant", "content": [{"type": "text", "text": "Hi"}]}], Message("", "Hi")),
        ([{"type": "text", "text": "Hi"}], Message("", "Hi")),
        ({"choices": [{"message": {"role": "assistant", "content": "Hi"}}]}, Message("", "Hi")),
        ({"candidates": [{"content": {"parts": [{"text": "Hi"}]}}]}, Message("", "Hi")),
        ([{"text": "Hi", "generation_info": {}, "type": "Generation"}], Message("", "Hi")),
        (
            [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Hi"}],
            Message("", "Hi", thinking="Hm."),
        ),
        (
            [{"role": "model", "parts": [{"text": "Hm.", "thought": True}, {"text": "Hi"}]}],
            Message("", "Hi", thinking="Hm."),
        ),
        (
            [{"role": "assistant", "content": None, "refusal": "I can't."}],
            Message("", "I can't.", refused=True),
        ),
        ([{"role": "assistant", "content": [{"type": "image"}]}], Message("", media=1)),
        ([{"role": "assistant", "content": ""}], Message("")),
        ([{"role": "assistant", "content": []}], Message("")),
    ],
)
def test_answers(answer: Any, read: Message) -> None:
    (found,) = (one for one in messages(json.dumps(answer), "assistant") if one.role)
    assert (found.text, found.thinking, found.media, found.refused, found.calls) == (
        read.text,
        read.thinking,
        read.media,
        read.refused,
        read.calls,
    )


@pytest.mark.parametrize("text", ["", "null", " \n", "[]"])
def test_privacy_mode_leaves_nothing_to_read(text: str) -> None:
    assert messages(text) == ()


@pytest.mark.parametrize(
    "text",
    ["Hello [1]", "[1] according to", '{"label": "bug"}', '[{"name": "a"}]', "42", '"quoted'],
)
def test_an_answer_that_is_text_or_json_of_its_own_stays_as_it_is(text: str) -> None:
    assert messages(text, "assistant") == (Message("assistant", text),)


def test_a_dialogue_in_plain_text_keeps_its_turns() -> None:
    text = "developer: Use markdown.\nuser: What is new?\nSince Monday.\ntool: nothing"
    assert messages(text) == (
        Message("system", "Use markdown."),
        Message("user", "What is new?\nSince Monday."),
        Message("tool", results=("nothing",)),
    )


@pytest.mark.parametrize("shape", PROMPTS)
def test_a_cut_prompt_is_read_as_far_as_it_goes(shape: str) -> None:
    text = json.dumps(PROMPTS[shape])
    for length in range(text.index("Find") + 3, len(text)):
        read = messages(text[:length])
        assert read[0].role == "system"
        assert "Be brief.".startswith(read[0].text)
        assert not [one for one in read if '{"' in one.text]
    almost = messages(text[: text.rindex("42 hits") + 4])
    assert [one.text for one in almost[:2]] == ["Be brief.", "Find x."]


def test_a_call_whose_arguments_were_cut_is_not_one() -> None:
    def answer(query: str) -> str:
        return json.dumps([{"type": "tool_use", "name": "write", "input": {"text": query}}])

    whole, other = answer("a" * 3000), answer("a" * 2900 + "b")
    assert tool_calls(whole)[0][0] == "write"
    assert tool_calls(whole[:2000]) == tool_calls(other[:2000]) == ()


def test_the_definition_of_a_tool_is_not_a_call() -> None:
    tool = {"type": "function", "function": {"name": "search", "parameters": {"type": "object"}}}
    assert tool_calls(json.dumps([{"role": "tool", "content": tool}])) == ()


def test_the_same_call_said_three_times_by_langchain_is_one() -> None:
    call = {"name": "search", "args": {"q": "x"}}
    extra = {"function": {"name": "search", "arguments": '{"q":"x"}'}}
    answer = {
        "type": "ai",
        "data": {
            "content": [{"type": "tool_use", "name": "search", "input": {"q": "x"}}],
            "tool_calls": [call],
            "additional_kwargs": {"tool_calls": [extra]},
        },
    }
    assert tool_calls(json.dumps([answer])) == (("search", '{"q": "x"}'),)


KEYS = st.sampled_from(
    [
        *("role", "type", "content", "parts", "text", "message", "messages", "choices", "kwargs"),
        *("lc", "data", "id", "name", "arguments", "input", "args", "function", "tool_calls"),
        *("functionCall", "thought", "output", "refusal", "additional_kwargs"),
    ]
)
WORDS = st.sampled_from(["user", "ai", "text", "tool_use", "function", "tool_result", "image", ""])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(max_size=20)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=30,
)


@given(TREES, st.integers(0, 400))
def test_nothing_that_is_recorded_makes_it_fail(tree: Any, length: int) -> None:
    text = json.dumps(tree)
    for recorded in (text, text[:length], text[length:], json.dumps(text)):
        read = messages(recorded)
        assert all(isinstance(one.text, str) and isinstance(one.role, str) for one in read)
        tool_calls(recorded)


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    assert len(messages(text)) <= len(text)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([{"role": "user", "content": "word " * 400_000}]),
        json.dumps([{"role": "user", "content": 'a "quoted\\" word ' * 100_000}])[:-3],
        "[" * 1_000_000,
        '{"content":' * 200_000,
        '[{"role":"user","content":[' * 100_000,
        '"' * 1_000_000,
        '[{"text": "' + "\\" * 1_000_001,
        json.dumps([{"role": "user", "content": "x"}] * 100_000),
    ],
    ids=range(8),
)
def test_megabytes_and_deep_nesting_take_no_time(text: str) -> None:
    start = time.perf_counter()
    messages(text)
    tool_calls(text)
    assert time.perf_counter() - start < 5
