"""The digest's four queries: their number and their answers' size do not grow with the rounds.

Only the series of latest rounds is a list, and it is cut at ``SERIES_LIMIT`` rounds for each loop.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from nightpane.boards import STAGES, Scope, per_round
from nightpane.boards.rounds import CORE
from nightpane.boards.scope import literal, moment
from nightpane.digest.nights import Night

__all__ = ["LOOKBACK", "SERIES_LIMIT", "latest", "loops", "series", "words"]

LOOKBACK = timedelta(days=90)
SERIES_LIMIT = 1000
_FUTURE = timedelta(days=1)  # an emitter's clock may run ahead; a year 2100 event is no night
_NAMES = "(" + ", ".join(literal(name) for name in CORE) + ")"


def latest(scope: Scope, now: datetime) -> str:
    """Return the query for the newest round event of the scope."""
    return f"""select max(timestamp) as newest
from events
where event in {_NAMES}
    and timestamp < {moment(now + _FUTURE)}{_of(scope)}"""  # noqa: S608 (names and literals only: see boards.scope)


def loops(scope: Scope, night: Night) -> str:
    """Return the query for counts, cost and best scores by loop, metric and night.

    ``nights_ago`` counts back from this night in steps of 24 hours.
    """
    wide = replace(scope, start=night.start - LOOKBACK, end=night.end)
    stages = ",\n    ".join(
        f"countIf(has(reached, {literal(event)})) as rounds_{stage}" for event, stage in STAGES
    )
    columns = ("kept", "reverted", "metric", "direction", "score", "cost_usd", "cost_known")
    start = moment(night.start)
    return f"""select
    project,
    client,
    metric,
    direction,
    if(started_at >= {start}, 0, 1 + intDiv(dateDiff('second', started_at, {start}) - 1, 86400))
        as nights_ago,
    count() as rounds,
    countIf(kept) as rounds_ended_kept,
    countIf(reverted and not kept) as rounds_ended_reverted,
    {stages},
    sum(cost_usd) as known_cost_usd,
    sum(cost_known) as rounds_with_cost,
    count(score) as scores,
    if(direction = 'min', min(score), max(score)) as best,
    if(direction = 'min', argMin(round_id, score), argMax(round_id, score)) as best_round_id,
    if(direction = 'min', argMin(kept, score), argMax(kept, score)) as best_kept
from {per_round(wide, columns)}
group by project, client, metric, direction, nights_ago
order by nights_ago, project, client, metric
limit 10000"""  # noqa: S608 (names and literals only: see boards.scope)


def words(scope: Scope, night: Night) -> str:
    """Return the query for how often each failure mode and each stop reason occurred."""
    return f"""select
    event,
    properties.project as project,
    ifNull(properties.client, 'internal') as client,
    if(event = 'stop_triggered', properties.reason, properties.failure_mode) as word,
    if(event = 'stop_triggered', count(), count(distinct properties.round_id)) as times
from events
where event in ('stop_triggered', 'round_reverted')
    and timestamp >= {moment(night.start)}
    and timestamp < {moment(night.end)}{_of(scope)}
group by event, project, client, word
order by times desc, word
limit 1000"""  # noqa: S608 (names and literals only: see boards.scope)


def series(scope: Scope, night: Night) -> str:
    """Return the query for the latest rounds of each loop up to the night's end, newest first."""
    wide = replace(scope, start=night.start - LOOKBACK, end=night.end)
    columns = ("kept", "reverted", "failure_mode", "metric", "direction", "score")
    return f"""select
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
limit 20000"""  # noqa: S608 (names and literals only: see boards.scope)


def _of(scope: Scope) -> str:
    found = ""
    if scope.project is not None:
        found += f"\n    and properties.project = {literal(scope.project)}"
    if scope.client is not None:
        found += f"\n    and ifNull(properties.client, 'internal') = {literal(scope.client)}"
    return found
