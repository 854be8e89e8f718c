"""Nodes in the making: which events are one node, and how long it took and what it cost.

A node's times and costs follow from its events and its parts alone, so parts are settled first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from nightpane.replay.model import Tokens
from nightpane.replay.told import NO_TOKENS, Told

__all__ = ["CALLS", "Draft", "drafts_of"]

CALLS = frozenset({"generation", "embedding"})
_STEP = frozenset({"step.tool_called", "step.tool_returned", "step.retry"})
_SAME_CALL = frozenset({"$ai_generation", "$ai_embedding", "token_machine.request"})
# Their event is emitted when they begin; that of the others when they end.
_BEGINS = frozenset({"round", "plan", "suite"})


@dataclass(slots=True, eq=False)
class Draft:
    """A node in the making. ``has_start`` tells that an event says when it began."""

    key: str
    kind: str
    told: list[Told]
    parent: Draft | None = None
    parts: list[Draft] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)
    start_us: int = 0
    end_us: int = 0
    has_start: bool = False
    is_measured: bool = False
    is_open: bool = False
    own_cost_usd: float | None = None
    total_cost_usd: float | None = None
    tokens: Tokens = NO_TOKENS
    total_tokens: int | None = None
    size: int = 0

    @property
    def at_us(self) -> int:
        """When its first event was emitted."""
        return min((one.at_us for one in self.told), default=self.start_us)

    def order(self) -> tuple[int, int, str]:
        """Return what its siblings are ordered by."""
        return (self.start_us, self.at_us, self.told[0].uuid if self.told else self.key)

    def takes(self, one: Told) -> bool:
        """Tell whether an event of the same id is a further part of it, and no second one."""
        names = {other.event for other in self.told} | {one.event}
        if len(names) != len(self.told) + 1:
            return False
        return names <= _STEP or (names <= _SAME_CALL and "token_machine.request" in names)

    def settle(self) -> None:
        """Work out times, costs and tokens; its parts must be settled."""
        self._time()
        self.size = sum(1 + part.size for part in self.parts)
        stated = max(_known(one.call_cost_usd for one in self.told), default=None)
        below = _sum(part.total_cost_usd for part in self.parts)
        self.own_cost_usd, self.total_cost_usd = _own_and_total(stated, below)
        stated_tokens = (one.tokens for one in self.told)
        self.tokens = next((one for one in stated_tokens if one is not NO_TOKENS), NO_TOKENS)
        tokens = _own_and_total(self.tokens.sum, _sum(p.total_tokens for p in self.parts))
        self.total_tokens = None if tokens[1] is None else int(tokens[1])

    def _time(self) -> None:
        by_event = {one.event: one for one in self.told}
        called, returned = by_event.get("step.tool_called"), by_event.get("step.tool_returned")
        timed = next((one for one in self.told if one.is_timed), None)
        if called is not None:
            self._time_of_step(called, returned)
        elif timed is not None:
            self.start_us, self.end_us = timed.start_us, timed.end_us
            self.has_start = self.is_measured = True
            if returned is not None:
                self.notes.append(("uncalled", "its call has not arrived"))
        else:
            self._time_of_parts()

    def _time_of_step(self, called: Told, returned: Told | None) -> None:
        self.has_start, self.start_us = True, called.at_us
        if returned is None:
            self.is_open = True
            self.end_us = max([called.at_us, *(part.end_us for part in self.parts)])
            return
        self.is_measured = True
        self.end_us = returned.at_us
        if returned.at_us < called.at_us:
            self.end_us = called.at_us + (returned.end_us - returned.start_us)
            self.notes.append(("early", "it returned before it was called: the clocks differ"))

    def _time_of_parts(self) -> None:
        own = [one.at_us for one in self.told]
        starts = [*own, *(part.start_us for part in self.parts)]
        ends = [*own, *(part.end_us for part in self.parts)]
        self.has_start = self.kind in _BEGINS and bool(own)
        self.start_us = min(own) if self.has_start else min(starts, default=0)
        self.end_us = max([self.start_us, *ends])


def drafts_of(round_id: str, told: Sequence[Told]) -> dict[str, Draft]:
    """Return the nodes by id, the root (under the round's own id) first; none has a parent yet."""
    head = _head(round_id, told)
    root = Draft(round_id, "round", [] if head is None else [head])
    drafts = {round_id: root}
    answers: dict[str, Draft] = {}
    for one in told:
        if one is not head:
            _put(one, drafts, answers, root)
    return drafts


def _head(round_id: str, told: Sequence[Told]) -> Told | None:
    """Return the event that tells of the root: the round's start, or that of the whole trace."""
    for kind in ("round", "trace"):
        for one in told:
            if one.kind == kind and one.own_id == round_id:
                return one
    return None


def _put(one: Told, drafts: dict[str, Draft], answers: dict[str, Draft], root: Draft) -> None:
    key = one.own_id or one.uuid
    # The provider's id of an answer: one call that two programs recorded.
    answer = one.text("$ai_completion_id") if one.event in _SAME_CALL else None
    there = drafts.get(key)
    if there is None and answer is not None and answer in answers and answers[answer].takes(one):
        there = answers[answer]
    if there is not None and there is not root and there.takes(one):
        there.told.append(one)
        there.kind = one.kind if there.kind in ("retry", "request") else there.kind
        return
    made = Draft(key, "event" if one.kind == "round" else one.kind, [one])
    if there is not None:
        made.key = one.uuid
        made.notes.append(("twice", "another event has its id"))
    drafts[made.key] = made
    if answer is not None:
        answers.setdefault(answer, made)


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _sum(values: Iterable[float | None]) -> float | None:
    known = _known(values)
    return sum(known) if known else None


def _own_and_total(stated: float | None, below: float | None) -> tuple[float | None, float | None]:
    """Return what is its own and the whole; what it states holds what its parts state."""
    if stated is None or below is None:
        return stated, below if stated is None else stated
    return max(0.0, round(stated - below, 12)), max(stated, below)
