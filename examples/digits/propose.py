"""Two proposers that search; no language model is needed and none is pretended.

``HillClimb`` changes one or two values of the best configuration. ``Forest`` learns from every
round seen so far, also of earlier nights, and picks the candidate it expects most of.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

import numpy as np
from sklearn.ensemble import RandomForestRegressor

from train import Config

CHOICES: dict[str, list[Any]] = {
    "hidden": [8, 16, 24, 32, 48, 64, 96, 128],
    "layers": [1, 2, 3],
    "activation": ["logistic", "tanh", "relu"],
    "learning_rate": [0.003, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 2.0],
    "momentum": [0.0, 0.5, 0.8, 0.9, 0.95, 0.99],
    "l2": [0.0, 0.0001, 0.001, 0.01, 0.1, 1.0],
    "batch": [8, 16, 32, 64, 128, 256],
    "shift": [0.0, 0.1, 0.25, 0.5, 0.9],
}


@dataclass(frozen=True, slots=True)
class Tried:
    """One round's configuration and its loss; None when the training failed."""

    config: Config
    val_loss: float | None


class Proposer(Protocol):
    """Whatever names the next configuration to try."""

    name: str

    def propose(self, best: Config, tried: list[Tried]) -> Config:
        """Return a configuration that was not tried yet."""
        ...


class HillClimb:
    """Change one or two values of the best configuration."""

    name = "hill-climb"

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def propose(self, best: Config, tried: list[Tried]) -> Config:
        """Return a neighbour of the best configuration that was not tried yet."""
        seen = {one.config for one in tried} | {best}
        candidate = best
        while candidate in seen:
            candidate = mutate(best, self._random, changes=self._random.choice([1, 1, 2]))
        return candidate


class Forest:
    """Fit a random forest on all rounds and take the most promising of many candidates."""

    name = "random-forest"

    def __init__(self, seed: int, earlier: list[Tried]) -> None:
        self._random = random.Random(seed)
        self._seed = seed
        self._earlier = earlier

    def propose(self, best: Config, tried: list[Tried]) -> Config:
        """Return the untried candidate with the lowest optimistic forecast."""
        rounds = self._earlier + tried
        forest = RandomForestRegressor(n_estimators=40, min_samples_leaf=2, random_state=self._seed)
        worst = max((one.val_loss for one in rounds if one.val_loss is not None), default=2.3)
        losses = [worst if one.val_loss is None else one.val_loss for one in rounds]
        forest.fit([encode(one.config) for one in rounds], np.log(losses))
        seen = {one.config for one in tried} | {best}
        pool: set[Config] = set()
        while len(pool) < 200:
            pool.add(mutate(best, self._random, changes=self._random.randint(1, 4)))
        candidates = sorted(pool - seen, key=Config.text)
        encoded = np.array([encode(candidate) for candidate in candidates])
        forecasts = np.array([tree.predict(encoded) for tree in forest.estimators_])
        optimistic = forecasts.mean(axis=0) - forecasts.std(axis=0)
        return candidates[int(optimistic.argmin())]


def mutate(config: Config, source: random.Random, changes: int) -> Config:
    """Return the configuration with this many values drawn anew."""
    for name in source.sample(sorted(CHOICES), changes):
        config = replace(config, **{name: source.choice(CHOICES[name])})
    return config


def encode(config: Config) -> list[float]:
    """Return a configuration as numbers: each value's place among its choices."""
    place = {name: values.index for name, values in CHOICES.items()}
    return [float(place[field.name](getattr(config, field.name))) for field in fields(config)]


def is_better(loss: float, best: float) -> bool:
    """Tell whether a loss beats the best so far by more than rounding."""
    return math.isfinite(loss) and loss < best - 1e-9
