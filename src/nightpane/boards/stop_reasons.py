"""Stop-Reason Mix: why runs end."""

from __future__ import annotations

from nightpane.boards.board import Board
from nightpane.boards.scope import Scope

__all__ = ["STOP_REASONS"]


def _hogql(scope: Scope) -> str:
    return f"""select
    {scope.day("timestamp")} as day,
    properties.reason as reason,
    count() as runs,
    avg(toFloat(properties.rounds_completed)) as mean_rounds
from events
where {scope.happened("stop_triggered")}
group by day, reason
order by day, reason
limit 10000"""  # noqa: S608 (fixed texts only: values are placeholders)


STOP_REASONS = Board(
    name="Stop-Reason Mix",
    question="Why do runs end?",
    description=(
        "Runs that ended, by day and reason. A night that ends by plateau wants other proposals, "
        "one that ends by budget a cheaper model, one that ends by error a look at its last round."
    ),
    source="stop_triggered",
    empty="No run ended in this range.",
    display="ActionsStackedBar",
    query=_hogql,
    x="day",
    y=("runs",),
    series="reason",
    annotated=True,
)
