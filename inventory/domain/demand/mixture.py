"""Demand over a number of days as a mixture: no burst, one, two, or more, each a negative binomial count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inventory.domain.demand.arrays import Numbers, ratio
from inventory.domain.distributions import count_cdf, rough_normal_quantile

PARTS = 4
"""0, 1, 2, and 3 or more bursts."""
SMOOTH_ABOVE = 4.0
"""Shape from which the quick curve will do: the demand that it describes is not known to a thousandth."""
LARGEST_TABLE = 256
"""Counts up to here are tabled, exactly; above, the quantile is searched for."""
NEARLY = 1e-9
"""A chance nearer than this to 0 or 1 is as good as that."""
MOST_STEPS = 12
"""A search takes five or six; one that takes more is on a curve that no straight line fits."""
LEAST_MEAN = 1e-6
"""Of a first guess, which needs some demand to start from."""
FAR = 6.0
"""So many standard deviations away a stock-out is not in question."""


@dataclass(frozen=True, eq=False)
class Mixture:
    """weights, mean, dispersion (...,N): probability, mean and dispersion of each part; weights sum to 1."""

    weights: Numbers
    mean: Numbers
    dispersion: Numbers

    @property
    def variance(self) -> Numbers:
        """(...,N) of each part."""
        return self.mean + self.dispersion * self.mean**2


def of_demand(
    base: Numbers, dispersion: Numbers, number: Numbers, jump: Numbers, variation: ArrayLike, seen: Numbers,
    planned: Numbers, planned_variance: Numbers,
) -> Mixture:  # fmt: skip
    """The mixture for expected demand `base` (...) of that dispersion, `number` (...) bursts expected of `jump` (...)
    prints each, and planned prints on top.

    How many bursts come is negative binomial as well, for their rate itself is only known from `seen` of them.
    """
    weights, count, spread = _burst_parts(number, seen)
    mean = (base + planned)[..., None] + count * jump[..., None]
    own = base + dispersion * base**2 + planned + planned_variance
    each = jump**2 * np.asarray(variation) + jump
    variance = own[..., None] + count * each[..., None] + spread * (jump**2)[..., None]
    return Mixture(weights, mean, np.maximum(ratio(variance - mean, mean**2, 0.0), 0.0))


def _burst_parts(number: Numbers, seen: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """(...,N) probability of each part, the mean number of bursts in it, and that number's variance."""
    shape = np.maximum(np.broadcast_to(seen, number.shape), 0.3)
    chance = shape / (shape + number)
    weights = np.empty((*number.shape, PARTS))
    weights[..., 0] = chance**shape
    for part in range(1, PARTS):
        weights[..., part] = weights[..., part - 1] * (shape + part - 1) / part * (1.0 - chance)
    few = np.arange(PARTS - 1)
    below = weights[..., :-1]
    rest = np.maximum(1.0 - below.sum(axis=-1), 0.0)
    least = float(PARTS - 1)
    mean = np.maximum(ratio(number - below @ few, rest, least), least)
    square = number + number**2 / shape + number**2
    spread = np.maximum(ratio(square - below @ few**2, rest, 0.0) - mean**2, 0.0)
    # A rest too small to be told from rounding is none.
    sure = rest > 1e-9
    weights[..., -1] = np.where(sure, rest, 0.0)
    weights /= weights.sum(axis=-1, keepdims=True)
    count = np.broadcast_to(np.arange(PARTS, dtype=np.float64), weights.shape).copy()
    count[..., -1] = np.where(sure, mean, least)
    spreads = np.zeros_like(weights)
    spreads[..., -1] = np.where(sure, spread, 0.0)
    return weights, count, spreads


def join(mixtures: list[Mixture]) -> Mixture:
    """One mixture in which each of those given is as likely as the others."""
    return Mixture(
        np.concatenate([each.weights for each in mixtures], axis=-1) / len(mixtures),
        np.concatenate([each.mean for each in mixtures], axis=-1),
        np.concatenate([each.dispersion for each in mixtures], axis=-1),
    )


def cdf(count: ArrayLike, mixture: Mixture) -> Numbers:
    """(...) P(D <= count)."""
    at = np.asarray(count, dtype=np.float64)[..., None]
    return (mixture.weights * count_cdf(at, mixture.mean, mixture.dispersion, SMOOTH_ABOVE)).sum(axis=-1)


def chance_above(free: Numbers, mixture: Mixture) -> Numbers:
    """(...) P(D > free), worked out only where it is in question."""
    deviation = np.sqrt(mixture.variance)
    top = mixture.mean + FAR * deviation
    likely = mixture.weights > 1e-6
    never = free > np.where(likely, top, 0.0).max(axis=-1)
    certain = free < np.where(likely, mixture.mean - FAR * deviation, np.inf).min(axis=-1)
    out = np.where(certain, 1.0, 0.0)
    asked = ~(never | certain)
    part = Mixture(mixture.weights[asked], mixture.mean[asked], mixture.dispersion[asked])
    out[asked] = 1.0 - cdf(np.broadcast_to(free, out.shape)[asked], part)
    return np.clip(out, 0.0, 1.0)


