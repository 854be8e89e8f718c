"""What a board is: a name, the question it answers, one query, and how to draw the rows."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nightpane.boards.scope import HogQL, Scope

__all__ = ["Board"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One board. ``x`` and ``y`` name columns of the query, ``series`` the column that splits it.

    ``display`` is PostHog's word for the kind of chart. ``query`` writes its text for a scope: a
    figure on the board is a cell of that query's answer, or is worked out from cells in the row.
    A column's name says its unit. ``source`` names the events its figures come from, which for a
    cost is the one source of truth. ``annotated`` boards have a time axis, on which annotations
    stand. ``empty`` says how the board comes to be filled.
    """

    name: str
    question: str
    description: str
    display: str
    query: Callable[[Scope], str]
    source: str = ""
    empty: str = "No rounds in this range. A wider one may have some."
    x: str | None = None
    y: tuple[str, ...] = ()
    series: str | None = None
    annotated: bool = False

    @property
    def slug(self) -> str:
        """The name as addresses and the command line spell it, such as ``round-funnel``."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")

    def hogql(self, scope: Scope | None = None) -> HogQL:
        """Return the board's question for a scope."""
        scope = scope or Scope()
        return scope.ask(self.query(scope))

    def definition(self, scope: Scope | None = None) -> dict[str, Any]:
        """Return the board as PostHog's ``DataVisualizationNode``."""
        settings: dict[str, Any] = {"yAxis": [{"column": column} for column in self.y]}
        if self.x is not None:
            settings["xAxis"] = {"column": self.x}
        if self.series is not None:
            settings["seriesBreakdownColumn"] = self.series
        if self.display == "TwoDimensionalHeatmap":
            columns = {"xAxisColumn": self.x, "yAxisColumn": self.series}
            settings["heatmap"] = {**columns, "valueColumn": self.y[0]}
        return {
            "kind": "DataVisualizationNode",
            "source": {"kind": "HogQLQuery", "query": self.hogql(scope).text},
            "display": self.display,
            "chartSettings": settings if self.y else {},
        }
