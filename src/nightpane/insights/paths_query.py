"""The one query of paths: each person's events as sessions, each session as steps, then the edges.

An event is a tuple of its moment, in microseconds, and what it is shown as. Each SELECT names what
the next one reads: what is nested takes long to be parsed.
"""

from __future__ import annotations

from nightpane.insights.filters import Filters
from nightpane.insights.paths import Edge, Paths
from nightpane.insights.question import Context, Question, Values
from nightpane.insights.reading import Fields

__all__ = ["actors", "build"]

_SESSION_GAP_US = 30 * 60 * 1_000_000


def build(paths: Paths, query: Fields, context: Context) -> Question:
    """Return the one query: ``source``, ``target``, ``value`` and ``average_conversion_time``.

    ``earliest`` is the first event of all when all time is asked for.
    """
    values = Values()
    earliest = ""
    if paths.period.start is None:
        earliest = ",\n    (select min(timestamp) from events) as earliest"
    limits = [f"value >= {values.place(paths.least)}"] if paths.least else []
    limits += [f"value <= {values.place(paths.most)}"] if paths.most else []
    having = f"\nhaving {' and '.join(limits)}" if limits else ""
    text = f"""{_stages(paths, query, context, values)}, edges as (
    select arrayPopBack(shown) as sources, arrayPopFront(shown) as targets,
        arrayJoin(arrayZip(sources, targets, arrayEnumerate(sources))) as edge,
        edge.1 as before, edge.2 as after, edge.3 as step
    from limited
)
select
    concat(toString(step), '_', before.2) as source,
    concat(toString(step + 1), '_', after.2) as target,
    count() as value,
    avg(after.1 - before.1) / 1000 as average_conversion_time{earliest}
from edges
group by source, target{having}
order by value desc, source, target
limit {values.place(paths.edges)}"""  # noqa: S608 (fixed texts only: values are placeholders)
    return Question(text, values.given)


def actors(paths: Paths, edge: Edge, query: Fields, context: Context, values: Values) -> str:
    """Return a SELECT of who went that way: ``actor_id``, and how often as ``event_count``.

    Limits of edges are of what is shown, and change nothing here.
    """
    stages = _stages(paths, query, context, values)
    # One text whatever is asked for, so that it is read once. Steps are numbered: no way has one
    # twice.
    start, end, last = (values.place(key or "") for key in (edge.start, edge.end, edge.last))
    return f"""{stages}, named as (
    select actor, arrayMap(x -> x.2, shown) as items, arrayEnumerate(items) as places,
        arrayMap((n, item) -> concat(toString(n), '_', item), places, items) as keys,
        indexOf(keys, {start}) as came_from, indexOf(keys, {end}) as went_to
    from limited
)
select actor as actor_id, count() as event_count
from named
where notEmpty(keys)
    and {last} in ('', keys[-1])
    and ({start} = '' or came_from > 0 and came_from < length(keys))
    and ({end} = '' or went_to > 0)
    and ('' in ({start}, {end}) or went_to = came_from + 1)
group by actor"""  # noqa: S608


def _stages(paths: Paths, query: Fields, context: Context, values: Values) -> str:
    """Return the WITH whose ``limited`` has the steps ``shown`` of each session."""
    return f"""with seen as (
{_seen(paths, query, context, values)}
), grouped as (
    select actor, groupArray(tuple(moment, item)) as unsorted
    from seen{_excluded(paths, values)}
    group by actor
), sorted as (
    select actor, arraySort(unsorted) as way, arrayMap(x -> x.1, way) as moments,
        arrayDifference(moments) as gaps
    from grouped
), sessions as (
    select actor, arrayJoin(arraySplit((x, gap) -> gap >= {_SESSION_GAP_US}, way, gaps)) as session
    from sorted
), walked as (
    select actor, session, arrayMap(x -> x.2, session) as items,
        arrayPushBack(arrayPopFront(items), '') as following,
        arrayFilter((x, item, other) -> item != other, session, items, following) as path,
        arrayMap(x -> x.2, path) as names
    from sessions
), limited as (
{_limited(paths, values)}
)"""  # noqa: S608


