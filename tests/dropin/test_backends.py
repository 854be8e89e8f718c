"""The drop-in file with PostHog's SDK alone, and with nightpane: the same events arrive."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from nightpane import Pane, catalog
from nightpane.ids import is_ulid, session_id_from_ulid
from nightpane.testing import LocalServer

ROOT = Path(__file__).parents[2]
LOOP = ROOT / "examples" / "drop-in" / "climb.py"
# What differs from one run of the same loop to the next.
VARIES = {"ts", "client", "latency_ms"}
IDS = {"run_id", "round_id", "step_id", "suite_id", "$ai_trace_id", "$ai_parent_id"}
IDS |= {"$ai_span_id", "$session_id"}

Events = list[tuple[str, str, dict[str, Any]]]


def run(server: LocalServer, how: str, script: Path, tmp_path: Path, **environ: str) -> str:
    """Run a script with or without nightpane; return what it printed on standard error."""
    runner = [sys.executable, str(Path(__file__).parent / "runner.py"), how, str(script)]
    settings = {
        **server.environ,
        "AUTORESEARCH_PROJECT": "autoresearch",
        "NIGHTPANE_SPOOL_DIR": str(tmp_path / "spool"),
        **environ,
    }
    done = subprocess.run(runner, env=settings, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stderr


def arrived(server: LocalServer, client: str, count: int) -> Events:
    """Return event, distinct_id and properties of a client's events, once so many are there."""
    query = (
        "select event, distinct_id, properties from events where properties.client = {client} "
        "order by timestamp, toFloat(properties.ts) limit 1000"
    )
    deadline = time.monotonic() + 20
    while len(rows := server.query().hogql(query, {"client": client}).rows) < count:
        assert time.monotonic() < deadline, f"{len(rows)} of {count} events: {rows}"
        time.sleep(0.02)
    assert len(rows) == count
    return [(event, who, json.loads(properties)) for event, who, properties in rows]


def normal(events: Events) -> list[tuple[str, dict[str, Any]]]:
    """Return events with ids replaced by their order of appearance, and without what varies."""
    seen: dict[str, str] = {}
    found = []
    for event, _, properties in events:
        plain = {}
        for name, value in sorted(properties.items()):
            if name in IDS:
                value = seen.setdefault(value, f"id-{len(seen)}")
            if name not in VARIES:
                plain[name] = value
        found.append((event, plain))
    return found


def test_the_loop_arrives_alike_with_and_without_nightpane(
    server: LocalServer, tmp_path: Path
) -> None:
    found = {}
    for how in ("with", "without"):
        run(server, how, LOOP, tmp_path, AUTORESEARCH_CLIENT=how)
        found[how] = arrived(server, how, 34)
        assert {who.split(":")[:2] == ["autoresearch", how] for _, who, _ in found[how]} == {True}
    assert (tmp_path / "spool").is_dir()
    assert normal(found["without"]) == normal(found["with"])
    for event, who, properties in found["without"]:
        assert catalog.problems(event, properties) == []
        assert "$nightpane_invalid" not in properties
        assert who == f"autoresearch:without:{properties['agent']}"
        if "round_id" in properties:
            assert is_ulid(properties["round_id"])
            assert properties["$ai_trace_id"] == properties["round_id"]
            assert properties["$session_id"] == session_id_from_ulid(properties["round_id"])
    outcomes = [event for event, _, _ in found["without"] if event.startswith("round_")]
    assert outcomes.count("round_started") == 3
    assert outcomes.count("round_kept") + outcomes.count("round_reverted") == 3


