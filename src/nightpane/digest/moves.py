"""Whether a loop's scores moved since the night before, and which rounds were kept on noise.

Judges by ``nightpane.stats``; here is only what counts as a repeated measurement: scores of one
round by one scorer, and baseline rounds between which nothing was kept and whose harness (its
commit, or at least the run) is the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nightpane.digest.build import Row
from nightpane.digest.compared import Kept, ScoreMove
from nightpane.digest.model import Round, ScoreLine
from nightpane.stats import (
    Measured,
    Move,
    Moved,
    Noise,
    best_moved,
    change_point,
    gain_moved,
    noise_of,
    together,
    typical_moved,
)

__all__ = ["LARGEST", "WEEK", "score_move"]

WEEK = 7
LARGEST = 1e100  # a score whose square is still a number: beyond it nothing can be judged

_Rounds = Sequence[Round]


def score_move(
    line: ScoreLine,
    nights: Mapping[int, _Rounds],
    before: int | None,
    known: Mapping[str, Row],
) -> ScoreMove:
    """Return how a metric moved.

    ``nights`` are the loop's rounds with this metric by how many nights ago they began, the oldest
    first; ``before`` is the night to compare with; ``known`` is what is known of rounds
    beside their score, by id. The discarded scores of the week tell the noise.
    """
    sign = -1.0 if line.direction == "min" else 1.0
    tonight = nights.get(0, ())
    earlier = () if before is None else nights.get(before, ())
    series = [one for ago in sorted(nights, reverse=True) for one in nights[ago]]
    near = [rounds for ago, rounds in nights.items() if ago <= WEEK or ago == before]
    discards = [_scores(_discarded(rounds), sign) for rounds in near]
    noise = noise_of(_repeats(series, known), discards)
    best = _best(line, earlier, noise, known)
    typical = typical_moved(_scores(tonight, sign), _scores(earlier, sign))
    verdict = together(best, typical)
    judged, on_noise = _kept(tonight, _kept_before(series, tonight, sign), noise, known, sign)
    return ScoreMove(
        line=line,
        verdict=verdict,
        best=best,
        typical=typical,
        noise=noise,
        since=_since(verdict, best, tonight, earlier, sign),
        kept_on_noise=on_noise,
        judged_kept=judged,
    )


def _scores(rounds: _Rounds, sign: float) -> list[float]:
    return [sign * one.score for one in rounds if one.score is not None]


def _discarded(rounds: _Rounds) -> list[Round]:
    return [one for one in rounds if one.status != "kept"]


def _kept_before(series: _Rounds, tonight: _Rounds, sign: float) -> float | None:
    """Return the best score that was kept before the night."""
    earlier = series[: len(series) - len(tonight)]
    return max(_scores([one for one in earlier if one.status == "kept"], sign), default=None)


def _repeats(series: _Rounds, known: Mapping[str, Row]) -> list[list[Measured]]:
    """Return groups of measurements, each of one thing that did not change in between."""
    again: list[list[Measured]] = []
    baselines: list[list[Measured]] = [[]]
    last: Row | None = None  # the baseline since which nothing was kept
    for one in series:
        row = known.get(one.round_id)
        if row is None or one.score is None:
            continue
        again.append([Measured(score) for score in row["scores"] if abs(score) < LARGEST])
        if row["baseline"]:
            if last is None or not _same_harness(last, row):
                baselines.append([])
            baselines[-1].append(Measured(one.score, _times(row)))
            last = row
        elif one.status == "kept":
            last = None
    return again + baselines


def _same_harness(one: Row, other: Row) -> bool:
    name = "run" if one["harness"] is None else "harness"
    return one[name] is not None and one[name] == other[name]


def _times(row: Row | None, name: str = "measurements") -> int:
    """Return how often a score was measured, as far as the round told."""
    return max(1, int((row or {}).get(name) or 1))


def _best(line: ScoreLine, before: _Rounds, noise: Noise | None, known: Mapping[str, Row]) -> Move:
    if line.best is None or line.before is None:
        return Move(verdict=Moved.NOT_ENOUGH_DATA, n=line.n_scored)
    if max(abs(line.best), abs(line.before.score)) >= LARGEST:
        return Move(verdict=Moved.NOT_ENOUGH_DATA, n=line.n_scored)
    sign = -1.0 if line.direction == "min" else 1.0
    held = next((one.round_id for one in before if one.score == line.before.score), "")
    return best_moved(
        Measured(sign * line.best, _times(known.get(line.best_round_id or ""))),
        Measured(sign * line.before.score, _times(known.get(held))),
        noise,
        n=line.n_scored,
        n_before=len(_scores(before, sign)),
    )


def _kept(
    tonight: _Rounds, best: float | None, noise: Noise | None, known: Mapping[str, Row], sign: float
) -> tuple[int, tuple[Kept, ...]]:
    """Return how many kept rounds could be judged, and those whose gain is within noise."""
    judged, on_noise, tried = 0, [], 0
    for one in tonight:
        row = known.get(one.round_id)
        if one.score is None:
            continue
        tried += 1
        if one.status != "kept" or row is None:
            continue
        gain = _gain(row, sign * one.score, best)
        best = sign * one.score if best is None else max(best, sign * one.score)
        found = None if row["baseline"] or gain is None else _judged(one, row, gain, tried, noise)
        tried = 0
        if found is not None:
            judged += 1
            on_noise += [found] if found.is_noise else []
    return judged, tuple(on_noise)


def _gain(row: Row, score: float, best: float | None) -> float | None:
    """Return what the round gained: as it told, else over the best kept score before it."""
    if row["delta"] is not None:
        return float(row["delta"])
    return None if best is None else score - best


def _judged(one: Round, row: Row, gain: float, tried: int, noise: Noise | None) -> Kept | None:
    """Return the judgement, None where there is none to make: no gain, or no measure of noise."""
    low = row["low"]
    move = None
    if low is None:
        times = {"times": _times(row, "n"), "times_before": _times(row, "n_best")}
        move = gain_moved(gain, noise, tried=tried, **times)
        if move.verdict is Moved.NOT_ENOUGH_DATA:
            return None
    if gain <= 0:  # kept for another reason, such as being as good and cheaper
        return None
    return Kept(round_id=one.round_id, gain=gain, tried=tried, rule=row["rule"], low=low, move=move)


def _since(
    verdict: Moved, best: Move, tonight: _Rounds, before: _Rounds, sign: float
) -> Round | None:
    """Return the first round after the move: the first that alone is better than noise allows, else
    the one where the level of both nights changed."""
    if verdict not in (Moved.IMPROVED, Moved.WORSE):
        return None
    scored = [one for one in tonight if one.score is not None]
    if best.verdict is Moved.IMPROVED and best.low is not None and best.change is not None:
        reached = max(_scores(scored, sign), default=0.0) - best.low
        return next((one for one in scored if sign * (one.score or 0.0) > reached), None)
    both = [one for one in before if one.score is not None] + scored
    at = change_point(_scores(both, sign))
    return None if at is None else both[at]
