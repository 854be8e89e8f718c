"""``nightpane morning`` and ``nightpane tail``: real commands against a real server."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.pane_events import event, one_round, send

from nightpane.testing import LocalServer

EVENING = datetime(2026, 3, 8, 21).astimezone()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with LocalServer(tmp_path_factory.mktemp("server")) as running:
        events = one_round(EVENING - timedelta(days=1), project="cli", score=1.0, kept=True)
        events += one_round(EVENING, project="cli", score=2.0, kept=True, end={"cost_usd": 0.5})
        events += one_round(EVENING, project="cli", score=None, failure_mode="crash")
        events.append(event("stop_triggered", EVENING, project="cli", reason="budget"))
        send(running, events)
        yield running


def nightpane(server: LocalServer, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nightpane", *arguments],
        env={**server.environ, "COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_terminal_tells_the_night(server: LocalServer) -> None:
    done = nightpane(server, "morning")
    assert (done.returncode, done.stderr) == (0, "")
    for said in (
        "Night of 8 to 9 March 2026",
        "cli ran 2 rounds and kept 1; best m 2, 1 better than 1 the night before.",
        "1 = 50% (9–91)",
        "at least $0.50 (known for 1 of 2 rounds)",
        "crash 1",
        "budget 1",
        "1 scored round; a verdict takes 8",
    ):
        assert said in done.stdout


def test_json_and_markdown_tell_the_same(server: LocalServer) -> None:
    found = json.loads(nightpane(server, "morning", "--json").stdout)
    (loop,) = found["loops"]
    assert (loop["rounds"], loop["kept"], loop["scores"][0]["best"]) == (2, 1, 2.0)
    assert loop["stop_reasons"] == [{"word": "budget", "times": 1}]
    text = nightpane(server, "morning", "--markdown").stdout
    assert text.startswith("# Night of 8 to 9 March 2026\n")
    assert found["headline"] in text


def test_a_date_names_the_night_that_begins_on_it(server: LocalServer) -> None:
    found = json.loads(nightpane(server, "morning", "--date", "2026-03-07", "--json").stdout)
    assert (found["rounds"], found["night"]["is_latest"]) == (1, False)
    empty = nightpane(server, "morning", "--date", "2026-01-01")
    assert empty.returncode == 0
    assert "No rounds in the night of 1 to 2 January 2026." in empty.stdout


def test_nothing_yet_says_what_to_do(server: LocalServer) -> None:
    done = nightpane(server, "morning", "--project", "nobody")
    assert done.returncode == 0
    assert "nightpane import" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--date", "yesterday"], "--date 'yesterday' is not a date: write it as 2026-03-08"),
        (["--json", "--markdown"], "exclude each other"),
    ],
)
def test_a_mistake_in_the_call_is_said(
    server: LocalServer, arguments: list[str], said: str
) -> None:
    done = nightpane(server, "morning", *arguments)
    assert done.returncode == 2
    assert said in done.stderr


def test_without_a_server_it_says_how_to_get_one(tmp_path: Path) -> None:
    away = LocalServer(tmp_path)
    away.host, away.personal_api_key = "http://127.0.0.1:9", "phx_none"
    away.project_id = "1"
    done = nightpane(away, "morning")
    assert done.returncode == 3
    assert "nightpane up" in done.stderr


def test_tail_once_prints_the_latest_events(server: LocalServer) -> None:
    done = nightpane(server, "tail", "--once", "--event", "round_reverted", "--json")
    (line,) = done.stdout.splitlines()
    assert json.loads(line)["properties"]["failure_mode"] == "crash"


def test_tail_gives_what_arrives_and_ends_at_its_limit(server: LocalServer) -> None:
    command = [sys.executable, "-m", "nightpane", "tail", "--project", "live", "--limit", "3"]
    with subprocess.Popen(
        [*command, "--json"], env=server.environ, stdout=subprocess.PIPE, text=True
    ) as tail:
        assert tail.stdout is not None
        names = []
        for i in range(3):
            send(server, [event(f"live_{i}", EVENING, project="live")])
            if i == 0:
                # Printed whether it came before the first look or after it.
                names.append(json.loads(tail.stdout.readline())["event"])
        names += [json.loads(line)["event"] for line in tail.stdout]
        assert tail.wait(30) == 0
    assert names == ["live_0", "live_1", "live_2"]
