"""``nightpane query``: real commands against a real server."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys

import pytest
import requests

from nightpane.testing import LocalServer


@pytest.fixture(scope="module")
def filled(server: LocalServer) -> LocalServer:
    """The module's server, with a few events that are not kind to a terminal."""
    batch = [
        {
            "event": name,
            "distinct_id": "d",
            "properties": {"project": "p", "note": "\x1b[31m=1+1\n[bold]", "n": n},
        }
        for n, name in enumerate(["a", "b", "b"])
    ]
    requests.post(
        f"{server.host}/batch/", json={"api_key": server.api_key, "batch": batch}, timeout=30
    ).raise_for_status()
    return server


def nightpane(
    server: LocalServer, *arguments: str, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nightpane", "query", *arguments],
        env={**server.environ, "COLUMNS": "120"},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


BY_EVENT = "SELECT event, count() AS n FROM events GROUP BY event ORDER BY event"


def test_a_table(filled: LocalServer) -> None:
    done = nightpane(filled, BY_EVENT)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [line for line in lines if line[:1] == ["a"]] == [["a", "│", "1"]]
    assert "2 rows" in done.stdout


def test_json(filled: LocalServer) -> None:
    found = json.loads(nightpane(filled, "--json", BY_EVENT).stdout)
    assert found["results"] == [["a", 1], ["b", 2]]
    assert found["columns"] == ["event", "n"]
    assert found["hasMore"] is False


def test_csv_is_safe_for_a_spreadsheet(filled: LocalServer) -> None:
    done = nightpane(
        filled, "--csv", "SELECT properties.note, '=2+3' AS f, [1], null FROM events LIMIT 1"
    )
    rows = list(csv.reader(io.StringIO(done.stdout)))
    assert rows[0][:2] == ["note", "f"]
    assert rows[1][1:] == ["'=2+3", "[1]", ""]


def test_control_characters_and_markup_are_shown_not_obeyed(filled: LocalServer) -> None:
    done = nightpane(filled, "SELECT properties.note FROM events LIMIT 1")
    assert "\x1b" not in done.stdout
    assert "[bold]" in done.stdout


def test_values_and_standard_input(filled: LocalServer) -> None:
    query = "SELECT count() FROM events WHERE event = {e} AND properties.n < {n}"
    done = nightpane(filled, "--json", "--value", "e=b", "--value", "n=2", "-", stdin=query)
    assert json.loads(done.stdout)["results"] == [[1]]
    done = nightpane(filled, "--json", "--value", 'l=["a", "b"]', "SELECT 'b' IN {l}, {l}")
    assert json.loads(done.stdout)["results"] == [[1, ["a", "b"]]]


def test_more_rows_than_the_limit(filled: LocalServer) -> None:
    done = nightpane(filled, "SELECT number FROM numbers(5) LIMIT 2")
    assert "2 rows, cut at its limit of 2: there are more" in done.stdout


def test_a_mistake_is_shown_in_its_line(filled: LocalServer) -> None:
    done = nightpane(filled, "SELECT event,\n  chipotle\nFROM events")
    assert done.returncode == 2
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert lines[:2] == ["  chipotle", "  ^"]
    assert lines[2] == "error: Unable to resolve field: chipotle (line 2, column 3)"


def test_usage_mistakes(filled: LocalServer) -> None:
    assert nightpane(filled, "--json", "--csv", "SELECT 1").returncode == 2
    done = nightpane(filled, "--value", "novalue", "SELECT 1")
    assert done.returncode == 2
    assert "NAME=VALUE" in done.stderr
