"""Bursts: single days far above the usual, as an outreach brings them; told from noise and set apart.

A day's new requests are negative binomial around level times exposure, or, on a burst, around that plus a size in
usual days' worth. Which of the two is weighed by expectation and maximisation (Dempster, Laird and Rubin 1977): the
chance that a day was a burst, then rates, sizes and the noise of the other days anew, in a few rounds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inventory.domain.demand.arrays import Flags, Numbers, by_chunk, ratio
from inventory.domain.demand.evidence import Record, evidence
from inventory.domain.demand.inputs import Settings
from inventory.domain.demand.local import local_level
from inventory.domain.demand.profile import Profile
from inventory.domain.distributions import count_log_probability

Rows = NDArray[np.int64]

NEIGHBOURS = 10
"""Calendar days to each side of a day that tell a burst from a new level."""
FEWEST_OF_A_LEVEL = 4
"""High days near each other below which nothing speaks of a new level."""
MOST_RATE = 0.3
MOST_SIZE = 50.0
"""Usual days' worth."""
SLACK = 1e-6
"""Of a first look that must not miss by a rounding what the second one would find."""


@dataclass(frozen=True, eq=False)
class Bursts:
    """rate (S,) an open day, size (S,) in usual days' worth, variation: squared coefficient of variation of a size;
    seen (S,): bursts that the rate rests on, those of the prior included; daily (S,): dispersion of a day without.

    rows, columns, chance, usual (N,): the days in question, ascending by row: how likely each was a burst, and what
    would have been usual.
    """

    rate: Numbers
    size: Numbers
    variation: float
    seen: Numbers
    daily: Numbers
    rows: Rows
    columns: Rows
    chance: Numbers
    usual: Numbers

    def set_apart(self, prints: Numbers, rows: slice) -> Numbers:
        """(C,T) the prints of these series without their bursts."""
        part = slice(*np.searchsorted(self.rows, [rows.start, rows.stop]))
        at = self.rows[part] - rows.start, self.columns[part]
        base = prints.copy()
        base[at] += self.chance[part] * (self.usual[part] - base[at])
        return base


@dataclass(frozen=True, eq=False)
class _Days:
    """The days in question, (N,) each: their place, prints, usual prints, level and the series' dispersion."""

    rows: Rows
    columns: Rows
    prints: Numbers
    usual: Numbers
    level: Numbers
    daily: Numbers


@dataclass(frozen=True, eq=False)
class _Belief:
    """What the pool and each series are thought to be like between two rounds."""

    days_seen: Numbers
    daily_pool: float
    daily: Numbers
    rate: Numbers
    seen: Numbers
    size: float
    variation: float
    own_size: Numbers


def find_bursts(record: Record, profile: Profile, even: Flags, settings: Settings, rounds: int) -> Bursts:
    """Which days were bursts, how often they come and how large they are, after so many rounds.

    even (S,): series with a level that bursts can stand out from; the others have none, and teach the pool nothing.
    """
    series = record.series
    chance = np.zeros(0)
    nowhere, nothing = np.zeros(0, dtype=np.int64), np.zeros(0)
    days = _Days(nowhere, nowhere, nothing, nothing, nothing, nothing)
    belief = _Belief(
        np.zeros(series), settings.usual_daily_dispersion, np.full(series, settings.usual_daily_dispersion),
        np.full(series, settings.usual_burst_rate), np.zeros(series), settings.usual_burst_size,
        settings.usual_burst_variation, np.full(series, settings.usual_burst_size),
    )  # fmt: skip
    for round_number in range(rounds + 1):
        first_look = round_number == 0
        days, chance, belief = _look(record, profile, even, days, chance, belief, first_look, settings)
        if not first_look:
            chance, belief = _weigh(days, belief, settings)
    return Bursts(
        belief.rate, belief.own_size, belief.variation, belief.seen, belief.daily,
        days.rows, days.columns, chance, days.usual,
    )  # fmt: skip


