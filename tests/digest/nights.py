"""Six nights of four made-up loops, always the same, for the tests of the whole digest."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.pane_events import event, one_round

EVENING = datetime(2026, 3, 8, 21, tzinfo=UTC)
NIGHTS, ROUNDS = 6, 24


def nights() -> list[dict[str, Any]]:
    """Return the events.

    ``rising`` is better by ten deviations of its noise last night, from its seventh round on;
    ``falling`` is worse by ten, crashes, costs more and lets a case fall in a kept round;
    ``still`` measures the same thing first in each night, and tries wild things then;
    ``ruled`` tells its keep rule's limit.
    """
    rng, events = random.Random(11), []
    for ago in reversed(range(NIGHTS)):
        for name in ("rising", "falling", "still", "ruled"):
            events += _night(rng, name, ago)
    return events


def _night(rng: random.Random, name: str, ago: int) -> list[dict[str, Any]]:
    start, events = EVENING - timedelta(days=ago), []
    last = ago == 0
    for i in range(ROUNDS):
        at = start + timedelta(minutes=10 * i)
        score = 100 + rng.gauss(0, 20 if name == "still" and i else 1)
        if last and name == "rising" and i >= 6:
            score += 10
        if last and name == "falling":
            score -= 10
        kept = i % 4 == 1 and not (last and name == "falling" and i > 1)
        broken = name == "falling" and last and i % 3 == 0
        end: dict[str, Any] = {"cost_usd": 1.0 if last and name == "falling" else 0.5}
        if kept:
            end["delta"] = 10.0 if last and name == "rising" and i == 9 else 0.2
        if kept and name == "ruled":
            low = 0.1 if i == 1 else -0.1
            end |= {"keep_rule": "noise_aware", "keep_low": low, "keep_n": 5, "keep_n_best": 5}
        events += one_round(
            at, project=name, client="nights", score=score, kept=kept, end=end, run=f"{name}{ago}",
            direction="max", failure_mode="crash" if broken else "score_missed",
        )  # fmt: skip
        if name == "still" and i == 0:
            # What the first round measures is unchanged: nothing is kept in this loop.
            events[0]["properties"] |= {"is_baseline": True, "git_sha": "abc1234"}
    if name == "still":
        events = [one for one in events if one["event"] != "round_kept"]
    for one in events:
        if one["event"] == "round_scored":
            one["properties"] |= {"dim_safety": 0.4 if last else 0.6, "dim_clarity": 0.9}
    if last:
        events += _happenings(name, events)
    return events


def _happenings(name: str, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    here = {"project": name, "client": "nights"}
    stop = event("stop_triggered", EVENING + timedelta(hours=5), **here, reason="budget")
    models = {"from_model": "small", "to_model": "large"}
    found = [stop, event("model_escalated", EVENING + timedelta(hours=4), **here, **models)]
    if name == "falling":
        for fate, case in (("round_kept", "case-kept"), ("round_reverted", "case-reverted")):
            round_id = next(one["properties"]["round_id"] for one in events if one["event"] == fate)
            fell = {"case_id": case, "dim": "safety", "prior_score": 0.9, "new_score": 0.5}
            found.append(event("eval.regression", EVENING + timedelta(minutes=20), **here,
                               round_id=round_id, delta=-0.4, **fell))  # fmt: skip
    return found
