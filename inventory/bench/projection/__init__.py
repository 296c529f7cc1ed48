"""How good and how quick the projection is, beside what offices do and what statsforecast's models say.

Everything is a ratio within one run. Figures are medians over worlds of their own seeds, on which nothing was chosen.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable
from statistics import median
from typing import Any

import numpy as np

from inventory.bench import Figure
from inventory.bench.projection import real, review, rivals, worlds
from inventory.bench.projection.rivals import PROBABILITIES, Forecast
from inventory.bench.projection.scores import coverage, quantile_losses
from inventory.bench.projection.worlds import World
from inventory.domain.demand import Ahead, History, Horizon, Position, Projection, Seasons, project
from inventory.domain.distributions import normal_cdf

HORIZONS = (14, 30)
REAL_HORIZONS = (7, 14)
"""A year of days holds too few sums of thirty for the rivals' intervals."""
UPPER = PROBABILITIES.index(0.95)
EXPECTED_AT_LEAST = 10.0
STOCKS = (0.7, 0.85, 1.0, 1.15, 1.3)
"""Hypothetical stocks, in shares of the average's demand, in turn."""
COUNTRY = 24_000
REVIEWED_QUICKLY = 2_000


def measure(*, quick: bool, url: str | None = None) -> list[Figure]:
    """The figures; `quick` on fewer and smaller worlds, in about two minutes.

    The nightly review is measured on the EMPTY PostgreSQL database at `url`, and left out without one.
    """
    seeds = worlds.REPORTING_SEEDS[:2] if quick else worlds.REPORTING_SEEDS
    series = 150 if quick else 300
    tallies = [_Tally(worlds.make(seed, series)) for seed in seeds]
    return [
        *_accuracy(tallies),
        *_coverage(tallies),
        _masking(tallies),
        _real(quick=quick),
        _stock_outs(tallies),
        *_speed(3_000 if quick else COUNTRY, 20 if quick else 100),
        *(review.measure(REVIEWED_QUICKLY if quick else COUNTRY, url) if url else []),
    ]


