"""The digest's sentences and figures as text: one place, so that all renderers say the same.

Text that comes from the data goes through ``plain`` first: on one line, with no control character
that could move a terminal's cursor or turn a line's direction.
"""

from __future__ import annotations

import math
import unicodedata
from datetime import datetime, timedelta

from nightpane.digest.model import Cost, Morning, ScoreLine
from nightpane.stats import MIN_SCORED, Progress, Verdict
from nightpane.stats.progress import FAILING, STUCK_AFTER

__all__ = [
    "age",
    "change",
    "cost",
    "cost_per_kept",
    "evidence",
    "headline",
    "listed",
    "loop_name",
    "metric_name",
    "next_steps",
    "p_value",
    "plain",
    "score",
    "usd",
]


def plain(text: str, *, longest: int = 80) -> str:
    """Return text from the data on one line, without control or direction characters."""
    kept = "".join(
        " " if char.isspace() else "�" if unicodedata.category(char) in ("Cc", "Cf", "Cs") else char
        for char in text[: longest * 4]
    )
    kept = " ".join(kept.split())
    return kept if len(kept) <= longest else kept[: longest - 1] + "…"


def score(value: float | None) -> str:
    """Return a score with six significant digits."""
    return "–" if value is None else f"{value:.6g}"


def usd(value: float | None) -> str:
    """Return an amount in dollars: to the cent, or to two significant digits when it is less."""
    if value is None:
        return "unknown"
    digits = 2 if value == 0 else max(2, 1 - math.floor(math.log10(abs(value))))
    return f"${value:,.{digits}f}"


def cost(value: Cost) -> str:
    """Return what is known of a cost, with how much of it is."""
    if value.known_usd is None:
        return "unknown"
    if value.complete:
        return usd(value.known_usd)
    known, rounds = value.rounds_known, value.rounds
    return f"at least {usd(value.known_usd)} (known for {known} of {_n(rounds, 'round')})"


def cost_per_kept(counts: Cost, kept: int) -> str:
    """Return the cost of one kept round, all rounds' cost shared out over the kept ones."""
    if kept == 0:
        return "no round kept"
    each = counts.per(kept)
    return usd(each) if counts.complete or each is None else f"at least {usd(each)}"


def change(line: ScoreLine) -> str:
    """Return how the night's best stands against the night before."""
    if line.best is None:
        return "no score"
    if line.before is None or line.change is None:
        return "no night of the 30 days before to compare with"
    word = "better" if line.change > 0 else "worse" if line.change < 0 else "the same"
    amount = f"{abs(line.change):.3g} {word}" if line.change else word
    return f"{amount} {'than' if line.change else 'as'} {score(line.before.score)}"


def listed(counts: tuple[tuple[str, int], ...], *, most: int = 6) -> str:
    """Return words with how often they occurred, such as "crash 3, timeout 1"."""
    shown = [f"{plain(word, longest=40)} {times:,}" for word, times in counts[:most]]
    rest = len(counts) - most
    return ", ".join(shown + ([f"{rest} more kinds"] if rest > 0 else [])) or "none"


def loop_name(project: str, client: str) -> str:
    """Return a loop's name; the client only where it is not the default."""
    name = plain(project, longest=40)
    return name if client == "internal" else f"{name} · {plain(client, longest=40)}"


def metric_name(metric: str | None) -> str:
    """Return a metric's name, "score" where none was given."""
    return "score" if metric is None else plain(metric, longest=40)


def age(then: datetime, now: datetime) -> str:
    """Return how long ago a time was, in its largest unit."""
    passed = now - then
    if passed < timedelta(minutes=2):
        return "just now"
    for unit, seconds in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if passed.total_seconds() >= 2 * seconds or unit == "minute":
            return f"{int(passed.total_seconds() // seconds)} {unit}s ago"
    raise AssertionError("the last unit always fits")


