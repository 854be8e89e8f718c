"""The statistics of experiments, against published examples, scipy and simulation."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from nightpane.stats.experiments import (
    GUARD_FROM,
    PILOT,
    Decision,
    Kind,
    Plan,
    Sample,
    bayesian,
    compare,
    effect,
    frequentist,
    guard,
    mismatch_p_value,
    units_for_mean,
    units_for_proportion,
)


def mean_of(values: Sequence[float]) -> Sample:
    squares = math.fsum(value * value for value in values)
    return Sample(kind=Kind.MEAN, n=len(values), sum=math.fsum(values), sum_squares=squares)


def mean_from(n: int, mean: float, deviation: float) -> Sample:
    squares = (n - 1) * deviation**2 + n * mean**2
    return Sample(kind=Kind.MEAN, n=n, sum=n * mean, sum_squares=squares)


def share(n: int, converted: int) -> Sample:
    return Sample(kind=Kind.PROPORTION, n=n, sum=converted, sum_squares=converted)


def ratio_of(above: np.ndarray, below: np.ndarray) -> Sample:
    return Sample(
        kind=Kind.RATIO,
        n=len(above),
        sum=float(above.sum()),
        sum_squares=float((above**2).sum()),
        denominator_sum=float(below.sum()),
        denominator_sum_squares=float((below**2).sum()),
        product_sum=float((above * below).sum()),
    )


# Published examples


def test_welch_of_students_sleep_data() -> None:
    """Student 1908, the data set ``sleep`` of R: t.test(extra ~ group) prints these figures."""
    first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    found = effect(mean_of(second), mean_of(first), relative=False)
    test = frequentist(found)
    assert found.value / found.error == pytest.approx(-1.8608, abs=5e-5)
    assert found.freedom == pytest.approx(17.776, abs=5e-4)
    assert test.p_value == pytest.approx(0.07939, abs=5e-6)
    assert test.interval == pytest.approx((-3.3654832, 0.2054832), abs=5e-8)


def test_welch_of_the_nist_handbook() -> None:
    """NIST/SEMATECH e-Handbook 1.3.5.3, AUTO83B.DAT: miles per gallon, unequal variances."""
    found = effect(
        mean_from(79, 30.48101, 6.10771), mean_from(249, 20.14458, 6.41470), relative=False
    )
    assert found.value / found.error == pytest.approx(-12.94627, abs=5e-5)
    assert found.freedom == pytest.approx(136.8750, abs=5e-4)


def test_proportions_of_the_aspirin_study() -> None:
    """Agresti 2007, "An Introduction to Categorical Data Analysis", 2.2: 0.0077, (0.005, 0.011)."""
    found = effect(share(11_037, 104), share(11_034, 189), relative=False)
    low, high = frequentist(found).interval
    assert round(found.value, 4) == 0.0077
    assert (round(low, 3), round(high, 3)) == (0.005, 0.011)
    assert round(found.error, 4) == 0.0015


@pytest.mark.parametrize(("size", "n"), [(0.2, 394), (0.5, 64), (0.8, 26)])
def test_units_for_means_of_cohens_table(size: float, n: int) -> None:
    """Cohen 1988, table 2.4.1 (alpha 0.05 two-sided, power 0.80): 393, 64, 26.

    393 has a power of 0.79986, so a reader who asks for at least 0.80 needs one more.
    """
    assert units_for_mean(size, 1.0) == n


def test_units_for_proportions_of_evan_millers_calculator() -> None:
    """Evan Miller, "Sample Size Calculator": 20 %, absolute effect 5 %: 1,030 in each branch."""
    assert units_for_proportion(0.2, 0.05) == pytest.approx(1_030, abs=1)


def test_sample_ratio_mismatch_of_kohavis_example() -> None:
    """Kohavi, Tang, Xu 2020, "Trustworthy Online Controlled Experiments", ch. 3: p = 1.8E-6."""
    assert mismatch_p_value([821_588, 815_482], [1, 1]) == pytest.approx(1.8e-6, abs=5e-8)


# Against scipy


@given(
    st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=30),
    st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=30),
)
def test_absolute_means_are_scipys_welch_test(first: list[float], second: list[float]) -> None:
    # With nearly equal values in an arm, scipy warns that it cannot tell them apart.
    if min(np.var(first), np.var(second)) < 1e-3:
        return
    found = effect(mean_of(first), mean_of(second), relative=False)
    theirs = stats.ttest_ind(second, first, equal_var=False)
    ours = frequentist(found)
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-6, abs=1e-9)
    interval = theirs.confidence_interval()
    assert ours.interval == pytest.approx((interval.low, interval.high), rel=1e-6, abs=1e-6)


def test_chance_to_win_is_the_posterior_above_zero() -> None:
    found = effect(mean_from(400, 10.0, 3.0), mean_from(380, 10.3, 3.2))
    normal = stats.norm(found.value, found.error)
    posterior = bayesian(found)
    assert posterior.chance_to_win == pytest.approx(normal.sf(0))
    assert posterior.interval == pytest.approx(normal.interval(0.95))
    loss, _ = integrate.quad(lambda x: -x * normal.pdf(x), -1, 0)
    assert posterior.risk == pytest.approx(loss, rel=1e-6)
    lower = bayesian(found, lower_is_better=True)
    assert lower.chance_to_win == pytest.approx(1 - posterior.chance_to_win)
    assert lower.risk == pytest.approx(posterior.risk + found.value)


def test_few_units_have_students_tails() -> None:
    found = effect(mean_from(8, 10.0, 3.0), mean_from(9, 12.0, 3.0))
    t = stats.t(found.freedom, found.value, found.error)
    posterior = bayesian(found)
    assert posterior.interval == pytest.approx(t.interval(0.95))
    loss, _ = integrate.quad(lambda x: -x * t.pdf(x), -math.inf, 0)
    assert posterior.risk == pytest.approx(loss, rel=1e-6)


def test_a_prior_draws_the_effect_to_zero() -> None:
    found = effect(mean_from(60, 10.0, 3.0), mean_from(60, 12.0, 3.0))
    low, high = bayesian(found, prior_variance=found.variance).interval
    assert (low + high) / 2 == pytest.approx(found.value / 2)


# Formulas


def test_the_relative_effect_by_the_contracts_formula() -> None:
    c, t = mean_from(100, 4.0, 1.0), mean_from(80, 5.0, 2.0)
    found = effect(c, t)
    assert found.value == pytest.approx(0.25)
    assert found.variance == pytest.approx(4 / (80 * 16) + 25 * 1 / (100 * 256))


def test_a_negative_baseline_keeps_the_sign_of_the_effect() -> None:
    found = effect(mean_from(50, -4.0, 1.0), mean_from(50, -3.0, 1.0))
    assert found.value == pytest.approx(0.25)
    assert bayesian(found).chance_to_win > 0.99


def test_a_ratios_variance_is_what_simulation_finds() -> None:
    rng = np.random.default_rng(11)
    costs = rng.gamma(2.0, 0.5, (4_000, 200))
    kept = (rng.random((4_000, 200)) < 0.2 + 0.1 * (costs > 1)).astype(float)
    ratios = costs.sum(axis=1) / kept.sum(axis=1)
    said = [
        ratio_of(a, b).unit_variance / 200 for a, b in zip(costs[:200], kept[:200], strict=True)
    ]
    assert np.mean(said) == pytest.approx(ratios.var(), rel=0.1)


def test_samples_add_up() -> None:
    values = [0.5, 1.5, 2.0, 7.0]
    assert mean_of(values[:2]) + mean_of(values[2:]) == mean_of(values)
    with pytest.raises(ValueError, match="cannot be added"):
        mean_of(values) + share(4, 2)


def test_the_guard_is_the_mixture_likelihood_ratio() -> None:
    found = effect(mean_from(100, 1.0, 0.5), mean_from(100, 1.15, 0.5))
    mixture = stats.norm(0, 0.1)
    likelihood = stats.norm(found.value, found.error)
    mixed, _ = integrate.quad(lambda x: likelihood.pdf(x) * mixture.pdf(x), -2, 2, points=[0, 0.15])
    watched = guard(found, minimum_effect=0.1, alpha=0.05)
    assert watched is not None
    assert watched.p_value == pytest.approx(min(1.0, likelihood.pdf(0) / mixed), rel=1e-6)
    low, high = watched.interval
    assert watched.agrees is not (low <= 0 <= high)


def test_the_guard_is_wider_than_the_fixed_horizon_and_silent_with_few_units() -> None:
    few = effect(mean_from(GUARD_FROM - 1, 1.0, 0.5), mean_from(200, 1.1, 0.5))
    assert guard(few, minimum_effect=0.1, alpha=0.05) is None
    many = effect(mean_from(GUARD_FROM, 1.0, 0.5), mean_from(200, 1.1, 0.5))
    watched = guard(many, minimum_effect=0.1, alpha=0.05)
    assert watched is not None
    low, high = frequentist(many).interval
    assert watched.interval[0] < low < high < watched.interval[1]


# Verdicts


def lots(values: np.ndarray, kind: Kind = Kind.MEAN) -> list[Sample]:
    """Cut values into lots of ten."""
    parts = [values[at : at + 10] for at in range(0, len(values), 10)]
    return [
        Sample(kind=kind, n=len(part), sum=float(part.sum()), sum_squares=float((part**2).sum()))
        for part in parts
    ]


def test_looking_every_ten_units_seldom_calls_noise_significant() -> None:
    """The guarded verdict errs in at most 5 % of experiments, the bare p-value in many more."""
    rng = np.random.default_rng(5)
    experiments, bare, guarded = 150, 0, 0
    plan = Plan(minimum_effect=0.15)
    for _ in range(experiments):
        c, t = lots(rng.normal(1, 0.4, 400)), lots(rng.normal(1, 0.4, 400))
        seen = [compare(c[:at], t[:at], plan) for at in range(3, 41, 3)]
        bare += any(one.fixed_horizon for one in seen)
        guarded += any(one.significant for one in seen)
    assert bare > 0.1 * experiments
    assert guarded <= 0.05 * experiments


def test_a_true_effect_is_found_as_often_as_was_planned() -> None:
    rng = np.random.default_rng(6)
    experiments, found = 100, 0
    plan = Plan(minimum_effect=0.15)
    for _ in range(experiments):
        c, t = lots(rng.normal(1, 0.4, 400)), lots(rng.normal(1.15, 0.4, 400))
        verdict = compare(c, t, plan)
        assert verdict.needed is not None
        found += verdict.decision is Decision.BETTER
    assert found >= 0.8 * experiments


def test_the_planned_look_does_not_change_with_later_units() -> None:
    rng = np.random.default_rng(7)
    c, t = lots(rng.normal(1, 0.4, 2_000)), lots(rng.normal(1.1, 0.4, 2_000))
    plan = Plan(minimum_effect=0.1)
    early = compare(c[:60], t[:60], plan)
    late = compare(c, t, plan)
    assert early.needed == late.needed
    assert early.planned is not None
    assert early.planned == late.planned


def test_not_enough_data_is_an_answer() -> None:
    rng = np.random.default_rng(8)
    c, t = lots(rng.normal(1, 0.4, 40)), lots(rng.normal(2.0, 0.4, 40))
    verdict = compare(c[:1], t[:1], Plan(minimum_effect=0.1))
    assert verdict.decision is Decision.NOT_ENOUGH_DATA
    assert verdict.fixed_horizon
    assert not verdict.significant
    assert verdict.needed is not None
    assert verdict.left == 2 * verdict.needed - 20
    assert verdict.needed >= PILOT


def test_less_than_five_units_give_no_figure() -> None:
    verdict = compare([mean_from(4, 1, 1)], [mean_from(50, 1, 1)], Plan())
    assert verdict.failures == ("not-enough-exposures",)
    assert verdict.effect is None
    assert verdict.decision is Decision.NOT_ENOUGH_DATA


@pytest.mark.parametrize(
    ("baseline", "variant", "why"),
    [
        (share(60, 0), share(60, 9), "not-enough-metric-data"),
        (share(60, 9), share(60, 4), "not-enough-metric-data"),
        (mean_from(60, 0, 0), mean_from(60, 1, 1), "baseline-mean-is-zero"),
        (mean_from(60, 2, 0), mean_from(60, 3, 0), "not-enough-metric-data"),
        (ratio_of(np.ones(9), np.zeros(9)), ratio_of(np.ones(9), np.ones(9)), "not-enough-metric"),
    ],
)
def test_what_cannot_be_compared_says_why(baseline: Sample, variant: Sample, why: str) -> None:
    verdict = compare([baseline], [variant], Plan())
    assert any(failure.startswith(why) for failure in verdict.failures)
    assert verdict.bayesian is None
    assert verdict.frequentist is None


def test_lower_may_be_better() -> None:
    rng = np.random.default_rng(9)
    c, t = lots(rng.normal(1, 0.2, 400)), lots(rng.normal(0.8, 0.2, 400))
    assert compare(c, t, Plan(lower_is_better=True)).decision is Decision.BETTER
    assert compare(c, t, Plan()).decision is Decision.WORSE


def test_no_effect_is_only_said_after_the_planned_look() -> None:
    rng = np.random.default_rng(10)
    c, t = lots(rng.normal(1, 0.2, 400)), lots(rng.normal(1, 0.2, 400))
    assert compare(c, t, Plan()).decision is Decision.NO_EFFECT_SEEN
    assert compare(c[:4], t[:4], Plan()).decision is Decision.NOT_ENOUGH_DATA


def test_a_plan_made_by_hand_is_kept() -> None:
    rng = np.random.default_rng(12)
    c, t = lots(rng.normal(1, 0.2, 20)), lots(rng.normal(2, 0.2, 20))
    verdict = compare(c, t, Plan(units=20))
    assert verdict.needed == 20
    assert verdict.left == 0
    assert verdict.decision is Decision.BETTER
    assert verdict.guard is None


def test_a_baseline_near_zero_is_warned_of() -> None:
    verdict = compare([mean_from(100, 0.05, 1)], [mean_from(100, 0.1, 1)], Plan())
    assert any("close to zero" in warning for warning in verdict.warnings)


def test_mismatch_needs_a_hundred_units_and_two_arms() -> None:
    assert mismatch_p_value([60, 39], [1, 1]) is None
    assert mismatch_p_value([200], [1]) is None
    assert mismatch_p_value([300, 100], [3, 1]) == pytest.approx(1.0)
