"""Escalations: which models take over, and from which."""

from __future__ import annotations

from nightpane.boards.board import Board
from nightpane.boards.scope import Scope

__all__ = ["ESCALATIONS"]


def _hogql(scope: Scope) -> str:
    return f"""select
    properties.to_model as to_model,
    properties.from_model as from_model,
    count() as escalations,
    avg(toFloat(properties.stall_rounds)) as mean_stall_rounds,
    max(timestamp) as latest
from events
where {scope.happened("model_escalated")}
group by to_model, from_model
order by escalations desc, to_model, from_model
limit 1000"""  # noqa: S608 (fixed texts only: values are placeholders)


ESCALATIONS = Board(
    name="Escalations by Target Model",
    question="Which models take over when another stalls?",
    description="model_escalated by the model that took over, split by the one that stalled.",
    source="model_escalated",
    empty="No model stalled in this range: escalated() reports it when one does.",
    display="ActionsStackedBar",
    query=_hogql,
    x="to_model",
    y=("escalations",),
    series="from_model",
)
