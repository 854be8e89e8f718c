"""Funnels walked through one event at a time, as PostHog's own program is described to do it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

__all__ = ["Happened", "Walk", "unordered"]


@dataclass(frozen=True)
class Happened:
    """An event: when in seconds, which steps it is (from 1), which steps it voids the way to."""

    at: int
    steps: frozenset[int]
    voids: frozenset[int] = frozenset()
    value: str = ""
    number: int = 0


@dataclass
class _Attempt:
    start: int
    moments: dict[int, int] = field(default_factory=dict)
    used: tuple[int, ...] = ()
    void: bool = False


@dataclass(frozen=True, kw_only=True)
class Walk:
    """An ordered or strict funnel: ``attributed`` is the step that has to be of the value."""

    steps: int
    window: int
    strict: bool = False
    optional: frozenset[int] = frozenset()
    attributed: tuple[int, str] | None = None
    first_if: Callable[[Happened], bool] = lambda _: True

    def best(self, events: Iterable[Happened]) -> dict[int, int] | None:
        """Return when each step of the best attempt was reached, None if nobody is counted."""
        slots: dict[int, _Attempt] = {}
        furthest: tuple[int, _Attempt] = (0, _Attempt(0))
        ordered = sorted(events, key=lambda one: one.at)
        for _, found in groupby(ordered, key=lambda one: one.at):
            group = list(found)
            tied = len({(one.steps, one.voids) for one in group}) > 1
            if tied:
                alone = [replace(one, steps=frozenset({n})) for one in group for n in one.steps]
                group = sorted(alone, key=lambda one: (*one.steps, one.number))
            for event in group:
                furthest = self._take(event, slots, furthest, tied=tied)
            if self.steps in slots:
                break
        level, attempt = furthest
        return None if level == 0 or attempt.void else attempt.moments

    def _take(
        self,
        event: Happened,
        slots: dict[int, _Attempt],
        furthest: tuple[int, _Attempt],
        *,
        tied: bool,
    ) -> tuple[int, _Attempt]:
        found = [(n, True) for n in event.voids if not tied] + [(n, False) for n in event.steps]
        for step, voids in sorted(found, reverse=True):
            if step > self.steps:
                continue
            below, before = self._carried(event, step, slots)
            reached = slots.get(step)
            if before is None or (reached is not None and reached.start == before.start):
                continue
            if voids:
                in_time = event.at - furthest[1].start <= self.window
                if not before.void and furthest[0] == below and in_time:
                    furthest[1].void = True
                before.void = True
            elif self._is(event, step) and not (tied and event.number in before.used):
                after = self._carry(event, step, before)
                if not before.void:
                    slots[step] = after
                if step > furthest[0] or (step == furthest[0] and furthest[1].void):
                    furthest = (step, replace(after))
        if self.strict and not tied:
            for step in set(slots) - event.steps:
                del slots[step]
        return furthest

    def _is(self, event: Happened, step: int) -> bool:
        if self.attributed and self.attributed[0] == step and event.value != self.attributed[1]:
            return False
        return step > 1 or self.first_if(event)

    def _carry(self, event: Happened, step: int, before: _Attempt) -> _Attempt:
        used = before.used if step in self.optional else (*before.used, event.number)
        return _Attempt(before.start, {**before.moments, step: event.at}, used, before.void)

    def _carried(
        self, event: Happened, step: int, slots: dict[int, _Attempt]
    ) -> tuple[int, _Attempt | None]:
        """Return the attempt that a step carries on."""
        if step == 1:
            return 0, _Attempt(event.at)
        below = step - 1
        while True:
            before = slots.get(below)
            if before is not None and event.at - before.start <= self.window:
                return below, before
            if below not in self.optional:
                return below, None
            below -= 1


def unordered(
    events: Sequence[Happened], steps: int, window: int, *, value: str | None = None
) -> list[int] | None:
    """Return when each further step of the best attempt was done, None for none.

    Each event is one step at most. What is at the instant of an exclusion comes before it.
    """
    waiting: dict[int, deque[int]] = {step: deque() for step in range(1, steps + 1)}
    best: list[int] = []

    def keep() -> None:
        nonlocal best
        fronts = sorted(found[0] for found in waiting.values() if found)
        if len(fronts) > len(best):
            best = fronts

    for event in sorted(events, key=lambda one: (one.at, bool(one.voids))):
        if all(waiting.values()):
            break
        while any(waiting.values()):
            oldest = min((found[0], step) for step, found in waiting.items() if found)
            if oldest[0] + window >= event.at:
                break
            keep()
            waiting[oldest[1]].popleft()
        if event.voids:
            for found in waiting.values():
                found.clear()
            continue
        (step,) = event.steps
        waiting[step].append(event.at)
    keep()
    return best or None
