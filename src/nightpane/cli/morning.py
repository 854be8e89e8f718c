"""``nightpane morning``: last night's digest, printed, written to a file, posted to Slack."""

from __future__ import annotations

import io
import json
import os
import secrets
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from nightpane import slack
from nightpane.cli._output import console, emit, json_option
from nightpane.config import Settings, load
from nightpane.errors import ApiError, ConfigError, UnreachableError
from nightpane.query import QueryClient

if TYPE_CHECKING:
    from nightpane.digest import Change, Digest, Links, Page

_SUFFIXES = (".md", ".html", ".json", ".txt")
_TEXT_WIDTH = 100
_CHANGES = 1000


@click.command()
@click.option("--date", "night", metavar="DATE", help="The night that begins on this day's noon.")
@click.option("--project", help="Only this project.")
@click.option("--client", help="Only this client.")
@click.option("--markdown", is_flag=True, help="Print Markdown.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Also write it to FILE; its suffix says how: .md, .html, .json or .txt.",
)
@click.option(
    "--post-slack",
    metavar="URL",
    help=f"Also post it to this webhook; '-' reads it from {slack.ADDRESS_ENV}.",
)
@json_option
def command(
    night: str | None,
    project: str | None,
    client: str | None,
    markdown: bool,
    output: Path | None,
    post_slack: str | None,
    as_json: bool,
) -> None:
    """Print last night's digest.

    A night goes from noon to noon in this machine's time zone; last night is the latest one with
    rounds. What got worse comes first, with its evidence. Then for each loop: whether its score
    improved, got worse or stayed within noise, the night beside the night before and the week, the
    rounds kept on noise, and the annotations noted right before a score moved.
    """
    if markdown and as_json:
        raise click.UsageError("--markdown and --json exclude each other: choose one")
    if output is not None and output.suffix.lower() not in _SUFFIXES:
        known = ", ".join(_SUFFIXES)
        raise click.UsageError(f"--output {str(output)!r}: its suffix must be one of {known}")
    show(
        load(),
        night=None if night is None else _date(night),
        project=project,
        client=client,
        markdown=markdown,
        as_json=as_json,
        output=output,
        slack_url=None if post_slack is None else slack.address(post_slack),
    )


def show(
    settings: Settings,
    *,
    night: date | None = None,
    project: str | None = None,
    client: str | None = None,
    markdown: bool = False,
    as_json: bool = False,
    output: Path | None = None,
    slack_url: str | None = None,
) -> None:
    """Print the digest that the settings' query API gives; write and post it where asked.

    Raises as ``QueryClient`` and ``slack.post`` do, and ConfigError when ``output`` cannot be
    written.
    """
    from nightpane import digest
    from nightpane.annotations import flush

    flush(settings)
    query = QueryClient.from_settings(settings)
    changes, unread = _changes(query)
    whole = digest.compare(
        query, night=night, project=project, client=client, changes=changes, changes_unread=unread
    )
    links = digest.Links.of(query.host)
    page = digest.page(whole, links)
    # A reader that stops reading, such as head, must keep nothing from being written or posted.
    if output is not None:
        _write(output, _RENDERERS[output.suffix.lower()](whole, page, links))
        click.echo(f"wrote {output}", err=True)
    try:
        if slack_url is not None:
            slack.post(slack_url, digest.to_slack(page))
            click.echo("posted to Slack", err=True)
    finally:
        _tell(whole, page, links, markdown=markdown, as_json=as_json)


def _tell(digest: Digest, page: Page, links: Links, *, markdown: bool, as_json: bool) -> None:
    if markdown:
        console().out(_as_markdown(digest, page, links), end="", highlight=False)
        return
    from nightpane.digest import whole_json

    emit(
        whole_json(digest, links),
        as_json=as_json,
        render=lambda screen: _print(page, screen),
    )


def _changes(query: QueryClient) -> tuple[list[Change] | None, str | None]:
    """Return the project's latest annotations, or None and why they cannot be read."""
    from nightpane.annotations import latest
    from nightpane.digest import Change

    try:
        documents = latest(query, _CHANGES)
    except UnreachableError:
        raise
    except ApiError as error:
        return None, f"the server answers {error.status}" if error.status else str(error)
    found = []
    for document in documents:
        at = _moment(document.get("date_marker"))
        text = document.get("content")
        if at is not None and isinstance(text, str) and text.strip():
            found.append(Change(at, text))
    return found, None


def _moment(text: Any) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return at if at.tzinfo else None


def _print(page: Page, screen: Console) -> None:
    from nightpane.digest.terminal import print_page

    print_page(page, screen)


def _as_text(_digest: Digest, page: Page, _links: Links) -> str:
    written = io.StringIO()
    _print(page, Console(file=written, width=_TEXT_WIDTH, color_system=None, highlight=False))
    return "".join(f"{line.rstrip()}\n" for line in written.getvalue().splitlines())


def _as_markdown(_digest: Digest, page: Page, _links: Links) -> str:
    from nightpane.digest import to_markdown

    return to_markdown(page)


def _as_html(_digest: Digest, page: Page, _links: Links) -> str:
    from nightpane.digest import to_html

    return to_html(page)


def _as_json(digest: Digest, _page: Page, links: Links) -> str:
    from nightpane.digest import whole_json

    found = whole_json(digest, links)
    return json.dumps(found, indent=2, ensure_ascii=False, default=str) + "\n"


_RENDERERS: dict[str, Callable[[Digest, Page, Links], str]] = {
    ".md": _as_markdown,
    ".html": _as_html,
    ".json": _as_json,
    ".txt": _as_text,
}


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all. Raises ConfigError when it cannot be written."""
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        try:
            with new.open("x", encoding="utf-8", errors="replace") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
        finally:
            new.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror or error}") from error


def _date(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        raise ConfigError(f"--date {text!r} is not a date: write it as 2026-03-08") from None
