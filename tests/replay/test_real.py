"""The real client, in two processes, to a real server: the tree is what happened."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.pane_events import send
from tests.replay.world import Writer, big, demo

from nightpane import Pane
from nightpane.replay import LIMIT, Trace, count_events, read_round
from nightpane.testing import LocalServer

WORKER = Path(__file__).with_name("worker.py")


def shape(trace: Trace, index: int = 0) -> Any:
    """Return the tree below a node as nested pairs of name and parts."""
    node = trace.nodes[index]
    parts = [i for i, other in enumerate(trace.nodes) if other.parent == index]
    return (f"{node.kind} {node.name}", [shape(trace, i) for i in parts])


@pytest.fixture(scope="module")
def rounds(server: LocalServer, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Three rounds of a run, the last one worse; a child process judges each."""
    folder = tmp_path_factory.mktemp("client")
    environ = {**server.environ, "NIGHTPANE_SPOOL_DIR": str(folder)}
    pane = Pane(
        "autoresearch",
        host=server.host,
        api_key=server.api_key,
        spool_dir=folder,
        strict=True,
    )
    found = []
    with pane.run(metric="loss", direction="min") as run:
        for score in (0.9, 0.8, 1.2):
            with run.round(agent="coder", model="m-1") as round_:
                found.append(round_.round_id)
                with round_.plan() as plan:
                    call = {"$ai_model": "gpt-4o-mini", "$ai_latency": 0}
                    pane.posthog.capture("$ai_generation", properties=call)
                    plan.says(plan="smaller steps")
                try:
                    with round_.tool("shell", {"cmd": "false"}):
                        raise TimeoutError("nine seconds")
                except TimeoutError:
                    round_.reflect("too slow")
                with round_.tool("judge") as step:
                    command = [sys.executable, str(WORKER)]
                    child = environ | round_.environ()
                    step.returns(subprocess.run(command, env=child, check=True).returncode)
                round_.scored(score)
                round_.keep() if score < 1 else round_.revert("score_missed")
    pane.close()
    subprocess.run([sys.executable, "-m", "nightpane", "spool", "flush"], env=environ, check=True)
    return found


def test_the_tree_is_what_happened_in_both_processes(
    server: LocalServer, rounds: list[str]
) -> None:
    trace = read_round(server.query(), rounds[0])
    assert trace is not None
    judge = [
        ("tool probe", []),
        (
            "suite nine",
            [
                ("case speed", [("generation judge speed", [])]),
                ("case memory", [("generation judge memory", [])]),
            ],
        ),
    ]
    assert shape(trace) == (
        "round round_started",
        [
            ("plan plan", [("generation gpt-4o-mini", [])]),
            ("tool shell", []),
            ("reflection reflection", []),
            ("tool judge", judge),
            ("event round_scored", []),
            ("event round_kept", []),
        ],
    )
    assert trace.notes == ()
    shell = next(node for node in trace.nodes if node.name == "shell")
    assert (shell.status, shell.error) == ("failed", "TimeoutError: nine seconds")
    assert {node.agent for node in trace.nodes} == {"coder", "judge"}
    cost = (1000 * 0.15 + 100 * 0.6) / 1e6
    assert trace.calls_cost_usd == pytest.approx(2 * cost)
    assert trace.events == count_events(server.query(), rounds[0])


def test_rounds_beside_it(server: LocalServer, rounds: list[str]) -> None:
    traces = [read_round(server.query(), one) for one in rounds]
    beside = [trace.neighbours for trace in traces if trace is not None]
    assert [one.number for one in beside] == [1, 2, 3]
    assert [one.previous for one in beside] == [None, *rounds[:2]]
    assert [one.next for one in beside] == [*rounds[1:], None]
    assert beside[1].regressed_from is None
    assert beside[2].regressed_from is not None
    assert beside[2].regressed_from.round_id == rounds[1]
    assert read_round(server.query(), "nothing") is None


def test_a_regressed_case_names_the_round_that_was_better(server: LocalServer) -> None:
    ids = []
    for i, score in enumerate((0.9, 0.4)):
        w = Writer(f"case{i}", run="cases")
        w.tell("round_started", i * 60, None, **{"$ai_span_id": w.round_id})
        w.tell("eval.run", i * 60 + 1, suite_id=f"su{i}", suite="s", **{"$ai_span_id": f"su{i}"})
        case = {"case_id": "c", "suite_id": f"su{i}"}
        w.tell("eval.case", i * 60 + 2, f"su{i}", **case, score=score)
        if i:
            w.tell("eval.regression", i * 60 + 3, **case, prior_score=0.9, new_score=score)
        w.tell("round_kept", i * 60 + 4)
        send(server, w.events)
        ids.append(w.round_id)
    trace = read_round(server.query(), ids[1])
    assert trace is not None
    assert trace.neighbours.regressed_from is not None
    assert trace.neighbours.regressed_from.round_id == ids[0]


def run_command(server: LocalServer, *given: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nightpane", "trace", *given]
    environ = {**server.environ, "COLUMNS": "100"}
    return subprocess.run(command, env=environ, capture_output=True, text=True)


def test_the_command_prints_the_tree(server: LocalServer, rounds: list[str]) -> None:
    done = run_command(server, rounds[2], "--full")
    assert done.returncode == 0, done.stderr
    assert max(len(line) for line in done.stdout.splitlines()) <= 100
    for said in ("round 3 of 3", "score_missed", "case speed", "regressed from", "score this"):
        assert said in done.stdout
    run_id = json.loads(run_command(server, rounds[2], "--json").stdout)["round"]["run_id"]
    best = json.loads(run_command(server, "best", "--run", run_id, "--json").stdout)
    assert best["round"]["id"] == rounds[1]
    first = json.loads(run_command(server, "1", "--run", run_id, "--json").stdout)
    assert first["round"]["id"] == rounds[0]
    for wrong, said in (("zzz", "no round 'zzz'"), (rounds[0][:4], "begins several rounds")):
        done = run_command(server, wrong)
        assert done.returncode == 2
        assert said in done.stderr
        assert "Traceback" not in done.stderr


def test_the_server_gives_trees_and_contents_to_those_let_in(server: LocalServer) -> None:
    round_id, events = demo()
    send(server, events)
    address = f"{server.host}/pane/round/{round_id}"
    key = {"Authorization": f"Bearer {server.personal_api_key}"}
    assert requests.get(address, timeout=30).status_code == 401
    assert requests.get(f"{server.host}/round/{round_id}", timeout=30).status_code == 401
    trace = requests.get(address, headers=key, timeout=30).json()
    assert trace["events"] == len(events)
    assert requests.get(f"{address}/mark", headers=key, timeout=30).json() == {
        "events": len(events)
    }
    given = {"uuid": events[2]["uuid"], "at": trace["started_at"]}
    answer = requests.get(f"{address}/contents", params=given, headers=key, timeout=30)
    (told,) = answer.json()["events"]
    assert told["properties"]["$ai_input"] == events[2]["properties"]["$ai_input"]
    wrong = requests.get(f"{address}/contents?at=now", headers=key, timeout=30)
    assert wrong.status_code == 400


def test_more_than_the_limit_is_told(server: LocalServer) -> None:
    round_id, events = big(LIMIT + 3)
    for event in events:
        event["properties"].pop("$ai_input", None)
    send(server, events)
    trace = read_round(server.query(), round_id)
    assert trace is not None
    assert (trace.is_cut, trace.events) == (True, LIMIT)
    assert "more than 20,000 events" in trace.notes[0]
