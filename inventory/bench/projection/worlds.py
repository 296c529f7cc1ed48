"""Worlds with a known truth: made-up offices whose demand is drawn, and what their books would show of it.

Daily requests are negative binomial around a mean made of a level that drifts, a weekday profile, a trend, a surge
after closures, a dip in Ramadan and a surge after Lebaran, and bursts of outreach. Stock-outs hide a share of the
days; most of the demand that they turned away comes back afterwards and is printed then, tagged as having waited.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from inventory.domain.demand import History, Seasons

Numbers = NDArray[np.float64]
Counts = NDArray[np.int64]
Flags = NDArray[np.bool_]

FIRST_DAY = date(2021, 1, 4)
"""A Monday."""
TUNING_SEEDS = (11, 12, 13, 14, 15, 16, 17, 18, 21, 22, 23, 24)
"""What the settings of the projection were chosen on."""
REPORTING_SEEDS = (101, 102, 103, 104, 105)
"""What figures are reported on: never looked at while choosing."""
COMING_BACK = 0.65
"""The share of the unmet demand that returns when there is stock again."""
STOCK_OUT_DAYS = 0.05
LEAST_LEVEL, MOST_LEVEL = 3.0, 300.0
"""Requests on an open day: a district office, the office of a large city."""
LUNAR_YEAR = 354
SEASON_FACTORS = (1.0, 0.8, 1.35)
"""Of ordinary days, of Ramadan, of the two weeks after Lebaran; offices differ by 8 %."""
BURSTS_A_YEAR = 4.0
"""Outreach days in the middle; a quarter of the offices have twice as many or more. Each is worth three usual days."""


@dataclass(frozen=True, eq=False)
class World:
    """One row a series, one column a calendar day: `history` days, then the days that followed.

    requests (S,D): new requests, whether they could be met or not. printed, served_waiting (S,D): what the books show.
    open, stocked_out (S,D). season (D,): 0, 1 in Ramadan, 2 after Lebaran. outreach (S,D): how many of the requests
    were to be expected of outreach, 0 on most days. days: how many of the D columns are history.
    """

    requests: Counts
    printed: Counts
    served_waiting: Counts
    open: Flags
    stocked_out: Flags
    season: Counts
    outreach: Numbers
    days: int

    def seasons(self) -> Seasons:
        """The calendar of seasons, of which nobody has stated a factor."""
        labels = np.broadcast_to(self.season, self.requests.shape)
        return Seasons(labels[:, : self.days], labels[:, self.days :], np.full(2, np.nan))

    def history(self) -> History:
        """What the books show at the end of the history."""
        return self._history(self.printed, self.served_waiting, self.stocked_out)

    def true_history(self) -> History:
        """The same days as if no stock-out had hidden any demand."""
        return self._history(self.requests, np.zeros_like(self.requests), np.zeros_like(self.stocked_out))

    def raw_history(self) -> History:
        """The same books read by somebody who takes every print for that day's demand."""
        return self._history(self.printed, np.zeros_like(self.printed), np.zeros_like(self.stocked_out))

    def followed(self, length: int) -> Counts:
        """(S,) new requests over the first `length` open days after the history."""
        opened = self.open[:, self.days :]
        within = opened & (np.cumsum(opened, axis=1) <= length)
        return (self.requests[:, self.days :] * within).sum(axis=1)

    def _history(self, printed: Counts, waiting: Counts, stocked_out: Flags) -> History:
        past = slice(0, self.days)
        return History(
            first_day=FIRST_DAY,
            demand=printed[:, past],
            served_waiting=waiting[:, past],
            open=self.open[:, past],
            known=np.ones_like(self.open[:, past]),
            stocked_out=stocked_out[:, past],
        )


def make(seed: int, series: int, days: int = 730, ahead: int = 75) -> World:
    """A world of so many offices with so many days of history and days that follow."""
    chance = np.random.default_rng(seed)
    total = days + ahead
    lebaran = int(chance.integers(355))
    opened = _calendar(chance, series, total, lebaran)
    season = _season(total, lebaran)
    mean, outreach = _mean(chance, opened, season)
    requests = _counts(chance, mean, chance.lognormal(np.log(0.08), 0.7, (series, 1)))
    requests = np.where(opened, requests, 0)
    stocked_out = _stock_outs(chance, opened)
    stocked_out[:, days:] = False
    printed, waiting = _books(chance, requests, opened, stocked_out)
    return World(requests, printed, waiting, opened, stocked_out, season, outreach * opened, days)


