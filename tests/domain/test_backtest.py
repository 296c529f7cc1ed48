"""The backtest: its sums against hand-made cases and a naive loop, blind to the future, and fair to the average."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from inventory.domain.backtest import (
    AVERAGE,
    BANDS,
    METHODS,
    MODEL,
    NAIVE,
    STOCKS,
    Backtest,
    Foreknowing,
    Foreknown,
    average_consumption,
    backtest,
    last_windows,
    quantile_loss,
    scores,
    until,
    worse,
)
from inventory.domain.demand import Ahead, History, Horizon, Projection, Seasons, Settings, project
from tests.domain.worlds import MONDAY, make_world, plain_horizon, plain_position, rows_of

STEP = 28


def history_of(prints: Any, **changes: Any) -> History:
    """Open from Monday to Friday, all of it known, never out of stock."""
    demand = np.atleast_2d(np.asarray(prints, dtype=np.int64))
    every = np.ones_like(demand, dtype=bool)
    opened = np.tile(np.arange(demand.shape[1]) % 7 < 5, (demand.shape[0], 1))
    history = History(MONDAY, demand * opened, np.zeros_like(demand), opened, every, ~every)
    return replace(history, **changes)


@pytest.fixture(scope="module")
def tried() -> tuple[History, Horizon, Backtest]:
    history = make_world(3, series=12, days=420, stockouts=0.12).history
    horizon = Horizon(np.arange(12) % 5 + 3, np.full(12, 10))
    return history, horizon, backtest(history, horizon, origins=6)


# --- the parts, by hand ------------------------------------------------------------------------------------------


def test_quantile_loss_by_hand() -> None:
    # Demand 12 against quantiles 10 (p 0.25) and 16 (p 0.75): 0.25 * 2 and 0.25 * 4, on average 0.75.
    assert quantile_loss(np.array([[10.0, 16.0]]), np.array([12.0]), (0.25, 0.75)) == pytest.approx([0.75])
    assert quantile_loss(np.array([7.0]), np.array(7.0), (0.9,)) == 0.0


def test_the_average_is_of_the_open_days_of_three_months() -> None:
    prints = np.full((1, 200), 10)
    prints[0, :109] = 1000  # longer ago than 91 days
    prints[0, 190] = 0  # a day without stock counts as one without demand; 190 is a Tuesday
    out = np.zeros_like(prints, dtype=bool)
    out[0, 190] = True
    found = average_consumption(history_of(prints, stocked_out=out))
    assert found.rate == pytest.approx([10 * 64 / 65])
    closed = average_consumption(history_of(prints, open=history_of(prints).open & ~out))
    assert closed.rate == pytest.approx([10.0])


def test_the_averages_spread_is_that_between_months() -> None:
    months = [5, 7, 9, 7]
    found = average_consumption(history_of(np.repeat(months, 28)))
    assert found.month == pytest.approx([20 * math.sqrt(8 / 3)])
    mean, deviation = found.over(np.array([40]))
    assert mean == pytest.approx([40 * (9 * 20 + 7 * 25 + 7 * 20) / 65], rel=0.1)
    assert deviation == pytest.approx(found.month * math.sqrt(2))


def test_with_one_month_on_record_the_average_spreads_like_poisson() -> None:
    history = history_of(np.full((1, 90), 4))
    known = np.tile(np.arange(90) >= 50, (1, 1))
    mean, deviation = average_consumption(replace(history, known=known)).over(np.array([25]))
    assert (mean.item(), deviation.item()) == (100, 10)


def test_windows_before_are_of_open_days_on_record() -> None:
    history = history_of(np.arange(28))  # four weeks; open days hold their column as prints
    found = last_windows(history, np.array([5]))
    assert found[0, :4].tolist() == [sum(range(week * 7, week * 7 + 5)) for week in (3, 2, 1, 0)]
    assert np.isnan(found[0, 4:]).all()
    assert last_windows(history, np.array([8]))[0, :2].tolist() == [
        21 + 22 + 23 + 24 + 25 + 16 + 17 + 18,
        15 + 14 + 11 + 10 + 9 + 8 + 7 + 4,
    ]


# --- against a naive loop ----------------------------------------------------------------------------------------


def slow(
    history: History, horizon: Horizon, projection: Projection, series: int, origin: int, number: int
) -> dict[str, Any] | None:
    """One series at one origin, whose projection is given, day by day; None where it does not count."""
    total = int(horizon.total[series])
    days = [t for t in range(origin, history.days) if history.open[series, t]][:total]
    if len(days) < total or not projection.enough[series]:
        return None
    weights = [projection.weekday_weights[series, (history.first_day + timedelta(days=t)).weekday()] for t in days]
    seen = [history.known[series, t] and not history.stocked_out[series, t] for t in days]
    share = sum(w for w, s in zip(weights, seen, strict=True) if s) / sum(weights)
    new = sum(
        int(history.demand[series, t] - history.served_waiting[series, t]) for t, s in zip(days, seen, strict=True) if s
    )
    past = [t for t in range(origin - 91, origin) if history.open[series, t] and history.known[series, t]]
    average = total * sum(int(history.demand[series, t]) for t in past) / len(past)
    return {
        "share": share,
        "demand": new / share if share else math.nan,
        "average": average,
        "stock": max(1.0, round(STOCKS[(series + number) % len(STOCKS)] * average)),
        "mean": projection.mean_horizon[series],
        "quantiles": projection.quantiles[series],
    }


def test_what_followed_is_what_a_loop_over_days_finds(tried: tuple[History, Horizon, Backtest]) -> None:
    history, horizon, found = tried
    partly = 0
    for number, day in enumerate(found.through):
        origin = (day - history.first_day).days + 1
        assert (history.days - origin) % STEP == 0
        ahead, position = Ahead(history.open[:, origin:]), plain_position(history.series)
        projection = project(until(history, origin), ahead, horizon, position)
        for series in range(history.series):
            naive = slow(history, horizon, projection, series, origin, number)
            if not found.valid[series, number]:
                earlier = found.valid[series, :number].sum()
                assert naive is None or naive["share"] < 0.5 or earlier == 6
                continue
            assert naive is not None
            partly += naive["share"] < 1
            assert found.share[series, number] == pytest.approx(naive["share"])
            assert found.demand[series, number] == pytest.approx(naive["demand"])
            assert found.stock[series, number] == naive["stock"]
            assert found.forecasts[AVERAGE].mean[series, number] == pytest.approx(naive["average"])
            assert found.forecasts[MODEL].mean[series, number] == pytest.approx(naive["mean"])
            assert found.forecasts[MODEL].quantiles[series, number] == pytest.approx(naive["quantiles"])
    assert partly > 10
    assert (found.valid.sum(axis=1) <= 6).all()


@pytest.mark.parametrize("method", METHODS)
def test_scores_are_what_a_loop_over_windows_counts(tried: tuple[History, Horizon, Backtest], method: str) -> None:
    _, _, found = tried
    forecast, level = found.forecasts[method], found.probabilities
    loss = miss = lean = demand = brier = 0.0
    hits, windows = [0, 0, 0], 0
    bins: dict[int, list[Any]] = {}
    for series, number in zip(*np.nonzero(found.valid), strict=True):
        y, q = found.demand[series, number], forecast.quantiles[series, number]
        loss += sum(max(p * (y - v), (p - 1) * (y - v)) for p, v in zip(level, q, strict=True)) / len(level)
        miss += abs(forecast.mean[series, number] - y)
        lean += forecast.mean[series, number] - y
        for band, share in enumerate(BANDS):
            low, high = (level.index(pytest.approx((1 + side * share) / 2)) for side in (-1, 1))
            hits[band] += q[low] <= y <= q[high]
        out, chance = y > found.stock[series, number], forecast.chance[series, number]
        brier += (chance - out) ** 2
        one = bins.setdefault(min(int(chance * 10), 9), [0, 0, 0])
        for place, value in enumerate((1, float(chance), bool(out))):
            one[place] += value
        demand, windows = demand + y, windows + 1
    whole = scores(found.record)
    assert (whole["windows"], whole["demand"]) == (windows, pytest.approx(demand))
    counted = whole["methods"][method]
    assert counted["loss"] == pytest.approx(loss / demand)
    assert counted["error"] == pytest.approx(miss / demand)
    assert counted["bias"] == pytest.approx(lean / demand)
    assert counted["brier"] == pytest.approx(brier / windows)
    assert counted["cover"] == pytest.approx([each / windows for each in hits])
    for number, (count, chance, share) in enumerate(counted["bins"]):
        n, total, ran_out = bins.get(number, [0, 0, 0])
        assert count == n
        assert (chance, share) == ((None, None) if n == 0 else pytest.approx((total / n, ran_out / n)))


def test_any_group_is_scored_from_the_sums(tried: tuple[History, Horizon, Backtest]) -> None:
    record = tried[2].record
    one = [scores(record, [series]) for series in range(12)]
    whole = scores(record)
    assert whole["windows"] == sum(each["windows"] for each in one)
    weighed = sum(each["methods"][MODEL]["loss"] * each["demand"] for each in one)
    assert whole["methods"][MODEL]["loss"] == pytest.approx(weighed / whole["demand"])
    plain = [each["methods"][NAIVE]["loss"] for each in one if each["demand"]]
    assert whole["methods"][NAIVE]["plain_loss"] == pytest.approx(sum(plain) / len(plain))
    assert json.loads(json.dumps(whole)) == whole


# --- blind to the future -----------------------------------------------------------------------------------------


def test_an_origin_does_not_see_its_future(tried: tuple[History, Horizon, Backtest]) -> None:
    check_origins(tried, every=4)


@pytest.mark.slow
def test_no_origin_sees_its_future(tried: tuple[History, Horizon, Backtest]) -> None:
    check_origins(tried, every=1)


def check_origins(tried: tuple[History, Horizon, Backtest], every: int) -> None:
    """From the first origin on, each or every so many-th."""
    history, horizon, found = tried
    for number, day in list(enumerate(found.through))[::every]:
        origin = (day - history.first_day).days + 1
        later = np.arange(history.days) >= origin
        other = replace(
            history,
            demand=np.where(later, history.demand * 3 + 7, history.demand),
            served_waiting=np.where(later, 0, history.served_waiting),
        )
        again = backtest(other, horizon, origins=6)
        column = again.through.index(day)
        for method in METHODS:
            before, after = found.forecasts[method], again.forecasts[method]
            both = found.valid[:, number] & again.valid[:, column]
            assert both.any()
            assert np.array_equal(before.mean[both, number], after.mean[both, column])
            assert np.array_equal(before.quantiles[both, number], after.quantiles[both, column])
            assert np.array_equal(before.chance[both, number], after.chance[both, column])
        assert not np.array_equal(found.demand[:, number], again.demand[:, column])


SURGE = (168, 336)
"""Columns on which a season of a fortnight begins: the first days that are unknown at two of the origins."""


def with_surges(days: int = 420) -> tuple[History, Foreknowing]:
    """Four offices that print three times as much in a season that everybody knows of; and who knows what of it."""
    history = make_world(4, series=4, days=days, stockouts=0, dispersion=0.05).history
    season = np.zeros(history.demand.shape, dtype=np.int8)
    for start in SURGE:
        season[:, start : start + 14] = 1
    factor = np.where(season == 1, 3, 1)

    def knowing(through: date, ahead: int) -> Foreknown:
        split = (through - history.first_day).days + 1
        return Foreknown(Seasons(season[:, :split], season[:, split : split + ahead], np.array([np.nan])))

    return replace(history, demand=history.demand * factor), knowing


def foretold(found: Backtest, column: int, history: History) -> tuple[np.ndarray, np.ndarray]:
    """The model's mean at the origin whose first unknown day is the column, and what came."""
    number = found.through.index(history.first_day + timedelta(days=column - 1))
    assert found.valid[:, number].all()
    return found.forecasts[MODEL].mean[:, number], found.demand[:, number]