def _look(
    record: Record, profile: Profile, even: Flags, days: _Days, chance: Numbers, belief: _Belief, first: bool,
    settings: Settings,
) -> tuple[_Days, Numbers, _Belief]:  # fmt: skip
    """Levels and noise without what is thought to be bursts, and the days that stand out from them."""
    own, weight, seen = (np.zeros(record.series) for _ in range(3))

    def work(rows: slice) -> _Days:
        prints, exposure = observed(record, profile, rows)
        prints[~even[rows]] = exposure[~even[rows]] = 0.0
        part = slice(*np.searchsorted(days.rows, [rows.start, rows.stop]))
        apart = _Apart(days.rows[part] - rows.start, days.columns[part], chance[part])
        level = local_level(apart.ordinary(prints), apart.ordinary(exposure), settings)
        usual = level * exposure
        own[rows], weight[rows] = _noise(prints, usual, apart, settings)
        usable = exposure > 0
        seen[rows] = np.count_nonzero(usable, axis=1)
        daily = belief.daily[rows] if first else _shrunk(own[rows], weight[rows], belief.daily_pool, settings)
        row, column = _standing_out(prints, usual, usable, daily, first, settings)
        at = row, column
        return _Days(row + rows.start, column, prints[at], usual[at], level[at], daily[row])

    found = by_chunk(work, record.series, settings.chunk)
    joined = _Days(*(np.concatenate([getattr(each, name) for each in found]) for name in _Days.__dataclass_fields__))
    pool = float((weight * np.clip(own, 0.0, 2.0)).sum() + settings.usual_daily_dispersion)
    pool = max(pool / (weight.sum() + 1.0), settings.least_daily_dispersion)
    kept = belief.daily if first else _shrunk(own, weight, pool, settings)
    changed = _Belief(seen, pool, kept, belief.rate, belief.seen, belief.size, belief.variation, belief.own_size)
    return joined, np.ones(joined.rows.size), changed


def observed(record: Record, profile: Profile, rows: slice) -> tuple[Numbers, Numbers]:
    """New requests (C,T) and exposure (C,T) of the days that count; 0 on the others."""
    prints, usable = evidence(record, rows)
    return prints, profile.exposure(rows, usable, record.first_days(rows), record.labels, record.first_weekday)


@dataclass(frozen=True, eq=False)
class _Apart:
    """(N,) days of a chunk, each with the chance that it was a burst: what is said of ordinary days leaves out so much
    of them. They are few, so that it is cheaper to take them away than to weigh every day."""

    rows: Rows
    columns: Rows
    chance: Numbers

    def ordinary(self, values: Numbers) -> Numbers:
        """(C,T) the values without the bursts' share of them."""
        found = values.copy()
        found[self.rows, self.columns] *= 1.0 - self.chance
        return found

    def share(self, values: Numbers, count: int) -> Numbers:
        """(C,) what the bursts have of the values (N,) of these days."""
        return np.bincount(self.rows, self.chance * values, count).astype(np.float64, copy=False)


def _standing_out(
    prints: Numbers, usual: Numbers, usable: Flags, daily: Numbers, first: bool, settings: Settings
) -> tuple[Rows, Rows]:
    """(N,) rows and columns of the days in question: those above the usual, but for a new level."""
    sigmas = settings.burst_first_look if first else settings.burst_candidates
    # The noise of counting left out, which takes no root, rules out nearly all; the others are looked at in full.
    least = usual * (1.0 + sigmas * np.sqrt(daily))[:, None]
    least += 1.0 - SLACK
    # In one dimension, which takes a fraction of the time.
    row, column = np.divmod(np.flatnonzero(prints > least), prints.shape[1])
    value, expected = prints[row, column], usual[row, column]
    spread = np.sqrt(expected * expected * daily[row] + expected)
    out = value > expected + sigmas * spread + 1.0
    row, column = row[out], column[out]
    high = np.ones(row.size, dtype=bool) if first else value[out] > 1.5 * expected[out]
    kept = ~_new_level(row, column, high, usable)
    return row[kept], column[kept]


