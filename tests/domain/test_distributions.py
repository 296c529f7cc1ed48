"""The vectorised functions against sums of terms from the standard library."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inventory.domain.distributions import (
    EXACT_BELOW_MEAN,
    beta_cdf,
    count_cdf,
    gamma_cdf,
    log_gamma,
    normal_cdf,
    normal_quantile,
    rough_normal_quantile,
)

means = st.floats(0.01, 3000)
dispersions = st.floats(1e-5, 3.0)


def summed_cdf(count, mean, dispersion):
    """P(D <= count), term by term."""
    size = 1 / dispersion
    share = size / (size + mean)
    fixed = size * math.log(share) - math.lgamma(size)
    return math.fsum(
        math.exp(math.lgamma(size + i) - math.lgamma(i + 1) + fixed + i * math.log1p(-share)) for i in range(count + 1)
    )


@pytest.mark.parametrize("x", [1e-3, 0.5, 1.0, 2.5, 10.0, 170.5, 1e4, 1e7])
def test_log_gamma(x):
    assert float(log_gamma(x)) == pytest.approx(math.lgamma(x), rel=1e-11, abs=1e-11)


@pytest.mark.parametrize("z", [-8.0, -3.0, -1.0, -0.1, 0.0, 0.1, 1.0, 3.0, 8.0])
def test_normal_cdf(z):
    assert float(normal_cdf(z)) == pytest.approx(NormalDist().cdf(z), abs=2e-7)


def test_normal_quantile_keeps_the_shape():
    wanted = np.array([[0.05, 0.5], [0.975, 0.05]])
    found = normal_quantile(wanted)
    assert found.shape == (2, 2)
    assert found[1, 0] == pytest.approx(1.959964, abs=1e-6)
    assert found[0, 0] == found[1, 1] == pytest.approx(-1.644854, abs=1e-6)


@pytest.mark.parametrize("shape", [1, 2, 5, 20, 99])
@pytest.mark.parametrize("ratio", [0.05, 0.5, 0.9, 1.0, 1.2, 2.0, 4.0])
def test_gamma_cdf_of_a_whole_shape_is_a_poisson_tail(shape, ratio):
    x = shape * ratio
    below = math.fsum(math.exp(-x + i * math.log(x) - math.lgamma(i + 1)) for i in range(shape))
    # 1e-5 is the error of the cube-root curve in tails beyond 1e-9.
    assert float(gamma_cdf(shape, x)) == pytest.approx(1 - below, abs=1e-5 if 1 - below < 1e-4 else 1e-9)


def test_gamma_cdf_of_large_shapes():
    shape, x = 400, 420.0
    below = math.fsum(math.exp(-x + i * math.log(x) - math.lgamma(i + 1)) for i in range(shape))
    assert float(gamma_cdf(shape, x)) == pytest.approx(1 - below, abs=3e-5)


def test_gamma_cdf_left_of_zero_is_zero():
    assert gamma_cdf([0.5, 5.0, 500.0], [-1.0, 0.0, -3.0]).tolist() == [0.0, 0.0, 0.0]


def test_beta_cdf_against_a_binomial_sum():
    n, p = 30, 0.3
    for k in (0, 5, 9, 15, 29):
        upper = math.fsum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k + 1, n + 1))
        assert float(beta_cdf(k + 1, n - k, p)) == pytest.approx(upper, abs=1e-11)


@pytest.mark.parametrize("mean", [0.01, 1.0, 7.0, 49.9])
@pytest.mark.parametrize("dispersion", [1e-5, 0.01, 0.2, 1.0, 3.0])
def test_small_counts_are_exact(mean, dispersion):
    for count in (0, 1, 5, 50, 200):
        assert float(count_cdf(count, mean, dispersion)) == pytest.approx(summed_cdf(count, mean, dispersion), abs=1e-8)


@pytest.mark.parametrize("mean", [50.1, 80.0, 400.0, 3000.0])
@pytest.mark.parametrize("dispersion", [1e-5, 0.01, 0.1, 0.5, 0.6, 2.0])
def test_large_counts_are_near(mean, dispersion):
    spread = math.sqrt(mean + dispersion * mean**2)
    for z in (-3, -2, -1, 0, 1, 2, 4):
        count = math.floor(mean + z * spread)
        if count >= 0:
            exact = summed_cdf(count, mean, dispersion)
            assert float(count_cdf(count, mean, dispersion)) == pytest.approx(exact, abs=5e-4)


def test_nothing_is_demanded_of_a_closed_office():
    assert count_cdf([-1, 0, 5], 0.0, 0.1).tolist() == [0.0, 1.0, 1.0]


@given(means, dispersions)
@settings(max_examples=100, deadline=None)
def test_the_cdf_ascends(mean, dispersion):
    counts = np.arange(0, 4 * math.ceil(mean) + 10, max(1, math.ceil(mean) // 40))
    assert np.all(np.diff(count_cdf(counts, mean, dispersion)) >= -1e-9)


def test_both_branches_meet():
    below, above = count_cdf(45, [EXACT_BELOW_MEAN, EXACT_BELOW_MEAN + 1e-9], 0.2)
    assert below == pytest.approx(above, abs=5e-4)


def test_results_do_not_depend_on_their_neighbours():
    rng = np.random.default_rng(7)
    mean, dispersion = np.exp(rng.uniform(-3, 8, 300)), np.exp(rng.uniform(-7, 0.5, 300))
    alone = [float(count_cdf(20, m, f)) for m, f in zip(mean, dispersion, strict=True)]
    assert count_cdf(20, mean, dispersion) == pytest.approx(alone, abs=1e-12)


def test_a_rough_quantile_is_near():
    wanted = np.array([1e-9, 0.001, 0.3, 0.5, 0.8, 0.999, 1 - 1e-9])
    assert np.abs(rough_normal_quantile(wanted) - normal_quantile(wanted)).max() < 4.6e-4