def test_a_round_has_the_shape_of_the_panes_own(server: LocalServer, tmp_path: Path) -> None:
    pane = Pane(
        "autoresearch",
        "pane",
        api_key=server.api_key,
        host=server.host,
        spool_dir=tmp_path / "own",
    )
    with pane.run() as night, night.round(agent="coder", model="m", baseline_score=0.5) as round_:
        round_.generated(prompt_tokens=1, cost_usd=0.5)
        round_.scored(0.75, metric="height", direction="max")
        round_.keep(delta=0.25, new_best=0.75, cost_usd=0.5)
        pane.posthog.capture("$ai_generation", properties={"$ai_model": "m"})
    pane.close(20)
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""\
        from observability.posthog_client import in_round, in_run, ph, track

        with in_run():
            with in_round(agent="coder", model="m", baseline_score=0.5):
                track("proposal_generated", prompt_tokens=1, cost_usd=0.5, model="m")
                track("round_scored", score=0.75, metric="height", direction="max")
                track("round_kept", delta=0.25, new_best=0.75, cost_usd=0.5)
                ph.capture("$ai_generation", properties={"$ai_model": "m"})
            track(
                "stop_triggered",
                reason="max_rounds",
                rounds_completed=1,
                total_cost_usd=0.5,
                final_best_score=0.75,
            )
        """)
    )
    link(tmp_path)
    wanted = normal(arrived(server, "pane", 6))
    for how in ("with", "without"):
        run(server, how, script, tmp_path, AUTORESEARCH_CLIENT=f"shape-{how}")
        found = normal(arrived(server, f"shape-{how}", 6))
        for (event, properties), (wanted_event, wanted_properties) in zip(
            found, wanted, strict=True
        ):
            # The commit is that of the code that runs, here a folder in no repository.
            wanted_properties = {**wanted_properties, "git_sha": properties.get("git_sha")}
            assert event == wanted_event
            assert {"git_sha": None, **properties} == wanted_properties


def link(folder: Path) -> None:
    """Give a folder the drop-in file of the example."""
    (folder / "observability").mkdir()
    text = (LOOP.parent / "observability" / "posthog_client.py").read_text("utf-8")
    (folder / "observability" / "posthog_client.py").write_text(text, "utf-8")


SCRIPT = """\
import threading

from observability import posthog_client
from observability.posthog_client import in_round, in_run, ph, track

SECRET = "use sk-" + "a1" * 12
MADE_UP = "0b8b36a1-3a6c-4b0e-9d0f-3b1b3a1b1c11"


def call(**properties):
    ph.capture("$ai_generation", properties={"$ai_model": "m", **properties})


with in_run():
    call(where="run")
    try:
        with in_round(agent="coder", round_id="01M83MDBKB7EAZ0SH7Y35803CH"):
            call(where="made_up", **{"$ai_trace_id": MADE_UP, "$ai_parent_id": MADE_UP})
            call(where="nested", **{"$ai_trace_id": MADE_UP, "$ai_parent_id": "span-1"})
            call(where="chosen", **{"$ai_trace_id": "theirs"})
            ph.capture("$ai_metric", distinct_id="a-person", properties={"where": "person"})
            track("step.plan", step_id="not a ulid", plan="p" * 600)
            track("eval.case", case_id="c", api_key="k", rationale=SECRET, r2_key="r")
            track("own_event", agent="critic", round_id="other", nothing=None)
            thread = threading.Thread(target=track, args=("in_thread",), kwargs={"agent": "a"})
            thread.start()
            thread.join()
            raise ValueError("broken")
    except ValueError:
        pass
    with in_round(agent="coder"):
        pass
