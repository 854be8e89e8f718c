"""The morning as JSON values, for programs: figures, sentences, and the queries behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from nightpane.digest import sentences, words
from nightpane.digest.compared import Digest, LoopReport, Nightly, Regression, ScoreMove
from nightpane.digest.links import Links
from nightpane.digest.model import Cost, Counts, Loop, Morning, ScoreLine
from nightpane.stats import Move, wilson

__all__ = ["to_json", "whole_json"]


def to_json(morning: Morning, *, with_rounds: bool = False) -> dict[str, Any]:
    """Return the digest as JSON values; times are ISO 8601 with their zone, costs in dollars.

    ``with_rounds`` adds the night's series of rounds.
    """
    night, total = morning.night, morning.total_cost
    found: dict[str, Any] = {
        "night": {
            "date": night.date.isoformat(),
            "start": night.start.isoformat(),
            "end": night.end.isoformat(),
            "label": night.label,
            "is_latest": morning.is_latest,
        },
        "now": morning.now.isoformat(),
        "newest_event": None if morning.newest is None else morning.newest.isoformat(),
        "headline": words.headline(morning),
        "next_steps": list(words.next_steps(morning)),
        "rounds": morning.total_rounds,
        "kept": morning.total_kept,
        "cost": _cost(total, morning.total_kept),
        "loops": [_loop(loop) for loop in morning.loops],
        "quiet": [asdict(quiet) for quiet in morning.quiet],
        "queries": dict(morning.queries),
    }
    if with_rounds:
        found["series"] = [
            {**asdict(entry), "started_at": entry.started_at.isoformat()}
            for entry in morning.rounds
        ]
    return found


def whole_json(digest: Digest, links: Links) -> dict[str, Any]:
    """Return the whole digest: ``to_json``'s keys, and what the comparison found."""
    return {
        **to_json(digest.morning),
        "regressions": [_regression(one, links) for one in digest.regressions],
        "compared": [_report(report, digest, links) for report in digest.loops],
        "changes_unread": digest.changes_unread,
    }


def _regression(one: Regression, links: Links) -> dict[str, Any]:
    found = asdict(one)
    found["links"] = [link for link in map(links.round, one.rounds) if link is not None]
    return found


def _report(report: LoopReport, digest: Digest, links: Links) -> dict[str, Any]:
    night, week = digest.morning.night.date, report.week
    return {
        "project": report.loop.project,
        "client": report.loop.client,
        "link": links.night(night, report.loop.project),
        "last_night": _nightly(report.now),
        "night_before": None if report.before is None else _nightly(report.before),
        "week": None if week is None else {
            "nights": week.nights,
            **week.figures,
            "best": _by_metric(week.best),
            "typical": _by_metric(week.typical),
            "dims": dict(week.dims),
        },
        "scores": [_move(move, digest, links) for move in report.moves],
        "cases_fallen": [asdict(one) for one in report.fallen],
    }  # fmt: skip


def _nightly(night: Nightly) -> dict[str, Any]:
    return {
        "night": night.night.isoformat(),
        "rounds": night.rounds,
        "kept": night.kept,
        "scored": night.scored,
        "broken": night.failed,
        "escalations": night.escalations,
        "escalated_to": dict(night.escalated_to),
        "cases_fallen": night.cases_fallen,
        "cost": _cost(night.cost, night.kept),
        "best": _by_metric(night.best),
        "typical": _by_metric(night.typical),
        "dims": dict(night.dims),
        "stop_reasons": dict(night.stops),
    }


def _by_metric(values: Mapping[str | None, float]) -> list[dict[str, Any]]:
    return [{"metric": metric, "score": score} for metric, score in values.items()]


def _move(move: ScoreMove, digest: Digest, links: Links) -> dict[str, Any]:
    return {
        "metric": move.line.metric,
        "direction": move.line.direction,
        "verdict": str(move.verdict),
        "says": sentences.moved(move),
        "best": _judged(move.best),
        "typical": _judged(move.typical),
        "noise": None if move.noise is None else asdict(move.noise),
        "judged_kept": move.judged_kept,
        "kept_on_noise": [
            {
                **asdict(replace(one, move=None)),
                "says": sentences.kept_line(one),
                "link": links.round(one.round_id),
            }
            for one in move.kept_on_noise
        ],
        "moved_at": None if move.since is None else {
            "round_id": move.since.round_id,
            "at": move.since.started_at.isoformat(),
            "link": links.round(move.since.round_id),
        },
        "changes_before": [
            {"at": one.at.isoformat(), "text": one.text} for one in digest.changes_before(move)
        ],
    }  # fmt: skip


def _judged(move: Move) -> dict[str, Any]:
    return {
        "verdict": str(move.verdict),
        "change": move.change,
        "low": move.low,
        "high": move.high,
        "confidence": move.confidence,
        "n": move.n,
        "n_before": move.n_before,
    }


def _loop(loop: Loop) -> dict[str, Any]:
    return {
        "project": loop.project,
        "client": loop.client,
        "name": words.loop_name(loop.project, loop.client),
        **_counts(loop.counts),
        "before": None
        if loop.before is None or loop.before_night is None
        else {"night": loop.before_night.isoformat(), **_counts(loop.before)},
        "failure_modes": [{"word": word, "times": n} for word, n in loop.failure_modes],
        "stop_reasons": [{"word": word, "times": n} for word, n in loop.stop_reasons],
        "scores": [_score(line) for line in loop.scores],
    }


def _counts(counts: Counts) -> dict[str, Any]:
    interval = wilson(min(counts.kept, counts.rounds), counts.rounds)
    return {
        "rounds": counts.rounds,
        "kept": counts.kept,
        "reverted": counts.reverted,
        "open": counts.open,
        "scored": counts.scored,
        "kept_rate": counts.kept / counts.rounds if counts.rounds else None,
        "kept_rate_interval": None if interval is None else asdict(interval),
        "stages": [asdict(stage) for stage in counts.stages],
        "cost": _cost(counts.cost, counts.kept),
    }


def _cost(cost: Cost, kept: int) -> dict[str, Any]:
    return {
        "known_usd": cost.known_usd,
        "rounds_known": cost.rounds_known,
        "rounds": cost.rounds,
        "complete": cost.complete,
        "per_kept_usd": cost.per(kept),
        "text": words.cost(cost),
        "per_kept_text": words.cost_per_kept(cost, kept),
    }


def _score(line: ScoreLine) -> dict[str, Any]:
    found = asdict(line)
    for name in ("before", "standing"):
        if found[name] is not None:
            found[name]["night"] = found[name]["night"].isoformat()
    found["progress"]["evidence"] = words.evidence(line.progress)
    found["change_text"] = words.change(line)
    return found
