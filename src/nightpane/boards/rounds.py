"""One row per round: the subquery every board and the digest build on.

Rounds are told apart by ``round_id`` and never by agent, so two agents in one round count once.
Flat steps (an event's values, a round's, what follows from them), since the grammar's parser takes
time that doubles with each call inside a call. A round's model calls are summed by themselves and
joined to it: a third of the events make most of the columns, the others only a sum.
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


# Step 1: what each event says.
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
    "agents": ("said_agent",),
}
_ALWAYS = ("project", "client")
_COSTS = {"cost_usd", "cost_known"}


def per_round(scope: Scope, columns: tuple[str, ...]) -> str:
    """Return a subquery with one row per round: ``round_id``, ``started_at``, ``ended_at``,
    project, client, and the columns asked for; ``did_started`` tells that it has such an event.

    Model calls are read only when a cost is asked for; of two reports of one call, one counts.
    Raises KeyError for an unknown column.
    """
    if scope.agent is not None:
        columns = (*columns, "agents")
    if scope.run_id is not None:
        columns = (*columns, "run")
    needed = _all_needed((*_ALWAYS, *columns))
    step1 = [f"{text} as {name}" for name, text in _OF_EVENT.items() if name in needed]
    step2 = [f"{text} as {name}" for name, text in _OF_ROUND.items() if name in needed]
    step3 = [f"{text} as {name}" for name, text in _DERIVED.items() if name in needed]
    kept = [name for name in _OF_ROUND if name in (*_ALWAYS, *columns)]
    calls = _calls(scope) if _COSTS & set(columns) else ""
    return _steps(scope, calls, step1, step2, [*kept, *step3])


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


def _steps(scope: Scope, calls: str, step1: list[str], step2: list[str], step3: list[str]) -> str:
    of_rounds = scope.rounds()
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
            min(timestamp) as started_at,
            max(timestamp) as ended_at,
            {_lines(step2, 12)}
        from (
            select
                event,
                timestamp,
                properties.round_id as round_id,
                {_lines(step1, 16)}
            from events
            where event in {_words(CORE)}{_and(scope.events(), 16)}
        )
        where round_id is not null
        group by round_id
    ) as rounds{calls}{where}
)"""  # noqa: S608 (fixed texts only: values are placeholders)


def _calls(scope: Scope) -> str:
    """Return the join of each round's model calls. A call that used tokens and cost exactly nothing
    is one whose price nobody knew, unless it says where the price comes from."""
    conditions = [*scope.events(), f"not ({is_set_aside(scope)})"]
    return f"""
    left join (
        select
            call_round,
            count() as calls,
            count(price) as priced_calls,
            sum(price) as calls_cost
        from (
            select
                ifNull(properties.round_id, properties.$ai_trace_id) as call_round,
                toFloat(properties.$ai_total_cost_usd) as billed,
                ifNull(toFloat(properties.cost_usd), billed) as routed_cost,
                if(event = '{ROUTED}', routed_cost, billed) as call_cost,
                toFloat(properties.$ai_input_tokens) as tokens,
                properties.$ai_cost_model_source as price_source,
                if(call_cost = 0 and tokens > 0 and price_source is null, null, call_cost) as price
            from events
            where event in {_words((*MODEL_CALLS, ROUTED))}{_and(conditions, 16)}
        )
        where call_round is not null
        group by call_round
    ) as spent on spent.call_round = rounds.round_id"""  # noqa: S608 (fixed texts only)


def _and(conditions: list[str], indent: int) -> str:
    return "".join(f"\n{' ' * indent}and {condition}" for condition in conditions)


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