class _Tally:
    """One world, projected and forecast by all rivals, over both horizons."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.days = rivals.usable_days(world.history())
        self.daily = np.maximum(np.array([values.mean() for values in self.days]), 1 / max(HORIZONS))
        self.models: dict[int, Projection] = {}
        self.unmasked: dict[int, Projection] = {}
        self.rivals: dict[int, list[Forecast]] = {}
        for length in HORIZONS:
            stock = np.round(self.stock(length)).astype(np.int64)
            self.models[length] = _projected(world.history(), world, length, stock)
            self.unmasked[length] = _projected(world.true_history(), world, length, stock)
            self.rivals[length] = rivals.statistical(self.days, length)

    def stock(self, length: int) -> np.ndarray:
        return np.array(STOCKS)[np.arange(self.daily.size) % len(STOCKS)] * self.daily * length

    def losses(self, quantiles: np.ndarray, length: int) -> np.ndarray:
        """(S,Q) in shares of the demand that is usual over the horizon, so that every office counts alike."""
        seen = self.world.followed(length)
        return quantile_losses(seen, quantiles, PROBABILITIES) / np.maximum(self.daily * length, 1.0)[:, None]


def _projected(history: History, world: World, length: int, stock: np.ndarray) -> Projection:
    return _project(history, world.open[:, world.days :], length, stock, world.seasons())


def _project(
    history: History, opened: np.ndarray, length: int, stock: np.ndarray, seasons: Seasons | None = None
) -> Projection:
    ones = np.ones(history.series, dtype=np.int64)
    horizon = Horizon(lead_days=ones * (length - 1), review_days=ones)
    position = Position(stock, ones * 0, ones * 0, ones, np.full(history.series, 0.95))
    return project(history, Ahead(open=opened), horizon, position, seasons=seasons)


def _accuracy(tallies: Iterable[_Tally]) -> list[Figure]:
    """Beside the models with conformal intervals; and, for information, with their own intervals as well."""
    whole, upper, stricter = defaultdict(list), defaultdict(list), defaultdict(list)
    for tally in tallies:
        for length in HORIZONS:
            own = tally.losses(tally.models[length].quantiles, length)
            others = {each.name: tally.losses(each.quantiles, length) for each in tally.rivals[length]}
            named = [losses for name, losses in others.items() if name in rivals.CONFORMAL]
            whole[length].append(own.mean() / min(each.mean() for each in named))
            upper[length].append(own[:, UPPER].mean() / min(each[:, UPPER].mean() for each in named))
            stricter[length].append(own.mean() / min(each.mean() for each in others.values()))
    figures = []
    for length in HORIZONS:
        name = f"quantile loss / best of statsforecast, {length} open days"
        figures.append(_at_most(name, median(whole[length]), 0.92, 0.88))
        figures.append(Figure(f"{name}, their own intervals too", round(median(stricter[length]), 4), at_most=True))
        name = f"its 0.95 term / best of statsforecast, {length} open days"
        figures.append(_at_most(name, median(upper[length]), 0.96, 0.92))
    return figures


def _coverage(tallies: Iterable[_Tally]) -> list[Figure]:
    """Points by which bands miss what they promise, where at least ten are expected; the worse of the horizons."""
    held = defaultdict(list)
    for tally in tallies:
        for length in HORIZONS:
            enough = tally.models[length].mean_horizon >= EXPECTED_AT_LEAST
            for share in (0.8, 0.95):
                within = coverage(tally.world.followed(length), tally.models[length].quantiles, PROBABILITIES, share)
                held[share, length].append(within[enough])
    figures = []
    for share in (0.8, 0.95):
        off = [100 * (np.concatenate(held[share, length]).mean() - share) for length in HORIZONS]
        worst = max(off, key=abs)
        figures.append(_at_most(f"coverage of {share:.0%} bands, points off", abs(float(worst)), 2.5, 1.5))
    return figures


def _masking(tallies: Iterable[_Tally]) -> Figure:
    ratios = [
        tally.losses(tally.models[length].quantiles, length).mean()
        / tally.losses(tally.unmasked[length].quantiles, length).mean()
        for tally in tallies
        for length in HORIZONS
    ]
    return _at_most("loss on what the books show / on true demand", median(ratios), 1.03, 1.015)


def _stock_outs(tallies: Iterable[_Tally]) -> Figure:
    ratios = []
    for tally in tallies:
        for length in HORIZONS:
            model, stock = tally.models[length], np.round(tally.stock(length))
            out = tally.world.followed(length) > stock
            last = (model.open_days_ahead <= length).sum(axis=1) - 1
            own = model.stockout_probability[np.arange(last.size), last]
            average = rivals.simple(tally.days, length)[0].quantiles
            middle = average[:, PROBABILITIES.index(0.5)]
            # A normal distribution's upper quartile lies 0.6745 standard deviations above its middle.
            deviation = np.maximum((average[:, PROBABILITIES.index(0.75)] - middle) / 0.6745, 1e-6)
            others = 1.0 - normal_cdf((stock - middle) / deviation)
            ratios.append(float(((own - out) ** 2).mean() / ((others - out) ** 2).mean()))
    return _at_most("Brier score of stock-outs / average and normal", median(ratios), 0.90, 0.85)


def _real(*, quick: bool) -> Figure:
    """The worst set and horizon of all."""
    worst = 0.0
    for values in real.counts().values():
        for length in REAL_HORIZONS[-1:] if quick else REAL_HORIZONS:
            own, others = [], defaultdict(list)
            for origin in range(215, real.DAYS - length, 15):
                past = real.history(values[:, :origin])
                seen = values[:, origin : origin + length].sum(axis=1)
                usual = np.maximum(values[:, :origin].mean(axis=1) * length, 1.0)[:, None]
                ahead = np.ones((past.series, 75), dtype=bool)
                made = _project(past, ahead, length, np.ones(past.series, dtype=np.int64))
                own.append(quantile_losses(seen, made.quantiles, PROBABILITIES) / usual)
                for each in rivals.statistical(rivals.usable_days(past), length):
                    others[each.name].append(quantile_losses(seen, each.quantiles, PROBABILITIES) / usual)
            best = min(np.concatenate(others[name]).mean() for name in rivals.CONFORMAL)
            worst = max(worst, float(np.concatenate(own).mean() / best))
    return _at_most("real sets, worst loss / best of statsforecast", worst, 1.10, 1.00)


def _speed(series: int, sample: int) -> list[Figure]:
    """Processor time of everything for so many series of two years, beside AutoETS on sums of fourteen days."""
    world = worlds.make(worlds.REPORTING_SEEDS[0], min(series, 1_000))
    times = -(-series // world.open.shape[0])
    history, opened, seasons = (_repeated(each, times) for each in (world.history(), world, world.seasons()))
    started = time.process_time()
    _project(history, opened, 14, np.full(history.series, 100), seasons)
    own = (time.process_time() - started) / history.series
    days = rivals.usable_days(world.history())[:sample]
    rivals.statistical(days[:2], 14, ("AutoETS", "AutoETS, own interval"))  # what is compiled once is not counted
    conformal, plain = rivals.statistical(days, 14, ("AutoETS", "AutoETS, own interval"))
    return [
        _at_most("processor time / AutoETS", own / (conformal.seconds / sample), 1 / 20, 1 / 30),
        Figure("processor time / AutoETS without conformal interval", own / (plain.seconds / sample), at_most=True),
        Figure(f"seconds for {COUNTRY:,} series of 730 days, scaled from {history.series:,}", own * COUNTRY),
    ]


def _repeated(record: Any, times: int) -> Any:
    if isinstance(record, World):
        return np.tile(record.open[:, record.days :], (times, 1))
    if isinstance(record, Seasons):
        return Seasons(np.tile(record.past, (times, 1)), np.tile(record.ahead, (times, 1)), record.stated)
    names = ("demand", "served_waiting", "open", "known", "stocked_out")
    return History(record.first_day, *(np.tile(getattr(record, name), (times, 1)) for name in names))


def _at_most(name: str, value: float, must: float, aim: float) -> Figure:
    return Figure(name, round(float(value), 4), must, aim, at_most=True)
