"""Token Machine's events: from Python and from Node, joined to rounds, never counted twice."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.client.support import Network
from tests.helpers import require

import nightpane
from nightpane.ids import new_ulid
from nightpane.testing import LocalServer
from nightpane.token_machine import TokenMachine

ROOT = Path(__file__).parent.parent.parent
EXAMPLE = ROOT / "examples" / "token-machine" / "emitter.mjs"
PACKAGES = ROOT / "tests" / "contract" / "node" / "node_modules"
CALL: dict[str, Any] = {
    "model_used": "gpt-4o-mini",
    "input_tokens": 1200,
    "output_tokens": 300,
    "cost_usd": 0.5,
}
TWINS = {
    "$ai_model": "gpt-4o-mini",
    "$ai_input_tokens": 1200,
    "$ai_output_tokens": 300,
    "$ai_total_cost_usd": 0.5,
}


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def pane(
    tmp_path: Path, network: Network, monkeypatch: pytest.MonkeyPatch
) -> Iterator[nightpane.Pane]:
    monkeypatch.delenv("BAGGAGE", raising=False)
    with nightpane.Pane(
        "gtm-autoresearch",
        "acme",
        api_key="phc_test",
        host="http://127.0.0.1:9",
        spool_dir=tmp_path / "spool",
        transport=network,
        strict=True,
    ) as made:
        yield made


def sent(pane: nightpane.Pane, network: Network, event: str) -> list[dict[str, Any]]:
    assert pane.flush()
    return [one for one in network.events if one["event"] == event]


def test_a_request_carries_both_sides_names(pane: nightpane.Pane, network: Network) -> None:
    uuid = TokenMachine(pane).request(
        **CALL,
        task_type="gtm.rewrite",
        quality_score=0.8,
        efficiency_grade="A",
        latency_ms=640,
        request_id="tm-1",
        span_id="span",
        completion_id="chatcmpl-1",
        route="cheap",
    )
    (request,) = sent(pane, network, "token_machine.request")
    assert request["uuid"] == uuid
    assert (
        request["properties"].items()
        >= {
            **CALL,
            **TWINS,
            "task_type": "gtm.rewrite",
            "quality_score": 0.8,
            "efficiency_grade": "A",
            "latency_ms": 640,
            "request_id": "tm-1",
            "$ai_span_id": "span",
            "$ai_completion_id": "chatcmpl-1",
            "route": "cheap",
            "agent": "token-machine",
        }.items()
    )
    assert "round_id" not in request["properties"]
    assert request["distinct_id"] == "gtm-autoresearch:acme:token-machine"
    assert request["properties"]["user_id"] == request["distinct_id"]


def test_an_unknown_cost_stays_out(pane: nightpane.Pane, network: Network) -> None:
    TokenMachine(pane).request(model_used="m")
    (request,) = sent(pane, network, "token_machine.request")
    assert not {"cost_usd", "$ai_total_cost_usd", "$ai_input_tokens"} & set(request["properties"])


def test_who_called_is_the_distinct_id(pane: nightpane.Pane, network: Network) -> None:
    machine = TokenMachine(pane)
    machine.request(model_used="m", user_id="ann@example.org")
    machine.anomaly("wrong_model", user_id="ann@example.org", recommendation="another model")
    for name in ("token_machine.request", "token_machine.anomaly"):
        (event,) = sent(pane, network, name)
        assert event["distinct_id"] == event["properties"]["user_id"] == "ann@example.org"


def test_a_summary_and_an_anomaly(pane: nightpane.Pane, network: Network) -> None:
    machine = TokenMachine(pane, agent="router")
    machine.team_summary(
        total_requests=3, total_cost=0.75, avg_quality=0.5, escalation_candidates=("gtm.rewrite",)
    )
    machine.anomaly("wrong_model", task_type="gtm.rewrite")
    (summary,) = sent(pane, network, "token_machine.team_summary")
    assert summary["properties"]["escalation_candidates"] == ["gtm.rewrite"]
    assert summary["properties"]["total_cost"] == 0.75
    assert "user_id" not in summary["properties"]
    (anomaly,) = sent(pane, network, "token_machine.anomaly")
    assert anomaly["properties"]["user_id"] == anomaly["distinct_id"]
    assert anomaly["properties"]["agent"] == "router"


def test_inside_a_round_grades_become_its_quality(pane: nightpane.Pane, network: Network) -> None:
    machine, other_round = TokenMachine(pane), new_ulid()
    with pane.run(agent="coder") as run:
        with run.round() as round_:
            machine.request(**CALL, quality_score=0.5)
            with round_.plan("try it"):
                machine.request(**CALL, quality_score=1.0)
            machine.request(**CALL)
            machine.request(**CALL, quality_score=0.0, round_id=other_round)
            round_.scored(1.0)
            round_.keep()
        with run.round() as other:
            other.scored(1.0)
            other.keep()
    first, second = sent(pane, network, "round_scored")
    assert first["properties"]["quality_score"] == 0.75
    assert "quality_score" not in second["properties"]
    requests = sent(pane, network, "token_machine.request")
    rounds = [one["properties"]["round_id"] for one in requests]
    assert rounds == [round_.round_id] * 3 + [other_round]
    assert {one["properties"]["run_id"] for one in requests} == {run.run_id}
    assert {one["properties"]["agent"] for one in requests} == {"coder"}
    assert requests[0]["distinct_id"] == requests[0]["properties"]["user_id"]
    assert requests[0]["properties"]["user_id"] == "gtm-autoresearch:acme:coder"


def test_outside_a_round_it_joins_the_one_that_is_named(
    pane: nightpane.Pane, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = TokenMachine(pane)
    with pane.run(agent="coder") as run, run.round() as round_:
        headers, environ = round_.carrier(), round_.environ()
        round_.revert("score_missed")
    machine.request(model_used="m", baggage={**headers, "accept": "*/*"})
    machine.request(model_used="m", round_id=round_.round_id)
    monkeypatch.setenv("BAGGAGE", environ["BAGGAGE"])
    machine.request(model_used="m")
    machine.anomaly("wrong_model")
    found = sent(pane, network, "token_machine.request")
    found += sent(pane, network, "token_machine.anomaly")
    assert [one["properties"]["round_id"] for one in found] == [round_.round_id] * 4
    assert [one["properties"]["$ai_trace_id"] for one in found] == [round_.round_id] * 4
    assert [one["properties"].get("run_id") for one in found] == [
        *(run.run_id, None, run.run_id, run.run_id)
    ]


def test_odd_values_never_reach_the_loop(tmp_path: Path, network: Network) -> None:
    with nightpane.Pane(
        "p", api_key="k", host="http://127.0.0.1:9", spool_dir=tmp_path / "s", transport=network
    ) as pane:
        odd: Any = TokenMachine(pane)
        assert odd.request(model_used=3, user_id=7, quality_score="good", cost_usd="a lot")
        assert odd.request(model_used="m", baggage="%%%=;;,")
        one, _ = sent(pane, network, "token_machine.request")
    assert one["distinct_id"] == "7"
    assert one["properties"]["$nightpane_invalid"]


def stored(server: LocalServer, condition: str, **values: str) -> list[list[Any]]:
    """Return event and properties of what has arrived, once there is something."""
    query = f"select event, properties from events where {condition} order by event limit 100"
    deadline = time.monotonic() + 20
    while not (rows := server.query().hogql(query, values).rows):
        assert time.monotonic() < deadline, server.log
        time.sleep(0.02)
    return rows


def test_its_own_node_emitter(server: LocalServer, tmp_path: Path) -> None:
    node = shutil.which("node")
    require(node, "node (Debian's package nodejs)")
    require((PACKAGES / "posthog-node").is_dir(), "npm ci --prefix tests/contract/node")
    shutil.copy(EXAMPLE, tmp_path)
    (tmp_path / "node_modules").symlink_to(PACKAGES)
    with nightpane.Pane(
        "gtm-autoresearch",
        api_key=server.api_key,
        host=server.host,
        spool_dir=tmp_path / "spool",
    ) as pane:
        with pane.run(agent="critic") as run, run.round() as round_:
            environ = {
                **os.environ,
                **round_.environ(),
                "POSTHOG_HOST": server.host,
                "POSTHOG_API_KEY": server.api_key,
            }
            done = subprocess.run(
                [str(node), str(tmp_path / EXAMPLE.name)],
                env=environ,
                capture_output=True,
                text=True,
                timeout=120,
            )
            assert (done.returncode, done.stderr) == (0, "")
            round_.scored(1.0)
            round_.keep()
        assert pane.flush()
    rows = {
        event: json.loads(text) for event, text in stored(server, "event like 'token_machine.%'")
    }
    assert len(rows) == 3
    request = rows["token_machine.request"]
    twins = {**TWINS, "$ai_total_cost_usd": 0.00036}
    assert {key: request[key] for key in twins} == twins
    assert request["user_id"] == "gtm-autoresearch:internal:critic"
    assert rows["token_machine.team_summary"]["total_requests"] == 1
    assert rows["token_machine.anomaly"]["type"] == "wrong_model"
    joined = """select scored.properties.score, request.properties.quality_score
        from events as request join events as scored
        on request.properties.round_id = scored.properties.round_id
        where request.event = 'token_machine.request' and scored.event = 'round_scored'"""
    assert server.query().hogql(joined).rows == [[1.0, 0.82]]


def send(server: LocalServer, *events: tuple[str, dict[str, Any]]) -> None:
    import requests

    batch = [
        {"event": name, "distinct_id": "ann", "properties": properties}
        for name, properties in events
    ]
    body = {"api_key": server.api_key, "batch": batch}
    requests.post(f"{server.host}/batch/", json=body, timeout=30).raise_for_status()


EITHER = """select event, properties.model_used, properties.$ai_model, properties.cost_usd,
    properties.$ai_total_cost_usd, properties.input_tokens, properties.$ai_output_tokens
    from events where properties.way = {way} order by event"""


@pytest.mark.parametrize("given", [CALL, TWINS], ids=["token-machine", "posthog"])
def test_a_query_may_use_either_name(
    server: LocalServer, given: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    way = request.node.name
    send(
        server,
        ("token_machine.request", {**given, "way": way}),
        ("$ai_generation", {**TWINS, "way": way}),
    )
    same = ["gpt-4o-mini", "gpt-4o-mini", 0.5, 0.5, 1200, 300]
    assert server.query().hogql(EITHER, {"way": way}).rows == [
        ["$ai_generation", *same],
        ["token_machine.request", *same],
    ]


def test_who_called_is_known_of_a_foreign_emitters_request(server: LocalServer) -> None:
    send(server, ("token_machine.request", {"way": "user"}))
    ((_, text),) = stored(server, "properties.way = {way}", way="user")
    assert json.loads(text) == {"way": "user", "user_id": "ann"}


def test_a_call_that_both_recorded_is_counted_once(server: LocalServer) -> None:
    (block,) = (
        part.partition("```")[0]
        for part in (ROOT / "docs" / "token-machine.md").read_text("utf-8").split("```sql\n")[1:]
        if "count() as calls" in part
    )
    project = {"project": "both"}
    send(
        server,
        ("$ai_generation", {**TWINS, **project, "$ai_span_id": "seen-by-both"}),
        ("$ai_generation", {**TWINS, **project, "$ai_span_id": "the-wrappers-only"}),
        ("token_machine.request", {**CALL, **project, "$ai_span_id": "seen-by-both"}),
        ("token_machine.request", {**CALL, **project, "request_id": "token-machines-only"}),
    )
    assert server.query().hogql(block, {"project": "both"}).rows == [["gpt-4o-mini", 3, 1.5]]
