"""Projections held against made-up offices whose true demand is known."""

from dataclasses import fields, replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inventory.domain.demand import (
    Ahead,
    FanParts,
    History,
    Horizon,
    Position,
    Settings,
    chances_despite,
    fan,
    levels,
    project,
)
from inventory.domain.demand.spread import Spread
from tests.domain.worlds import (
    MONDAY,
    make_world,
    plain_horizon,
    plain_position,
    rows_of,
)

WORLD = make_world(seed=11, series=40, days=420, ahead=90, drift=0.2)
HORIZON = plain_horizon(40)
POSITION = plain_position(40)


def projected(world=WORLD, horizon=HORIZON, position=POSITION, **changes):
    return project(world.history, world.ahead, horizon, position, **changes)


PROJECTION = projected()


def same(one, other, tolerance=0.0):
    """Every field of two projections, within the tolerance (none: to the last bit)."""
    for field in fields(one):
        np.testing.assert_allclose(
            np.asarray(getattr(one, field.name), dtype=float),
            np.asarray(getattr(other, field.name), dtype=float),
            rtol=tolerance,
            atol=tolerance,
            err_msg=field.name,
        )


def column(projection, probability):
    return projection.quantiles[:, projection.probabilities.index(probability)]


def demand_over(world, open_days):
    """What was really requested over the next open days (S,)."""
    return (world.future * (np.cumsum(world.ahead.open, axis=1) <= open_days)).sum(axis=1)


def steady(prints, days=200, ahead=90, **changes):
    """A history of one office, open Monday to Friday; prints: a number, or one per open day."""
    weekday = np.arange(days + ahead) % 7
    opened = (weekday < 5)[None, :]
    demand = np.zeros((1, days), dtype=np.int64)
    demand[opened[:, :days]] = prints
    nothing = np.zeros((1, days), dtype=bool)
    history = History(MONDAY, demand, np.zeros_like(demand), opened[:, :days], ~nothing, nothing)
    return replace(history, **changes), Ahead(opened[:, days:])


# --- What counts as evidence -------------------------------------------------------------------


def test_every_day_of_history_is_counted_once():
    history = replace(WORLD.history, known=np.arange(420)[None, :] >= np.arange(40)[:, None] * 5)
    found = project(history, WORLD.ahead, HORIZON, POSITION)
    parts = (found.days_used, found.days_stocked_out, found.days_closed, found.days_unknown)
    assert np.all(sum(parts) == 420)
    assert np.all(found.days_unknown == np.arange(40) * 5)


def level_error(history, world):
    """Mean of the estimated over the true level of the steady offices, less 1."""
    found = project(history, world.ahead, plain_horizon(100), plain_position(100))
    truth = np.array([row[row > 0].mean() for row in world.rate])
    return float((found.level / truth).mean() - 1)


def test_stock_outs_and_backlog_prints_are_left_out():
    world = make_world(seed=5, series=100, days=500, level=(5, 60), stockouts=0.2)
    assert world.history.stocked_out.sum() / world.history.open.sum() == pytest.approx(0.2, abs=0.04)
    assert abs(level_error(world.history, world)) < 0.02


def test_counting_stock_outs_as_days_would_be_wrong():
    world = make_world(seed=5, series=100, days=500, level=(5, 60), stockouts=0.2)
    counted = replace(world.history, stocked_out=np.zeros_like(world.history.open))
    assert level_error(counted, world) < -0.08


def test_keeping_the_backlog_prints_would_be_wrong():
    world = make_world(seed=5, series=100, days=500, level=(5, 60), stockouts=0.2)
    kept = replace(world.history, served_waiting=np.zeros_like(world.history.demand))
    assert level_error(kept, world) > 0.08


def test_an_office_that_was_out_all_period_is_not_an_office_without_demand():
    history, ahead = steady(0)
    out = replace(history, stocked_out=history.open)
    found = project(out, ahead, plain_horizon(1), plain_position(1))
    assert not found.enough[0]
    assert found.days_used[0] == 0
    assert np.isnan([found.level[0], found.mean_lead[0], found.cover_days[0], found.quantiles[0, 0]]).all()
    assert np.isnan(found.stockout_probability).all()
    assert found.reorder_point[0] == found.suggested_order[0] == found.stockout_day[0] == -1


