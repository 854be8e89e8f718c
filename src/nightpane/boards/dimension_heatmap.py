"""Dimension Heatmap: the score's dimensions by day, and which of them hold it down."""

from __future__ import annotations

from nightpane.boards.board import Board
from nightpane.boards.scope import Scope

__all__ = ["DIMENSION_HEATMAP"]


def _hogql(scope: Scope) -> str:
    # Whatever begins with dim_ is a dimension: the names are found, not listed.
    return f"""select
    day,
    dimension,
    average,
    least,
    scored,
    gated,
    round(sum(gated) over (partition by dimension) / sum(scored) over (partition by dimension), 6)
        as gate_share
from (
    select
        day,
        substring(pair.1, 5) as dimension,
        avg(pair.2) as average,
        min(pair.2) as least,
        count() as scored,
        countIf(pair.2 = lowest) as gated
    from (
        select
            day,
            arrayMap(one -> one.2, dims) as numbers,
            arrayMin(numbers) as lowest,
            arrayJoin(dims) as pair
        from (
            select
                {scope.day("timestamp")} as day,
                JSONExtractKeysAndValues(properties, 'Float64') as pairs,
                arrayFilter(one -> startsWith(one.1, 'dim_'), pairs) as dims
            from events
            where {scope.happened("round_scored")}
        )
        where notEmpty(dims)
    )
    group by day, dimension
)
order by day, dimension
limit 10000"""  # noqa: S608 (fixed texts only: values are placeholders)


DIMENSION_HEATMAP = Board(
    name="Dimension Heatmap",
    question="Which dimension holds the score down?",
    description=(
        "The average of each dim_ property of round_scored by day. gate_share is the share of "
        "scored rounds of the range in which the dimension was the lowest: where it stays high, "
        "the dimension gates the score. That compares dimensions with each other, so it means "
        "something only where all are on one scale."
    ),
    source="round_scored",
    empty="No round_scored with a dim_ property in this range: give scored(dims=…) its dimensions.",
    display="TwoDimensionalHeatmap",
    query=_hogql,
    x="day",
    y=("average",),
    series="dimension",
)
