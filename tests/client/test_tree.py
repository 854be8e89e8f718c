"""One round of three agents in two processes on two machines: one tree, and nothing lost."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from nightpane.testing import LocalServer

WORKER = Path(__file__).with_name("tree_worker.py")


class Round:
    """The round of ``tree_worker.py``, run, delivered and read back."""

    def __init__(self, server: LocalServer, folder: Path, **die_after: int) -> None:
        self.server = server
        self.machines = {
            name: {
                **server.environ,
                "MACHINE": name,
                "NIGHTPANE_STATE_DIR": str(folder / name),
                "NIGHTPANE_SPOOL_DIR": str(folder / name / "spool"),
                "RETURNED": str(folder / f"{name}.returned"),
                "SKEW_S": "-2.0",
            }
            for name in ("alpha", "beta")
        }
        environ = self.machines["alpha"]
        for name, value in self.machines["beta"].items():
            if name == "RETURNED" or name.startswith("NIGHTPANE_S"):
                environ[f"BETA_{name.removeprefix('NIGHTPANE_')}"] = value
        environ["DIE_AFTER"] = str(die_after.get("alpha", 0))
        environ["BETA_DIE_AFTER"] = str(die_after.get("beta", 0))
        done = subprocess.run(
            [sys.executable, str(WORKER), "planner"], env=environ, capture_output=True, text=True
        )
        self.code, self.said = done.returncode, done.stderr
        self.run_id, self.round_id = done.stdout.split()

    def deliver(self) -> None:
        """Deliver what each machine's dead processes left, as its next night would."""
        for environ in self.machines.values():
            if Path(environ["NIGHTPANE_SPOOL_DIR"]).exists():
                command = [sys.executable, "-m", "nightpane", "spool", "flush"]
                subprocess.run(command, env=environ, check=True, capture_output=True)

    def returned(self) -> set[str]:
        found: set[str] = set()
        for environ in self.machines.values():
            path = Path(environ["RETURNED"])
            found |= set(path.read_text().split()) if path.exists() else set()
        return found

    def events(self) -> list[dict[str, Any]]:
        names = ("$ai_span_id", "$ai_parent_id", "$ai_trace_id", "$session_id", "agent", "step_id")
        columns = ", ".join(f"properties.{name} AS `{name}`" for name in names)
        query = f"SELECT toString(uuid) AS id, event, {columns} FROM events "
        query += "WHERE properties.run_id = {run} LIMIT 5000"
        return self.server.query().hogql(query, {"run": self.run_id}).dicts()


def depths(events: list[dict[str, Any]]) -> Counter[int]:
    """Return how many events lie how deep; fails where a way up does not end at the root."""
    above = {one["$ai_span_id"]: one["$ai_parent_id"] for one in events if one["$ai_span_id"]}
    found: Counter[int] = Counter()
    for one in events:
        depth, parent = 0, one["$ai_parent_id"]
        while parent is not None:
            assert parent in above, f"{one['event']}: there is no {parent}"
            depth, parent = depth + 1, above[parent]
            assert depth < 20, f"{one['event']} is its own ancestor"
        found[depth] += 1
    return found


def test_a_round_across_processes_is_one_tree(server: LocalServer, tmp_path: Path) -> None:
    round_ = Round(server, tmp_path)
    assert round_.code == 0, round_.said
    round_.deliver()
    everything = round_.events()
    events = [one for one in everything if one["event"] != "stop_triggered"]
    assert len(events) == len(everything) - 1
    counts = Counter(one["event"] for one in events)
    assert counts["$ai_generation"] == 60
    assert counts["eval.case"] == 9
    assert len({one["step_id"] for one in events if one["step_id"]}) == 40
    assert {one["agent"] for one in events} == {"planner", "coder", "judge"}
    assert {one["$ai_trace_id"] for one in events} == {round_.round_id}
    assert len({one["$session_id"] for one in events}) == 1
    roots = [one["event"] for one in events if one["$ai_parent_id"] is None]
    assert roots == ["round_started"]
    assert max(depths(events)) == 4  # root, evaluate, probe, inner, its generation
    pairs = Counter(
        (one["step_id"], one["event"]) for one in events if one["event"].startswith("step.tool")
    )
    assert set(pairs.values()) == {1}
    assert counts["step.tool_called"] == counts["step.tool_returned"]
    by_span = {one["$ai_span_id"]: one["event"] for one in events if one["$ai_span_id"]}
    judged = [one for one in events if one["event"] == "$ai_generation" and one["agent"] == "judge"]
    under = Counter(by_span[one["$ai_parent_id"]] for one in judged)
    assert under["eval.case"] == 9
    assert "round_started" not in under
    (invalid,) = (
        server.query()
        .hogql("SELECT count() FROM events WHERE properties.$nightpane_invalid IS NOT NULL")
        .rows
    )
    assert invalid == [0]
    quality = "SELECT properties.quality_score, properties.dim_d0 FROM events WHERE event = "
    quality += "'round_scored' AND properties.round_id = {round}"
    ((mean, first),) = server.query().hogql(quality, {"round": round_.round_id}).rows
    assert (mean, first) == (0.625, 0.5 + 9 / 96)
    assert round_.returned() == {one["id"] for one in everything}


@pytest.mark.parametrize(
    "die_after", [{"alpha": 7}, {"alpha": 60}, {"beta": 33}, {"beta": 75}], ids=str
)
def test_killing_a_process_loses_nothing(
    server: LocalServer, tmp_path: Path, die_after: dict[str, int]
) -> None:
    round_ = Round(server, tmp_path, **die_after)
    assert round_.code == (-9 if "alpha" in die_after else 0), round_.said
    round_.deliver()
    arrived = Counter(one["id"] for one in round_.events())
    returned = round_.returned()
    assert len(returned) >= next(iter(die_after.values()))
    assert returned - set(arrived) == set()
    assert set(arrived.values()) == {1}
