"""How many steps of an unordered funnel each actor did, as stages of one query.

Every event of a step begins an attempt: the steps that are done in the window after it, in any
order. An exclusion in the window voids it, unless all steps were done before. This is what the walk
of PostHog comes to; where one event can be several steps, its kind is each of them in turn.
"""

from __future__ import annotations

from nightpane.insights.funnels import Funnel
from nightpane.insights.funnels_events import VOID, Stages, each_once, overlap
from nightpane.insights.question import Values

__all__ = ["add_attempts"]


def add_attempts(stages: Stages, funnel: Funnel, values: Values) -> None:
    """Add the stages from the actors' events to ``moments``: when each further step was done.

    A step that was not done has 0. With trends there is ``level`` instead, the number of steps that
    were done, and a row for each interval an actor came in.
    """
    window, count = values.place(funnel.window_us), len(funnel.steps)
    every, trends = 2**count - 1, funnel.view == "trends"
    by_step = funnel.breakdown is not None and funnel.attribution == "step"
    if by_step and not funnel.by_group:
        steps = f"arrayFilter(e -> bitAnd(e.2, {every}) > 0, seen)"
        stages.add(*each_once(steps, "e.4", "value"))
        stages.add("arrayMap(e -> e.4 = value, seen) as own")
    else:
        stages.add("arrayMap(e -> true, seen) as own")
    stages.add("arrayMap(e -> e.1, seen) as at", "arrayMap(e -> e.2, seen) as given")
    stages.add(f"{_in_turn(count, every) if overlap(funnel) else 'given'} as masks")
    times = [f"arrayMap((m, t) -> m = {2**k} ? t : 0, masks, at) as at_{k}" for k in range(count)]
    stages.add(*times, f"arrayMap((m, t) -> m >= {VOID} ? t : 0, masks, at) as void_at")
    nexts = [f"{_coming(f'at_{k}')} as next_{k}" for k in range(count)]
    stages.add(*nexts, f"{_coming('void_at')} as stop")
    names = ", ".join(f"x{k}" for k in range(count))
    arrays = ", ".join(f"next_{k}" for k in range(count))
    done = " + ".join(f"({_done(f'x{k}', 't', 's', window)} ? 1 : 0)" for k in range(count))
    stages.add(f"arrayMap((t, s, {names}) -> {done}, at, stop, {arrays}) as done")
    goal = funnel.last + 1 if trends else count
    voided = f"s > 0 and s - t <= {window} and d < {goal}"
    test = f"m >= {VOID} or not o or ({voided})"
    stages.add(f"arrayMap((m, t, s, d, o) -> {test} ? 0 : d, masks, at, stop, done, own) as counts")
    if trends:
        _add_intervals(stages)
    else:
        _add_moments(stages, count, window)


def _add_moments(stages: Stages, count: int, window: str) -> None:
    stages.add("arrayMax(counts) as level")
    stages.add("indexOf(counts, level) as place", tail="\nwhere level > 0")
    stages.add("at[place] as began", "stop[place] as stopped")
    found = [f"next_{k}[place] as then_{k}" for k in range(count)]
    stages.add(*found)
    tests = [_done(f"then_{k}", "began", "stopped", window) for k in range(count)]
    each = ", ".join(f"{test} ? then_{k} : 0" for k, test in enumerate(tests))
    stages.add(f"[{each}] as thens")
    stages.add("arrayFilter(x -> x > 0, thens) as came", "arraySort(came) as fronts")
    stages.add(f"arrayResize(fronts, {count}, 0) as moments")


def _add_intervals(stages: Stages) -> None:
    """Add a row for each interval an attempt began in, with the most steps of one."""
    entries = "arrayZip(counts, arrayMap(e -> e.3, seen))"
    stages.add(f"arrayJoin(arrayFilter(p -> p.1 > 0, {entries})) as entry")
    stages.add("entry.1 as count_of", "entry.2 as bucket")
    stages.group("max(count_of) as level", by=["actor", *stages.keys, "bucket"])


def _in_turn(count: int, every: int) -> str:
    """Return the masks with one step each: events of the same steps are each of them in turn."""
    bits = ", ".join(str(2**k) for k in range(count))
    mine = f"arrayFilter(b -> bitAnd(m, b) > 0, [{bits}])"
    turn = f"(n - 1) % greatest(1, bitCount(bitAnd(m, {every}))) + 1"
    one = f"if(bitAnd(m, {every}) = 0, m, arrayElement({mine}, {turn}))"
    return f"arrayMap((m, n) -> {one}, given, arrayEnumerateUniq(given))"


def _coming(times: str) -> str:
    """Return the next time that is not 0 at each event, its own included."""
    return f"arrayReverseFill(x -> x > 0, {times})"


def _done(then: str, began: str, stopped: str, window: str) -> str:
    return f"{then} > 0 and {then} - {began} <= {window} and ({stopped} = 0 or {then} <= {stopped})"