def test_an_empty_history_is_not_enough():
    none = np.zeros((3, 0), dtype=np.int64)
    flags = none.astype(bool)
    history = History(MONDAY, none, none, flags, flags, flags)
    found = project(history, Ahead(np.ones((3, 30), dtype=bool)), plain_horizon(3), plain_position(3))
    assert not found.enough.any()
    assert np.isnan(found.level).all()
    assert np.isnan(fan(found, 1)).all()


def test_no_series_at_all():
    none = np.zeros((0, 100), dtype=np.int64)
    flags = none.astype(bool)
    history = History(MONDAY, none, none, flags, flags, flags)
    found = project(history, Ahead(np.ones((0, 30), dtype=bool)), plain_horizon(0), plain_position(0))
    assert found.quantiles.shape == (0, len(found.probabilities))
    assert found.stockout_probability.shape == (0, 30)


@pytest.mark.parametrize(("days", "enough"), [(40, False), (41, False), (42, True)])
def test_thirty_open_days_are_enough(days, enough):
    history, ahead = steady(20, days=42)
    known = np.arange(42)[None, :] >= 42 - days
    found = project(replace(history, known=known), ahead, plain_horizon(1), plain_position(1))
    assert found.enough[0] == enough


def test_days_not_yet_recorded_are_not_days_without_demand():
    history, ahead = steady(20)
    blank = np.arange(200) >= 170
    late = replace(history, demand=np.where(blank, 0, history.demand), known=~blank[None, :])
    found = project(late, ahead, plain_horizon(1), plain_position(1))
    assert found.level[0] == pytest.approx(20, rel=0.01)
    assert found.days_unknown[0] == 30


def test_prints_on_closed_days_change_nothing():
    history, ahead = steady(20)
    noisy = replace(history, demand=np.where(history.open, history.demand, 99))
    same(
        project(history, ahead, plain_horizon(1), plain_position(1)),
        project(noisy, ahead, plain_horizon(1), plain_position(1)),
    )


# --- The level and the days ahead --------------------------------------------------------------


def test_a_level_that_has_changed_is_followed():
    prints = np.where(np.arange(144) < 100, 20, 40)
    history, ahead = steady(prints)
    found = project(history, ahead, plain_horizon(1, 5, 5), plain_position(1))
    assert 34 < found.level[0] < 41


def test_weekday_weights_are_those_of_the_office():
    world = make_world(seed=3, series=50, days=730, level=(20, 60))
    found = project(world.history, world.ahead, plain_horizon(50), plain_position(50))
    wanted = np.array([1.35, 1.1, 0.95, 0.9, 0.7])
    np.testing.assert_allclose(found.weekday_weights[:, :5].mean(axis=0), wanted, rtol=0.03)


def test_the_weekdays_of_a_small_office_lean_on_the_pool():
    prints = np.tile([100, 50, 50, 50, 50], 40)
    history, _ = steady(prints, days=280)
    small = replace(history, demand=np.minimum(history.demand, 1) * (np.arange(280) % 35 == 3))
    both = History(
        MONDAY,
        *(
            np.concatenate([getattr(history, name), getattr(small, name)])
            for name in ("demand", "served_waiting", "open", "known", "stocked_out")
        ),
    )
    ahead = Ahead(np.ones((2, 30), dtype=bool))
    pooled = project(both, ahead, plain_horizon(2), plain_position(2)).weekday_weights[1]
    apart = project(replace(both, group=np.array([7, 3])), ahead, plain_horizon(2), plain_position(2)).weekday_weights[
        1
    ]
    assert pooled[0] / pooled[1] == pytest.approx(2, rel=0.1)
    assert apart[0] / apart[1] < 1.2
    assert pooled[:5].mean() == pytest.approx(1)
    assert apart[:5].mean() == pytest.approx(1)


def test_an_office_open_on_mondays_only_has_the_weight_1_on_mondays():
    days = np.arange(280)
    opened = np.stack([days % 7 < 5, days % 7 == 0])
    prints = np.where(opened, np.stack([np.where(days % 7, 50, 150), np.full(280, 2)]), 0)
    nothing = np.zeros_like(opened)
    history = History(MONDAY, prints, np.zeros_like(prints), opened, ~nothing, nothing)
    found = project(history, Ahead(opened[:, :28]), plain_horizon(2, 2, 2), plain_position(2))
    assert found.weekday_weights[1, 0] == pytest.approx(1)
    assert found.mean_horizon[1] == pytest.approx(4 * 2, rel=0.02)


