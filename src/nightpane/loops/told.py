"""The journal's entries as the catalogue's events: the same entry always gives the same event.

An event's uuid follows from its entry, so a loop that was killed tells its last round again without
counting anything twice.
"""

from __future__ import annotations

from typing import Any

from nightpane.catalog import (
    Event,
    ModelEscalated,
    ProposalApplied,
    ProposalGenerated,
    RoundKept,
    RoundReverted,
    RoundScored,
    RoundStarted,
    StopTriggered,
)
from nightpane.client.pane import Pane
from nightpane.ids import deterministic_uuid
from nightpane.loops.journal import Entry

__all__ = ["tell"]

_AGENTS = {
    "proposal_generated": "proposer",
    "proposal_applied": "proposer",
    "round_scored": "scorer",
}
_AGENT = "orchestrator"


def tell(pane: Pane, run_id: str, entry: Entry) -> None:
    """Emit the event of an entry; one that is no event's is left out."""
    found = _event(entry)
    if found is None:
        return
    event, more = found
    pane.emit(
        event,
        agent=_AGENTS.get(event.event, _AGENT),
        round_id=entry.get("round_id"),
        timestamp=entry["at"],
        uuid=deterministic_uuid(run_id, str(entry.get("number", "")), event.event),
        run_id=run_id,
        **more,
    )


def _event(entry: Entry) -> tuple[Event, dict[str, Any]] | None:
    kind = entry["kind"]
    if kind == "round":
        return RoundStarted(**_some(entry, "model baseline_score n_prior_rounds")), {}
    if kind == "proposed":
        return ProposalGenerated(**_some(entry, "summary diff model cost_usd latency_ms")), {}
    if kind == "applied":
        return ProposalApplied(target=entry["target"], diff_bytes=entry["diff_bytes"]), {}
    if kind == "scored":
        return _scored(entry)
    if kind == "decided":
        return _decided(entry)
    if kind == "escalated":
        event = ModelEscalated(**_some(entry, "from_model to_model stall_rounds reason"))
        return event, _some(entry, "cost_usd kept_rounds")
    if kind == "stopped":
        names = "reason rounds_completed total_cost_usd final_best_score"
        return StopTriggered(**_some(entry, names)), {}
    return None


def _some(entry: Entry, names: str) -> dict[str, Any]:
    return {name: entry[name] for name in names.split()}


def _scored(entry: Entry) -> tuple[Event, dict[str, Any]]:
    score = entry["score"]
    event = RoundScored(
        score=score,
        metric=entry["metric"],
        direction=entry["direction"],
        measured=entry["measured"],
        crashed=True if score is None else None,
    )
    dims = {f"dim_{name}": value for name, value in entry["dims"].items()}
    return event, {**dims, "measurements": len(entry["scores"])}


def _decided(entry: Entry) -> tuple[Event, dict[str, Any]]:
    evidence = {f"keep_{name}": value for name, value in entry["evidence"].items()}
    if entry["kept"]:
        event: Event = RoundKept(
            delta=entry["gain"], new_best=entry["score"], cost_usd=entry["cost_usd"]
        )
    else:
        event = RoundReverted(
            failure_mode=entry["failure_mode"], reason=entry["reason"], cost_usd=entry["cost_usd"]
        )
    return event, {"commit": entry["commit"], **evidence}
