"""What a receiver remembers between requests, so that calls are not counted twice.

A span arrives when it ends: children first, often in an earlier request than their parent. Bounded;
forgetting (at a restart, or by age) costs precision at the seam, never an event.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Literal

from nightpane.otel.correlation import Place

__all__ = ["Below", "Memory", "Tokens"]

Key = tuple[str, str]
Tokens = tuple[int, int]
Teller = Literal["span", "log"]

_MAX_PARENTS = 8_192
_MAX_CHILDREN = 1_024
_MAX_CALLS = 65_536
_MAX_TRACES = 8_192


@dataclass(frozen=True, slots=True)
class Below:
    """What is known to run below a span: how many children, and the tokens of their calls."""

    children: int
    calls: int
    tokens: Tokens


@dataclass(slots=True)
class Memory:
    """What spans have been seen to have below them, who told of each call, whose round a trace is.

    Used by one thread at a time.
    """

    _children: OrderedDict[Key, dict[str, tuple[int, Tokens]]] = field(default_factory=OrderedDict)
    _told: OrderedDict[Key, Teller] = field(default_factory=OrderedDict)
    _rounds: OrderedDict[str, Place | None] = field(default_factory=OrderedDict)

    def add_child(self, trace_id: str, parent_id: str, span_id: str, below: Below) -> None:
        """Remember a span that is kept under its parent, with the calls it stands for.

        Telling it again changes nothing.
        """
        key = (trace_id, parent_id)
        children = self._children.setdefault(key, {})
        if span_id in children or len(children) < _MAX_CHILDREN:
            children[span_id] = (below.calls, below.tokens)
        self._children.move_to_end(key)
        while len(self._children) > _MAX_PARENTS:
            self._children.popitem(last=False)

    def below(self, trace_id: str, span_id: str) -> Below:
        """Return what is known to run below a span."""
        children = self._children.get((trace_id, span_id), {})
        return Below(
            len(children),
            sum(calls for calls, _ in children.values()),
            (
                sum(tokens[0] for _, tokens in children.values()),
                sum(tokens[1] for _, tokens in children.values()),
            ),
        )

    def teller(self, trace_id: str, span_id: str, teller: Teller) -> Teller:
        """Return who told of a call first: a span, or a log record. This one, when nobody had."""
        first = self._told.setdefault((trace_id, span_id), teller)
        self._told.move_to_end((trace_id, span_id))
        while len(self._told) > _MAX_CALLS:
            self._told.popitem(last=False)
        return first

    def know_round(self, trace_id: str, place: Place) -> None:
        """Remember the round that one of a trace's spans is in; two rounds make it nobody's."""
        if place.round_id is None or not trace_id:
            return
        known = self._rounds.setdefault(trace_id, place)
        if known is not None and known.round_id != place.round_id:
            self._rounds[trace_id] = None
        self._rounds.move_to_end(trace_id)
        while len(self._rounds) > _MAX_TRACES:
            self._rounds.popitem(last=False)

    def round_of(self, trace_id: str) -> Place:
        """Return the place in the only round a trace is known to be in, an empty one otherwise."""
        return self._rounds.get(trace_id) or Place()
