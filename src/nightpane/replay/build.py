"""From a round's events, in any order, to one tree.

An event's own id is ``$ai_span_id``, what it happened in ``$ai_parent_id``; the events of one step
share its id and are one node. Whatever arrives becomes a tree: what does not fit (a parent that is
missing, ids used twice, circles, clocks that differ) stays in it, at a place that is defined, and
is said. Nothing here is recursive: a chain of 10,000 parts is a tree as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from nightpane.replay.drafts import CALLS, Draft, drafts_of
from nightpane.replay.facts import facts_of
from nightpane.replay.finish import nodes_of, notes_of
from nightpane.replay.model import RoundFacts, Trace
from nightpane.replay.queries import LIMIT
from nightpane.replay.told import Told

__all__ = ["build"]

SKEW_US = 100_000
"""What begins earlier than this before what it is in says so: the clocks of two machines differ."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ENDS = ("round_kept", "round_reverted")


def build(round_id: str, rows: Iterable[Mapping[str, Any]]) -> Trace:
    """Return the trace of a round from rows of ``queries.read_events``, in any order."""
    told = sorted((Told.of(row) for row in rows), key=lambda one: (one.at_us, one.uuid))
    told = list({one.uuid: one for one in told}.values())
    is_cut, told = len(told) > LIMIT, told[:LIMIT]
    drafts = drafts_of(round_id, told)
    root = drafts[round_id]
    _hang(drafts, root)
    _break_circles(drafts, root)
    ordered = _spread(drafts, root)
    for draft in reversed(ordered):
        draft.settle()
        draft.parts.sort(key=Draft.order)
    _settle_root(root, told)
    _say_skew(ordered)
    calls_cost_usd = root.total_cost_usd
    facts = _with_cost(facts_of(round_id, told), root)
    nodes = nodes_of(root, facts)
    ends = [node.start_ms + (node.duration_ms or 0.0) for node in nodes]
    return Trace(
        round=facts,
        started_at=_EPOCH + timedelta(microseconds=root.start_us),
        from_ms=min(node.start_ms for node in nodes),
        until_ms=max(ends),
        events=len(told),
        is_cut=is_cut,
        calls=sum(draft.kind in CALLS for draft in ordered),
        calls_cost_usd=calls_cost_usd,
        nodes=nodes,
        notes=tuple(notes_of(ordered, facts, is_cut=is_cut)),
    )


def _hang(drafts: dict[str, Draft], root: Draft) -> None:
    """Give every node its parent; for one that nothing tells of, a node that says so."""
    by_uuid = {one.uuid: draft for draft in drafts.values() for one in draft.told}
    traces: dict[str | None, Draft] = {
        draft.told[0].text("$ai_trace_id"): draft
        for draft in reversed(drafts.values())
        if draft.kind == "trace"
    }
    traces[root.key] = root
    for draft in list(drafts.values()):
        if draft is root:
            continue
        wanted = next((one.parent_id for one in draft.told if one.parent_id is not None), None)
        own_trace = draft.told[0].text("$ai_trace_id")
        if wanted is None or (wanted == own_trace and wanted not in drafts):
            found = traces.get(own_trace, root)
            draft.parent = root if found is draft else found
        else:
            draft.parent = drafts.get(wanted) or by_uuid.get(wanted)
            draft.parent = draft.parent or _missing(wanted, drafts, root)


def _missing(key: str, drafts: dict[str, Draft], root: Draft) -> Draft:
    made = Draft(key, "missing", [])
    suite = drafts.get(key.partition(":")[0])
    made.parent = suite if suite is not None and suite.kind == "suite" else root
    drafts[key] = made
    return made


def _break_circles(drafts: Mapping[str, Draft], root: Draft) -> None:
    """Hang the earliest node of each circle of parents under the root."""
    settled = {root.key}
    for draft in drafts.values():
        path: dict[str, Draft] = {}
        at = draft
        while at.key not in settled and at.key not in path:
            path[at.key] = at
            at = at.parent or root
        if at.key in path:
            keys = list(path)
            circle = [path[key] for key in keys[keys.index(at.key) :]]
            first = min(circle, key=lambda one: (one.at_us, one.key))
            first.parent = root
            first.notes.append(("circle", "its parents form a circle"))
        settled.update(path)


def _spread(drafts: Mapping[str, Draft], root: Draft) -> list[Draft]:
    """Fill in the parts of each node; return all nodes, each before its parts."""
    for draft in drafts.values():
        if draft.parent is not None and draft is not root:
            draft.parent.parts.append(draft)
    ordered = [root]
    for draft in ordered:  # grows while it is walked
        ordered += draft.parts
    return ordered


def _settle_root(root: Draft, told: list[Told]) -> None:
    """The round lasts until its end was told; one that is open, until its last event."""
    ended = [one.at_us for one in told if one.event in _ENDS]
    root.is_open = not ended
    if ended and root.has_start:
        root.is_measured = True
        root.end_us = max(root.start_us, *ended)


def _with_cost(facts: RoundFacts, root: Draft) -> RoundFacts:
    """Settle what the round cost: what its end says, its proposals, its calls. Never two added."""
    calls_usd = root.total_cost_usd
    if facts.cost_usd is None:
        source = None if calls_usd is None else "calls"
        return replace(facts, cost_usd=calls_usd, cost_source=source)
    root.own_cost_usd = max(0.0, round(facts.cost_usd - (calls_usd or 0.0), 12))
    root.total_cost_usd = facts.cost_usd
    return facts


def _say_skew(ordered: Iterable[Draft]) -> None:
    for draft in ordered:
        above = draft.parent
        if above is None or not above.has_start:
            continue
        lead_us = above.start_us - draft.start_us
        if lead_us > SKEW_US:
            draft.notes.append(("early", f"it begins {lead_us / 1e6:.3g} s before what it is in"))
