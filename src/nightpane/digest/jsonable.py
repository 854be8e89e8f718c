"""The morning as JSON values, for programs: figures, sentences, and the queries behind them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from nightpane.digest import words
from nightpane.digest.model import Cost, Counts, Loop, Morning, ScoreLine
from nightpane.stats import wilson

__all__ = ["to_json"]


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
