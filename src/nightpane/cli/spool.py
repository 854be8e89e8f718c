"""``nightpane spool``: look at the spool, or deliver what is in it."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from nightpane import config
from nightpane.annotations import flush as flush_annotations
from nightpane.cli._output import emit, json_option, printable
from nightpane.client import deliver
from nightpane.client.destination import Destination
from nightpane.client.spool import SpoolStatus, status
from nightpane.client.spool.folder import SpoolFolder

__all__ = ["command"]


@click.group()
def command() -> None:
    """Look at the spool, or deliver what is in it."""


def _show(now: SpoolStatus) -> dict[str, object]:
    return {
        "path": str(now.path),
        "total_bytes": now.total_bytes,
        "pending_events": now.pending_events,
        "pending_bytes": now.pending_bytes,
        "refused_events": now.refused_events,
        "refused": now.refused,
        "lost_frames": now.lost_frames,
        "sent_segments": now.sent_segments,
        "waiting": [dataclasses.asdict(segment) for segment in now.waiting],
    }


def _draw(now: SpoolStatus, to: Console) -> None:
    to.print(f"{now.pending_events:,} events wait in {escape(str(now.path))}")
    if now.waiting:
        table = Table(box=None, pad_edge=False)
        for title in ("segment", "begun", "events", "goes to", "held by"):
            table.add_column(title, justify="right" if title == "events" else "left")
        for segment in now.waiting:
            begun = datetime.fromtimestamp(segment.began_s, UTC).strftime("%Y-%m-%d %H:%M UTC")
            held = f"process {segment.pid}" if segment.is_held else "nobody"
            goes_to = escape(printable(segment.destination))
            table.add_row(segment.name, begun, f"{segment.events:,}", goes_to, held)
        to.print(table)
    for reason, count in now.refused.items():
        to.print(f"{count:,} set aside in refused.jsonl: {escape(printable(reason))}")
    if now.lost_frames:
        to.print(f"{now.lost_frames:,} frames could not be read; lost.jsonl tells where")


@command.command("status")
@json_option
def show_status(as_json: bool) -> int:
    """Show what waits, what was refused and what was lost. Ends with 1 if there is any."""
    now = status(config.load(find_server=False).spool_dir)
    emit(_show(now), as_json=as_json, render=lambda to: _draw(now, to))
    return 1 if now.pending_events or now.refused_events or now.lost_frames else 0


@command.command("flush")
@click.option(
    "--timeout", "timeout_s", type=float, default=60.0, show_default=True, help="Seconds at most."
)
@json_option
def flush(timeout_s: float, as_json: bool) -> int:
    """Deliver what dead processes left, and annotations. Ends with 1 if something still waits.

    A living process delivers its own events itself.
    """
    settings = config.load()
    done = deliver.flush(settings, timeout_s=timeout_s)
    marks = flush_annotations(settings)
    now = status(settings.spool_dir)
    report = {
        "delivered": done.delivered,
        "set_aside": done.set_aside,
        **_show(now),
        "annotations": dataclasses.asdict(marks),
    }

    def render(to: Console) -> None:
        to.print(f"{done.delivered:,} events delivered")
        _draw(now, to)
        if marks.delivered or marks.waiting:
            to.print(f"{marks.delivered:,} annotations delivered, {marks.waiting:,} wait")
        if now.pending_events and done.last_error:
            to.print(f"the last attempt said: {escape(printable(done.last_error))}")

    emit(report, as_json=as_json, render=render)
    return 1 if now.pending_events or marks.waiting else 0


@command.command("refused")
@json_option
def refused(as_json: bool) -> int:
    """List the events a server refused for good, each with the reason. Ends with 1 if any."""
    notes = SpoolFolder(config.load(find_server=False).spool_dir).refused()

    def render(to: Console) -> None:
        for note in notes:
            to.print(
                printable(f"{note.get('reason')}: {str(note.get('event'))[:200]}"), markup=False
            )
        to.print(f"{len(notes):,} events are set aside")

    emit(notes, as_json=as_json, render=render)
    return 1 if notes else 0


@command.command("retry")
@json_option
def retry(as_json: bool) -> None:
    """Put the refused events back into the spool, for the host configured now."""
    settings = config.load()
    destination = Destination.from_settings(settings, historical_migration=False)
    count = deliver.retry_refused(settings.spool_dir, destination)
    line = f"{count:,} events are in the spool again; 'nightpane spool flush' delivers them"
    emit({"retried": count}, as_json=as_json, render=lambda to: to.print(line))
