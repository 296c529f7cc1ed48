"""Each step of the projection on its own: bursts, trends, seasons, plans, caps, learnt lead times, borrowed levels."""

from dataclasses import replace

import numpy as np
import pytest

from inventory.bench.projection import worlds
from inventory.bench.projection.scores import coverage, quantile_losses
from inventory.domain.demand import Ahead, History, Horizon, Seasons, Settings, fan, project
from inventory.domain.demand.mixture import Mixture, cdf, chance_above, of_demand, quantiles
from inventory.domain.demand.reasons import shares
from tests.domain.worlds import MONDAY, make_world, plain_horizon, plain_position

DAYS, AHEAD = 400, 90
WEEKDAY = np.arange(DAYS + AHEAD) % 7


def offices(prints, number=1):
    """So many offices, open Monday to Friday, that all printed that: an array with one figure a calendar day."""
    opened = np.tile(WEEKDAY < 5, (number, 1))
    past, ahead = opened[:, :DAYS], opened[:, DAYS:]
    demand = np.where(past, np.asarray(prints)[..., :DAYS], 0).astype(np.int64)
    nothing = np.zeros_like(past)
    return History(MONDAY, demand, np.zeros_like(demand), past, ~nothing, nothing), Ahead(ahead)


def noisy(mean, number=20, seed=1):
    """Poisson prints around a mean of each calendar day (D,)."""
    return offices(np.random.default_rng(seed).poisson(np.broadcast_to(mean, (number, DAYS))), number)


def found(history, ahead, horizon=None, position=None, **more):
    number = history.series
    return project(history, ahead, horizon or plain_horizon(number), position or plain_position(number), **more)


# --- bursts ------------------------------------------------------------------------------------------------------


def test_single_high_days_are_bursts_and_leave_the_level_alone():
    mean = np.full(DAYS, 30.0)
    mean[10::40] = 150.0
    history, ahead = noisy(mean)
    made = found(history, ahead)
    days = (mean[WEEKDAY[:DAYS] < 5] > 100).sum()
    assert made.burst_rate == pytest.approx(days / (WEEKDAY[:DAYS] < 5).sum(), rel=0.35)
    assert made.burst_jump == pytest.approx(120, rel=0.2)
    assert made.level - made.burst_rate * made.burst_jump == pytest.approx(30, rel=0.06)


def test_a_new_level_is_no_burst():
    mean = np.where(np.arange(DAYS) < 340, 30.0, 90.0)
    made = found(*noisy(mean))
    assert np.all(made.burst_rate < 0.02)
    # Six weeks after the step the blend of half-lives has gone two thirds of the way.
    assert np.all((made.level > 65) & (made.level < 95))


def test_quiet_offices_have_next_to_no_bursts():
    assert np.all(found(*noisy(np.full(DAYS, 30.0))).burst_rate < 0.005)


def test_worlds_with_bursts_are_covered_and_bursts_pay():
    world = worlds.make(3, 200)
    opened = Ahead(world.open[:, world.days :])
    seen = world.followed(34)
    losses = {}
    for name, rounds in (("apart", (1, 2)), ("ignored", (0, 0))):
        settings = Settings(burst_rounds=rounds, burst_first_look=2.5 if any(rounds) else 1e9)
        made = project(
            world.history(), opened, plain_horizon(200), plain_position(200), seasons=world.seasons(), settings=settings
        )
        losses[name] = quantile_losses(seen, made.quantiles, made.probabilities).mean()
        if any(rounds):
            within = coverage(seen, made.quantiles, made.probabilities, 0.8)[made.mean_horizon >= 10]
            assert within.mean() == pytest.approx(0.8, abs=0.08)
    assert losses["apart"] < losses["ignored"]


def test_a_burst_within_a_season_is_not_taken_for_the_season():
    calendar = seasons()
    mean = np.where(calendar.past[0] == 1, 24.0, 40.0)
    mean[np.flatnonzero(calendar.past[0] == 1)[[2, 9]]] += 200.0
    history, ahead = noisy(mean)
    made = found(history, ahead, plain_horizon(20, 8, 8), seasons=with_rows(calendar, 20))
    assert made.season_factors[:, 1] == pytest.approx(0.6, abs=0.06)


