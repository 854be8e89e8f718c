"""The whole digest's sentences on moves and noise, in one place, as ``words`` has the morning's."""

from __future__ import annotations

from datetime import tzinfo

from nightpane.digest import words
from nightpane.digest.compared import Change, Fallen, Kept, ScoreMove
from nightpane.stats import Move, Noise

__all__ = [
    "because",
    "change_line",
    "fallen_case",
    "interval",
    "kept_line",
    "moved",
    "moved_why",
    "noise_line",
]


def interval(move: Move) -> str:
    """Return a difference with its interval; positive is better."""
    if move.change is None or move.low is None or move.high is None:
        return "no interval"
    share = f"{move.confidence * 100:.3g} %"
    return f"{move.change:+.3g} ({share} interval {move.low:+.3g} to {move.high:+.3g})"


def because(move: Move, which: str) -> str:
    """Return n and method of a judgement."""
    rounds = f"n = {move.n:,} and {move.n_before:,}"
    if which == "typical":
        return f"{rounds}; trimmed means, Yuen-Welch"
    return f"{rounds}; Student with Bonferroni for the luckiest of n, {noise_line(move.noise)}"


def noise_line(noise: Noise | None) -> str:
    """Return the noise and where it is known from."""
    if noise is None:
        return "noise not known"
    of = "repeated measurements" if noise.is_repeated else "discarded scores, an upper bound"
    heavy = "; single scores stand out too far for a verdict on the best" if noise.is_heavy else ""
    return f"noise {noise.sd:.2g} from {noise.n:,} {of}{heavy}"


def moved(move: ScoreMove) -> str:
    """Return how a metric stands against the night before, in a short line."""
    metric, found = words.metric_name(move.line.metric), []
    for which, one in (("best", move.best), ("typical", move.typical)):
        if one.change is None or one.low is None:
            continue
        sense = "better" if one.change > 0 else "worse"
        amount = f"{abs(one.change):.3g} {sense}" if one.change else "the same"
        also = "" if one.verdict is move.verdict else f" ({one.verdict})"
        found.append(f"{which} {metric} {amount}{also}")
    return ", ".join(found) or _too_little(move)


def moved_why(move: ScoreMove) -> str:
    """Return what that rests on: intervals, n and noise; empty when there is no interval."""
    judged = (("best", move.best), ("typical", move.typical))
    found = [f"{which} {_range(one)}" for which, one in judged if one.low is not None]
    if not found:
        return ""
    share = f"{move.best.confidence * 100:.3g} %"
    n = f"n = {move.line.n_scored:,} and {move.typical.n_before:,}"
    return f"{share} intervals: {', '.join(found)}; {n}; {noise_line(move.noise)}"


def _range(move: Move) -> str:
    return f"{move.low or 0:+.3g} to {move.high or 0:+.3g}"


def _too_little(move: ScoreMove) -> str:
    if move.line.before is None:
        return "no night of the 30 days before to compare with"
    n, n_before = move.typical.n, move.typical.n_before
    return f"{n:,} and {n_before:,} scored rounds; a verdict takes 8 in each night"


def kept_line(kept: Kept) -> str:
    """Return why a kept round's gain is called noise."""
    rule = f", kept by {words.plain(kept.rule)}" if kept.rule else ""
    said = f"gained {kept.gain:.3g}{rule}"
    if kept.move is None:
        return f"{said}; the loop's own lower limit is {kept.low or 0:.3g}"
    margin = kept.gain - (kept.move.low or 0)
    chances = "1 round" if kept.tried == 1 else f"the best of {kept.tried} rounds"
    return f"{said}; noise alone gives {chances} up to {margin:.3g} (95 %)"


def fallen_case(case: Fallen) -> str:
    """Return how far a case fell."""
    name = words.plain(case.case_id, longest=40)
    if case.dim:
        name += f" ({words.plain(case.dim, longest=30)})"
    if case.prior_score is not None and case.new_score is not None:
        return f"{name} {words.score(case.prior_score)} to {words.score(case.new_score)}"
    return f"{name} fell" if case.delta is None else f"{name} by {abs(case.delta):.3g}"


def change_line(change: Change, tz: tzinfo | None) -> str:
    """Return an annotation with its time in the zone ``tz``."""
    return f"{change.at.astimezone(tz):%-d %b %H:%M}  {words.plain(change.text, longest=120)}"
