"""What the data says: every routed call with its grade, summed by day, task, model and caller.

A call's grade is what was given for it afterwards, else its own, else the quality of the round it
was made in. Grades outside of 0 to 1 are left out: they are on another scale.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta

from nightpane.errors import ConfigError
from nightpane.query import Query
from nightpane.router.figures import Sums, quality
from nightpane.router.routing import Evidence, Fit
from nightpane.router.rules import Model, Rules

__all__ = ["CELLS", "Cell", "evidence", "read_cells", "summed"]

_MOST_ROWS = 50_000
CELLS = """select
    day,
    task_type,
    model,
    user,
    agent,
    team,
    count() as calls,
    countIf(failed) as errors,
    count(grade) as graded,
    sum(ifNull(grade, 0)) as q,
    sum(ifNull(grade * grade, 0)) as qq,
    count(cost) as priced,
    sum(ifNull(cost, 0)) as c,
    sum(ifNull(cost * cost, 0)) as cc,
    count(grade * cost) as both,
    sum(if(isNull(cost), 0, ifNull(grade, 0))) as bq,
    sum(if(isNull(cost), 0, ifNull(grade * grade, 0))) as bqq,
    sum(if(isNull(grade), 0, ifNull(cost, 0))) as bc,
    sum(if(isNull(grade), 0, ifNull(cost * cost, 0))) as bcc,
    sum(ifNull(grade * cost, 0)) as bqc,
    count(took) as timed,
    sum(ifNull(took, 0)) as t,
    sum(ifNull(took * took, 0)) as tt
from (
    select
        request.day as day,
        request.task as task_type,
        request.used as model,
        request.who as user,
        request.role as agent,
        request.of_team as team,
        request.is_error as failed,
        if(request.cost_usd >= 0, request.cost_usd, null) as cost,
        if(request.latency > 0, log(request.latency), null) as took,
        coalesce(given.score, request.own, scored.whole) as found,
        if(not failed and found >= 0 and found <= 1, found, null) as grade
    from (
        select
            toString(toDate(toTimeZone(timestamp, 'UTC'))) as day,
            ifNull(properties.task_type, '') as task,
            coalesce(properties.model_used, properties.$ai_model, '') as used,
            ifNull(properties.user_id, distinct_id) as who,
            ifNull(properties.agent, '') as role,
            ifNull(properties.team, '') as of_team,
            ifNull(toString(properties.$ai_is_error), '') in ('true', '1') as is_error,
            toFloat(properties.cost_usd) as cost_usd,
            toFloat(properties.latency_ms) as latency,
            toFloat(properties.quality_score) as own,
            ifNull(properties.request_id, toString(uuid)) as request_id,
            ifNull(properties.round_id, '') as round_id
        from events
        where event = 'token_machine.request' and timestamp >= toDateTime({start})
    ) as request
    left join (
        select
            properties.request_id as request_id,
            argMax(toFloat(properties.$ai_metric_value), timestamp) as score
        from events
        where event = '$ai_metric'
            and properties.$ai_metric_name = 'quality_score'
            and properties.request_id is not null
            and timestamp >= toDateTime({start})
        group by request_id
    ) as given on request.request_id = given.request_id
    left join (
        select
            properties.round_id as round_id,
            argMax(toFloat(properties.quality_score), timestamp) as whole
        from events
        where event = 'round_scored'
            and properties.quality_score is not null
            and timestamp >= toDateTime({start})
        group by round_id
    ) as scored on request.round_id = scored.round_id
)
group by day, task_type, model, user, agent, team
order by day, task_type, model, user, agent, team
limit 50000"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The calls of one day (UTC), task, model, user, agent and team."""

    day: date
    task_type: str
    model: str
    user: str
    agent: str
    team: str
    sums: Sums


def read_cells(query: Query, rules: Rules, *, now: datetime | None = None) -> list[Cell]:
    """Return the cells of the days that the rules look back on, models by the rules' names.

    Raises ApiError as the query does, ConfigError when there are too many to be read at once.
    """
    now = now or datetime.now(UTC)
    start = now.astimezone(UTC).date() - timedelta(days=rules.settings.days - 1)
    found = query.hogql(CELLS, {"start": f"{start.isoformat()}T00:00:00Z"})
    if len(found.rows) >= _MOST_ROWS:
        raise ConfigError(
            f"the calls of {rules.settings.days} days make more than {_MOST_ROWS} rows: look back "
            "on fewer ([router] days)"
        )
    names = _names(rules.models.values())
    counted = [one.name for one in fields(Sums)]
    return [
        Cell(
            day=date.fromisoformat(row["day"]),
            task_type=row["task_type"],
            model=names.get(row["model"], row["model"]),
            user=row["user"],
            agent=row["agent"],
            team=row["team"],
            sums=Sums(**{name: row[name] for name in counted}),
        )
        for row in found.dicts()
    ]


def summed(cells: Iterable[Cell]) -> Sums:
    """Return the sums of some cells."""
    return sum((cell.sums for cell in cells), Sums())


def evidence(cells: Iterable[Cell], confidence: float) -> Evidence:
    """Return what is known of each model on each kind of task."""
    together: dict[tuple[str, str], Sums] = {}
    for cell in cells:
        at = (cell.task_type, cell.model)
        together[at] = together.get(at, Sums()) + cell.sums
    return {at: _fit(*at, sums, confidence) for at, sums in together.items()}


def _fit(task_type: str, model: str, sums: Sums, confidence: float) -> Fit:
    within = quality(sums, confidence)
    return Fit(
        task_type=task_type,
        model=model,
        calls=sums.calls,
        graded=sums.graded,
        quality=sums.mean_quality,
        low=within.low if within else None,
        high=within.high if within else None,
        mean_cost_usd=sums.mean_cost_usd,
        typical_latency_ms=sums.typical_latency_ms,
        sums=sums,
    )


def _names(models: Collection[Model]) -> dict[str, str]:
    """Return the rules' name of each model by the names that other emitters use."""
    found: dict[str, str] = {}
    for model in models:
        for name in (model.model.partition("/")[2], model.model):
            if name:
                found.setdefault(name, model.name)
    return found | {model.name: model.name for model in models}
