"""Eval Regressions by Dimension: which dimensions of the suites get worse."""

from __future__ import annotations

from nightpane.boards.board import Board
from nightpane.boards.scope import Scope

__all__ = ["EVAL_REGRESSIONS"]


def _hogql(scope: Scope) -> str:
    return f"""select
    {scope.day("timestamp")} as day,
    ifNull(properties.dim, properties.case_id) as dimension,
    count() as regressions,
    uniq(properties.case_id) as cases,
    avg(toFloat(properties.delta)) as mean_delta
from events
where {scope.happened("eval.regression")}
group by day, dimension
order by day, dimension
limit 10000"""  # noqa: S608 (fixed texts only: values are placeholders)


EVAL_REGRESSIONS = Board(
    name="Eval Regressions by Dimension",
    question="Which dimensions get worse?",
    description=(
        "Cases of a suite that fell below their best so far, by day and dimension (a case without "
        "one counts under its own name)."
    ),
    source="eval.regression",
    empty="No case got worse in this range, or no suite ran: round.suite() compares its cases.",
    display="ActionsStackedBar",
    query=_hogql,
    x="day",
    y=("regressions",),
    series="dimension",
    annotated=True,
)
