"""The main job, whole: a loop trains, its events arrive, its morning is printed."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.helpers import require

from nightpane import catalog
from nightpane.testing import LocalServer


@pytest.fixture(autouse=True)
def _the_loop_can_train() -> None:
    require(importlib.util.find_spec("sklearn"), "scikit-learn (extra: demo), for the example loop")


def demo(environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nightpane", "demo", "--exit", "--rounds", "13", *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)


def test_a_night_arrives_whole(tmp_path: Path) -> None:
    with LocalServer(tmp_path / "server") as server:
        environ = {name: value for name, value in server.environ.items() if "POSTHOG" not in name}
        done = demo(environ, "--seed", "9")
        assert done.returncode == 0, done.stderr
        counts = dict(server.query().hogql("SELECT event, count() FROM events GROUP BY event").rows)
        invalid = server.query().hogql(
            "SELECT count() FROM events WHERE properties.$nightpane_invalid IS NOT NULL"
        )
    core = {name for name, spec in catalog.EVENTS.items() if spec.group == "core"}
    assert set(counts) == core
    # With this seed the first proposer stalls, so that an escalation is among the events.
    assert counts["round_started"] == counts["round_scored"] == 13
    assert counts["round_kept"] + counts["round_reverted"] == 13
    assert invalid.rows == [[0]]
    assert "13 rounds" in done.stdout


def test_without_a_server_it_brings_its_own(tmp_path: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if "POSTHOG" not in name}
    environ |= {
        "NIGHTPANE_STATE_DIR": str(tmp_path / "state"),
        "NIGHTPANE_DATA_DIR": str(tmp_path / "data"),
    }
    done = demo(environ, "--json", "--port", "0", "--rounds", "2")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)
    assert list((tmp_path / "state" / "servers").glob("*.json")) == []
