"""How often verdicts are wrong on pure noise and right on planted gains; prints one JSON line.

    python bench/verdict.py [--nights 2000] [--rounds 100] [--seed 1]

A night is a loop that keeps whatever beats its best. "noise" nights have no gain in them, whatever
the noise's distribution; in "gains" nights one proposal in ``1 / rate`` is better by one deviation
of the noise. "watched" looks after every round from the 8th on and counts a night once it was ever
called improving: the price of watching.

"moved" pairs a night with the one before. On pure noise every "improved" or "worse" is wrong; the
nights have as many rounds, or 200 and 20, where just comparing the bests ("naive") favours the
longer. A real move lifts the level at the night's start, or is one gain in the 90th of 100 rounds,
among proposals that harm by five deviations of the noise, which repeated baselines may have
measured. "kept" is the share of kept rounds that are named as kept on noise, in nights of pure
noise and for a planted gain.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable, Sequence

from nightpane.stats import (
    Attempt,
    Measured,
    Moved,
    Noise,
    Verdict,
    best_moved,
    gain_moved,
    judge,
    noise_of,
    together,
    typical_moved,
    wilson,
)

Draw = Callable[[random.Random], float]
NOISES: dict[str, Draw] = {
    "normal": lambda rng: rng.gauss(0, 1),
    "laplace": lambda rng: rng.expovariate(1) * rng.choice((-1, 1)),
    "t, 3 degrees": lambda rng: rng.gauss(0, 1) / (rng.gammavariate(1.5, 2) / 3) ** 0.5,
    "cauchy": lambda rng: rng.gauss(0, 1) / max(abs(rng.gauss(0, 1)), 1e-9),
    "six values": lambda rng: float(rng.randrange(6)),
}


def greedy(scores: list[float]) -> list[Attempt]:
    """Return the rounds of a loop that keeps what beats its best."""
    best, found = float("-inf"), []
    for score in scores:
        found.append(Attempt(score, score > best))
        best = max(best, score)
    return found


def climbing(rng: random.Random, rounds: int, rate: float) -> list[float]:
    """Return the scores of a night with real gains: a better proposal is built upon."""
    level, scores = 0.0, []
    for _ in range(rounds):
        step = 1.0 if rng.random() < rate else -rng.expovariate(1)
        scores.append(level + step + rng.gauss(0, 1))
        level = max(level, level + step)
    return scores


def discards(scores: Sequence[float]) -> list[float]:
    """Return the scores that a greedy loop does not keep."""
    return [one.score for one in greedy(list(scores)) if one.score is not None and not one.kept]


def moved(after: Sequence[float], before: Sequence[float], noise: Noise | None) -> Moved:
    """Return the digest's verdict on two nights."""
    best = best_moved(
        Measured(max(after)), Measured(max(before)), noise, n=len(after), n_before=len(before)
    )
    return together(best, typical_moved(after, before))


def moves(rng: random.Random, pairs: int) -> dict[str, object]:
    """Return the shares of verdicts on pairs of nights."""
    found: dict[str, object] = {"pairs": pairs}
    normal = NOISES["normal"]

    def night(draw: Draw, rounds: int, lift: float = 0.0, start: int = 0) -> list[float]:
        return [draw(rng) + (lift if i >= start else 0.0) for i in range(rounds)]

    for name, draw in NOISES.items():
        for rounds in ((100, 100), (200, 20)):
            wrong = naive = 0
            for _ in range(pairs):
                after, before = (night(draw, n) for n in rounds)
                noise = noise_of([], [discards(after), discards(before)])
                wrong += moved(after, before, noise) in (Moved.IMPROVED, Moved.WORSE)
                naive += max(after) > max(before)
            label = f"{name}, {rounds[0]} and {rounds[1]} rounds"
            found[f"noise, {label}"] = share(wrong, pairs)
            found[f"naive, {label}"] = share(naive, pairs)
    for lift in (0.25, 0.5, 1.0):
        hits = 0
        for _ in range(pairs):
            after, before = night(normal, 100, lift), night(normal, 100)
            noise = noise_of([], [discards(after), discards(before)])
            hits += moved(after, before, noise) is Moved.IMPROVED
        found[f"level {lift:g} deviations higher"] = share(hits, pairs)
    for lift in (6.0, 9.0, 12.0):
        hits = {0: 0, 8: 0, 20: 0}
        for _ in range(pairs):
            after, before = ([normal(rng) - abs(rng.gauss(0, 5)) for _ in range(100)] for _ in "ab")
            after[89] = lift + normal(rng)
            for n in hits:
                baselines = [Measured(normal(rng)) for _ in range(n)]
                noise = noise_of([baselines], [discards(after), discards(before)])
                hits[n] += moved(after, before, noise) is Moved.IMPROVED
        for n, count in hits.items():
            found[f"one gain of {lift:g} in round 90, {n} baselines"] = share(count, pairs)
    return found


def kept(rng: random.Random, nights: int) -> dict[str, object]:
    """Return the shares of kept rounds that are named as kept on noise."""
    named = of = 0
    for _ in range(nights):
        scores = [rng.gauss(0, 1) for _ in range(100)]
        noise, best, tried = noise_of([], [discards(scores)]), scores[0], 0
        for score in scores[1:]:
            tried += 1
            if score > best:
                found = gain_moved(score - best, noise, tried=tried)
                named, of = named + (found.verdict is not Moved.IMPROVED), of + 1
                best, tried = score, 0
    shares: dict[str, object] = {"pure noise": share(named, of)}
    for gain in (2.0, 4.0, 6.0, 8.0):
        named = 0
        for _ in range(nights):
            noise = noise_of([], [[rng.gauss(0, 1) for _ in range(60)]])
            measured = gain + rng.gauss(0, 1) - rng.gauss(0, 1)
            named += gain_moved(measured, noise, tried=10).verdict is not Moved.IMPROVED
        shares[f"a gain of {gain:g}, one of 10 tried"] = share(named, nights)
    return shares


def share(hits: int, of: int) -> dict[str, float]:
    """Return a share with its 95 % interval."""
    interval = wilson(hits, of)
    assert interval is not None
    return {
        "share": round(hits / of, 4),
        "low": round(interval.low, 4),
        "high": round(interval.high, 4),
    }


def main() -> None:
    """Print the shares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nights", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    rng = random.Random(given.seed)

    def is_improving(scores: list[float]) -> bool:
        return judge(greedy(scores)).verdict is Verdict.IMPROVING

    found: dict[str, object] = {"bench": "verdict", **vars(given)}
    for name, noise in NOISES.items():
        hits = sum(
            is_improving([noise(rng) for _ in range(given.rounds)]) for _ in range(given.nights)
        )
        found[f"noise, {name}"] = share(hits, given.nights)
    few = max(given.nights // 20, 1)
    ever = 0
    for _ in range(few):
        scores = [rng.gauss(0, 1) for _ in range(given.rounds)]
        ever += any(is_improving(scores[:n]) for n in range(8, given.rounds + 1))
    found["noise, normal, watched"] = share(ever, few)
    for rate in (0.05, 0.1, 0.2):
        hits = sum(is_improving(climbing(rng, given.rounds, rate)) for _ in range(given.nights))
        found[f"gains, 1 round in {round(1 / rate)}"] = share(hits, given.nights)
    found["moved"] = moves(rng, max(given.nights // 2, 1))
    found["kept"] = kept(rng, max(given.nights // 2, 1))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
