"""Builds the morning from the query API's answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any

from nightpane.boards import STAGES, HogQL, Scope
from nightpane.digest import queries
from nightpane.digest.model import (
    Cost,
    Counts,
    Loop,
    Morning,
    Quiet,
    Round,
    ScoreLine,
    Stage,
    Standing,
)
from nightpane.digest.nights import Night, night_of
from nightpane.query import Query
from nightpane.stats import Attempt, Progress, judge

__all__ = ["build"]

_Row = Mapping[str, Any]
_Key = tuple[str, str]
# Stages a loop may leave out; a round that was never scored or kept is a fact about the round.
_OPTIONAL = {"started", "generated", "applied"}


def build(
    query: Query,
    *,
    now: datetime | None = None,
    tz: tzinfo | None = None,
    night: date | None = None,
    project: str | None = None,
    client: str | None = None,
) -> Morning:
    """Return the digest of a night: the one that begins on ``night``, else the latest with rounds.

    ``tz`` None is this machine's zone. Asks at most four queries. Raises what ``query`` raises.
    """
    now = now or datetime.now(UTC)
    scope = Scope(project=project, client=client)
    asked = {"latest": queries.latest(scope, now)}
    newest = moment_of(_ask(query, asked["latest"])[0]["newest"])
    chosen = night_of(night or newest or now, tz)
    if newest is None:
        return _nothing(chosen, now, asked)
    asked["loops"] = queries.loops(scope, chosen)
    asked["words"] = queries.words(scope, chosen)
    asked["series"] = queries.series(scope, chosen)
    nights = _ask(query, asked["loops"])
    words = _ask(query, asked["words"])
    rounds = [_round(row) for row in reversed(_ask(query, asked["series"]))]
    return Morning(
        night=chosen,
        now=now,
        newest=newest,
        loops=_loops(chosen, nights, words, rounds),
        quiet=_quiet(nights),
        rounds=tuple(entry for entry in rounds if entry.started_at >= chosen.start),
        queries={name: question.text for name, question in asked.items()},
    )


def _ask(query: Query, question: HogQL) -> list[dict[str, Any]]:
    return query.hogql(question.query, question.values).dicts()


def moment_of(value: Any) -> datetime | None:
    """Return a time of a query's answer as aware, None for null or for ClickHouse's empty 1970."""
    if value is None:
        return None
    at = datetime.fromisoformat(str(value))
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return at if at.timestamp() > 0 else None


def _nothing(night: Night, now: datetime, asked: Mapping[str, HogQL]) -> Morning:
    queries = {name: question.text for name, question in asked.items()}
    return Morning(
        night=night, now=now, newest=None, loops=(), quiet=(), rounds=(), queries=queries
    )


def _round(row: _Row) -> Round:
    started_at = moment_of(row["started_at"])
    return Round(
        round_id=row["round_id"],
        project=_text(row["project"]),
        client=row["client"],
        started_at=started_at or datetime.fromtimestamp(0, UTC),
        status=row["status"],
        failure_mode=row["failure_mode"],
        metric=row["metric"],
        direction=row["direction"],
        score=row["score"],
    )


def _loops(
    night: Night, nights: Sequence[_Row], words: Sequence[_Row], rounds: Sequence[Round]
) -> tuple[Loop, ...]:
    by_loop = _by_loop(nights)
    tonight = [key for key, rows in by_loop.items() if any(r["nights_ago"] == 0 for r in rows)]
    modes, reasons = _words(words, "round_reverted"), _words(words, "stop_triggered")
    found = []
    for key in tonight:
        rows = by_loop[key]
        before = min((r["nights_ago"] for r in rows if r["nights_ago"] > 0), default=None)
        found.append(
            Loop(
                project=key[0],
                client=key[1],
                counts=_counts(rows, 0),
                before=None if before is None else _counts(rows, before),
                before_night=None if before is None else _back(night, before),
                failure_modes=modes.get(key, ()),
                stop_reasons=reasons.get(key, ()),
                scores=_scores(night, rows, [r for r in rounds if (r.project, r.client) == key]),
            )
        )
    return tuple(sorted(found, key=lambda loop: (-loop.counts.rounds, loop.project, loop.client)))


def _by_loop(rows: Sequence[_Row]) -> dict[_Key, list[_Row]]:
    found: dict[_Key, list[_Row]] = defaultdict(list)
    for row in rows:
        found[(_text(row["project"]), row["client"])].append(row)
    return found


def _words(rows: Sequence[_Row], event: str) -> dict[_Key, tuple[tuple[str, int], ...]]:
    found: dict[_Key, tuple[tuple[str, int], ...]] = {}
    for row in rows:
        if row["event"] == event:
            key = (_text(row["project"]), row["client"])
            found[key] = (*found.get(key, ()), (_text(row["word"]), int(row["times"])))
    return found


def _counts(rows: Sequence[_Row], nights_ago: int) -> Counts:
    these = [row for row in rows if row["nights_ago"] == nights_ago]

    def total(column: str, of: Sequence[_Row] = these) -> int:
        return sum(int(row[column]) for row in of)

    stages = tuple(
        Stage(
            stage,
            None
            if stage in _OPTIONAL and total(f"rounds_{stage}", rows) == 0
            else total(f"rounds_{stage}"),
        )
        for _, stage in STAGES
    )
    known = [row["known_cost_usd"] for row in these if row["known_cost_usd"] is not None]
    return Counts(
        rounds=total("rounds"),
        kept=total("rounds_ended_kept"),
        reverted=total("rounds_ended_reverted"),
        scored=total("scores"),
        stages=stages,
        cost=Cost(sum(known) if known else None, total("rounds_with_cost"), total("rounds")),
    )


def _scores(night: Night, rows: Sequence[_Row], rounds: Sequence[Round]) -> tuple[ScoreLine, ...]:
    """One line for each metric with a score tonight; with none at all, one line that says so."""
    tonight = [row for row in rows if row["nights_ago"] == 0 and row["scores"]]
    if not tonight:
        earlier = [row for row in rows if row["scores"]]
        tonight = [{**row, "scores": 0, "best": None} for row in earlier[:1]] or [
            {"metric": None, "direction": "max", "scores": 0, "best": None}
        ]
    several = len(tonight) > 1
    return tuple(_score(night, row, rows, rounds, several=several) for row in tonight)


def _score(
    night: Night, row: _Row, rows: Sequence[_Row], rounds: Sequence[Round], *, several: bool
) -> ScoreLine:
    metric, direction, best = row["metric"], row["direction"], row["best"]
    sign = -1.0 if direction == "min" else 1.0
    earlier = sorted(
        (r["nights_ago"], r["best"])
        for r in rows
        if r["nights_ago"] > 0
        and r["best"] is not None
        and (r["metric"], r["direction"]) == (metric, direction)
    )
    standings = [Standing(score, _back(night, ago)) for ago, score in earlier]
    before = standings[0] if standings else None
    standing = max(standings, key=lambda s: sign * s.score) if standings else None
    mine = [
        r
        for r in rounds
        if (r.metric, r.direction) == (metric, direction)
        or (r.score is None and not several and r.metric in (None, metric))
    ]
    return ScoreLine(
        metric=metric,
        direction=direction,
        n_scored=int(row["scores"]),
        best=best,
        best_round_id=row.get("best_round_id") if best is not None else None,
        best_kept=bool(row.get("best_kept")) and best is not None,
        before=before,
        standing=standing,
        change=None if before is None or best is None else sign * (best - before.score),
        progress=_progress(night, mine, standing, lower=direction == "min"),
    )


def _progress(
    night: Night, rounds: Sequence[Round], standing: Standing | None, *, lower: bool
) -> Progress:
    scores = [r.score for r in rounds if r.started_at < night.start and r.score is not None]
    if not scores and len(rounds) == queries.SERIES_LIMIT:
        standing = None  # the night's own beginning is cut off: what stood then is not to beat now
    since = len(scores)
    if standing is not None and standing.score in scores:
        since -= scores.index(standing.score)
    return judge(
        [Attempt(r.score, r.status == "kept") for r in rounds if r.started_at >= night.start],
        lower_is_better=lower,
        prior_best=None if standing is None else standing.score,
        n_prior=since,
    )


def _quiet(nights: Sequence[_Row]) -> tuple[Quiet, ...]:
    found = []
    for (project, client), rows in sorted(_by_loop(nights).items()):
        ago = {row["nights_ago"] for row in rows}
        if 1 in ago and 0 not in ago:
            rounds = sum(int(row["rounds"]) for row in rows if row["nights_ago"] == 1)
            found.append(Quiet(project, client, rounds))
    return tuple(found)


def _back(night: Night, nights: int) -> date:
    return night.date - timedelta(days=nights)


def _text(value: Any) -> str:
    return "(none)" if value is None else str(value)
