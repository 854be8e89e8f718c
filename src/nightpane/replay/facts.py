"""What a round's own events say of it, whatever else is in its tree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nightpane.replay.model import RoundFacts
from nightpane.replay.told import Told, number

__all__ = ["facts_of"]

_ENDS = ("round_kept", "round_reverted")
_CORE = frozenset(
    {
        *("round_started", "proposal_generated", "proposal_applied", "round_scored"),
        *_ENDS,
    }
)


def facts_of(round_id: str, told: Sequence[Told]) -> RoundFacts:
    """Return the round's outcome and cost as its events state them; the calls' sum is not here.

    Of several values of one kind the last counts, of the envelope's the first.
    """
    core = [one for one in told if one.event in _CORE]
    is_round = bool(core) or any(one.text("round_id") == round_id for one in told)
    cost_usd, source = _cost(told)
    last = {one.event: one for one in core}
    end = last.get("round_kept") or last.get("round_reverted")
    scored = last.get("round_scored")
    return RoundFacts(
        id=round_id,
        status=(end.event.removeprefix("round_") if end else "open") if is_round else "trace",
        **{name: _first(told, name) for name in ("run_id", "project", "client", "git_sha")},
        agent=_first(core, "agent") or _first(told, "agent"),
        model=_first(core, "model"),
        metric=_first(core, "metric"),
        direction=_first(core, "direction"),
        score=None if scored is None else number(scored.about.get("score")),
        baseline_score=_last_number(core, "baseline_score"),
        delta=_last_number(core, "delta"),
        failure_mode=None if end is None else end.text("failure_mode"),
        reason=None if end is None else end.text("reason"),
        cost_usd=cost_usd,
        cost_source=source,
    )


def _cost(told: Sequence[Told]) -> tuple[float | None, str | None]:
    ends = [one.told_cost_usd for one in told if one.event in _ENDS]
    at_end = max((cost for cost in ends if cost is not None), default=None)
    if at_end is not None:
        return at_end, "round"
    proposals = [one.told_cost_usd for one in told if one.event == "proposal_generated"]
    known = [cost for cost in proposals if cost is not None]
    return (sum(known), "proposals") if known else (None, None)


def _first(told: Sequence[Told], name: str) -> Any:
    return next((one.text(name) for one in told if one.text(name) is not None), None)


def _last_number(told: Sequence[Told], name: str) -> float | None:
    return next(
        (v for one in reversed(told) if (v := number(one.about.get(name))) is not None), None
    )
