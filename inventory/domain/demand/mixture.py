"""Demand over a number of days as a mixture: no burst, one, two, or more, each a negative binomial count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inventory.domain.demand.arrays import Numbers, ratio
from inventory.domain.distributions import count_cdf, count_quantile

PARTS = 4
"""0, 1, 2, and 3 or more bursts."""
SMOOTH_ABOVE = 4.0
"""Shape from which the quick curve will do: the demand that it describes is not known to a thousandth."""
LARGEST_TABLE = 256
"""Counts up to here are tabled, exactly; above, the quantile is searched for."""
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
    """(C,Q) the smallest whole counts k with P(D <= k) >= probability (C,Q), of mixtures (C,N)."""
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
    """By halving between the quantiles of the parts: that of the mixture lies among them."""
    each = count_quantile(probabilities[..., None], mixture.mean[:, None], mixture.dispersion[:, None])
    likely = mixture.weights[:, None] > 0
    low = np.where(likely, each, np.inf).min(axis=-1) - 2.0
    high = np.where(likely, each, -np.inf).max(axis=-1) + 1.0
    rows, _ = np.indices(low.shape)
    low, high, wanted, rows = low.ravel(), high.ravel(), probabilities.ravel(), rows.ravel()
    kept = np.flatnonzero(high - low > 1.0)
    while kept.size:
        middle = np.floor((low[kept] + high[kept]) / 2.0)
        enough = cdf(middle, _rows(mixture, rows[kept])) >= wanted[kept]
        high[kept] = np.where(enough, middle, high[kept])
        low[kept] = np.where(enough, low[kept], middle)
        kept = kept[high[kept] - low[kept] > 1.0]
    return np.maximum(high, 0.0).reshape(probabilities.shape)