def test_a_season_that_lies_ahead_is_foretold_as_its_past_has_it() -> None:
    history, knowing = with_surges()
    horizon = plain_horizon(4, 5, 5)
    known = backtest(history, horizon, foreknowing=knowing)
    plain = backtest(history, horizon)
    learnt, came = foretold(known, SURGE[1], history)
    assert learnt.sum() == pytest.approx(came.sum(), rel=0.15)
    assert foretold(plain, SURGE[1], history)[0].sum() < 0.6 * came.sum()
    # Of the first one nothing could be learnt yet: its own days lie after the origin.
    blind, came = foretold(known, SURGE[0], history)
    assert blind.sum() < 0.7 * came.sum()


def test_what_a_season_did_after_an_origin_is_not_known_there() -> None:
    history, knowing = with_surges()
    horizon = plain_horizon(4, 5, 5)
    found = backtest(history, horizon, foreknowing=knowing)
    later = np.arange(history.days) >= SURGE[1]
    again = backtest(
        replace(history, demand=np.where(later, history.demand * 4 + 9, history.demand)),
        horizon,
        foreknowing=knowing,
    )
    seen = 0
    for number, day in enumerate(found.through):
        if (day - history.first_day).days < SURGE[1]:
            column = again.through.index(day)
            assert np.array_equal(found.forecasts[MODEL].mean[:, number], again.forecasts[MODEL].mean[:, column])
            seen += 1
    assert seen >= 8


