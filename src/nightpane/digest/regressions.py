"""What got worse since the night before, each with its figures, n and method.

Only what a test tells from chance is a regression, at 5 % each; and cases of a suite that fell in
a round that stands, which is a fact and needs no test.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nightpane.boards.rounds import BROKEN
from nightpane.digest import words
from nightpane.digest.compared import Fallen, LoopReport, Regression, ScoreMove
from nightpane.digest.sentences import because, fallen_case, interval
from nightpane.stats import Moved, binomial_at_most, fisher_more

__all__ = ["regressions"]

ALPHA = 0.05
_SHOWN = 3
_ORDER = ("score", "eval", "cost", "failures")


def regressions(loops: Sequence[LoopReport]) -> tuple[Regression, ...]:
    """Return all loops' regressions, scores first."""
    found = [one for loop in loops for one in _of(loop)]
    return tuple(sorted(found, key=lambda one: _ORDER.index(one.kind)))


def _of(report: LoopReport) -> Iterator[Regression]:
    for move in report.moves:
        if move.verdict is Moved.WORSE:
            yield _score(report, move)
    if report.fallen:
        yield _cases(report, report.fallen)
    for found in (_cost(report), _failures(report)):
        if found is not None:
            yield found


def _score(report: LoopReport, move: ScoreMove) -> Regression:
    metric = words.metric_name(move.line.metric)
    which, judged = ("best", move.best)
    if judged.verdict is not Moved.WORSE:
        which, judged = "typical", move.typical
    return Regression(
        kind="score",
        project=report.loop.project,
        client=report.loop.client,
        says=f"the {which} {metric} is worse by {abs(judged.change or 0):.3g}",
        evidence=f"{interval(judged)}; {because(judged, which)}",
        rounds=() if move.since is None else (move.since.round_id,),
    )


def _cases(report: LoopReport, fallen: Sequence[Fallen]) -> Regression:
    rounds = tuple(dict.fromkeys(one.round_id for one in fallen if one.round_id))
    shown = "; ".join(fallen_case(one) for one in fallen[:_SHOWN])
    rest = len(fallen) - _SHOWN
    more = f"; {rest} more" if rest > 0 else ""
    taken = report.now.cases_fallen - len(fallen)
    also = f" ({taken:,} more fell in rounds that were reverted)" if taken > 0 else ""
    noun = "case" if len(fallen) == 1 else "cases"
    return Regression(
        kind="eval",
        project=report.loop.project,
        client=report.loop.client,
        says=f"{len(fallen):,} {noun} of a suite fell in rounds that stand",
        evidence=f"{shown}{more}{also}",
        rounds=rounds[:_SHOWN],
    )


def _cost(report: LoopReport) -> Regression | None:
    """Fewer kept rounds for the money: the kept ones of both nights shared out by cost."""
    now, before = report.now, report.before
    if before is None or not (now.cost.complete and before.cost.complete):
        return None
    spent, spent_before = now.cost.known_usd or 0, before.cost.known_usd or 0
    kept = now.kept + before.kept
    if spent <= 0 or spent_before <= 0 or not kept:
        return None
    p = binomial_at_most(now.kept, kept, spent / (spent + spent_before))
    if p > ALPHA:
        return None
    each = words.cost_per_kept(now.cost, now.kept)
    told = "no round was kept" if not now.kept else f"a kept round costs {each}"
    return Regression(
        kind="cost",
        project=report.loop.project,
        client=report.loop.client,
        says=f"{told}, against {words.cost_per_kept(before.cost, before.kept)}",
        evidence=(
            f"{now.kept} kept for {words.usd(spent)}, {before.kept} for {words.usd(spent_before)} "
            f"before; {words.p_value(p)} at an unchanged rate (exact, one-sided)"
        ),
        p=p,
    )


def _failures(report: LoopReport) -> Regression | None:
    now, before = report.now, report.before
    if before is None or not now.failed:
        return None
    of = [(one.failed, max(one.rounds, one.failed)) for one in (now, before)]
    p = fisher_more(*of[0], *of[1])
    if p > ALPHA:
        return None
    kinds = tuple((word, n) for word, n in report.loop.failure_modes if word in BROKEN)
    return Regression(
        kind="failures",
        project=report.loop.project,
        client=report.loop.client,
        says=f"{now.failed:,} of {now.rounds:,} rounds broke ({words.listed(kinds)})",
        evidence=(
            f"{before.failed:,} of {before.rounds:,} before; {words.p_value(p)} at an unchanged "
            "rate (Fisher, exact, one-sided)"
        ),
        rounds=report.broken[-_SHOWN:],
        p=p,
    )
