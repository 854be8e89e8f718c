"""The doctor: what it finds wrong, what it says to do, and what it leaves unknown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nightpane import Pane
from nightpane.cli.main import run
from nightpane.config import Settings, load
from nightpane.doctor import Check, examine
from nightpane.testing import LocalServer


def settings(tmp_path: Path, **arguments: object) -> Settings:
    environ = {"NIGHTPANE_STATE_DIR": str(tmp_path / "client")}
    return load(environ=environ, cwd=tmp_path, find_server=False, **arguments)


def of(server: LocalServer, tmp_path: Path, **arguments: object) -> Settings:
    keys = {
        "host": server.host,
        "project_id": server.project_id,
        "api_key": server.api_key,
        "personal_api_key": server.personal_api_key,
    }
    return settings(tmp_path, **(keys | arguments))


def checks(found: Settings) -> dict[str, Check]:
    return {check.name: check for check in examine(found)}


def test_all_is_well(server: LocalServer, tmp_path: Path) -> None:
    found = checks(of(server, tmp_path))
    assert {name: check.status for name, check in found.items() if check.status != "ok"} == {}
    assert {"clock", "schema", "spool", "project API key", "personal API key"} <= set(found)


def test_nothing_is_set(tmp_path: Path) -> None:
    found = checks(settings(tmp_path))
    assert found["host"].status == "broken"
    assert "nightpane up" in found["host"].mend
    assert found["clock"].status == found["schema"].status == "unknown"


def test_wrong_keys_are_told_apart(server: LocalServer, tmp_path: Path) -> None:
    found = checks(of(server, tmp_path, api_key="phc_wrong", personal_api_key="phx_wrong"))
    assert found["project API key"].status == "broken"
    assert found["connection"].status == "ok"
    assert found["personal API key"].status == "broken"
    assert "phc_wrong" not in found["project API key"].detail


def test_a_personal_key_cannot_write(server: LocalServer, tmp_path: Path) -> None:
    found = checks(of(server, tmp_path, api_key=server.personal_api_key))
    assert "cannot write" in found["project API key"].detail


def test_a_server_that_is_away(tmp_path: Path) -> None:
    found = checks(
        settings(tmp_path, host="http://127.0.0.1:9", api_key="phc_x", personal_api_key="phx_x")
    )
    assert found["connection"].status == "broken"
    assert found["project API key"].status == "unknown"


def test_what_waits_in_the_spool_is_found(tmp_path: Path) -> None:
    away = settings(tmp_path, host="http://127.0.0.1:9", api_key="phc_x")
    with Pane(project="p", host=away.host, api_key="phc_x", spool_dir=away.spool_dir) as pane:
        pane.track("round_scored", agent="judge", score=1.0)
        pane.close(timeout_s=0)
    found = checks(away)["spool"]
    assert (found.status, "1 events wait" in found.detail) == ("finding", True)


def test_faulty_events_are_found(server: LocalServer, tmp_path: Path) -> None:
    found = of(server, tmp_path)
    with Pane(
        project="p", host=found.host, api_key=found.api_key, spool_dir=found.spool_dir
    ) as pane:
        pane.track("round_reverted", agent="judge", failure_mode=7)
        assert pane.flush(timeout_s=30)
    schema = checks(found)["schema"]
    assert schema.status == "finding"
    assert "round_reverted (1)" in schema.detail


def test_the_command_ends_with_its_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NIGHTPANE_STATE_DIR", str(tmp_path))
    assert run(["doctor", "--json"]) == 3
    rows = json.loads(capsys.readouterr().out)
    assert {"name", "status", "detail", "mend"} == set(rows[0])
    assert run(["doctor"]) == 3
    assert "broken" in capsys.readouterr().out
    monkeypatch.setenv("POSTHOG_API_KEY", "phc_very_secret_key")
    assert run(["doctor", "--settings", "--json"]) == 0
    assert "very_secret" not in capsys.readouterr().out
