"""``nightpane morning``: last night's digest."""

from __future__ import annotations

from datetime import date, datetime

import click

from nightpane.cli._output import console, emit, json_option
from nightpane.config import Settings, load
from nightpane.errors import ConfigError
from nightpane.query import QueryClient


@click.command()
@click.option("--date", "night", metavar="DATE", help="The night that begins on this day's noon.")
@click.option("--project", help="Only this project.")
@click.option("--client", help="Only this client.")
@click.option("--markdown", is_flag=True, help="Print Markdown.")
@json_option
def command(
    night: str | None, project: str | None, client: str | None, markdown: bool, as_json: bool
) -> None:
    """Print last night's digest.

    A night goes from noon to noon in this machine's time zone; last night is the latest one with
    rounds. It tells the rounds, what was kept, the best score against the night before, where
    rounds drop off, the cost, why loops stopped, and whether each is improving, on a plateau or
    stuck, with the evidence.
    """
    if markdown and as_json:
        raise click.UsageError("--markdown and --json exclude each other: choose one")
    show(
        load(),
        night=None if night is None else _date(night),
        project=project,
        client=client,
        markdown=markdown,
        as_json=as_json,
    )


def show(
    settings: Settings,
    *,
    night: date | None = None,
    project: str | None = None,
    client: str | None = None,
    markdown: bool = False,
    as_json: bool = False,
) -> None:
    """Print the digest that the settings' query API gives. Raises as ``QueryClient`` does."""
    from nightpane import digest
    from nightpane.annotations import flush
    from nightpane.digest.terminal import print_morning

    flush(settings)
    query = QueryClient.from_settings(settings)
    morning = digest.build(query, night=night, project=project, client=client)
    if markdown:
        console().out(digest.to_markdown(morning), end="", highlight=False)
        return
    emit(
        digest.to_json(morning),
        as_json=as_json,
        render=lambda screen: print_morning(morning, screen),
    )


def _date(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        raise ConfigError(f"--date {text!r} is not a date: write it as 2026-03-08") from None
