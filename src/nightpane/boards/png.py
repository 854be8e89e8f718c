"""A board as a picture for a slide: title, question, chart with units, annotations, source.

matplotlib is loaded only here, and drawn without a display. Every text from the data is drawn as it
stands: no mathematics between dollar signs, and a glyph the font lacks is a box, not a warning.
"""

from __future__ import annotations

import io
import textwrap
import unicodedata
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from nightpane.boards.chart import Chart, Line, Mark, heading, safe, shown
from nightpane.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["picture"]

_DPI = 160
_MOST_PANELS = 4
_MARK_ROWS = 3
_MARK_CHARS = 36
_CHAR = 1 / 84  # the width of a letter of a mark's text, as a share of the axes
_WIDE = "mwMW@%"


@dataclass(frozen=True, slots=True)
class _Theme:
    ground: str
    ink: str
    soft: str
    line: str
    mark: str
    series: tuple[str, ...]
    heat: tuple[str, ...]


_LIGHT = _Theme(
    ground="#ffffff",
    ink="#191c24",
    soft="#565c6b",
    line="#e2e3de",
    mark="#8a5a00",
    series=(
        *("#3454c5", "#d0802f", "#1a7a4f", "#8a3f9c"),
        *("#1f9fb0", "#b3312c", "#8d95a6", "#c2a200"),
    ),
    heat=("#b3312c", "#e9a08c", "#efe6d2", "#8fc4a4", "#1a7a4f"),
)
_DARK = _Theme(
    ground="#161b28",
    ink="#e9ecf4",
    soft="#a9b1c4",
    line="#2f374a",
    mark="#f0c060",
    series=(
        *("#8aa8ff", "#f0a35e", "#5fd39a", "#d690e8"),
        *("#5cc9d9", "#ff8f86", "#a9b1c4", "#e6cf5a"),
    ),
    heat=("#c9463f", "#8f4a48", "#3c4257", "#2f7f5c", "#4fce92"),
)


def picture(
    chart: Chart,
    marks: Sequence[Mark] = (),
    *,
    rows: Sequence[Mapping[str, Any]] = (),
    dark: bool = False,
    about: str = "",
) -> bytes:
    """Return a board as a PNG of 1,920 by 1,080 pixels. ``rows`` tell which series share a unit.

    ``about`` says what it is limited to, in the foot. Raises MissingExtraError without matplotlib.
    """
    try:
        import matplotlib as mpl
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("png") from error
    theme = _DARK if dark else _LIGHT
    kept = [line for line in chart.lines if any(value is not None for value in line.values)]
    settings: Any = _settings(theme)
    with mpl.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        figure = Figure(figsize=(12, 6.75), dpi=_DPI)
        FigureCanvasAgg(figure)
        _frame(figure, chart, theme, about)
        if kept:
            _panels(figure, chart, _grouped(kept, chart, rows), marks, theme)
        else:
            empty = textwrap.fill(chart.board.empty, 72)
            figure.text(0.5, 0.48, empty, ha="center", fontsize=15, color=theme.soft)
        file = io.BytesIO()
        figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def _settings(theme: _Theme) -> dict[str, Any]:
    return {
        "font.family": ["DejaVu Sans"],
        "font.size": 12,
        "text.parse_math": False,
        "text.usetex": False,
        "axes.formatter.use_mathtext": False,
        "axes.unicode_minus": True,
        "text.color": theme.ink,
        "axes.labelcolor": theme.soft,
        "axes.edgecolor": theme.line,
        "axes.facecolor": theme.ground,
        "figure.facecolor": theme.ground,
        "savefig.facecolor": theme.ground,
        "xtick.color": theme.soft,
        "ytick.color": theme.soft,
        "grid.color": theme.line,
    }


def _frame(figure: Figure, chart: Chart, theme: _Theme, about: str) -> None:
    board = chart.board
    figure.text(0.05, 0.925, board.name, fontsize=24, fontweight="bold")
    figure.text(0.05, 0.872, board.question, fontsize=15, color=theme.soft)
    parts = [textwrap.fill(f"Source: {board.source}", 125)]
    if about:
        parts.append(safe(about, 110))
    if chart.left_out:
        rest = "summed up as others" if chart.stacked else "left out"
        parts.append(f"The {chart.left_out} smallest series are {rest}.")
    foot = "\n".join(parts)
    figure.text(0.05, 0.028, foot, fontsize=10, color=theme.soft, va="bottom", linespacing=1.4)


