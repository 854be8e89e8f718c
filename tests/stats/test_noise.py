"""Whether a score moved: published figures, scipy as an oracle, and what must always hold."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as oracle

from nightpane.stats import (
    Measured,
    Moved,
    best_moved,
    binomial_at_most,
    change_point,
    fisher_more,
    gain_moved,
    noise_of,
    together,
    typical_moved,
    welch,
)
from nightpane.stats.noise import discarded_noise, repeated_noise
from nightpane.stats.student import t_below, t_quantile

# Student 1908, "The probable error of a mean": hours of sleep gained under two drugs.
FIRST = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
SECOND = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
SCORES = st.lists(st.floats(-1e3, 1e3), min_size=8, max_size=40)


def test_welch_gives_the_known_interval_of_students_sleep_data() -> None:
    found = welch(FIRST, SECOND, confidence=0.95)
    assert found.change == pytest.approx(-1.58)
    assert found.freedom == pytest.approx(17.776, abs=5e-4)
    assert (found.low, found.high) == pytest.approx((-3.3654832, 0.2054832), abs=5e-7)
    assert found.verdict is Moved.WITHIN_NOISE


@pytest.mark.parametrize("trim", [0.0, 0.2])
def test_welch_and_yuen_agree_with_scipy(trim: float) -> None:
    rng = random.Random(5)
    for _ in range(20):
        a = [rng.gauss(0, 1) for _ in range(rng.randrange(8, 40))]
        b = [rng.gauss(0.5, 3) for _ in range(rng.randrange(8, 40))]
        theirs = oracle.ttest_ind(a, b, equal_var=False, trim=trim)
        ours = welch(a, b, trim=trim, confidence=0.95)
        assert ours.freedom == pytest.approx(theirs.df)
        assert ours.change is not None
        assert ours.low is not None
        margin = oracle.t.ppf(0.975, theirs.df) * ours.change / theirs.statistic
        assert ours.change - ours.low == pytest.approx(abs(margin))


def test_students_t_agrees_with_scipy() -> None:
    for freedom in (1, 1.5, 2, 5.5, 25, 1000):
        for level in (0.0001, 0.1, 0.6, 0.975, 0.99975, 1 - 1e-7):
            ours = t_quantile(level, freedom)
            assert ours == pytest.approx(oracle.t.ppf(level, freedom), rel=1e-8)
            assert t_below(ours, freedom) == pytest.approx(level, rel=1e-8)
    with pytest.raises(ValueError, match="no t for level 1"):
        t_quantile(1, 5)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
def test_exact_tests_agree_with_scipy(a: int, b: int, c: int, d: int) -> None:
    theirs = oracle.fisher_exact([[a, b], [c, d]], alternative="greater")[1]
    assert fisher_more(a, a + b, c, c + d) == pytest.approx(theirs)
    assert binomial_at_most(a, a + b, 0.3) == pytest.approx(oracle.binom.cdf(a, a + b, 0.3))


def test_repeats_are_pooled_within_what_was_repeated() -> None:
    groups = [[1.0, 3.0], [11.0, 13.0, 15.0], [100.0]]
    found = repeated_noise([[Measured(x) for x in group] for group in groups])
    assert found is not None
    assert (found.sd, found.freedom, found.n) == (pytest.approx(math.sqrt(10 / 3)), 3, 5)
    assert repeated_noise([[Measured(1.0)]]) is None


def test_a_mean_of_many_measurements_counts_for_many() -> None:
    rng = random.Random(2)
    means = [Measured(sum(rng.gauss(0, 1) for _ in range(9)) / 9, 9) for _ in range(4000)]
    found = repeated_noise([means])
    assert found is not None
    assert found.sd == pytest.approx(1, abs=0.03)


def test_of_repeats_and_discards_the_one_that_tells_more_is_taken() -> None:
    wide = [[float(i % 5) for i in range(30)]]
    few, enough = [[Measured(1.0)] * 4], [[Measured(x) for x in (1.0, 1.1, 0.9, 1.0, 1.1)]]
    found = [noise_of(few, wide), noise_of(enough, wide), noise_of(enough, [])]
    assert [one is not None and one.is_repeated for one in found] == [False, True, True]
    narrow = [[1 + i % 5 / 100 for i in range(30)]]
    tight = noise_of(enough, narrow)
    assert tight is not None
    assert not tight.is_repeated
    assert noise_of(few, []) is None
    assert noise_of([], [[1.0, 2.0, 3.0]]) is None


def test_scores_of_few_values_still_have_noise() -> None:
    found = discarded_noise([[1.0] * 9 + [0.0] + [1.0] * 9])
    assert found is not None
    assert found.sd == pytest.approx(math.sqrt(2 / 18 / 2))


def test_one_wild_best_proves_nothing_where_wild_scores_are_common() -> None:
    rng = random.Random(4)
    calm = [rng.gauss(0, 1) for _ in range(60)]
    wild = [x * (25 if i % 15 == 7 else 1) for i, x in enumerate(map(abs, calm))]
    for scores, verdict in ((calm, Moved.IMPROVED), (wild, Moved.WITHIN_NOISE)):
        noise = noise_of([], [scores])
        found = best_moved(Measured(30.0), Measured(3.0), noise, n=60, n_before=60)
        assert found.verdict is verdict


def test_the_luckiest_of_many_has_to_gain_more() -> None:
    noise = noise_of([[Measured(float(x)) for x in (-1, 0, 1, -1, 0, 1, -1, 1)]], [])
    few = best_moved(Measured(4.0), Measured(0.0), noise, n=1, n_before=1)
    many = best_moved(Measured(4.0), Measured(0.0), noise, n=200, n_before=1)
    assert (few.verdict, many.verdict) == (Moved.IMPROVED, Moved.WITHIN_NOISE)
    assert few.high == many.high  # being one of many does not help to be worse
    assert gain_moved(4.0, noise, tried=1).verdict is Moved.IMPROVED
    assert gain_moved(4.0, noise, tried=200).verdict is Moved.WITHIN_NOISE
    assert gain_moved(4.0, None, tried=1).verdict is Moved.NOT_ENOUGH_DATA


@given(SCORES, SCORES)
def test_turning_two_nights_around_turns_the_verdict_around(a: list[float], b: list[float]) -> None:
    there, back = typical_moved(a, b), typical_moved(b, a)
    assert there.change == pytest.approx(-(back.change or 0), abs=1e-9)
    turned = {Moved.IMPROVED: Moved.WORSE, Moved.WORSE: Moved.IMPROVED}
    assert back.verdict is turned.get(there.verdict, there.verdict)


@given(SCORES)
def test_a_night_against_itself_has_not_moved(scores: list[float]) -> None:
    noise, best = noise_of([], [scores]), Measured(max(scores))
    n = len(scores)
    assert typical_moved(scores, scores).verdict is Moved.WITHIN_NOISE
    assert best_moved(best, best, noise, n=n, n_before=n).verdict is Moved.WITHIN_NOISE


@pytest.mark.parametrize("rounds", [(60, 60), (150, 15)])
def test_noise_is_called_a_move_in_few_nights_however_many_rounds(rounds: tuple[int, int]) -> None:
    rng, wrong, naive, nights = random.Random(1), 0, 0, 300
    for _ in range(nights):
        after, before = ([rng.gauss(0, 1) for _ in range(n)] for n in rounds)
        noise = noise_of([], [after, before])
        best = best_moved(Measured(max(after)), Measured(max(before)), noise,
                          n=len(after), n_before=len(before))  # fmt: skip
        found = together(best, typical_moved(after, before))
        wrong += found in (Moved.IMPROVED, Moved.WORSE)
        naive += max(after) > max(before)
    assert wrong / nights <= 0.06
    assert naive / nights > 0.4


def test_too_little_is_an_answer() -> None:
    assert typical_moved([1.0] * 7, [2.0] * 50).verdict is Moved.NOT_ENOUGH_DATA
    nothing = best_moved(Measured(2.0), Measured(1.0), None, n=1, n_before=1)
    assert (nothing.verdict, nothing.change, nothing.low) == (Moved.NOT_ENOUGH_DATA, 1.0, None)
    with pytest.raises(ValueError, match="two scores or more"):
        welch([1.0], [1.0, 2.0])


def test_the_change_point_is_where_the_level_changed() -> None:
    assert change_point([1.0, 1.1, 0.9, 1.0, 3.0, 3.1, 2.9]) == 4
    assert change_point([1.0]) is None
