"""How far each actor came through an ordered or a strict funnel, as stages of one query.

PostHog walks through an actor's events with a program of its own inside ClickHouse. The same walk
is done here one step of the funnel at a time, over the whole array of events at once: what holds at
an event is what the last event that changed it left, which is what ``arrayFill`` computes. Columns
of a level k, each an array with one item for each event:

- ``way_k``: the start of the attempt that reaches step k with this event, voided or not;
- ``won_k``: the same, of attempts that are not voided;
- ``start_k``: the start of the newest attempt that has reached step k, 0 for none;
- ``was_k``: the same before the event;
- ``since_k``: the place of the event that this one reached step k with;
- ``ids_k``: the events it has used, where one event can be several steps;
- ``stop_k``: when the next event comes that voids the attempts at step k.
"""

from __future__ import annotations

from nightpane.insights.funnels import Funnel
from nightpane.insights.funnels_events import (
    ELSEWHERE,
    OTHERS,
    TIED,
    VOID,
    Stages,
    each_once,
    has_step,
    overlap,
)
from nightpane.insights.question import Values

__all__ = ["add_walk"]


def add_walk(stages: Stages, funnel: Funnel, values: Values) -> None:
    """Add the stages from the actors' events to ``moments``: when each step was reached.

    A step that was not reached has 0. With trends there is ``level`` instead, the number of steps
    that were reached, and a row for each interval an actor came in.
    """
    _Walk(stages, funnel, values.place(funnel.window_us)).add()


