"""Each tool's format, in small: what a file says becomes calls with their text and tokens."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightpane.errors import LedgerError
from nightpane.traces import Recorded, Trace, is_trace_file, read


def parsed(path: Path, content: Any, *, lines: bool = False) -> list[Trace]:
    text = "\n".join(json.dumps(line) for line in content) if lines else json.dumps(content)
    path.write_text(text)
    return [trace for trace in read(path).traces() if isinstance(trace, Trace)]


def only(traces: list[Trace]) -> tuple[Trace, list[Recorded]]:
    (trace,) = traces
    return trace, [event for event in trace.events if event.kind == "$ai_generation"]


def answer(text: str, *, at: float, prompt: int, cached: int, cost: float) -> dict[str, Any]:
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": cached},
    }
    response = {"id": text, "created": int(at), "model": "small-1", "usage": usage}
    response["choices"] = [{"finish_reason": "stop"}]
    extra = {"response": response, "cost": cost, "timestamp": at}
    return {"role": "assistant", "content": text, "extra": extra}


MINI = {
    "trajectory_format": "mini-swe-agent-1.1",
    "instance_id": "repo__7",
    "info": {"config": {"model": {"model_name": "deepseek/small-1"}}},
    "messages": [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "mend it"},
        answer("look", at=100.5, prompt=20, cached=0, cost=0.25),
        {"role": "tool", "content": "a file", "extra": {"timestamp": 101.0}},
        answer("done", at=103.0, prompt=40, cached=20, cost=0.0),
    ],
}


def test_mini_swe_agent(tmp_path: Path) -> None:
    trace, calls = only(parsed(tmp_path / "x.traj.json", MINI))
    assert trace.trace_id.startswith("repo__7-")
    first, second = (call.properties for call in calls)
    assert [m["content"] for m in first["$ai_input"]] == ["be brief", "mend it"]
    assert [m["content"] for m in second["$ai_input"]][2:] == ["look", "a file"]
    assert (first["$ai_model"], first["$ai_provider"]) == ("small-1", "deepseek")
    assert (second["$ai_input_tokens"], second["$ai_cache_read_input_tokens"]) == (40, 20)
    assert (first["$ai_total_cost_usd"], "$ai_total_cost_usd" in second) == (0.25, False)
    assert second["$ai_latency"] == 2.0
    assert calls[1].ended_at is not None
    assert calls[1].ended_at.timestamp() == 103.0


def test_the_call_that_ended_a_trajectory_failed(tmp_path: Path) -> None:
    info = {**MINI["info"], "exit_status": "Timeout", "exception_str": "took too long"}
    ended = {**MINI, "info": info}
    ended["messages"] = [*MINI["messages"], {"role": "exit", "content": "took too long"}]
    _, calls = only(parsed(tmp_path / "x.json", ended))
    last = calls[-1].properties
    assert (last["$ai_is_error"], last["$ai_error"]) == (True, "took too long")
    assert (last["$ai_error_type"], last["$ai_model"]) == ("Timeout", "deepseek/small-1")


def test_swe_agent_leaves_the_demonstration_out(tmp_path: Path) -> None:
    history = [
        {"role": "system", "content": "s"},
        {"role": "assistant", "content": "shown", "is_demo": True},
        {"role": "user", "content": "u"},
        {"role": "assistant", "content": "mine", "agent": "primary"},
    ]
    stats = {"instance_cost": 0.5, "tokens_sent": 900, "tokens_received": 30}
    document = {"trajectory": [], "history": history, "info": {"model_stats": stats}}
    trace, calls = only(parsed(tmp_path / "x.traj", document))
    assert [call.properties["$ai_output_choices"][0]["content"] for call in calls] == ["mine"]
    assert trace.properties["$ai_total_cost_usd"] == 0.5
    assert trace.properties["$ai_total_input_tokens"] == 900


def observation(name: str, parent: str | None, **more: Any) -> dict[str, Any]:
    times = {"startTime": "2026-01-01T00:00:00Z", "endTime": "2026-01-01T00:00:01.5Z"}
    return {"id": name, "name": name, "parentObservationId": parent, **times, **more}


def test_langfuse_counts_a_call_seen_twice_once(tmp_path: Path) -> None:
    usage = {"usageDetails": {"input": 10, "output": 5, "input_cache_read": 90}}
    priced = {"totalCost": 0.03, "inputCost": 0.01, "outputCost": 0.02, "model": "gpt-x"}
    inner = observation("inner", "outer", type="GENERATION", input='[{"role":"user"}]', **usage)
    document = {
        "trace": {"id": "t1", "name": "chat", "input": '"{\\"a\\": 1}"'},
        "observations": [
            {**inner, **priced, "latency": 1500},
            observation("outer", None, type="GENERATION", usageDetails={"input": 100}),
        ],
    }
    trace, calls = only(parsed(tmp_path / "x.json", document))
    assert [call.span_id for call in calls] == ["inner"]
    properties = calls[0].properties
    assert properties["$ai_input"] == [{"role": "user"}]
    assert properties["$ai_latency"] == 1.5
    assert properties["$ai_cache_reporting_exclusive"] is True
    assert properties["$ai_input_cost_usd"] + properties["$ai_output_cost_usd"] == 0.03
    assert trace.properties["$ai_input_state"] == {"a": 1}
    (span,) = [event for event in trace.events if event.kind == "$ai_span"]
    assert (span.span_id, span.parent_id, calls[0].parent_id) == ("outer", "t1", "outer")


def claude(kind: str, content: Any, identity: str = "", **usage: Any) -> dict[str, Any]:
    message: dict[str, Any] = {"role": kind, "content": content}
    if identity:
        message |= {"id": identity, "model": "claude-x", "usage": usage}
    at = "2026-01-01T00:00:00Z"
    return {"type": kind, "sessionId": "s1", "timestamp": at, "message": message}


def test_claude_code_joins_the_lines_of_one_answer(tmp_path: Path) -> None:
    records = [
        claude("user", "hello"),
        claude("assistant", [{"type": "text", "text": "one"}], "m1", output_tokens=1),
        claude("assistant", [{"type": "tool_use", "name": "ls"}], "m1", output_tokens=9),
        claude("user", [{"type": "tool_result"}]),
        claude("assistant", [{"type": "text", "text": "two"}], "m2", cache_read_input_tokens=4),
    ]
    trace, calls = only(parsed(tmp_path / "x.jsonl", records, lines=True))
    assert (trace.trace_id, len(calls)) == ("s1", 2)
    first, second = (call.properties for call in calls)
    assert len(first["$ai_output_choices"][0]["content"]) == 2
    assert first["$ai_output_tokens"] == 9
    assert len(first["$ai_input"]) == 1
    assert len(second["$ai_input"]) == 4
    assert second["$ai_cache_read_input_tokens"] == 4


def test_codex_counts_each_call_once(tmp_path: Path) -> None:
    def counted(last: int, total: int) -> dict[str, Any]:
        info = {"last_token_usage": {"input_tokens": last}, "total_token_usage": {"n": total}}
        payload = {"type": "token_count", "info": info}
        return {"type": "event_msg", "timestamp": "2026-01-01T00:00:00Z", "payload": payload}

    records = [
        {"type": "session_meta", "payload": {"id": "c1"}},
        {"type": "turn_context", "payload": {"model": "gpt-codex"}},
        {"type": "response_item", "payload": {"type": "message", "role": "user", "content": "hi"}},
        {"type": "response_item", "payload": {"type": "function_call", "name": "ls"}},
        counted(10, 10),
        counted(10, 10),
        {"type": "response_item", "payload": {"type": "function_call_output", "output": "a"}},
        {"type": "response_item", "payload": {"type": "message", "role": "assistant"}},
        counted(30, 40),
    ]
    trace, calls = only(parsed(tmp_path / "x.jsonl", records, lines=True))
    assert trace.trace_id == "c1"
    assert [call.properties["$ai_input_tokens"] for call in calls] == [10, 30]
    assert [len(call.properties["$ai_input"]) for call in calls] == [1, 3]
    assert calls[1].properties["$ai_output_choices"][0]["role"] == "assistant"


def test_agent_run_bills_thinking_as_output(tmp_path: Path) -> None:
    usage = {"promptTokens": 50, "cachedTokens": 20, "responseTokens": 5, "thinkingTokens": 8}
    tool = {"toolName": "read", "input": {"a": 1}, "output": "text", "callId": "c"}
    steps = [
        {"step": 1, "toolCalls": [tool], "usage": usage, "costUsd": 0.5},
        {"step": 2, "text": "done", "usage": usage, "costUsd": None},
    ]
    document = {"model": "gpt-x", "taskId": "t", "result": {"steps": steps, "text": "done"}}
    _, calls = only(parsed(tmp_path / "x.json", document))
    properties = calls[0].properties
    assert (properties["$ai_output_tokens"], properties["$ai_reasoning_tokens"]) == (13, 8)
    assert properties["$ai_cache_read_input_tokens"] == 20
    assert calls[1].properties["$ai_input"][-1]["content"] == "text"


def test_inference_table_reports_lines_it_cannot_read(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text(
        "TIMESTAMP,ContextTokens,GeneratedTokens\n"
        "2023-11-16 18:17:03.9799600,4808,10\n"
        "yesterday,1,2\n"
        "2023-11-16 18:17:04.0319600,3180,\n"
    )
    traces = list(read(path).traces())
    assert [type(item).__name__ for item in traces] == ["Trace", "Unread", "Unread"]
    assert [item.line for item in traces[1:]] == [3, 4]  # type: ignore[union-attr]


def test_a_conversation_too_long_to_keep_says_what_it_left_out(tmp_path: Path) -> None:
    many = [{"role": "user", "content": "x" * 100_000} for _ in range(30)]
    messages = [{"role": "system", "content": "be brief"}, *many, MINI["messages"][2]]
    _, calls = only(parsed(tmp_path / "x.json", {**MINI, "messages": messages}))
    sent = calls[0].properties["$ai_input"]
    assert sent[0]["content"] == "be brief"
    assert "21 earlier messages" in sent[1]["content"]
    assert len(sent) == 11


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"trace": 1}', '{"models": []}', "a\tb\n1\t2\n", '{"run": 1}\n'],
)
def test_what_is_none_is_not_taken_for_one(tmp_path: Path, text: str) -> None:
    path = tmp_path / "file"
    path.write_text(text)
    assert not is_trace_file(path)
    with pytest.raises(LedgerError, match="no model calls in a format that is known"):
        read(path)


@given(st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x, max_size=3)))
def test_odd_values_end_in_a_refusal_or_in_calls(
    tmp_path_factory: pytest.TempPathFactory, odd: Any
) -> None:
    path = tmp_path_factory.getbasetemp() / "odd.json"
    for document in (
        {"trajectory_format": "mini-swe-agent-1", "messages": odd, "info": {}},
        {"trace": {"id": odd}, "observations": odd if isinstance(odd, list) else []},
        {"result": {"steps": [{"usage": odd, "toolCalls": odd}]}},
    ):
        path.write_text(json.dumps(document))
        with suppress(LedgerError):  # anything else fails the test
            list(read(path).traces())
