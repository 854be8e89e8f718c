"""Builds the whole digest: each loop's night beside the night before and the week.

A night is 24 hours counted back from the latest one, and the week is the seven nights before it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta, tzinfo
from statistics import median
from typing import TypeVar

from nightpane.boards import Scope
from nightpane.boards.rounds import BROKEN
from nightpane.digest.build import Answers, Key, Row, ask, by_loop, counts_of, morning_of
from nightpane.digest.compared import (
    Change,
    Digest,
    Fallen,
    LoopReport,
    Nightly,
    ScoreMove,
    Week,
)
from nightpane.digest.evidence import Evidence, gather, questions
from nightpane.digest.model import Loop, Round, ScoreLine
from nightpane.digest.moves import LARGEST, WEEK, score_move
from nightpane.digest.nights import Night
from nightpane.digest.regressions import regressions
from nightpane.query import Query
from nightpane.stats import typical

__all__ = ["compare"]

_K = TypeVar("_K")


def compare(
    query: Query,
    *,
    tz: tzinfo | None = None,
    night: date | None = None,
    project: str | None = None,
    client: str | None = None,
    changes: Sequence[Change] | None = (),
    changes_unread: str | None = None,
) -> Digest:
    """Return the whole digest of a night: the one that begins on ``night``, else the latest.

    ``changes`` are the project's annotations, None when they could not be read for the reason
    ``changes_unread``. Asks at most eight queries. Raises what ``query`` raises.
    """
    scope = Scope(project=project, client=client)
    answers = ask(query, scope, now=None, tz=tz, night=night)
    more = {} if answers.newest is None else questions(scope, answers.night)
    evidence = gather(query, more) if more else Evidence((), (), (), ())
    morning = morning_of(replace(answers, asked={**answers.asked, **more}))
    loops = _Loops(answers, evidence)
    reports = tuple(loops.report(loop) for loop in morning.loops)
    return Digest(
        morning=morning,
        loops=reports,
        regressions=regressions(reports),
        changes=None if changes is None else tuple(sorted(changes, key=lambda one: one.at)),
        changes_unread=changes_unread,
    )


class _Loops:
    """The rows of all answers, by loop."""

    def __init__(self, answers: Answers, evidence: Evidence) -> None:
        self.night = answers.night
        self.nights = by_loop(answers.nights)
        self.happened = by_loop(evidence.happened)
        self.dimensions = by_loop(evidence.dimensions)
        self.cases = by_loop(evidence.cases)
        self.known: dict[str, Row] = {row["round_id"]: row for row in evidence.measured}
        self.rounds: dict[Key, list[Round]] = defaultdict(list)
        for one in answers.rounds:
            sane = one.score is None or abs(one.score) < LARGEST
            self.rounds[one.project, one.client].append(one if sane else replace(one, score=None))

    def report(self, loop: Loop) -> LoopReport:
        key = (loop.project, loop.client)
        earlier = sorted({int(row["nights_ago"]) for row in self.nights[key]} - {0})
        week = [self._nightly(key, ago) for ago in earlier if ago <= WEEK]
        return LoopReport(
            loop=loop,
            now=self._nightly(key, 0),
            before=self._nightly(key, earlier[0]) if earlier else None,
            week=_week(week),
            moves=tuple(self._move(key, line) for line in loop.scores),
            fallen=self._fallen(key),
            broken=tuple(
                one.round_id
                for one in self.rounds[key]
                if one.failure_mode in BROKEN and nights_ago(self.night, one) == 0
            ),
        )

    def _nightly(self, key: Key, ago: int) -> Nightly:
        rows, counts = self.nights[key], counts_of(self.nights[key], ago)
        tonight = [row for row in rows if row["nights_ago"] == ago and row["scores"]]
        happened = [row for row in self.happened[key] if row["nights_ago"] == ago]
        scores: dict[str | None, list[float]] = defaultdict(list)
        for one in self.rounds[key]:
            if one.score is not None and nights_ago(self.night, one) == ago:
                scores[one.metric].append(one.score)
        return Nightly(
            night=self.night.date - timedelta(days=ago),
            rounds=counts.rounds,
            kept=counts.kept,
            scored=counts.scored,
            failed=sum(r["rounds"] for r in happened if r["event"] == "round_reverted"),
            escalations=sum(r["times"] for r in happened if r["event"] == "model_escalated"),
            cases_fallen=sum(r["times"] for r in happened if r["event"] == "eval.regression"),
            cost=counts.cost,
            best={row["metric"]: row["best"] for row in tonight},
            typical={metric: typical(values) for metric, values in scores.items()},
            dims={r["dimension"]: r["average"] for r in self._dims(key, ago)},
            stops=_words(happened, "stop_triggered"),
            escalated_to=_words(happened, "model_escalated"),
        )

    def _dims(self, key: Key, ago: int) -> list[Row]:
        return [row for row in self.dimensions[key] if row["nights_ago"] == ago]

    def _move(self, key: Key, line: ScoreLine) -> ScoreMove:
        about = (line.metric, line.direction)
        nights: dict[int, list[Round]] = defaultdict(list)
        for one in self.rounds[key]:
            if (one.metric, one.direction) == about:
                nights[nights_ago(self.night, one)].append(one)
        before = None if line.before is None else (self.night.date - line.before.night).days
        return score_move(line, nights, before, self.known)

    def _fallen(self, key: Key) -> tuple[Fallen, ...]:
        taken_back = {one.round_id for one in self.rounds[key] if one.status == "reverted"}
        return tuple(
            Fallen(
                round_id=row["round_id"],
                case_id=str(row["case_id"]),
                dim=row["dim"],
                prior_score=row["prior_score"],
                new_score=row["new_score"],
                delta=row["delta"],
            )
            for row in self.cases[key]
            if row["round_id"] not in taken_back
        )


def nights_ago(night: Night, one: Round) -> int:
    """Return how many nights before ``night`` a round began, in steps of 24 hours as the queries
    count them."""
    age_s = int((night.start - one.started_at).total_seconds())
    return 0 if age_s <= 0 else 1 + (age_s - 1) // 86400


def _words(rows: Sequence[Row], event: str) -> tuple[tuple[str, int], ...]:
    found = [(str(row["word"] or "(none)"), int(row["times"])) for row in rows
             if row["event"] == event]  # fmt: skip
    return tuple(sorted(found, key=lambda pair: (-pair[1], pair[0])))


def _week(nights: Sequence[Nightly]) -> Week | None:
    if not nights:
        return None
    figures = {
        "rounds": [float(one.rounds) for one in nights],
        "kept": [float(one.kept) for one in nights],
        "kept_rate": [one.kept / one.rounds for one in nights if one.rounds],
        "scored": [float(one.scored) for one in nights],
        "failed": [float(one.failed) for one in nights],
        "escalations": [float(one.escalations) for one in nights],
        "cases_fallen": [float(one.cases_fallen) for one in nights],
        "cost_usd": [one.cost.known_usd for one in nights if one.cost.known_usd is not None],
        "per_kept_usd": [one.per_kept_usd for one in nights if one.per_kept_usd is not None],
    }
    return Week(
        nights=len(nights),
        figures={name: median(values) for name, values in figures.items() if values},
        best=_medians([one.best for one in nights]),
        typical=_medians([one.typical for one in nights]),
        dims=_medians([one.dims for one in nights]),
    )


def _medians(nights: Sequence[Mapping[_K, float]]) -> dict[_K, float]:
    values: dict[_K, list[float]] = defaultdict(list)
    for night in nights:
        for name, value in night.items():
            values[name].append(value)
    return {name: median(found) for name, found in values.items()}
