"""Rounds of a real pane on a real server, exported as OpenTelemetry, and brought in again."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.client.support import Recorder

import nightpane
from nightpane.errors import UnreachableError
from nightpane.ids import new_ulid, ulid_hex
from nightpane.otel import Receiver, Span, encode, export_rounds, json_wire, proto_wire
from nightpane.otel.rounds import spans_of_round
from nightpane.testing import LocalServer

CALL = {
    "$ai_provider": "openai",
    "$ai_model": "gpt-4o-mini",
    "$ai_model_parameters": {"temperature": 0.5, "max_tokens": 100},
    "$ai_input": [{"role": "user", "content": "Improve it."}],
    "$ai_output_choices": [
        {
            "role": "assistant",
            "content": "Done.",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}
            ],
        }
    ],
    "$ai_input_tokens": 120,
    "$ai_output_tokens": 30,
    "$ai_cache_read_input_tokens": 20,
    "$ai_latency": 1.5,
    "$ai_stop_reason": "stop",
    "$ai_http_status": 200,
}


@dataclass(frozen=True)
class Loop:
    """A server with one night on it."""

    server: LocalServer
    run_id: str
    rounds: tuple[str, ...]


@pytest.fixture(scope="module")
def loop(server: LocalServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    pane = nightpane.Pane(
        project="autoresearch",
        client="acme",
        host=server.host,
        api_key=server.api_key,
        spool_dir=tmp_path_factory.mktemp("spool"),
    )
    rounds = []
    with pane.run(agent="planner", metric="accuracy", direction="max") as run:
        for score in (0.5, 0.6):
            with run.round(model="gpt-4o-mini") as round_:
                rounds.append(round_.round_id)
                with round_.tool("search", args={"q": "x"}) as step:
                    pane.posthog.capture("$ai_generation", properties={**CALL, "phase": "proposal"})
                    step.returns({"found": 3})
                with (
                    round_.suite("9dim", scorer_version="1") as suite,
                    suite.case("clarity") as case,
                ):
                    pane.posthog.capture("$ai_generation", properties=CALL)
                    case.judged(score=0.9, passed=True)
                round_.scored(score)
                round_.keep() if score > 0.5 else round_.revert("score_missed")
    assert pane.flush()
    yield Loop(server, run.run_id, tuple(rounds))
    pane.close()


def exported(loop: Loop, **which: Any) -> dict[str, list[Span]]:
    return {
        str(spans[0].attributes["nightpane.round_id"]): spans
        for spans in export_rounds(loop.server.query(), **which)
    }


def names(spans: list[Span]) -> list[tuple[str, str]]:
    """Return each span's name with its parent's."""
    by_id = {span.span_id: span.name for span in spans}
    return sorted((span.name, by_id.get(span.parent_id, "")) for span in spans)


def test_a_round_is_one_trace(loop: Loop) -> None:
    rounds = exported(loop, run_id=loop.run_id)
    assert tuple(rounds) == loop.rounds
    spans = rounds[loop.rounds[1]]
    assert names(spans) == [
        ("case clarity", "suite 9dim"),
        ("chat gpt-4o-mini", "case clarity"),
        ("chat gpt-4o-mini", "execute_tool search"),
        ("execute_tool search", "round"),
        ("round", ""),
        ("suite 9dim", "round"),
    ]
    assert {span.trace_id for span in spans} == {ulid_hex(loop.rounds[1])}
    assert len({span.span_id for span in spans}) == len(spans)
    root = spans[0]
    assert root.source.resource["service.name"] == "autoresearch"
    assert root.attributes["nightpane.score"] == 0.6
    assert root.attributes["nightpane.run_id"] == loop.run_id
    assert [event.name for event in root.events] == ["round_started", "round_scored", "round_kept"]
    for span in spans[1:]:
        assert root.start_ns <= span.start_ns <= span.end_ns <= root.end_ns


def test_a_model_call_has_genai_attributes(loop: Loop) -> None:
    spans = exported(loop, round_id=loop.rounds[0])[loop.rounds[0]]
    call = next(span for span in spans if "phase" in span.attributes)
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.response.model": "gpt-4o-mini",
        "gen_ai.usage.input_tokens": 120,
        "gen_ai.usage.output_tokens": 30,
        "gen_ai.usage.cache_read.input_tokens": 20,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 100,
        "gen_ai.response.finish_reasons": ["stop"],
        "http.response.status_code": 200,
        "phase": "proposal",
    }
    assert {name: call.attributes.get(name) for name in expected} == expected
    assert json.loads(call.attributes["gen_ai.input.messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": "Improve it."}]}
    ]
    assert json.loads(call.attributes["gen_ai.output.messages"]) == [
        {
            "role": "assistant",
            "parts": [
                {"type": "text", "content": "Done."},
                {"type": "tool_call", "id": "c1", "name": "f", "arguments": {"x": 1}},
            ],
            "finish_reason": "stop",
        }
    ]
    assert call.kind == 3
    assert call.end_ns - call.start_ns == 1_500_000_000


def test_exporting_again_gives_the_same_spans(loop: Loop) -> None:
    assert exported(loop) == exported(loop)


@pytest.mark.parametrize("kind", ["otlp-json", "otlp-protobuf"])
def test_what_comes_back_to_its_own_server_changes_nothing(loop: Loop, kind: str) -> None:
    before = loop.server.query().hogql("SELECT count() FROM events").rows
    receiver = Receiver(
        f"{loop.server.host}/i/v0/ai/otel", kind, {"Authorization": f"Bearer {loop.server.api_key}"}
    )
    for spans in exported(loop).values():
        assert receiver.post(encode(spans, kind)) == 0
    assert loop.server.query().hogql("SELECT count() FROM events").rows == before


TREE = """
SELECT event, properties.$ai_span_id AS id, properties.$ai_parent_id AS parent,
    properties.$ai_model AS model, properties.$ai_input_tokens AS sent,
    properties.$ai_output_tokens AS answered, properties.$ai_cache_read_input_tokens AS cached,
    properties.$ai_total_cost_usd AS cost, properties.$ai_latency AS latency,
    properties.phase AS phase, properties.run_id AS run, properties.agent AS agent,
    properties.$ai_trace_id AS trace, distinct_id
