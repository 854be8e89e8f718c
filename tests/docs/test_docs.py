"""The docs say what the code does: links lead somewhere, commands exist, examples run."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest

from nightpane.cli.main import COMMANDS, cli
from nightpane.config import SETTINGS
from nightpane.ids import new_ulid

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
_LINK = re.compile(r"\[[^\]]*\]\(([^)#]+)[^)]*\)")
_FENCE = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)


def commands(page: Path) -> list[list[str]]:
    """Return the nightpane commands of a page's fences, split as a shell would."""
    lines = [
        line
        for kind, text in _FENCE.findall(page.read_text("utf-8"))
        if kind in ("", "sh", "bash", "console")
        for line in text.splitlines()
    ]
    found = [line.removeprefix("$ ").strip() for line in lines]
    return [shlex.split(line, comments=True) for line in found if line.startswith("nightpane ")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in _LINK.findall(page.read_text("utf-8")):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_exist_and_take_their_options(page: Path) -> None:
    for words in commands(page):
        found: Any = cli
        context = click.Context(cli)
        rest = words[1:]
        while rest and rest[0][0] != "-" and isinstance(found, click.Group):
            name = rest.pop(0)
            found = found.get_command(context, name)
            assert found is not None, words
        known = {one for param in found.params for one in (*param.opts, *param.secondary_opts)}
        known.add("--help")
        for word in rest:
            if word.startswith("--"):
                assert word.split("=")[0] in known, words


def test_the_page_of_commands_is_fresh() -> None:
    spec = importlib.util.spec_from_file_location("make_commands", ROOT / "docs/make_commands.py")
    assert spec is not None
    assert spec.loader is not None
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    assert maker.PAGE.read_text("utf-8") == maker.page(), "run: python docs/make_commands.py"


def test_every_command_is_documented() -> None:
    everything = "".join(page.read_text("utf-8") for page in PAGES)
    assert [name for name in COMMANDS if f"nightpane {name}" not in everything] == []


def test_every_setting_is_documented() -> None:
    everything = "".join(page.read_text("utf-8") for page in PAGES)
    assert [setting.env for setting in SETTINGS if setting.env not in everything] == []


def test_the_readmes_loop_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The README's Python is run as it stands, with a stand-in for the loop around it."""
    from types import SimpleNamespace

    from openai import OpenAI

    monkeypatch.setenv("NIGHTPANE_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("NIGHTPANE_STRICT", "1")
    monkeypatch.chdir(tmp_path)
    python = [
        text for kind, text in _FENCE.findall((ROOT / "README.md").read_text()) if kind == "python"
    ]
    scores = iter([0.9, 0.8, 0.95])
    namespace: dict[str, Any] = {
        "proposals": [SimpleNamespace(summary=f"change {n}") for n in range(3)],
        "train": lambda: next(scores),
        "best": 0.92,
        "round_id": new_ulid(),
        "OpenAI": lambda: OpenAI(api_key="none", base_url="http://127.0.0.1:9/v1"),
    }
    exec("\n".join(python), namespace)
    pane = namespace["pane"]
    health = pane.health()
    pane.close()
    # Three rounds of five events, the run's end, and the call written by hand; a run of one round:
    # begun, a suite and its case, scored, kept, the end.
    assert health.written == 23
