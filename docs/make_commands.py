"""Makes docs/commands.md from the command line itself: python docs/make_commands.py"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

import click

from nightpane.cli.main import COMMANDS, cli
from nightpane.config import SETTINGS

PAGE = Path(__file__).parent / "commands.md"

_HEAD = """# Commands and settings

Made from the code by `python docs/make_commands.py`. Every command has `--help` and `--json`.
Exit codes: 0 fine, 1 a finding, 2 a mistake in the call, 3 something around it is missing.
"""

_SETTINGS = """## Settings

A value comes from the first of: the argument, the environment, a `.env` file in the current folder,
`nightpane.toml` there (by name; keys do not belong in it), the local server that is running, the
default. `nightpane doctor --settings` shows what is in force and where it came from.

| variable | in `nightpane.toml` | what |
|---|---|---|"""


def page() -> str:
    """Return the page."""
    lines = [_HEAD]
    context = click.Context(cli, info_name="nightpane")
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        lines += _command(f"nightpane {name}", command)
    lines += [_SETTINGS]
    for setting in SETTINGS:
        in_file = "" if setting.secret else f"`{setting.name}`"
        lines.append(f"| `{setting.env}` | {in_file} | {setting.description} |")
    return "\n".join(lines).rstrip() + "\n"


def _command(name: str, command: click.Command) -> Iterator[str]:
    arguments = [param for param in command.params if isinstance(param, click.Argument)]
    words = " ".join([name, *(_argument(one) for one in arguments)])
    yield f"## `{words}`" if name.count(" ") == 1 else f"### `{words}`"
    yield ""
    yield inspect.cleandoc(command.help or "").replace("\b\n", "")
    yield ""
    rows = [(", ".join(one.opts), one) for one in command.params if isinstance(one, click.Option)]
    rows = [(names, one) for names, one in rows if names != "--json"]
    if rows:
        yield "| option | what |"
        yield "|---|---|"
        for names, one in rows:
            value = "" if one.is_flag else f" {one.make_metavar(click.Context(command))}"
            yield f"| `{names}{value.replace('|', ' or ')}` | {_what(one)} |"
        yield ""
    if isinstance(command, click.Group):
        for child, found in sorted(command.commands.items()):
            yield from _command(f"{name} {child}", found)


def _argument(one: click.Argument) -> str:
    name = (one.name or "").upper() + ("…" if one.nargs == -1 else "")
    return name if one.required else f"[{name}]"


def _what(one: click.Option) -> str:
    text = one.help or ""
    if one.show_default and one.default not in (None, False):
        text += f" Default: {one.default}."
    return text.replace("|", "\\|").strip()


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
