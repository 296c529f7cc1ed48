"""Levels at many half-lives, where each pair of them is heading, and how they did at past origins.

Sums over ever more days fade by the same factor from one origin to the next, so all origins of all series are had in
one pass over blocks of days. An origin weighs no day of its future.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inventory.domain.demand.arrays import Counts, Flags, Numbers, by_chunk, ratio, running, stack
from inventory.domain.demand.bursts import Bursts, observed
from inventory.domain.demand.evidence import Record
from inventory.domain.demand.inputs import Horizon, Settings
from inventory.domain.demand.profile import Profile


@dataclass(frozen=True, eq=False)
class Replay:
    """What each expert says today (S,K), and for each past origin (S,J): what they said (S,J,K) and what followed.

    The experts are levels at each half-life, those extended by a trend, and last the plain average of twelve weeks
    (of all prints, bursts included; the others foretell demand without bursts).
    valid: the origin has a record behind it and a window of lead + review after it that was observed well
    enough; seen, exposure: new requests without bursts, and exposure over the observed days of that window;
    whole: new requests, bursts included; squares: sum of squared exposure.
    """

    today: Numbers
    past: Numbers
    valid: Flags
    seen: Numbers
    whole: Numbers
    exposure: Numbers
    squares: Numbers


def replay(record: Record, profile: Profile, bursts: Bursts, horizon: Horizon, settings: Settings) -> Replay:
    history = record.history
    # Two calendar days an open day covers any usual week with its holidays; older origins make up for the
    # rest.
    reach = int(2 * horizon.total.max(initial=0)) // settings.origin_step_days + 1
    count = max(0, min(settings.origins + reach, (history.days - 1) // settings.origin_step_days))
    origins = history.days - settings.origin_step_days * np.arange(count + 1)

    def work(rows: slice) -> Replay:
        return _replay_rows(record, profile, bursts, horizon, settings, rows, origins)

    return stack(Replay, by_chunk(work, history.series, settings.chunk))


def expert_count(settings: Settings) -> int:
    """Levels, levels with a trend, and the average."""
    return len(settings.half_lives) + _trends(settings) + 1


def _trends(settings: Settings) -> int:
    return max(len(settings.half_lives) - 2, 0) * len(settings.trend_dampings)


def _replay_rows(
    record: Record, profile: Profile, bursts: Bursts, horizon: Horizon, settings: Settings, rows: slice,
    origins: Counts,
) -> Replay:  # fmt: skip
    prints, exposure = observed(record, profile, rows)
    base = bursts.set_apart(prints, rows)
    opened = record.history.open[rows]
    whole = profile.exposure(rows, opened, record.first_days(rows), record.labels, record.first_weekday)
    total = horizon.total[rows]
    sums = _Sums(*(running(values) for values in (base, exposure, whole, record.prints[rows], exposure**2)))
    experts, behind = _experts(base, exposure, sums, total, opened, origins, settings)
    stop, ended = _window_ends(opened, origins[1:], total)

    def within(values: NDArray[Any]) -> Numbers:
        return np.subtract(np.take_along_axis(values, stop, axis=1), values[:, origins[1:]], dtype=np.float64)

    seen, exposed, all_exposure = within(sums.base), within(sums.exposure), within(sums.whole)
    valid = ended & (exposed >= settings.minimum_window_share * all_exposure) & (exposed > 0)
    valid &= behind[:, 1:] >= settings.minimum_exposure_behind
    valid &= np.cumsum(valid, axis=1) <= settings.origins
    return Replay(experts[:, 0], experts[:, 1:], valid, seen, within(sums.prints), exposed, within(sums.squares))


@dataclass(frozen=True, eq=False)
class _Sums:
    """(C,T+1) sums before each day: new requests without bursts, exposure of the days that count and of all open ones,
    new requests, and squared exposure."""

    base: Numbers
    exposure: Numbers
    whole: Numbers
    prints: Counts
    squares: Numbers


def _experts(
    base: Numbers, exposure: Numbers, sums: _Sums, total: Counts, opened: Flags, origins: Counts, settings: Settings
) -> tuple[Numbers, Numbers]:
    """(C, origins, K) expected demand per unit of exposure, and (C, origins) the exposure behind each origin."""
    count = origins.size
    printed, _ = _faded(base, settings, count)
    exposed, aged = _faded(exposure, settings, count)
    behind = sums.exposure[:, origins]
    long_run = (sums.base[:, origins] + settings.rate_prior_prints) / np.maximum(behind, 1.0)
    prior = settings.level_prior_days
    levels = (printed + prior * long_run[..., None]) / (exposed + prior)
    ages = ratio(aged, exposed, 0.0)
    # Calendar days from an origin to the middle of its window, at the office's usual pace.
    middle = 0.5 * total * ratio(np.full(total.shape, opened.shape[1]), opened.sum(axis=1), 1.0)
    trends = _with_trend(levels, ages, middle[:, None], settings)
    average = _recent_average(sums.prints, exposure, origins, settings)
    return np.concatenate([levels, *trends, average[..., None]], axis=2), behind


def _faded(values: Numbers, settings: Settings, count: int) -> tuple[Numbers, Numbers]:
    """(C,count,K) sums of values (C,T) weighted by 2^(-age / half-life), as seen from the end and from each
    origin before it, and (C,count,K) the same sums with the age in days as a further weight."""
    step = settings.origin_step_days
    fades = np.array(settings.half_lives)
    age = step - 1.0 - np.arange(step)
    near = np.exp2(-age[:, None] / fades)
    whole = np.exp2(-step / fades)
    padded = np.pad(values, ((0, 0), (-values.shape[1] % step, 0)))
    blocks = padded.reshape(values.shape[0], padded.shape[1] // step, step)
    fresh, fresh_aged = blocks @ near, blocks @ (near * age[:, None])
    sums, aged = (np.zeros((values.shape[0], fades.size)) for _ in range(2))
    out, out_aged = (np.zeros((values.shape[0], count, fades.size)) for _ in range(2))
    blocks_all = fresh.shape[1]
    for block in range(blocks_all):
        aged = whole * (aged + step * sums) + fresh_aged[:, block]
        sums = whole * sums + fresh[:, block]
        back = blocks_all - 1 - block
        if back < count:
            out[:, back], out_aged[:, back] = sums, aged
    return out, out_aged


def _with_trend(levels: Numbers, ages: Numbers, middle: Numbers, settings: Settings) -> list[Numbers]:
    """Levels moved on to the middle of the window, along the way from the level of one longer half-life to them."""
    most = np.log(settings.most_trend)
    found = []
    for k in range(1, len(settings.half_lives) - 1):
        apart = np.maximum(ages[..., k + 1] - ages[..., k], 5.0)
        a_day = np.log(levels[..., k] / levels[..., k + 1]) / apart
        ahead = a_day * (ages[..., k] + middle)
        for damping in settings.trend_dampings:
            found.append((levels[..., k] * np.exp(np.clip(damping * ahead, -most, most)))[..., None])
    return found


def _recent_average(sums: Counts, exposure: Numbers, origins: Counts, settings: Settings) -> Numbers:
    """(C, origins) prints per day that counts over the last twelve weeks, as offices work it out, from the sums of
    prints (C,T+1) before each day."""
    start = np.maximum(origins - settings.average_steps * settings.origin_step_days, 0)
    days = running(exposure > 0)
    recent = ratio(sums[:, origins] - sums[:, start], days[:, origins] - days[:, start], np.nan)
    ever = ratio(sums[:, origins] + settings.rate_prior_prints, days[:, origins], settings.rate_prior_prints)
    return np.where(np.isnan(recent) | (recent == 0), ever, recent)


def _window_ends(opened: Flags, starts: Counts, length: Counts) -> tuple[Counts, Flags]:
    """(C,J) column after the `length`-th (C,) open day from each start on, and whether history holds it."""
    days = opened.shape[1]
    ends = _nth_open_column(opened, starts, length)
    ended = ends < days
    return np.where(ended, ends + 1, starts), ended


def _nth_open_column(opened: Flags, starts: Counts, length: Counts) -> Counts:
    """(C,J) column of the length-th (C,) open day from each start on; the number of columns when none is."""
    days = opened.shape[1]
    rows, columns = np.nonzero(opened)
    before = running(opened)
    column_of = np.full((opened.shape[0], days + 1), days)
    column_of[rows, before[rows, columns]] = columns
    rank = np.minimum(before[:, starts] + length[:, None] - 1, days)
    return np.take_along_axis(column_of, rank, axis=1)
