"""Made-up offices whose true demand is known, to hold projections against."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inventory.domain.demand import Ahead, History, Horizon, Position

MONDAY = date(2024, 1, 1)
WEEKDAY_PROFILE = np.array([1.35, 1.1, 0.95, 0.9, 0.7, 0.5, 0.4])
COMES_BACK = 0.65  # of the requests that met an empty store


@dataclass(frozen=True, eq=False)
class World:
    """A history as recorded, the calendar ahead, and what really happened.

    rate (S,T+H): expected requests of each calendar day; requests (S,T+H): those that came.
    """

    history: History
    ahead: Ahead
    rate: NDArray[np.float64]
    requests: NDArray[np.int64]

    @property
    def future(self) -> NDArray[np.int64]:
        return self.requests[:, self.history.days :]


def make_world(
    seed: int,
    series: int = 200,
    days: int = 500,
    ahead: int = 90,
    level: tuple[float, float] = (2.0, 60.0),
    dispersion: float = 0.15,
    drift: float = 0.0,
    trend: float = 0.0,
    stockouts: float = 0.05,
    holidays: float = 0.04,
    first_day: date = MONDAY,
) -> World:
    """Negative binomial requests with a weekday profile, holidays, a trend a year, drift and stock-outs.

    level: bounds of the mean per open day, drawn evenly on a log scale. dispersion: f of the variance m + f
    m^2 of a day. drift: standard deviation of the yearly change of log level, as a random walk by week.
    stockouts, holidays: share of open days.
    """
    rng = np.random.default_rng(seed)
    total = days + ahead
    weekday = (first_day.weekday() + np.arange(total)) % 7
    opened = np.tile((weekday < 5) & (rng.random(total) >= holidays), (series, 1))
    base = np.exp(rng.uniform(*np.log(level), size=(series, 1)))
    weeks = rng.normal(0.0, drift / np.sqrt(52), size=(series, total // 7 + 1)).cumsum(axis=1)
    path = np.exp(np.repeat(weeks - weeks[:, :1], 7, axis=1)[:, :total] + trend * np.arange(total) / 365)
    rate = base * path * WEEKDAY_PROFILE[weekday] * opened
    requests = draw(rng, rate, dispersion)
    history = record(rng, requests[:, :days], opened[:, :days], stockouts, first_day)
    return World(history, Ahead(opened[:, days:]), rate, requests)


def draw(rng: np.random.Generator, mean: NDArray[np.float64], dispersion: float) -> NDArray[np.int64]:
    """Negative binomial counts as Poisson counts of a gamma rate; Poisson when the dispersion is 0."""
    noise = rng.gamma(1 / dispersion, dispersion, size=mean.shape) if dispersion else np.ones_like(mean)
    return rng.poisson(mean * noise).astype(np.int64)


def record(
    rng: np.random.Generator,
    requests: NDArray[np.int64],
    opened: NDArray[np.bool_],
    stockouts: float,
    first_day: date,
) -> History:
    """What a ledger shows of the requests: stock-outs in runs of three open days cut the prints, and some of
    the requests turned away are printed, as served waiting, on the first day with stock."""
    series, days = requests.shape
    demand, waiting = np.zeros_like(requests), np.zeros_like(requests)
    out = np.zeros_like(opened)
    left = np.zeros(series, dtype=np.int64)
    backlog = np.zeros(series, dtype=np.int64)
    for day in range(days):
        starts = (left == 0) & opened[:, day] & (rng.random(series) < stockouts / 3)
        left = np.where(starts, 3, left)
        now = out[:, day] = (left > 0) & opened[:, day]
        sold = np.where(now, rng.binomial(requests[:, day], 0.3), requests[:, day])
        backlog += rng.binomial(requests[:, day] - sold, COMES_BACK)
        back = opened[:, day] & ~now
        waiting[:, day] = np.where(back, backlog, 0)
        backlog = np.where(back, 0, backlog)
        demand[:, day] = sold + waiting[:, day]
        left -= now
    return History(first_day, demand, waiting, opened, np.ones_like(opened), out)


def plain_horizon(series: int, lead: int = 14, review: int = 20) -> Horizon:
    return Horizon(np.full(series, lead), np.full(series, review))


def plain_position(series: int, **changes: Any) -> Position:
    """Nothing special: 500 blanks in store, nothing inbound or waiting, packs of 50, service level 95 %."""
    whole = np.full(series, 0)
    position = Position(whole + 500, whole, whole, whole + 50, np.full(series, 0.95))
    return replace(position, **changes)


def rows_of(history: History, rows: Any) -> History:
    """The same history for some of its series, in that order."""
    names = ("demand", "served_waiting", "open", "known", "stocked_out")
    group = None if history.group is None else history.group[rows]
    return replace(history, **{name: getattr(history, name)[rows] for name in names}, group=group)
