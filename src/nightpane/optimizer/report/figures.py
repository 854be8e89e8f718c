"""The report's figures: where the money goes, by day, by trace, and what the latency follows."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from nightpane.errors import MissingExtraError
from nightpane.optimizer.fields import Scope
from nightpane.optimizer.folder import Folder
from nightpane.optimizer.model import Analysis, OperationVariance, Usage
from nightpane.optimizer.source import Row, Source
from nightpane.optimizer.words import plain, usd

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Figure", "draw"]

Figure = tuple[str, str]
"""A file below the results folder, and what it shows."""

_INK, _SOFT, _GRID = "#1f2430", "#6b7280", "#e5e7eb"
# Okabe and Ito's palette, which colour-blind readers can tell apart.
_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#999999")
_RED = "#d55e00"
_MOST_OPERATIONS, _MOST_MODELS, _DOTS = 10, 6, 2_000
_STYLE: Any = {
    "text.parse_math": False,
    "font.size": 9.5,
    "axes.edgecolor": _GRID,
    "axes.labelcolor": _SOFT,
    "axes.titlesize": 11.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlecolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.color": _SOFT,
    "ytick.color": _INK,
    "grid.color": _GRID,
    "legend.frameon": False,
    "figure.dpi": 110,
    "savefig.bbox": "tight",
}
_LATENCIES = f"""SELECT operation, latency, output FROM %s WHERE latency > 0 AND output > 0
ORDER BY cityHash64(id) LIMIT {_DOTS}"""  # noqa: S608 (constants of this package)
_ONE_IN = " AND modulo(cityHash64(toString(uuid)), {every}) = 0"


def draw(source: Source, folder: Folder, scope: Scope, analysis: Analysis) -> tuple[Figure, ...]:
    """Draw the figures that the data allows into ``figures/``, and return them.

    Raises MissingExtraError without matplotlib.
    """
    dots = _latencies(source, scope, analysis)
    plans: tuple[tuple[str, str, bool, Callable[[Axes], None], tuple[float, float]], ...] = (
        (
            "cost_by_operation",
            "Cost by operation and model",
            analysis.metrics.cost_usd > 0,
            lambda axes: _by_operation(axes, analysis),
            (7.5, 1.2 + 0.36 * min(_MOST_OPERATIONS, len(analysis.metrics.operations))),
        ),
        (
            "cost_per_day",
            "Cost per day (UTC)",
            analysis.metrics.cost_usd > 0,
            lambda axes: _by_day(axes, analysis),
            (7.5, 3.2),
        ),
        (
            "cost_per_trace",
            "Cost per trace, outliers marked",
            any(len(one.costs) > 1 for one in analysis.variance),
            lambda axes: _by_trace(axes, analysis.variance),
            (7.5, 1.2 + 0.5 * len(analysis.variance)),
        ),
        (
            "latency_by_output",
            "Latency against output tokens",
            len(dots) > 1,
            lambda axes: _by_output(axes, dots),
            (7.5, 3.6),
        ),
    )
    with _figure() as new:
        drawn = []
        for name, title, worth_it, plot, size in plans:
            if worth_it:
                path = f"figures/{name}.png"
                folder.path(path).write_bytes(new(title, plot, size))
                drawn.append((path, title))
            else:
                folder.path(f"figures/{name}.png").unlink(missing_ok=True)
    return tuple(drawn)


def _latencies(source: Source, scope: Scope, analysis: Analysis) -> list[Row]:
    every = max(1, analysis.metrics.calls // _DOTS)
    calls = scope.calls("id", "operation", "latency", "output", part=_ONE_IN)
    return source.ask(_LATENCIES % calls, scope.values({"every": every}))


@contextmanager
def _figure() -> Iterator[Callable[[str, Callable[[Axes], None], tuple[float, float]], bytes]]:
    """Give a function that draws one figure to PNG, without a display or a global state."""
    import io

    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure as Canvas
    except ModuleNotFoundError:
        raise MissingExtraError("optimizer") from None

    def new(title: str, plot: Callable[[Axes], None], size: tuple[float, float]) -> bytes:
        canvas = Canvas(figsize=size)
        axes = canvas.add_subplot()
        plot(axes)
        axes.set_title(title, pad=10)
        out = io.BytesIO()
        canvas.savefig(out, format="png", metadata={"Software": None})
        return out.getvalue()

    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # A name in a script that the font lacks is drawn as boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield new


def _by_operation(axes: Axes, analysis: Analysis) -> None:
    shown = list(analysis.metrics.operations[:_MOST_OPERATIONS])[::-1]
    costs = _costs(analysis.pricing.usage)
    models = [one.model for one in analysis.metrics.models]
    models = list(dict.fromkeys(models))
    labels = [*models[:_MOST_MODELS], *(["other models"] if models[_MOST_MODELS:] else [])]
    left = [0.0] * len(shown)
    for place, label in enumerate(labels):
        named = models[_MOST_MODELS:] if place == _MOST_MODELS else [label]
        widths = [sum(costs.get((one.operation, m), 0.0) for m in named) for one in shown]
        colour = _COLOURS[place % len(_COLOURS)]
        axes.barh(range(len(shown)), widths, left=left, color=colour, label=plain(label, 40))
        left = [a + b for a, b in zip(left, widths, strict=True)]
    axes.set_yticks(range(len(shown)), [plain(one.operation, 32) for one in shown])
    for place, total in enumerate(left):
        axes.annotate(
            usd(total), (total, place), xytext=(4, 0), textcoords="offset points", va="center"
        )
    axes.margins(x=0.12)
    axes.xaxis.set_visible(False)
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.legend(loc="lower right", fontsize=8.5)


def _costs(usage: tuple[Usage, ...]) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], float] = {}
    for one in usage:
        key = one.operation, one.model
        found[key] = found.get(key, 0.0) + one.cost_usd
    return found


def _by_day(axes: Axes, analysis: Analysis) -> None:
    daily = analysis.metrics.daily
    days = _days(min(one.day for one in daily), max(one.day for one in daily))
    totals: dict[str, float] = {}
    for one in daily:
        totals[one.operation] = totals.get(one.operation, 0.0) + one.cost_usd
    ranked = sorted((name for name in totals if name), key=lambda name: -totals[name])
    top = ranked[: len(_COLOURS) - 1]
    bottom = [0.0] * len(days)
    for place, name in enumerate([*top, ""]):
        by_day = dict.fromkeys(days, 0.0)
        for one in daily:
            if one.operation == name or (not name and one.operation not in top):
                by_day[one.day] += one.cost_usd
        heights = list(by_day.values())
        if not any(heights):
            continue
        label = plain(name, 32) if name else "all others"
        axes.bar(days, heights, 0.8, bottom=bottom, color=_COLOURS[place], label=label)
        bottom = [a + b for a, b in zip(bottom, heights, strict=True)]
    step = max(1, -(-len(days) // 10))
    axes.set_xticks(days[::step], [day[5:] for day in days[::step]])
    axes.yaxis.grid(visible=True)
    axes.yaxis.set_major_formatter(lambda value, _: usd(value))
    axes.tick_params(length=0)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8.5)


def _days(first: str, last: str) -> list[str]:
    """Every day from the first to the last: one without calls has its place too."""
    start, end = date.fromisoformat(first), date.fromisoformat(last)
    return [(start + timedelta(days=n)).isoformat() for n in range((end - start).days + 1)]


def _by_trace(axes: Axes, variance: tuple[OperationVariance, ...]) -> None:
    shown = [one for one in variance if len(one.costs) > 1][::-1]
    for place, one in enumerate(shown):
        limit = min(cost.cost_usd for cost in one.outliers) if one.outliers else None
        for far in (False, True):
            part = [c for c in one.costs if (limit is not None and c >= limit) is far and c > 0]
            # Spread a little, by rank, so that equal costs do not hide each other.
            heights = [place + 0.11 * (i % 5 - 2) for i in range(len(part))]
            colour, alpha = (_RED, 0.9) if far else (_COLOURS[0], 0.35)
            axes.scatter(part, heights, s=26 if far else 12, color=colour, alpha=alpha, lw=0)
        axes.plot([one.median, one.median], [place - 0.33, place + 0.33], color=_INK, lw=1.6)
    axes.set_xscale("log")
    axes.set_yticks(range(len(shown)), [plain(one.operation, 32) for one in shown])
    axes.set_ylim(-0.6, len(shown) - 0.4)
    axes.set_xlabel("USD per trace (up to 500 dearest of each; bar: median of all; red: outliers)")
    axes.xaxis.set_major_formatter(lambda value, _: usd(value))
    axes.xaxis.grid(visible=True)
    axes.tick_params(axis="y", length=0)


def _by_output(axes: Axes, dots: list[Row]) -> None:
    counts: dict[str, int] = {}
    for row in dots:
        counts[row["operation"]] = counts.get(row["operation"], 0) + 1
    top = sorted(counts, key=lambda name: (-counts[name], name))[: len(_COLOURS) - 1]
    for place, name in enumerate([*top, None]):
        part = [
            row
            for row in dots
            if row["operation"] == name or (name is None and row["operation"] not in top)
        ]
        if part:
            axes.scatter(
                [row["output"] for row in part],
                [row["latency"] for row in part],
                s=9,
                alpha=0.55,
                lw=0,
                color=_COLOURS[place],
                label="all others" if name is None else plain(name, 32),
            )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("output tokens")
    axes.set_ylabel("latency, s")
    plainly: Any = lambda value, _: f"{value:g}"  # noqa: E731 (matplotlib takes a function)
    axes.xaxis.set_major_formatter(plainly)
    axes.yaxis.set_major_formatter(plainly)
    axes.grid(visible=True)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8.5, markerscale=2)
