"""The events of a funnel, by who went through it: the first stages of a funnel's query.

The steps an event is are bits of its mask: 1, 2, 4, … for the steps, and the same times ``VOID``
for what voids the way to a step. An actor's events are one sorted array of tuples: when, in
microseconds, the mask, the interval and the breakdown's value.
"""

from __future__ import annotations

from nightpane.insights.breakdowns import Columns, columns
from nightpane.insights.dates import Period, bucket
from nightpane.insights.filters import Filters
from nightpane.insights.funnels import Funnel
from nightpane.insights.question import Values
from nightpane.insights.series import Series

__all__ = [
    "ELSEWHERE",
    "OTHERS",
    "TIED",
    "VOID",
    "Stages",
    "add_actors",
    "each_once",
    "has_step",
    "overlap",
]

VOID = 2**28
# An event among others of the same instant, of the step but of another breakdown's value, and of
# the first step but in another interval. Bits beyond those of 26 steps and what voids them.
TIED, OTHERS, ELSEWHERE = 2**60, 2**61, 2**62


class Stages:
    """A query as SELECTs that each read the one before; ``keys`` are what rows are told apart by.

    Each names its columns once, so that the engine never sees an expression repeated within others.
    """

    __slots__ = ("_waiting", "keys", "texts")

    def __init__(self, keys: list[str]) -> None:
        self.keys = keys
        self.texts: list[str] = []
        self._waiting: list[str] = []

    def soon(self, shown: str) -> None:
        """Have a column in one of the next SELECTs: each takes one, so that they are fewer."""
        self._waiting.append(shown)

    def add(self, *shown: str, every: bool = True, tail: str = "", lead: str = "") -> None:
        """Add a SELECT of columns, beside every one that was there unless told otherwise."""
        source = f"stage_{len(self.texts) - 1}" if self.texts else "events"
        if every and self._waiting:
            shown = (*shown, self._waiting.pop(0))
        listed = ",\n    ".join(["*", *shown] if every and self.texts else shown)
        self.texts.append(f"{lead}select {listed}\nfrom {source}{tail}")

    def group(self, *shown: str, by: list[str]) -> None:
        """Add a SELECT grouped by columns, which are shown first."""
        tail = f"\ngroup by {', '.join(by)}" if by else ""
        self.add(*by, *shown, every=False, tail=tail)

    def text(self, tail: str = "\nlimit 50000") -> str:
        """Return the query, whose rows are those of the last stage."""
        *steps, last = self.texts
        named = [f"stage_{i} as (\n{_indent(step)}\n)" for i, step in enumerate(steps)]
        return f"with {', '.join(named)}\n{last}{tail}"


def add_actors(
    stages: Stages, funnel: Funnel, condition: str | None, values: Values, filters: Filters
) -> None:
    """Add the stages up to one row for each actor, with its events in the column ``seen``.

    ``condition`` is the one of the whole query. Where the breakdown's value is that of a step,
    the rows have no ``value`` yet. Raises InsightError for what cannot be asked.
    """
    broken = columns(funnel.breakdown, values, filters)
    lead = f"with {', '.join(broken.names)}\n" if broken.names else ""
    tail = f"\nwhere {_where(funnel, condition, values)}"
    stages.add(*_shown(funnel, broken, values, filters), lead=lead, tail=tail)
    of_actor = funnel.breakdown is not None and not funnel.by_group
    by_step = of_actor and funnel.attribution == "step"
    parts = ["moment", "mask", "bucket" if funnel.view == "trends" else "0"]
    parts.append("value" if by_step else "0")
    shown = [f"arraySort(groupArray(({', '.join(parts)}))) as seen"]
    if of_actor and not by_step:
        pick = "argMinIf" if funnel.attribution == "first_touch" else "argMaxIf"
        shown.append(f"{pick}(value, moment, arrayExists(x -> x != '', value)) as touched")
    keys = [key for key in stages.keys if key != "value" or funnel.by_group]
    stages.group(*shown, by=["actor", *keys])
    if of_actor and not by_step:
        none = ", ".join(["''"] * len(broken.shown))
        stages.add(f"if(empty(touched), [{none}], touched) as value")


def overlap(funnel: Funnel) -> bool:
    """Say whether one event can be several steps, as far as their names tell."""
    names = [{node.event for node in one.nodes or (one,)} for one in funnel.steps]
    every = set().union(*names)
    return None in every or len(every) < sum(len(one) for one in names)


