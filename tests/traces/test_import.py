"""Recorded calls, imported into a real server and read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.traces.test_formats import MINI

from nightpane.cli.main import run
from nightpane.testing import LocalServer

CALLS = (
    "select properties.$ai_trace_id, count(), sum(properties.$ai_input_tokens), "
    "sum(properties.$ai_total_cost_usd) from events where event = '$ai_generation' group by 1"
)


def imported(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = run(["import", "--json", *arguments])
    return code, json.loads(capsys.readouterr().out)


def test_importing_twice_changes_nothing(
    server: LocalServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("POSTHOG_HOST", server.host)
    monkeypatch.setenv("POSTHOG_API_KEY", server.api_key)
    monkeypatch.setenv("NIGHTPANE_SPOOL_DIR", str(tmp_path / "spool"))
    path = tmp_path / "x.traj.json"
    path.write_text(json.dumps(MINI))
    for _ in range(2):
        code, report = imported(capsys, str(path))
        assert (code, report["calls"], report["rounds"]) == (0, 2, 0)
    (row,) = server.query().hogql(CALLS).rows
    assert row[1:3] == [2, 60]
    assert row[0].startswith("repo__7-")


def test_tables_for_a_person(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.traj.json").write_text(json.dumps(MINI))
    Path("other.json").write_text("{}")
    assert run(["import", "--dry-run", "x.traj.json", "other.json"]) == 1
    out = capsys.readouterr().out
    assert "mini-swe-agent trajectory" in out
    assert "2 model calls" in out
    assert "not imported: other.json is no ledger" in out
