"""Step 6: what goes wrong in calls, and how often: rates with intervals, not only counts.

A finding needs both a count and a rate whose lower bound is above what a provider's bad day gives,
so that an operation with a handful of errors among thousands of calls is left in peace.
"""

from __future__ import annotations

from collections.abc import Mapping

from nightpane.optimizer.fields import Scope
from nightpane.optimizer.folder import Folder
from nightpane.optimizer.model import (
    Causes,
    ErrorGroup,
    FailureFinding,
    FailureKind,
    Failures,
    LimitBursts,
    Metrics,
    OperationFailures,
)
from nightpane.optimizer.source import PAGE, Row, Source
from nightpane.stats import wilson

__all__ = ["FLAGS", "PATTERNS", "run"]

PATTERNS = {
    "limited": r"(?i)rate.?limit|too many requests|quota|\b429\b",
    "timeout": r"(?i)time[d]?.?out|deadline",
}
_COLUMNS = (
    *("operation", "model", "trace", "minute", "status", "failed", "latency", "stop", "prompt"),
    *("output", "cost", "error"),
)
FLAGS = """match(error, {limited}) AS says_limit, failed AND says_limit AS said_limit,
  status = 429 OR said_limit AS refused, failed AND NOT refused AS broken,
  match(error, {timeout}) AS says_late, status IN (408, 504, 524) AS is_late,
  status IN (0, 499, 500) AS is_vague, is_vague AND latency >= 60 AS was_long,
  is_late OR says_late OR was_long AS was_late, broken AND was_late AS late,
  stop IN ('length', 'max_tokens', 'max_output_tokens') AS at_limit, NOT failed AS good,
  good AND at_limit AS cut, good AND prompt > 0 AND output = 0 AS empty,
  broken AND cost > 0 AS paid"""
"""HogQL of what a call may be, with ``PATTERNS`` as values."""
_CALLS = f"SELECT operation, model, trace, minute, cost, output, failed, {FLAGS} FROM %s"  # noqa: S608 (constants of this package; values go in placeholders)
_KINDS = {
    "errors": "failed",
    "timeouts": "late",
    "rate_limits": "refused",
    "truncated": "cut",
    "empty": "empty",
    "paid_errors": "paid",
}
_NUMBERS = ", ".join(
    f"countIf({flag}) AS n_{kind}, sumIf(cost, {flag}) AS usd_{kind}"
    for kind, flag in _KINDS.items()
)
_COUNTS = f"""SELECT operation, count() AS calls, {_NUMBERS}, sum(cost) AS usd,
  stddevPopIf(output, good) AS spread, avgIf(output, good) AS mean
FROM ({_CALLS}) GROUP BY operation ORDER BY n_errors DESC, operation LIMIT {PAGE}"""  # noqa: S608 (constants of this package; values go in placeholders)
_GROUPS = """SELECT operation, status, count() AS errors, sum(cost) AS usd,
  argMax(error, at) AS message
FROM %s WHERE failed GROUP BY operation, status
ORDER BY errors DESC, operation, status LIMIT 1000"""
_FLAGGED = ", ".join(f"if({flag}, '{kind}', '')" for kind, flag in _KINDS.items())
_EXAMPLES = f"""SELECT operation, trace, kind, max(cost) AS most
FROM (SELECT operation, trace, cost, [{_FLAGGED}] AS kinds, arrayJoin(kinds) AS kind
  FROM ({_CALLS}) WHERE operation IN {{operations}} AND trace != '')
WHERE kind != '' GROUP BY operation, trace, kind ORDER BY operation, kind, most DESC, trace
LIMIT 5 BY operation, kind LIMIT {PAGE}"""  # noqa: S608 (as above)
_MINUTES = f"""SELECT operation, model, sum(refusals) AS limited, countIf(hit) AS minutes,
  avgIf(traces, hit) AS in_limited, countIf(NOT hit) AS other,
  quantileExactIf(0.5)(traces, NOT hit) AS in_other
FROM (SELECT operation, model, minute, uniqExact(trace) AS traces, countIf(refused) AS refusals,
    refusals > 0 AS hit
  FROM ({_CALLS}) WHERE operation IN {{operations}} GROUP BY operation, model, minute)
GROUP BY operation, model HAVING limited > 0
ORDER BY limited DESC, operation, model LIMIT 1000"""  # noqa: S608 (as above)

