"""How a change will be judged: its query, its baseline, and how many days tell it from noise.

The window follows from a power argument: so many traces as show the expected change with 95 %
confidence and 80 % power, in whole weeks, since weekends differ from weekdays.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from nightpane.optimizer.fields import Scope
from nightpane.optimizer.model import Measurement, Number, Spread
from nightpane.optimizer.recommendations.facts import Plan, Subject
from nightpane.optimizer.source import Source
from nightpane.optimizer.words import count

__all__ = ["COLUMNS", "Planned", "baselines", "cv_of", "hogql", "measurement", "plan_days"]

_ALPHA_Z, _POWER_Z = 1.960, 0.8416
_WEEK_DAYS, _LONGEST_DAYS = 7, 28
_P95_Z = 1.6449

Planned = tuple[Subject, Plan, int]
"""An operation, the plan of a recommendation on it, and the days it is measured over."""
_MANY = 1e6
_LEAST_TRACES = 30  # below, the normal approximation says little
_WORD = re.compile(r"(?<![.$\w'{])[a-z_]\w*")
COLUMNS: Mapping[str, str] = {
    "at": "timestamp",
    "trace": "toString(properties.$ai_trace_id)",
    "model": "toString(properties.$ai_model)",
    "provider": "toString(properties.$ai_provider)",
    "input": "toFloat(properties.$ai_input_tokens)",
    "sent": "ifNull(input, 0)",
    "from_cache": "toFloat(properties.$ai_cache_read_input_tokens)",
    "to_cache": "toFloat(properties.$ai_cache_creation_input_tokens)",
    "cache_read": "ifNull(from_cache, 0)",
    "cache_write": "ifNull(to_cache, 0)",
    "cached": "cache_read + cache_write",
    "reported": "toString(properties.$ai_cache_reporting_exclusive)",
    "says_apart": "reported IN ('true', '1')",
    "says_within": "reported IN ('false', '0')",
    "is_claude": "match(model, '(?i)^claude|anthropic')",
    "is_anthropic": "match(provider, '(?i)^anthropic$')",
    "usually": "is_claude OR is_anthropic",
    "apart": "multiIf(says_apart, 1, says_within, 0, usually, 1, 0)",
    "prompt": "if(apart = 1, sent + cached, greatest(sent, cached))",
    "output": "toFloat(properties.$ai_output_tokens)",
    "billed": "toFloat(properties.$ai_total_cost_usd)",
    "question": "toString(properties.$ai_input)",
    "answer": "toString(properties.$ai_output_choices)",
    "stop": "toString(properties.$ai_stop_reason)",
    "error": "toString(properties.$ai_error)",
    "latency": "toFloat(properties.$ai_latency)",
    "code": "toFloat(properties.$ai_http_status)",
    "status": "ifNull(code, 0)",
    "marked": "toString(properties.$ai_is_error)",
    "says_failed": "match(marked, '(?i)^(true|1)$')",
    "is_failed": "says_failed OR status >= 400",
    "failed": "ifNull(is_failed, 0)",
    "says_limit": "match(error, {limited})",
    "is_refused": "failed = 1 AND (status = 429 OR says_limit)",
    "refused": "ifNull(is_refused, 0)",
    "says_late": "match(error, {timeout})",
    "is_late": "says_late OR status IN (408, 504, 524) OR status IN (0, 499, 500) AND latency >= "
    "60",
    "late": "failed = 1 AND refused = 0 AND is_late",
}
"""A call in a query that people read: what ``fields`` says, without its defaults and tiers. Cached
tokens lie beside ``$ai_input_tokens`` where the event says so, else where the model is Anthropic's.
One step a column, since the grammar takes its time over nested calls."""


def cv_of(spread: Spread) -> float:
    """Return the coefficient of variation of a log-normal quantity with this p50 and p95."""
    if spread.p50 <= 0 or spread.p95 <= spread.p50:
        return 0.5
    sigma = math.log(spread.p95 / spread.p50) / _P95_Z
    return math.sqrt(math.expm1(min(sigma, 3.0) ** 2))


def plan_days(subject: Subject, plan: Plan) -> tuple[int, str]:
    """Return how many days to measure over, and why so many."""
    needed = max(_LEAST_TRACES, math.ceil(_needed(plan)))
    a_day = subject.traces_per_day
    days = math.ceil(needed / a_day)
    weeks = _WEEK_DAYS * math.ceil(days / _WEEK_DAYS)
    longest = max(min(_LONGEST_DAYS, subject.scope.days), 1)
    window = min(max(weeks, _WEEK_DAYS), longest)
    unit = "calls" if subject.metrics.traces <= 1 else "traces"
    rate = f"{a_day:.1f}" if a_day < 10 else count(a_day)
    if days > window:
        return window, (
            f"The change shows in about {count(needed)} {unit}, {count(days)} days at the "
            f"present {rate} a day: {window} days will only show it if it is larger, so judge "
            "the traces too."
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
        return _MANY if before else 1.0
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
    columns = ",\n    ".join(f"{COLUMNS[name]} AS {name}" for name in _needed_columns(plan.names))
    conditions = [
        "event = '$ai_generation'",
        "timestamp >= toDateTime({since})",
        "timestamp < toDateTime({until})",
        *(["properties.project = {project}"] if project is not None else []),
        plan.subject,
    ]
    calls = f"""(
  SELECT
    {columns}
  FROM events
  WHERE {chr(10).join(conditions).replace(chr(10), chr(10) + "    AND ")}
)"""  # noqa: S608 (constants of the rules; values go in placeholders)
    inner = plan.inner or f"SELECT {plan.select} AS value\nFROM {{calls}}"
    where = f"\nWHERE {plan.where}" if plan.where else ""
    return inner.replace("{calls}", calls + where)


def _needed_columns(names: Sequence[str]) -> list[str]:
    """Return columns with those that they are made of, in the order in which they can be."""
    wanted: set[str] = set()
    asked = list(names)
    while asked:
        name = asked.pop()
        if name not in wanted:
            wanted.add(name)
            asked += [word for word in _WORD.findall(COLUMNS[name]) if word in COLUMNS]
    return [name for name in COLUMNS if name in wanted]


def baselines(source: Source, scope: Scope, planned: Sequence[Planned]) -> list[float | None]:
    """Return each plan's number over the last of its days, in one query; None without any calls."""
    parts: list[str] = []
    values: dict[str, Any] = {}
    for place, (subject, plan, days) in enumerate(planned):
        text = hogql(plan, scope.project)
        own = {**_values(subject, plan), "since": scope.since(days), "until": scope.end}
        for name, value in own.items():
            text = text.replace(f"{{{name}}}", f"{{{name}_{place}}}")
            values[f"{name}_{place}"] = value
        parts.append(f"SELECT {place} AS place, toFloat(value) AS value FROM ({text})")  # noqa: S608 (as above)
    rows = source.ask(" UNION ALL ".join(parts), values) if parts else []
    found = {int(row["place"]): _number(row["value"]) for row in rows}
    return [found.get(place) for place in range(len(planned))]


def measurement(
    subject: Subject, plan: Plan, days: int, why: str, baseline: float | None
) -> Measurement:
    """Return the measurement; where its days hold nothing to measure, it says so and starts from
    what the whole window shows."""
    now = baseline
    if now is None:
        now = plan.before
        why += f" The last {days} days hold nothing to measure: the figure is the whole window's."
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
