"""How a change will be judged: its query, its baseline, and how many days tell it from noise.

The window follows from a power argument: so many traces as show the expected change with 95 %
confidence and 80 % power, in whole weeks, since weekends differ from weekdays.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nightpane.optimizer.fields import Scope
from nightpane.optimizer.model import Measurement, Number, Spread
from nightpane.optimizer.recommendations.facts import Plan, Subject
from nightpane.optimizer.source import Source
from nightpane.optimizer.words import count

__all__ = [
    "COLUMNS",
    "Baseline",
    "Planned",
    "Timing",
    "baselines",
    "cv_of",
    "hogql",
    "is_gone",
    "measurement",
    "timing",
]

_ALPHA_Z, _POWER_Z = 1.960, 0.8416
_WEEK_DAYS, _LONGEST_DAYS, _YEAR_DAYS = 7, 28, 365
_P95_Z = 1.6449


@dataclass(frozen=True, slots=True)
class Timing:
    """Over how many days to measure and why; ``enough`` tells whether they hold enough traces."""

    days: int
    why: str
    enough: bool = True


Planned = tuple[Subject, Plan, Timing]
Baseline = tuple[float | None, float | None]
"""A plan's number over its last days, and over the whole window; None where there is none."""
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
    "plain": "JSONExtractString(answer, 1, 'content')",
    "block": "JSONExtractString(answer, 1, 'content', 1, 'text')",
    "choice": "JSONExtractString(answer, 1, 'message', 'content')",
    "joined": "concat(plain, block, choice)",
    "text": "trim(joined)",
    "braced": "match(text, {json})",
    "valid": "isValidJSON(text)",
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


def timing(subject: Subject, plan: Plan) -> Timing:
    """Return how many days to measure over, and why so many."""
    needed = max(_LEAST_TRACES, math.ceil(_needed(plan)))
    a_day = subject.traces_per_day
    days = math.ceil(needed / a_day)
    weeks = _WEEK_DAYS * math.ceil(days / _WEEK_DAYS)
    longest = max(min(_LONGEST_DAYS, subject.scope.days), 1)
    window = min(max(weeks, _WEEK_DAYS), longest)
    unit = "calls" if subject.metrics.traces <= 1 else "traces"
    rate = count(a_day) if a_day >= 10 else f"{a_day:.1f}" if a_day >= 0.1 else f"{a_day:.1g}"
    if days > window:
        why = (
            f"The change shows in about {count(needed)} {unit}, {_days(days)} at the present "
            f"{rate} a day: {window} days will only show it if it is larger, so judge the traces "
            "too."
        )
        return Timing(window, why, enough=False)
    if window < _WEEK_DAYS:
        return Timing(window, f"The analysis itself read {window} days, at {rate} {unit} a day.")
    return Timing(
        window,
        f"At the present {rate} {unit} a day the expected change shows in {count(needed)} {unit} "
        f"(95 % confidence, 80 % power), {_days(days)}; whole weeks even out weekdays.",
    )


def _days(days: int) -> str:
    if days > _YEAR_DAYS:
        return "more than a year"
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


def baselines(source: Source, scope: Scope, planned: Sequence[Planned]) -> list[Baseline]:
    """Return each plan's number over the last of its days and, where these hold too few traces,
    over the whole window, in one query."""
    parts: list[str] = []
    values: dict[str, Any] = {}
    for place, (subject, plan, timed) in enumerate(planned):
        starts = [scope.since(timed.days), *([] if timed.enough else [scope.start])]
        for kind, since in enumerate(starts):
            text = hogql(plan, scope.project)
            own = {**_values(subject, plan), "since": since, "until": scope.end}
            for name, value in own.items():
                text = text.replace(f"{{{name}}}", f"{{{name}_{place}_{kind}}}")
                values[f"{name}_{place}_{kind}"] = value
            parts.append(
                f"SELECT {place} AS place, {kind} AS kind, toFloat(value) AS value FROM ({text})"  # noqa: S608 (as above)
            )
    rows = source.ask(" UNION ALL ".join(parts), values) if parts else []
    found = {(int(row["place"]), int(row["kind"])): _number(row["value"]) for row in rows}
    return [(found.get((place, 0)), found.get((place, 1))) for place in range(len(planned))]


def is_gone(plan: Plan, timed: Timing, baseline: Baseline) -> bool:
    """Return whether the last days, with traces enough to tell, show what the change would bring:
    somebody made it already."""
    now = baseline[0]
    return now is not None and timed.enough and plan.reached(now)


def measurement(subject: Subject, plan: Plan, timed: Timing, baseline: Baseline) -> Measurement:
    """Return the measurement; where its days hold too little, it starts from the whole window's
    figure and says so."""
    now, whole = baseline
    days, why = timed.days, timed.why
    if whole is not None and (now is None or plan.reached(now)):
        now, days = whole, subject.scope.days
        why += f" The last {timed.days} days hold none of it, so the baseline is that of {days}."
    elif now is None:
        now = plan.before
        why += f" The last {days} days hold nothing to measure: the baseline is the whole window's."
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
