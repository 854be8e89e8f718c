"""``nightpane schema``."""

from __future__ import annotations

import json

import pytest

from nightpane import catalog
from nightpane.catalog.reference import markdown
from nightpane.cli.main import run


def test_the_table_names_every_event_and_property(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert run(["schema"]) == 0
    lines = capsys.readouterr().out.splitlines()
    first_words = {line.split()[0] for line in lines if line}
    for spec in catalog.EVENTS.values():
        assert spec.name in first_words
        assert {one.name for one in spec.properties} <= first_words
    assert {one.name for one in catalog.ENVELOPE} <= first_words
    assert "dim_*" in first_words


def test_one_event(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["schema", "round_kept"]) == 0
    table = capsys.readouterr().out
    assert "new_best" in table
    assert "round_reverted" not in table


def test_json_is_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["schema", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == catalog.json_schema()
    assert run(["schema", "step.plan", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == catalog.json_schema("step.plan")


def test_markdown_is_the_page_or_a_part_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["schema", "--markdown"]) == 0
    page = capsys.readouterr().out
    assert page == markdown()
    for event in catalog.EVENTS:
        assert run(["schema", event, "--markdown"]) == 0
        assert capsys.readouterr().out in page


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["schema", "round_keep"], "no event 'round_keep' in the catalogue; did you mean"),
        (["schema", "zzz"], "there are round_started, proposal_generated"),
        (["schema", "--json", "--markdown"], "--json and --markdown exclude each other"),
    ],
)
def test_a_mistake_in_the_call_is_said(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    assert says in " ".join(capsys.readouterr().err.split())
