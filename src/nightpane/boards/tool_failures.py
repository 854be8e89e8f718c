"""Step Failures by Tool: which tools fail, how often, and how long they take."""

from __future__ import annotations

from nightpane.boards.board import Board
from nightpane.boards.scope import Scope

__all__ = ["TOOL_FAILURES"]


def _hogql(scope: Scope) -> str:
    return f"""select
    tool,
    countIf(failed) as failures,
    count() as calls,
    countIf(failed) / count() as failure_rate,
    quantile(0.95)(latency) as p95_latency_ms,
    argMaxIf(error, timestamp, failed) as latest_error
from (
    select
        timestamp,
        properties.tool as tool,
        lower(toString(properties.ok)) in ('false', '0') as failed,
        toFloat(properties.latency_ms) as latency,
        properties.error as error
    from events
    where {scope.happened("step.tool_returned")}
)
group by tool
order by failures desc, calls desc, tool
limit 100"""  # noqa: S608 (fixed texts only: values are placeholders)


TOOL_FAILURES = Board(
    name="Step Failures by Tool",
    question="Which tools fail?",
    description="Returns of tools that were not ok, with their share of all and the latest error.",
    source="step.tool_returned",
    empty="No tool returned in this range: @nightpane.tool and round.tool() report them.",
    display="ActionsBar",
    query=_hogql,
    x="tool",
    y=("failures",),
)