def _grouped(
    lines: Sequence[Line], chart: Chart, rows: Sequence[Mapping[str, Any]]
) -> list[tuple[str, list[Line]]]:
    """Return the series by what shares an axis: a metric each where rows have one, else all."""
    if chart.kind != "line" or chart.board.series is None:
        return [(heading(chart.column), list(lines))]
    metric = {safe(row[chart.board.series]): row.get("metric") for row in rows}
    found: dict[str, list[Line]] = {}
    for line in lines:
        name = metric.get(line.name)
        found.setdefault(heading(chart.column) if name is None else safe(name, 24), []).append(line)
    return list(found.items())[:_MOST_PANELS]


def _panels(
    figure: Figure,
    chart: Chart,
    groups: Sequence[tuple[str, list[Line]]],
    marks: Sequence[Mark],
    theme: _Theme,
) -> None:
    top = 0.80 - (0.035 * min(3, len(marks)) if marks else 0)
    legend = chart.kind != "heatmap" and chart.board.series is not None
    left, right = (0.25, 0.935) if chart.kind == "heatmap" else (0.095, 0.73 if legend else 0.96)
    spread = chart.kind == "bar" and not chart.is_time and not chart.stacked
    if spread and chart.board.series is None:
        left = 0.27
    grid = figure.add_gridspec(len(groups), 1, left=left, right=right, top=top, bottom=0.19,
                               hspace=0.22)  # fmt: skip
    colours = {line.name: theme.series[number % 8] for number, line in enumerate(chart.lines)}
    axes: list[Axes] = []
    for place, (label, lines) in enumerate(groups):
        one = figure.add_subplot(grid[place])
        axes.append(one)
        _bare(one)
        _DRAWERS[chart.kind](one, chart.alone(lines), colours, theme)
        if chart.kind != "heatmap" and not (spread and chart.board.series is None):
            one.set_ylabel(label)
        if place < len(groups) - 1:
            one.tick_params(labelbottom=False)
    _draw_marks(axes, marks, theme)
    if legend:
        drawn = [line.name for _, lines in groups for line in lines]
        _legend(figure, drawn, colours, top)


def _bare(axes: Axes) -> None:
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(length=0)
    axes.set_axisbelow(True)


def _legend(figure: Figure, names: Sequence[str], colours: Mapping[str, str], top: float) -> None:
    for number, name in enumerate(names):
        y = top - 0.012 - 0.046 * number
        figure.text(0.748, y, "■", color=colours[name], fontsize=15, va="center")
        figure.text(0.766, y, _narrow(name, 27), fontsize=11, va="center")


def _draw_line(axes: Axes, chart: Chart, colours: Mapping[str, str], theme: _Theme) -> None:
    """Points joined over days without a value, so that one day alone is seen as well."""
    for line in chart.lines:
        known = [
            (place, value)
            for place, value in zip(chart.places, line.values, strict=True)
            if value is not None
        ]
        places, values = [_at(place) for place, _ in known], [value for _, value in known]
        axes.plot(places, values, color=colours[line.name], linewidth=2.4, marker="o",
                  markersize=5, markeredgecolor=theme.ground)  # fmt: skip
    axes.grid(axis="y")
    axes.margins(x=0.02, y=0.12)
    _ticks(axes, chart)


def _draw_bar(axes: Axes, chart: Chart, colours: Mapping[str, str], theme: _Theme) -> None:
    if chart.stacked:
        _draw_stack(axes, chart, colours, theme)
    elif chart.board.series is None:
        _draw_ranked(axes, chart, colours, theme)
    else:
        _draw_beside(axes, chart, colours, theme)