def test_the_day_after_a_holiday_is_busier():
    days = np.arange(400)
    opened = ((days % 7 < 5) & (days % 28 != 8))[None, :]
    prints = np.where(opened, np.where(days % 28 == 9, 60, 40), 0)
    nothing = np.zeros_like(opened)
    history = History(MONDAY, prints, np.zeros_like(prints), opened, ~nothing, nothing)
    ahead = Ahead(np.array([[False, True, True, True] + [False] * 3]))
    found = project(history, ahead, plain_horizon(1, 1, 1), plain_position(1))
    assert found.after_closure[0] == pytest.approx(1.5, abs=0.1)
    # 400 days end on a Monday; that Tuesday is closed, so the Wednesday is a first day after a closure.
    tuesday, wednesday, thursday, _ = np.diff(found.cumulative_mean[0, :4], prepend=0.0)
    assert tuesday == 0
    assert wednesday / thursday == pytest.approx(1.5, abs=0.1)


def test_the_factor_after_a_closure_stays_within_reason():
    days = np.arange(400)
    opened = ((days % 7 < 5) & (days % 28 != 8))[None, :]
    prints = np.where(opened, np.where(days % 28 == 9, 4000, 40), 0)
    nothing = np.zeros_like(opened)
    history = History(MONDAY, prints, np.zeros_like(prints), opened, ~nothing, nothing)
    found = project(history, Ahead(opened[:, :30]), plain_horizon(1), plain_position(1))
    # What no closure explains is taken for bursts.
    assert 2.5 < found.after_closure[0] <= 3.0


def test_closed_days_add_nothing():
    mean = PROJECTION.cumulative_mean
    step = np.diff(mean, axis=1, prepend=0.0)
    assert np.all(step[~WORLD.ahead.open] == 0)
    assert np.all(step[WORLD.ahead.open] > 0)
    chance = np.diff(PROJECTION.stockout_probability, axis=1, prepend=0.0)
    assert np.all(np.abs(chance[~WORLD.ahead.open]) < 1e-9)


def test_more_days_ahead_change_nothing_before_them():
    shorter = project(WORLD.history, Ahead(WORLD.ahead.open[:, :60]), HORIZON, POSITION)
    np.testing.assert_allclose(shorter.quantiles, PROJECTION.quantiles)
    np.testing.assert_allclose(shorter.stockout_probability, PROJECTION.stockout_probability[:, :60])


def test_past_the_calendar_its_mean_day_stands_in():
    found = project(WORLD.history, Ahead(WORLD.ahead.open[:, :20]), HORIZON, POSITION)
    assert found.beyond_calendar.all()
    assert not PROJECTION.beyond_calendar.any()
    np.testing.assert_allclose(found.mean_horizon, PROJECTION.mean_horizon, rtol=0.1)


def test_a_backtest_does_not_know_its_future():
    history, ahead = steady(20)
    later = np.where(np.arange(200) >= 190, 200, history.demand) * history.open
    found = project(replace(history, demand=later), ahead, plain_horizon(1, 5, 5), plain_position(1))
    plain = project(history, ahead, plain_horizon(1, 5, 5), plain_position(1))
    # Had the origins known the last days, the jump would have been foretold.
    assert plain.backtest_error[0] < 0.01
    assert found.backtest_error[0] > 0.1


def test_an_origin_weighs_no_day_of_its_future():
    one_day = np.eye(50)
    sums, aged = levels._faded(one_day, Settings(half_lives=(10.0, 30.0)), 3)
    assert sums.shape == (50, 3, 2)
    for at, origin in enumerate([50, 36, 22]):
        assert np.all(sums[origin:, at] == 0)
        assert sums[:origin, at, 0] == pytest.approx(0.5 ** ((origin - 1 - np.arange(origin)) / 10))
        assert aged[:origin, at, 1] == pytest.approx(
            (origin - 1 - np.arange(origin)) * 0.5 ** ((origin - 1 - np.arange(origin)) / 30)
        )


@pytest.mark.parametrize(
    ("days", "out", "windows"),
    # 34 open days take 47 or 48 calendar days, and an origin wants 28 behind it: fortnights 4 to 12 back from
    # day 200. With days 60 to 101 blind, the windows from 46, 60 and 74 see less than half.
    [(730, None, 20), (200, None, 9), (70, None, 0), (200, (60, 102), 6)],
    ids=["two years", "half a year", "too short", "half blind"],
)
def test_windows_with_enough_behind_and_enough_seen(days, out, windows):
    history, ahead = steady(20, days=days)
    if out:
        blind = (np.arange(days) >= out[0]) & (np.arange(days) < out[1])
        history = replace(history, stocked_out=blind[None, :])
    found = project(history, ahead, plain_horizon(1), plain_position(1))
    assert found.windows_used[0] == windows


