"""Anomaly → Regression: whether rounds after a wrong model fail more often than others do."""

from __future__ import annotations

from nightpane.boards.board import Board
from nightpane.boards.scope import Scope

__all__ = ["ANOMALY_REGRESSION", "WINDOW_S"]

WINDOW_S = 3600
"""How long before a round's end an anomaly may lie to count as before it."""


def _hogql(scope: Scope) -> str:
    # An anomaly is found by its key in its own hour and the next, so that no round meets them all.
    # Wilson's interval at 95 %, written out: z² = 3.8415, z²/2 = 1.9207, z²/4 = 0.9604.
    return f"""select
    if(after, 'after a wrong_model anomaly', 'at other times') as rounds_ended,
    reverted / rounds as revert_rate,
    (reverted + 1.9207 - half) / size as low_rate,
    (reverted + 1.9207 + half) / size as high_rate,
    rounds,
    reverted,
    rounds + 3.8415 as size,
    1.96 * sqrt(reverted * (rounds - reverted) / rounds + 0.9604) as half
from (
    select
        after,
        count() as rounds,
        sum(is_reverted) as reverted
    from (
        select
            round_id,
            any(reverted) as is_reverted,
            max(arrayExists(at -> at <= ended and at > ended - {WINDOW_S}, times)) as after
        from (
            select
                ends.round_id as round_id,
                ends.reverted as reverted,
                ends.ended as ended,
                found.times as times
            from (
                select
                    round_id,
                    ended,
                    reverted,
                    concat(toString(intDiv(ended, {WINDOW_S})), ' ', arrayJoin(keys)) as key
                from (
                    select
                        properties.round_id as round_id,
                        maxIf(timestamp, event != 'token_machine.request') as ended_at,
                        toUnixTimestamp(ended_at) as ended,
                        countIf(event = 'round_reverted') > 0 as reverted,
                        countIf(event in ('round_kept', 'round_reverted')) as ends,
                        groupUniqArray(ifNull(properties.task_type, '')) as tasks,
                        groupUniqArray(distinct_id) as agents,
                        arrayConcat(tasks, agents) as keys
                    from events
                    where {_indent(_rounds(scope))}
                    group by round_id
                )
                where ends > 0
            ) as ends
            left join (
                select
                    key,
                    groupArray(at) as times
                from (
                    select
                        toUnixTimestamp(timestamp) as at,
                        ifNull(properties.task_type, '-') as task,
                        ifNull(properties.user_id, distinct_id) as who,
                        intDiv(at, {WINDOW_S}) as slot,
                        arrayJoin([toString(slot), toString(slot + 1)]) as slots,
                        concat(slots, ' ', arrayJoin([task, who])) as key
                    from events
                    where {_indent(_anomalies(scope))}
                )
                group by key
            ) as found on ends.key = found.key
        )
        group by round_id
    )
    group by after
)
order by rounds_ended
limit 10"""  # noqa: S608 (fixed texts only: values are placeholders)


def _anomalies(scope: Scope) -> str:
    """Return the condition on anomalies: of any loop, for a task or an agent is what is shared."""
    wrong = ("event = 'token_machine.anomaly'", "properties.type = 'wrong_model'")
    return "\n    and ".join((*wrong, *scope.around()))


def _rounds(scope: Scope) -> str:
    events = (
        "round_started",
        "proposal_generated",
        "round_scored",
        "round_kept",
        "round_reverted",
        "token_machine.request",
    )
    return f"{scope.happened(*events)}\n    and properties.round_id is not null"


def _indent(text: str) -> str:
    return text.replace("\n", "\n                    ")


ANOMALY_REGRESSION = Board(
    name="Anomaly → Regression",
    question="Do rounds fail more often after a wrong model?",
    description=(
        "Share of ended rounds that were reverted: those that ended within an hour after a "
        "token_machine.anomaly of type wrong_model of the same task type or agent, against all "
        "others, which are the base rate. low_rate and high_rate are Wilson's interval at 95 %. "
        "Where the two intervals overlap, a coincidence explains the difference; where they do "
        "not, the anomaly comes before the failures more often than chance, which is not yet a "
        "cause."
    ),
    source="token_machine.anomaly, round_kept and round_reverted",
    empty="No round ended in this range.",
    display="ActionsBar",
    query=_hogql,
    x="rounds_ended",
    y=("revert_rate",),
)
