"""The page's lists: all loops, the runs of a scope, the rounds of a scope or of one run."""

from __future__ import annotations

from nightpane.boards.board import Board
from nightpane.boards.rounds import per_round
from nightpane.boards.scope import Scope

__all__ = ["LOOPS", "ROUNDS", "RUNS"]

_ROUND_COLUMNS = (
    *("run", "kept", "reverted", "failure_mode", "metric", "direction", "model", "delta"),
    *("score", "cost_usd", "cost_known"),
)


def _runs(scope: Scope) -> str:
    columns = ("run", "kept", "metric", "score", "goodness", "cost_usd", "cost_known")
    return f"""select
    run,
    project,
    client,
    min(started_at) as first_at,
    max(ended_at) as last_at,
    count() as rounds,
    countIf(kept) as rounds_kept,
    if(uniq(metric) > 1, null, any(metric)) as its_metric,
    if(uniq(metric) > 1, null, argMax(score, goodness)) as best,
    sum(cost_usd) as total_cost_usd,
    sum(cost_known) as rounds_with_cost
from {per_round(scope, columns)}
where run is not null
group by run, project, client
order by first_at desc, run desc
limit 100"""  # noqa: S608 (fixed texts only: values are placeholders)


def _rounds(scope: Scope) -> str:
    return f"""select
    round_id,
    run,
    project,
    client,
    started_at,
    dateDiff('millisecond', started_at, ended_at) / 1000 as duration_s,
    if(kept, 'kept', if(reverted, 'reverted', 'open')) as status,
    failure_mode,
    metric,
    direction,
    score,
    delta,
    model,
    cost_usd,
    cost_known
from {per_round(scope, _ROUND_COLUMNS)}
order by started_at desc, round_id desc
limit 1000"""  # noqa: S608 (fixed texts only: values are placeholders)


def _loops(scope: Scope) -> str:  # noqa: ARG001 (to choose from, whatever is chosen)
    return """select
    properties.project as project,
    ifNull(properties.client, 'internal') as client,
    max(timestamp) as newest
from events
where event in ('round_started', 'round_scored')
group by project, client
order by newest desc
limit 500"""


LOOPS = Board(
    name="Loops",
    question="Which loops are there?",
    description="Every project and client that has started or scored a round.",
    display="ActionsTable",
    query=_loops,
)
RUNS = Board(
    name="Runs",
    question="Which runs were there?",
    description="The 100 latest runs; best is left out where a run mixes metrics.",
    display="ActionsTable",
    query=_runs,
)
ROUNDS = Board(
    name="Rounds",
    question="What became of each round?",
    description="The 1,000 latest rounds.",
    display="ActionsTable",
    query=_rounds,
)