def test_day_to_day_noise_is_told_from_a_wandering_level():
    noisy = make_world(seed=21, series=200, dispersion=0.6, level=(10, 60))
    found = project(noisy.history, noisy.ahead, plain_horizon(200), plain_position(200))
    assert np.median(found.daily_dispersion) == pytest.approx(0.6, abs=0.15)
    wandering = make_world(seed=22, series=200, dispersion=0.0, drift=0.5, level=(10, 60))
    moved = project(wandering.history, wandering.ahead, plain_horizon(200), plain_position(200))
    assert np.median(moved.level_dispersion) > 2 * np.median(found.level_dispersion)
    assert np.median(moved.daily_dispersion) < 0.1


def test_dispersion_averages_out_and_past_the_horizon_the_level_wanders():
    spread = Spread(np.array([0.03]), np.array([0.01]), np.array([0.6]), np.array([30]))
    assert spread.over(np.array([[0, 1, 6, 30, 90]]))[0] == pytest.approx(
        [0.61, 0.61, 0.11, 0.03, 0.01 * 3**0.5 + 0.6 / 90]
    )


def test_the_parts_of_the_dispersion_add_up():
    parts = PROJECTION.level_dispersion + PROJECTION.daily_dispersion / PROJECTION.horizon_days
    np.testing.assert_allclose(parts, PROJECTION.dispersion)


def test_an_office_nobody_came_to_is_nearly_but_not_surely_without_demand():
    history, ahead = steady(0)
    found = project(history, ahead, plain_horizon(1), plain_position(1))
    assert found.enough[0]
    assert 0 < found.level[0] < 0.02
    assert np.isnan(found.backtest_error[0])


# --- What it means for the stock ---------------------------------------------------------------


def test_quantiles_ascend_and_are_whole():
    assert np.all(np.diff(PROJECTION.quantiles, axis=1) >= 0)
    assert np.all(PROJECTION.quantiles == np.floor(PROJECTION.quantiles))
    # Skewed to the right, the median lies below the mean, but not by much.
    np.testing.assert_allclose(column(PROJECTION, 0.5), PROJECTION.mean_horizon, rtol=0.06, atol=2)


def test_the_chance_of_a_stock_out_never_falls():
    for store in (1, 30, 300, 1000, 5000):
        chance = projected(position=plain_position(40, store=np.full(40, store))).stockout_probability
        assert np.all(np.diff(chance, axis=1) >= 0)
        assert np.all((chance >= 0) & (chance <= 1))


@given(st.integers(0, 5000), st.integers(0, 5000), st.integers(0, 800), st.integers(1, 500), st.integers(1, 800))
@settings(max_examples=40, deadline=None)
def test_decisions(store, inbound, backlog, pack, more):
    rows = slice(0, 4)
    history, ahead, horizon = rows_of(WORLD.history, rows), Ahead(WORLD.ahead.open[rows]), plain_horizon(4)
    whole = np.ones(4, dtype=np.int64)
    position = Position(whole * store, whole * inbound, whole * backlog, whole * pack, np.full(4, 0.95))
    found = project(history, ahead, horizon, position)
    needed = np.maximum(column(found, 0.95) + backlog - store - inbound, 0)
    assert np.all(found.suggested_order % pack == 0)
    assert np.all((found.suggested_order >= needed) & (found.suggested_order < needed + pack))
    assert np.all(found.reorder_point >= backlog)

    richer = project(history, ahead, horizon, replace(position, store=position.store + more))
    assert np.all(richer.stockout_probability <= found.stockout_probability + 1e-9)
    assert np.all(richer.cover_days >= found.cover_days)

    coming = project(history, ahead, horizon, replace(position, inbound=position.inbound + more))
    assert np.all(coming.suggested_order <= found.suggested_order)
    assert np.all(coming.reorder_point == found.reorder_point)


def test_the_reorder_point_is_a_quantile_of_the_lead_time_plus_backlog():
    over_lead = projected(horizon=plain_horizon(40, 14, 0))
    position = plain_position(40, backlog=np.full(40, 25))
    waiting = projected(horizon=plain_horizon(40, 14, 0), position=position)
    assert np.all(over_lead.reorder_point == column(over_lead, 0.95))
    assert np.all(waiting.reorder_point == over_lead.reorder_point + 25)


