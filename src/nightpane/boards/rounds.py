"""One row per round: the subquery every board and the digest build on.

Rounds are told apart by ``round_id`` and never by agent, so two agents in one round count once.
Three flat steps (an event's values, a round's, what follows from them), since the grammar's parser
takes time that doubles with each call inside a call.
"""

from __future__ import annotations

from nightpane.boards.scope import Scope

__all__ = ["BROKEN", "CORE", "MODEL_CALLS", "ROUTED", "is_set_aside", "per_round"]

CORE = (
    "round_started",
    "proposal_generated",
    "proposal_applied",
    "round_scored",
    "round_kept",
    "round_reverted",
)
MODEL_CALLS = ("$ai_generation", "$ai_embedding")
ROUTED = "token_machine.request"
# Ways to end whose score, should there be one, must not count as a result.
BROKEN = ("crash", "exception", "timeout", "invalid")


def _words(names: tuple[str, ...]) -> str:
    return "(" + ", ".join(f"'{name}'" for name in names) + ")"


# Step 1: what each event says. A call that used tokens and cost exactly nothing is one whose price
# nobody knew, unless it says where the price comes from. A call that Token Machine routed and
# priced is its: the generation of the same span is set aside.
_OF_EVENT: dict[str, str] = {
    "said_project": "properties.project",
    "said_client": "properties.client",
    "said_run": "properties.run_id",
    "said_failure": "properties.failure_mode",
    "said_metric": "properties.metric",
    "said_direction": "properties.direction",
    "said_model": "properties.model",
    "said_score": "toFloat(properties.score)",
    "said_delta": "toFloat(properties.delta)",
    "said_cost": "toFloat(properties.cost_usd)",
    "said_agent": "properties.agent",
    "billed": "toFloat(properties.$ai_total_cost_usd)",
    "call_cost": f"if(event = '{ROUTED}', ifNull(said_cost, billed), billed)",
    "call_tokens": "toFloat(properties.$ai_input_tokens)",
    "price_source": "properties.$ai_cost_model_source",
    "price": "if(call_cost = 0 and call_tokens > 0 and price_source is null, null, call_cost)",
    "is_call": f"event in {_words((*MODEL_CALLS, ROUTED))}",
    "is_end": "event in ('round_kept', 'round_reverted')",
    "is_proposal": "event = 'proposal_generated'",
}
# Step 2: what the events of a round say together. Counting is many times faster than gathering the
# events' names in a list.
_OF_ROUND: dict[str, str] = {
    "did_started": "countIf(event = 'round_started') > 0",
    "did_generated": "countIf(event = 'proposal_generated') > 0",
    "did_applied": "countIf(event = 'proposal_applied') > 0",
    "did_scored": "countIf(event = 'round_scored') > 0",
    "did_kept": "countIf(event = 'round_kept') > 0",
    "did_reverted": "countIf(event = 'round_reverted') > 0",
    "core_events": "countIf(not is_call)",
    "project": "any(said_project)",
    "some_client": "any(said_client)",
    "run": "any(said_run)",
    "agents": "groupUniqArray(said_agent)",
    "failure_mode": "any(said_failure)",
    "metric": "any(said_metric)",
    "some_direction": "any(said_direction)",
    "model": "any(said_model)",
    "delta": "max(said_delta)",
    "last_score": "argMax(said_score, timestamp)",
    "end_cost": "maxIf(said_cost, is_end)",
    "proposal_cost": "sumIf(said_cost, is_proposal)",
    "proposals": "countIf(is_proposal)",
    "priced_proposals": "countIf(is_proposal and said_cost is not null)",
    "calls": "countIf(is_call)",
    "priced_calls": "count(price)",
    "calls_cost": "sum(price)",
}
# Step 3: what follows. Of two scores the one with more goodness is the better. A cost is the
# first that is known: said at the round's end, at its proposals, by its calls.
_DERIVED: dict[str, str] = {
    "client": "ifNull(some_client, 'internal')",
    "direction": "ifNull(some_direction, 'max')",
    "kept": "did_kept",
    "reverted": "did_reverted",
    "score": f"if(failure_mode in {_words(BROKEN)}, null, last_score)",
    "goodness": "if(direction = 'min', -score, score)",
    "cost_usd": "coalesce(end_cost, proposal_cost, calls_cost)",
    "cost_known": (
        "multiIf(end_cost is not null, 1, priced_proposals > 0, priced_proposals = proposals, "
        "priced_calls > 0, priced_calls = calls, 0)"
    ),
}
_NEEDS: dict[str, tuple[str, ...]] = {
    "client": ("some_client",),
    "kept": ("did_kept",),
    "reverted": ("did_reverted",),
    "core_events": ("is_call",),
    "direction": ("some_direction",),
    "score": ("failure_mode", "last_score"),
    "goodness": ("direction", "score"),
    "cost_usd": ("end_cost", "proposal_cost", "calls_cost"),
    "cost_known": ("end_cost", "priced_proposals", "proposals", "priced_calls", "calls"),
    "project": ("said_project",),
    "some_client": ("said_client",),
    "run": ("said_run",),
    "failure_mode": ("said_failure",),
    "metric": ("said_metric",),
    "some_direction": ("said_direction",),
    "model": ("said_model",),
    "delta": ("said_delta",),
    "last_score": ("said_score",),
    "end_cost": ("said_cost", "is_end"),
    "proposal_cost": ("said_cost", "is_proposal"),
    "proposals": ("is_proposal",),
    "priced_proposals": ("said_cost", "is_proposal"),
    "calls": ("is_call",),
    "priced_calls": ("price",),
    "calls_cost": ("price",),
    "price": ("call_cost", "call_tokens", "price_source"),
    "call_cost": ("said_cost", "billed"),
    "agents": ("said_agent",),
}
_ALWAYS = ("project", "client")
_COSTS = {"cost_usd", "cost_known"}


