"""``nightpane init``: one file, the same everywhere, never over somebody's edits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nightpane.catalog import EVENTS
from nightpane.cli.main import run
from nightpane.dropin import PLACE, State, render, state

ROOT = Path(__file__).parents[2]


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, bool]:
    code = run(["init", *arguments, "--json"])
    about = json.loads(capsys.readouterr().out)
    return code, about["state"], about["written"]


def test_the_example_holds_the_file_of_this_catalogue(capsys: pytest.CaptureFixture[str]) -> None:
    """The pin: after a deliberate change, nightpane init --force examples/drop-in."""
    assert answer(capsys, "--check", str(ROOT / "examples/drop-in")) == (0, "current", False)


def test_it_is_written_once_and_then_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = str(tmp_path)
    assert answer(capsys, "--check", where) == (1, "missing", False)
    assert answer(capsys, where) == (0, "missing", True)
    assert (tmp_path / PLACE).read_text("utf-8") == render()
    assert (tmp_path / "observability" / "__init__.py").read_text("utf-8") == ""
    assert answer(capsys, where) == (0, "current", False)
    assert answer(capsys, "--check", where) == (0, "current", False)


def test_edits_are_kept_unless_forced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = str(tmp_path)
    run(["init", where, "--json"])
    capsys.readouterr()
    edited = (tmp_path / PLACE).read_text("utf-8").replace("stop_triggered", "stopped", 1)
    (tmp_path / PLACE).write_text(edited, "utf-8")
    assert answer(capsys, "--check", where) == (1, "edited", False)
    assert answer(capsys, where) == (1, "edited", False)
    assert (tmp_path / PLACE).read_text("utf-8") == edited
    assert answer(capsys, "--force", where) == (0, "edited", True)
    assert (tmp_path / PLACE).read_text("utf-8") == render()


def test_an_older_file_that_nobody_edited_is_renewed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    older = dict(EVENTS)
    del older["round_kept"]
    with monkeypatch.context() as patched:
        patched.setattr("nightpane.dropin.EVENTS", older)
        assert run(["init", str(tmp_path), "--json"]) == 0
    capsys.readouterr()
    assert '"round_kept": ' not in (tmp_path / PLACE).read_text("utf-8")
    assert answer(capsys, "--check", str(tmp_path)) == (1, "outdated", False)
    assert answer(capsys, str(tmp_path)) == (0, "outdated", True)
    assert '"round_kept": ' in (tmp_path / PLACE).read_text("utf-8")


@pytest.mark.parametrize("text", ["", "# mine\n", "x" * 1000, "\ufeff", "# Made by nightpane init"])
def test_what_was_never_ours_counts_as_edited(text: str) -> None:
    assert state(text) is State.EDITED


def test_mistakes_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init", "--check", "--force"]) == 2
    (tmp_path / "observability").write_text("a file where the folder should be")
    assert run(["init", str(tmp_path)]) == 2
    assert "observability/posthog_client.py cannot be" in capsys.readouterr().err.replace("\n", "")


def test_it_is_short() -> None:
    assert len(render().splitlines()) <= 310
    assert max(map(len, render().splitlines())) <= 100
