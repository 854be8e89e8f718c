"""The command group: help without imports, mistakes in one line, exit codes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from nightpane.cli.main import COMMANDS, cli, run
from nightpane.errors import StoreLockedError


def test_every_command_exists_and_has_help_and_json() -> None:
    import click

    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        assert command.help
        takes = {option for param in command.params for option in param.opts}
        children = getattr(command, "commands", {}).values()
        assert "--json" in takes or all(
            "--json" in {option for param in child.params for option in param.opts}
            for child in children
        ), name


def test_help_lists_every_command_without_importing_one() -> None:
    code = (
        "import sys; from nightpane.cli.main import run; run(['--help'])\n"
        "print([m for m in sys.modules if m.startswith('nightpane.cli.')])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert all(name in out.stdout for name in COMMANDS)
    assert "nightpane.cli.up" not in out.stdout


def test_an_unknown_command_is_a_usage_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["mornin"]) == 2
    assert "Did you mean 'morning'?" in capsys.readouterr().err


def test_our_errors_are_one_line_and_an_exit_code(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> None:
        raise StoreLockedError("held by process 7")

    monkeypatch.setattr(cli, "main", fail)
    assert run(["up"]) == 3
    assert capsys.readouterr().err == "error: held by process 7\n"
