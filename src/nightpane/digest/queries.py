"""The digest's four queries: their number and their answers' size do not grow with the rounds.

Only the series of latest rounds is a list, and it is cut at ``SERIES_LIMIT`` rounds for each loop.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from nightpane.boards import STAGES, HogQL, Scope, per_round
from nightpane.boards.rounds import CORE
from nightpane.boards.scope import moment
from nightpane.digest.nights import Night

__all__ = ["LOOKBACK", "SERIES_LIMIT", "latest", "loops", "series", "words"]

LOOKBACK = timedelta(days=30)
SERIES_LIMIT = 1000
_FUTURE = timedelta(days=1)  # an emitter's clock may run ahead; a year 2100 event is no night
_NAMES = "(" + ", ".join(f"'{name}'" for name in CORE) + ")"


def latest(scope: Scope, now: datetime) -> HogQL:
    """Return the question for the newest round event of the scope."""
    query = f"""select max(timestamp) as newest
from events
where event in {_NAMES}
    and timestamp < toDateTime({{end}}){_of(scope)}"""  # noqa: S608 (fixed texts only)
    return scope.ask(query, end=moment(now + _FUTURE))


def loops(scope: Scope, night: Night) -> HogQL:
    """Return the question for counts, cost and best scores by loop, metric and night.

    ``nights_ago`` counts back from this night in steps of 24 hours.
    """
    wide = replace(scope, start=night.start - LOOKBACK, end=night.end)
    stages = ",\n    ".join(f"countIf(did_{stage}) as rounds_{stage}" for _, stage in STAGES)
    columns = (
        *("kept", "reverted", "metric", "direction", "score", "goodness"),
        *("cost_usd", "cost_known"),
        *(f"did_{stage}" for _, stage in STAGES),
    )
    rounds = per_round(wide, columns)
    query = f"""select
    project,
    client,
    metric,
    direction,
    multiIf(age_s <= 0, 0, 1 + intDiv(age_s - 1, 86400)) as nights_ago,
    count() as rounds,
    countIf(kept) as rounds_ended_kept,
    countIf(reverted and not kept) as rounds_ended_reverted,
    {stages},
    sum(cost_usd) as known_cost_usd,
    sum(cost_known) as rounds_with_cost,
    count(score) as scores,
    argMax(score, goodness) as best,
    argMax(round_id, goodness) as best_round_id,
    argMax(kept, goodness) as best_kept
from (
    select
        *,
        dateDiff('second', started_at, toDateTime({{night}})) as age_s
    from {rounds}
)
group by project, client, metric, direction, nights_ago
order by nights_ago, project, client, metric
limit 10000"""  # noqa: S608 (fixed texts only)
    return wide.ask(query, night=moment(night.start))


def words(scope: Scope, night: Night) -> HogQL:
    """Return the question for how often each failure mode and each stop reason occurred."""
    night_only = replace(scope, start=night.start, end=night.end)
    query = f"""select
    event,
    properties.project as project,
    ifNull(properties.client, 'internal') as client,
    if(event = 'stop_triggered', properties.reason, properties.failure_mode) as word,
    if(event = 'stop_triggered', count(), count(distinct properties.round_id)) as times
from events
where event in ('stop_triggered', 'round_reverted')
    and timestamp >= toDateTime({{start}})
    and timestamp < toDateTime({{end}}){_of(scope)}
group by event, project, client, word
order by times desc, word
limit 1000"""  # noqa: S608 (fixed texts only)
    return night_only.ask(query)


def series(scope: Scope, night: Night) -> HogQL:
    """Return the question for the latest rounds of each loop to the night's end, newest first."""
    wide = replace(scope, start=night.start - LOOKBACK, end=night.end)
    columns = ("kept", "reverted", "failure_mode", "metric", "direction", "score")
    query = f"""select
    project,
    client,
    round_id,
    started_at,
    if(kept, 'kept', if(reverted, 'reverted', 'open')) as status,
    failure_mode,
    metric,
    direction,
    score
from {per_round(wide, columns)}
order by started_at desc, round_id desc
limit {SERIES_LIMIT} by project, client
limit 20000"""  # noqa: S608 (fixed texts only)
    return wide.ask(query)


def _of(scope: Scope) -> str:
    found = ""
    if scope.project is not None:
        found += "\n    and properties.project = {project}"
    if scope.client is not None:
        found += "\n    and ifNull(properties.client, 'internal') = {client}"
    return found
