"""Builds the morning from the query API's answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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

__all__ = [
    "Answers",
    "Key",
    "Row",
    "ask",
    "build",
    "by_loop",
    "counts_of",
    "key_of",
    "moment_of",
    "morning_of",
    "newest",
    "rows_of",
]

Row = Mapping[str, Any]
Key = tuple[str, str]
# Stages a loop may leave out; a round that was never scored or kept is a fact about the round.
_OPTIONAL = {"started", "generated", "applied"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What the query API answered about a night: the rows of the queries ``asked``, by name.

    ``rounds`` is the series of the 30 days to the night's end, the oldest first.
    """

    night: Night
    now: datetime
    newest: datetime | None
    nights: Sequence[Row] = ()
    words: Sequence[Row] = ()
    rounds: Sequence[Round] = ()
    asked: Mapping[str, HogQL]


def build(
    query: Query,
    *,
    now: datetime | None = None,
    tz: tzinfo | None = None,
    night: date | None = None,
    project: str | None = None,
    client: str | None = None,
) -> Morning:
    """Return the morning of a night: the one that begins on ``night``, else the latest with rounds.

    ``tz`` None is this machine's zone. Asks at most four queries. Raises what ``query`` raises.
    """
    scope = Scope(project=project, client=client)
    return morning_of(ask(query, scope, now=now, tz=tz, night=night))


def ask(
    query: Query, scope: Scope, *, now: datetime | None, tz: tzinfo | None, night: date | None
) -> Answers:
    """Return the answers behind ``build``, which see."""
    now = now or datetime.now(UTC)
    asked = {"latest": queries.latest(scope, now)}
    latest = newest(query, scope, now)
    chosen = night_of(night or latest or now, tz)
    if latest is None:
        return Answers(night=chosen, now=now, newest=None, asked=asked)
    asked["loops"] = queries.loops(scope, chosen)
    asked["words"] = queries.words(scope, chosen)
    asked["series"] = queries.series(scope, chosen)
    return Answers(
        night=chosen,
        now=now,
        newest=latest,
        nights=rows_of(query, asked["loops"]),
        words=rows_of(query, asked["words"]),
        rounds=[_round(row) for row in reversed(rows_of(query, asked["series"]))],
        asked=asked,
    )


def newest(query: Query, scope: Scope, now: datetime) -> datetime | None:
    """Return when the scope's newest round event happened, None without one: its night is shown."""
    return moment_of(rows_of(query, queries.latest(scope, now))[0]["newest"])


def morning_of(answers: Answers) -> Morning:
    """Return the morning that the answers tell of."""
    night, rounds = answers.night, answers.rounds
    return Morning(
        night=night,
        now=answers.now,
        newest=answers.newest,
        loops=_loops(night, answers.nights, answers.words, rounds),
        quiet=_quiet(answers.nights),
        rounds=tuple(entry for entry in rounds if entry.started_at >= night.start),
        queries={name: question.text for name, question in answers.asked.items()},
    )


def rows_of(query: Query, question: HogQL) -> list[dict[str, Any]]:
    """Return the rows that answer a question. Raises what ``query`` raises."""
    return query.hogql(question.query, question.values).dicts()


def moment_of(value: Any) -> datetime | None:
    """Return a time of a query's answer as aware, None for null or for ClickHouse's empty 1970."""
    if value is None:
        return None
    at = datetime.fromisoformat(str(value))
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return at if at.timestamp() > 0 else None


def _round(row: Row) -> Round:
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
    night: Night, nights: Sequence[Row], words: Sequence[Row], rounds: Sequence[Round]
) -> tuple[Loop, ...]:
    loops = by_loop(nights)
    tonight = [key for key, rows in loops.items() if any(r["nights_ago"] == 0 for r in rows)]
    modes, reasons = _words(words, "round_reverted"), _words(words, "stop_triggered")
    found = []
    for key in tonight:
        rows = loops[key]
        before = min((r["nights_ago"] for r in rows if r["nights_ago"] > 0), default=None)
        found.append(
            Loop(
                project=key[0],
                client=key[1],
                counts=counts_of(rows, 0),
                before=None if before is None else counts_of(rows, before),
                before_night=None if before is None else _back(night, before),
                failure_modes=modes.get(key, ()),
                stop_reasons=reasons.get(key, ()),
                scores=_scores(night, rows, [r for r in rounds if (r.project, r.client) == key]),
            )
        )
    return tuple(sorted(found, key=lambda loop: (-loop.counts.rounds, loop.project, loop.client)))


def key_of(row: Row) -> Key:
    """Return the loop that a row is about."""
    return _text(row["project"]), row["client"]


def by_loop(rows: Sequence[Row]) -> dict[Key, list[Row]]:
    """Return rows by the loop they are about."""
    found: dict[Key, list[Row]] = defaultdict(list)
    for row in rows:
        found[key_of(row)].append(row)
    return found


def _words(rows: Sequence[Row], event: str) -> dict[Key, tuple[tuple[str, int], ...]]:
    found: dict[Key, tuple[tuple[str, int], ...]] = {}
    for row in rows:
        if row["event"] == event:
            key = key_of(row)
            found[key] = (*found.get(key, ()), (_text(row["word"]), int(row["times"])))
    return found


def counts_of(rows: Sequence[Row], nights_ago: int) -> Counts:
    """Return what a loop's rows of ``loops`` say of one night."""
    these = [row for row in rows if row["nights_ago"] == nights_ago]

    def total(column: str, of: Sequence[Row] = these) -> int:
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


def _scores(night: Night, rows: Sequence[Row], rounds: Sequence[Round]) -> tuple[ScoreLine, ...]:
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
    night: Night, row: Row, rows: Sequence[Row], rounds: Sequence[Round], *, several: bool
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


def _quiet(nights: Sequence[Row]) -> tuple[Quiet, ...]:
    found = []
    for (project, client), rows in sorted(by_loop(nights).items()):
        ago = {row["nights_ago"] for row in rows}
        if 1 in ago and 0 not in ago:
            rounds = sum(int(row["rounds"]) for row in rows if row["nights_ago"] == 1)
            found.append(Quiet(project, client, rounds))
    return tuple(found)


def _back(night: Night, nights: int) -> date:
    return night.date - timedelta(days=nights)


def _text(value: Any) -> str:
    return "(none)" if value is None else str(value)
