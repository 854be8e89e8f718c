"""The whole digest's sentences on moves and noise, in one place, as ``words`` has the morning's."""

from __future__ import annotations

from datetime import tzinfo

from nightpane.digest import words
from nightpane.digest.compared import Change, Fallen, Kept, ScoreMove
from nightpane.stats import Move, Noise

__all__ = ["because", "change_line", "fallen_case", "interval", "kept_line", "moved", "noise_line"]


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
    """Return what the verdict against the night before rests on, in one line."""
    found = []
    for which, one in (("best", move.best), ("typical", move.typical)):
        if one.low is not None:
            found.append(f"{which} {interval(one)}")
    if not found:
        return _too_little(move)
    told = f"n = {move.typical.n:,} and {move.typical.n_before:,}, {noise_line(move.noise)}"
    return f"{'; '.join(found)}; {told}"


def _too_little(move: ScoreMove) -> str:
    if move.line.before is None:
        return "no night of the 30 days before to compare with"
    n, n_before = move.typical.n, move.typical.n_before
    return f"{n:,} and {n_before:,} scored rounds; a verdict takes 8 in each night"


def kept_line(kept: Kept) -> str:
    """Return why a kept round's gain is called noise."""
    rule = f" by {words.plain(kept.rule)}" if kept.rule else ""
    said = f"kept{rule} with a gain of {kept.gain:.3g}"
    if kept.move is None:
        return f"{said}; the loop's own lower limit is {kept.low:.3g}"
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
