"""A loop's short table: last night, the night before, and the week's median, row by row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from nightpane.digest import words
from nightpane.digest.compared import LoopReport, Nightly, Week
from nightpane.digest.model import Counts
from nightpane.stats import wilson

__all__ = ["Table", "funnel", "table"]

_NONE = "–"
_DIMS = 3
_Cell = Callable[[Nightly], str]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text below a head; the first column names the row."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def table(report: LoopReport) -> Table:
    """Return the table of a loop."""
    before, week = report.before, report.week
    earlier = "before" if before is None else f"{before.night:%-d %b}"
    if before is not None and (report.now.night - before.night).days == 1:
        earlier = "night before"
    nights = 0 if week is None else week.nights
    medians = "week" if nights < 2 else f"week, median of {nights}"
    return Table(("", "last night", earlier, medians), tuple(_rows(report)))


def funnel(counts: Counts) -> str:
    """Return how many rounds reached each stage."""
    return " → ".join(
        f"{stage.name} {'not emitted' if stage.rounds is None else f'{stage.rounds:,}'}"
        for stage in counts.stages
    )


def _rows(report: LoopReport) -> Iterator[tuple[str, ...]]:
    week, dims = report.week, report.now.dims

    def row(name: str, cell: _Cell, median: str = "") -> tuple[str, ...]:
        before = _NONE if report.before is None else cell(report.before)
        return name, cell(report.now), before, median

    yield row("rounds", lambda night: f"{night.rounds:,}", _figure(week, "rounds"))
    yield row("kept", _kept, _figure(week, "kept"))
    for move in report.moves:
        metric = words.metric_name(move.line.metric)
        for which in ("best", "typical"):
            cell = partial(_value, which=which, name=move.line.metric)
            yield row(f"{which} {metric}", cell, "" if week is None else cell(week))
    for dim in sorted(dims, key=lambda name: (dims[name], name))[:_DIMS]:
        cell = partial(_value, which="dims", name=dim)
        name = f"dim {words.plain(dim, longest=24)}"
        yield row(name, cell, "" if week is None else cell(week))
    yield row("cost", _cost, _usd(week, "cost_usd"))
    yield row("cost per kept round", _per_kept, _usd(week, "per_kept_usd"))
    yield row("escalations", _escalations, _figure(week, "escalations"))
    yield row("broken rounds", lambda night: f"{night.failed:,}", _figure(week, "failed"))
    yield row("cases that fell", lambda n: f"{n.cases_fallen:,}", _figure(week, "cases_fallen"))
    yield row("stopped for", lambda night: words.listed(night.stops, most=2))


def _kept(night: Nightly) -> str:
    interval = wilson(min(night.kept, night.rounds), night.rounds)
    if interval is None:
        return f"{night.kept:,}"
    low, high = interval.low * 100, interval.high * 100
    return f"{night.kept:,} = {night.kept / night.rounds:.0%} ({low:.0f}–{high:.0f})"


def _cost(night: Nightly) -> str:
    return _at_least(night, night.cost.known_usd)


def _per_kept(night: Nightly) -> str:
    return _at_least(night, night.per_kept_usd) if night.kept else "none kept"


def _at_least(night: Nightly, usd: float | None) -> str:
    sign = "" if usd is None or night.cost.complete else "≥ "
    return f"{sign}{words.usd(usd)}"


def _escalations(night: Nightly) -> str:
    if not night.escalated_to:
        return "0"
    return f"{night.escalations:,} to {words.listed(night.escalated_to[:1]).rpartition(' ')[0]}"


def _value(figures: Nightly | Week, *, which: str, name: str | None) -> str:
    value = getattr(figures, which).get(name)
    return _NONE if value is None else words.score(value)


def _figure(week: Week | None, name: str) -> str:
    value = None if week is None else week.figures.get(name)
    return "" if value is None else f"{value:,.4g}"


def _usd(week: Week | None, name: str) -> str:
    value = None if week is None else week.figures.get(name)
    return "" if value is None else words.usd(value)
