"""LLM Cost and Latency by Phase: which part of a round the model calls' money and time go into."""

from __future__ import annotations

from nightpane.boards.board import Board
from nightpane.boards.rounds import MODEL_CALLS
from nightpane.boards.scope import Scope

__all__ = ["PHASES"]


def _hogql(scope: Scope) -> str:
    return f"""select
    ifNull(phase, '(none)') as phase,
    sum(cost) as cost_usd,
    count() as calls,
    countIf(cost is null) as calls_without_cost,
    quantile(0.5)(latency) as p50_latency_s,
    quantile(0.95)(latency) as p95_latency_s,
    sum(ifNull(input, 0)) as input_tokens,
    sum(ifNull(output, 0)) as output_tokens
from (
    select
        properties.phase as phase,
        toFloat(properties.$ai_total_cost_usd) as cost,
        toFloat(properties.$ai_latency) as latency,
        toFloat(properties.$ai_input_tokens) as input,
        toFloat(properties.$ai_output_tokens) as output
    from events
    where {scope.happened(*MODEL_CALLS)}
)
group by phase
order by cost_usd desc, phase
limit 100"""  # noqa: S608 (fixed texts only: values are placeholders)


PHASES = Board(
    name="LLM Cost and Latency by Phase",
    question="Which part of a round do money and time go into?",
    description=(
        "Model calls by their phase: cost, and the median and 95th percentile of their latency. "
        "Calls outside a phase are (none)."
    ),
    source="$ai_generation and $ai_embedding",
    empty="No model call in this range: wrap the model's client with nightpane.llm.wrap.",
    display="ActionsBar",
    query=_hogql,
    x="phase",
    y=("cost_usd",),
)
