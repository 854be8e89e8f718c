"""Whether a score moved, or whether the noise of measuring explains it.

Two questions, since no single figure answers both. The *best* of a night is what the loop has to
show, but it is the luckiest of many: its expectation grows with the number of rounds even when no
round is better than another (the winner's curse). So the interval of a difference of two bests is
widened as for the best of that many candidates, by Bonferroni's bound, on the side where being
lucky would help. The *typical* score, a trimmed mean, is not drawn upwards by trying more often.
Scores are higher-is-better in here; a caller turns the others around.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise
from statistics import fmean, variance

from nightpane.stats.robust import median
from nightpane.stats.student import t_quantile

__all__ = [
    "MIN_DISCARDS",
    "MIN_REPEATS",
    "MIN_TYPICAL",
    "Measured",
    "Move",
    "Moved",
    "Noise",
    "best_moved",
    "change_point",
    "discarded_noise",
    "gain_moved",
    "noise_of",
    "repeated_noise",
    "together",
    "typical",
    "typical_moved",
    "welch",
]

# Of each of the two questions, so that both together are wrong in at most 5 of 100 nights.
CONFIDENCE = 0.975
_HALF = (1 - CONFIDENCE) / 2
MIN_REPEATS = 4  # degrees of freedom: fewer say too little, and may be all the same by luck
MIN_DISCARDS = 8
MIN_TYPICAL = 8
TRIM = 0.2
_ONE_SIDED = 0.9  # 5 % beyond the one limit that is looked at
_HEAVY = 0.05  # how often a normal's noise is taken for a heavy-tailed one, at most
# A median of absolute deviations is worth 0.367 of the values (Rousseeuw and Croux 1993), and
# successive differences two thirds of them (von Neumann 1941).
_WORTH = 0.245
_NORMAL_CONSISTENCY = 1.4826


class Moved(StrEnum):
    """What can be said of a difference between two nights."""

    IMPROVED = "improved"
    WORSE = "worse"
    WITHIN_NOISE = "within noise"
    NOT_ENOUGH_DATA = "not enough data"


@dataclass(frozen=True, slots=True)
class Measured:
    """A score that is the mean of ``times`` measurements."""

    score: float
    times: int = 1


@dataclass(frozen=True, slots=True)
class Noise:
    """The standard deviation of one measurement, known to ``freedom`` degrees from ``n`` values.

    ``is_repeated`` tells that the same thing was measured again; else the spread holds the
    proposals' own differences too and bounds the noise from above. ``is_heavy`` tells that single
    scores stand out upwards further than a normal's would: then no one best score proves anything.
    """

    sd: float
    freedom: float
    n: int
    is_repeated: bool
    is_heavy: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A difference, positive for better, with its interval at ``confidence`` and the verdict.

    Interval, and what it was made from, are None when there was not enough data.
    """

    verdict: Moved
    change: float | None = None
    low: float | None = None
    high: float | None = None
    confidence: float = CONFIDENCE
    freedom: float | None = None
    noise: Noise | None = None
    n: int = 0
    n_before: int = 0


def repeated_noise(groups: Iterable[Sequence[Measured]]) -> Noise | None:
    """Return the noise that measurements of the same things show, None when nothing was repeated.

    Each group holds measurements of one unchanged thing. The pooled variance within groups, each
    score weighed by its measurements, as a mean of m has a variance m times smaller.
    Source of the pooling: Bartlett 1937, "Properties of sufficiency and statistical tests".
    """
    squares, freedom, n = 0.0, 0, 0
    for group in groups:
        if len(group) < 2:
            continue
        weight = sum(one.times for one in group)
        centre = math.fsum(one.times * one.score for one in group) / weight
        squares += math.fsum(one.times * (one.score - centre) ** 2 for one in group)
        freedom += len(group) - 1
        n += len(group)
    if not freedom:
        return None
    return Noise(math.sqrt(squares / freedom), float(freedom), n, is_repeated=True)


