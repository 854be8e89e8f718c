"""The TypeScript module of the catalogue, and the examples that use it, in Node and Chromium."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.contract.support import by_client
from tests.helpers import require

from nightpane import Pane, catalog
from nightpane.catalog.typescript import typescript
from nightpane.ids import deterministic_ulid, is_ulid, session_id_from_ulid
from nightpane.testing import LocalServer

ROOT = Path(__file__).parents[2]
NODE = Path(__file__).parent / "node"
EXAMPLES = {name: ROOT / "examples" / name for name in ("node", "browser")}


def node(*arguments: str | Path, **environ: str) -> str:
    """Return what Node printed. Skips without Node or the npm packages."""
    program = shutil.which("node")
    require(program, "node (Debian's package nodejs)")
    installed = (NODE / "node_modules" / "typescript").is_dir()
    require(installed, "npm packages: run npm ci --prefix tests/contract/node")
    assert program is not None
    done = subprocess.run(
        [program, *map(str, arguments)],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def compiled(example: str, folder: Path) -> Path:
    """Return a copy of an example, compiled as its own tsconfig.json says: strict."""
    copy = folder / example
    shutil.copytree(EXAMPLES[example], copy, ignore=shutil.ignore_patterns("node_modules", "build"))
    (copy / "node_modules").symlink_to(NODE / "node_modules", target_is_directory=True)
    node(NODE / "node_modules" / "typescript" / "bin" / "tsc", "--project", copy)
    return copy


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The examples, compiled."""
    folder = tmp_path_factory.mktemp("built")
    return {example: compiled(example, folder) for example in EXAMPLES}


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_hold_the_module_of_this_catalogue(example: str) -> None:
    """The pin: after a deliberate change, nightpane schema --typescript > …/nightpane.ts."""
    assert (EXAMPLES[example] / "nightpane.ts").read_text("utf-8") == typescript()


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_name_the_versions_that_are_tested(example: str) -> None:
    tested = json.loads((NODE / "package.json").read_text("utf-8"))
    versions = {**tested["dependencies"], **tested["devDependencies"]}
    named = json.loads((EXAMPLES[example] / "package.json").read_text("utf-8"))
    for name, version in {**named["dependencies"], **named["devDependencies"]}.items():
        assert versions[name] == version
    assert json.loads((EXAMPLES[example] / "tsconfig.json").read_text("utf-8"))["compilerOptions"][
        "strict"
    ]


def test_the_types_refuse_what_does_not_fit(built: dict[str, Path]) -> None:
    copy = built["node"]
    shutil.copy(NODE / "types.ts", copy / "types.ts")
    tsc = NODE / "node_modules" / "typescript" / "bin" / "tsc"
    try:
        node(tsc, "--project", copy, "--noEmit")
    finally:
        (copy / "types.ts").unlink()


def test_ids_and_texts_are_those_of_python(built: dict[str, Path]) -> None:
    ulids = ["00000000000000000000000000", "7ZZZZZZZZZZZZZZZZZZZZZZZZZ"]
    ulids += [deterministic_ulid(1_790_000_000_000 + at, str(at)) for at in range(20)]
    ulids += [ulids[-1].lower()]
    module = (built["node"] / "build" / "nightpane.js").as_uri()
    saw = json.loads(node(NODE / "vectors.mjs", module, *ulids))
    assert saw["sessions"] == [session_id_from_ulid(ulid) for ulid in ulids]
    assert is_ulid(saw["made"])
    assert saw["ordered"]
    assert saw["session"] == session_id_from_ulid(saw["made"])
    assert saw["refused"] == "RangeError: not a ULID: none"
    plan, case, crashed, nowhere = (message["properties"] for message in saw["sent"])
    assert (plan["plan"], plan["plan_length"]) == ("😀" * 500, 501)
    assert (plan["$ai_span_id"], plan["$ai_parent_id"]) == ("s", "step")
    assert case["$ai_span_id"] == f"{case['suite_id']}:a-b"
    assert case["$ai_parent_id"] == case["suite_id"]
    assert (case["own"], case["score"]) == (1, None)
    assert "$nightpane_invalid" not in crashed
    assert "$session_id" not in crashed
    assert nowhere["$nightpane_invalid"] == [
        "score is missing; it is required",
        "round_id is missing; it is required",
    ]


def kinds(events: list[tuple[str, str, dict[str, Any]]]) -> dict[tuple[str, str], str]:
    """Return the JSON type of each property nightpane declares or sets, by event and property."""
    words = {bool: "boolean", int: "number", float: "number", str: "text", list: "list"}
    own = {one.name for one in (*catalog.ENVELOPE, *catalog.AI_PROPERTIES)}
    own |= {"$ai_span_id", "$ai_parent_id"}
    found: dict[tuple[str, str], str] = {}
    for event, _, properties in events:
        declared = (
            own | {one.name for one in catalog.EVENTS[event].properties}
            if event in catalog.EVENTS
            else own
        )
        for name, value in properties.items():
            if name == "$session_id" and "round_id" not in properties:
                continue  # outside of rounds the browser has a session of its own
            if name in declared or name.startswith("dim_"):
                kind = words.get(type(value), "object")
                assert found.setdefault((event, name), kind) == kind
    return found


