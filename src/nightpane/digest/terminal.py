"""The digest on a terminal, drawn with rich. Text from the data is never read as markup."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from nightpane.digest.page import Item, Page, Section, Tone
from nightpane.digest.table import Table

__all__ = ["print_page"]

_STYLES: dict[Tone, str] = {
    "good": "bold green",
    "bad": "bold red",
    "warn": "bold yellow",
    "plain": "bold cyan",
    "dim": "dim",
}
_WORD = 15  # the longest word an item has
_INDENT = 2 + _WORD + 4


def print_page(page: Page, console: Console) -> None:
    """Draw the page: what got worse first, then a block for each loop."""
    console.print(Text(page.title, style="dim"))
    console.print(Text(page.headline, style="bold"))
    if page.against:
        console.print(Text(page.against))
    if page.fresh:
        console.print(Text(page.fresh, style="dim"))
    for step in page.steps:
        console.print(Text(step))
    if page.regressions:
        console.print(Text(f"\nGot worse: {len(page.regressions)}", style="bold red"))
        for item in page.regressions:
            _item(item, console)
    elif page.calm:
        console.print(Text(f"\n{page.calm}", style="green"))
    for section in page.loops:
        _section(section, console)
    for remark in page.remarks:
        console.print(Text(f"\n{remark}"))


def _section(section: Section, console: Console) -> None:
    console.print()
    console.print(Text(section.name, style="bold underline"))
    for item in section.verdicts:
        _item(item, console)
    console.print(_grid(section.table))
    for item in section.notes:
        _item(item, console)
    if section.link is not None:
        _address(section.link.url, console)


def _item(item: Item, console: Console) -> None:
    quiet = "dim" if item.tone == "dim" else ""
    _hanging(Text(item.word, style=_STYLES[item.tone]), Text(item.says, style=quiet), console)
    for point in item.points:
        if point.text:
            _hanging(Text(""), Text(point.text, style="dim"), console)
        for link in point.links:
            _address(link.url, console)


def _hanging(word: Text, says: Text, console: Console) -> None:
    grid = Grid.grid(padding=(0, 2, 0, 0))
    grid.add_column(width=2)
    grid.add_column(width=_WORD, no_wrap=True)
    grid.add_column()
    grid.add_row(Text(""), word, says)
    console.print(grid)


def _address(url: str, console: Console) -> None:
    # Never wrapped: a reader copies it, or the terminal makes it a link.
    console.print(Text(" " * _INDENT + url, style="dim"), soft_wrap=True)


def _grid(table: Table) -> Grid:
    grid = Grid.grid(padding=(0, 2, 0, 0))
    grid.add_column(width=2)
    grid.add_column(style="dim", min_width=20)
    for _ in table.head[1:]:
        grid.add_column(justify="right", min_width=14)
    grid.add_row(Text(""), *(Text(cell, style="dim") for cell in table.head))
    for name, *cells in table.rows:
        grid.add_row(Text(""), Text(name), *(Text(cell) for cell in cells))
    return grid
