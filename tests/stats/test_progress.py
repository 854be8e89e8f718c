import random
from collections.abc import Callable

import pytest

from nightpane.stats import Attempt, Verdict, judge, wilson

Noise = Callable[[random.Random], float]
NOISES: dict[str, Noise] = {
    "normal": lambda rng: rng.gauss(0, 1),
    "heavy tails": lambda rng: rng.gauss(0, 1) / max(abs(rng.gauss(0, 1)), 1e-9),
    "few distinct scores": lambda rng: float(rng.randrange(6)),
    "mostly bad proposals": lambda rng: (
        rng.gauss(0, 0.1) if rng.random() < 0.3 else -9 * rng.random()
    ),
}


def greedy(scores: list[float | None]) -> list[Attempt]:
    """Return the rounds of a loop that keeps whatever beats its best."""
    best = None
    attempts = []
    for score in scores:
        kept = score is not None and (best is None or score > best)
        best = score if kept else best
        attempts.append(Attempt(score=score, kept=kept))
    return attempts


@pytest.mark.parametrize("name", NOISES)
def test_pure_noise_is_called_improving_in_at_most_one_night_of_twenty(name: str) -> None:
    rng = random.Random(f"nights of {name}")
    nights = 400
    false = sum(
        judge(greedy([NOISES[name](rng) for _ in range(100)])).verdict is Verdict.IMPROVING
        for _ in range(nights)
    )
    interval = wilson(false, nights)
    assert interval is not None
    assert interval.low <= 0.05


def test_pure_noise_after_a_night_of_gains_is_not_called_improving() -> None:
    rng = random.Random("after a climb")
    false = 0
    for _ in range(400):
        earlier = [10 + rng.gauss(0, 1) for _ in range(5)]
        best_at = earlier.index(max(earlier))
        tonight = greedy([10 + rng.gauss(0, 1) for _ in range(60)])
        progress = judge(tonight, prior_best=max(earlier), n_prior=len(earlier) - best_at)
        false += progress.verdict is Verdict.IMPROVING
    interval = wilson(false, 400)
    assert interval is not None
    assert interval.low <= 0.05


def test_planted_gains_are_found() -> None:
    rng = random.Random("planted")
    found = 0
    for _ in range(100):
        level, scores = 0.0, []
        for _ in range(60):
            gain = 1.0 if rng.random() < 0.15 else -rng.expovariate(1)
            scores.append(level + gain + rng.gauss(0, 0.3))
            level = max(level, level + gain)
        found += judge(greedy(scores)).verdict is Verdict.IMPROVING
    assert found >= 80


def test_two_scores_are_not_enough_data() -> None:
    progress = judge(greedy([0.1, 0.9]))
    assert progress.verdict is Verdict.NOT_ENOUGH_DATA
    assert progress.n_scored == 2


def test_a_steady_climb_is_improving_and_names_its_numbers() -> None:
    progress = judge(greedy([float(i) for i in range(30)]))
    assert progress.verdict is Verdict.IMPROVING
    assert (progress.new_bests, progress.since_best, progress.gain) == (29, 0, 29.0)
    assert progress.p_improving is not None
    assert progress.p_improving < 1e-6


def test_lower_is_better_turns_everything_round() -> None:
    falling: list[float | None] = [30.0 - i for i in range(30)]
    attempts = [Attempt(score=score, kept=True) for score in falling]
    assert judge(attempts, lower_is_better=True).verdict is Verdict.IMPROVING
    assert judge(attempts).verdict is Verdict.STUCK
    assert judge(attempts, lower_is_better=True).gain == 29.0


def test_gains_that_ended_long_ago_are_a_plateau() -> None:
    progress = judge(greedy([float(i) for i in range(10)] + [5.0] * 40))
    assert progress.verdict is Verdict.PLATEAU
    assert progress.since_best == 40
    assert progress.p_gap is not None
    assert progress.p_gap < 0.001


def test_nothing_better_than_the_standing_best_is_stuck_with_a_bound() -> None:
    progress = judge(greedy([0.2] * 60), prior_best=0.5, n_prior=100)
    assert progress.verdict is Verdict.STUCK
    assert progress.rate_bound == pytest.approx(0.0487, abs=1e-3)
    assert progress.gain == 0.0


def test_a_row_of_crashes_is_stuck_whatever_came_before() -> None:
    progress = judge(greedy([float(i) for i in range(30)] + [None] * 12))
    assert progress.verdict is Verdict.STUCK
    assert progress.unscored_in_a_row == 12


def test_no_rounds_at_all_are_not_enough_data() -> None:
    assert judge([]).verdict is Verdict.NOT_ENOUGH_DATA
