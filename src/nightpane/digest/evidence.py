"""What only the whole digest asks: earlier nights' happenings, dimensions, cases, measurements.

Four more queries, whose answers do not grow with the rounds but for one row for each kept round.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from nightpane.boards import HogQL, Scope
from nightpane.boards.rounds import BROKEN
from nightpane.boards.scope import moment
from nightpane.digest.build import Row, rows_of
from nightpane.digest.nights import Night
from nightpane.digest.queries import LOOKBACK
from nightpane.query import Query

__all__ = ["Evidence", "gather", "questions"]

_AGO = "multiIf(age_s <= 0, 0, 1 + intDiv(age_s - 1, 86400))"
_AGE = "dateDiff('second', timestamp, toDateTime({night})) as age_s"
_BROKEN = ", ".join(f"'{word}'" for word in BROKEN)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Rows of the four queries: happenings and dimensions by night, this night's cases that fell,
    and the rounds of which more is known than one score."""

    happened: Sequence[Row]
    dimensions: Sequence[Row]
    cases: Sequence[Row]
    measured: Sequence[Row]


def questions(scope: Scope, night: Night) -> dict[str, HogQL]:
    """Return the four queries by name, in the order of ``Evidence``."""
    return {
        "happened": _happened(scope, night),
        "dimensions": _dimensions(scope, night),
        "cases": _cases(scope, night),
        "measured": _measured(scope, night),
    }


def gather(query: Query, asked: Mapping[str, HogQL]) -> Evidence:
    """Return the answers to ``questions``. Raises what ``query`` raises."""
    return Evidence(**{name: rows_of(query, question) for name, question in asked.items()})


def _wide(scope: Scope, night: Night) -> Scope:
    return replace(scope, start=night.start - LOOKBACK, end=night.end)


def _happened(scope: Scope, night: Night) -> HogQL:
    wide = _wide(scope, night)
    seen = wide.happened("stop_triggered", "model_escalated", "round_reverted", "eval.regression")
    query = f"""select
    project,
    client,
    event,
    {_AGO} as nights_ago,
    word,
    count() as times,
    uniq(round_id) as rounds
from (
    select
        event,
        properties.project as project,
        ifNull(properties.client, 'internal') as client,
        properties.round_id as round_id,
        multiIf(
            event = 'stop_triggered', properties.reason,
            event = 'model_escalated', properties.to_model,
            event = 'round_reverted', properties.failure_mode,
            null
        ) as word,
        {_AGE}
    from events
    where {seen}
)
where event != 'round_reverted' or word in ({_BROKEN})
group by project, client, event, nights_ago, word
order by nights_ago, times desc, word
limit 10000"""  # noqa: S608 (fixed texts only: values are placeholders)
    return wide.ask(query, night=moment(night.start))


def _dimensions(scope: Scope, night: Night) -> HogQL:
    wide = _wide(scope, night)
    query = f"""select
    project,
    client,
    {_AGO} as nights_ago,
    substring(pair.1, 5) as dimension,
    avg(pair.2) as average,
    count() as scored
from (
    select
        project,
        client,
        age_s,
        arrayJoin(arrayFilter(one -> startsWith(one.1, 'dim_'), pairs)) as pair
    from (
        select
            properties.project as project,
            ifNull(properties.client, 'internal') as client,
            JSONExtractKeysAndValues(properties, 'Float64') as pairs,
            {_AGE}
        from events
        where {wide.happened("round_scored")}
    )
)
group by project, client, nights_ago, dimension
order by nights_ago, project, client, average, dimension
limit 20000"""  # noqa: S608 (fixed texts only: values are placeholders)
    return wide.ask(query, night=moment(night.start))


def _cases(scope: Scope, night: Night) -> HogQL:
    tonight = replace(scope, start=night.start, end=night.end)
    query = f"""select
    properties.project as project,
    ifNull(properties.client, 'internal') as client,
    properties.round_id as round_id,
    properties.case_id as case_id,
    properties.dim as dim,
    toFloat(properties.prior_score) as prior_score,
    toFloat(properties.new_score) as new_score,
    toFloat(properties.delta) as delta
from events
where {tonight.happened("eval.regression")}
order by delta, case_id, round_id
limit 1000 by project, client
limit 20000"""  # noqa: S608 (fixed texts only: values are placeholders)
    return tonight.ask(query)


def _measured(scope: Scope, night: Night) -> HogQL:
    """Rounds that were kept, that are a baseline, or that were scored more than once.

    ``scores`` are those of one scorer: two agents' verdicts are no repeated measurement.
    """
    wide = _wide(scope, night)
    query = f"""select
    project,
    client,
    round_id,
    run,
    harness,
    baseline,
    kept,
    measurements,
    if(scorers < 2, scores, []) as scores,
    rule,
    low,
    n,
    n_best,
    delta
from (
    select
        round_id,
        any(said_project) as project,
        ifNull(any(said_client), 'internal') as client,
        any(said_run) as run,
        any(said_sha) as harness,
        max(said_baseline) as baseline,
        max(is_kept) as kept,
        max(said_measurements) as measurements,
        uniqIf(said_agent, is_scored) as scorers,
        groupArrayIf(said_score, is_scored) as scores,
        any(said_rule) as rule,
        max(said_low) as low,
        max(said_n) as n,
        max(said_n_best) as n_best,
        max(said_delta) as delta
    from (
        select
            properties.round_id as round_id,
            properties.project as said_project,
            properties.client as said_client,
            properties.run_id as said_run,
            properties.git_sha as said_sha,
            properties.agent as said_agent,
            event = 'round_kept' as is_kept,
            event = 'round_scored' as is_scored,
            toString(properties.is_baseline) = 'true' or properties.model = 'baseline'
                as said_baseline,
            toFloat(properties.score) as said_score,
            toFloat(properties.measurements) as said_measurements,
            properties.keep_rule as said_rule,
            toFloat(properties.keep_low) as said_low,
            toFloat(properties.keep_n) as said_n,
            toFloat(properties.keep_n_best) as said_n_best,
            toFloat(properties.delta) as said_delta
        from events
        where {wide.happened("round_started", "round_scored", "round_kept")}
    )
    where round_id is not null
    group by round_id
)
where kept or baseline or length(scores) > 1
order by round_id desc
limit 20000"""  # noqa: S608 (fixed texts only: values are placeholders)
    return wide.ask(query)
