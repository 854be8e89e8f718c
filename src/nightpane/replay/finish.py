"""The last step: drafts to the nodes that readers get, in reading order, and what is to be said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from nightpane.replay.drafts import CALLS, Draft
from nightpane.replay.model import Node, RoundFacts
from nightpane.replay.queries import LIMIT
from nightpane.replay.told import Told, is_true, number
from nightpane.replay.words import name_of, text_of

__all__ = ["nodes_of", "notes_of"]


def nodes_of(root: Draft, facts: RoundFacts) -> tuple[Node, ...]:
    """Return the tree's nodes in reading order: each before its parts, parts by their begin."""
    found: list[Node] = []
    waiting: list[tuple[Draft, int, int | None]] = [(root, 0, None)]
    while waiting:
        draft, depth, parent = waiting.pop()
        waiting += [(part, depth + 1, len(found)) for part in reversed(draft.parts)]
        found.append(_node(draft, depth, parent, root, facts))
    return tuple(found)


def notes_of(ordered: Sequence[Draft], facts: RoundFacts, *, is_cut: bool) -> Iterator[str]:
    """Yield what about the whole tree is not as it should be, a sentence each."""
    root = ordered[0]
    if is_cut:
        yield f"The round has more than {LIMIT:,} events: the earliest {LIMIT:,} are shown."
    if not root.told and facts.status != "trace":
        yield "round_started has not arrived: offsets count from the earliest event."
    said = Counter(kind for one in ordered for kind, _ in one.notes)
    said["missing"] = sum(one.kind == "missing" for one in ordered)
    said["open"] = sum(one.is_open for one in ordered[1:])
    for kind, (alone, several) in _SENTENCES.items():
        if said[kind]:
            yield alone if said[kind] == 1 else several.format(said[kind])


_SENTENCES = {
    "early": (
        "One part begins before what it is in: the clocks of two machines differ.",
        "{} parts begin before what they are in: the clocks of two machines differ.",
    ),
    "missing": (
        "What one part happened in was never told: its event is missing.",
        "What some parts happened in was never told: {} events are missing.",
    ),
    "open": ("One step has not returned.", "{} steps have not returned."),
    "uncalled": ("The call of one step is missing.", "The calls of {} steps are missing."),
    "twice": ("One id is used twice.", "{} ids are used twice."),
    "circle": (
        "The parents of one part form a circle.",
        "The parents of {} parts form circles.",
    ),
}


def _node(draft: Draft, depth: int, parent: int | None, root: Draft, facts: RoundFacts) -> Node:
    told = draft.told
    length_us = draft.end_us - draft.start_us
    error = next((one.error for one in told if one.error is not None), None)
    costs = [cost for one in told if (cost := one.told_cost_usd) is not None]
    events = [one.event for one in told]
    is_root = draft is root
    return Node(
        id=draft.key,
        uuids=tuple(one.uuid for one in told),
        kind="trace" if is_root and facts.status == "trace" else draft.kind,
        event=next((e for e in events if e != "step.retry"), events[0] if events else ""),
        name=_name(draft, facts, is_root=is_root),
        text=text_of(told),
        depth=depth,
        parent=parent,
        size=draft.size,
        at_ms=(draft.at_us - root.start_us) / 1000,
        start_ms=(draft.start_us - root.start_us) / 1000,
        duration_ms=length_us / 1000 if length_us or draft.is_measured else None,
        is_measured=draft.is_measured,
        own_cost_usd=draft.own_cost_usd,
        total_cost_usd=draft.total_cost_usd,
        told_cost_usd=max(costs, default=None),
        tokens=draft.tokens,
        total_tokens=draft.total_tokens,
        status=facts.status if is_root else _status(draft, error, facts),
        error=error,
        agent=_first(told, "agent"),
        model=_first(told, "$ai_model") or _first(told, "model"),
        suite_id=_first(told, "suite_id"),
        prior_score=next(
            (v for o in told if (v := number(o.about.get("prior_score"))) is not None), None
        ),
        notes=tuple(note for _, note in draft.notes),
    )


def _first(told: Sequence[Told], name: str) -> str | None:
    return next((found for one in told if (found := one.text(name)) is not None), None)


def _name(draft: Draft, facts: RoundFacts, *, is_root: bool) -> str:
    if is_root:
        return name_of("trace" if facts.status == "trace" else "round", draft.told)
    if draft.kind == "missing":
        return f"not told: {draft.key}"[:120]
    return name_of(draft.kind, draft.told)


def _status(draft: Draft, error: str | None, facts: RoundFacts) -> str | None:
    if error is not None:
        return "failed"
    if draft.is_open:
        return "running" if facts.status == "open" else "unfinished"
    if draft.kind == "case":
        passed = next(
            (p for one in draft.told if (p := is_true(one.about.get("passed"))) is not None), None
        )
        return None if passed is None else "passed" if passed else "missed"
    if draft.kind in ("tool", "request", *CALLS):
        return "ok"
    return _STATUS.get(draft.told[0].event) if draft.told else None


_STATUS = {"round_kept": "kept", "round_reverted": "reverted", "eval.regression": "worse"}