# --- batches -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", ["one size", "two sizes"])
@pytest.mark.parametrize("often", [0.03, 0.1, 0.3])
def test_lumpy_demand_is_foretold_as_batches(often, sizes):
    chance = np.random.default_rng(7)
    shape = (150, DAYS + AHEAD)
    size = 500 if sizes == "one size" else np.where(chance.random(shape) < 0.7, 50, 1000)
    prints = np.where((chance.random(shape) < often) & (WEEKDAY < 5), size, 0)
    history, ahead = offices(prints, 150)
    made = found(history, ahead)
    assert made.lumpy.mean() > 0.9
    opened = WEEKDAY[DAYS:] < 5
    seen = (prints[:, DAYS:] * (opened & (np.cumsum(opened) <= 34))).sum(axis=1)
    assert made.mean_horizon.mean() == pytest.approx(seen.mean(), rel=0.25)
    for share, least in ((0.8, 0.7), (0.95, 0.9)):
        assert coverage(seen, made.quantiles, made.probabilities, share).mean() >= least
    past = np.lib.stride_tricks.sliding_window_view(prints[:, :DAYS][:, WEEKDAY[:DAYS] < 5], 34, axis=1).sum(axis=2)
    windows = np.quantile(past, made.probabilities, axis=1).T
    own, others = (quantile_losses(seen, each, made.probabilities).mean() for each in (made.quantiles, windows))
    assert own < 1.1 * others


