"""Score Trend: the best score of each day, by project and metric."""

from __future__ import annotations

from nightpane.boards.board import Board
from nightpane.boards.rounds import per_round
from nightpane.boards.scope import Scope

__all__ = ["SCORE_TREND"]


def _hogql(scope: Scope) -> str:
    rounds = per_round(scope, ("metric", "direction", "score", "goodness")).replace(
        "\n", "\n        "
    )
    return f"""select
    day,
    project,
    metric,
    concat(project, ' · ', ifNull(metric, 'score')) as series,
    direction,
    best,
    scored_rounds,
    rounds
from (
    select
        day,
        project,
        metric,
        direction,
        best,
        scored_rounds,
        sum(all_rounds) over (partition by day, project) as rounds
    from (
        select
            {scope.day("started_at")} as day,
            project,
            metric,
            direction,
            argMax(score, goodness) as best,
            count(score) as scored_rounds,
            count() as all_rounds
        from {rounds}
        group by day, project, metric, direction
    )
)
where best is not null
order by day, series
limit 10000"""  # noqa: S608 (fixed texts only: values are placeholders)


SCORE_TREND = Board(
    name="Score Trend",
    question="Are the scores getting better?",
    description=(
        "Best score per day; the minimum where the metric's direction is min. Rounds that ended in "
        "a crash, an exception, a timeout or an invalid result have no score. Different metrics "
        "are different lines."
    ),
    source="round_scored",
    display="ActionsLineGraph",
    query=_hogql,
    x="day",
    y=("best",),
    series="series",
    annotated=True,
)