def python_events(server: LocalServer, spool: Path) -> list[tuple[str, str, dict[str, Any]]]:
    """Return what the same round leaves when it is tracked from Python."""
    with Pane(
        "autoresearch",
        "python",
        api_key=server.api_key,
        host=server.host,
        spool_dir=spool,
        git_sha="abc1234",
    ) as pane:
        with pane.run() as night:
            for keeps in (True, False):
                with night.round(agent="coder", model="cosine", baseline_score=-6.5) as one:
                    with one.plan(
                        "take a step aside", next_action="propose", confidence=0.5, agent="planner"
                    ):
                        pane.posthog.capture(
                            "$ai_generation", properties={**GENERATION, "$ai_trace_id": None}
                        )
                    one.generated(
                        prompt_tokens=12,
                        completion_tokens=3,
                        cost_usd=0.0002,
                        latency_ms=10,
                        summary="s",
                        diff="d",
                    )
                    with one.tool("write", {"x": 1.0}) as step:
                        step.returns({"written": True})
                    one.applied(target="x", diff_bytes=8, apply_latency_ms=1)
                    one.observe("review", {"latency_ms": 1})
                    with one.suite("parabolas", scorer_version="1", n_cases=2) as suite:
                        suite.case("near_two", dim="near_two", score=-1.5, passed=False)
                    one.scored(
                        -1.5,
                        dims={"height": -1.5, "verdict": 1.0},
                        metric="height",
                        direction="max",
                        measured=False,
                    )
                    if keeps:
                        one.keep()
                    else:
                        one.reflect("worse", issues=["height"])
                        one.revert("score_missed", reason="by hand")
        pane.flush(20)
    return by_client(server, "python", pane.health().delivered)


GENERATION = {
    "$ai_model": "cosine",
    "$ai_provider": "example",
    "$ai_input_tokens": 12,
    "$ai_output_tokens": 3,
    "$ai_latency": 0.01,
    "$ai_total_cost_usd": 0.0002,
    "phase": "proposal",
    "task_type": "ar.propose",
    "$ai_input": [{"role": "user", "content": "x is 0"}],
    "$ai_output_choices": [{"role": "assistant", "content": "1"}],
}


def test_node_and_the_browser_send_what_python_sends(
    server: LocalServer, built: dict[str, Path], tmp_path: Path
) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    require(chromium, "chromium (Debian's package chromium)")
    assert chromium is not None
    node(
        built["node"] / "build" / "loop.js",
        POSTHOG_API_KEY=server.api_key,
        POSTHOG_HOST=server.host,
        AUTORESEARCH_PROJECT="autoresearch",
        AUTORESEARCH_CLIENT="node",
    )
    page = built["browser"]
    shutil.copy(
        NODE / "node_modules" / "posthog-js" / "dist" / "module.no-external.js",
        page / "build" / "posthog.js",
    )
    query = f"host={server.host}&key={server.api_key}&client=browser"
    saw = json.loads(node(NODE / "browser_review.mjs", page, query, chromium, tmp_path / "profile"))
    assert saw == {"errors": [], "said": "2 of 2 reviewed"}
    found = {
        "node": by_client(server, "node", 38),
        "browser": by_client(server, "browser", 15),
    }
    python = kinds(python_events(server, tmp_path / "spool"))
    for sender, events in found.items():
        for event, who, properties in events:
            assert catalog.problems(event, properties) == []
            assert "$nightpane_invalid" not in properties
            assert who == f"autoresearch:{sender}:{properties['agent']}"
            if (round_id := properties.get("round_id")) is not None:
                assert properties["$session_id"] == session_id_from_ulid(round_id)
                assert properties["$ai_trace_id"] == round_id
        differing = {
            key: (kind, python.get(key))
            for key, kind in kinds(events).items()
            if kind != python.get(key)
        }
        assert differing == {}
        check_trees(events)
    names = {event for event, _, _ in found["node"]}
    assert names >= {"$ai_generation", "step.tool_returned", "eval.case", "round_reverted"}
    outcomes = {event: one for event, _, one in found["browser"]}
    assert outcomes["round_kept"]["delta"] == 0.5
    assert outcomes["stop_triggered"]["rounds_completed"] == 2
    sessions = {one["$session_id"] for event, _, one in found["browser"] if "round_id" in one}
    assert len(sessions) == 2


def check_trees(events: list[tuple[str, str, dict[str, Any]]]) -> None:
    """Each round is one tree: every parent is the id of an event of the same round."""
    rounds: dict[str, list[dict[str, Any]]] = {}
    for _, _, properties in events:
        if "round_id" in properties:
            rounds.setdefault(properties["round_id"], []).append(properties)
    for round_id, inside in rounds.items():
        spans = {one["$ai_span_id"] for one in inside if "$ai_span_id" in one}
        roots = [one for one in inside if one.get("$ai_parent_id") is None]
        assert [one["$ai_span_id"] for one in roots] == [round_id]
        assert {one["$ai_parent_id"] for one in inside if "$ai_parent_id" in one} <= spans