def _noise(prints: Numbers, usual: Numbers, apart: _Apart, settings: Settings) -> tuple[Numbers, Numbers]:
    """(C,) dispersion of single days by moments, and (C,) the number of days that it rests on, less for few prints:
    a day's say falls as the noise of counting grows beside what is to be measured."""
    count, at = len(prints), (apart.rows, apart.columns)
    off = prints - usual
    strayed = _squares(off) - usual.sum(axis=1) - apart.share(off[at] ** 2 - usual[at], count)
    own = ratio(strayed, _squares(usual) - apart.share(usual[at] ** 2, count), 0.0)
    beside = np.multiply(usual, settings.usual_daily_dispersion, out=off)
    share = np.divide(beside, beside + 1.0, out=off)
    return own, np.maximum(_squares(share) - apart.share(share[at] ** 2, count), 0.0)


def _squares(values: Numbers) -> Numbers:
    """(C,) sums of the squares of (C,T)."""
    return np.einsum("ij,ij->i", values, values)


def _shrunk(own: Numbers, weight: Numbers, pool: float, settings: Settings) -> Numbers:
    prior = settings.daily_prior_days
    return np.maximum((weight * own + prior * pool) / (weight + prior), settings.least_daily_dispersion)


def _new_level(row: Rows, column: Rows, is_high: Flags, usable: Flags) -> Flags:
    """(N,) of these days, ascending by row and column, those with as many high days as others around them: that is a
    new level, not a burst."""
    days = usable.shape[1]
    # All rows one after the other as on one line, with more than a neighbourhood between two of them.
    place = row * (days + 2 * NEIGHBOURS + 1) + column
    highs = place[is_high]
    high = np.searchsorted(highs, place + NEIGHBOURS, "right") - np.searchsorted(highs, place - NEIGHBOURS, "left")
    found = high >= FEWEST_OF_A_LEVEL
    asked = np.flatnonzero(found)
    start = np.maximum(column[asked] - NEIGHBOURS, 0)
    stop = np.minimum(column[asked] + NEIGHBOURS, days - 1)
    some, place = np.unique(row[asked], return_inverse=True)
    before = np.cumsum(usable[some], axis=1, dtype=np.int32)
    all_days = before[place, stop] - before[place, start] + usable[row[asked], start]
    found[asked] = 2 * high[asked] >= all_days
    return found


def _weigh(days: _Days, belief: _Belief, settings: Settings) -> tuple[Numbers, _Belief]:
    """(N,) how likely each day in question was a burst; rates and sizes that follow from it."""
    series = belief.rate.size
    burst = days.usual + belief.size * days.level
    spread = days.daily + belief.variation * (belief.size * days.level / burst) ** 2
    odds = count_log_probability(days.prints, burst, spread)
    odds -= count_log_probability(days.prints, days.usual, days.daily)
    rate = belief.rate
    prior_days = settings.burst_rate_prior_days
    chance = number = np.zeros(0)
    pool = settings.usual_burst_rate
    for _ in range(3):
        likely = np.exp(np.clip(odds, -50, 50)) * (rate / (1 - rate))[days.rows]
        chance = likely / (1 + likely)
        number = np.bincount(days.rows, chance, series)
        pool = (number.sum() + pool * prior_days) / (belief.days_seen.sum() + prior_days)
        rate = np.minimum((number + pool * prior_days) / (belief.days_seen + prior_days), MOST_RATE)
    # Beside a level of next to nothing anything is large, and says little of what bursts are like.
    size = np.minimum(ratio(days.prints - days.usual, days.level, 0.0), MOST_SIZE)
    prior = settings.burst_size_prior
    weight = chance.sum() + prior
    mean = max(((chance * size).sum() + prior * settings.usual_burst_size) / weight, 0.5)
    # The scatter of sizes less the noise of the counts that they are read from.
    noise = (burst + days.daily * burst**2) / np.maximum(days.level, 1e-9) ** 2
    scatter = (chance * ((size - mean) ** 2 - noise)).sum()
    scatter += prior * settings.usual_burst_variation * mean**2
    variation = float(np.clip(scatter / weight / mean**2, 0.05, 1.0))
    own = (np.bincount(days.rows, chance * size, series) + mean * prior) / (number + prior)
    seen: Numbers = np.asarray(number + pool * prior_days, dtype=np.float64)
    return chance, _Belief(belief.days_seen, belief.daily_pool, belief.daily, rate, seen, mean, variation, own)
