"""The bridge to Token Machine: its three events, emitted from Python.

Each of the names both sides have for one thing is stamped beside the other (``model_used`` and
``$ai_model``, …), so that a query may use either, on PostHog Cloud too. A grade given inside a
round is fed back to that round. Nothing is emitted but what it is told: it never calls a model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nightpane.catalog import (
    Event,
    TokenMachineAnomaly,
    TokenMachineRequest,
    TokenMachineTeamSummary,
)
from nightpane.catalog.token_machine import TWINS
from nightpane.client import Pane, carrier
from nightpane.client.envelope import Place
from nightpane.client.scopes import Scope, current_scope
from nightpane.client.working import Working

__all__ = ["TokenMachine"]

_MAX_DISTINCT_ID = 200


class TokenMachine:
    """Emits Token Machine's events to a pane.

    Inside a round of the pane they belong to it; elsewhere to the round that ``round_id`` or
    ``baggage`` names (an HTTP request's headers, say), else the one in this process's environment
    variable ``BAGGAGE``. Each method returns the event's uuid, None when it could not be written.
    Further keyword arguments become properties of the event.
    """

    def __init__(self, pane: Pane, *, agent: str = "token-machine") -> None:
        self._pane = pane
        self._agent = agent

    def request(
        self,
        *,
        model_used: str,
        user_id: str | None = None,
        task_type: str | None = None,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cost_usd: float | None = None,
        quality_score: float | None = None,
        efficiency_grade: str | None = None,
        latency_ms: int | None = None,
        request_id: str | None = None,
        span_id: str | None = None,
        completion_id: str | None = None,
        agent: str | None = None,
        round_id: str | None = None,
        baggage: Mapping[str, str] | str | None = None,
        **extra: Any,
    ) -> str | None:
        """Emit ``token_machine.request``: one routed call of a model.

        ``user_id`` is who called and becomes the event's distinct_id; by default the agent's own.
        ``cost_usd`` stays out when it is not known. ``span_id`` is the ``$ai_span_id`` of the
        generation that recorded the same call and ``completion_id`` the provider's id of the
        answer: by either, a query knows the two for one.
        """
        event = TokenMachineRequest(
            user_id=user_id,
            task_type=task_type,
            model_used=model_used,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            cost_usd=cost_usd,
            quality_score=quality_score,
            efficiency_grade=efficiency_grade,
            latency_ms=latency_ms,
            request_id=request_id,
        )
        same = {theirs: getattr(event, ours) for ours, theirs in TWINS.items()}
        same |= {"$ai_span_id": span_id, "$ai_completion_id": completion_id}
        told = {name: value for name, value in same.items() if value is not None}
        round_ = _round_of(current_scope(self._pane))
        if round_ is not None and round_id in (None, round_.round_id) and baggage is None:
            round_.graded(quality_score)
        return self._emit(
            event,
            {**told, **extra},
            agent=agent,
            user_id=user_id,
            round_id=round_id,
            baggage=baggage,
        )

    def feedback(
        self,
        request_id: str,
        quality_score: float,
        *,
        graded_by: str | None = None,
        user_id: str | None = None,
        task_type: str | None = None,
        model_used: str | None = None,
        agent: str | None = None,
        baggage: Mapping[str, str] | str | None = None,
        **extra: Any,
    ) -> str | None:
        """Emit ``$ai_metric`` named quality_score: the grade of a call whose event is already out.

        ``user_id`` is who made the call, ``graded_by`` who grades it.
        """
        properties = {
            "$ai_metric_name": "quality_score",
            "$ai_metric_value": quality_score,
            "request_id": request_id,
            "graded_by": graded_by,
            "user_id": user_id,
            "task_type": task_type,
            "model_used": model_used,
        }
        place = self._place(baggage)
        return self._pane._track(
            "$ai_metric",
            {name: one for name, one in {**properties, **extra}.items() if one is not None},
            place=place,
            agent=agent or (place.agent if place is not None else None) or self._agent,
            distinct_id=None if user_id is None else user_id[:_MAX_DISTINCT_ID],
        )

    def team_summary(
        self,
        *,
        total_requests: int | None = None,
        total_cost: float | None = None,
        avg_quality: float | None = None,
        worst_performer: str | None = None,
        best_performer: str | None = None,
        escalation_candidates: Sequence[str] | None = None,
        agent: str | None = None,
        **extra: Any,
    ) -> str | None:
        """Emit ``token_machine.team_summary``: what the whole team used. ``total_cost`` is USD."""
        event = TokenMachineTeamSummary(
            total_requests=total_requests,
            total_cost=total_cost,
            avg_quality=avg_quality,
            worst_performer=worst_performer,
            best_performer=best_performer,
            escalation_candidates=list(escalation_candidates) if escalation_candidates else None,
        )
        return self._emit(event, extra, agent=agent)

    def anomaly(
        self,
        type: str,  # noqa: A002 (the property's name)
        *,
        user_id: str | None = None,
        task_type: str | None = None,
        recommendation: str | None = None,
        agent: str | None = None,
        round_id: str | None = None,
        baggage: Mapping[str, str] | str | None = None,
        **extra: Any,
    ) -> str | None:
        """Emit ``token_machine.anomaly``: something in the routing looks wrong."""
        event = TokenMachineAnomaly(
            type=type, user_id=user_id, task_type=task_type, recommendation=recommendation
        )
        return self._emit(
            event, extra, agent=agent, user_id=user_id, round_id=round_id, baggage=baggage
        )

    def _emit(
        self,
        event: Event,
        extra: Mapping[str, Any],
        *,
        agent: str | None,
        user_id: str | None = None,
        round_id: str | None = None,
        baggage: Mapping[str, str] | str | None = None,
    ) -> str | None:
        place = self._place(baggage)
        role = agent or (place.agent if place is not None else None) or self._agent
        properties = {**event.given(), **extra}
        if user_id is None and "user_id" in type(event)._names:
            properties["user_id"] = self._distinct_id(place, role)
        return self._pane._track(
            event.event,
            properties,
            place=place,
            agent=role,
            round_id=round_id,
            distinct_id=None if user_id is None else str(user_id)[:_MAX_DISTINCT_ID],
        )

    def _place(self, baggage: Mapping[str, str] | str | None) -> Place | None:
        """Return the place of the round that is named, else of the one the code stands in."""
        scope = current_scope(self._pane)
        named = carrier.read(baggage) if scope is None or baggage is not None else {}
        if named:
            return Place(carrier.joined_place(named, None).properties, named.get("agent"))
        return None if scope is None else scope.place

    def _distinct_id(self, place: Place | None, role: str) -> str:
        known = {"project": self._pane.project, "client": self._pane.client}
        known |= place.properties if place is not None else {}
        return f"{known['project']}:{known['client']}:{role}"[:_MAX_DISTINCT_ID]


def _round_of(scope: Scope | None) -> Working | None:
    """Return the round that a step, suite or round's scope is in, None outside of rounds."""
    while scope is not None and not isinstance(scope, Working):
        scope = scope._outer
    return scope
