"""The three events of Token Machine, the router in front of model calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nightpane.catalog.spec import Event, Group, prop
from nightpane.catalog.taxonomy import ANOMALY_TYPES, TASK_TYPES

__all__ = ["TokenMachineAnomaly", "TokenMachineRequest", "TokenMachineTeamSummary"]

_USER = "who called: a distinct_id, a person's or an agent's"
_TASK = "kind of task, in the one taxonomy both sides use"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenMachineRequest(Event):
    """One routed model call."""

    event: ClassVar[str] = "token_machine.request"
    group: ClassVar[Group] = "token_machine"
    in_round: ClassVar[bool] = False

    user_id: str | None = prop(_USER)
    task_type: str | None = prop(_TASK, known=TASK_TYPES)
    model_used: str | None = prop("the model it was routed to; the same as $ai_model")
    input_tokens: int | None = prop("tokens sent", unit="tokens", minimum=0)
    output_tokens: int | None = prop("tokens answered", unit="tokens", minimum=0)
    cost_usd: float | None = prop("the same as $ai_total_cost_usd", unit="USD", minimum=0)
    quality_score: float | None = prop("the grader's verdict")
    efficiency_grade: str | None = prop("quality per dollar, as a grade")
    latency_ms: int | None = prop("how long it took", unit="ms", minimum=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenMachineTeamSummary(Event):
    """What the whole team used."""

    event: ClassVar[str] = "token_machine.team_summary"
    group: ClassVar[Group] = "token_machine"
    in_round: ClassVar[bool] = False

    total_requests: int | None = prop("calls", minimum=0)
    total_cost: float | None = prop("what they cost", unit="USD", minimum=0)
    avg_quality: float | None = prop("mean of the grader's verdicts")
    worst_performer: str | None = prop("who got the least quality for a dollar")
    best_performer: str | None = prop("who got the most")
    escalation_candidates: list[str] | None = prop("task types that may need a better model")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenMachineAnomaly(Event):
    """Something in the routing looks wrong."""

    event: ClassVar[str] = "token_machine.anomaly"
    group: ClassVar[Group] = "token_machine"
    in_round: ClassVar[bool] = False

    type: str | None = prop("what kind", known=ANOMALY_TYPES)
    user_id: str | None = prop(_USER)
    task_type: str | None = prop(_TASK, known=TASK_TYPES)
    recommendation: str | None = prop("what to do about it")
