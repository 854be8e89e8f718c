"""Model Fit: which model does which kind of task well."""

from __future__ import annotations

from nightpane.boards.board import Board
from nightpane.boards.scope import Scope

__all__ = ["MODEL_FIT"]


def _hogql(scope: Scope) -> str:
    return f"""select
    task_type,
    model,
    avg(grade) as quality,
    count(grade) as graded,
    count() as requests,
    avg(cost) as mean_cost_usd,
    avg(latency) as mean_latency_ms
from (
    select
        request.task as task_type,
        request.used as model,
        request.cost as cost,
        request.latency as latency,
        ifNull(request.own, scored.whole) as grade
    from (
        select
            ifNull(properties.task_type, '(none)') as task,
            coalesce(properties.model_used, properties.$ai_model, '(none)') as used,
            toFloat(properties.cost_usd) as cost,
            toFloat(properties.latency_ms) as latency,
            toFloat(properties.quality_score) as own,
            properties.round_id as round_id
        from events
        where {_indent(scope.happened("token_machine.request"))}
    ) as request
    left join (
        select
            properties.round_id as round_id,
            argMax(toFloat(properties.quality_score), timestamp) as whole
        from events
        where event = 'round_scored' and properties.quality_score is not null
        group by round_id
    ) as scored on request.round_id = scored.round_id
)
group by task_type, model
having graded > 0
order by task_type, quality desc, model
limit 1000"""  # noqa: S608 (fixed texts only: values are placeholders)


def _indent(text: str) -> str:
    return text.replace("\n", "\n        ")


MODEL_FIT = Board(
    name="Model Fit by Task Type",
    question="Which model does which kind of task well?",
    description=(
        "Mean quality of routed calls by kind of task and model. A call's quality is its own "
        "grade, else the quality_score of the round it was made in. Look at graded before "
        "trusting a cell: a mean of three says little."
    ),
    source="token_machine.request, with quality_score of round_scored where a call has no grade",
    empty=(
        "No routed call with a quality in this range: token_machine.request with a quality_score, "
        "or one in a round whose round_scored has it, fills this board."
    ),
    display="TwoDimensionalHeatmap",
    query=_hogql,
    x="model",
    y=("quality",),
    series="task_type",
)
