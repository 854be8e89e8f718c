"""The persons behind one figure of an insight, as a SELECT: the source of an ``ActorsQuery``.

Each reads the insight as its own kind does, so that as many persons are found as the figure says.
What a figure does not have (a day, a status, a value) is refused, never ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from nightpane.insights import (
    funnels,
    funnels_query,
    lifecycle,
    paths,
    paths_query,
    retention,
    retention_query,
    stickiness,
    trends,
)
from nightpane.insights.breakdowns import NULL, OTHER, Breakdown
from nightpane.insights.dates import Period, floor
from nightpane.insights.filters import Filters
from nightpane.insights.maths import Branch
from nightpane.insights.question import Context, Values
from nightpane.insights.reading import Fields, wrong

__all__ = ["Source", "of_figure"]

_NO_GROUPS = "there are no groups here"


@dataclass(frozen=True, slots=True)
class Source:
    """A SELECT, and its column with the ids of persons. ``counted`` says that it has
    ``event_count`` and ``event_distinct_ids`` too, ``interval`` what its ``appearances`` count and
    ``intervals`` how many there can be."""

    text: str
    id_column: str = "actor_id"
    counted: bool = False
    interval: str = ""
    intervals: int = 0


def of_figure(query: Fields, context: Context, values: Values) -> Source:
    """Return the source of an ``InsightActorsQuery``, ``StickinessActorsQuery`` or
    ``FunnelsActorsQuery``. Raises InsightError."""
    insight = query.part("source")
    if insight is None:
        raise wrong(query.at("source"), "the insight is required.")
    known = _KINDS[query.text("kind") or ""]
    kind = insight.text("kind") or ""
    if kind not in known:
        raise wrong(
            insight.at("kind"),
            f"the persons of a {kind!r} are not listed here: those of {', '.join(known)} are.",
        )
    return known[kind](query, insight, context, values)


def _of_trends(query: Fields, insight: Fields, context: Context, values: Values) -> Source:
    query.refuse("interval", "status", "operator", why="a trend has none.")
    read = trends.read_trends(insight, context)
    series, period = _series(query, read.series), _period(query, read.periods)
    if series.math == "unique_group":
        raise wrong(f"{series.attr}.math", f"{_NO_GROUPS}.")
    filters = Filters(values, context)
    condition = filters.of(insight.given.get("properties"), insight.at("properties"))
    tests = _tests(query, "breakdown", read.breakdown, values, "b_{}")
    branch = Branch(
        slot=0,
        series=series,
        period=period,
        is_total=read.is_total,
        is_cumulative=read.is_cumulative,
        breakdown=read.breakdown if tests else None,
        conditions=() if condition is None else (condition,),
        values=values,
        filters=filters,
    )
    day = _day(query, period)
    if day is not None and read.is_total:
        raise wrong(query.at("day"), "the insight is one number, without days.")
    inner = (branch.whole() if day is None else branch.at(day)).actors()
    shown = "actor as actor_id, event_count, event_distinct_ids"
    where = f"\nwhere {' and '.join(tests)}" if tests else ""
    # Fixed texts only, here and below: values are placeholders.
    return Source(f"select {shown}\nfrom (\n{inner}\n){where}", counted=True)


def _of_stickiness(query: Fields, insight: Fields, context: Context, values: Values) -> Source:
    query.refuse("interval", "status", "breakdown", why="stickiness has none.")
    read = stickiness.read_stickiness(insight, context)
    series, period = _series(query, read.series), _period(query, read.periods)
    if series.math in ("hogql", "unique_group"):
        raise wrong(f"{series.attr}.math", f"{series.math!r} counts others than persons.")
    default = "gte" if read.is_cumulative else "exact"
    operator = query.choice("operator", tuple(stickiness.CRITERIA), default) or default
    filters = Filters(values, context)
    condition = filters.of(insight.given.get("properties"), insight.at("properties"))
    inner = stickiness.actors(read, series, period, condition, filters, values)
    text = f"select actor as actor_id, active\nfrom (\n{inner}\n)"
    if query.given.get("day") is not None:
        number = Fields({"day": _number(query.given["day"])}, query.path).whole("day", least=1)
        text += f"\nwhere active {stickiness.CRITERIA[operator]} {values.place(number)}"
    return Source(text)


def _of_lifecycle(query: Fields, insight: Fields, context: Context, values: Values) -> Source:
    query.refuse("interval", "breakdown", "compare", "operator", why="a lifecycle has none.")
    read = lifecycle.read_lifecycle(insight, context)
    _series(query, (read.series,))
    steps = lifecycle.marked(read, insight, context, values)
    tests = []
    if status := query.choice("status", lifecycle.STATUSES):
        tests.append(f"status = {values.place(status)}")
    if day := _day(query, read.period):
        tests.append(f"bucket = toDateTime({values.place(day)})")
    where = f"\nwhere {' and '.join(tests)}" if tests else ""
    return Source(f"{steps}\nselect distinct actor as actor_id\nfrom marked{where}")


def _of_retention(query: Fields, insight: Fields, context: Context, values: Values) -> Source:
    query.refuse("day", "series", "status", "compare", "operator", why="a retention has none.")
    read = retention.read_retention(insight, context)
    points = read.period.points()
    number = query.whole("interval", most=len(points) - 1) if points else query.whole("interval")
    tests = _tests(query, "breakdown", read.breakdown, values, "value")
    text = retention_query.actors(read, insight, context, values, number=number, tests=tests)
    return Source(text, interval=read.period.interval, intervals=read.lookahead)


def _of_paths(query: Fields, insight: Fields, context: Context, values: Values) -> Source:
    names = ("day", "series", "status", "interval", "breakdown", "compare", "operator")
    query.refuse(*names, why="paths have none.")
    read, edge = paths.read_edge(insight, context)
    return Source(paths_query.actors(read, edge, insight, context, values))


def _of_funnel(query: Fields, insight: Fields, context: Context, values: Values) -> Source:
    for name in ("funnelCustomSteps", "funnelTrendsDropOff", "funnelTrendsEntrancePeriodStart"):
        if query.given.get(name) is not None:
            raise wrong(query.at(name), "persons are listed by funnelStep only.")
    read = funnels.read_funnel(insight, context)
    if read.actor is not None:
        attr = f"{insight.at('funnelsFilter')}.funnelAggregateByHogQL"
        raise wrong(attr, "who goes through the funnel are not persons.")
    count = len(read.steps)
    step = query.whole("funnelStep", least=-count, most=count)
    if step is None or step in (0, -1):
        raise wrong(query.at("funnelStep"), f"must be 1 to {count}, or -2 to -{count}.")
    read = replace(read, view="steps", periods=read.periods[:1])
    tests = _tests(query, "funnelStepBreakdown", read.breakdown, values, "value[{}]", first=1)
    stages = funnels_query.walked(read, insight, context, values)
    # One text for all steps, so that it is read once: with reached = missed nothing was missed.
    reached = values.place(step if step > 0 else -step - 1)
    missed = values.place(abs(step))
    tests.append(f"moments[{reached}] > 0")
    tests.append(f"(moments[{missed}] = 0 or {missed} = {reached})")
    # Not a WHERE: ClickHouse would take it through all stages, twice as long for each of them.
    tail = f"\ngroup by actor\nhaving countIf({' and '.join(tests)}) > 0"
    stages.add("actor as actor_id", every=False, tail=tail)
    funnels_query.refuse_deep(stages, insight)
    return Source(stages.text(""))


_Read = Callable[[Fields, Fields, Context, Values], Source]
_KINDS: Mapping[str, Mapping[str, _Read]] = {
    "InsightActorsQuery": {
        "TrendsQuery": _of_trends,
        "StickinessQuery": _of_stickiness,
        "LifecycleQuery": _of_lifecycle,
        "RetentionQuery": _of_retention,
        "PathsQuery": _of_paths,
    },
    "StickinessActorsQuery": {"StickinessQuery": _of_stickiness},
    "FunnelsActorsQuery": {"FunnelsQuery": _of_funnel},
}


def _series(query: Fields, series: tuple[Any, ...]) -> Any:
    return series[query.whole("series", most=len(series) - 1) or 0]


def _period(query: Fields, periods: tuple[Period, ...]) -> Period:
    compared = query.choice("compare", ("current", "previous"), "current")
    if compared == "previous" and len(periods) < 2:
        raise wrong(query.at("compare"), "the insight is not compared with another period.")
    return periods[compared == "previous"]


def _day(query: Fields, period: Period) -> datetime | None:
    """Return the point of time that was asked for, which is one of the insight's."""
    text = query.text("day")
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise wrong(query.at("day"), f"{text!r} is not a day of the insight.") from error
    at = at.replace(tzinfo=period.zone) if at.tzinfo is None else at.astimezone(period.zone)
    points = period.points()
    if at not in points if points else at != floor(at, period.interval):
        raise wrong(
            query.at("day"),
            f"{text!r} is not one of the insight's: it has one a {period.interval}.",
        )
    return at