def discarded_noise(nights: Iterable[Sequence[float]]) -> Noise | None:
    """Return the spread of the discarded scores of each night, None for fewer than 8.

    ``noise_scale`` over the nights together: no difference is taken across two of them. Where
    more than half of the differences are zero, the root of their mean square (von Neumann 1941).
    """
    runs = [list(scores) for scores in nights if len(scores) > 1]
    steps = [b - a for scores in runs for a, b in pairwise(scores)]
    n = sum(len(scores) for scores in runs)
    if n < MIN_DISCARDS:
        return None
    sd = _NORMAL_CONSISTENCY * median([abs(step) for step in steps]) / math.sqrt(2)
    if sd == 0:
        sd = math.sqrt(math.fsum(step * step for step in steps) / len(steps) / 2)
    found = Noise(sd, max(1.0, _WORTH * len(steps)), n, is_repeated=False)
    return replace(found, is_heavy=_highest_peak(runs) > _reach(found, n, _HEAVY) > 0)


def _highest_peak(runs: Sequence[Sequence[float]]) -> float:
    """Return by how much a score stood out over both of its neighbours: not moved by a slow drift,
    nor by a wild score downwards."""
    trios = (trio for scores in runs for trio in zip(scores, scores[1:], scores[2:], strict=False))
    return max((middle - max(left, right) for left, middle, right in trios), default=0.0)


def _reach(noise: Noise, n: int, chance: float) -> float:
    """Return how far the noise alone takes the luckiest of ``n``, but for a ``chance``."""
    return noise.sd * t_quantile(1 - chance / max(n, 1), noise.freedom)


def noise_of(
    repeats: Iterable[Sequence[Measured]], discards: Iterable[Sequence[float]]
) -> Noise | None:
    """Return the noise to judge by, None when neither is known well enough.

    Of repeated measurements (4 degrees of freedom or more) and the discarded scores' spread, which
    only bounds the noise, the one that leaves a night of 100 rounds less room; but a
    heavy-tailed spread only where there are no repeats.
    """
    repeated, discarded = repeated_noise(repeats), discarded_noise(discards)
    if repeated is None or repeated.freedom < MIN_REPEATS:
        return discarded
    if discarded is None or discarded.is_heavy:
        return repeated
    return min(repeated, discarded, key=lambda noise: _reach(noise, 100, _HALF))


def best_moved(
    best: Measured,
    before: Measured,
    noise: Noise | None,
    *,
    n: int,
    n_before: int,
    confidence: float = CONFIDENCE,
) -> Move:
    """Return whether the best of ``n`` rounds is better or worse than the best of ``n_before``.

    Student's interval of a difference; its lower limit at the level of one candidate among ``n``
    against one given score, its upper limit the other way round (Bonferroni; Dunn 1961,
    "Multiple comparisons among means"). Within noise where the noise is heavy-tailed: a normal's
    quantiles say nothing of its luckiest.
    """
    if noise is None:
        return Move(verdict=Moved.NOT_ENOUGH_DATA, change=best.score - before.score,
                    n=n, n_before=n_before)  # fmt: skip
    change = best.score - before.score
    error = math.sqrt(1 / best.times + 1 / before.times)
    half = (1 - confidence) / 2
    low = change - _reach(noise, n, half) * error
    high = change + _reach(noise, n_before, half) * error
    return Move(
        verdict=Moved.WITHIN_NOISE if noise.is_heavy else _verdict(low, high),
        change=change, low=low, high=high, confidence=confidence,
        freedom=noise.freedom, noise=noise, n=n, n_before=n_before,
    )  # fmt: skip


def gain_moved(
    gain: float, noise: Noise | None, *, tried: int, times: int = 1, times_before: int = 1
) -> Move:
    """Return whether a kept round's ``gain`` lies beyond noise, ``tried`` rounds having had the
    chance to be kept in its place. One-sided at 95 %, Bonferroni's bound as in ``best_moved``."""
    return best_moved(
        Measured(gain, times), Measured(0.0, times_before), noise,
        n=tried, n_before=tried, confidence=_ONE_SIDED,
    )  # fmt: skip


