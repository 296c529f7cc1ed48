"""Spread: how far demand over a number of days strays from what is expected of it.

The noise of single days averages out and is known from hundreds of them; a wrong level does not, and shows in the
windows after past origins. What both together fail to explain there, bursts included, widens the level's part.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from inventory.domain.demand.arrays import Counts, Flags, Numbers, by_pool, ratio
from inventory.domain.demand.blend import Blend, blend
from inventory.domain.demand.bursts import Bursts
from inventory.domain.demand.inputs import Horizon, Position, Settings
from inventory.domain.demand.levels import Replay
from inventory.domain.demand.newcomers import Borrowed

MOST_DISPERSION = 4.0
"""A coefficient of variation of 200 %: more says that there is no level to speak of."""
MOST_OFF = 36.0
"""Six standard deviations."""


@dataclass(frozen=True, eq=False)
class Spread:
    """Dispersion of the demand without bursts over n open days: level + daily / n, level growing past the horizon.

    horizon (S,) is the dispersion at `days` (S,), the open days of lead + review. No window was measured past
    it. There a steady level errs as before and a random walk in proportion to the days; the square root lies
    between, and its 80 % bands held 71 to 85 % of made-up futures at 2.4 horizons where no growth held 63 %.
    """

    horizon: Numbers
    level: Numbers
    daily: Numbers
    days: Counts

    def over(self, open_days: Counts) -> Numbers:
        """(S,...) dispersion over that many open days (S,...)."""
        extra = (slice(None),) + (None,) * (open_days.ndim - 1)
        past = np.sqrt(np.maximum(open_days / self.days[extra], 1.0))
        return self.level[extra] * past + self.daily[extra] / np.maximum(open_days, 1)


def spread(
    replay: Replay, found: Blend, bursts: Bursts, enough: Flags, average: Flags, horizon: Horizon, settings: Settings
) -> Spread:
    days = horizon.total
    rate = np.where(average, 0.0, bursts.rate)
    seen = _Seen(replay, bursts, rate, enough, found.volume)
    level = _level_dispersion(seen, replay.valid, found.past, settings)
    mean, variance = _expected(seen, found.past, level)
    off = _off(replay.whole, mean, variance)
    times = _surprise(seen, off, _pool_surprise(seen, off, average, horizon, settings), days, settings)
    usual = ratio((replay.valid * variance).sum(axis=1), (replay.valid * mean**2).sum(axis=1), 0.0)
    level = level + (times - 1.0) * usual
    # Uneven weekdays make a little more noise than even ones: mean of squared over squared mean exposure.
    squares = (replay.valid * replay.squares).sum(axis=1)
    uneven = ratio(squares, (replay.valid * replay.exposure**2).sum(axis=1), np.nan) * days
    daily = bursts.daily * np.clip(np.nan_to_num(uneven, nan=1.0), 1.0, 2.0)
    return Spread(level + daily / days, level, daily, days)


@dataclass(frozen=True, eq=False)
class _Seen:
    """The past windows, the bursts that were in them and the rate (S,) at which they were expected."""

    replay: Replay
    bursts: Bursts
    rate: Numbers
    enough: Flags
    volume: Counts

    def noise(self, past: Numbers) -> Numbers:
        """(S,J) variance that single days alone bring."""
        return self.bursts.daily[:, None] * past**2 * self.replay.squares

    def by_class(self, values: Numbers, windows: Numbers, prior: float, settings: Settings) -> Numbers:
        """(P,) mean of the values (S,) a window, over the series of each volume class."""
        worth = settings.usual_dispersion_windows
        pool = by_pool(values * self.enough, self.volume) + worth * prior
        return pool / (by_pool(windows * self.enough * 1.0, self.volume) + worth)


def _level_dispersion(seen: _Seen, valid: Flags, past: Numbers, settings: Settings) -> Numbers:
    """(S,) f = sum((Y - m)^2 - m - noise) / sum(m^2) over past windows, each series shrunk to its volume class."""
    mean = past * seen.replay.exposure
    excess = (valid * ((seen.replay.seen - mean) ** 2 - mean - seen.noise(past))).sum(axis=1)
    own = np.minimum(ratio(excess, (valid * mean**2).sum(axis=1), 0.0), MOST_DISPERSION)
    count = valid.sum(axis=1)
    pool = np.maximum(seen.by_class(count * own, count, settings.usual_dispersion, settings), 0.0)
    strength = settings.spread_prior_windows
    shrunk = (count * own + strength * pool[seen.volume]) / (count + strength)
    return np.maximum(shrunk, settings.least_dispersion)


def _expected(seen: _Seen, past: Numbers, level: Numbers) -> tuple[Numbers, Numbers]:
    """(S,J) mean and variance of each window, bursts included."""
    exposure, bursts = seen.replay.exposure, seen.bursts
    base = past * exposure
    jump = bursts.size[:, None] * past
    number = seen.rate[:, None] * exposure
    variance = base + seen.noise(past) + level[:, None] * base**2
    return base + number * jump, variance + number * (jump**2 * (1.0 + bursts.variation) + jump)


def _off(seen: Numbers, mean: Numbers, variance: Numbers) -> Numbers:
    """(S,J) squared misses over the variance that was foretold. One window in which everything changed does not
    speak for its whole class."""
    return np.minimum(ratio((seen - mean) ** 2, variance, 1.0), MOST_OFF)


def _surprise(seen: _Seen, off: Numbers, pool: Numbers, days: Counts, settings: Settings) -> Numbers:
    """(S,) by how much the variance must grow for the past windows to have surprised no more than they should.

    Windows that overlap tell less: their number is counted in windows' lengths.
    """
    valid = seen.replay.valid
    count = valid.sum(axis=1)
    own = ratio((valid * off).sum(axis=1), count, 1.0)
    apart = count * np.minimum(1.0, settings.origin_step_days / (1.4 * days))
    strength = settings.surprise_prior_windows
    shrunk = (apart * own + strength * pool[seen.volume]) / (apart + strength)
    return np.clip(shrunk, 1.0, settings.most_surprise)


def _pool_surprise(seen: _Seen, off: Numbers, average: Flags, horizon: Horizon, settings: Settings) -> Numbers:
    """(P,) the same by volume class, for windows that nothing was fitted to.

    Weights and dispersion are fitted to the windows they are measured on, so they flatter themselves. Fitted
    to the older half of the windows and tried on the newer half, they show by how much; fitted to all, on
    twice the evidence, about half of that excess remains. It is no less than what the windows show that it was
    fitted to.
    """
    replay = seen.replay
    newer = replay.valid & (2 * np.cumsum(replay.valid, axis=1) <= replay.valid.sum(axis=1, keepdims=True))
    older = replace(replay, valid=replay.valid & ~newer)
    past = blend(older, seen.bursts, seen.enough, average, horizon, settings).past
    mean, variance = _expected(seen, past, _level_dispersion(seen, older.valid, past, settings))
    fresh = _off(replay.whole, mean, variance)
    pool = seen.by_class((newer * fresh).sum(axis=1), newer.sum(axis=1), 1.0, settings)
    fitted = seen.by_class((replay.valid * off).sum(axis=1), replay.valid.sum(axis=1), 1.0, settings)
    return np.maximum(0.5 + 0.5 * pool, fitted)


def stand_in(
    position: Position, enough: Flags, level: Numbers, own: Spread, borrowed: Borrowed, settings: Settings
) -> tuple[Numbers, Spread, Flags, Flags]:
    """Level and spread where the history is not enough: from the stated rate, or else borrowed from relatives; NaN
    where there is neither. Flags (S,): of which series a rate was used, and which borrow."""
    rate = np.full(level.shape, np.nan) if position.stated_rate is None else position.stated_rate
    stated = ~enough & ~np.isnan(rate)
    borrows = borrowed.known & ~stated
    level = np.where(enough, level, np.where(stated, rate, np.where(borrows, borrowed.level, np.nan)))
    fixed = np.where(borrows, borrowed.dispersion, settings.stated_dispersion)
    daily = np.where(borrows, settings.usual_daily_dispersion, settings.stated_daily_dispersion)
    return (
        level,
        Spread(
            np.where(enough, own.horizon, fixed + daily / own.days),
            np.where(enough, own.level, fixed),
            np.where(enough, own.daily, daily),
            own.days,
        ),
        stated,
        borrows,
    )
