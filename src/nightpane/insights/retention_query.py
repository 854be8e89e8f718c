"""The one query of a retention: when each actor began and came back, then how many did.

Intervals are numbered back from the last one, which is 0, so that all time needs no first one.
"""

from __future__ import annotations

from dataclasses import replace

from nightpane.insights.breakdowns import Columns, columns
from nightpane.insights.dates import bucket, floor
from nightpane.insights.filters import Filters, property_of
from nightpane.insights.question import Context, Question, Values
from nightpane.insights.reading import Fields
from nightpane.insights.retention import FIRST_EVER, FIRST_TIME, Retention
from nightpane.insights.series import Series

__all__ = ["actors", "build"]


def build(retention: Retention, query: Fields, context: Context) -> Question:
    """Return the one query: ``begins``, ``lags`` and ``totals`` for each ``value``.

    The interval somebody began in, how many later they came back, and how many did; with an
    aggregation ``figures`` too. ``earliest`` is the first event of all when all time is asked for.
    """
    values = Values()
    earliest = ""
    if retention.period.start is None:
        earliest = ",\n    (select min(timestamp) from events) as earliest"
    figures = ", groupArray(figure) as figures" if retention.figure else ""
    text = f"""{_stages(retention, query, context, values)}, counted as (
{_counted(retention)}
)
select value, groupArray(begin) as begins, groupArray(lag) as lags,
    groupArray(total) as totals{figures}{earliest}
from counted
group by value
limit 50000"""  # noqa: S608 (fixed texts only: values are placeholders)
    return Question(text, values.given)


def actors(
    retention: Retention,
    query: Fields,
    context: Context,
    values: Values,
    *,
    number: int | None,
    tests: list[str],
) -> str:
    """Return a SELECT of who began in the interval of a number, in any one when it is None.

    The first interval is 0. Its columns are ``actor_id`` and the sorted ``appearances``: how many
    intervals later somebody is counted, 0 among them. ``tests`` are of the breakdown's ``value``.
    """
    if retention.figure:
        # The figure is of those who came back at all: PostHog too leaves out the occurrences.
        retention = replace(retention, figure=None, least=1)
    stages = _stages(retention, query, context, values)
    if number is not None:
        tests = [f"begin = {_begin(retention, number, values)}", *tests]
    where = f"\nwhere {' and '.join(tests)}" if tests else ""
    return f"""{stages}
select actor as actor_id,
    arrayDistinct(arrayFlatten(groupArray(lags))) as appearance_intervals,
    arraySort(appearance_intervals) as appearances
from came{where}
group by actor"""  # noqa: S608 (fixed texts only: values are placeholders)


def _begin(retention: Retention, number: int, values: Values) -> str:
    """Return the number, back from the last interval, of one counted from the first."""
    period = retention.period
    if period.start is not None:
        return values.place(number - len(period.points()) + 1)
    last, first = floor(period.end, period.interval), bucket(period.interval, "min(timestamp)")
    most = f"dateDiff('{period.interval}', {first}, toDateTime({values.place(last)}))"
    return f"{values.place(number)} - (select {most} from events)"  # noqa: S608


def _stages(retention: Retention, query: Fields, context: Context, values: Values) -> str:
    """Return the WITH whose ``came`` says how many intervals after a beginning somebody came."""
    filters = Filters(values, context)
    broken = columns(retention.breakdown, values, filters)
    return f"""with seen as (
{_seen(retention, query, broken, values, filters)}
), done as (
{_done(retention)}
), told as (
{_told(retention, values)}
), came as (
{_came(retention, values)}
)"""


def _seen(
    retention: Retention, query: Fields, broken: Columns, values: Values, filters: Filters
) -> str:
    """Return the SELECT of the events that somebody begins with or comes back in."""
    period = retention.period
    begin = _condition(retention.target, values, filters)
    back = _condition(retention.returning, values, filters)
    # Who did it first, whatever its properties: those of the entity come after.
    named = retention.target.event_condition(values) or "true"
    last = values.place(floor(period.end, period.interval))
    shown = [
        "person_id as actor",
        "timestamp as moment",
        f"{bucket(period.interval)} as bucket",
        f"dateDiff('{period.interval}', toDateTime({last}), bucket) as at",
        f"{begin} as begins",
        f"{back} as returns",
    ]
    if retention.kind == FIRST_EVER:
        shown.append(f"{named} as is_named")
    if retention.figure:
        place, name = retention.figure_of
        of = property_of(place, name, query.at("retentionFilter.aggregationProperty"))
        shown.append(f"ifNull(toFloat({of}), 0) as own")
    if broken.shown:
        shown.append(f"ifNull({broken.shown[0]}, '') as value")
    tests = [f"timestamp <= {values.place(period.end)}"]
    if retention.kind not in (FIRST_TIME, FIRST_EVER) and period.since is not None:
        tests.append(f"timestamp >= {values.place(period.since)}")
    tests.append("(is_named or returns)" if retention.kind == FIRST_EVER else "(begins or returns)")
    condition = filters.of(query.given.get("properties"), query.at("properties"))
    tests += [] if condition is None else [condition]
    lead = f"    with {', '.join(broken.names)}\n" if broken.names else ""
    listed, where = ",\n        ".join(shown), "\n        and ".join(tests)
    return f"""{lead}    select {listed}
    from events as e
    where {where}"""  # noqa: S608