def test_prints_that_were_planned_are_expected_on_top() -> None:
    history = make_world(4, series=4, days=420, stockouts=0).history

    def knowing(through: date, ahead: int) -> Foreknown:
        extra = np.zeros((4, ahead))
        extra[0, 2] = 500.0
        return Foreknown(None, extra)

    horizon = plain_horizon(4, 5, 5)
    more = backtest(history, horizon, foreknowing=knowing).forecasts[MODEL].mean
    plain = backtest(history, horizon).forecasts[MODEL].mean
    assert (more - plain)[0] == pytest.approx(np.full(plain.shape[1], 500.0))
    assert np.array_equal(more[1:], plain[1:])


def test_the_same_again_is_the_same(tried: tuple[History, Horizon, Backtest]) -> None:
    history, horizon, found = tried
    again = backtest(history, horizon, origins=6)
    assert scores(again.record) == scores(found.record)


def test_chunks_change_nothing(tried: tuple[History, Horizon, Backtest]) -> None:
    history, horizon, found = tried
    again = backtest(history, horizon, origins=6, settings=Settings(chunk=5))
    for method in METHODS:
        assert again.forecasts[method].mean == pytest.approx(found.forecasts[method].mean, nan_ok=True)
        assert again.forecasts[method].quantiles == pytest.approx(found.forecasts[method].quantiles, abs=1, nan_ok=True)
    assert np.array_equal(again.valid, found.valid)
    assert np.array_equal(again.stock, found.stock)


