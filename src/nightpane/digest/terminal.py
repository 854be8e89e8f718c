"""The digest on a terminal, drawn with rich. Text from the data is never read as markup."""

from __future__ import annotations

from rich.console import Console
from rich.padding import Padding
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


def print_page(page: Page, console: Console) -> None:
    """Draw the page: what got worse first, then a block for each loop."""
    console.print(Text(page.title, style="dim"))
    console.print(Text(page.headline, style="bold"))
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
    console.print(Padding(_grid(section.table), (0, 0, 0, 2)))
    for item in section.notes:
        _item(item, console)
    if section.link is not None:
        _address(section.link.url, console)


def _item(item: Item, console: Console) -> None:
    text = Text(item.word, style=_STYLES[item.tone])
    text.append(f"  {item.says}", style="dim" if item.tone == "dim" else "not bold default")
    console.print(Padding(text, (0, 0, 0, 2)))
    for line in item.lines:
        console.print(Padding(Text(line), (0, 0, 0, 4)))
    for link in item.links:
        _address(link.url, console, indent=4)


def _address(url: str, console: Console, *, indent: int = 2) -> None:
    # Never wrapped: a reader copies it, or the terminal makes it a link.
    console.print(Text(" " * indent + url, style="dim"), soft_wrap=True)


def _grid(table: Table) -> Grid:
    grid = Grid.grid(padding=(0, 2))
    grid.add_column(style="dim")
    for _ in table.head[1:]:
        grid.add_column(justify="right")
    grid.add_row(*(Text(cell, style="dim") for cell in table.head))
    for name, *cells in table.rows:
        grid.add_row(Text(name), *(Text(cell) for cell in cells))
    return grid
