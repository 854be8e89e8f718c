"""``nightpane boards``: what the boards show, and keeping them up in a PostHog project."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click
from rich.console import Console
from rich.text import Text

from nightpane.boards import BOARDS, Board, Scope
from nightpane.cli._output import console, emit, json_option
from nightpane.cli.boards_sync import apply, diff, pull
from nightpane.config import load
from nightpane.errors import ApiError, ConfigError
from nightpane.query import QueryClient

__all__ = ["command"]


@click.group()
def command() -> None:
    """Show the boards, and keep them up in PostHog: list, show, apply, diff, pull."""


@click.command("list")
@json_option
def list_boards(as_json: bool) -> None:
    """List the boards: the name each goes by here, and the question it answers."""
    entries = [_about(board) for board in BOARDS.values()]

    def render(to: Console) -> None:
        for board in BOARDS.values():
            to.print(Text(board.slug, style="bold"))
            to.print(Text(f"    {board.question}"))

    emit(entries, as_json=as_json, render=render)


@click.command("show")
@click.argument("name")
@click.option("--project", help="Only this project.")
@click.option("--client", help="Only this client.")
@click.option("--run", "run_id", metavar="ID", help="Only this run.")
@click.option("--agent", help="Only what this agent took part in.")
@click.option("--days", type=click.IntRange(1, 3650), help="The latest days up to now.")
@click.option("--from", "first", metavar="DATE", help="From this day on.")
@click.option("--to", "last", metavar="DATE", help="Up to the end of this day.")
@click.option("--tz", "zone", metavar="ZONE", help="Whose days; else this machine's time zone.")
@click.option("--png", type=click.Path(dir_okay=False, path_type=Path), help="Draw a picture.")
@click.option("--dark", is_flag=True, help="On a dark ground (with --png).")
@click.option("--hogql", is_flag=True, help="Print the query, and do not ask it.")
@json_option
def show(
    name: str,
    project: str | None,
    client: str | None,
    run_id: str | None,
    agent: str | None,
    days: int | None,
    first: str | None,
    last: str | None,
    zone: str | None,
    png: Path | None,
    dark: bool,
    hogql: bool,
    as_json: bool,
) -> None:
    """Draw a board. NAME is what 'nightpane boards list' prints.

    Days are of the time zone ZONE, such as Europe/Berlin. Without --days, --from or --to all time
    is shown.

    \b
    nightpane boards show score-trend --project autoresearch --days 30
    nightpane boards show cost-per-kept-round --png cost.png --dark
    """
    if sum((as_json, hogql, png is not None)) > 1:
        raise click.UsageError("--json, --hogql and --png exclude each other: choose one")
    if dark and png is None:
        raise click.UsageError("--dark is for a picture: give --png FILE too")
    board = _board(name)
    place = _zone(zone)
    start, end = _range(days, first, last, place)
    scope = Scope(project=project, client=client, run_id=run_id, agent=agent, start=start,
                  end=end, timezone=place.key)  # fmt: skip
    if hogql:
        click.echo(board.hogql(scope).text)
        return
    _show(board, scope, png, dark, as_json)


def _show(board: Board, scope: Scope, png: Path | None, dark: bool, as_json: bool) -> None:
    from nightpane.boards.chart import chart_of, marks_of
    from nightpane.boards.terminal import draw

    question, client = board.hogql(scope), QueryClient.from_settings(load())
    rows = client.hogql(question.query, question.values).dicts()
    annotations = _annotations(client) if board.annotated else []
    if as_json:
        found = _about(board) | {"query": question.text, "rows": rows, "annotations": annotations}
        emit(found, as_json=True, render=lambda _: None)
        return
    chart = chart_of(board, rows)
    marks = marks_of(chart, annotations, ZoneInfo(scope.timezone or "UTC"))
    if png is None:
        draw(chart, marks, console())
        return
    from nightpane.boards.png import picture

    _write(png, picture(chart, marks, rows=rows, dark=dark, about=_said(scope)))
    click.echo(f"{png} written")


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise ConfigError(
            f"--png {path} cannot be written: {error.strerror or error}; name a file in a folder "
            "that exists and is yours to write"
        ) from error


def _board(name: str) -> Board:
    """Return the board of a name, however it is spelled. Raises ConfigError, naming the nearest."""
    found = {board.slug: board for board in BOARDS.values()}
    names = {known.casefold(): board for known, board in (found | BOARDS).items()}
    if board := names.get(name.casefold()):
        return board
    near = get_close_matches(name.casefold(), names, n=1, cutoff=0.5)
    meant = f"did you mean {names[near[0]].slug}? " if near else ""
    raise ConfigError(f"there is no board {name!r}: {meant}'nightpane boards list' names them all")


def _zone(name: str | None) -> ZoneInfo:
    """Return a time zone, or this machine's, as far as it says its name. Raises ConfigError."""
    linked = Path("/etc/localtime")
    own = str(linked.resolve()).partition("zoneinfo/")[2] if linked.is_symlink() else ""
    try:
        return ZoneInfo(name or os.environ.get("TZ", "").lstrip(":") or own or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        if name is None:
            return ZoneInfo("UTC")
        raise ConfigError(
            f"--tz {name!r} is not a time zone's name, such as Europe/Berlin"
        ) from None


def _range(
    days: int | None, first: str | None, last: str | None, zone: ZoneInfo
) -> tuple[datetime | None, datetime | None]:
    if days is not None:
        if first or last:
            raise click.UsageError("--days and --from or --to exclude each other")
        return datetime.now(UTC) - timedelta(days=days), None
    start = None if first is None else _date("--from", first, zone)
    end = None if last is None else _date("--to", last, zone) + timedelta(days=1)
    if start is not None and end is not None and start >= end:
        raise ConfigError(f"--from {first} is after --to {last}")
    return start, end


def _date(option: str, text: str, zone: ZoneInfo) -> datetime:
    try:
        found = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=zone)
    except ValueError:
        raise ConfigError(f"{option} {text!r} is not a date: write it as 2026-03-08") from None
    if not 1970 <= found.year <= 2200:
        raise ConfigError(f"{option} {text!r} is not between 1970 and 2200")
    return found


def _annotations(client: QueryClient) -> list[dict[str, Any]]:
    """Return the project's annotations; a key that may not read them costs only the lines."""
    from nightpane.management import Resource

    try:
        return Resource(client, "annotations").list()
    except ApiError as error:
        click.echo(f"annotations are not shown: {error}", file=sys.stderr)
        return []


def _about(board: Board) -> dict[str, Any]:
    return {
        "board": board.slug,
        "name": board.name,
        "question": board.question,
        "description": board.description,
        "source": board.source,
        "display": board.display,
        "x": board.x,
        "y": list(board.y),
        "series": board.series,
        "annotated": board.annotated,
    }


def _said(scope: Scope) -> str:
    """Return what a picture is about, for its foot."""
    parts = [one for one in (scope.project, scope.client, scope.run_id, scope.agent) if one]
    if scope.start is not None:
        parts.append(f"from {scope.start:%Y-%m-%d}")
    if scope.end is not None:
        parts.append(f"to {scope.end - timedelta(seconds=1):%Y-%m-%d}")
    return " · ".join(parts)


for _command in (list_boards, show, apply, diff, pull):
    command.add_command(_command)
