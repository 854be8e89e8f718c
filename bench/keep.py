"""How many nights keep a round that is no better, by rule and by the kind of noise.

    python bench/keep.py [--nights 1000] [--rounds 100] [--json]

Every candidate of a simulated night is exactly as good as the first: whatever is kept is false. The
stated share of ``NoiseAware`` is its ``false_nights``. The last column is the rule's power: the
share of candidates kept that are better by four standard deviations of one measurement.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import sys
from collections.abc import Callable

from nightpane.loops.keep import Better, KeepRule, MinimumDelta, NoiseAware

Noise = Callable[[random.Random, float], float]

# Each has a standard deviation near 1; the second argument is how much of the night is over.
NOISES: dict[str, Noise] = {
    "normal": lambda draw, _: draw.gauss(0, 1),
    "heavy tails (t, 3 degrees)": lambda draw, _: _student(draw, 3) / math.sqrt(3),
    "skewed (exponential)": lambda draw, _: draw.expovariate(1) - 1,
    "skewed the other way": lambda draw, _: 1 - draw.expovariate(1),
    "outliers (1 in 20 by 5)": lambda draw, _: (
        draw.gauss(0, 0.7) + (draw.random() < 0.05) * draw.choice((-5, 5)) * 0.65
    ),
    "discrete (10 tasks passed)": lambda draw, _: (
        sum(draw.random() < 0.5 for _ in range(10)) / math.sqrt(2.5)
    ),
    "discrete (1 of 5 flips)": lambda draw, _: (draw.random() < 0.2) / 0.4,
    "discrete (a coin)": lambda draw, _: (draw.random() < 0.5) / 0.5,
    "drifting up by 1 over the night": lambda draw, at: draw.gauss(0, 1) + at,
    "drifting down by 1": lambda draw, at: draw.gauss(0, 1) - at,
    "the spread doubles": lambda draw, at: draw.gauss(0, 1 + at),
}


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--nights", type=int, default=1000)
    arguments.add_argument("--rounds", type=int, default=100)
    arguments.add_argument("--json", action="store_true")
    given = arguments.parse_args()
    rules: list[KeepRule] = [Better(), MinimumDelta(2.0), NoiseAware(rounds=given.rounds)]
    rows = []
    for name, noise in NOISES.items():
        shares = [false_nights(rule, noise, given.nights, given.rounds) for rule in rules]
        rows.append({"noise": name, "shares": shares, "power": power(rules[-1], noise)})
    if given.json:
        print(json.dumps({"rules": [rule.name for rule in rules], "rows": rows}))
        return 0
    print(f"| noise | {' | '.join(rule.name for rule in rules)} | a gain of 4 is kept |")
    print("|---|---|---|---|---|")
    for row in rows:
        cells = " | ".join(f"{share:.1%}" for share in row["shares"])
        print(f"| {row['noise']} | {cells} | {row['power']:.0%} |")
    return 0


def false_nights(rule: KeepRule, noise: Noise, nights: int, rounds: int) -> float:
    """Return the share of nights that keep a round."""
    draw = random.Random(7)
    return sum(_keeps(rule, noise, draw, rounds) for _ in range(nights)) / nights


def _keeps(rule: KeepRule, noise: Noise, draw: random.Random, rounds: int) -> bool:
    first = [noise(draw, 0.0) for _ in range(rule.repeats + 1)]
    best = first[1:] if len(first) > 1 else first
    for number in range(1, rounds):
        if _is_kept(rule, noise, draw, best, number / rounds, 0.0):
            return True
    return False


def _is_kept(
    rule: KeepRule, noise: Noise, draw: random.Random, best: list[float], at: float, gain: float
) -> bool:
    scores = [noise(draw, at) + gain]
    if scores[0] > statistics.fmean(best):
        scores += [noise(draw, at) + gain for _ in range(rule.repeats)]
    return rule.decide(best, scores, "max").keep


def power(rule: KeepRule, noise: Noise, gain: float = 4.0, times: int = 2000) -> float:
    """Return the share of candidates that are kept, where each is better by ``gain``."""
    draw, kept = random.Random(8), 0
    for _ in range(times):
        best = [noise(draw, 0.0) for _ in range(rule.repeats)]
        kept += _is_kept(rule, noise, draw, best, 0.0, gain)
    return kept / times


def _student(draw: random.Random, freedom: int) -> float:
    spread = sum(draw.gauss(0, 1) ** 2 for _ in range(freedom)) / freedom
    return draw.gauss(0, 1) / math.sqrt(spread)


if __name__ == "__main__":
    sys.exit(main())
