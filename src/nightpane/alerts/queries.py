"""The four questions that alerts are judged by: constant texts, their values beside them.

Each gives rows for all loops; which loop an alert is about is decided on the rows. Costs are those
of ``boards.per_round``, as on every board.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from nightpane.boards import HogQL, Scope, per_round
from nightpane.boards.scope import moment

__all__ = ["LOOKBACK", "PER_LOOP", "RUN_LASTS", "costs", "nights", "rounds", "runs"]

LOOKBACK = timedelta(days=30)
RUN_LASTS = timedelta(hours=24)
PER_LOOP = 1000


def rounds(now: datetime) -> HogQL:
    """Return the question for the latest rounds of each loop, the newest first."""
    scope = Scope(start=now - LOOKBACK, end=now)
    columns = ("run", "kept", "reverted", "failure_mode", "metric", "score")
    query = f"""select
    project,
    client,
    run,
    round_id,
    started_at,
    kept,
    reverted,
    failure_mode,
    metric,
    score
from {per_round(scope, columns)}
order by started_at desc, round_id desc
limit {PER_LOOP} by project, client
limit 20000"""  # noqa: S608 (fixed texts only: values are placeholders)
    return scope.ask(query)


def costs(now: datetime, night: datetime) -> HogQL:
    """Return the question for each run's cost: all of it, since the night began, in an hour."""
    hour = now - timedelta(hours=1)
    scope = Scope(start=night - RUN_LASTS, end=now)
    query = f"""select
    project,
    client,
    run,
    sum(cost_usd) as run_usd,
    sumIf(cost_usd, started_at >= toDateTime({{night}})) as night_usd,
    sumIf(cost_usd, started_at >= toDateTime({{hour}})) as hour_usd,
    count() as run_rounds,
    countIf(started_at >= toDateTime({{night}})) as night_rounds,
    countIf(started_at >= toDateTime({{hour}})) as hour_rounds,
    countIf(cost_known = 1) as run_known,
    countIf(cost_known = 1 and started_at >= toDateTime({{night}})) as night_known,
    countIf(cost_known = 1 and started_at >= toDateTime({{hour}})) as hour_known,
    argMax(round_id, cost_usd) as dearest
from {per_round(scope, ("run", "cost_usd", "cost_known"))}
group by project, client, run
order by project, client, run
limit 10000"""  # noqa: S608 (fixed texts only: values are placeholders)
    return scope.ask(query, night=moment(night), hour=moment(hour))


def nights(now: datetime, night: datetime) -> HogQL:
    """Return the question for each night's best score, by loop and metric."""
    scope = Scope(start=night - LOOKBACK, end=now)
    query = f"""select
    project,
    client,
    metric,
    direction,
    multiIf(age_s <= 0, 0, 1 + intDiv(age_s - 1, 86400)) as nights_ago,
    count(score) as scores,
    argMax(score, goodness) as best,
    argMax(round_id, goodness) as best_round_id
from (
    select
        *,
        dateDiff('second', started_at, toDateTime({{night}})) as age_s
    from {per_round(scope, ("metric", "direction", "score", "goodness"))}
)
where score is not null
group by project, client, metric, direction, nights_ago
order by project, client, metric, nights_ago
limit 10000"""  # noqa: S608 (fixed texts only: values are placeholders)
    return scope.ask(query, night=moment(night))


def runs(now: datetime) -> HogQL:
    """Return the question for each run's newest event, and whether it has stopped."""
    query = """select
    project,
    client,
    run,
    newest,
    silent_s
from (
    select
        any(properties.project) as project,
        ifNull(any(properties.client), 'internal') as client,
        properties.run_id as run,
        max(timestamp) as newest,
        countIf(event = 'stop_triggered') as stops,
        dateDiff('second', max(timestamp), toDateTime({now})) as silent_s
    from events
    where properties.run_id is not null
        and timestamp >= toDateTime({since})
    group by run
)
where stops = 0
order by silent_s desc, run
limit 10000"""
    return HogQL(query, {"now": moment(now), "since": moment(now - RUN_LASTS)})
