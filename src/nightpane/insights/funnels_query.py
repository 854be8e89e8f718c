"""The one query of a funnel: who went how far, then what the view shows of it."""

from __future__ import annotations

from nightpane.insights.filters import Filters
from nightpane.insights.funnels import Funnel
from nightpane.insights.funnels_events import Stages, add_actors
from nightpane.insights.funnels_unordered import add_attempts
from nightpane.insights.funnels_walk import add_walk
from nightpane.insights.question import Context, Question, Values
from nightpane.insights.reading import Fields, wrong

__all__ = ["OTHER", "build", "refuse_deep", "walked"]

OTHER = "Other"
"""What PostHog's funnels call the values of a breakdown beyond its limit."""

_MOST_BINS_BY_ITSELF = 60
_MOST_STAGES = 90  # ClickHouse reads up to 95 or so SELECTs within each other.


def build(funnel: Funnel, query: Fields, context: Context) -> Question:
    """Return the query. Raises InsightError for one of too many steps.

    Its columns are ``slot`` (1 for the period before) when it is compared, ``value`` (a list) with
    a breakdown, and those of the view. Steps: ``counts``, ``averages``, ``medians`` and ``total``,
    the median of the whole way. Time to convert: ``low``, ``width``, and for both periods
    ``counts`` and ``averages``. Trends: ``buckets`` and how many ``came`` and ``went`` on.
    """
    values = Values()
    stages = walked(funnel, query, context, values)
    if funnel.view == "trends":
        _add_trends(stages, funnel)
    elif funnel.view == "time_to_convert":
        _add_times(stages, funnel)
    else:
        _add_steps(stages, funnel, values)
    if funnel.periods[0].start is None:
        stages.add("(select min(timestamp) from events) as earliest")
    refuse_deep(stages, query)
    return Question(stages.text(), values.given)


def walked(funnel: Funnel, query: Fields, context: Context, values: Values) -> Stages:
    """Return the stages up to one row for each actor (of each slot and value)."""
    filters = Filters(values, context)
    condition = filters.of(query.given.get("properties"), query.at("properties"))
    stages = Stages(["slot"] if len(funnel.periods) > 1 else [])
    if funnel.breakdown is not None:
        stages.keys.append("value")
    add_actors(stages, funnel, condition, values, filters)
    if funnel.order == "unordered":
        add_attempts(stages, funnel, values)
    else:
        add_walk(stages, funnel, values)
    return stages


def refuse_deep(stages: Stages, query: Fields) -> None:
    """Raise InsightError for a funnel of more stages than ClickHouse reads."""
    if len(stages.texts) > _MOST_STAGES:
        steps = len(query.items("series"))
        raise wrong(
            query.at("series"),
            f"{steps} steps are more than one query can hold: use fewer, or no exclusions.",
        )


def _add_steps(stages: Stages, funnel: Funnel, values: Values) -> None:
    count = len(funnel.steps)
    needed = [i + 1 for i in range(count) if i not in funnel.optional]
    listed = ", ".join(f"moments[{step}]" for step in needed)
    listed = f"[{listed}]" if funnel.optional else "moments"
    stages.add(
        f"arrayFilter(x -> x > 0, {listed}) as way",
        "arrayMap(x -> x > 0 ? 1 : 0, moments) as reached",
    )
    # As in PostHog, the first gap is that to the second step that is not optional, and so on, and
    # one of no time is none.
    stages.add("arrayPopFront(arrayDifference(way)) as gaps_us")
    stages.add("arrayMap(x -> x > 0 ? x / 1000000 : null, gaps_us) as gaps_s")
    stages.add(
        f"arrayResize(gaps_s, {count - 1}, null) as gaps",
        f"moments[{needed[-1]}] > 0 ? (way[-1] - way[1]) / 1000000 : null as whole",
    )
    apart = [key for key in stages.keys if key == "slot"]
    over = f"partition by {apart[0]}" if apart else ""
    stages.add(f"medianOrNull(whole) over ({over}) as median_of_all")
    keys = list(stages.keys)
    breakdown = funnel.breakdown
    if breakdown is not None and not breakdown.is_cohort:
        _add_largest(stages, apart, values.place(breakdown.limit), len(breakdown.parts))
        keys = [*apart, "shown_value"]
    stages.group(
        "sumForEach(reached) as counts",
        "avgOrNullForEach(gaps) as averages",
        "medianOrNullForEach(gaps) as medians",
        "any(median_of_all) as total",
        "count() as actors",
        by=keys,
    )
    named = [f"{key} as value" for key in keys if key == "shown_value"]
    # Without keys there is a row even when nobody came.
    stages.add(*named, tail="\nwhere actors > 0")


def _add_largest(stages: Stages, apart: list[str], limit: str, parts: int) -> None:
    """Add the value that each row counts for: its own, or the others' beyond the limit.

    The largest are those that most came furthest of.
    """
    keys = ", ".join([*apart, "value"])
    stages.add(f"sumForEach(reached) over (partition by {keys}) as sums")
    stages.add("arrayReverse(sums) as weight")
    partition = f"partition by {apart[0]} " if apart else ""
    stages.add(f"dense_rank() over ({partition}order by weight desc, value) as rank")
    other = ", ".join([f"'{OTHER}'"] * parts)
    stages.add(f"if(rank <= {limit}, value, [{other}]) as shown_value")


def _add_times(stages: Stages, funnel: Funnel) -> None:
    """Add PostHog's bins: as many as the cube root of the figures, each whole seconds wide."""
    first, last = funnel.first + 1, funnel.last + 1
    slot = "slot" if len(funnel.periods) > 1 else "0"
    stages.add(f"moments[{last}] - moments[{first}] as taken", tail=f"\nwhere moments[{last}] > 0")
    stages.group("groupArray(taken / 1000000) as times", f"groupArray({slot}) as slots", by=[])
    if funnel.bins:
        stages.add(f"{funnel.bins} as bins")
    else:
        root = ("length(times) as many", "cbrt(many) as root", "round(root, 6) as rounded")
        enough = ("ceil(rounded) as raised", "greatest(1, raised) as enough")
        stages.add(*root, *enough, f"least({_MOST_BINS_BY_ITSELF}, enough) as bins")
    stages.add("floor(arrayMin(times)) as low", "ceil((ceil(arrayMax(times)) - low) / bins) as raw")
    stages.add("if(raw > 0, raw, 60) as width")
    shown, figures = ["range(toInt(bins) + 1) as numbers"], []
    for i in range(len(funnel.periods)):
        shown.append(f"arrayFilter((x, s) -> s = {i}, times, slots) as times_{i}")
        shown.append(f"arrayMap(x -> floor((x - low) / width), times_{i}) as places_{i}")
        figures.append(f"arrayMap(n -> countEqual(places_{i}, n), numbers) as counts_{i}")
        figures.append(f"if(empty(times_{i}), null, arrayAvg(times_{i})) as average_{i}")
    stages.add(*shown)
    stages.add("low", "width", *figures, every=False)


def _add_trends(stages: Stages, funnel: Funnel) -> None:
    keys = [*stages.keys, "bucket"]
    came, went = (f"countIf(level >= {step + 1})" for step in (funnel.first, funnel.last))
    stages.group(f"{came} as came_in", f"{went} as went_on", by=keys)
    # Arrays, because the rows of an answer are limited.
    arrays = [
        f"groupArray({name}) as {shown}"
        for name, shown in (("bucket", "buckets"), ("came_in", "came"), ("went_on", "went"))
    ]
    stages.group(*arrays, by=list(stages.keys))