def test_a_higher_service_level_orders_more():
    safe = projected(position=plain_position(40, service_level=np.full(40, 0.99)))
    assert np.all(safe.reorder_point >= PROJECTION.reorder_point)
    assert np.all(safe.suggested_order >= PROJECTION.suggested_order)
    assert np.any(safe.reorder_point > PROJECTION.reorder_point)


def test_cover_counts_open_days():
    history, ahead = steady(20)
    found = project(history, ahead, plain_horizon(1), plain_position(1, store=np.array([150])))
    assert found.cover_days[0] == pytest.approx(7.5, abs=0.05)
    assert not found.cover_capped[0]
    # The 200 days of history end on a Thursday, so the 8th open day is the 11th calendar day or later.
    assert ahead.open[0, : found.stockout_day[0] + 1].sum() == 8


def test_cover_beyond_the_calendar_is_capped_and_says_so():
    history, ahead = steady(20)
    found = project(history, ahead, plain_horizon(1), plain_position(1, store=np.array([10**6])))
    assert found.cover_days[0] == ahead.open.sum()
    assert found.cover_capped[0]
    assert found.stockout_day[0] == found.stockout_early[0] == found.stockout_late[0] == -1


@pytest.mark.parametrize(("store", "backlog"), [(0, 0), (100, 100), (100, 300)])
def test_with_nothing_free_the_stock_is_out_today(store, backlog):
    history, ahead = steady(20)
    position = plain_position(1, store=np.array([store]), backlog=np.array([backlog]))
    found = project(history, ahead, plain_horizon(1), position)
    assert np.all(found.stockout_probability == 1)
    assert found.stockout_day[0] == found.stockout_late[0] == 0
    assert found.cover_days[0] == 0


def test_the_band_of_the_stock_out_day_surrounds_it():
    known = PROJECTION.stockout_late >= 0
    assert known.sum() > 10
    assert np.all(PROJECTION.stockout_early[known] <= PROJECTION.stockout_day[known])
    assert np.all(PROJECTION.stockout_day[known] <= PROJECTION.stockout_late[known])


def test_the_fan_agrees_with_the_quantiles():
    series, wanted = 3, (0.1, 0.5, 0.9)
    drawn = fan(PROJECTION, series, wanted)
    assert drawn.shape == (3, 90)
    assert np.all(np.diff(drawn, axis=0) >= 0)
    assert np.all(np.diff(drawn, axis=1) >= 0)
    last = np.flatnonzero(PROJECTION.open_days_ahead[series] == 34)[0]
    assert drawn[:, last].tolist() == [column(PROJECTION, p)[series] for p in wanted]


def test_the_fan_agrees_with_the_chance_of_a_stock_out():
    for series in np.flatnonzero(PROJECTION.stockout_late >= 0)[:10]:
        low, middle, high = fan(PROJECTION, int(series), [0.1, 0.5, 0.9])
        # 500 blanks: where a quantile of demand passes them, so does the chance its complement.
        assert np.argmax(high > 500) == PROJECTION.stockout_early[series]
        assert np.argmax(middle > 500) == PROJECTION.stockout_day[series]
        assert np.argmax(low > 500) == PROJECTION.stockout_late[series]


# --- A stated rate -----------------------------------------------------------------------------


def test_a_stated_rate_stands_in_and_is_marked():
    history, ahead = steady(20, days=30)
    position = plain_position(1, stated_rate=np.array([60.0]))
    found = project(history, ahead, plain_horizon(1), position)
    assert not found.enough[0]
    assert found.from_stated_rate[0]
    assert found.level[0] == 60
    assert found.mean_horizon[0] == pytest.approx(60 * 34, rel=0.05)
    parts = found.level_dispersion + found.daily_dispersion / 34
    assert found.dispersion == pytest.approx(parts)
    # A guess may be off by half: the interval is wide.
    assert column(found, 0.1)[0] < 0.6 * 60 * 34 < 1.4 * 60 * 34 < column(found, 0.9)[0]


