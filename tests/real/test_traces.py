"""Real recorded calls: counts, tokens and costs equal what a naive walk of each file finds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nightpane.traces import import_traces, is_trace_file, read

SHARED = Path(__file__).parents[3] / "shared" / "data" / "traces"
pytestmark = pytest.mark.skipif(
    not SHARED.is_dir(), reason="../shared/data is absent: real traces cannot be read"
)


def files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (SHARED / folder).glob("*"))


def walk(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, dict | list):
            yield from walk(inner)


@pytest.mark.parametrize("path", files("mini-swe-agent"), ids=lambda path: path.name[-40:])
def test_trajectories(path: Path) -> None:
    document = json.loads(path.read_text())
    done = import_traces(read(path), None)
    if isinstance(document, list):
        assert done.calls == sum(message["role"] == "assistant" for message in document)
        return
    info = document["info"]
    usages = [
        d["usage"] for d in walk(document["messages"]) if "prompt_tokens" in d.get("usage", ())
    ]
    assert done.calls == info["model_stats"]["api_calls"]
    assert done.errors == ("exception_str" in info)
    assert done.input_tokens == sum(usage["prompt_tokens"] for usage in usages)
    assert done.output_tokens == sum(usage["completion_tokens"] for usage in usages)
    assert done.cost_usd == pytest.approx(info["model_stats"]["instance_cost"], rel=1e-9)


@pytest.mark.parametrize("path", files("langfuse"), ids=lambda path: path.name[-40:])
def test_langfuse_exports(path: Path) -> None:
    observations = json.loads(path.read_text())["observations"]
    generations = {o["id"]: o for o in observations if o["type"] == "GENERATION"}
    outer = {o["parentObservationId"] for o in generations.values()} & generations.keys()
    leaves = [o for identity, o in generations.items() if identity not in outer]
    done = import_traces(read(path), None)
    assert done.calls == len(leaves)
    assert done.input_tokens == sum(o["usageDetails"]["input"] for o in leaves)
    assert done.cost_usd == pytest.approx(sum(o["totalCost"] for o in leaves))


def test_agent_runs_cost_what_they_say() -> None:
    for path in files("agent-bench"):
        stated = json.loads(path.read_text())["result"]["totalCostUsd"]
        assert import_traces(read(path), None).cost_usd == pytest.approx(stated)


def test_session_logs() -> None:
    counts = {path.name: import_traces(read(path), None) for path in files("claude-code")}
    by_end = {name.rpartition("__")[2]: done for name, done in counts.items()}
    codex = by_end["codex_sessions_project-alpha_session-alpha.jsonl"]
    assert (codex.calls, codex.input_tokens, codex.output_tokens) == (2, 3500, 425)
    claude = by_end["claude_projects_project-alpha_session-alpha_chat.jsonl"]
    assert (claude.calls, round(claude.cost_usd, 2)) == (3, 1.02)


def test_every_line_of_the_inference_trace_is_a_call() -> None:
    (path,) = files("inference")
    lines = path.read_text().splitlines()[1:]
    done = import_traces(read(path), None)
    assert (done.calls, done.traces, done.unread) == (len(lines), len(lines), [])
    assert done.input_tokens == sum(int(line.split(",")[1]) for line in lines)


def test_what_holds_no_call_is_refused() -> None:
    refused = [path.name for path in files("jetty") if not is_trace_file(path)]
    assert len(refused) == 4
    assert all(name.endswith("_trajectory.json") for name in refused)