def _done(retention: Retention) -> str:
    """Return the SELECT of what an actor did in an interval."""
    shown = ["actor", "assumeNotNull(at) as at", "countIf(begins) as starts"]
    shown.append("countIf(returns) as comings")
    keys = ["actor", "at"]
    if _by_first(retention):
        # Of one instant the least value, so that every answer says the same.
        shown.append("argMinIf(value, tuple(moment, value), is_named) as value")
    elif retention.breakdown is not None:
        keys.append("value")
        shown.append("value")
    if retention.kind == FIRST_EVER:
        shown.append("minOrNullIf(moment, begins) as first_match")
        shown.append("minOrNullIf(moment, is_named) as first_of_all")
    if retention.figure:
        shown += ["sumIf(own, returns) as back_figure", "sumIf(own, begins) as start_figure"]
        if retention.target.event == retention.returning.event:
            shown.append("start_figure as begun_figure")
        else:
            # In the interval one began in, what came back after it counts too.
            shown.append("minIf(moment, begins) as first_begun")
            shown.append("groupArrayIf(tuple(moment, own), returns) as each_back")
            shown.append("arrayFilter(x -> x.1 > first_begun, each_back) as later_back")
            shown.append("arrayMap(x -> x.2, later_back) as later_figures")
            shown.append("start_figure + arraySum(later_figures) as begun_figure")
    return f"""    select {", ".join(shown)}
    from seen
    group by {", ".join(keys)}"""  # noqa: S608


def _told(retention: Retention, values: Values) -> str:
    """Return the SELECT of when an actor began, and came back, as arrays.

    Each expression has a name of its own: what is nested takes long to be read.
    """
    since, figured = retention.period.since, retention.figure is not None
    shown, keys, having = ["actor"], ["actor"], ""
    if retention.breakdown is not None and not _by_first(retention):
        keys.append("value")
    elif retention.breakdown is None:
        shown.append("'' as value")
    else:
        shown.append("argMinIf(value, first_of_all, first_of_all is not null) as value")
    shown += keys[1:]
    begun = "tuple(at, begun_figure)" if figured else "tuple(at)"
    shown.append(f"groupArrayIf({begun}, starts > 0) as begun_0")
    if retention.kind in (FIRST_TIME, FIRST_EVER):
        shown += ["arraySort(begun_0) as begun_1", "arraySlice(begun_1, 1, 1) as begun_2"]
        least = f"x.1 >= {values.place(1 - len(retention.period.points()))}" if since else "true"
        shown.append(f"arrayFilter(x -> {least}, begun_2) as begun")
    else:
        shown.append("begun_0 as begun")
    if retention.kind == FIRST_EVER:
        having = "\n    having min(first_match) = min(first_of_all)"
    # PostHog too takes no notice of the occurrences when a figure is asked for.
    back = "tuple(at, back_figure)" if figured else "at"
    least_back = "1" if figured else values.place(retention.least)
    shown.append(f"groupArrayIf({back}, comings >= {least_back}) as back")
    listed = ",\n        ".join(shown)
    return f"""    select {listed}
    from done
    group by {", ".join(keys)}{having}"""  # noqa: S608


def _came(retention: Retention, values: Values) -> str:
    """Return the SELECT of how many intervals after each beginning an actor is counted."""
    figured = retention.figure is not None
    most = sum(retention.brackets) + 1 if retention.brackets else retention.lookahead
    limit = values.place(most)
    shown = ["actor", "value", "start.1 as begin"]
    if figured:
        shown.append("arrayMap(x -> tuple(x.1 - begin, x.2), back) as gaps")
        shown.append(f"arrayFilter(x -> x.1 > 0 and x.1 < {limit}, gaps) as later")
        shown.append("arrayPushFront(later, tuple(0, start.2)) as lags")
    else:
        shown.append("arrayMap(x -> x - begin, back) as gaps")
        shown.append(f"arrayFilter(x -> x > 0 and x < {limit}, gaps) as later")
        held = "later"
        if retention.brackets:
            ends = [sum(retention.brackets[: i + 1]) for i in range(len(retention.brackets))]
            place = f"arrayFirstIndex(y -> y >= x, {values.place(ends)})"
            shown.append(f"arrayMap(x -> {place}, later) as placed")
            shown.append("arrayDistinct(placed) as held")
            held = "held"
        if retention.is_cumulative:
            shown.append(f"arrayPushFront({held}, 0) as reached")
            shown.append("range(toInt(arrayMax(reached)) + 1) as lags")
        else:
            shown.append(f"arrayPushFront({held}, 0) as lags")
    listed = ",\n        ".join(shown)
    return f"""    select {listed}
    from told array join begun as start"""  # noqa: S608


def _counted(retention: Retention) -> str:
    """Return the SELECT of how many came back after so many intervals."""
    lag, figure = "pair", ""
    if retention.figure:
        lag = "pair.1"
        figure = ", sum(pair.2)" + (" / count()" if retention.figure == "avg" else "")
        figure += " as figure"
    return f"""    select value, begin, {lag} as lag, count() as total{figure}
    from (select value, begin, arrayJoin(lags) as pair from came)
    group by value, begin, lag"""  # noqa: S608


def _condition(entity: Series, values: Values, filters: Filters) -> str:
    tests = entity.condition(values, filters)
    return f"({' and '.join(tests)})" if tests else "true"


def _by_first(retention: Retention) -> bool:
    """Say whether an actor has the value of its first event of all, as PostHog's first ever."""
    broken = retention.breakdown
    return broken is not None and not broken.is_cohort and retention.kind == FIRST_EVER
