"""The journal's entries as the catalogue's events: the same entry always gives the same event.

An event's uuid follows from its entry, so a loop that was killed tells its last round again without
counting anything twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nightpane.catalog import (
    EvalCase,
    EvalRegression,
    EvalRun,
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
    "eval.run": "scorer",
    "eval.case": "scorer",
    "eval.regression": "scorer",
}
_AGENT = "orchestrator"


def tell(pane: Pane, run_id: str, entry: Entry) -> None:
    """Emit the events of an entry; one that is no event's is left out."""
    for event, more in _events(entry):
        pane.emit(
            event,
            agent=_AGENTS.get(event.event, _AGENT),
            round_id=entry.get("round_id"),
            timestamp=entry["at"],
            uuid=deterministic_uuid(
                run_id, str(entry.get("number", "")), event.event, getattr(event, "case_id", "")
            ),
            run_id=run_id,
            **more,
        )


def _events(entry: Entry) -> Iterator[tuple[Event, dict[str, Any]]]:
    kind = entry["kind"]
    if kind == "round":
        yield RoundStarted(**_some(entry, "model baseline_score n_prior_rounds")), {}
    elif kind == "proposed":
        yield ProposalGenerated(**_some(entry, "summary diff model cost_usd latency_ms")), {}
    elif kind == "applied":
        yield ProposalApplied(target=entry["target"], diff_bytes=entry["diff_bytes"]), {}
    elif kind == "scored":
        yield from _judged(entry)
        yield _scored(entry)
    elif kind == "decided":
        yield _decided(entry)
    elif kind == "escalated":
        names = "from_model to_model stall_rounds reason cost_usd kept_rounds"
        yield ModelEscalated(**_some(entry, f"{names} tier_rounds tier_cost_usd helped")), {}
    elif kind == "stopped":
        names = "reason rounds_completed total_cost_usd final_best_score"
        yield StopTriggered(**_some(entry, names)), {}


def _judged(entry: Entry) -> Iterator[tuple[Event, dict[str, Any]]]:
    """Give the evaluation that a score was made of: its beginning, its cases, what got worse."""
    suite_id, cases = entry["suite_id"], entry["cases"]
    if suite_id is None:
        return
    yield (
        EvalRun(
            suite_id=suite_id,
            suite=entry["metric"],
            n_cases=len(cases),
            direction=entry["direction"],
        ),
        {"$ai_span_id": suite_id},
    )
    inside = {"$ai_parent_id": suite_id}
    for case in cases:
        yield EvalCase(suite_id=suite_id, **case), inside
    for regression in entry["regressions"]:
        yield EvalRegression(suite_id=suite_id, **regression), inside


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
    why = {"reported_because": entry["reported"]} if entry["reported"] else {}
    return event, {**dims, **why, "measurements": len(entry["scores"])}


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