class _Walk:
    def __init__(self, stages: Stages, funnel: Funnel, window: str) -> None:
        self._stages = stages
        self._funnel = funnel
        self._window = window
        self._levels = funnel.last + 1 if funnel.view == "trends" else len(funnel.steps)
        self._overlap = overlap(funnel)
        self._item = "e.1, {}, e.3, e.4" + (", e.5" if self._overlap else "")
        voided = {i + 1 for one in funnel.exclusions for i in range(one.first + 1, one.last + 1)}
        self._voided = {level for level in voided if level <= self._levels}

    def add(self) -> None:
        seen = self._intervals(self._values(self._ties()))
        # Without an event an array would be one longer before it than after it.
        self._stages.add(tail=f"\nwhere notEmpty({seen})")
        shown = [f"arrayMap(e -> e.1, {seen}) as at", f"arrayMap(e -> e.2, {seen}) as masks"]
        if self._overlap:
            shown.append(f"arrayMap(e -> e.5, {seen}) as ids")
        self._stages.add(*shown, f"arrayEnumerate({seen}) as places")
        for level in range(1, self._levels + 1):
            self._level(level)
        self._reached()
        if self._funnel.view != "trends":
            self._moments()

    def _ties(self) -> str:
        """Add what PostHog does with events of one instant that are not the same steps.

        They come in the order of the steps, each as one step at a time, and neither void an attempt
        nor stand between two steps of a strict funnel. Sorted, they are in that order: where each
        event is one step and nothing lies between steps, that is all.
        """
        stages, count = self._stages, len(self._funnel.steps)
        if self._funnel.order == "ordered" and not self._funnel.exclusions and not self._overlap:
            return "seen"
        stages.add("arrayMap(e -> e.1, seen) as at_all", "arrayMap(e -> e.2, seen) as masks_all")
        stages.add(f"{_next('at_all')} as at_next", f"{_next('masks_all')} as masks_next")
        pairs = "at_all, masks_all, at_next, masks_next"
        stages.add(f"arrayFilter((t, m, u, n) -> t = u and m != n, {pairs}) as ties")
        if not self._overlap:
            steps = f"e.2 % {2**count}"
            kept = f"arrayFilter(e -> {steps} > 0 or not has(ties, e.1), seen)"
            stages.add(f"{kept} as kept")
            alone = f"({self._item.format(f'{steps} + {TIED}')})"
            stages.add(f"arrayMap(e -> has(ties, e.1) ? {alone} : e, kept) as tied")
            return "tied"
        bits = ", ".join(str(2**i) for i in range(count))
        number = "arrayMap((e, i) -> tuple(e.1, e.2, e.3, e.4, i), seen, arrayEnumerate(seen))"
        stages.add(f"{number} as numbered", f"[{bits}] as bits")
        alone = f"({self._item.format(f'b + {TIED}')})"
        parts = f"arrayMap(b -> {alone}, arrayFilter(b -> bitAnd(e.2, b) > 0, bits))"
        stages.add(f"arrayMap(e -> has(ties, e.1) ? {parts} : [e], numbered) as parts")
        stages.add("arraySort(e -> tuple(e.1, e.2, e.5), arrayFlatten(parts)) as tied")
        return "tied"

    def _values(self, seen: str) -> str:
        """Add a row for each value that the breakdown has at its step."""
        funnel = self._funnel
        if funnel.breakdown is None or funnel.by_group or funnel.attribution != "step":
            return seen
        bit = 2**funnel.attribution_step
        at_step = f"arrayFilter(e -> {has_step('e.2', bit)}, {seen})"
        self._stages.add(*each_once(at_step, "e.4", "value"))
        other = f"{has_step('e.2', bit)} and e.4 != value"
        self._stages.add(f"{self._without(bit, OTHERS, other, seen)} as valued")
        return "valued"

    def _intervals(self, seen: str) -> str:
        """Add a row for each interval that the first step is in, with the events it can reach."""
        if self._funnel.view != "trends":
            return seen
        stages = self._stages
        first = f"arrayFilter(e -> {has_step('e.2', 1)}, {seen})"
        stages.add(*each_once(first, "e.3", "bucket"))
        stages.add(
            f"arrayFilter(e -> e.3 = bucket, {seen}) as of_it",
            "arrayMap(e -> e.1, of_it) as inside",
        )
        stages.add("arrayMin(inside) as low", f"arrayMax(inside) + {self._window} as high")
        stages.add(f"arrayFilter(e -> e.1 >= low and e.1 <= high, {seen}) as reachable")
        other = f"{has_step('e.2', 1)} and e.3 != bucket"
        stages.add(f"{self._without(1, ELSEWHERE, other, 'reachable')} as entered")
        return "entered"

    def _without(self, bit: int, sign: int, test: str, seen: str) -> str:
        """Return events that are no longer a step where a test says so, with a sign instead.

        Those have the step and not the sign, so that the difference is all that changes.
        """
        changed = f"({self._item.format(f'e.2 + {sign - bit}')})"
        return f"arrayMap(e -> {test} ? {changed} : e, {seen})"

    def _level(self, level: int) -> None:
        stages, bit = self._stages, 2 ** (level - 1)
        if level == 1:
            test = has_step("m", 1)
            stages.add(f"arrayMap((m, t) -> {test} ? t : 0, masks, at) as way_1")
        else:
            self._way(level, bit)
        if level in self._voided:
            self._void(level, bit * VOID)
        won = self._won(level)
        start = f"arrayFill(v -> v > 0, {won})"
        if self._funnel.order == "strict":
            keep = self._kept(level, bit)
            start = f"arrayFill((v, m) -> v > 0 or bitAnd(m, {keep}) = 0, {won}, masks)"
        stages.add(f"{start} as start_{level}")
        stages.add(f"{_before(f'start_{level}')} as was_{level}")
        if level == self._levels:
            return
        pair = f"start_{level}, was_{level}"
        if self._overlap:
            mine = "d" if level - 1 in self._funnel.optional else "arrayPushBack(d, i)"
            used = f"arrayMap((d, i) -> {mine}, used_{level}, ids)"
            used = "arrayMap(i -> [i], ids)" if level == 1 else used
            stages.add(f"arrayFill((d, s, b) -> s != b, {used}, {pair}) as ids_{level}")
        if self._funnel.view != "trends":
            stages.soon(f"arrayFill((i, s, b) -> s != b, places, {pair}) as from_{level}")
            stages.soon(f"{_before(f'from_{level}')} as since_{level}")

    def _way(self, level: int, bit: int) -> None:
        """Add the attempt that a step carries on: that of the step before, if it is in its window.

        Where that step is optional and has none, it is the one of the step before it.
        """
        sources = [level - 1]
        while sources[-1] - 1 in self._funnel.optional:
            sources.append(sources[-1] - 1)
        names = [f"s{source}" for source in sources]
        listed, starts = ", ".join(names), ", ".join(f"was_{source}" for source in sources)
        if self._overlap:
            ids = [f"d{source}" for source in sources]
            used = ", ".join(f"arrayPushFront(arrayPopBack(ids_{n}), [])" for n in sources)
            chosen = self._choice(names[:-1], ids)
            lead = f"(t, {listed}, {', '.join(ids)})"
            found = f"arrayMap({lead} -> {chosen}, at, {starts}, {used})"
            self._stages.add(f"{found} as used_{level}")
        test, lead, arrays = has_step("m", bit), f"(t, m, {listed}", f"at, masks, {starts}"
        if self._overlap:
            test += f" and not (bitAnd(m, {TIED}) > 0 and has(d, i))"
            lead, arrays = f"{lead}, i, d", f"{arrays}, ids, used_{level}"
        if len(names) == 1:
            way = f"{test} and t - {names[0]} <= {self._window} ? {names[0]} : 0"
        else:
            way = f"{test} ? {self._choice(names, [*names, '0'])} : 0"
        self._stages.add(f"arrayMap({lead}) -> {way}, {arrays}) as way_{level}")

    def _choice(self, starts: list[str], values: list[str]) -> str:
        """Return the value beside the first start in its window, the last when none is."""
        found = values[-1]
        for start, value in zip(reversed(starts), reversed(values[: len(starts)]), strict=True):
            found = f"if(t - {start} <= {self._window}, {value}, {found})"
        return found

    def _void(self, level: int, bit: int) -> None:
        """Add what is left of the ways to a step when the first that comes may be an exclusion.

        Of a new attempt at the step before (1), the first of this step (2) and what voids it (3)
        decides. A voided one stays so until a newer attempt comes to that step.
        """
        stages, below = self._stages, level - 1
        in_time = f"s > 0 and t - s <= {self._window}"
        met = f"multiIf(w > 0, 2, {has_step('m', bit)} and {in_time}, 3, 0)"
        arrays = f"at, masks, was_{below}, way_{level}"
        stages.add(f"arrayMap((t, m, s, w) -> {met}, {arrays}) as met_{level}")
        codes = f"(s, b, c) -> s != b ? 1 : c, start_{below}, was_{below}"
        last = f"arrayFill(c -> c > 0, arrayMap({codes}, met_{level}))"
        stages.add(f"{last} as last_{level}")
        first = f"{_before(f'last_{level}')}, met_{level}"
        stages.add(f"arrayMap((c, i) -> c = 1 ? i : 0, {first}) as hit_{level}")
        stages.add(
            f"arrayFill(c -> c > 0, arrayMap({codes}, hit_{level})) as mark_{level}",
            f"arrayMap((t, h) -> h = 3 ? t : 0, at, hit_{level}) as stops_{level}",
        )
        marked = f"way_{level}, {_before(f'mark_{level}')}"
        stages.add(
            f"arrayMap((w, c) -> c = 3 ? 0 : w, {marked}) as won_{level}",
            f"{_next(f'arrayReverseFill(x -> x > 0, stops_{level})')} as stop_{below}",
        )

    def _won(self, level: int) -> str:
        return f"won_{level}" if level in self._voided else f"way_{level}"

    def _kept(self, level: int, bit: int) -> int:
        """Return what an event has one of that does not end a strict attempt at a step."""
        funnel = self._funnel
        by_step = funnel.breakdown is not None and funnel.attribution == "step"
        found = bit + TIED
        if by_step and funnel.attribution_step == level - 1:
            found += OTHERS
        if level == 1 and funnel.view == "trends":
            found += ELSEWHERE
        return found

    def _reached(self) -> None:
        """Add the furthest step, and the place of the event that first came there unvoided.

        As PostHog, an actor is not counted at all whose attempts at its furthest step are void.
        """
        shown = []
        for level in range(1, self._levels + 1):
            shown.append(f"arrayExists(v -> v > 0, way_{level}) as came_{level}")
            won = self._won(level)
            first = f"arrayFirstIndex(v -> v > 0, {won})"
            if level + 1 in self._voided:
                test = f"v > 0 and v != b and (x = 0 or x - v > {self._window})"
                each = f"{won}, was_{level}, stop_{level}"
                first = f"arrayFirstIndex((v, b, x) -> {test}, {each})"
            shown.append(f"{first} as first_{level}")
        self._stages.add(*shown)
        down = range(self._levels, 0, -1)
        level_text = ", ".join(f"came_{level}, {level}" for level in down)
        place = ", ".join(f"came_{level}, first_{level}" for level in down)
        self._stages.add(f"multiIf({level_text}, 0) as level", f"multiIf({place}, 0) as place")
        self._stages.add(tail="\nwhere place > 0")

    def _moments(self) -> None:
        """Add when each step was reached, from the last back to the first."""
        stages, optional = self._stages, self._funnel.optional
        above = ""
        for level in range(self._levels, 0, -1):
            found = f"since_{level}[{above}]" if above else "0"
            if above and level - 1 in optional:
                test = f"at[{above}] - was_{level}[{above}] <= {self._window}"
                found = f"if({test}, {found}, 0)"
            stages.add(f"if(level = {level}, place, {found}) as place_{level}")
            if above and level - 1 in optional:
                stages.add(f"if(place_{level} > 0, place_{level}, {above}) as above_{level}")
                above = f"above_{level}"
            else:
                above = f"place_{level}"
        each = ", ".join(f"at[place_{level}]" for level in range(1, self._levels + 1))
        stages.add(f"[{each}] as moments")


def _before(name: str) -> str:
    """Return an array as it was before each event."""
    return f"arrayPushFront(arrayPopBack({name}), 0)"


def _next(name: str) -> str:
    """Return an array as it is at the event after each."""
    return f"arrayPushBack(arrayPopFront({name}), 0)"
