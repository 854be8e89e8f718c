"""How often the verdict of an experiment is wrong, and how often it finds what is there.

Simulates experiments whose owner looks after every ten rounds of each arm: without an effect, and
with the smallest effect worth finding. Prints one JSON line. The bare figure is PostHog's own rule,
a 95 % interval without zero, at any of the looks.

    python bench/experiments.py
"""

from __future__ import annotations

import argparse
import json

import numpy as np

from nightpane.stats.experiments import Kind, Plan, Sample, compare

EFFECT = 0.15
LOT = 10
MOST = 800


def lots(values: np.ndarray) -> list[Sample]:
    """Cut values into lots, as the experiment's query does."""
    return [
        Sample(kind=Kind.MEAN, n=LOT, sum=float(part.sum()), sum_squares=float((part * part).sum()))
        for part in values.reshape(-1, LOT)
    ]


def watch(rng: np.random.Generator, effect: float) -> dict[str, bool]:
    """Return what was said of one experiment at any of its looks, the last at twice the plan."""
    plan = Plan(minimum_effect=EFFECT)
    c, t = lots(rng.normal(1, 0.4, MOST)), lots(rng.normal(1 + effect, 0.4, MOST))
    needed = compare(c[:5], t[:5], plan).needed or MOST
    last = min(2 * needed // LOT, MOST // LOT)
    seen = [compare(c[:at], t[:at], plan) for at in range(3, last + 1)]
    at_plan = min(-(-needed // LOT) - 3, len(seen) - 1)
    return {
        "bare_any_look": any(one.fixed_horizon for one in seen),
        "bare_at_plan": seen[at_plan].fixed_horizon,
        "guard_any_look": any(one.guard is not None and one.guard.agrees for one in seen),
        "significant": any(one.significant for one in seen),
        "significant_by_plan": any(one.significant for one in seen[: at_plan + 1]),
        "before_plan": any(one.significant for one in seen[:at_plan]),
    }


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--experiments", type=int, default=1_000)
    asked = parser.parse_args()
    found: dict[str, object] = {"benchmark": "experiments", "experiments": asked.experiments}
    for name, effect in (("no_effect", 0.0), ("smallest_effect", EFFECT)):
        rng = np.random.default_rng(3)
        said = [watch(rng, effect) for _ in range(asked.experiments)]
        found[name] = {key: float(np.mean([one[key] for one in said])) for key in said[0]}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