def _calendar(chance: np.random.Generator, series: int, total: int, lebaran: int) -> Flags:
    """Five or six working days a week, some fifteen holidays a year, and a week of them at Lebaran."""
    weekday = np.arange(total) % 7
    six = chance.random((series, 1)) < 0.2
    opened = (weekday < 5) | (six & (weekday == 5))
    holidays = chance.choice(total, size=total * 15 // 365, replace=False)
    opened[:, holidays] = False
    for start in range(lebaran, total, LUNAR_YEAR):
        opened[:, start : start + 7] = False
    return opened


def _season(total: int, lebaran: int) -> Counts:
    """Thirty days before each week of holidays, and two weeks after it."""
    season = np.zeros(total, dtype=np.int64)
    for start in range(lebaran - LUNAR_YEAR, total + LUNAR_YEAR, LUNAR_YEAR):
        season[max(start - 30, 0) : max(start, 0)] = 1
        season[max(start + 7, 0) : max(start + 21, 0)] = 2
    return season


def _mean(chance: np.random.Generator, opened: Flags, season: Counts) -> tuple[Numbers, Numbers]:
    """Of all requests, and of those that outreach brings."""
    series, total = opened.shape
    level = np.exp(chance.uniform(np.log(LEAST_LEVEL), np.log(MOST_LEVEL), (series, 1)))
    # Half of the offices wander besides: by about a tenth in a year.
    wander = chance.normal(0.0, 0.005, (series, total)) * (chance.random((series, 1)) < 0.5)
    trend = chance.normal(0.0, 0.15, (series, 1)) / 365 * np.arange(total)
    weekday = chance.gamma(60.0, 1 / 60.0, (series, 7)) * np.array([1.25, 1.05, 1.0, 0.95, 0.75, 0.6, 1.0])
    profile = weekday[:, np.arange(total) % 7]
    after = np.where(_after_closure(opened), 1.3, 1.0)
    usual = np.array(SEASON_FACTORS) * chance.lognormal(0.0, 0.08, (series, 3))
    usual[:, 0] = 1.0
    after = after * usual[:, season]
    a_year = chance.gamma(1.0, BURSTS_A_YEAR, (series, 1))
    bursts = (chance.random((series, total)) < a_year / 250) * chance.gamma(4.0, 0.75, (series, total))
    level = level * np.exp(np.cumsum(wander, axis=1) + trend)
    return level * (profile * after + bursts), level * bursts


def _after_closure(opened: Flags) -> Flags:
    """The first open day after a weekday on which nobody opened."""
    weekday = np.arange(opened.shape[1]) % 7
    closed = ~opened & (weekday < 5)
    before = np.zeros_like(opened)
    waiting = np.zeros(opened.shape[0], dtype=bool)
    for day in range(opened.shape[1]):
        before[:, day] = opened[:, day] & waiting
        waiting = (waiting | closed[:, day]) & ~opened[:, day]
    return before


def _counts(chance: np.random.Generator, mean: Numbers, dispersion: Numbers) -> Counts:
    return chance.poisson(chance.gamma(1 / dispersion, mean * dispersion)).astype(np.int64)


def _stock_outs(chance: np.random.Generator, opened: Flags) -> Flags:
    """Runs of three to fourteen calendar days, so many that about one open day in twenty is hit."""
    series, total = opened.shape
    out = np.zeros_like(opened)
    often = chance.gamma(1.0, 1.0, series)
    for row in range(series):
        for _ in range(chance.poisson(often[row] * STOCK_OUT_DAYS * total / 8.5)):
            start = chance.integers(total)
            out[row, start : start + chance.integers(3, 15)] = True
    return out & opened


def _books(chance: np.random.Generator, requests: Counts, opened: Flags, stocked_out: Flags) -> tuple[Counts, Counts]:
    """What was printed each day, and how much of it for people who had waited for stock."""
    waiting = np.zeros(requests.shape[0], dtype=np.int64)
    served = np.zeros_like(requests)
    printed = np.zeros_like(requests)
    for day in range(requests.shape[1]):
        out = stocked_out[:, day]
        waiting += np.where(out, chance.binomial(requests[:, day], COMING_BACK), 0)
        back = np.where(opened[:, day] & ~out, chance.binomial(waiting, 0.4), 0)
        waiting -= back
        served[:, day] = back
        printed[:, day] = np.where(out, 0, requests[:, day]) + back
    return printed, served