_LEAST_LIMITED = 5
_BURST, _NO_BURST = 3.0, 1.5
_CV = 2.0
"""A log-normal length with σ = 1, already wild, has 1.3."""


_LEAST = 5
_RULES: Mapping[FailureKind, tuple[float, str]] = {
    "errors": (0.03, "fail"),
    "timeouts": (0.01, "time out"),
    "rate_limits": (0.01, "are refused by a rate limit (429)"),
    "truncated": (0.02, "end at the limit of their length"),
    "empty": (0.01, "succeed with an empty answer"),
    "paid_errors": (0.02, "fail and are paid for"),
}
"""When a failure mode is a finding: five calls, at a rate surely above this; and what it says."""
_LEAST_PAID_SHARE = 0.01
"""Of the operation's cost: below, paid errors are small change."""


def run(source: Source, folder: Folder, scope: Scope, metrics: Metrics, causes: Causes) -> Failures:
    """Return the failure modes, and write ``data/failures.json``."""
    calls = scope.calls(*_COLUMNS)
    rows = source.ask(_COUNTS % calls, scope.values(PATTERNS))
    named = [row["operation"] for row in rows if _is_suspect(row)][:1000]
    ids: dict[tuple[str, str], list[str]] = {}
    if named:
        values = scope.values({**PATTERNS, "operations": named})
        for row in source.ask(_EXAMPLES % calls, values):
            ids.setdefault((row["operation"], row["kind"]), []).append(row["trace"])
    found = Failures(
        operations=tuple(_operation(row, ids, causes) for row in rows),
        groups=_groups(source, scope) if metrics.errors else (),
        bursts=_bursts(source, scope, rows, ids),
    )
    folder.json("data/failures.json", _document(found))
    return found


def _is_suspect(row: Row) -> bool:
    return any(int(row[f"n_{kind}"]) >= _LEAST for kind in _RULES)


def _operation(
    row: Row, ids: dict[tuple[str, str], list[str]], causes: Causes
) -> OperationFailures:
    calls, errors = int(row["calls"]), int(row["n_errors"])
    interval = wilson(errors, calls)
    mean = float(row["mean"] or 0)
    cv = float(row["spread"] or 0) / mean if mean else 0.0
    return OperationFailures(
        operation=row["operation"],
        calls=calls,
        errors=errors,
        error_rate_low=interval.low if interval else 0.0,
        error_rate_high=interval.high if interval else 0.0,
        timeouts=int(row["n_timeouts"]),
        rate_limited=int(row["n_rate_limits"]),
        truncated=int(row["n_truncated"]),
        truncated_cost_usd=float(row["usd_truncated"] or 0),
        empty=int(row["n_empty"]),
        empty_cost_usd=float(row["usd_empty"] or 0),
        paid_errors=int(row["n_paid_errors"]),
        paid_error_cost_usd=float(row["usd_paid_errors"] or 0),
        output_cv=cv,
        findings=(
            *_findings(row, ids),
            *_of_contents(row["operation"], causes),
            *_varying(row, cv),
        ),
    )


def _findings(row: Row, ids: dict[tuple[str, str], list[str]]) -> list[FailureFinding]:
    found = []
    for kind, (rate, text) in _RULES.items():
        count, calls = int(row[f"n_{kind}"]), int(row["calls"])
        cost = float(row[f"usd_{kind}"] or 0)
        interval = wilson(count, calls)
        if count < _LEAST or interval is None or interval.low <= rate:
            continue
        if kind == "paid_errors" and cost < _LEAST_PAID_SHARE * float(row["usd"] or 0):
            continue
        words = (
            f"{count:,} of {calls:,} calls ({count / calls:.1%}, 95 % interval "
            f"{interval.low:.1%} to {interval.high:.1%}) {text}"
        )
        ids_of = tuple(ids.get((row["operation"], kind), ()))
        found.append(FailureFinding(kind, words, count, cost, ids_of))
    return found