"""


@pytest.mark.parametrize("how", ["with", "without"])
def test_what_wrappers_and_careless_callers_send(
    server: LocalServer, tmp_path: Path, how: str
) -> None:
    link(tmp_path)
    (tmp_path / "script.py").write_text(SCRIPT)
    client = f"careless-{how}"
    run(server, how, tmp_path / "script.py", tmp_path, AUTORESEARCH_CLIENT=client)
    events = arrived(server, client, 14)
    by_place = {one["where"]: (who, one) for _, who, one in events if "where" in one}
    by_name = {event: (who, one) for event, who, one in events}
    round_id = "01M83MDBKB7EAZ0SH7Y35803CH"
    run_id = by_name["stop_triggered"][1]["run_id"]

    who, call = by_place["run"]
    assert (who, call["run_id"]) == (f"autoresearch:{client}:orchestrator", run_id)
    assert "round_id" not in call
    who, call = by_place["made_up"]
    assert who == f"autoresearch:{client}:coder"
    assert (call["$ai_trace_id"], call["$ai_parent_id"]) == (round_id, round_id)
    assert call["$session_id"] == "01a20746-ae6b-7b95-b066-27f0ca800d91"
    assert call["$ai_span_id"]
    assert "$process_person_profile" not in call
    assert by_place["nested"][1]["$ai_trace_id"] == round_id
    assert by_place["nested"][1]["$ai_parent_id"] == "span-1"
    chosen = by_place["chosen"][1]
    assert (chosen["$ai_trace_id"], chosen["round_id"]) == ("theirs", round_id)
    assert "$ai_parent_id" not in chosen
    assert by_place["person"][0] == "a-person"

    plan = by_name["step.plan"][1]
    assert (plan["plan"], plan["plan_length"]) == ("p" * 500, 600)
    case = by_name["eval.case"][1]
    assert case["$nightpane_invalid"] == ["suite_id is missing; it is required"]
    assert case["api_key"] == "[redacted:key]"
    assert case["rationale"].startswith("use [redacted")
    assert "a1a1" not in json.dumps(case)
    assert case["r2_key"] == "r"
    who, own = by_name["own_event"]
    assert (who, own["round_id"]) == (f"autoresearch:{client}:critic", "other")
    assert (own["run_id"], own["$ai_trace_id"]) == (run_id, "other")
    assert "$session_id" not in own
    assert "round_id" not in by_name["in_thread"][1]

    endings = [one for event, _, one in events if event == "round_reverted"]
    assert [(one["failure_mode"], one["reason"]) for one in endings] == [
        ("exception", "ValueError: broken"),
        ("invalid", "the round was left without round_kept or round_reverted"),
    ]
    assert by_name["stop_triggered"][1]["rounds_completed"] == 2
    assert by_name["stop_triggered"][1]["reason"] == "max_rounds"


def test_everything_is_delivered_at_exit_without_nightpane(
    server: LocalServer, tmp_path: Path
) -> None:
    link(tmp_path)
    (tmp_path / "script.py").write_text(
        "from observability.posthog_client import track\n"
        "for number in range(500):\n"
        "    track('own_event', agent='a', number=number, text='x' * 2000)\n"
    )
    run(server, "without", tmp_path / "script.py", tmp_path, AUTORESEARCH_CLIENT="exit")
    numbers = {properties["number"] for _, _, properties in arrived(server, "exit", 500)}
    assert numbers == set(range(500))


def test_without_a_destination_the_loop_goes_on(server: LocalServer, tmp_path: Path) -> None:
    said = run(server, "without", LOOP, tmp_path, POSTHOG_HOST="", AUTORESEARCH_CLIENT="nowhere")
    assert "nothing is sent: POSTHOG_API_KEY and POSTHOG_HOST are not both set" in said
    assert arrived(server, "nowhere", 0) == []


STRICT = """\
from observability.posthog_client import agent_id, track

assert agent_id("coder") == "autoresearch:strict:coder"
for properties in ({}, {"agent": "coder"}, {"agent": "coder", "reason": "budget"}):
    try:
        print(track("stop_triggered", **properties) is not None)
    except Exception as error:
        print(error)
"""


def test_strict_and_privacy_mode(server: LocalServer, tmp_path: Path) -> None:
    link(tmp_path)
    (tmp_path / "script.py").write_text(STRICT)
    runner = [sys.executable, str(Path(__file__).parent / "runner.py"), "without"]
    environ = {
        **server.environ,
        "AUTORESEARCH_PROJECT": "autoresearch",
        "AUTORESEARCH_CLIENT": "strict",
        "NIGHTPANE_STRICT": "yes",
    }
    done = subprocess.run(
        [*runner, str(tmp_path / "script.py")], env=environ, capture_output=True, text=True
    )
    no_reason = "reason is missing; it is required"
    assert done.stdout.splitlines() == [
        f"event 'stop_triggered' does not fit the catalogue: {wrong}"
        for wrong in (f"agent is missing; it is required; {no_reason}", no_reason)
    ] + ["True"]
    run(
        server, "without", LOOP, tmp_path, NIGHTPANE_PRIVACY_MODE="1", AUTORESEARCH_CLIENT="private"
    )
    events = arrived(server, "private", 34)
    plans = [one["plan"] for event, _, one in events if event == "step.plan"]
    assert plans == [None, None, None]
    assert all(one["args_json"] is None for event, _, one in events if event == "step.tool_called")


def test_the_name_of_the_loop_is_required(server: LocalServer, tmp_path: Path) -> None:
    runner = [sys.executable, str(Path(__file__).parent / "runner.py"), "without", str(LOOP)]
    done = subprocess.run(runner, env=server.environ, capture_output=True, text=True)
    assert done.returncode == 1
    assert "AUTORESEARCH_PROJECT is not set: name this loop" in done.stderr
