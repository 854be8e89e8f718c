"""Cost Compression: whether routing makes each kind of task cheaper, week by week."""

from __future__ import annotations

from nightpane.boards.board import Board
from nightpane.boards.scope import Scope

__all__ = ["COST_COMPRESSION"]


def _hogql(scope: Scope) -> str:
    return f"""select
    toStartOfWeek(day, 1) as week,
    task_type,
    sum(cost) as cost_usd,
    avg(cost) as cost_per_request_usd,
    count() as requests,
    count(cost) as requests_with_cost,
    uniq(model) as models
from (
    select
        {scope.day("timestamp")} as day,
        ifNull(properties.task_type, '(none)') as task_type,
        ifNull(properties.model_used, properties.$ai_model) as model,
        toFloat(properties.cost_usd) as cost
    from events
    where {scope.happened("token_machine.request")}
)
group by week, task_type
order by week, task_type
limit 10000"""  # noqa: S608 (fixed texts only: values are placeholders)


COST_COMPRESSION = Board(
    name="Cost Compression",
    question="Does routing make each kind of task cheaper?",
    description=(
        "What routed calls cost by week (from Monday) and kind of task. Each new routing rule is "
        "an annotation. A bar may shrink because less was asked: cost_per_request_usd tells. The "
        "first and last week may be cut by the range."
    ),
    source="token_machine.request",
    empty="No token_machine.request in this range: Token Machine, or its emitters, send them.",
    display="ActionsStackedBar",
    query=_hogql,
    x="week",
    y=("cost_usd",),
    series="task_type",
    annotated=True,
)