def test_a_stated_rate_is_not_used_where_history_is_enough_or_none_is_given():
    stated = np.where(np.arange(40) % 2, np.nan, 1000.0)
    position = replace(POSITION, stated_rate=stated)
    same(projected(position=position), PROJECTION)
    unknown = replace(WORLD.history, known=np.zeros_like(WORLD.history.known))
    found = project(unknown, WORLD.ahead, HORIZON, position)
    assert np.array_equal(found.from_stated_rate, ~np.isnan(stated))
    assert np.array_equal(np.isnan(found.level), np.isnan(stated))


# --- Kota Denpasar, September 2023: 1,639 blanks at 225 to 500 prints a working day --------------


def open_days_until(found, day):
    return int(found.open_days_ahead[0, day])


def test_denpasar_is_told_days_before():
    prints = np.random.default_rng(2023).integers(225, 501, size=144)
    history, ahead = steady(prints)
    found = project(history, ahead, plain_horizon(1), plain_position(1, store=np.array([1639])))
    assert 3 <= found.cover_days[0] <= 8
    for day in (found.stockout_early[0], found.stockout_day[0], found.stockout_late[0]):
        assert 3 <= open_days_until(found, day) <= 8
    lead_ends = np.flatnonzero(found.open_days_ahead[0] == 14)[0]
    assert found.stockout_probability[0, lead_ends] > 0.95
    assert found.reorder_point[0] > 1639


@pytest.mark.parametrize("rate", [225, 362, 500])
def test_denpasar_is_told_from_a_published_rate_too(rate):
    history, ahead = steady(0, days=7)
    position = plain_position(1, store=np.array([1639]), stated_rate=np.array([float(rate)]))
    found = project(history, ahead, plain_horizon(1), position)
    assert 3 <= open_days_until(found, found.stockout_day[0]) <= 8
    assert found.reorder_point[0] > 1639


# --- Same in, same out -------------------------------------------------------------------------


def test_twice_is_the_same_to_the_last_bit():
    same(projected(), PROJECTION)


def test_the_inputs_are_left_alone():
    before = WORLD.history.demand.copy()
    projected()
    assert np.array_equal(WORLD.history.demand, before)


@pytest.mark.parametrize("chunk", [1, 7, 40])
def test_the_chunk_changes_nothing(chunk):
    same(projected(settings=Settings(chunk=chunk)), PROJECTION, 1e-9)


def test_the_order_of_series_changes_nothing():
    order = np.random.default_rng(1).permutation(40)
    moved = project(rows_of(WORLD.history, order), Ahead(WORLD.ahead.open[order]), HORIZON, POSITION)
    for field in fields(PROJECTION):
        if field.name != "probabilities":
            np.testing.assert_allclose(
                getattr(moved, field.name), getattr(PROJECTION, field.name)[order], rtol=1e-9, atol=1e-9
            )


def test_a_twin_changes_little():
    one = rows_of(WORLD.history, [0])
    two = rows_of(WORLD.history, [0, 0])
    alone = project(one, Ahead(WORLD.ahead.open[:1]), plain_horizon(1), plain_position(1))
    twins = project(two, Ahead(WORLD.ahead.open[:2]), plain_horizon(2), plain_position(2))
    np.testing.assert_allclose(twins.level, alone.level[0], rtol=0.02)
    np.testing.assert_allclose(twins.quantiles, np.repeat(alone.quantiles, 2, axis=0), rtol=0.05)


def test_narrow_and_unsigned_numbers_will_do():
    history = replace(
        WORLD.history,
        demand=WORLD.history.demand.astype(np.uint16),
        served_waiting=WORLD.history.served_waiting.astype(np.uint16),
    )
    same(project(history, WORLD.ahead, HORIZON, POSITION), PROJECTION)


def test_the_first_day_sets_the_weekdays():
    later = replace(WORLD.history, first_day=MONDAY + timedelta(days=2))
    found = project(later, WORLD.ahead, HORIZON, POSITION)
    np.testing.assert_allclose(found.level, PROJECTION.level, rtol=1e-9)
    np.testing.assert_allclose(np.roll(found.weekday_weights, -2, axis=1), PROJECTION.weekday_weights)


