"""``nightpane boards apply | diff | pull``: the boards kept up in a PostHog project, as code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape

from nightpane.boards import BOARDS
from nightpane.boards.definitions import Definition, Drift
from nightpane.boards.provision import Project
from nightpane.cli._output import console, emit, json_option, printable
from nightpane.config import load
from nightpane.errors import ConfigError
from nightpane.query import QueryClient

__all__ = ["apply", "diff", "pull"]

_IN_STEP = ("in step", "same")
_MARKS = {
    **dict.fromkeys(("created", "updated", "adopted", "overwritten", "pruned"), "green"),
    "none": "dim",
    "kept": "yellow",
    **dict.fromkeys(("failed", "not tried"), "red"),
}
_WORDS = {
    "none": "in step",
    "adopted": "in step now (its tags were old)",
}
_WHY_KEPT = {
    "edited": "edited by hand: see 'nightpane boards diff'; --force overwrites",
    "removed": "taken off the dashboard by hand; --force puts it back",
    "gone": "no such board any more; --prune deletes it",
}
_from_option = click.option(
    "--from",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder that 'pull' wrote: its boards take the place of nightpane's own.",
)


@click.command("apply")
@click.argument("names", nargs=-1, metavar="[NAME]…")
@click.option("--dry-run", is_flag=True, help="Only tell what would be done.")
@click.option("--prune", is_flag=True, help="Delete boards of ours that are no more.")
@click.option("--force", is_flag=True, help="Overwrite what was edited by hand.")
@_from_option
@json_option
@click.pass_context
def apply(
    context: click.Context,
    names: tuple[str, ...],
    dry_run: bool,
    prune: bool,
    force: bool,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Create or update the boards in PostHog: one dashboard, one insight for each board.

    Changes nothing that is in step, and nothing that it did not make. Exits with 1 when something
    edited by hand was left as it is, with 3 when something failed: run it again then.
    """
    known = _known(folder)
    chosen = _choose(known, names)
    steps = _project().apply(chosen, known=known, dry_run=dry_run, prune=prune, force=force)
    done = []
    for step in steps:
        done.append(step)
        if not as_json:
            _tell(console(), step, dry_run)
    if as_json:
        emit([_entry(step) for step in done], as_json=True, render=lambda _: None)
    else:
        _sum_up(console(), done, dry_run)
    outcomes = {step.done for step in done}
    if outcomes & {"failed", "not tried"}:
        context.exit(3)
    context.exit(1 if "kept" in outcomes else 0)


@click.command("diff")
@click.argument("names", nargs=-1, metavar="[NAME]…")
@_from_option
@json_option
@click.pass_context
def diff(
    context: click.Context, names: tuple[str, ...], folder: Path | None, as_json: bool
) -> None:
    """Show how the boards in PostHog differ from the code, field by field. Exits with 1 if any do.

    Lines with - are what PostHog has, lines with + what 'apply' would write.
    """
    known = _known(folder)
    chosen = _choose(known, names)
    drifts = _project().drifts(chosen, known=known)
    emit(
        [_entry(drift) | {"diff": drift.difference()} for drift in drifts],
        as_json=as_json,
        render=lambda to: _draw_diff(to, drifts),
    )
    context.exit(0 if all(drift.state in _IN_STEP for drift in drifts) else 1)


@click.command("pull")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@json_option
def pull(folder: Path, as_json: bool) -> None:
    """Write the boards as PostHog has them, hand edits included, into FOLDER as JSON files.

    'nightpane boards apply --from FOLDER' reads them again.
    """
    found = _project().kept()
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for one in found:
            one.check(one.slug)
            path = folder / f"{one.slug}.json"
            path.write_text(one.text, "utf-8")
            written.append(str(path))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{folder} cannot be written: {error}") from error
    emit(written, as_json=as_json, render=lambda to: _draw_written(to, written, folder))


def _project() -> Project:
    return Project(QueryClient.from_settings(load()))


def _known(folder: Path | None) -> list[Definition]:
    """Return every board: nightpane's own, and those of a folder in their place or beside them."""
    known = {one.slug: one for one in map(Definition.of, BOARDS.values())}
    for path in sorted(folder.glob("*.json")) if folder is not None else ():
        try:
            read = Definition.parse(path.read_text("utf-8"), str(path))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} cannot be read: {error}") from error
        known[read.slug] = read
    return list(known.values())


def _choose(known: Sequence[Definition], names: Sequence[str]) -> list[Definition]:
    """Return the boards of these names, all when there are none. Raises ConfigError."""
    found = {one.slug: one for one in known} | {one.name: one for one in known}
    for name in names:
        if name not in found:
            listed = ", ".join(one.slug for one in known)
            raise ConfigError(f"there is no board {name!r}: use one of {listed}")
    return [found[name] for name in dict.fromkeys(names)] if names else list(known)


def _entry(drift: Drift) -> dict[str, Any]:
    entry = {"board": drift.slug, "state": drift.state, "done": drift.done, "why": drift.why}
    return entry | {"insight": None if drift.kept is None else drift.kept.short_id}


def _tell(to: Console, step: Drift, dry_run: bool) -> None:
    word = _WORDS.get(step.done, step.done)
    if dry_run and step.done not in ("none", "kept"):
        word = f"would be {word}"
    why = step.why or (_WHY_KEPT.get(step.state) if step.done == "kept" else None)
    line = f"{escape(printable(step.slug)):28} [{_MARKS[step.done]}]{word}[/]"
    to.print(line + (f": {escape(printable(why))}" if why else ""), soft_wrap=True)


def _sum_up(to: Console, done: Sequence[Drift], dry_run: bool) -> None:
    changed = sum(step.done not in ("none", "kept", "failed", "not tried") for step in done)
    failed = sum(step.done in ("failed", "not tried") for step in done)
    verb = "would change" if dry_run else "changed"
    text = f"{changed} of {len(done)} boards {verb}"
    if failed:
        text += (
            f", {failed} could not be applied: mend that and run it again, nothing is done twice"
        )
    to.print(text, soft_wrap=True)


def _draw_diff(to: Console, drifts: Sequence[Drift]) -> None:
    colours = {"+": "green", "-": "red", "@": "cyan"}
    for drift in drifts:
        if drift.state in _IN_STEP:
            continue
        to.print(f"[bold]{escape(printable(drift.slug))}[/]: {drift.state}", soft_wrap=True)
        for line in drift.difference().splitlines():
            to.print(printable(line), style=colours.get(line[:1]), markup=False, soft_wrap=True)
    if all(drift.state in _IN_STEP for drift in drifts):
        to.print(f"{len(drifts)} boards are in step")


def _draw_written(to: Console, written: Sequence[str], folder: Path) -> None:
    for path in written:
        to.print(escape(printable(path)), soft_wrap=True)
    if not written:
        to.print("PostHog has no board of ours: nightpane boards apply puts them there")
    else:
        back = f"nightpane boards apply --from {folder}"
        to.print(f"[dim]{escape(printable(back))} puts them back[/]", soft_wrap=True)