# --- which one is better -----------------------------------------------------------------------------------------


def test_a_constant_schedule_is_better_served_by_the_average() -> None:
    history = make_world(5, series=30, days=730, dispersion=0.6).history
    constant = rows_of(history, slice(0, 2))
    constant = replace(
        constant,
        demand=np.where(constant.open, 250, 0),
        served_waiting=np.zeros_like(constant.demand),
        stocked_out=np.zeros_like(constant.open),
    )
    joined = {
        name: np.concatenate([getattr(constant, name), getattr(history, name)[2:]])
        for name in ("demand", "served_waiting", "open", "known", "stocked_out")
    }
    found = backtest(replace(history, **joined), plain_horizon(30))
    assert found.worse_than_average[:2].all()
    assert not found.worse_than_average[2:].any()
    assert scores(found.record)["worse"] == 2


def test_offices_that_change_and_run_out_are_left_to_the_model() -> None:
    found = backtest(make_world(1, series=300, days=730, drift=0.1, stockouts=0.1).history, plain_horizon(300))
    methods = scores(found.record)["methods"]
    assert methods[MODEL]["loss"] < 0.95 * methods[AVERAGE]["loss"]
    assert methods[MODEL]["loss"] < methods[NAIVE]["loss"]
    assert found.worse_than_average.mean() < 0.03
    assert methods[MODEL]["brier"] < methods[AVERAGE]["brier"]
    assert methods[MODEL]["cover"] == pytest.approx(BANDS, abs=0.06)
    for count, chance, share in methods[MODEL]["bins"]:
        assert share == pytest.approx(chance, abs=max(0.08, 3 * math.sqrt(0.25 / count)))


def losses(*rows: Any) -> np.ndarray:
    return np.array(rows, dtype=np.float64)


def test_the_model_loses_by_much_often_and_surely_or_not_at_all() -> None:
    average = losses([10.0] * 8)
    every = np.ones((1, 8), dtype=bool)
    plainly = losses([12, 13, 12, 13, 12, 13, 12, 13])
    assert worse(plainly, average, every)
    assert not worse(average + 0.9, average, every), "by a hair"
    assert not worse(losses([9, 9, 9, 14, 14, 14, 14, 14]), average, every), "in five of eight"
    assert not worse(losses([9.9, 11, 11, 11, 11, 11, 11, 40]), average, every), "one odd window"
    assert not worse(plainly, average, every & (np.arange(8) < 5)), "five windows"
    assert worse(plainly, average, every & (np.arange(8) < 6))