def per_round(scope: Scope, columns: tuple[str, ...]) -> str:
    """Return a subquery with one row per round: ``round_id``, ``started_at``, ``ended_at``,
    project, client, and the columns asked for; ``did_started`` tells that it has such an event.

    Model calls are read only when a cost is asked for. Raises KeyError for an unknown column.
    """
    costs = bool(_COSTS & set(columns))
    if scope.agent is not None:
        columns = (*columns, "agents")
    if scope.run_id is not None:
        columns = (*columns, "run")
    needed = _all_needed((*_ALWAYS, *columns, *(("core_events",) if costs else ())))
    step1 = [f"{text} as {name}" for name, text in _OF_EVENT.items() if name in needed]
    step2 = [f"{text} as {name}" for name, text in _OF_ROUND.items() if name in needed]
    step3 = [f"{text} as {name}" for name, text in _DERIVED.items() if name in needed]
    kept = [name for name in _OF_ROUND if name in (*_ALWAYS, *columns)]
    key = "ifNull(properties.round_id, properties.$ai_trace_id)" if costs else "properties.round_id"
    events = (*CORE, *MODEL_CALLS, ROUTED) if costs else CORE
    return _steps(scope, key, _words(events), costs, step1, step2, [*kept, *step3])


def is_set_aside(scope: Scope) -> str:
    """Return the condition on a model call that Token Machine reports as well, with its cost.

    Both name the same span (``$ai_span_id``), so the call is counted once: as Token Machine's. The
    spans are compared by a hash of 64 bits, which is a fifth of the query's time less.
    """
    since = "\n            and timestamp >= toDateTime({since})" if scope.start is not None else ""
    return f"""event in {_words(MODEL_CALLS)}
            and cityHash64(properties.$ai_span_id) in (
                select cityHash64(properties.$ai_span_id)
                from events
                where event = '{ROUTED}'
                    and properties.cost_usd is not null
                    and properties.$ai_span_id is not null{since}
            )"""  # noqa: S608 (fixed texts only: values are placeholders)


def _steps(
    scope: Scope,
    key: str,
    events: str,
    costs: bool,
    step1: list[str],
    step2: list[str],
    step3: list[str],
) -> str:
    own = ("min(timestamp)", "max(timestamp)")
    conditions, of_rounds = scope.events(), scope.rounds()
    if costs:
        own = ("minIf(timestamp, not is_call)", "maxIf(timestamp, not is_call)")
        conditions = [*conditions, f"not ({is_set_aside(scope)})"]
        of_rounds = ["core_events > 0", *of_rounds]
    also = "".join(f"\n                and {condition}" for condition in conditions)
    where = "\n    where " + "\n        and ".join(of_rounds) if of_rounds else ""
    return f"""(
    select
        round_id,
        started_at,
        ended_at,
        {_lines(step3, 8)}
    from (
        select
            round_id,
            {own[0]} as started_at,
            {own[1]} as ended_at,
            {_lines(step2, 12)}
        from (
            select
                event,
                timestamp,
                {key} as round_id,
                {_lines(step1, 16)}
            from events
            where event in {events}{also}
        )
        where round_id is not null
        group by round_id
    ){where}
)"""  # noqa: S608 (fixed texts only: values are placeholders)


def _lines(columns: list[str], indent: int) -> str:
    return (",\n" + " " * indent).join(columns)


def _all_needed(columns: tuple[str, ...]) -> set[str]:
    found: set[str] = set()
    waiting = list(columns)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _NEEDS.get(name, ())
    return found