def _of_contents(operation: str, causes: Causes) -> list[FailureFinding]:
    """Return what only the answers themselves tell: empty texts, and JSON that is none."""
    seen = causes.contents.get(operation)
    if seen is None:
        return []
    found = []
    for kind, count, of, text in (
        ("empty", seen.empty_outputs, seen.outputs, "hold no text and no tool call"),
        ("malformed", seen.malformed_outputs, seen.json_outputs, "begin as JSON and are none"),
    ):
        interval = wilson(count, of)
        if count < 5 or interval is None or interval.low <= 0.01:
            continue
        words = f"{count:,} of {of:,} answers that were read ({count / of:.1%}) {text}"
        found.append(FailureFinding(kind, words, count, 0.0, ()))  # type: ignore[arg-type]
    return found


def _varying(row: Row, cv: float) -> list[FailureFinding]:
    calls = int(row["calls"])
    if cv < _CV or calls < 50:
        return []
    text = f"the length of its answers varies with a standard deviation of {cv:.1f} times the mean"
    return [FailureFinding("output_variance", text, calls, 0.0, ())]


def _groups(source: Source, scope: Scope) -> tuple[ErrorGroup, ...]:
    return tuple(
        ErrorGroup(
            row["operation"],
            int(row["status"]) or None,
            int(row["errors"]),
            float(row["usd"] or 0),
            row["message"],
        )
        for row in source.ask(
            _GROUPS % scope.calls("operation", "status", "failed", "cost", "error", "at"),
            scope.values(),
        )
    )


def _bursts(
    source: Source, scope: Scope, rows: list[Row], ids: dict[tuple[str, str], list[str]]
) -> tuple[LimitBursts, ...]:
    named = [row["operation"] for row in rows if int(row["n_rate_limits"]) >= _LEAST_LIMITED]
    if not named:
        return ()
    values = scope.values({**PATTERNS, "operations": named})
    return tuple(
        _burst(row, tuple(ids.get((row["operation"], "rate_limits"), ())))
        for row in source.ask(_MINUTES % scope.calls(*_COLUMNS), values)
        if int(row["limited"]) >= _LEAST_LIMITED
    )


def _burst(row: Row, trace_ids: tuple[str, ...]) -> LimitBursts:
    limited, other = float(row["in_limited"] or 0), float(row["in_other"] or 0)
    own: bool | None = None
    if int(row["other"]) >= _LEAST_LIMITED:
        own = True if limited >= _BURST * other else False if limited <= _NO_BURST * other else None
    words = {
        True: "they come in bursts of its own calls",
        False: "its own load is as usual then: the limit is reached elsewhere",
        None: "too little to say whether its own bursts bring them",
    }
    return LimitBursts(
        operation=row["operation"],
        model=row["model"],
        limited=int(row["limited"]),
        minutes=int(row["minutes"]),
        traces_in_limited=limited,
        traces_in_other=other,
        own=own,
        reason=f"{limited:.1f} traces call in a minute with a 429, {other:.1f} in others: "
        f"{words[own]}",
        trace_ids=trace_ids,
    )


def _document(found: Failures) -> dict[str, object]:
    return {
        "operations": [
            {
                "operation": one.operation,
                "calls": one.calls,
                "errors": one.errors,
                "error_rate": round(one.errors / one.calls, 6),
                "error_rate_interval": [
                    round(one.error_rate_low, 6),
                    round(one.error_rate_high, 6),
                ],
                "timeouts": one.timeouts,
                "rate_limited": one.rate_limited,
                "truncated": one.truncated,
                "empty": one.empty,
                "paid_errors": one.paid_errors,
                "paid_error_cost_usd": round(one.paid_error_cost_usd, 6),
                "output_cv": round(one.output_cv, 4),
                "findings": [
                    {"kind": f.kind, "text": f.text, "trace_ids": list(f.trace_ids)}
                    for f in one.findings
                ],
            }
            for one in found.operations
        ],
        "by_status": [
            {
                "operation": one.operation,
                "status": one.status,
                "errors": one.errors,
                "cost_usd": round(one.cost_usd, 6),
                "message": one.message,
            }
            for one in found.groups
        ],
        "rate_limit_bursts": [
            {
                "operation": one.operation,
                "model": one.model,
                "limited": one.limited,
                "minutes": one.minutes,
                "own": one.own,
                "reason": one.reason,
            }
            for one in found.bursts
        ],
    }