def each_once(events: str, part: str, name: str) -> tuple[str, ...]:
    """Return the columns that make a row of each value of a part of events, one call in each."""
    return (
        f"{events} as its_events",
        f"arrayMap(e -> {part}, its_events) as its_parts",
        "arrayDistinct(its_parts) as its_values",
        f"arrayJoin(its_values) as {name}",
    )


def has_step(mask: str, bit: int) -> str:
    """Return the condition of a mask having a bit, without a call: those take long to be read."""
    return f"{mask} % {bit * 2} >= {bit}"


def _shown(funnel: Funnel, broken: Columns, values: Values, filters: Filters) -> list[str]:
    """Return the columns of an event."""
    actor = "person_id" if funnel.actor is None else f"toString{funnel.actor}"
    shown = [f"{actor} as actor", "toUnixTimestamp64Micro(timestamp) as moment"]
    shown.append(f"{_mask(funnel, values, filters)} as mask")
    if len(funnel.periods) > 1:
        # An event can be in both periods.
        tests = [
            f"if({_within(period, values)}, {i}, 2)" for i, period in enumerate(funnel.periods)
        ]
        shown.append(f"arrayJoin(arrayFilter(x -> x < 2, [{', '.join(tests)}])) as slot")
    if funnel.view == "trends":
        shown.append(f"{bucket(funnel.interval)} as bucket")
    if funnel.breakdown is not None:
        each = ", ".join(f"ifNull({text}, '')" for text in broken.shown)
        shown.append(f"[{each}] as value")
    return shown


def _where(funnel: Funnel, condition: str | None, values: Values) -> str:
    periods = [_within(period, values) for period in funnel.periods]
    tests = [periods[0] if len(periods) == 1 else f"({') or ('.join(periods)})"]
    if funnel.order != "strict":
        # Between the steps of a strict funnel, any event counts.
        tests += [*_names(funnel, values), "mask > 0"]
    if funnel.actor is not None:
        tests.append("actor != ''")
    if condition is not None:
        tests.append(condition)
    return "\n    and ".join(tests)


def _mask(funnel: Funnel, values: Values, filters: Filters) -> str:
    """Return the mask of an event: a sum without calls, which take long to be read."""
    found = [
        f"({_step(series, values, filters)} ? {2**i} : 0)" for i, series in enumerate(funnel.steps)
    ]
    tests = [
        " and ".join(exclusion.series.condition(values, filters)) or "true"
        for exclusion in funnel.exclusions
    ]
    voided: dict[tuple[str, ...], int] = {}
    for i in range(1, len(funnel.steps)):
        between = zip(tests, funnel.exclusions, strict=True)
        those = tuple(test for test, one in between if one.first < i <= one.last)
        voided[those] = voided.get(those, 0) + 2**i * VOID
    found += [f"(({') or ('.join(those)}) ? {bits} : 0)" for those, bits in voided.items() if those]
    return " + ".join(found)


def _step(series: Series, values: Values, filters: Filters) -> str:
    """Return the condition of a step; a first time is the first of all, in range or not."""
    tests = series.condition(values, filters)
    if series.math in ("first_time_for_user", "first_time_for_user_with_filters"):
        name = series.event_condition(values)
        first = [name] if name else []
        first = tests if series.math.endswith("filters") else first
        where = f" where {' and '.join(first)}" if first else ""
        # Fixed texts only: values are placeholders.
        ids = f"select argMin(uuid, timestamp) from events{where} group by person_id"  # noqa: S608
        tests = [*tests, f"uuid in ({ids})"]
    return " and ".join(tests) or "true"


def _names(funnel: Funnel, values: Values) -> list[str]:
    """Return the condition of being any event the funnel asks for, when all are named."""
    every = [*funnel.steps, *(exclusion.series for exclusion in funnel.exclusions)]
    names = {one.event for series in every for one in series.nodes or (series,)}
    if None in names:
        return []
    return [f"event in {values.place(sorted(name for name in names if name is not None))}"]


def _within(period: Period, values: Values) -> str:
    # A funnel's range begins where it says, not where an interval does.
    test = f"timestamp <= {values.place(period.end)}"
    if period.start is None:
        return test
    return f"timestamp >= {values.place(period.start)} and {test}"


def _indent(text: str) -> str:
    return "    " + text.replace("\n", "\n    ")
