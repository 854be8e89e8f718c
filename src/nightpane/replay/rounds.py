"""Rounds beside a round, and the round that a person means by a few characters, a number or a word.

Constant query texts; what they return is small: one row a round.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nightpane.errors import ConfigError
from nightpane.query import Query
from nightpane.replay.model import Link, Neighbours, Node, RoundFacts
from nightpane.replay.told import number

__all__ = ["find_round", "neighbours_of"]

_MAX_ROUNDS = 10_000

_ROUNDS = f"""select
    properties.round_id as round_id,
    min(timestamp) as started_at,
    countIf(event = 'round_kept') as kept,
    argMax(toFloat(properties.score), timestamp) as score,
    any(properties.metric) as metric,
    any(properties.direction) as direction
from events
where event in ('round_started', 'round_scored', 'round_kept', 'round_reverted')
    and properties.round_id is not null
    and properties.run_id = {{run_id}}
group by round_id
order by started_at, round_id
limit {_MAX_ROUNDS}"""  # noqa: S608 (fixed texts only: values are placeholders)

_LATEST = """select properties.round_id as round_id, properties.run_id as run_id
from events
where event in ('round_started', 'round_scored', 'round_kept', 'round_reverted')
    and properties.round_id is not null
    and (properties.run_id = {run_id} or {run_id} = '')
order by timestamp desc
limit 1"""

_BY_PREFIX = """select round_id
from (
    select ifNull(properties.round_id, properties.$ai_trace_id) as round_id
    from events
)
where startsWith(round_id, {prefix})
group by round_id
order by round_id = {prefix} desc, round_id
limit 6"""

_PRIOR_CASE = """select properties.round_id as round_id
from events
where event = 'eval.case'
    and properties.case_id = {case_id}
    and properties.project = {project}
    and toFloat(properties.score) = {prior_score}
    and properties.round_id != {round_id}
    and timestamp < toDateTime64({before}, 6)
    and properties.suite_id in (
        select properties.suite_id from events
        where event = 'eval.run' and properties.suite = {suite}
    )
order by timestamp desc
limit 1"""


def neighbours_of(
    query: Query, facts: RoundFacts, nodes: Sequence[Node], before: str
) -> Neighbours:
    """Return the rounds beside one. ``before`` is when it began, as ClickHouse reads a time.

    The round it regressed from is: with an ``eval.regression``, the latest round before it whose
    case had that best score; else, for a reverted round, the one in its run that was best of those
    kept before it. Raises what the query raises.
    """
    if facts.run_id is None:
        return Neighbours()
    rows = query.hogql(_ROUNDS, {"run_id": facts.run_id}).dicts()
    ids = [str(row["round_id"]) for row in rows]
    if facts.id not in ids:
        return Neighbours()
    at = ids.index(facts.id)
    best = _best(rows[:at]) if facts.status == "reverted" else None
    if best is not None:
        best = Link(round_id=best.round_id, why=f"{best.why} before it in this run")
    return Neighbours(
        number=at + 1,
        rounds=len(ids),
        previous=ids[at - 1] if at else None,
        next=ids[at + 1] if at + 1 < len(ids) else None,
        regressed_from=_of_case(query, facts, nodes, before) or best,
    )


def find_round(query: Query, wanted: str, *, run_id: str | None = None) -> str:
    """Return the id of a round named by its id, a unique beginning of it, its number in the run,
    ``last`` or ``best``; the latter two and a number are of ``run_id``, else of the latest run.

    Raises ConfigError when nothing or more than one thing is meant.
    """
    if wanted == "last" or wanted == "best" or (wanted.isdigit() and len(wanted) < 6):
        run_id, latest = _latest(query, run_id)
        if wanted == "last":
            return latest
        rows = query.hogql(_ROUNDS, {"run_id": run_id}).dicts()
        return _numbered(rows, wanted, run_id) if wanted != "best" else _best_of(rows, run_id)
    found = [str(row[0]) for row in query.hogql(_BY_PREFIX, {"prefix": wanted}).rows]
    if wanted in found or len(found) == 1:
        return wanted if wanted in found else found[0]
    if not found:
        raise ConfigError(
            f"no round {wanted!r}: name it by its id or the beginning of it, by 'last', 'best', or "
            "by its number with --run (the pane lists rounds)"
        )
    several = ", ".join(found[:5]) + (", …" if len(found) > 5 else "")
    raise ConfigError(f"{wanted!r} begins several rounds: {several}. Write more of it")


def _latest(query: Query, run_id: str | None) -> tuple[str, str]:
    rows = query.hogql(_LATEST, {"run_id": run_id or ""}).rows
    if not rows:
        where = f"in run {run_id}" if run_id else "yet"
        raise ConfigError(f"there is no round {where}: 'nightpane tail' shows what arrives")
    return str(rows[0][1] or run_id or ""), str(rows[0][0])


def _numbered(rows: Sequence[Mapping[str, Any]], wanted: str, run_id: str) -> str:
    if not 1 <= int(wanted) <= len(rows):
        raise ConfigError(f"run {run_id} has no round {wanted}: it has {len(rows):,}, from 1")
    return str(rows[int(wanted) - 1]["round_id"])


def _best_of(rows: Sequence[Mapping[str, Any]], run_id: str) -> str:
    best = _best(rows)
    if best is None:
        raise ConfigError(f"run {run_id} has no kept round with a score: there is no best one")
    return best.round_id


def _best(rows: Sequence[Mapping[str, Any]]) -> Link | None:
    """Return the best of the kept rounds, the earliest of equals; lower is better for min."""
    kept = [(number(row["score"]), row) for row in rows if row["kept"]]
    scored = [(score, row) for score, row in kept if score is not None]
    if not scored:
        return None
    sign = -1 if any(row["direction"] == "min" for row in rows) else 1
    score, row = max(scored, key=lambda pair: sign * pair[0])
    return Link(round_id=str(row["round_id"]), why=f"the best kept ({score:.6g})")


def _of_case(query: Query, facts: RoundFacts, nodes: Sequence[Node], before: str) -> Link | None:
    for node in nodes:
        if node.kind != "regression" or node.prior_score is None:
            continue
        suite = next(
            (one.name for one in nodes if one.kind == "suite" and one.id == node.suite_id), ""
        )
        values = {
            "case_id": node.name,
            "project": facts.project or "",
            "prior_score": node.prior_score,
            "round_id": facts.id,
            "before": before,
            "suite": suite,
        }
        rows = query.hogql(_PRIOR_CASE, values).rows
        if rows:
            why = f"case {node.name} scored {node.prior_score:.6g} there"
            return Link(round_id=str(rows[0][0]), why=why)
    return None