FROM events WHERE event = '$ai_generation' ORDER BY id
"""


def test_another_server_gets_the_same_calls_and_the_same_tree(loop: Loop, tmp_path: Path) -> None:
    with LocalServer(tmp_path / "other") as other:
        receiver = Receiver(
            f"{other.host}/i/v0/ai/otel",
            "otlp-protobuf",
            {"Authorization": f"Bearer {other.api_key}"},
        )
        for spans in exported(loop).values():
            receiver.post(encode(spans, "otlp-protobuf"))
        there = other.query().hogql(TREE).dicts()
        assert there == loop.server.query().hogql(TREE).dicts()
        assert there[0]["cost"] > 0
        again = exported(Loop(other, loop.run_id, loop.rounds))
    here = exported(loop)
    shape = {key: [(span.span_id, span.parent_id) for span in spans] for key, spans in here.items()}
    for key, spans in again.items():
        assert sorted((span.span_id, span.parent_id) for span in spans) == sorted(shape[key])


def nightpane_export(loop: Loop, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "nightpane", "export", *arguments],
        env={**loop.server.environ, "COLUMNS": "120"},
        capture_output=True,
        timeout=60,
    )


def test_the_command_writes_files(loop: Loop, tmp_path: Path) -> None:
    lines, binary = tmp_path / "rounds.jsonl", tmp_path / "rounds.pb"
    done = nightpane_export(loop, "--run", loop.run_id, "--output", str(lines), "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["rounds"], told["spans"], told["model_calls"]) == (2, 12, 4)
    assert told["bytes"] == lines.stat().st_size - 2  # the ends of its lines
    read = [json_wire.read_traces(json.loads(line)) for line in lines.read_text().splitlines()]
    assert [len(spans) for spans in read] == [6, 6]
    done = nightpane_export(loop, "--format", "otlp-protobuf", "--output", str(binary))
    assert b"2 rounds, 12 spans (4 model calls)" in done.stdout
    assert len(proto_wire.read_traces(binary.read_bytes())) == 12


def test_the_command_prints_and_chooses(loop: Loop) -> None:
    done = nightpane_export(loop, "--round", loop.rounds[0], "--since", "-1d", "--output", "-")
    (line,) = done.stdout.splitlines()
    assert len(json_wire.read_traces(json.loads(line))) == 6
    assert b"1 rounds" in done.stderr
    done = nightpane_export(loop, "--since", "2999-01-01", "--output", "-")
    assert (done.returncode, done.stdout) == (0, b"")


def test_the_command_posts(loop: Loop) -> None:
    endpoint = f"{loop.server.host}/i/v0/ai/otel"
    key = f"authorization=Bearer {loop.server.api_key}"
    done = nightpane_export(loop, "--endpoint", endpoint, "--header", key, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["refused_spans"] == 0
    done = nightpane_export(loop, "--endpoint", endpoint, "--header", "authorization=Bearer x")
    assert done.returncode == 3
    assert b"answered 401" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "either --output FILE or --endpoint URL"),
        (("--output", "x", "--endpoint", "http://x"), "either --output FILE or --endpoint URL"),
        (("--output", "x", "--header", "a=b"), "--header goes with --endpoint"),
        (("--output", "-", "--json"), "exclude each other"),
        (("--output", "-", "--since", "yesterday"), "'yesterday' is no time"),
        (("--endpoint", "localhost:4318"), "must begin with http"),
        (("--endpoint", "http://x/v1", "--header", "secret"), "has no value"),
        (("--output", "/nowhere/x"), "cannot be written"),
    ],
)
def test_mistakes_in_the_call(loop: Loop, arguments: tuple[str, ...], says: str) -> None:
    done = nightpane_export(loop, *arguments)
    assert done.returncode == 2
    assert says in done.stderr.decode()
    assert b"Traceback" not in done.stderr


def row(event: str, at: str, **properties: Any) -> dict[str, Any]:
    return {"uuid": new_ulid(), "event": event, "timestamp": at, "properties": properties}


def test_events_without_ids_of_a_tree_hang_on_the_round() -> None:
    """As loops and importers wrote them before events had ids of a tree."""
    round_id, suite_id = new_ulid(), new_ulid()
    at = "2026-03-08 01:00:0{}.500000"
    spans = spans_of_round(
        round_id,
        [
            row("round_started", at.format(0), round_id=round_id),
            row("step.tool_called", at.format(1), step_id="A", tool="t", args_json="{}"),
            row("step.tool_returned", at.format(3), step_id="A", tool="t", ok=False, error="bad"),
            row("eval.run", at.format(4), suite_id=suite_id, suite="s"),
            row("eval.case", at.format(5), suite_id=suite_id, case_id="c", score=1),
            row("$ai_generation", at.format(6), **{"$ai_parent_id": "gone", "$ai_latency": 2}),
            row("$ai_span", at.format(7), **{"$ai_span_id": "x", "$ai_parent_id": "y"}),
            row("$ai_span", at.format(8), **{"$ai_span_id": "y", "$ai_parent_id": "x"}),
            row("round_reverted", at.format(9), failure_mode="crash", reason="it broke"),
        ],
    )
    assert names(spans) == [
        ("$ai_span", "round"),
        ("$ai_span", "round"),
        ("case c", "suite s"),
        ("chat", "round"),
        ("execute_tool t", "round"),
        ("round", ""),
        ("suite s", "round"),
    ]
    by_name = {span.name: span for span in spans}
    assert by_name["execute_tool t"].failed
    assert by_name["execute_tool t"].status_message == "bad"
    assert by_name["execute_tool t"].end_ns - by_name["execute_tool t"].start_ns == 2_000_000_000
    assert by_name["chat"].end_ns - by_name["chat"].start_ns == 2_000_000_000
    assert by_name["round"].failed
    assert by_name["round"].status_message == "it broke"


def test_opentelemetrys_own_calls_begin_when_they_are_stamped() -> None:
    round_id = new_ulid()
    about = {"$ai_ingestion_source": "otel", "$ai_latency": 2, "$ai_span_id": "ab" * 8}
    spans = spans_of_round(round_id, [row("$ai_generation", "2026-03-08T01:00:00Z", **about)])
    assert spans[1].span_id == "ab" * 8
    assert spans[1].end_ns - spans[0].start_ns == 2_000_000_000
    assert spans_of_round(round_id, []) == []


def test_a_receiver_that_is_busy_is_asked_again() -> None:
    waits: list[float] = []
    with Recorder(429, 503, 200) as recorder:
        receiver = Receiver(f"{recorder.host}/v1/traces", "otlp-json", {}, sleep=waits.append)
        assert receiver.post(b"{}") == 0
    assert waits == [0.5, 1.0]


def test_a_receiver_that_is_not_there() -> None:
    with pytest.raises(UnreachableError, match="does not answer"):
        Receiver("http://127.0.0.1:9/v1/traces", "otlp-json", {}).post(b"{}")