def _tests(
    query: Fields,
    name: str,
    breakdown: Breakdown | None,
    values: Values,
    column: str,
    first: int = 0,
) -> list[str]:
    """Return the conditions of the breakdown's value that was asked for."""
    given = query.given.get(name)
    if given is None:
        return []
    listed = given if isinstance(given, list) else [given]
    if breakdown is None:
        raise wrong(query.at(name), "the insight has no breakdown.")
    if len(listed) != len(breakdown.parts):
        raise wrong(query.at(name), f"the breakdown has {len(breakdown.parts)} properties.")
    if any(part.bins for part in breakdown.parts):
        raise wrong(query.at(name), "the persons of a bin are not listed here.")
    if OTHER in listed or (first and funnels_query.OTHER in listed):
        raise wrong(query.at(name), "the persons of all other values are not listed here.")
    tests = []
    for i, value in enumerate(listed):
        if not isinstance(value, str | int | float):
            raise wrong(query.at(name), f"must be a text or a number, not {value!r}.")
        if value == NULL:
            tests.append(f"ifNull({column.format(i + first)}, '') = ''")
            continue
        text = str(value).lower() if isinstance(value, bool) else str(value)
        text = "0" if breakdown.is_cohort and text == "all" else text
        tests.append(f"{column.format(i + first)} = {values.place(text)}")
    return tests


def _number(given: Any) -> Any:
    return int(given) if isinstance(given, str) and given.isdecimal() else given
