"""``nightpane init``: the drop-in file of a repository, written or checked."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape

from nightpane.cli._output import emit, json_option
from nightpane.dropin import PLACE, State, render, state
from nightpane.errors import ConfigError

__all__ = ["command"]

_WORDS = {
    State.CURRENT: "is up to date",
    State.MISSING: "is missing: nightpane init writes it",
    State.OUTDATED: "is of another version of nightpane: nightpane init renews it",
    State.EDITED: "was edited by hand: nightpane init --force overwrites it",
}


@click.command("init")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=".")
@click.option("--check", is_flag=True, help="Write nothing; exit 1 when the file has drifted.")
@click.option("--force", is_flag=True, help="Overwrite a file that was edited by hand.")
@json_option
def command(folder: Path, check: bool, force: bool, as_json: bool) -> int:
    """Write observability/posthog_client.py, the same file in every repository, into FOLDER.

    A loop tracks through it with nightpane installed or with PostHog's SDK alone. A file that was
    edited by hand is left alone.
    """
    if check and force:
        raise click.UsageError("--check and --force exclude each other")
    path = folder / PLACE
    found = state(_read(path))
    writes = not check and (found in (State.MISSING, State.OUTDATED) or force)
    if writes:
        _write(path)

    def draw(out: Console) -> None:
        said = "is written" if writes else _WORDS[found]
        out.print(f"{escape(str(path))} {said}", soft_wrap=True)

    about = {"path": str(path), "state": found.value, "written": writes}
    emit(about, as_json=as_json, render=draw)
    return 0 if writes or found is State.CURRENT else 1


def _read(path: Path) -> str | None:
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error


def _write(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(render().encode())
        # So that type checkers and test runners know it by the name it is imported by.
        (path.parent / "__init__.py").touch()
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error
