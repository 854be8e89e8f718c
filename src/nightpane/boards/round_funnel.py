"""Round Funnel: of the rounds that started, how many got how far."""

from __future__ import annotations

from nightpane.boards.board import Board
from nightpane.boards.rounds import per_round
from nightpane.boards.scope import Scope

__all__ = ["ROUND_FUNNEL", "STAGES"]

STAGES: tuple[tuple[str, str], ...] = (
    ("round_started", "started"),
    ("proposal_generated", "generated"),
    ("proposal_applied", "applied"),
    ("round_scored", "scored"),
    ("round_kept", "kept"),
)


def _hogql(scope: Scope) -> str:
    columns = tuple(f"did_{stage}" for _, stage in STAGES)
    places = ", ".join(str(place) for place, _ in enumerate(STAGES, 1))
    words = ", ".join(f"'{stage}'" for _, stage in STAGES)
    counts = ", ".join(f"countIf({column})" for column in columns)
    return f"""select
    loop,
    entry.2 as stage,
    entry.3 as rounds
from (
    select
        loop,
        arrayJoin(arrayZip([{places}], [{words}], counts)) as entry
    from (
        select
            if(client = 'internal', project, concat(project, ' · ', client)) as loop,
            [{counts}] as counts
        from {_indent(per_round(scope, columns))}
        group by loop
    )
)
where rounds > 0
order by loop, entry.1
limit 1000"""  # noqa: S608 (fixed texts only: values are placeholders)


def _indent(text: str) -> str:
    return text.replace("\n", "\n        ")


ROUND_FUNNEL = Board(
    name="Round Funnel",
    question="Where do rounds drop off?",
    description=(
        "Rounds that reached each stage, counted by round_id, for each loop (project and client). "
        "A stage a loop never emits has no row: it is missing, not a loss."
    ),
    source="round_started to round_kept",
    display="ActionsBar",
    query=_hogql,
    x="stage",
    y=("rounds",),
    series="loop",
)
