"""One day of routing, summed up: what was used, who got most for a dollar, what looks wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from nightpane.query import Query
from nightpane.router.anomalies import Anomaly, anomalies
from nightpane.router.evidence import Cell, evidence, read_cells, summed
from nightpane.router.grades import Grade, grade
from nightpane.router.ledger import Ledger
from nightpane.router.propose import escalations
from nightpane.router.routing import Evidence
from nightpane.router.rules import Rules
from nightpane.token_machine import TokenMachine

__all__ = ["Learned", "Report", "learn", "report", "tell"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A day (UTC). Grades, the best first, and escalations come from all days looked back on."""

    day: date
    calls: int
    errors: int
    cost_usd: float
    priced: int
    quality: float | None
    graded: int
    users: Sequence[Grade]
    agents: Sequence[Grade]
    anomalies: Sequence[Anomaly]
    escalation_candidates: Sequence[str]

    def document(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Learned:
    """What the data said: evidence by task and model, users' letters, and what can be told."""

    evidence: Evidence
    letters: dict[str, str]
    reports: Sequence[Report] = ()


def learn(query: Query, rules: Rules, *, now: datetime | None = None) -> Learned:
    """Return what the data says now, with reports of yesterday and today.

    Raises as ``read_cells`` does.
    """
    now = now or datetime.now(UTC)
    today = now.astimezone(UTC).date()
    cells = read_cells(query, rules, now=now)
    reports = [report(cells, rules, day) for day in (today - timedelta(days=1), today)]
    letters = {one.name: one.letter for one in reports[-1].users if one.letter is not None}
    return Learned(evidence(cells, rules.settings.confidence), letters, reports)


def report(cells: Sequence[Cell], rules: Rules, day: date) -> Report:
    """Return the report of a day."""
    known = [cell for cell in cells if cell.day <= day]
    sums = summed(cell for cell in known if cell.day == day)
    confidence = rules.settings.confidence
    return Report(
        day=day,
        calls=sums.calls,
        errors=sums.errors,
        cost_usd=sums.c,
        priced=sums.priced,
        quality=sums.mean_quality,
        graded=sums.graded,
        users=grade(known, rules.grading, "user", confidence=confidence),
        agents=grade(known, rules.grading, "agent", confidence=confidence),
        anomalies=anomalies(known, rules, day),
        escalation_candidates=escalations(known, rules),
    )


def tell(one: Report, machine: TokenMachine, ledger: Ledger, *, is_over: bool) -> None:
    """Emit a report's anomalies, and its summary when its day ``is_over``, each only once."""
    for anomaly in one.anomalies:
        if ledger.is_first(anomaly.key):
            machine.anomaly(
                anomaly.type,
                user_id=anomaly.user,
                task_type=anomaly.task_type,
                model_used=anomaly.model,
                recommendation=anomaly.recommendation,
                baggage="",
                day=anomaly.day.isoformat(),
                evidence=dict(anomaly.evidence),
            )
    if is_over and one.calls and ledger.is_first(f"{one.day.isoformat()}|summary"):
        graded = [user for user in one.users if user.efficiency is not None]
        machine.team_summary(
            total_requests=one.calls,
            total_cost=one.cost_usd if one.priced else None,
            avg_quality=one.quality,
            best_performer=graded[0].name if len(graded) > 1 else None,
            worst_performer=graded[-1].name if len(graded) > 1 else None,
            escalation_candidates=one.escalation_candidates,
            day=one.day.isoformat(),
        )
