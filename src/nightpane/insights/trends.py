"""``TrendsQuery``: read, made into one HogQL query.

The query counts and ranks; what needs no event any more (days without any, running sums, averages
over some days, formulas) is done with its rows, in ``trends_result``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from nightpane.insights.breakdowns import NULL, OTHER, Breakdown, read_breakdown
from nightpane.insights.dates import INTERVALS, Period, read_period, with_previous
from nightpane.insights.filters import Filters
from nightpane.insights.formula import Formula
from nightpane.insights.maths import Branch
from nightpane.insights.question import Context, Question, Values
from nightpane.insights.reading import Fields, wrong
from nightpane.insights.series import Series, read_series

__all__ = ["CUMULATIVE", "FormulaNode", "Trends", "build", "read_trends"]

CUMULATIVE = "ActionsLineGraphCumulative"
_TOTALS: tuple[str, ...] = (
    "BoldNumber",
    "ActionsPie",
    "ActionsBarValue",
    "ActionsTable",
    "WorldMap",
    "Progress",
)
_TOTALS += ("CalendarHeatmap",)
_OVER_TIME: tuple[str, ...] = (
    "ActionsLineGraph",
    "ActionsBar",
    "ActionsUnstackedBar",
    "ActionsAreaGraph",
    "Auto",
)
_OVER_TIME += ("ActionsStackedBar", "SlopeGraph", CUMULATIVE)
_MOST_SMOOTHED = 1_000
_MOST_FORMULAS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class FormulaNode:
    """A formula and what a person calls it."""

    formula: Formula
    custom_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trends:
    """A trends query that was read. ``given`` is its JSON, which the result's ``filter`` repeats.

    ``periods`` are the one asked for and, when it is compared, the one before.
    """

    given: Any
    series: tuple[Series, ...]
    periods: tuple[Period, ...]
    interval: str
    display: str
    breakdown: Breakdown | None
    formulas: tuple[FormulaNode, ...] = field(default=())
    smoothing: int = 1

    @property
    def is_total(self) -> bool:
        """Say whether each series is one number, not one for each point of time."""
        return self.display in _TOTALS

    @property
    def is_cumulative(self) -> bool:
        """Say whether each point of time is the sum of all up to it."""
        return self.display == CUMULATIVE

    def starting(self, at: Any) -> Trends:
        """Return the query with the start that all time has."""
        return replace(self, periods=tuple(period.starting(at) for period in self.periods))


def read_trends(query: Fields, context: Context) -> Trends:
    """Return a ``TrendsQuery``. Raises InsightError naming the field that is wrong."""
    shown = query.part("trendsFilter") or Fields({}, query.at("trendsFilter"))
    display = shown.choice("display", (*_OVER_TIME, *_TOTALS)) or "ActionsLineGraph"
    given_interval = query.choice("interval", INTERVALS, "day") or "day"
    interval = "day" if display in _TOTALS else given_interval
    query.refuse("aggregation_group_type_index", why="there are no groups here.")
    query.whole("samplingFactor", most=1)
    query.flag("filterTestAccounts")
    series = read_series(query)
    now, zone = context.now, context.timezone
    period = read_period(query, interval, now, zone, exact=display == "BoldNumber")
    return Trends(
        given=query.given,
        series=series,
        periods=with_previous(query, period),
        interval=given_interval,
        display=display,
        breakdown=read_breakdown(query, display=display),
        formulas=_formulas(shown, len(series)),
        smoothing=shown.whole("smoothingIntervals", least=1, most=_MOST_SMOOTHED) or 1,
    )


def build(trends: Trends, query: Fields, context: Context) -> Question:
    """Return the one query of a trend.

    Its columns are ``slot`` (the series, then those of the period before), ``value`` (the
    breakdown's, a list) with a breakdown, and ``total``, or ``buckets`` and their ``totals``;
    ``earliest`` is the first event of all when all time is asked for.
    """
    values = Values()
    filters = Filters(values, context)
    condition = filters.of(query.given.get("properties"), query.at("properties"))
    branches = [
        Branch(
            slot=place * len(trends.series) + series.order,
            series=series,
            period=period,
            is_total=trends.is_total,
            is_cumulative=trends.is_cumulative,
            breakdown=trends.breakdown,
            conditions=() if condition is None else (condition,),
            values=values,
            filters=filters,
        ).text()
        for place, period in enumerate(trends.periods)
        for series in trends.series
    ]
    counted = _indent("\nunion all\n".join(branches))
    over_time = not trends.is_total
    steps, source, keys = f"with counted as (\n{counted}\n)", "counted", "slot"
    if trends.breakdown is not None:
        steps += f",\n{_ranked(trends.breakdown, values, over_time)}"
        source, keys = "kept", "slot, value"
    # Arrays, because the rows of an answer are limited; groupArray would leave out a NULL.
    arrays = "groupArray(bucket) as buckets, groupArray(ifNull(total, 0)) as totals"
    shown = f"{keys}, {arrays if over_time else 'total'}"
    if trends.periods[0].start is None:
        shown += ", (select min(timestamp) from events) as earliest"
    grouped = f"\ngroup by {keys}" if over_time else ""
    text = f"{steps}\nselect {shown}\nfrom {source}{grouped}\nlimit 50000"
    return Question(text, values.given)


def _ranked(breakdown: Breakdown, values: Values, over_time: bool) -> str:
    """Return the steps that keep the largest values of each series and make the others one."""
    keys = ", ".join(f"b_{i}" for i in range(len(breakdown.parts)))
    empty = " or ".join(f"b_{i} is null" for i in range(len(breakdown.parts)))
    other = values.place([OTHER] * len(breakdown.parts))
    limit = values.place(breakdown.limit)
    bucket = "bucket, " if over_time else ""
    named = ", ".join(f"ifNull(b_{i}, {values.place(NULL)})" for i in range(len(breakdown.parts)))
    return f"""weighed as (
    select *, sum(total) over (partition by slot, {keys}) as weight, {empty} as absent
    from counted
),
ranked as (
    select *, dense_rank() over (partition by slot order by absent, weight desc, {keys}) as place
    from weighed
),
kept as (
    select slot, {bucket}if(place <= {limit}, [{named}], {other}) as value, sum(total) as total
    from ranked
    group by slot, {bucket}value
)"""  # noqa: S608 (fixed texts only: values are placeholders)


def _formulas(shown: Fields, series: int) -> tuple[FormulaNode, ...]:
    """Return the formulas, by the newest of the three fields that PostHog has had for them."""
    nodes = list(shown.parts("formulaNodes"))
    if len(nodes) > _MOST_FORMULAS or len(shown.items("formulas")) > _MOST_FORMULAS:
        raise wrong(shown.at("formulas"), f"at most {_MOST_FORMULAS} formulas at once.")
    if nodes:
        return tuple(
            FormulaNode(
                formula=Formula(node.text("formula") or "", series, node.at("formula")),
                custom_name=node.text("custom_name"),
            )
            for node in nodes
        )
    texts = shown.items("formulas") or [shown.text("formula")]
    attr = shown.at("formulas" if shown.items("formulas") else "formula")
    found = []
    for text in texts:
        if text is None or text == "":
            continue
        if not isinstance(text, str):
            raise wrong(attr, f"must be a text, not {text!r}.")
        found.append(FormulaNode(formula=Formula(text, series, attr)))
    return tuple(found)


def _indent(text: str) -> str:
    return "    " + text.replace("\n", "\n    ")