def typical(scores: Sequence[float]) -> float:
    """Return the mean without a fifth of the scores at either end.

    Raises ValueError when there are none.
    """
    if not scores:
        raise ValueError("no scores have no typical one")
    ranked, out = sorted(scores), math.floor(TRIM * len(scores))
    return fmean(ranked[out : len(ranked) - out])


def typical_moved(scores: Sequence[float], before: Sequence[float]) -> Move:
    """Return whether a night's typical score is better or worse than another's.

    Welch's interval between means that leave out a fifth of the scores at either end, so that a few
    wild proposals do not decide. Not enough data with fewer than 8 scores on either side.
    Source: Yuen 1974, "The two-sample trimmed t for unequal population variances".
    """
    n, n_before = len(scores), len(before)
    if min(n, n_before) < MIN_TYPICAL:
        return Move(verdict=Moved.NOT_ENOUGH_DATA, n=n, n_before=n_before)
    return welch(scores, before, trim=TRIM)


def welch(
    scores: Sequence[float],
    before: Sequence[float],
    *,
    trim: float = 0.0,
    confidence: float = CONFIDENCE,
) -> Move:
    """Return the difference of two means with unequal variances, and its interval.

    ``trim`` is the share left out at either end. When what is left has no spread, nothing is left
    out. Raises ValueError for fewer than two scores on a side. Sources: Welch 1947, "The
    generalization of Student's problem when several different population variances are
    involved"; Yuen 1974 for the trimmed means.
    """
    if min(len(scores), len(before)) < 2:
        raise ValueError("Welch's interval takes two scores or more on each side")
    sides = [_trimmed(side, trim) for side in (scores, before)]
    total = sum(part for _, part, _ in sides)
    if total == 0 and trim:
        return welch(scores, before, confidence=confidence)
    change = sides[0][0] - sides[1][0]
    margin, freedom = 0.0, math.inf
    if total > 0:
        freedom = 1 / sum((part / total) ** 2 / (count - 1) for _, part, count in sides)
        margin = t_quantile(0.5 + confidence / 2, freedom) * math.sqrt(total)
    low, high = change - margin, change + margin
    return Move(
        verdict=_verdict(low, high), change=change, low=low, high=high, confidence=confidence,
        freedom=freedom, n=len(scores), n_before=len(before),
    )  # fmt: skip


def together(best: Move, typical: Move) -> Moved:
    """Return what both questions say of a night: what either found, unless they contradict."""
    said = {best.verdict, typical.verdict}
    if {Moved.IMPROVED, Moved.WORSE} <= said:
        return Moved.WITHIN_NOISE
    for found in (Moved.IMPROVED, Moved.WORSE, Moved.WITHIN_NOISE):
        if found in said:
            return found
    return Moved.NOT_ENOUGH_DATA


def change_point(scores: Sequence[float]) -> int | None:
    """Return where the second part of a series begins if its level changed once, None under 2.

    The place where the cumulative sum of deviations from the mean is farthest from zero.
    Source: Pettitt 1980, "A simple cumulative sum type statistic for the change-point problem".
    """
    if len(scores) < 2:
        return None
    centre, total, best, where = fmean(scores), 0.0, -1.0, 1
    for i, score in enumerate(scores[:-1], start=1):
        total += score - centre
        if abs(total) > best:
            best, where = abs(total), i
    return where


def _trimmed(values: Sequence[float], trim: float) -> tuple[float, float, int]:
    """Return a trimmed mean, its squared error (from the winsorized variance), how many it took."""
    ranked = sorted(values)
    out = math.floor(trim * len(ranked))
    left = ranked[out : len(ranked) - out]
    winsorized = [left[0]] * out + left + [left[-1]] * out
    squares = (len(ranked) - 1) * variance(winsorized)
    return fmean(left), squares / (len(left) * (len(left) - 1)), len(left)


def _verdict(low: float, high: float) -> Moved:
    if low > 0:
        return Moved.IMPROVED
    return Moved.WORSE if high < 0 else Moved.WITHIN_NOISE
