"""``nightpane doctor``: what is wrong with this set-up, and how to mend it."""

from __future__ import annotations

from dataclasses import asdict

import click
from rich.console import Console
from rich.table import Table

from nightpane.cli._output import emit, json_option, printable
from nightpane.config import SETTINGS, Settings, load
from nightpane.doctor import Check, examine

_MARK = {"ok": "[green]ok[/]", "finding": "[yellow]look[/]", "broken": "[red]broken[/]"}


@click.command()
@click.option(
    "--settings", "show_settings", is_flag=True, help="Print every setting and its source."
)
@json_option
def command(show_settings: bool, as_json: bool) -> int:
    """Check keys, connection, clock, schema and spool, and say how to mend each.

    Exit code 0 when all is well, 1 when something deserves a look, 3 when something is broken.
    """
    settings = load()
    if show_settings:
        rows = _settings(settings)
        emit(rows, as_json=as_json, render=lambda out: _draw_settings(out, rows))
        return 0
    checks = list(examine(settings))
    emit(
        [asdict(check) for check in checks], as_json=as_json, render=lambda out: _draw(out, checks)
    )
    states = {check.status for check in checks}
    return 3 if "broken" in states else 1 if "finding" in states else 0


def _settings(settings: Settings) -> list[dict[str, str | None]]:
    return [
        {
            "name": setting.name,
            "env": setting.env,
            "value": _shown(getattr(settings, setting.name), secret=setting.secret),
            "source": settings.sources.get(setting.name, "default"),
            "description": setting.description,
        }
        for setting in SETTINGS
    ]


def _shown(value: object, *, secret: bool) -> str | None:
    if value is None:
        return None
    return f"{str(value)[:6]}…" if secret else str(value)


def _draw_settings(out: Console, rows: list[dict[str, str | None]]) -> None:
    table = Table("setting", "value", "from", "variable", box=None, pad_edge=False)
    for row in rows:
        table.add_row(row["name"], printable(row["value"] or "not set"), row["source"], row["env"])
    out.print(table)


def _draw(out: Console, checks: list[Check]) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for check in checks:
        detail = printable(check.detail).replace("[", r"\[")
        if check.mend:
            detail += f"\n[cyan]→ {printable(check.mend)}[/]"
        table.add_row(_MARK.get(check.status, "[dim]unknown[/]"), check.name, detail)
    out.print(table)
