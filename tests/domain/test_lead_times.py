"""Lead times learnt from deliveries: the setting is where they begin, the deliveries where they end."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inventory.domain.distributions import beta_cdf
from inventory.domain.lead_times import LONGEST_DAYS, LeadTimes, Waits, learn, student_cdf

days = st.integers(0, 400)
waits = st.builds(
    Waits,
    setting=st.integers(0, 250),
    taken=st.lists(days, max_size=12).map(tuple),
    waiting=st.lists(days, max_size=3).map(tuple),
)


def of(setting: int, taken: tuple[int, ...] = (), waiting: tuple[int, ...] = ()) -> LeadTimes:
    return learn([Waits(setting=setting, taken=taken, waiting=waiting)])


@settings(deadline=None)
@given(st.lists(waits, min_size=1, max_size=4))
def test_rows_are_probabilities_of_bounded_waits(offices: list[Waits]) -> None:
    found = learn(offices)
    assert found.weights.shape[0] == len(offices)
    assert found.weights.shape[1] <= LONGEST_DAYS + 1
    assert np.all(found.weights >= -1e-12)
    assert found.weights.sum(axis=1) == pytest.approx(1.0)
    assert np.all(found.low <= found.high)
    assert np.all((found.mean >= 0) & (found.mean <= LONGEST_DAYS))
    alone = learn(offices[:1])
    assert found.mean[0] == pytest.approx(alone.mean[0], abs=0.05), "other offices change nothing"
    assert (found.low[0], found.high[0]) == (alone.low[0], alone.high[0])


@pytest.mark.parametrize("setting", [0, 1, 14, 250])
def test_without_a_delivery_the_setting_stands_as_it_is(setting: int) -> None:
    found = of(setting, waiting=(setting,))
    assert found.weights[0, setting] == 1.0
    assert (found.mean[0], found.low[0], found.high[0], found.deliveries[0]) == (setting, setting, setting, 0)


@pytest.mark.parametrize("took", [7, 30])
def test_the_mean_moves_from_the_setting_to_the_deliveries(took: int) -> None:
    means = [of(14, (took,) * number).mean[0] for number in (0, 1, 3, 6, 12, 40, 200)]
    assert means[0] == 14
    assert means == sorted(means, reverse=took < 14)
    assert means[-1] == pytest.approx(took, rel=0.05)


def test_the_spread_comes_in_with_the_deliveries() -> None:
    varied = (9, 21, 12, 16, 11, 15)
    bands = [of(14, varied[:number]) for number in (0, 1, 2, 6)]
    widths = [int(each.high[0] - each.low[0]) for each in bands]
    assert widths[0] == 0 < widths[1] < widths[2]
    assert widths[-1] >= 8
    # A hundred deliveries that vary in that way have a band of their own spread, whatever the setting was.
    many = of(40, varied * 20)
    low, high = np.quantile(varied * 20, [0.1, 0.9])
    assert (many.low[0], many.high[0]) == (pytest.approx(low, abs=2), pytest.approx(high, abs=2))


@settings(deadline=None)
@given(st.integers(1, 60), st.lists(st.integers(0, 120), min_size=1, max_size=10), st.integers(1, 40))
def test_longer_waits_never_make_the_usual_wait_shorter(setting: int, taken: list[int], more: int) -> None:
    def median(found: LeadTimes) -> int:
        return int(np.argmax(np.cumsum(found.weights[0]) >= 0.5))

    before = median(of(setting, tuple(taken)))
    assert median(of(setting, (taken[0] + more, *taken[1:]))) >= before
    assert median(of(setting + more, tuple(taken))) >= before


def test_a_request_that_has_waited_for_longer_than_usual_counts_and_no_other() -> None:
    usual = of(14, (14, 15, 13))
    assert of(14, (14, 15, 13), (3, 10)).mean[0] == usual.mean[0]
    late = of(14, (14, 15, 13), (3, 40))
    assert late.mean[0] > usual.mean[0] + 2
    assert (late.deliveries[0], late.overdue[0]) == (3, 1)
    assert of(14, (14, 15, 13), (LONGEST_DAYS + 1,)).mean[0] == usual.mean[0], "a forgotten request says nothing"


def test_student_t_has_its_published_quantiles() -> None:
    """Abramowitz and Stegun, table 26.10: t for A(t) = 0.90 two-sided, that is 0.95 one-sided."""
    degrees = np.array([1, 2, 3, 4, 5, 10, 29, 30])
    t = np.array([[6.314, 2.920, 2.353, 2.132, 2.015, 1.812, 1.699, 1.697]]).T
    assert student_cdf(t, degrees)[:, 0] == pytest.approx(np.full(8, 0.95), abs=2e-4)
    assert student_cdf(-t, degrees)[:, 0] == pytest.approx(np.full(8, 0.05), abs=2e-4)
    assert student_cdf(t * 0, degrees)[:, 0] == pytest.approx(np.full(8, 0.5))


@settings(deadline=None)
@given(st.integers(1, 60), st.floats(-50, 50))
def test_student_t_agrees_with_the_incomplete_beta_function(degrees: int, t: float) -> None:
    """Abramowitz and Stegun 26.5.27."""
    tail = 0.5 * float(beta_cdf(degrees / 2, 0.5, degrees / (degrees + t * t)))
    expected = 1 - tail if t > 0 else tail
    assert student_cdf(np.array([[t]]), np.array([degrees]))[0, 0] == pytest.approx(expected, abs=1e-7)


def test_the_posterior_is_the_textbooks() -> None:
    """By hand: setting 14, one delivery that took 14: the centre stays, and a quarter of the variance counts."""
    found = of(14, (14,))
    scale = math.sqrt(4 * math.log(1.09) / 5 * 1.25 * 0.25)
    reached = np.cumsum(found.weights[0])[16]
    expected = student_cdf(np.array([[math.log(17 / 14.5) / scale]]), np.array([5]))[0, 0]
    assert reached == pytest.approx(expected)


def test_a_wait_below_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="below zero"):
        Waits(setting=14, taken=(-1,))
