"""The part of the loop that is fixed: train a small network on handwritten digits and score it.

The data are scikit-learn's 1,797 digits of 8 × 8 pixels, which come inside its package. The budget
is a number of passes over the training half, so that the same configuration and seed give the same
score on every machine.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss, recall_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

PASSES = 24
SIDE = 8  # pixels


class TrainingError(Exception):
    """The training diverged; there is no score."""


@dataclass(frozen=True, slots=True)
class Config:
    """What the loop may change."""

    hidden: int = 24
    layers: int = 1
    activation: str = "logistic"
    learning_rate: float = 0.02
    momentum: float = 0.5
    l2: float = 0.0001
    batch: int = 64
    shift: float = 0.0  # share of the training images moved by one pixel in each pass

    def text(self) -> str:
        """The configuration as the file the loop edits, one value a line."""
        return "".join(f"{field.name} = {getattr(self, field.name)}\n" for field in fields(self))


@dataclass(frozen=True, slots=True)
class Score:
    """The verdict: mean negative log-likelihood on held-out digits, in nats; lower is better."""

    val_loss: float
    accuracy: float
    worst_class: float  # recall of the digit that is recognised worst


def train(config: Config, seed: int) -> Score:
    """Train once and score on the held-out half. Raises TrainingError when it diverges."""
    digits = load_digits()
    train_x, test_x, train_y, test_y = train_test_split(
        digits.data / 16.0, digits.target, test_size=0.5, random_state=0, stratify=digits.target
    )
    random = np.random.default_rng(seed)
    model = MLPClassifier(
        hidden_layer_sizes=(config.hidden,) * config.layers,
        activation=config.activation,
        solver="sgd",
        learning_rate_init=config.learning_rate,
        momentum=config.momentum,
        alpha=config.l2,
        batch_size=config.batch,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # overflow is looked for below, where it matters
        try:
            for _ in range(PASSES):
                images = _shifted(train_x, config.shift, random)
                model.partial_fit(images, train_y, classes=np.arange(10))
            chances = model.predict_proba(test_x)
        except ValueError as error:
            raise TrainingError(f"training diverged: {error}") from error
    if not np.isfinite(chances).all():
        raise TrainingError("training diverged: the network's output is not finite")
    guess = chances.argmax(axis=1)
    recalls = recall_score(test_y, guess, average=None, zero_division=0.0)
    return Score(
        val_loss=float(log_loss(test_y, chances, labels=np.arange(10))),
        accuracy=float((guess == test_y).mean()),
        worst_class=float(recalls.min()),
    )


def _shifted(
    images: NDArray[np.float64], share: float, random: np.random.Generator
) -> NDArray[np.float64]:
    """Return the images with a share of them moved by one pixel to a random side."""
    if share <= 0:
        return images
    moved = images.reshape(-1, SIDE, SIDE).copy()
    for index in np.flatnonzero(random.random(len(moved)) < share):
        step = 1 if random.random() < 0.5 else -1
        moved[index] = np.roll(moved[index], step, axis=int(random.integers(2)))
    return moved.reshape(-1, SIDE * SIDE)