@given(st.integers(0, 2**32 - 1), st.integers(0, 150), st.integers(1, 40), st.sampled_from([1, 30, 10**6]))
@settings(max_examples=60, deadline=None)
def test_whatever_was_recorded_a_projection_is_whole_or_absent(seed, days, ahead, most):
    rng = np.random.default_rng(seed)
    opened, known, out = (rng.random((5, days)) < rng.choice([0, 0.1, 0.7, 1], (5, 1)) for _ in range(3))
    prints = rng.integers(0, most + 1, (5, days)) * (rng.random((5, days)) < rng.random((5, 1)))
    history = History(MONDAY, prints, rng.integers(0, prints + 1), opened, known, out, rng.integers(0, 3, 5))
    horizon = Horizon(rng.integers(0, 60, 5), rng.integers(1, 60, 5))
    future = Ahead(rng.random((5, ahead)) < rng.choice([0, 0.5, 1], (5, 1)))
    found = project(history, future, horizon, plain_position(5))
    rates = (found.level, found.dispersion, found.mean_lead, found.cover_days, found.quantiles[:, 0])
    for values in (*rates, found.stockout_probability[:, -1], found.half_life_weights.sum(axis=1)):
        assert np.array_equal(np.isfinite(values), found.enough)
    for values in (found.reorder_point, found.suggested_order):
        assert np.array_equal(values >= 0, found.enough)


# --- Bad input ---------------------------------------------------------------------------------

ONE = np.array([1])


@pytest.mark.parametrize(
    "build",
    [
        lambda: replace(WORLD.history, demand=WORLD.history.demand[:, 1:]),
        lambda: replace(WORLD.history, demand=WORLD.history.demand[0]),
        lambda: replace(WORLD.history, served_waiting=WORLD.history.demand + 1),
        lambda: replace(WORLD.history, served_waiting=WORLD.history.served_waiting - 1),
        lambda: replace(WORLD.history, group=np.arange(3)),
        lambda: Ahead(np.ones((2, 0), dtype=bool)),
        lambda: Horizon(ONE, ONE - 2),
        lambda: Horizon(ONE - 1, ONE - 1),
        lambda: Horizon(ONE, np.array([1, 2])),
        lambda: plain_position(1, store=ONE - 2),
        lambda: plain_position(1, pack_size=ONE - 1),
        lambda: plain_position(1, service_level=np.array([0.4])),
        lambda: plain_position(1, service_level=np.array([np.nan])),
        lambda: plain_position(1, stated_rate=np.array([-1.0])),
        lambda: plain_position(2, stated_rate=np.array([1.0])),
        lambda: Settings(half_lives=()),
        lambda: Settings(probabilities=(0.5, 0.1)),
        lambda: Settings(probabilities=(0.5, 1.0)),
        lambda: Settings(chunk=0),
        lambda: projected(horizon=plain_horizon(3)),
        lambda: projected(position=plain_position(41)),
        lambda: project(WORLD.history, Ahead(WORLD.ahead.open[:5]), HORIZON, POSITION),
    ],
)
def test_input_that_does_not_fit_is_refused(build):
    with pytest.raises(ValueError):
        build()


# --- Do the intervals hold? --------------------------------------------------------------------


@pytest.mark.parametrize(
    "made",
    [
        {"seed": 101},
        {"seed": 102, "drift": 0.3},
        {"seed": 103, "drift": 0.3, "days": 150},
        {"seed": 104, "dispersion": 1.0},
        {"seed": 105, "trend": 0.5},
        {"seed": 106, "stockouts": 0.2, "drift": 0.3},
    ],
    ids=["steady", "drifting", "short", "wild", "growing", "often out"],
)
def test_intervals_cover_what_they_promise(made):
    world = make_world(series=800, **made)
    found = project(world.history, world.ahead, plain_horizon(800), plain_position(800))
    truth = demand_over(world, 34)
    share = {
        width: float(((column(found, low) <= truth) & (truth <= column(found, high))).mean())
        for width, low, high in ((0.8, 0.1, 0.9), (0.95, 0.025, 0.975))
    }
    assert share[0.8] == pytest.approx(0.8, abs=0.05)
    assert share[0.95] == pytest.approx(0.95, abs=0.03)


@pytest.mark.parametrize(("review", "until"), [(21, (21, 21)), (9, (17, 17)), (6, (16, 16)), (5, (15, 16))])
def test_the_reorder_point_protects_the_lead_time_and_the_wait_until_somebody_acts(review, until):
    """A third of a review period."""
    world = make_world(seed=107, series=800, drift=0.3)
    found = project(world.history, world.ahead, plain_horizon(800, review=review), plain_position(800))
    met = [(demand_over(world, days) <= found.reorder_point).mean() for days in until]
    assert np.mean(met) == pytest.approx(0.95, abs=0.03)


