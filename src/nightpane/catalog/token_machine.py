"""The three events of Token Machine, the router in front of model calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nightpane.catalog.spec import Event, declare, prop
from nightpane.catalog.taxonomy import ANOMALY_TYPES, TASK_TYPES

__all__ = ["TWINS", "TokenMachineAnomaly", "TokenMachineRequest", "TokenMachineTeamSummary"]

# The same thing in Token Machine's words and in PostHog's: a query may use either.
TWINS: Mapping[str, str] = {
    "model_used": "$ai_model",
    "input_tokens": "$ai_input_tokens",
    "output_tokens": "$ai_output_tokens",
    "cost_usd": "$ai_total_cost_usd",
}

_USER = "who called: a distinct_id, a person's or an agent's"
_TASK = "kind of task, in the one taxonomy both sides use"


@declare("token_machine.request", "token_machine", in_round=False)
class TokenMachineRequest(Event):
    """One routed model call."""

    user_id: str | None = prop(_USER)
    task_type: str | None = prop(_TASK, known=TASK_TYPES)
    model_used: str | None = prop("the model it was routed to; the same as $ai_model")
    input_tokens: int | None = prop("the same as $ai_input_tokens", unit="tokens", minimum=0)
    output_tokens: int | None = prop("the same as $ai_output_tokens", unit="tokens", minimum=0)
    cost_usd: float | None = prop("the same as $ai_total_cost_usd", unit="USD", minimum=0)
    quality_score: float | None = prop("the grader's verdict")
    efficiency_grade: str | None = prop("quality per dollar, as a grade")
    latency_ms: int | None = prop("how long it took", unit="ms", minimum=0)
    request_id: str | None = prop("Token Machine's own id of the request")
    team: str | None = prop("the team of who called")
    key_name: str | None = prop("name of the key it was called with; never the key")
    rule_id: str | None = prop("id of the routing rules in force")
    model_asked: str | None = prop("what the caller asked for: a model, a task or auto")
    route_reason: str | None = prop("why it was routed where it was")
    stood_in_for: str | None = prop("the model it was routed to first, which did not answer")
    litellm_model: str | None = prop("LiteLLM's name of the model")
    is_stream: bool | None = prop("whether the answer came piece by piece")
    first_piece_ms: int | None = prop("until the first piece came", unit="ms", minimum=0)
    was_cut: bool | None = prop("whether the answer broke off and another model carried on")
    tokens_estimated: bool | None = prop("whether the tokens are an estimate")


@declare("token_machine.team_summary", "token_machine", in_round=False)
class TokenMachineTeamSummary(Event):
    """What the whole team used."""

    total_requests: int | None = prop("calls", minimum=0)
    total_cost: float | None = prop("what they cost", unit="USD", minimum=0)
    avg_quality: float | None = prop("mean of the grader's verdicts")
    worst_performer: str | None = prop("who got the least quality for a dollar")
    best_performer: str | None = prop("who got the most")
    escalation_candidates: list[str] | None = prop("task types that may need a better model")
    day: str | None = prop("the day it is about, of UTC")


@declare("token_machine.anomaly", "token_machine", in_round=False)
class TokenMachineAnomaly(Event):
    """Something in the routing looks wrong."""

    type: str | None = prop("what kind", known=ANOMALY_TYPES)
    user_id: str | None = prop(_USER)
    task_type: str | None = prop(_TASK, known=TASK_TYPES)
    recommendation: str | None = prop("what to do about it")
    model_used: str | None = prop("the model it is about")
    day: str | None = prop("the day it is about, of UTC")
    evidence: Mapping[str, Any] | None = prop("the figures it is judged by")
