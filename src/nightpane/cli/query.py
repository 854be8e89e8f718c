"""``nightpane query``: ask a HogQL query and print its rows."""

from __future__ import annotations

import csv
import json
import re
import sys
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from nightpane.cli._output import emit, json_option, printable
from nightpane.config import load
from nightpane.errors import ApiError, ConfigError
from nightpane.query import QueryClient, QueryResult

__all__ = ["command"]

_PLACE = re.compile(r"\(line (\d+), column (\d+)\)$")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@click.command("query")
@click.argument("query")
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, for a spreadsheet.")
@click.option(
    "--value",
    "values",
    multiple=True,
    metavar="NAME=VALUE",
    help="Fill {NAME} in the query; VALUE is JSON where it can be read as JSON, else a text.",
)
def command(query: str, as_json: bool, as_csv: bool, values: tuple[str, ...]) -> None:
    """Ask a HogQL QUERY and print its rows ('-' reads the query from standard input).

    \b
    nightpane query "SELECT event, count() FROM events GROUP BY event"
    nightpane query --value project=autoagent "SELECT count() FROM events
        WHERE properties.project = {project}"
    """
    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other")
    text = sys.stdin.read() if query == "-" else query
    client = QueryClient.from_settings(load())
    try:
        result = client.hogql(text, _values(values) or None)
    except ApiError as error:
        _point(text, error)
        raise
    if as_csv:
        _write_csv(result)
    else:
        emit(_document(result), as_json=as_json, render=lambda console: _draw(result, console))


def _values(given: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in given:
        name, equals, value = item.partition("=")
        if not equals or not name:
            raise ConfigError(f"--value {item!r} has no name: write NAME=VALUE")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def _document(result: QueryResult) -> dict[str, Any]:
    return {
        "columns": result.columns,
        "types": result.types,
        "results": result.rows,
        "hasMore": result.has_more,
        "limit": result.limit,
    }


def _point(text: str, error: ApiError) -> None:
    """Show the line of the query an error speaks of, with a caret under the place."""
    place = _PLACE.search(error.detail)
    lines = text.split("\n")
    if place is None or int(place.group(1)) > len(lines):
        return
    line, column = lines[int(place.group(1)) - 1], int(place.group(2))
    lead = "".join("\t" if char == "\t" else " " for char in line[: column - 1])
    click.echo(printable(line), err=True)
    click.echo(f"{lead}^", err=True)


def _draw(result: QueryResult, console: Console) -> None:
    table = Table(show_edge=False, pad_edge=False)
    for name, kind in zip(result.columns, result.types, strict=True):
        right = any(word in kind for word in ("Int", "Float", "Decimal"))
        table.add_column(printable(name), justify="right" if right else "left", overflow="fold")
    for row in result.rows:
        table.add_row(*(_cell(value) for value in row))
    console.print(table, markup=False)
    count = len(result.rows)
    more = f", cut at its limit of {result.limit:,}: there are more" if result.has_more else ""
    console.print(f"{count:,} row{'' if count == 1 else 's'}{more}", style="dim", markup=False)


def _cell(value: Any) -> Any:
    from rich.text import Text

    if value is None:
        return Text("null", style="dim")
    if isinstance(value, str):
        return Text(printable(value))
    return Text(printable(json.dumps(value, ensure_ascii=False)))


def _write_csv(result: QueryResult) -> None:
    writer = csv.writer(sys.stdout)
    writer.writerow([_safe(name) for name in result.columns])
    for row in result.rows:
        writer.writerow([_safe(value) for value in row])


def _safe(value: Any) -> Any:
    """Return a cell a spreadsheet will not run as a formula."""
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    return value