@pytest.mark.parametrize("kind", ["each tenth day", "one week in four", "a third of days", "hardly ever"])
def test_lumpy_offices_teach_others_nothing(kind):
    chance = np.random.default_rng(3)
    even = chance.poisson(30, (40, DAYS + AHEAD))
    uneven = {
        "each tenth day": np.where(np.cumsum(WEEKDAY < 5) % 10 == 0, 10 * even, 0),
        "one week in four": np.where(np.arange(DAYS + AHEAD) // 7 % 4 == 0, 4 * even, 0),
        "a third of days": np.where(chance.random(even.shape) < 0.35, 3 * even, 0),
        "hardly ever": np.where(chance.random(even.shape) < 0.006, 2000, 0),
    }[kind]
    alone = found(*offices(even, 40))
    together = found(*offices(np.concatenate([even, uneven]), 80))
    assert together.mean_horizon[:40] == pytest.approx(alone.mean_horizon, rel=0.02)
    assert together.quantiles[:40, 7] == pytest.approx(alone.quantiles[:, 7], rel=0.03)
    assert together.mean_horizon[40:].mean() < 2 * 34 * uneven[:, :DAYS].sum() / (40 * (WEEKDAY[:DAYS] < 5).sum())


def test_few_prints_or_an_office_that_paused_are_not_lumpy():
    few = found(*noisy(np.full(DAYS, 0.3), 100))
    paused = np.full(DAYS, 40.0)
    paused[100:200] = 0.0
    assert not few.lumpy.any()
    assert not found(*noisy(paused)).lumpy.any()
    assert not project_world(5).lumpy.any()


def project_world(seed, number=100):
    world = worlds.make(seed, number)
    return project(
        world.history(), Ahead(world.open[:, world.days :]), plain_horizon(number), plain_position(number),
        seasons=world.seasons(),
    )  # fmt: skip


# --- trend, seasons, what is left out ----------------------------------------------------------------------------


def test_a_steady_trend_is_followed_and_a_steady_level_is_not_led_astray():
    rising = found(*noisy(60 * np.exp(np.arange(DAYS) / 365 * 0.5)))
    now = 60 * np.exp(DAYS / 365 * 0.5)
    assert rising.mean_horizon / 34 == pytest.approx(now * np.exp(24 / 365 * 0.5), rel=0.06)
    steady = found(*noisy(np.full(DAYS, 60.0)))
    assert steady.mean_horizon / 34 == pytest.approx(60, rel=0.04)


def seasons(factor=np.nan):
    """A season of four weeks in each half year, and one that begins with the days ahead."""
    label = ((np.arange(DAYS + AHEAD) + 182 - DAYS % 182) % 182 < 28).astype(np.int64)[None, :]
    return Seasons(label[:, :DAYS], label[:, DAYS:], np.array([factor]))


def with_rows(calendar, number):
    past, ahead = (np.repeat(each, number, axis=0) for each in (calendar.past, calendar.ahead))
    return Seasons(past, ahead, calendar.stated)


def test_a_season_is_learnt_and_expected_again():
    calendar = seasons()
    history, ahead = noisy(40 * np.where(calendar.past[0], 0.6, 1.0))
    made = found(history, ahead, plain_horizon(20, 8, 8), seasons=with_rows(calendar, 20))
    without = found(history, ahead, plain_horizon(20, 8, 8))
    assert made.season_factors[:, 0] == pytest.approx(1.0)
    assert made.season_factors[:, 1] == pytest.approx(0.6, abs=0.06)
    assert made.mean_horizon == pytest.approx(16 * 40 * 0.6, rel=0.1)
    assert without.mean_horizon.mean() > 1.2 * made.mean_horizon.mean()


def test_a_stated_season_counts_until_history_knows_better():
    calendar = seasons(factor=1.5)
    never = Seasons(np.zeros_like(calendar.past), calendar.ahead, calendar.stated)
    history, ahead = noisy(np.full(DAYS, 40.0))
    stated = found(history, ahead, seasons=with_rows(never, 20))
    assert stated.season_factors[:, 1] == pytest.approx(1.5, abs=0.05)
    learnt = found(history, ahead, seasons=with_rows(calendar, 20))
    assert learnt.season_factors[:, 1] == pytest.approx(1.0, abs=0.08)


def test_rationed_days_are_left_out_like_days_without_stock():
    mean = np.where(np.arange(DAYS) < 370, 50.0, 20.0)
    history, ahead = noisy(mean)
    rationed = np.tile(np.arange(DAYS) >= 370, (20, 1))
    made = found(replace(history, rationed=rationed), ahead)
    assert made.level == pytest.approx(50, rel=0.06)
    assert np.all(made.days_rationed == (rationed & history.open).sum(axis=1))
    parts = (made.days_used, made.days_stocked_out, made.days_rationed, made.days_closed, made.days_unknown)
    assert np.all(sum(parts) == DAYS)
    assert found(history, ahead).level.mean() < 43


# --- what is known ahead -----------------------------------------------------------------------------------------


def test_planned_prints_come_on_their_day_and_widen_the_band():
    history, ahead = noisy(np.full(DAYS, 40.0))
    extra = np.zeros(ahead.open.shape)
    extra[:, 10] = 300
    made, plain = found(history, replace(ahead, extra=extra)), found(history, ahead)
    step = made.cumulative_mean - plain.cumulative_mean
    assert step[:, 9] == pytest.approx(0)
    assert step[:, 10:] == pytest.approx(300)
    width = made.quantiles[:, -1] - made.quantiles[:, 0]
    assert np.all(width > plain.quantiles[:, -1] - plain.quantiles[:, 0])
    assert np.all(made.suggested_order >= plain.suggested_order + 250)
    assert fan(made, 0, [0.5])[0, -1] > fan(plain, 0, [0.5])[0, -1] + 200


def test_a_cap_and_a_factor_limit_what_is_printed():
    history, ahead = noisy(np.full(DAYS, 40.0))
    capped = found(history, replace(ahead, cap=np.full(ahead.open.shape, 10.0)))
    assert capped.mean_horizon == pytest.approx(34 * 10, rel=0.02)
    fewer = found(history, replace(ahead, factor=np.full(20, 0.8)))
    assert fewer.mean_horizon == pytest.approx(0.8 * found(history, ahead).mean_horizon)


def test_a_lead_time_that_varies_needs_more_stock_than_a_sure_one():
    history, ahead = noisy(np.full(DAYS, 40.0))
    weights = np.zeros((20, 31))
    weights[:10, 14] = 1.0
    weights[10:, [4, 14, 24]] = 1 / 3
    horizon = plain_horizon(20)
    made = found(history, ahead, Horizon(horizon.lead_days, horizon.review_days, weights))
    sure = found(history, ahead)
    lead = horizon.lead_days[0]
    assert lead == 14
    assert np.all(made.reorder_point[:10] == sure.reorder_point[:10])
    assert np.all(made.reorder_point[10:] > sure.reorder_point[10:] * 1.3)
    with pytest.raises(ValueError, match="probabilities"):
        Horizon(horizon.lead_days, horizon.review_days, weights * 2)


def test_the_average_stands_for_the_model_where_it_is_told_to():
    history, ahead = noisy(np.where(np.arange(DAYS) < 370, 30.0, 60.0))
    plain = np.zeros(20, dtype=bool)
    plain[:5] = True
    made = found(history, ahead, average=plain)
    assert made.from_average.tolist() == plain.tolist()
    usable = history.open[0, -84:]
    average = history.demand[:, -84:].sum(axis=1) / usable.sum()
    assert made.level[:5] == pytest.approx(average[:5])
    others = found(history, ahead).level
    assert made.level[5:] == pytest.approx(others[5:])
    assert np.all(np.abs(others[:5] - average[:5]) > 0.01)


# --- new offices -------------------------------------------------------------------------------------------------


def young(days, prints, **more):
    """Nine offices that print 40 a day, and one that opened so many days ago and prints something else."""
    history, ahead = noisy(np.full(DAYS, 40.0), number=10)
    known = history.known.copy()
    known[9, : DAYS - days] = False
    demand = history.demand.copy()
    demand[9] = np.where(history.open[9], prints, 0)
    return replace(history, known=known, demand=demand, **more), ahead


def test_a_new_office_leans_on_its_relatives_and_ever_less():
    family = np.zeros(10, dtype=np.int64)
    shares_borrowed = []
    for days in (10, 20, 30):
        made = found(*young(days, 80, family=family))
        assert not made.enough[9]
        assert 0 < made.borrowed[9] < 1
        assert 40 < made.level[9] < 81
        shares_borrowed.append(float(made.borrowed[9]))
    assert shares_borrowed == sorted(shares_borrowed, reverse=True)
    assert np.all(made.borrowed[:9] == 0)


def test_nobody_borrows_from_strangers_or_without_a_week_of_its_own():
    alone = np.array([0] * 9 + [1])
    assert np.isnan(found(*young(20, 80, family=alone)).level[9])
    assert np.isnan(found(*young(20, 80)).level[9])
    assert np.isnan(found(*young(4, 80, family=np.zeros(10, dtype=np.int64))).level[9])


def test_a_stated_rate_goes_before_what_relatives_do():
    position = plain_position(10, stated_rate=np.full(10, 55.0))
    made = found(*young(20, 80, family=np.zeros(10, dtype=np.int64)), position=position)
    assert made.from_stated_rate[9]
    assert made.level[9] == 55


# --- mixture and reasons -----------------------------------------------------------------------------------------


def mixed(base, number, jump):
    """Mixtures (C,) with a dispersion of 0.05."""
    base, number, jump = (np.asarray(each, dtype=np.float64) for each in (base, number, jump))
    spread, seen, nothing = np.full(base.shape, 0.05), np.full(base.shape, 5.0), np.zeros(base.shape)
    return of_demand(base, spread, number, jump, 0.3, seen, nothing, nothing)


def test_a_mixture_has_the_moments_of_its_parts():
    made = mixed([100.0], [0.6], [80.0])
    assert made.weights.sum() == pytest.approx(1)
    mean = (made.weights * made.mean).sum()
    assert mean == pytest.approx(100 + 0.6 * 80, rel=1e-6)
    variance = (made.weights * (made.variance + made.mean**2)).sum() - mean**2
    number_variance = 0.6 + 0.6**2 / 5
    assert variance == pytest.approx(100 + 0.05 * 100**2 + 0.6 * (80**2 * 0.3 + 80) + number_variance * 80**2, rel=0.01)


@pytest.mark.parametrize("base", [3.0, 40.0, 150.0, 900.0, 20_000.0])
def test_quantiles_of_a_mixture_are_the_inverse_of_its_cdf(base):
    made = mixed([base], [0.4], [2 * base])
    for wanted in (0.025, 0.5, 0.95, 0.999):
        [[quantile]] = quantiles(np.array([[wanted]]), made)
        # The table is exact; the curve that reads it back is right to a thousandth.
        assert cdf(np.array([quantile]), made)[0] >= wanted - 2e-3
        assert cdf(np.array([quantile - 1]), made)[0] < wanted + 2e-3


def test_quantiles_of_any_mixture_are_found_whatever_its_curve():
    """Also of parts that lie so far apart that the curve has steps, and of parts that are hardly there."""
    chance = np.random.default_rng(11)
    weights = chance.dirichlet(np.full(4, 0.3), 500)
    mean, dispersion = np.exp(chance.uniform(-3, 11, (500, 4))), np.exp(chance.uniform(-8, 1, (500, 4)))
    made = Mixture(weights, mean, dispersion)
    wanted = np.tile([0.001, 0.025, 0.5, 0.95, 0.9986, 0.9999], (500, 1))
    found = quantiles(wanted, made)
    assert (found == np.floor(found)).all()
    assert (found >= 0).all()
    assert (np.diff(found, axis=1) >= 0).all()
    for column in range(wanted.shape[1]):
        assert (cdf(found[:, column], made) >= wanted[:, column]).all()
        assert (cdf(found[:, column] - 1, made) < wanted[:, column]).all()
    alone = [quantiles(wanted[:1], Mixture(weights[[row]], mean[[row]], dispersion[[row]])) for row in range(100)]
    np.testing.assert_array_equal(found[:100], np.concatenate(alone))


def test_quantiles_of_no_demand_are_nothing():
    made = Mixture(np.eye(4)[:1], np.zeros((1, 4)), np.full((1, 4), 0.1))
    assert quantiles(np.array([[0.05, 0.9999]]), made).tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize("probability", [0.0, 1.0, -0.1, np.nan])
def test_a_probability_lies_strictly_between_0_and_1(probability):
    with pytest.raises(ValueError, match="strictly"):
        quantiles(np.array([[0.5, probability]]), mixed([10.0], [0.1], [5.0]))


def test_a_chance_far_from_question_is_none_or_sure():
    made = mixed([100.0, 100.0, 100.0], [0.1] * 3, [50.0] * 3)
    chance = chance_above(np.array([5.0, 110.0, 5_000.0]), made)
    assert chance[0] == pytest.approx(1, abs=1e-6)
    assert 0.01 < chance[1] < 0.99
    assert chance[2] == 0
    assert chance[1] == pytest.approx(1 - cdf(np.array([110.0]), Mixture(*(
        getattr(made, name)[1:2] for name in ("weights", "mean", "dispersion")
    )))[0])  # fmt: skip


def test_reasons_add_up_and_lean_on_their_pool():
    made = shares(np.array([[900, 100], [0, 0], [5, 5]]), np.array([0, 0, 1]))
    assert made.sum(axis=1) == pytest.approx(1)
    assert made[0, 0] == pytest.approx(0.9, abs=0.01)
    assert made[1, 0] == pytest.approx(0.9, abs=0.01)
    assert made[2, 0] == pytest.approx(0.5)


def test_a_world_with_little_noise_gives_narrower_bands_than_one_with_much():
    quiet = make_world(31, series=40, dispersion=0.02, level=(40, 60))
    loud = make_world(31, series=40, dispersion=0.8, level=(40, 60))
    widths = []
    for world in (quiet, loud):
        made = project(world.history, world.ahead, plain_horizon(40), plain_position(40))
        widths.append(((made.quantiles[:, -2] - made.quantiles[:, 1]) / made.mean_horizon).mean())
    assert widths[0] < 0.6 * widths[1]