def test_the_stock_out_day_is_as_sure_as_it_says():
    world = make_world(seed=108, series=800, drift=0.3)
    typical = (world.rate[:, 500:].sum(axis=1) / 2).astype(np.int64)
    position = plain_position(800, store=np.maximum(typical, 1))
    found = project(world.history, world.ahead, plain_horizon(800), position)
    out = np.cumsum(world.future, axis=1) > position.store[:, None]
    day = np.where(out.any(axis=1), out.argmax(axis=1), 90)
    late = np.where(found.stockout_late < 0, 90, found.stockout_late)
    early = np.where(found.stockout_early < 0, 90, found.stockout_early)
    assert ((early <= day) & (day <= late)).mean() == pytest.approx(0.8, abs=0.07)


# --- What is due, and what had been planned ------------------------------------------------------


def due_of(rows, days, **columns):
    """(rows, days) running totals: column=blanks that are there before that day begins."""
    found = np.zeros((rows, days), dtype=np.int64)
    for column, blanks in columns.items():
        found[:, int(column[1:]) :] += blanks
    return found


def test_what_is_due_is_counted_on_from_its_day():
    history, ahead = steady(10, ahead=30)
    store = np.array([55])
    without = project(history, ahead, plain_horizon(1), plain_position(1, store=store))
    due = due_of(1, 30, c7=1000)
    found = project(history, ahead, plain_horizon(1), plain_position(1, store=store, due=due))
    np.testing.assert_array_equal(found.stockout_probability, without.stockout_probability)
    np.testing.assert_array_equal(without.stockout_despite_due, without.stockout_probability)
    np.testing.assert_array_equal(found.stockout_despite_due[:, :7], without.stockout_probability[:, :7])
    assert without.stockout_probability[0, -1] > 0.99
    assert found.stockout_despite_due[0, -1] == pytest.approx(without.stockout_probability[0, 6], abs=0.01)
    late = project(history, ahead, plain_horizon(1), plain_position(1, store=store, due=due_of(1, 30, c12=1000)))
    assert late.stockout_despite_due[0, -1] > 0.99, "it is gone before that"


@given(st.integers(0, 900), st.lists(st.tuples(st.integers(0, 20), st.integers(1, 500)), max_size=3))
@settings(max_examples=25, deadline=None)
def test_the_chance_despite_what_is_due_is_the_same_from_the_parts_of_the_fan(store, coming):
    rows = slice(0, 1)
    opened = WORLD.ahead.open[rows]
    due = np.zeros(opened.shape, dtype=np.int64)
    for column, blanks in coming:
        due[:, column:] += blanks
    found = project(
        rows_of(WORLD.history, rows),
        Ahead(opened),
        plain_horizon(1),
        plain_position(1, store=np.array([store]), due=due),
    )
    drawn = FanParts(**{field.name: getattr(found, field.name)[0] for field in fields(FanParts)})
    number = found.open_days_ahead[0]
    by_end = [(float(number[column - 1]) if column else 0.0, blanks) for column, blanks in coming]
    leads = [1, 5, 14]
    last = [int(np.flatnonzero(number <= lead)[-1]) for lead in leads]
    wanted = found.stockout_despite_due[0, last]
    np.testing.assert_allclose(chances_despite(drawn, float(store), by_end, leads), wanted, atol=0.02)


def test_outreach_that_had_been_planned_teaches_no_bursts():
    """Twice a month three times the usual prints, planned beforehand: the next plan will announce the next one."""
    prints = np.full(400, 20.0)
    prints[::10] = 60.0
    history, ahead = steady(prints.astype(np.int64).tolist(), days=560)
    announced = history.demand == 60
    assert announced.sum() == 40
    found = project(replace(history, announced=announced), ahead, plain_horizon(1), plain_position(1))
    assert found.days_announced[0] == 40
    assert found.level[0] == pytest.approx(20, rel=0.05)
    untold = project(history, ahead, plain_horizon(1), plain_position(1))
    assert untold.days_announced[0] == 0
    assert untold.level[0] == pytest.approx(24, rel=0.08)
    assert found.days_used[0] + 40 == untold.days_used[0]


def test_what_is_due_runs_up_and_covers_the_days_ahead():
    history, ahead = steady(10, ahead=30)
    for due in (due_of(1, 29), np.array([[3, 2] + [2] * 28]), np.full((1, 30), -1), due_of(2, 30)):
        with pytest.raises(ValueError, match="due"):
            project(history, ahead, plain_horizon(1), plain_position(1, due=due))
