"""The command ``nightpane import``: what it prints, what it leaves, how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.ledgers.conftest import HEADER
from tests.ledgers.test_json import CONFIG, GTM, lines
from tests.ledgers.test_json import run as record
from tests.ledgers.test_tables import ROWS

from nightpane.cli.main import run


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """State and settings of the test's own: no server, no keys."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NIGHTPANE_STATE_DIR", str(tmp_path / "state"))
    for name in ("POSTHOG_HOST", "POSTHOG_API_KEY", "AUTORESEARCH_PROJECT", "AUTORESEARCH_CLIENT"):
        monkeypatch.delenv(name, raising=False)


def imported(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = run(["import", "--json", *arguments])
    return code, json.loads(capsys.readouterr().out)


def write(name: str, text: str) -> str:
    Path(name).write_text(text)
    return name


def test_dry_run_says_all_and_leaves_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    code, report = imported(capsys, "--dry-run", write("results.tsv", HEADER + ROWS))
    assert code == 0
    assert report["delivered"] is None
    assert not Path("state").exists()
    (item,) = report["files"]
    expected = {
        "format": "autoresearch",
        "project": "autoresearch",
        "client": "internal",
        "metric": "val_bpb",
        "metric_guessed": True,
        "direction": "min",
        "direction_how": "lower is better, guessed from its name",
        "rounds": 4,
        "kept": 2,
        "reverted": 1,
        "crashed": 1,
        "undecided": 0,
        "failure_modes": {"score_missed": 1, "crash": 1},
        "best_score": 0.986,
        "best_commit": "b1b2c3d",
        "best_line": 3,
        "events": 11,
        "timestamps": "estimated",
        "unread": 0,
        "unread_lines": [],
    }
    assert {key: item[key] for key in expected} == expected


def test_without_a_server_events_wait_in_the_spool(capsys: pytest.CaptureFixture[str]) -> None:
    code, report = imported(capsys, write("results.tsv", HEADER + ROWS))
    assert code == 3
    assert report["delivered"] is False
    assert report["files"][0]["lost"] == 0
    (segment,) = (Path("state") / "spool").glob("*.seg")
    assert segment.read_bytes().count(b'"round_kept"') == 2


def test_unread_lines_are_a_finding(capsys: pytest.CaptureFixture[str]) -> None:
    text = HEADER + ROWS + "e1b2c3d\t0.9\t44\tcontender\tx\nhalf"
    code, report = imported(capsys, "--dry-run", write("results.tsv", text))
    assert code == 1
    assert report["files"][0]["unread_lines"] == [
        {"line": 6, "reason": "status 'contender' is neither keep, discard nor crash"},
        {"line": 7, "reason": "1 of 5 columns"},
    ]


def test_files_that_are_no_ledgers(capsys: pytest.CaptureFixture[str]) -> None:
    code, report = imported(capsys, "--dry-run", write("notes.txt", "hello\n"), "missing.tsv")
    assert code == 2
    assert "no ledger that is known" in report["files"][0]["error"]
    assert "No such file" in report["files"][1]["error"]
    code, report = imported(capsys, "--dry-run", "notes.txt", write("r.tsv", HEADER + ROWS))
    assert code == 1
    assert report["rounds"] == 4


def test_several_files_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    files = [
        write("results.tsv", HEADER + ROWS + "junk\n"),
        write("autoresearch.jsonl", lines(CONFIG, record(1, 5, "keep"))),
        write("loop\x1b[31m.json", json.dumps(GTM)),
        write("notes.txt", "hello\n"),
    ]
    code = run(["import", "--dry-run", *files])
    out = capsys.readouterr().out
    assert code == 1
    assert "\x1b" not in out
    for part in (
        "lower is better, as the file states",
        "metric val_bpb (guessed)",
        "not read: 1 of 5 columns: line 6",
        "not imported: notes.txt is no ledger",
        "9 rounds",
        "nothing was imported (--dry-run)",
    ):
        assert part in " ".join(out.split())


def test_metric_and_direction_given(capsys: pytest.CaptureFixture[str]) -> None:
    file = write("results.tsv", HEADER + ROWS)
    arguments = ("--dry-run", "--metric", "memory_gb", "--direction", "max", file)
    code, report = imported(capsys, *arguments)
    assert code == 0
    item = report["files"][0]
    assert (item["metric"], item["metric_guessed"]) == ("memory_gb", False)
    assert item["best_score"] == 44.0
    assert item["direction_how"] == "higher is better, as given"
    code, report = imported(capsys, "--dry-run", "--metric", "nope", file)
    assert code == 2
    assert "it has commit, val_bpb" in report["files"][0]["error"]


def test_project_and_client(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write("loop.json", json.dumps(GTM))

    def scope(*arguments: str) -> tuple[str, str]:
        _, report = imported(capsys, "--dry-run", *arguments, file)
        return report["files"][0]["project"], report["files"][0]["client"]

    assert scope() == ("gtm-autoresearch", "acme")
    assert scope("--client", "other") == ("gtm-autoresearch", "other")
    monkeypatch.setenv("AUTORESEARCH_PROJECT", "mine")
    assert scope() == ("mine", "acme")
    assert scope("--project", "p") == ("p", "acme")


def test_mistakes_in_the_call(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["import"]) == 2
    assert run(["import", "--direction", "sideways", "x"]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_repo_that_is_none(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    file = write("results.tsv", HEADER + ROWS)
    code, report = imported(capsys, "--dry-run", "--repo", "plain", file)
    assert code == 2
    assert "no git repository" in report["files"][0]["error"]