def _seen(paths: Paths, query: Fields, context: Context, values: Values) -> str:
    """Return the SELECT of events and what each one is shown as."""
    filters = Filters(values, context)
    shown = [
        "person_id as actor",
        "toUnixTimestamp64Micro(timestamp) as moment",
        f"ifNull({_name(paths)}, '') as item_0",
    ]
    for place, (pattern, replacement) in enumerate(paths.cleaning):
        rule = f"{values.place(pattern)}, {values.place(replacement)}"
        shown.append(f"replaceRegexpAll(item_{place}, {rule}) as item_{place + 1}")
    last = f"item_{len(paths.cleaning)}"
    if paths.groupings:
        names, patterns = (values.place(list(each)) for each in zip(*paths.groupings, strict=True))
        shown.append(f"arrayFirstIndex(x -> match({last}, x), {patterns}) as grouping")
        shown.append(f"if(grouping > 0, {names}[grouping], {last}) as item")
    else:
        shown.append(f"{last} as item")
    tests = [f"timestamp <= {values.place(paths.period.end)}"]
    if paths.since is not None:
        tests.insert(0, f"timestamp >= {values.place(paths.since)}")
    kinds = [f"event = '{kind}'" for kind in ("$pageview", "$screen") if kind in paths.types]
    kinds += ["not startsWith(event, '$')"] if "custom_event" in paths.types else []
    tests += [f"({' or '.join(kinds)})"] if kinds else []
    condition = filters.of(query.given.get("properties"), query.at("properties"))
    tests += [] if condition is None else [condition]
    listed, where = ",\n        ".join(shown), "\n        and ".join(tests)
    return f"""    select {listed}
    from events as e
    where {where}"""  # noqa: S608


def _name(paths: Paths) -> str:
    """Return what an event is shown as: the address of a page, the name of a screen, its own."""
    name = "event"
    if paths.asks_for("hogql") and paths.expression is not None:
        name = f"toString{paths.expression}"
    cases = []
    if paths.asks_for("$screen"):
        cases.append("event = '$screen', toString(properties.$screen_name)")
    if paths.asks_for("$pageview"):
        # Without the slash at its end, unless it is all there is.
        address = r"replaceRegexpAll(toString(properties.$current_url), '(.)/$', '\\1')"
        cases.append(f"event = '$pageview', {address}")
    return f"multiIf({', '.join(cases)}, {name})" if cases else name


def _excluded(paths: Paths, values: Values) -> str:
    if not paths.excluded:
        return ""
    return f"\n    where item not in {values.place(list(paths.excluded))}"


def _limited(paths: Paths, values: Values) -> str:
    """Return the SELECT of a session's steps between the points asked for, so many at most."""
    steps = values.place(paths.steps)
    if paths.start and paths.end:
        # Too long a way loses its middle. PostHog shows one step more when the limit is even.
        half = values.place(paths.steps // 2)
        return f"""    select actor, indexOf(names, {values.place(paths.start)}) as first,
        arraySlice(path, first) as begun, arraySlice(names, first) as begun_names,
        indexOf(begun_names, {values.place(paths.end)}) as last,
        arraySlice(begun, 1, last) as whole, length(whole) as count_of_all,
        arraySlice(whole, 1, {half}) as left, whole[{half} + 1] as middle,
        arraySlice(whole, count_of_all - {half} + 1) as right,
        arrayConcat(left, [tuple(middle.1, '...')], right) as shortened,
        if(count_of_all > {steps}, shortened, whole) as shown
    from walked
    where first > 0 and last > 0"""  # noqa: S608
    if paths.end:
        return f"""    select actor, indexOf(names, {values.place(paths.end)}) as last,
        arraySlice(path, greatest(last - {steps} + 1, 1), least(last, {steps})) as shown
    from walked
    where last > 0"""  # noqa: S608
    if paths.start:
        return f"""    select actor, indexOf(names, {values.place(paths.start)}) as first,
        arraySlice(path, first, {steps}) as shown
    from walked
    where first > 0"""  # noqa: S608
    return f"    select actor, arraySlice(path, 1, {steps}) as shown\n    from walked"  # noqa: S608