def headline(morning: Morning) -> str:
    """Return the night in one sentence."""
    if not morning.loops:
        return f"No rounds in the night of {morning.night.label}."
    rounds, kept = _n(morning.total_rounds, "round"), f"{morning.total_kept:,}"
    if len(morning.loops) > 1:
        verdicts = [line.progress.verdict for loop in morning.loops for line in loop.scores]
        said = [
            f"{verdicts.count(verdict)} {phrase}"
            for verdict, phrase in _PHRASES.items()
            if verdict in verdicts
        ]
        return f"{len(morning.loops)} loops ran {rounds} and kept {kept}: {', '.join(said)}."
    loop = morning.loops[0]
    text = f"{loop_name(loop.project, loop.client)} ran {rounds} and kept {kept}"
    line = loop.scores[0]
    if len(loop.scores) == 1 and line.best is not None:
        text += f"; best {metric_name(line.metric)} {score(line.best)}"
        if line.change is not None:
            text += f", {change(line)} the night before"
    return text + f". {_SENTENCES[loop.scores[0].progress.verdict]}"


_PHRASES = {
    Verdict.IMPROVING: "improving",
    Verdict.PLATEAU: "on a plateau",
    Verdict.STUCK: "stuck",
    Verdict.UNCLEAR: "unclear",
    Verdict.NOT_ENOUGH_DATA: "with too little data",
}
_SENTENCES = {
    Verdict.IMPROVING: "It is improving.",
    Verdict.PLATEAU: "It is on a plateau.",
    Verdict.STUCK: "It is stuck.",
    Verdict.UNCLEAR: "Whether it improves is unclear.",
    Verdict.NOT_ENOUGH_DATA: "Too little data for a verdict.",
}


def evidence(progress: Progress) -> str:
    """Return what a verdict rests on: numbers, n and method."""
    p, n = progress, _n(progress.n_scored, "scored round")
    if p.unscored_in_a_row >= FAILING:
        return f"the last {p.unscored_in_a_row} rounds ended without a score"
    if p.n_scored < MIN_SCORED:
        return f"{n}; a verdict takes {MIN_SCORED}"
    if p.new_bests == 0:
        if p.n_scored < STUCK_AFTER:
            return f"no new best in {n}; calling it stuck takes {STUCK_AFTER}"
        return (
            f"no new best in {n}: its chance per round is at most "
            f"{(p.rate_bound or 1) * 100:.2g} % (95 %, exact bound)"
        )
    found = f"{_n(p.new_bests, 'new best')} in {n}, {_since(p.since_best)}; "
    if p.verdict is Verdict.PLATEAU:
        found += (
            f"at the earlier pace so long a gap has {p_value(p.p_gap)} (beta-binomial, Jeffreys)"
        )
    else:
        by = "chance alone does as well" if p.verdict is Verdict.UNCLEAR else "by chance alone"
        found += f"{by} with {p_value(p.p_improving)} (record count or Mann-Kendall, one-sided)"
    return found + _against_noise(p)


def _against_noise(p: Progress) -> str:
    if p.gain is None or p.gain <= 0 or p.noise is None or p.noise <= 0:
        return ""
    return (
        f". Gain {p.gain:.3g}, {p.gain / p.noise:.2g} times the spread between discarded scores "
        f"({p.noise:.3g}, n = {p.n_discards})"
    )


def next_steps(morning: Morning) -> tuple[str, ...]:
    """Return what to do when there is nothing to show; empty when there is."""
    if morning.newest is None:
        return (
            "No round has arrived yet. To see one:",
            "  nightpane demo                 runs a real research loop for a minute",
            "  nightpane import results.tsv   brings in a loop you already ran",
            '  eval "$(nightpane env)"        points your own loop here',
        )
    if not morning.loops:
        found = age(morning.newest, morning.now)
        return (f"The newest round event was {found}: leave --date out to see its night.",)
    return ()


def _n(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _since(rounds: int) -> str:
    return f"{_n(rounds, 'scored round')} since the last" if rounds else "the last round among them"


def p_value(value: float | None) -> str:
    """Return a p value."""
    if value is None:
        return "–"
    return "p < 0.001" if value < 0.001 else f"p = {value:.2g}"
