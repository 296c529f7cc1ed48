"""Blend: experts weighted by how well they foretold the windows after the past origins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from inventory.domain.demand.arrays import Counts, Flags, Numbers, by_chunk, by_pool, ratio, rows_of
from inventory.domain.demand.bursts import Bursts
from inventory.domain.demand.inputs import Horizon, Settings
from inventory.domain.demand.levels import Replay


@dataclass(frozen=True, eq=False)
class Blend:
    """weights (S,K) of the experts, level (S,) today and past (S,J) at the origins, both without bursts; error (S,):
    mean absolute error of the windows, relative to what was requested; volume (S,): class by mean demand over the
    horizon."""

    weights: Numbers
    level: Numbers
    past: Numbers
    error: Numbers
    volume: Counts


def blend(replay: Replay, bursts: Bursts, enough: Flags, average: Flags, horizon: Horizon, settings: Settings) -> Blend:
    """Weights in proportion to MSE^-8, each series' errors shrunk to those of its volume class; the plain average
    alone for the series marked `average`."""
    volume = np.digitize(replay.today[:, 0] * horizon.total, settings.volume_edges)
    weights = _weights(replay, enough, volume, settings)
    alone = np.zeros_like(weights)
    alone[:, -1] = 1.0
    weights = np.where(average[:, None], alone, weights)
    past = np.einsum("sjk,sk->sj", replay.past, weights)
    return Blend(weights, (replay.today * weights).sum(axis=1), past, _error(replay, past, bursts, average), volume)


def _weights(replay: Replay, enough: Flags, volume: Counts, settings: Settings) -> Numbers:
    count = replay.valid.sum(axis=1)
    squares = np.concatenate(by_chunk(lambda rows: _misses(rows_of(replay, rows)), len(count), settings.chunk))
    mean = squares.mean(axis=1, keepdims=True)
    # Relative to the mean of the experts, so that offices of any size can be pooled.
    relative = np.divide(squares, mean, out=np.ones_like(squares), where=mean > 0)
    levels = len(settings.half_lives)
    start = np.where(np.arange(relative.shape[1]) < levels, 1.0, settings.trend_handicap)
    weight = (count * enough)[:, None]
    strong = settings.blend_pool_windows
    pool = by_pool(weight * relative, volume) + strong * start
    pool /= by_pool(weight * 1.0, volume) + strong
    prior = settings.blend_prior_windows
    shrunk = (count[:, None] * relative + prior * pool[volume]) / (count[:, None] + prior)
    weights = (shrunk / shrunk.min(axis=1, keepdims=True)) ** -settings.blend_power
    weights /= weights.sum(axis=1, keepdims=True)
    return np.concatenate([weights, np.zeros_like(weights[:, :1])], axis=1)


def _misses(replay: Replay) -> Numbers:
    """(C,K-1) sums of squares over the past windows. The average stands apart: it is not one of the experts, but what
    they are held against."""
    miss = replay.past[..., :-1] * replay.exposure[..., None]
    np.subtract(replay.seen[..., None], miss, out=miss)
    miss *= miss
    miss *= replay.valid[..., None]
    return miss.sum(axis=1)


def _error(replay: Replay, past: Numbers, bursts: Bursts, average: Flags) -> Numbers:
    with_bursts = past * (1.0 + np.where(average, 0.0, bursts.rate * bursts.size))[:, None]
    miss = (replay.valid * np.abs(replay.whole - with_bursts * replay.exposure)).sum(axis=1)
    return ratio(miss, (replay.valid * replay.whole).sum(axis=1), np.nan)
