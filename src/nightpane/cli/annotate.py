"""``nightpane annotate``: a vertical line on every chart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

import click
from rich.console import Console
from rich.markup import escape

from nightpane import config
from nightpane.annotations import SCOPES, Flushed, annotate, flush, latest, refused, waiting
from nightpane.annotations.annotation import moment
from nightpane.cli._output import emit, json_option, printable
from nightpane.config import Settings
from nightpane.errors import NightpaneError
from nightpane.query import QueryClient

__all__ = ["command"]


@click.command()
@click.argument("text", required=False)
@click.option("--at", metavar="TIME", help="When: 2026-03-08T02:30, 02:30, -2h, now (default).")
@click.option(
    "--scope", type=click.Choice(SCOPES), default="project", show_default=True, help="Where shown."
)
@click.option("--list", "listed", is_flag=True, help="Show the 20 latest, and what waits here.")
@click.option("--flush", "only_flush", is_flag=True, help="Only deliver what waits.")
@json_option
def command(
    text: str | None, at: str | None, scope: str, listed: bool, only_flush: bool, as_json: bool
) -> int:
    """Annotate this moment: a vertical line with TEXT on every chart.

    Without a server it is kept on disk and delivered later. Ends with 1 when something is kept, or
    refused by the server.
    """
    if sum((text is not None, listed, only_flush)) != 1:
        raise click.UsageError("give a TEXT, or --list, or --flush: one of them")
    settings = config.load()
    if listed:
        return _list(settings, as_json=as_json)
    if text is None:
        flushed = flush(settings)
        emit(asdict(flushed), as_json=as_json, render=lambda to: _tell(flushed, to))
        return 1 if flushed.waiting or flushed.refused else 0
    done = annotate(text, at=None if at is None else moment(at), scope=scope, settings=settings)
    report = {**done.annotation.document(), "state": done.state, **asdict(done.flushed)}

    def render(to: Console) -> None:
        word = {"kept": "kept, not delivered yet", "refused": "refused"}.get(done.state, done.state)
        when = done.annotation.at.astimezone()
        to.print(f"{word}: {when:%Y-%m-%d %H:%M %Z} {_safe(done.annotation.content)}")
        _why(done.flushed, to)

    emit(report, as_json=as_json, render=render)
    return 0 if done.state == "delivered" else 1


def _tell(flushed: Flushed, to: Console) -> None:
    to.print(f"{flushed.delivered:,} annotations delivered, {flushed.waiting:,} wait")
    _why(flushed, to)


def _why(flushed: Flushed, to: Console) -> None:
    if flushed.why:
        to.print(f"because: {_safe(flushed.why)}")


def _list(settings: Settings, *, as_json: bool) -> int:
    kept, set_aside = waiting(settings), refused(settings)
    missing: NightpaneError | None = None
    documents: list[dict[str, Any]] = []
    try:
        documents = latest(QueryClient.from_settings(settings))
    except NightpaneError as error:
        missing = error  # what waits here is shown all the same
    report = {
        "annotations": documents if missing is None else None,
        "waiting": [one.annotation.document() for one in kept],
        "refused": [{**one.annotation.document(), "reason": one.reason} for one in set_aside],
    }

    def render(to: Console) -> None:
        for document in documents:
            to.print(f"{_when(document)}  {_safe(str(document.get('content')))}")
        if not documents and missing is None:
            to.print("no annotation yet: nightpane annotate 'new planner prompt'")
        for one in kept:
            to.print(f"kept, not delivered yet: {_safe(one.annotation.content)}")
        for one in set_aside:
            to.print(f"refused ({_safe(str(one.reason))}): {_safe(one.annotation.content)}")

    emit(report, as_json=as_json, render=render)
    if missing is not None:
        raise missing
    return 0


def _when(document: Mapping[str, Any]) -> str:
    try:
        at = datetime.fromisoformat(str(document.get("date_marker")))
    except ValueError:
        return "no time yet".ljust(16)
    return f"{at.astimezone():%Y-%m-%d %H:%M}"


def _safe(text: str) -> str:
    return escape(printable(text.replace("\n", " ")))
