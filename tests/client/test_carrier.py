"""A round's carrier: another process joins the round, and no header harms it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from tests.client.support import Network
from tests.client.test_steps import by_name, events

import nightpane
from nightpane.ids import session_id_from_ulid

Make = Callable[..., nightpane.Pane]


def test_a_joined_round_is_neither_begun_nor_closed(
    make_pane: Make, network: Network, tmp_path: Any
) -> None:
    pane = make_pane()
    other = make_pane(project="autoagent", client="else", spool_dir=tmp_path / "other")
    with pane.run() as run, run.round(agent="coder") as round_:
        with round_.tool("start") as step:
            carrier = round_.carrier()
        with other.join(carrier) as joined:
            other.track("as_coder")
            joined.generated(prompt_tokens=3)
            with joined.tool("inner") as inner:
                other.track("inside")
        with other.join({"Baggage": carrier["baggage"]}, agent="critic") as again:
            again.scored(0.5, metric="m", direction="min")
        assert (joined.round_id, again.round_id) == (round_.round_id, round_.round_id)
        round_.keep()
    pane.flush(10)
    for one in events(other, network):
        if one["event"] == "stop_triggered":
            continue
        assert one["round_id"] == one["$ai_trace_id"] == round_.round_id
        assert one["$session_id"] == session_id_from_ulid(round_.round_id)
        assert one["run_id"] == run.run_id
        assert (one["project"], one["client"]) == ("autoresearch", "acme")
        assert "$nightpane_invalid" not in one
    (as_coder,) = by_name(other, network, "as_coder")
    assert (as_coder["agent"], as_coder["$ai_parent_id"]) == ("coder", step.step_id)
    assert by_name(other, network, "inside")[0]["$ai_parent_id"] == inner.step_id
    (scored,) = by_name(other, network, "round_scored")
    assert (scored["agent"], scored["direction"]) == ("critic", "min")
    names = [event["event"] for event in network.events]
    assert names.count("round_started") == names.count("round_kept") == 1
    places = {event["distinct_id"] for event in network.events}
    assert places == {f"autoresearch:acme:{one}" for one in ("coder", "critic", "orchestrator")}


def test_a_child_process_joins_by_its_environment(
    pane: nightpane.Pane, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAGGAGE", "theirs=1;meta, nightpane.round_id=stale,other=%20x")
    with pane.run() as run, run.round(agent="the coder, é") as round_:
        environ = round_.environ()
        round_.keep()
    code = "import os; print(os.environ['BAGGAGE'])"
    child = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
    )
    assert child.stdout.strip().endswith("theirs=1;meta,other=%20x")
    monkeypatch.setenv("BAGGAGE", child.stdout.strip())
    with pane.join() as joined:
        pane.track("joined")
        assert joined.carrier() == {"baggage": environ["BAGGAGE"].split(",theirs")[0]}
    (one,) = by_name(pane, network, "joined")
    assert (one["round_id"], one["agent"]) == (round_.round_id, "the coder, é")


@pytest.mark.parametrize(
    "carrier",
    [
        *("", "nonsense", ",,;;==", "nightpane.round_id=", "nightpane.run_id=x"),
        *("nightpane.round_id=a%00b", "nightpane.round_id=" + "x" * 500, "%ff" * 5000),
        *({}, {"baggage": "nightpane.agent=a"}, {"other": "nightpane.round_id=x"}, 7),
    ],
    ids=lambda carrier: str(carrier)[:24],
)
def test_what_names_no_round_joins_none(
    make_pane: Make, network: Network, caplog: pytest.LogCaptureFixture, carrier: Any
) -> None:
    pane = make_pane()
    with pane.join(carrier) as joined:
        pane.track("alone")
        with joined.tool("t") as step:
            pane.track("in_step")
    assert joined.round_id == ""
    assert caplog.text.count("there is no round to join") == 1
    (alone,) = by_name(pane, network, "alone")
    assert (alone["agent"], "round_id" in alone) == ("orchestrator", False)
    assert by_name(pane, network, "in_step")[0]["$ai_parent_id"] == step.step_id


def test_unfit_values_of_a_header_are_left_out(pane: nightpane.Pane, network: Network) -> None:
    header = "nightpane.round_id=r-1 ; p=1,nightpane.agent=%0a,nightpane.parent_id=a b"
    header += ",nightpane.client=" + "c" * 500 + ",nightpane.project=p%2Cq"
    with pane.join(header):
        pane.track("joined")
    (one,) = by_name(pane, network, "joined")
    assert (one["round_id"], one["$ai_parent_id"], one["agent"]) == ("r-1", "r-1", "orchestrator")
    assert (one["client"], one["project"]) == ("acme", "p,q")
