"""How a change will be judged: its query, its baseline, and how many days tell the change from noise.

The window follows from a power argument: so many traces as show the expected change with 95 %
confidence and 80 % power, in whole weeks, since weekends differ from weekdays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

from nightpane.optimizer.fields import Scope
from nightpane.optimizer.model import Measurement, Number, Spread
from nightpane.optimizer.recommendations.facts import Plan, Subject
from nightpane.optimizer.source import Source
from nightpane.optimizer.words import count

__all__ = ["Baseline", "Planned", "baselines", "cv_of", "hogql", "measurement", "plan_days"]

_ALPHA_Z, _POWER_Z = 1.960, 0.8416
_WEEK_DAYS, _LONGEST_DAYS = 7, 28
_P95_Z = 1.6449

Planned = tuple[Subject, Plan, int]
"""An operation, the plan of a recommendation on it, and the days it is measured over."""
Baseline = tuple[float | None, float | None]
"""A plan's number over its last days and over the whole window; None where there are no calls."""
_ANY = datetime(2000, 1, 1, tzinfo=UTC)  # replaced: a measurement's window is a placeholder


def cv_of(spread: Spread) -> float:
    """Return the coefficient of variation of a log-normal quantity with this p50 and p95."""
    if spread.p50 <= 0 or spread.p95 <= spread.p50:
        return 0.5
    sigma = math.log(spread.p95 / spread.p50) / _P95_Z
    return math.sqrt(math.expm1(min(sigma, 3.0) ** 2))


def plan_days(subject: Subject, plan: Plan) -> tuple[int, str]:
    """Return how many days to measure over, and why so many."""
    needed = max(1, math.ceil(_needed(plan)))
    a_day = subject.traces_per_day
    days = math.ceil(needed / a_day)
    weeks = _WEEK_DAYS * math.ceil(days / _WEEK_DAYS)
    longest = max(min(_LONGEST_DAYS, subject.scope.days), 1)
    window = min(max(weeks, _WEEK_DAYS), longest)
    unit = "calls" if subject.metrics.traces <= 1 else "traces"
    rate = f"{a_day:.1f}" if a_day < 10 else count(a_day)
    if days > window:
        return window, (
            f"The change shows in about {count(needed)} {unit}, {count(days)} days at the present "
            f"{rate} a day: {window} days will only show it if it is larger, so judge the traces too."
        )
    if window < _WEEK_DAYS:
        return window, f"The analysis itself read {window} days, at {rate} {unit} a day."
    return window, (
        f"At the present {rate} {unit} a day the expected change shows in {count(needed)} {unit} "
        f"(95 % confidence, 80 % power), {_days(days)}; whole weeks even out weekdays."
    )


def _days(days: int) -> str:
    return "within a day" if days <= 1 else f"some {count(days)} days"


def _needed(plan: Plan) -> float:
    """Traces needed before and after, by the normal approximation for two shares or two means."""
    before, after = plan.before, plan.after
    if before == after:
        return math.inf if before else 1.0
    if plan.cv is not None:
        change = abs(1 - after / before) if before else 1.0
        return 2 * ((_ALPHA_Z + _POWER_Z) * plan.cv / change) ** 2
    p, q = min(max(before / 100, 0.0), 1.0), min(max(after / 100, 0.0), 1.0)
    mean = (p + q) / 2
    spread = _ALPHA_Z * math.sqrt(2 * mean * (1 - mean))
    spread += _POWER_Z * math.sqrt(p * (1 - p) + q * (1 - q))
    return (spread / (p - q)) ** 2


def hogql(plan: Plan, project: str | None) -> str:
    """Return the plan's query: one number in one row, over ``{since}`` to ``{until}``."""
    inner = plan.inner or f"SELECT {plan.select} AS value FROM {{calls}} WHERE {plan.where}"  # noqa: S608 (constants of the rules; values go in placeholders)
    calls = Scope(_ANY, _ANY, project).calls(*plan.names)
    return inner.replace("{calls}", calls.replace("{start}", "{since}").replace("{end}", "{until}"))


def baselines(source: Source, scope: Scope, planned: Sequence[Planned]) -> list[Baseline]:
    """Return each plan's number over the last of its days and over the window, in one query."""
    parts, values = [], {}
    for place, (subject, plan, days) in enumerate(planned):
        spans = ((scope.since(days), scope.end), (scope.start, scope.end))
        for kind, (since, until) in enumerate(spans):
            own = {**_values(subject, plan), "since": since, "until": until}
            text = hogql(plan, scope.project)
            for name, value in own.items():
                text = text.replace(f"{{{name}}}", f"{{{name}_{place}_{kind}}}")
                values[f"{name}_{place}_{kind}"] = value
            parts.append(
                f"SELECT {place} AS place, {kind} AS kind, toFloat(value) AS value FROM ({text})"
            )
    found: dict[tuple[int, int], float | None] = {}
    for row in source.ask(" UNION ALL ".join(parts), values) if parts else ():
        found[int(row["place"]), int(row["kind"])] = _number(row["value"])
    return [(found.get((place, 0)), found.get((place, 1))) for place in range(len(planned))]


def measurement(
    subject: Subject, plan: Plan, days: int, why: str, baseline: Baseline
) -> Measurement:
    """Return the measurement, over the whole window where its last days hold no calls."""
    last, whole = baseline
    if last is None and whole is not None:
        days, last = subject.scope.days, whole
        why = f"Its last week had no calls, so the whole window of {days} days is compared."
    now = plan.before if last is None else last
    return Measurement(
        metric=plan.metric,
        unit=plan.unit,
        baseline=now,
        target=plan.target(now),
        window_days=days,
        why_window=why,
        hogql=hogql(plan, subject.scope.project),
        values=_values(subject, plan),
    )


def _values(subject: Subject, plan: Plan) -> dict[str, Number]:
    own: dict[str, Number] = {"operation": subject.name, **plan.values}
    if subject.scope.project is not None:
        own["project"] = subject.scope.project
    text = hogql(plan, subject.scope.project)
    return {name: value for name, value in own.items() if f"{{{name}}}" in text}


def _number(value: object) -> float | None:
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if math.isfinite(number) else None
