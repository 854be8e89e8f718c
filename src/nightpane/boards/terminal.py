"""A board in a terminal: bars, sparklines, heat cells, in the width there is.

Every name goes through ``chart.safe`` and is printed as text, never as markup.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from nightpane.boards.chart import Chart, Line, Mark, heading, shown

__all__ = ["draw"]

_COLOURS = ("blue", "yellow", "green", "magenta", "cyan", "red", "bright_blue", "white")
_FILLS = "█▓▒░▚▞▤▥"
_SPARKS = "▁▂▃▄▅▆▇█"
_HEAT = ("red", "bright_red", "yellow", "bright_green", "green")
_NAME_MOST = 30
_LATEST = 31


def draw(chart: Chart, marks: Sequence[Mark], to: Console) -> None:
    """Print a board: title, question, chart, annotations and where its figures come from."""
    board, width = chart.board, max(40, min(to.width, 100))
    to.print(Text(board.name, style="bold"))
    to.print(Text(f"{board.question} Shown: {heading(chart.column)}.", style="dim"), width=width)
    to.print()
    drawn = [line for line in chart.lines if any(value is not None for value in line.values)]
    if not drawn:
        to.print(Text(board.empty), width=width)
    for text in _lines(chart.alone(drawn), width) if drawn else ():
        to.print(text, no_wrap=True, crop=True, soft_wrap=True)
    for mark in marks if drawn else ():
        to.print(Text(f"{mark.at:%Y-%m-%d} ┆ {mark.text}", style="cyan"), no_wrap=True)
    if drawn:
        to.print()
    if chart.left_out:
        rest = "summed up as others" if chart.stacked else "left out"
        to.print(Text(f"The {chart.left_out} smallest are {rest}; --json has all.", style="dim"))
    to.print(Text(f"Source: {board.source}", style="dim"), width=width)


def _lines(chart: Chart, width: int) -> Iterator[Text]:
    if chart.kind == "heatmap":
        return _heat(chart, width)
    if chart.kind == "line":
        return _sparks(chart, width)
    return _stacks(chart, width) if chart.stacked else _bars(chart, width)


def _sparks(chart: Chart, width: int) -> Iterator[Text]:
    """One line a series: its name, its course, its first and last value."""
    room = _room(line.name for line in chart.lines)
    ends = [_ends(line, chart.column) for line in chart.lines]
    space = max(8, width - room - max(map(cell_len, ends)) - 4)
    for number, (line, end) in enumerate(zip(chart.lines, ends, strict=True)):
        spark = _spark(line.values, space)
        yield Text.assemble(
            set_cell_size(line.name, room), "  ", (spark, _COLOURS[number % 8]), "  ", end
        )
    yield _axis(chart, room)


def _spark(values: Sequence[float | None], space: int) -> str:
    step = max(1, -(-len(values) // space))
    known = [value for value in values if value is not None]
    low, span = min(known), (max(known) - min(known)) or 1.0
    found = ""
    for start in range(0, len(values), step):
        own = [value for value in values[start : start + step] if value is not None]
        found += _SPARKS[int((own[-1] - low) / span * 7.999)] if own else " "
    return found


def _ends(line: Line, column: str) -> str:
    known = [value for value in line.values if value is not None]
    return f"{shown(known[0], column)} → {shown(known[-1], column)}"


def _bars(chart: Chart, width: int) -> Iterator[Text]:
    """A bar for each place, series after series."""
    room = _room(chart.places)
    most = max(value for line in chart.lines for value in line.values if value is not None)
    for number, line in enumerate(chart.lines):
        if chart.board.series is not None:
            yield Text(line.name, style="bold")
        for place, (name, value) in enumerate(zip(chart.places, line.values, strict=True)):
            if value is None:
                continue
            said = shown(value, chart.column)
            if line.bounds and (bound := line.bounds[place]) is not None:
                low, high = (shown(end, chart.column) for end in bound)
                said += f" ({low} to {high})"
            space = max(8, width - room - 28)
            bar = "█" * round(space * value / most) if most > 0 and value > 0 else ""
            yield Text.assemble(
                set_cell_size(str(name), room), "  ", (bar or "▏", _COLOURS[number % 8]), " ", said
            )


def _stacks(chart: Chart, width: int) -> Iterator[Text]:
    """One line a place, its series beside each other; each has a colour and a fill of its own."""
    latest = slice(-_LATEST, None) if chart.is_time else slice(0, _LATEST)
    places = chart.places[latest]
    room = _room(map(str, places))
    columns = [[line.values[latest][place] or 0.0 for line in chart.lines]
               for place in range(len(places))]  # fmt: skip
    most = max(map(sum, columns)) or 1.0
    space = max(8, width - room - 14)
    for name, values in zip(places, columns, strict=True):
        text, done, drawn = Text(set_cell_size(str(name), room) + "  "), 0.0, 0
        for number, value in enumerate(values):
            done += value
            size = round(space * done / most) - drawn
            drawn += size
            text.append(_FILLS[number % 8] * size, _COLOURS[number % 8])
        yield text.append(f" {shown(sum(values), chart.column)}")
    if len(chart.places) > len(places):
        yield Text(f"{len(places)} of {len(chart.places)}; --json has all.", style="dim")
    yield Text()
    for number, line in enumerate(chart.lines):
        yield Text.assemble((_FILLS[number % 8] * 2, _COLOURS[number % 8]), f" {line.name}")


def _heat(chart: Chart, width: int) -> Iterator[Text]:
    """One line a series, one cell a place: the higher, the greener and the fuller."""
    lines = sorted(chart.lines, key=lambda line: line.name)
    room = min(_NAME_MOST, _room(line.name for line in lines))
    names = [f"{place:%m-%d}" if chart.is_time else str(place) for place in chart.places]
    size = 7 if chart.is_time else min(16, 2 + max(7, *map(cell_len, names)))
    count = max(1, (width - room - 1) // size)
    latest = slice(-count, None) if chart.is_time else slice(0, count)
    known = [value for line in lines for value in line.values if value is not None]
    low, span = min(known), (max(known) - min(known)) or 1.0
    heads = "".join(set_cell_size(f" {name}", size - 1) + " " for name in names[latest])
    yield Text(" " * (room + 1) + heads, style="dim")
    for line in lines:
        text = Text(set_cell_size(line.name, room) + " ")
        for value in line.values[latest]:
            said = "" if value is None else f"{value:.3g}"
            style = "" if value is None else f"black on {_HEAT[int((value - low) / span * 4.999)]}"
            text.append(set_cell_size(f" {said}", size - 1), style).append(" ")
        yield text
    if len(names) > count:
        yield Text(f"{count} of {len(names)} columns; --json has all.", style="dim")


def _axis(chart: Chart, room: int) -> Text:
    if not chart.is_time:
        return Text()
    first, last = chart.places[0], chart.places[-1]
    return Text(f"{' ' * room}  {first} to {last}", style="dim")


def _room(names: Iterator[str] | Sequence[str]) -> int:
    return min(_NAME_MOST, max((cell_len(str(name)) for name in names), default=1))