def _draw_stack(axes: Axes, chart: Chart, colours: Mapping[str, str], theme: _Theme) -> None:
    weekly = chart.board.x == "week"
    at = [float(place) for place in range(len(chart.places))]
    if chart.is_time:
        at = [_at(place) + (3 if weekly else 0) for place in chart.places]
    wide = 5.2 if weekly else 0.8 if chart.is_time else 0.6
    below = [0.0] * len(at)
    for line in chart.lines:
        values = [value or 0.0 for value in line.values]
        axes.bar(at, values, wide, below, color=colours[line.name], edgecolor=theme.ground,
                 linewidth=0.8)  # fmt: skip
        below = [low + value for low, value in zip(below, values, strict=True)]
    axes.grid(axis="y")
    if all(low == int(low) for low in below):
        axes.locator_params(axis="y", integer=True)
    if chart.is_time:
        _ticks(axes, chart)
    else:
        axes.set_xticks(at, [_narrow(name, max(4, 64 // len(at))) for name in chart.places])
        axes.set_xlim(-0.8, max(len(at), 3) - 0.2)


def _draw_ranked(axes: Axes, chart: Chart, colours: Mapping[str, str], theme: _Theme) -> None:
    """Bars that lie, the first on top, with their values; intervals where the board has them."""
    line = chart.lines[0]
    most = 12
    names, values = chart.places[:most], [value or 0.0 for value in line.values[:most]]
    at = range(len(names))
    axes.barh(at, values, 0.56, color=colours[line.name])
    ends = list(values)
    for place, bound in enumerate(line.bounds[:most]):
        if bound is not None:
            ends[place] = max(values[place], bound[1])
            axes.plot(
                bound, (place, place), color=theme.ink, linewidth=2, marker="|", markersize=12
            )
    for place, (end, value) in enumerate(zip(ends, values, strict=True)):
        axes.annotate(shown(value, chart.column), (end, place), xytext=(8, 0), va="center",
                      textcoords="offset points", fontsize=13, fontweight="bold")  # fmt: skip
    axes.set_yticks(at, [_wrapped(name) for name in names])
    axes.set_ylim(max(len(names), 2) - 0.4, -0.6)
    axes.set_xlim(0, (max(ends) or 1) * 1.14)
    axes.set_xlabel(heading(chart.column) + (", with its 95 % interval" if line.bounds else ""))
    axes.xaxis.set_major_formatter(lambda value, _: shown(value, chart.column))
    axes.grid(axis="x")


def _wrapped(name: str) -> str:
    return "\n".join(textwrap.wrap(_narrow(name, 40), 26)) or name


def _draw_beside(axes: Axes, chart: Chart, colours: Mapping[str, str], theme: _Theme) -> None:
    wide = 0.8 / len(chart.lines)
    for number, line in enumerate(chart.lines):
        at = [place - 0.4 + wide * (number + 0.5) for place in range(len(chart.places))]
        values = [value or 0.0 for value in line.values]
        axes.bar(at, values, wide * 0.94, color=colours[line.name])
        for x, value in zip(at, line.values, strict=True):
            if value is not None and len(chart.lines) * len(chart.places) <= 24:
                axes.annotate(shown(value, chart.column), (x, value), xytext=(0, 3), ha="center",
                              textcoords="offset points", fontsize=10, color=theme.soft,
                              )  # fmt: skip
    axes.set_xticks(range(len(chart.places)), [_narrow(name, 16) for name in chart.places])
    axes.grid(axis="y")


def _draw_heatmap(axes: Axes, chart: Chart, _colours: Mapping[str, str], theme: _Theme) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    lines = sorted(chart.lines, key=lambda line: line.name)[:24]
    kept = slice(-60, None) if chart.is_time else slice(0, 24)
    places = chart.places[kept]
    cells = [[float("nan") if value is None else value for value in line.values[kept]]
             for line in lines]  # fmt: skip
    colours = LinearSegmentedColormap.from_list("heat", theme.heat)
    image = axes.pcolormesh(cells, cmap=colours, edgecolors=theme.ground, linewidth=2)
    norm: Any = image.norm
    for row, values in enumerate(cells if len(places) <= 20 else []):
        for column, value in enumerate(values):
            if value == value:  # not missing
                axes.text(column + 0.5, row + 0.5, f"{value:.2f}", ha="center", va="center",
                          fontsize=11, color=_on(colours(norm(value))))  # fmt: skip
    axes.set_yticks(
        [row + 0.5 for row in range(len(lines))], [_narrow(one.name, 25) for one in lines]
    )
    axes.invert_yaxis()
    step = max(1, -(-len(places) // (10 if chart.is_time else 24)))
    names = [_short(place) if isinstance(place, date) else _narrow(place, max(4, 74 // len(places)))
             for place in places[::step]]  # fmt: skip
    axes.set_xticks([column + 0.5 for column in range(0, len(places), step)], names)
    axes.spines["bottom"].set_visible(False)
    bar = axes.figure.colorbar(image, ax=axes, pad=0.015, fraction=0.03)
    bar.outline.set_visible(False)
    bar.set_label(heading(chart.column))
    bar.ax.tick_params(length=0)


def _on(colour: Any) -> str:
    """Return the ink that is read on a colour (relative luminance, WCAG 2)."""
    parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    light = 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
    return "#10131a" if light > 0.18 else "#ffffff"


def _ticks(axes: Axes, chart: Chart) -> None:
    places = chart.places
    step = max(1, -(-len(places) // 9))
    shift = 3 if chart.stacked and chart.board.x == "week" else 0
    chosen = places[::step]
    axes.set_xticks([_at(place) + shift for place in chosen], [_short(d) for d in chosen])
    if len(places) == 1:
        axes.set_xlim(_at(places[0]) + shift - 3, _at(places[0]) + shift + 3)
    elif not chart.stacked:
        # The same days in every panel, also in one whose own line is shorter.
        first, last = _at(min(places)), _at(max(places))
        margin = (last - first) * 0.02
        axes.set_xlim(first - margin, last + margin)
    if chart.column.endswith(("_usd", "_rate")):
        axes.yaxis.set_major_formatter(lambda value, _: shown(value, chart.column))


def _at(day: date) -> float:
    """Return a day as matplotlib counts them: since 1970."""
    return float((day - date(1970, 1, 1)).days)


def _short(day: date) -> str:
    return f"{day.day} {day:%b}"


def _draw_marks(axes: Sequence[Axes], marks: Sequence[Mark], theme: _Theme) -> None:
    """Draw vertical lines through every panel, with their texts above the first."""
    low, high = axes[0].get_xlim()
    for mark in marks:
        for one in axes:
            one.axvline(_at(mark.at), color=theme.mark, linewidth=1.4, linestyle=(0, (4, 3)))
    places = [(_at(mark.at) - low) / (high - low) for mark in marks]
    for mark, height in zip(marks, _heights(places, marks), strict=True):
        if height is not None:
            axes[0].annotate(
                f" {_narrow(mark.text, _MARK_CHARS)}",
                (_at(mark.at), 1),
                xycoords=("data", "axes fraction"),
                xytext=(0, 8 + 17 * height),
                textcoords="offset points",
                fontsize=11,
                color=theme.mark,
                arrowprops=_stem(theme),
            )


def _heights(places: Sequence[float], marks: Sequence[Mark]) -> list[int | None]:
    """Return the row each text stands in, None where no row is free: no line may cross a text."""
    ends = [float("-inf")] * min(_MARK_ROWS, len(marks))
    found: list[int | None] = []
    for place, mark in zip(places, marks, strict=True):
        free = [row for row in range(len(ends)) if max(ends[: row + 1]) <= place]
        found.append(free[-1] if free else None)
        if free:
            ends[free[-1]] = place + (min(len(mark.text), _MARK_CHARS) + 2) * _CHAR
    return found


def _narrow(text: str, most: int) -> str:
    """Return a text that takes no more room than so many letters of usual width."""
    room = 0.0
    for place, char in enumerate(text):
        room += 1.6 if char in _WIDE or unicodedata.east_asian_width(char) in "WF" else 1
        if room > most:
            return text[: max(1, place - 1)] + "…"
    return text


def _stem(theme: _Theme) -> dict[str, Any]:
    """Return what leads a mark's line on to its text."""
    return {
        "arrowstyle": "-",
        "color": theme.mark,
        "linewidth": 1.4,
        "shrinkA": 0,
        "shrinkB": 0,
        "relpos": (0, 0),
    }


_DRAWERS = {"line": _draw_line, "bar": _draw_bar, "heatmap": _draw_heatmap}
