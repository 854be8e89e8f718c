"""Whether a loop is improving, on a plateau or stuck, said with the evidence.

The rules, in order, over the rounds of one window (a night) of one loop and one metric:

1. stuck: the last ``FAILING`` or more rounds all ended without a score.
2. not enough data: fewer than ``MIN_SCORED`` scored rounds.
3. stuck: no new best at all in ``STUCK_AFTER`` or more scored rounds; with fewer, not enough data.
4. plateau: there were new bests, but ``MIN_GAP`` or more scored rounds have passed since the last,
   and at the earlier pace a gap that long has a chance of at most ``ALPHA`` (``gap_probability``).
5. improving: chance alone would give so many new bests (``record_probability``), or so steady
   a rise (``mann_kendall``), with probability at most ``ALPHA``; the smaller of the two is doubled
   (Bonferroni), since two tests were tried.
6. unclear: new bests, but no more than chance gives.

A new best is strictly better than everything before, the standing best from before the window
included. On pure noise rule 5 speaks falsely at most once in 20 looks, whatever the noise's
distribution; that is per look, so watching after every round will see it more often.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from nightpane.stats.intervals import rate_upper_bound
from nightpane.stats.records import gap_probability, record_probability
from nightpane.stats.robust import noise_scale
from nightpane.stats.trend import mann_kendall

__all__ = ["MIN_SCORED", "Attempt", "Progress", "Verdict", "judge"]

ALPHA = 0.05
MIN_SCORED = 8
STUCK_AFTER = 20
MIN_GAP = 10
FAILING = 10


class Verdict(StrEnum):
    """What can be said of a loop's progress."""

    IMPROVING = "improving"
    PLATEAU = "plateau"
    STUCK = "stuck"
    UNCLEAR = "unclear"
    NOT_ENOUGH_DATA = "not enough data"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One round as the statistics see it: its score (None when it has none) and its end."""

    score: float | None
    kept: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A verdict with the numbers it rests on.

    ``n_scored`` rounds had a score; ``new_bests`` of them beat everything before; ``since_best``
    scored rounds have passed since the last; ``unscored_in_a_row`` rounds at the end had no score.
    ``gain`` is how far the best moved, positive for better; ``noise`` the spread between successive
    discarded scores over ``n_discards``. ``p_improving`` is the chance of such a rise without any
    improvement, ``p_gap`` that of so long a gap at the earlier pace, ``rate_bound`` the highest
    chance per round of a new best that still fits the rounds since the last (95 %).
    A number that was not worked out is None.
    """

    verdict: Verdict
    n_scored: int
    n_prior: int
    new_bests: int
    since_best: int
    unscored_in_a_row: int
    gain: float | None = None
    noise: float | None = None
    n_discards: int = 0
    p_improving: float | None = None
    p_gap: float | None = None
    rate_bound: float | None = None


def judge(
    attempts: Sequence[Attempt],
    *,
    lower_is_better: bool = False,
    prior_best: float | None = None,
    n_prior: int = 0,
) -> Progress:
    """Return what the rounds, in order of time, say about progress (rules: this module's text).

    ``prior_best`` is the standing best from before the window, ``n_prior`` the scored rounds from
    the one that set it to the window, itself included: only those were tried at the level that
    tonight's rounds start from, so only those count as draws that tonight has to beat.
    """
    sign = -1.0 if lower_is_better else 1.0
    scores = [sign * a.score for a in attempts if a.score is not None]
    discards = [sign * a.score for a in attempts if a.score is not None and not a.kept]
    start = None if prior_best is None else sign * prior_best
    prior = max(n_prior, 1) if start is not None else 0
    new_bests, since_best, gain = _bests(scores, start)
    unscored = _unscored_at_end(attempts)
    p_gap = gap_probability(new_bests, len(scores) - since_best, since_best) if new_bests else None
    p_improving = _p_improving(scores, new_bests, prior) if len(scores) >= MIN_SCORED else None
    return Progress(
        verdict=_verdict(len(scores), new_bests, since_best, unscored, p_gap, p_improving),
        n_scored=len(scores),
        n_prior=prior,
        new_bests=new_bests,
        since_best=since_best,
        unscored_in_a_row=unscored,
        gain=gain,
        noise=noise_scale(discards),
        n_discards=len(discards),
        p_improving=p_improving,
        p_gap=p_gap,
        rate_bound=rate_upper_bound(since_best) if since_best else None,
    )


def _verdict(
    n: int,
    new_bests: int,
    since_best: int,
    unscored: int,
    p_gap: float | None,
    p_improving: float | None,
) -> Verdict:
    if unscored >= FAILING:
        return Verdict.STUCK
    if n < MIN_SCORED:
        return Verdict.NOT_ENOUGH_DATA
    if new_bests == 0:
        return Verdict.STUCK if n >= STUCK_AFTER else Verdict.NOT_ENOUGH_DATA
    if p_gap is not None and since_best >= MIN_GAP and p_gap <= ALPHA:
        return Verdict.PLATEAU
    if p_improving is not None and p_improving <= ALPHA:
        return Verdict.IMPROVING
    return Verdict.UNCLEAR


def _bests(scores: Sequence[float], start: float | None) -> tuple[int, int, float | None]:
    """Return how often the best rose, how many scores ago it last did, and by how much in all."""
    if not scores:
        return 0, 0, None
    first = scores[0] if start is None else start
    best, found, since = first, 0, 0
    for i, score in enumerate(scores):
        if score > best:
            best, found, since = score, found + 1, 0
        elif i > 0 or start is not None:
            since += 1
    return found, since, best - first


def _p_improving(scores: Sequence[float], new_bests: int, prior: int) -> float:
    by_records = record_probability(new_bests, len(scores), prior=prior)
    return min(1.0, 2 * min(by_records, mann_kendall(scores).p_rising))


def _unscored_at_end(attempts: Sequence[Attempt]) -> int:
    count = 0
    for attempt in reversed(attempts):
        if attempt.score is not None:
            break
        count += 1
    return count
