"""Cost per Kept Round: what an improvement costs, by loop and day."""

from __future__ import annotations

from nightpane.boards.board import Board
from nightpane.boards.rounds import per_round
from nightpane.boards.scope import Scope

__all__ = ["COST_PER_KEPT_ROUND"]


def _hogql(scope: Scope) -> str:
    rounds = per_round(scope, ("kept", "cost_usd", "cost_known")).replace("\n", "\n        ")
    return f"""select
    day,
    loop,
    if(rounds_kept > 0, total_cost_usd / rounds_kept, null) as cost_per_kept_usd,
    total_cost_usd,
    rounds_kept,
    rounds,
    rounds_with_cost
from (
    select
        {scope.day("started_at")} as day,
        if(client = 'internal', project, concat(project, ' · ', client)) as loop,
        sum(cost_usd) as total_cost_usd,
        countIf(kept) as rounds_kept,
        count() as rounds,
        sum(cost_known) as rounds_with_cost
    from {rounds}
    group by day, loop
)
where total_cost_usd is not null
order by day, loop
limit 10000"""  # noqa: S608 (fixed texts only: values are placeholders)


COST_PER_KEPT_ROUND = Board(
    name="Cost per Kept Round",
    question="What does an improvement cost?",
    description=(
        "The cost of all rounds of a day divided by those that were kept; a day that kept none "
        "has no figure, and one with fewer rounds_with_cost than rounds is a lower bound."
    ),
    source=(
        "cost_usd of the round's end, else of its proposals, else of its model calls: "
        "token_machine.request for routed ones, $ai_generation and $ai_embedding for the others"
    ),
    empty="No round in this range says what it cost: give keep() or revert() a cost_usd.",
    display="ActionsLineGraph",
    query=_hogql,
    x="day",
    y=("cost_per_kept_usd",),
    series="loop",
    annotated=True,
)
