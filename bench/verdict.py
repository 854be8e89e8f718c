"""How often pure noise is called improving, and how often planted gains are; prints one JSON line.

    python bench/verdict.py [--nights 2000] [--rounds 100] [--seed 1]

A night is a loop that keeps whatever beats its best. "noise" nights have no gain in them, whatever
the noise's distribution; in "gains" nights one proposal in ``1 / rate`` is better by one deviation
of the noise. "watched" looks after every round from the 8th on and counts a night once it was ever
called improving: the price of watching.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable

from nightpane.stats import Attempt, Verdict, judge, wilson

NOISES: dict[str, Callable[[random.Random], float]] = {
    "normal": lambda rng: rng.gauss(0, 1),
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
    print(json.dumps(found))


if __name__ == "__main__":
    main()
