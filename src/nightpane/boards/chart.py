"""A board's rows as a chart: what the terminal and the picture both draw from.

Names come from the data and may hold anything: here they lose what could steer a terminal or turn
the direction of a text, and are cut. Never changes a figure.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any

from nightpane.boards.board import Board

__all__ = ["Chart", "Line", "Mark", "chart_of", "heading", "marks_of", "safe", "shown", "unit_of"]

MOST_LINES = 8
_MOST_PLACES = 400
_TIMES = {"day": 1, "week": 7}
# Characters that turn the direction of what follows, and so could pass a name off as another.
_TURNS = {*"\u200e\u200f\u061c", *map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A))}
_UNITS = {"_usd": "USD", "_rate": "%", "_share": "%", "_ms": "ms", "_s": "s"}


@dataclass(frozen=True, slots=True)
class Line:
    """One series: a value for each place on the x axis; None where there is none.

    ``bounds`` are intervals of confidence, for each place, where the board has them.
    """

    name: str
    values: tuple[float | None, ...]
    bounds: tuple[tuple[float, float] | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Mark:
    """An annotation: a day and its text."""

    at: date
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A board's rows by place on the x axis and series.

    ``places`` are dates where ``is_time``, else names. ``left_out`` is how many series are missing
    (of the smallest), or are summed up in the last one where a board stacks them.
    """

    board: Board
    places: tuple[Any, ...]
    lines: tuple[Line, ...]
    is_time: bool
    left_out: int = 0

    @property
    def column(self) -> str:
        """The column of the values."""
        return self.board.y[0]

    @property
    def stacked(self) -> bool:
        """Whether the series stand on top of each other."""
        return "Stacked" in self.board.display

    @property
    def kind(self) -> str:
        """How to draw it: ``line``, ``heatmap``, or ``bar``."""
        if "Heatmap" in self.board.display:
            return "heatmap"
        return "line" if "Line" in self.board.display else "bar"

    def alone(self, lines: Sequence[Line]) -> Chart:
        """Return the chart of some of its series."""
        return Chart(self.board, self.places, tuple(lines), self.is_time)


def chart_of(board: Board, rows: Sequence[Mapping[str, Any]]) -> Chart:
    """Return the chart of the rows that a board's query gave."""
    x, y = board.x or "", board.y[0]
    is_time = x in _TIMES
    cells: dict[str, dict[Any, float]] = defaultdict(dict)
    bounds: dict[tuple[str, Any], tuple[float, float]] = {}
    places: dict[Any, None] = {}
    for row in rows:
        place = _day(row[x]) if is_time else _with_size(row, safe(row[x]))
        places[place] = None
        name = _with_share(row, safe(row[board.series])) if board.series else heading(y)
        if row[y] is not None:
            # Names that look the same after cutting are added up where that means something.
            own = float(row[y])
            cells[name][place] = own + cells[name].get(place, 0) if "Bar" in board.display else own
        else:
            cells.setdefault(name, {})
        if row.get("low_rate") is not None:
            bounds[name, place] = (float(row["low_rate"]), float(row["high_rate"]))
    ordered = _whole(list(places), _TIMES[x]) if is_time else list(places)
    lines = [
        Line(
            name,
            tuple(of.get(place) for place in ordered),
            tuple(bounds.get((name, place)) for place in ordered) if bounds else (),
        )
        for name, of in cells.items()
    ]
    chart = Chart(board, tuple(ordered), tuple(lines), is_time)
    return chart if chart.kind == "heatmap" else _fewer(chart)


def _fewer(chart: Chart) -> Chart:
    if len(chart.lines) <= MOST_LINES:
        return chart
    by_size = sorted(chart.lines, key=lambda line: -sum(abs(v) for v in line.values if v))
    chosen, rest = by_size[: MOST_LINES - 1], by_size[MOST_LINES - 1 :]
    kept = [line for line in chart.lines if line in chosen]
    if chart.stacked:
        columns = zip(*(line.values for line in rest), strict=True)
        sums = [[value for value in column if value is not None] for column in columns]
        others = tuple(sum(values) if values else None for values in sums)
        kept.append(Line(f"({len(rest)} others)", others))
    return Chart(chart.board, chart.places, tuple(kept), chart.is_time, len(rest))


def marks_of(
    chart: Chart, annotations: Sequence[Mapping[str, Any]], zone: tzinfo = UTC
) -> list[Mark]:
    """Return the annotations that lie on a chart's time axis, oldest first, for boards that show
    them. ``annotations`` are PostHog's documents; one without a date, or deleted, is left out."""
    if not (chart.board.annotated and chart.is_time and chart.places):
        return []
    first, last = chart.places[0], chart.places[-1] + timedelta(days=_TIMES[chart.board.x or ""])
    found = []
    for one in annotations:
        try:
            at = datetime.fromisoformat(str(one.get("date_marker")))
        except ValueError:
            continue
        day = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(zone).date()
        if first <= day < last and not one.get("deleted"):
            found.append(Mark(day, safe(one.get("content") or "", 60)))
    return sorted(found, key=lambda mark: (mark.at, mark.text))


def safe(value: object, most: int = 40) -> str:
    """Return a name from the data as one short line without control characters."""
    text = "(none)" if value is None else str(value)[:1000]
    kept = "".join(
        "�" if unicodedata.category(char) in ("Cc", "Cs") or char in _TURNS else char
        for char in " ".join(text.split())
    )
    return kept if len(kept) <= most else kept[: most - 1] + "…"


def shown(value: float | None, column: str) -> str:
    """Return a value as people read it, with the unit its column's name says."""
    if value is None:
        return "–"
    if column.endswith("_usd"):
        return f"${value:,.2f}" if abs(value) >= 0.1 or value == 0 else f"${value:.3g}"
    if column.endswith(("_rate", "_share")):
        return f"{value:.0%}".replace("%", " %")
    unit = unit_of(column)
    whole = abs(value) < 1e15 and value == int(value)
    text = f"{int(value):,}" if whole else f"{value:,.4g}"
    return f"{text} {unit}" if unit in ("ms", "s") else text


def unit_of(column: str) -> str:
    """Return the unit that a column's name ends with, empty for a plain number."""
    return next((unit for end, unit in _UNITS.items() if column.endswith(end)), "")


def heading(column: str) -> str:
    """Return a column's name as words: ``cost_per_kept_usd`` is ``cost per kept (USD)``."""
    unit = unit_of(column)
    if unit == "%":
        return column.replace("_", " ")
    words = column.rsplit("_", 1)[0] if unit else column
    return words.replace("_", " ") + (f" ({unit})" if unit else "")


def _with_size(row: Mapping[str, Any], name: str) -> str:
    """Return a place with how many it stands for, where an interval says that this matters."""
    return name if row.get("low_rate") is None else f"{name}, n = {row['rounds']:,}"


def _with_share(row: Mapping[str, Any], name: str) -> str:
    """Return a dimension with how often it was the lowest, which a colour cannot tell."""
    share = row.get("gate_share")
    return name if share is None else f"{name} · lowest {shown(float(share), 'gate_share')}"


def _day(value: object) -> date:
    return date.fromisoformat(str(value)[:10])


def _whole(days: list[date], step: int) -> list[date]:
    """Return the days in order, with those between that have no rows, unless that is too many."""
    if not days:
        return []
    first, last = min(days), max(days)
    count = (last - first).days // step + 1
    if count > _MOST_PLACES:
        return sorted(days)
    return sorted({*days, *(first + timedelta(days=step * place) for place in range(count))})