def quantiles(probabilities: Numbers, mixture: Mixture) -> Numbers:
    """(C,Q) the smallest whole counts k with P(D <= k) >= probability (C,Q), of mixtures (C,N). Raises ValueError when
    a probability is not strictly between 0 and 1."""
    if not ((probabilities > 0.0) & (probabilities < 1.0)).all():
        raise ValueError("a probability lies strictly between 0 and 1")
    out = np.zeros(probabilities.shape)
    tabled = count_cdf(LARGEST_TABLE, mixture.mean, mixture.dispersion).min(axis=-1, initial=1.0) >= 0.9999
    small = tabled & (probabilities.max(axis=1, initial=0.0) <= 0.9985)
    if small.any():
        out[small] = _from_table(probabilities[small], _rows(mixture, small))
    if not small.all():
        out[~small] = _search(probabilities[~small], _rows(mixture, ~small))
    return out


def _rows(mixture: Mixture, rows: NDArray[Any]) -> Mixture:
    return Mixture(mixture.weights[rows], mixture.mean[rows], mixture.dispersion[rows])


def _from_table(probabilities: Numbers, mixture: Mixture) -> Numbers:
    """By adding up P(D = k) from k = 0, each from the one before it, until that is more than is asked for."""
    mean, f = mixture.mean, np.maximum(mixture.dispersion, 1e-7)
    size, falls = 1.0 / f, f * mean / (1.0 + f * mean)
    term = mixture.weights * np.exp(-size * np.log1p(f * mean))
    wanted = probabilities - 1e-12
    found = np.zeros(wanted.shape)
    total = np.zeros(len(mean))
    for count in range(LARGEST_TABLE + 1):
        total = total + term.sum(axis=-1)
        short = total[:, None] < wanted
        if not short.any():
            break
        found += short
        term = term * falls * (size + count) / (count + 1.0)
    return found


def _search(probabilities: Numbers, mixture: Mixture) -> Numbers:
    """By steps along the straight line through the last two counts looked at, on a scale on which the curve is nearly
    straight: standard deviations of a normal variable. What is known to be too low or too high bounds each step."""
    wanted = probabilities.ravel()
    rows = np.repeat(np.arange(len(probabilities)), probabilities.shape[1])
    goal = rough_normal_quantile(wanted)
    at, slope = (each.ravel() for each in _first_guess(rough_normal_quantile(probabilities), mixture))
    low, high = np.full(wanted.shape, -1.0), np.full(wanted.shape, np.inf)
    last_at, last = np.full(wanted.shape, np.nan), np.full(wanted.shape, np.nan)
    kept, steps = np.arange(wanted.size), 0
    while kept.size:
        here = at[kept]
        chance = cdf(here, _rows(mixture, rows[kept]))
        enough = chance >= wanted[kept]
        high[kept], low[kept] = np.where(enough, here, high[kept]), np.where(enough, low[kept], here)
        now = rough_normal_quantile(np.clip(chance, NEARLY, 1.0 - NEARLY))
        with np.errstate(divide="ignore", invalid="ignore"):
            seen = (here - last_at[kept]) / (now - last[kept])
        slope[kept] = np.where(np.isfinite(seen) & (seen > 0.0), seen, slope[kept])
        last_at[kept], last[kept] = here, now
        steps += 1
        step = np.ceil(here + (goal[kept] - now) * slope[kept])
        at[kept] = _between(step, low[kept], high[kept], halving=steps >= MOST_STEPS)
        kept = kept[high[kept] - low[kept] > 1.0]
    return np.maximum(high, 0.0).reshape(probabilities.shape)


def _first_guess(z: Numbers, mixture: Mixture) -> tuple[Numbers, Numbers]:
    """(C,Q) counts near the quantiles, by the cube-root curve through the whole mixture's mean and variance, and by how
    much they grow a standard deviation."""
    mean = (mixture.weights * mixture.mean).sum(axis=-1)
    square = (mixture.weights * (mixture.variance + mixture.mean**2)).sum(axis=-1)
    mean = np.maximum(mean, LEAST_MEAN)[:, None]
    shape = mean**2 / np.maximum(square[:, None] - mean**2, mean)
    third = np.maximum(1.0 - 1.0 / (9.0 * shape) + z / (3.0 * np.sqrt(shape)), 0.1)
    return np.ceil(mean * third**3), mean * third**2 / np.sqrt(shape)


def _between(step: Numbers, low: Numbers, high: Numbers, *, halving: bool) -> Numbers:
    """Whole counts above `low` and below `high`; where a straight line has led nowhere for long, half-way."""
    if halving:
        open_end = np.isinf(high)
        step = np.where(open_end, 2.0 * low + 2.0, np.floor((low + np.where(open_end, 0.0, high)) / 2.0))
    return np.clip(step, low + 1.0, high - 1.0)
