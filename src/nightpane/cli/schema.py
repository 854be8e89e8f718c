"""``nightpane schema``: every event and property of the catalogue."""

from __future__ import annotations

import difflib

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from nightpane.catalog import ENVELOPE, EVENTS, EventSpec, PropertySpec, json_schema
from nightpane.catalog.reference import GROUPS, markdown, notes
from nightpane.catalog.typescript import typescript
from nightpane.cli._output import emit, json_option


@click.command()
@click.argument("event", required=False)
@click.option("--markdown", "as_markdown", is_flag=True, help="Print the reference page.")
@click.option("--typescript", "as_typescript", is_flag=True, help="Print a typed module.")
@json_option
def command(event: str | None, as_markdown: bool, as_typescript: bool, as_json: bool) -> None:
    """Print every event and property of the catalogue, or those of one EVENT.

    --json prints JSON Schema (draft 2020-12), --markdown the reference page, --typescript a module
    for posthog-node and posthog-js with all events.
    """
    if event is not None and event not in EVENTS:
        near = difflib.get_close_matches(event, EVENTS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(EVENTS)}"
        raise click.UsageError(f"no event {event!r} in the catalogue; {hint}")
    chosen = [("--json", as_json), ("--markdown", as_markdown), ("--typescript", as_typescript)]
    if len(names := [name for name, is_set in chosen if is_set]) > 1:
        raise click.UsageError(f"{' and '.join(names)} exclude each other")
    if as_typescript:
        if event is not None:
            raise click.UsageError("--typescript takes no event: the module holds all of them")
        click.echo(typescript(), nl=False)
        return
    if as_markdown:
        click.echo(markdown(event), nl=False)
        return
    emit(json_schema(event), as_json=as_json, render=lambda out: _draw(out, event))


def _draw(out: Console, event: str | None) -> None:
    if event is not None:
        _draw_event(out, EVENTS[event])
        return
    out.print("[bold]Envelope[/], on every event\n")
    out.print(_table(ENVELOPE))
    for group, title in GROUPS.items():
        out.print(f"\n[bold]{title}[/]")
        for spec in EVENTS.values():
            if spec.group == group:
                out.print()
                _draw_event(out, spec)


def _draw_event(out: Console, spec: EventSpec) -> None:
    where = "" if spec.in_round else " [dim](belongs to no round)[/]"
    out.print(f"[bold cyan]{spec.name}[/]  {escape(spec.description)}{where}")
    out.print(_table(spec.properties, spec.patterns))


def _table(properties: tuple[PropertySpec, ...], patterns: tuple[str, ...] = ()) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("property", "type", "unit"):
        table.add_column(heading, no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("meaning", overflow="fold")
    for one in properties:
        required = "R" if one.required else ""
        table.add_row(one.name, escape(one.type), one.unit or "", required, escape(notes(one)))
    for pattern in patterns:
        table.add_row(f"{pattern}*", "float", "", "", "any number of them")
    return table
