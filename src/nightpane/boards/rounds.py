"""One row per round: the subquery every board and the digest build on.

Rounds are told apart by ``round_id`` and never by agent, so two agents in one round count once.
"""

from __future__ import annotations

from nightpane.boards.scope import Scope

__all__ = ["BROKEN", "CORE", "MODEL_CALLS", "per_round"]

CORE = (
    "round_started",
    "proposal_generated",
    "proposal_applied",
    "round_scored",
    "round_kept",
    "round_reverted",
)
MODEL_CALLS = ("$ai_generation", "$ai_embedding")
# Ways to end whose score, should there be one, must not count as a result.
BROKEN = ("crash", "exception", "timeout", "invalid")

_CORE = "(" + ", ".join(f"'{name}'" for name in CORE) + ")"
_CALLS = "(" + ", ".join(f"'{name}'" for name in MODEL_CALLS) + ")"
_ENDS = "('round_kept', 'round_reverted')"
_CALL_COST = "toFloat(properties.$ai_total_cost_usd)"
_CALL_TOKENS = (
    "ifNull(toFloat(properties.$ai_input_tokens), 0) + "
    "ifNull(toFloat(properties.$ai_output_tokens), 0)"
)
# A call that used tokens and cost exactly nothing is one whose price nobody knew.
_PRICED = f"event in {_CALLS} and ({_CALL_COST} > 0 or {_CALL_COST} = 0 and {_CALL_TOKENS} = 0)"

COLUMNS: dict[str, str] = {
    "project": "any(properties.project)",
    "client": "ifNull(any(properties.client), 'internal')",
    "run": "any(properties.run_id)",
    "started_at": f"minIf(timestamp, event in {_CORE})",
    "ended_at": f"maxIf(timestamp, event in {_CORE})",
    "reached": f"groupUniqArrayIf(event, event in {_CORE})",
    "kept": "countIf(event = 'round_kept') > 0",
    "reverted": "countIf(event = 'round_reverted') > 0",
    "failure_mode": "any(properties.failure_mode)",
    "metric": "any(properties.metric)",
    "direction": "ifNull(any(properties.direction), 'max')",
    "model": "any(properties.model)",
    "delta": "maxIf(toFloat(properties.delta), event = 'round_kept')",
    "score": (
        "if(any(properties.failure_mode) in ("
        + ", ".join(f"'{mode}'" for mode in BROKEN)
        + "), null, argMaxIf(toFloat(properties.score), timestamp, event = 'round_scored'))"
    ),
    # The first of these that is known: said at the round's end, at its proposals, by its calls.
    "cost_usd": (
        f"coalesce(maxIf(toFloat(properties.cost_usd), event in {_ENDS}), "
        "sumIf(toFloat(properties.cost_usd), event = 'proposal_generated'), "
        f"sumIf({_CALL_COST}, {_PRICED}))"
    ),
    "cost_known": (
        f"multiIf(countIf(event in {_ENDS} and toFloat(properties.cost_usd) is not null) > 0, 1, "
        "countIf(event = 'proposal_generated' and toFloat(properties.cost_usd) is not null) > 0, "
        "countIf(event = 'proposal_generated' and toFloat(properties.cost_usd) is null) = 0, "
        f"countIf({_PRICED}) > 0, countIf({_PRICED}) = countIf(event in {_CALLS}), 0)"
    ),
}
_ALWAYS = ("project", "client", "run", "started_at", "reached")


def per_round(scope: Scope, columns: tuple[str, ...]) -> str:
    """Return a subquery with one row per round of the scope: ``round_id`` and these columns.

    Model calls are read only when a column about cost is asked for. Raises KeyError for a column
    that is not in ``COLUMNS``.
    """
    wanted = list(dict.fromkeys((*_ALWAYS, *columns)))
    costs = any(column.startswith("cost") for column in wanted)
    events = (*CORE, *MODEL_CALLS) if costs else CORE
    key = "ifNull(properties.round_id, properties.$ai_trace_id)" if costs else "properties.round_id"
    selected = ",\n        ".join(f"{COLUMNS[name]} as {name}" for name in wanted)
    return f"""(
    select
        {key} as round_id,
        {selected}
    from events
    where {scope.events(events)}
        and {key} is not null
    group by round_id
    having {scope.rounds()}
)"""  # noqa: S608 (names and literals only: see boards.scope)
