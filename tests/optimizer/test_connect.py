"""Where there is nothing to read, the report says why and stops; what is written keeps the key."""

from __future__ import annotations

import json
import socket
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.optimizer.planted import plant, send

from nightpane.cli.optimize import command
from nightpane.optimizer import Options, Target, optimize
from nightpane.optimizer.connect import NothingToReadError
from nightpane.query import QueryClient
from nightpane.testing import LocalServer

NOW = datetime.now(UTC).replace(microsecond=0)


def stopped(client: QueryClient, folder: Path) -> NothingToReadError:
    target = Target(client.host, client.project_id, client.personal_api_key)
    options = Options(results_dir=folder, now=NOW, live_prices=False)
    with pytest.raises(NothingToReadError) as error:
        optimize(client, options, target=target, wait=lambda _: None)
    assert not (folder / "recommendations.md").exists()
    return error.value


def test_a_refused_key_stops_the_report_and_says_how_to_mend_it(
    server: LocalServer, tmp_path: Path
) -> None:
    error = stopped(QueryClient(server.host, server.project_id, "phx_wrong_key_of_mine"), tmp_path)
    summary = (tmp_path / "summary.md").read_text("utf-8")
    assert error.exit_code == 2
    assert "401" in summary
    assert "POSTHOG_PERSONAL_API_KEY" in summary
    assert "phx_wrong_key_of_mine" not in summary + str(error)


def test_an_empty_project_stops_the_report(server: LocalServer, tmp_path: Path) -> None:
    error = stopped(server.query(), tmp_path)
    assert error.exit_code == 3
    assert "holds no $ai_generation events" in (tmp_path / "summary.md").read_text("utf-8")


def test_a_host_that_does_not_answer_stops_the_report(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"http://127.0.0.1:{free.getsockname()[1]}"
    error = stopped(QueryClient(host, "1", "phx_any", sleep=lambda _: None), tmp_path)
    assert error.exit_code == 3
    assert "does not answer" in (tmp_path / "summary.md").read_text("utf-8")


def test_the_command_ends_with_the_reason_and_no_traceback(
    server: LocalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in server.environ.items():
        if name.startswith(("POSTHOG_", "NIGHTPANE_")):
            monkeypatch.setenv(name, value)
    done = CliRunner().invoke(
        command, ["--results-dir", str(tmp_path), "--no-live-prices"], standalone_mode=False
    )
    assert isinstance(done.exception, NothingToReadError)
    assert (tmp_path / "summary.md").exists()


@pytest.fixture(scope="module")
def target(server: LocalServer) -> Target:
    events = plant(3, NOW - timedelta(minutes=1), "folder").events[:300]
    events[0]["properties"]["$ai_error"] = f"the key {server.personal_api_key} was refused"
    events[0]["properties"]["$ai_http_status"] = 401
    send(server, events)
    return Target(server.host, server.project_id, server.personal_api_key)


def run(server: LocalServer, target: Target, folder: Path, **more: object) -> None:
    options = Options(results_dir=folder, now=NOW, live_prices=False, **more)  # type: ignore[arg-type]
    optimize(server.query(), options, target=target)


def test_the_key_is_in_no_file(server: LocalServer, target: Target, tmp_path: Path) -> None:
    run(server, target, tmp_path)
    key = server.personal_api_key.encode()
    assert [p for p in tmp_path.rglob("*") if p.is_file() and key in p.read_bytes()] == []
    text = (tmp_path / ".env").read_text("utf-8")
    assert text == f"POSTHOG_HOST={target.host}\nPOSTHOG_PROJECT_ID={target.project_id}\n"
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    assert ".env" in (tmp_path / ".gitignore").read_text("utf-8").split()
    assert json.loads((tmp_path / "data" / "model_pricing.json").read_text("utf-8"))


def test_the_key_is_saved_where_asked_for(
    server: LocalServer, target: Target, tmp_path: Path
) -> None:
    run(server, target, tmp_path, save_key=True)
    assert server.personal_api_key in (tmp_path / ".env").read_text("utf-8")
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    held = [
        path.name
        for path in tmp_path.rglob("*")
        if path.is_file() and server.personal_api_key.encode() in path.read_bytes()
    ]
    assert held == [".env"]


def test_equal_data_gives_an_equal_report(
    server: LocalServer, target: Target, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        run(server, target, tmp_path / name)
    for path in sorted((tmp_path / "one").rglob("*")):
        if path.suffix in (".csv", ".json", ".md") and path.name != "validation_report.json":
            other = tmp_path / "two" / path.relative_to(tmp_path / "one")
            assert path.read_bytes() == other.read_bytes(), path.name