def test_the_model_loses_by_far_in_few_windows_too() -> None:
    average = losses([10.0] * 8)
    every = np.ones((1, 8), dtype=bool)
    one_wild = losses([9, 9, 9, 9, 9, 9, 9, 58])
    assert worse(one_wild, average, every), "121 beside 80"
    assert not worse(losses([9, 9, 9, 9, 9, 9, 9, 56]), average, every), "119 beside 80"
    assert not worse(one_wild * 10, average, every & (np.arange(8) >= 3)), "five windows"
    assert not worse(losses([0.0] * 8), losses([0.0] * 8), every), "nothing asked for, nothing lost"


def test_cards_that_are_saved_up_and_printed_together_are_left_to_whichever_misses_less() -> None:
    """Offices that print on every tenth day or so, which the model takes for rushes."""
    chance = np.random.default_rng(11)
    opened = history_of(np.zeros((40, 730))).open
    together = np.where(chance.random(opened.shape) < 0.1, chance.poisson(300, opened.shape), 0)
    found = backtest(history_of(together), plain_horizon(40, 14, 10))
    model, average = (
        np.where(found.valid, quantile_loss(found.forecasts[name].quantiles, found.demand, found.probabilities), 0.0)
        for name in (MODEL, AVERAGE)
    )
    ratio = model.sum(axis=1) / average.sum(axis=1)
    assert found.worse_than_average[ratio > 1.5].all()
    assert not found.worse_than_average[ratio < 1.1].any()


# --- edges -------------------------------------------------------------------------------------------------------


def test_too_little_history_is_not_scored() -> None:
    found = backtest(history_of(np.full((2, 60), 3)), plain_horizon(2, 3, 4))
    whole = scores(found.record)
    assert (whole["windows"], whole["stocks"]) == (0, 0)
    assert whole["methods"][MODEL]["loss"] is None
    assert whole["methods"][AVERAGE]["cover"] == [None] * 3
    assert not found.worse_than_average.any()


@pytest.mark.parametrize("days", [1, 20, 30])
def test_no_origin_at_all_and_no_series_at_all(days: int) -> None:
    assert scores(backtest(history_of(np.full((2, days), 3)), plain_horizon(2)).record)["windows"] == 0
    assert scores(backtest(history_of(np.zeros((0, days))), plain_horizon(0)).record)["stocks"] == 0


def test_nothing_asked_for_in_a_year_is_no_division_by_zero() -> None:
    found = backtest(history_of(np.zeros((1, 500))), plain_horizon(1))
    whole = scores(found.record)
    assert whole["windows"] == 13
    assert whole["methods"][MODEL]["loss"] is None
    assert whole["methods"][MODEL]["cover"][0] is not None


def test_windows_mostly_unseen_are_left_out() -> None:
    history = make_world(2, series=2, days=500, stockouts=0).history
    out = history.stocked_out.copy()
    out[0, -60:] = True
    found = backtest(replace(history, stocked_out=out), plain_horizon(2, 5, 5), origins=4)
    assert found.valid[:, :2].tolist() == [[False, False], [True, True]]
    assert found.valid.sum(axis=1).tolist() == [3, 4], "an older window makes up for one of those that were not seen"


def test_long_windows_look_further_back() -> None:
    history = make_world(2, series=2, days=700, stockouts=0).history
    found = backtest(history, Horizon(np.array([3, 60]), np.array([4, 40])), origins=5)
    assert (found.valid.sum(axis=1) == 5).all()
    newest = [found.through[int(row.argmax())] for row in found.valid]
    assert newest[1] < newest[0] - timedelta(days=100)
    assert isinstance(newest[0], date)


def test_settings_without_the_edges_of_the_bands_are_refused() -> None:
    with pytest.raises(ValueError, match="edge"):
        backtest(history_of(np.ones((1, 100))), plain_horizon(1), settings=Settings(probabilities=(0.1, 0.5, 0.9)))
    with pytest.raises(ValueError, match="origin"):
        backtest(history_of(np.ones((1, 100))), plain_horizon(1), origins=0)
