"""What a replayed round is: values only, all times in milliseconds from the round's begin.

Every text in here comes from events, and is to be treated as hostile by whoever shows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

__all__ = ["Link", "Neighbours", "Node", "RoundFacts", "Tokens", "Trace"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """Counts of tokens; None is not known."""

    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None

    @property
    def sum(self) -> int | None:
        """Those sent and answered."""
        if self.input is None and self.output is None:
            return None
        return (self.input or 0) + (self.output or 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One thing that happened, told by one event or more.

    ``parent`` is the place of its parent in ``Trace.nodes`` (None for the root), ``size`` how many
    nodes stand below it. ``duration_ms`` is None for a moment; ``is_measured`` tells that its own
    events say how long it took, else it reaches over what is in it. ``own_cost_usd`` is what it
    cost without its parts, ``total_cost_usd`` with them, ``told_cost_usd`` one that only repeats
    what calls cost. ``error`` is None when it did not fail.
    """

    id: str
    uuids: tuple[str, ...]
    kind: str
    event: str
    name: str
    text: str
    depth: int
    parent: int | None
    size: int
    at_ms: float
    start_ms: float
    duration_ms: float | None
    is_measured: bool
    own_cost_usd: float | None
    total_cost_usd: float | None
    told_cost_usd: float | None
    tokens: Tokens
    total_tokens: int | None
    status: str | None
    error: str | None
    agent: str | None
    model: str | None
    suite_id: str | None
    prior_score: float | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundFacts:
    """What the round's own events say of it.

    ``status`` is kept, reverted or open, or "trace" for a trace that is no round.
    ``cost_source`` tells which cost is known first: round, proposals or calls.
    """

    id: str
    status: str
    run_id: str | None = None
    project: str | None = None
    client: str | None = None
    agent: str | None = None
    git_sha: str | None = None
    model: str | None = None
    metric: str | None = None
    direction: str | None = None
    score: float | None = None
    baseline_score: float | None = None
    delta: float | None = None
    failure_mode: str | None = None
    reason: str | None = None
    cost_usd: float | None = None
    cost_source: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Another round, and why it is named."""

    round_id: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """Rounds beside this one: in its run, and the one it regressed from.

    ``number`` is its place in the run, from 1, of ``rounds``.
    """

    number: int | None = None
    rounds: int | None = None
    previous: str | None = None
    next: str | None = None
    regressed_from: Link | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A round as one tree: ``nodes`` in the order they are read, each parent before its parts.

    ``notes`` say what about the tree is not as it should be. ``from_ms`` and ``until_ms`` bound
    every node; ``from_ms`` is negative when something began before the round did.
    """

    round: RoundFacts
    started_at: datetime
    from_ms: float
    until_ms: float
    events: int
    is_cut: bool
    calls: int
    calls_cost_usd: float | None
    nodes: tuple[Node, ...]
    notes: tuple[str, ...]
    neighbours: Neighbours = Neighbours()
