"""Negative binomial counts, vectorised: P(D <= k) and expected excess of demand.

A count of requests with mean m and dispersion f has variance m + f m^2. All functions broadcast their
arguments and return float64 arrays. AS below is Abramowitz and Stegun, Handbook of Mathematical Functions,
1964.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Numbers = NDArray[np.float64]

# Below this mean a count is too coarse for a smooth curve, and the exact sum is cheap.
EXACT_BELOW_MEAN = 50.0
# Above this dispersion the mass piles up at zero, where a three-moment curve is off by up to a point.
EXACT_ABOVE_DISPERSION = 0.5
# Less than this is Poisson for every purpose of a store; it also keeps 1/dispersion finite.
LEAST_DISPERSION = 1e-7
# From this shape on the cube-root normal curve is within 2e-5 of the gamma distribution.
NORMAL_ABOVE_SHAPE = 100.0
# A probability nearer than this to 0 or 1 is taken from the cube-root curve without a second look.
NEGLIGIBLE = 1e-9
PRECISION = 1e-12
MOST_TERMS = 5_000
TINY = 1e-300


def _flat(*values: ArrayLike) -> tuple[tuple[int, ...], list[Numbers]]:
    """The common shape of the values, and each of them spread over it as one row of numbers."""
    arrays = np.broadcast_arrays(*(np.asarray(value, dtype=np.float64) for value in values))
    return arrays[0].shape, [array.ravel() for array in arrays]


def normal_cdf(z: ArrayLike) -> Numbers:
    """P(Z <= z) of the standard normal, to 1e-7 (AS 7.1.26 for the error function)."""
    x = np.asarray(z, dtype=np.float64)
    t = 1.0 / (1.0 + 0.3275911 * np.abs(x) / np.sqrt(2.0))
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    tail = 0.5 * series * np.exp(-0.5 * x * x)
    return np.where(x < 0.0, tail, 1.0 - tail)


def normal_quantile(probability: ArrayLike) -> Numbers:
    """The z with P(Z <= z) = probability. Few distinct probabilities are in use, so each is solved once."""
    values, where = np.unique(np.asarray(probability, dtype=np.float64), return_inverse=True)
    solved = np.array([NormalDist().inv_cdf(float(p)) for p in values], dtype=np.float64)
    return solved[where].reshape(np.shape(probability))


def rough_normal_quantile(probability: Numbers) -> Numbers:
    """The same to 4.5e-4 (AS 26.2.23), for a search that looks again: many different probabilities at once."""
    tail = np.minimum(probability, 1.0 - probability)
    t = np.sqrt(-2.0 * np.log(tail))
    top = 2.515517 + t * (0.802853 + t * 0.010328)
    z = t - top / (1.0 + t * (1.432788 + t * (0.189269 + t * 0.001308)))
    return np.where(probability < 0.5, -z, z)


def log_gamma(x: ArrayLike) -> Numbers:
    """log of the gamma function, x > 0: Stirling's series (AS 6.1.41) at x + 8, walked back by AS 6.1.15."""
    start = np.asarray(x, dtype=np.float64)
    y = start + 8.0
    product = np.ones_like(start)
    for step in range(8):
        product = product * (start + step)
    inverse = 1.0 / (y * y)
    correction = (1 / 12 - inverse * (1 / 360 - inverse * (1 / 1260 - inverse / 1680))) / y
    return (y - 0.5) * np.log(y) - y + 0.5 * np.log(2 * np.pi) + correction - np.log(product)


def gamma_cdf(shape: ArrayLike, x: ArrayLike, smooth_above: float = NORMAL_ABOVE_SHAPE) -> Numbers:
    """P(G <= x) for G gamma distributed with that shape and scale 1 (the regularised incomplete gamma
    function).

    Shapes from `smooth_above` on and far tails by the cube-root normal curve (AS 26.4.14); the rest by the power series
    (AS 6.5.29) left of the mean and the continued fraction (AS 6.5.31) right of it.
    """
    shape_out, (a, at) = _flat(shape, np.maximum(x, 0.0))
    z = 3.0 * np.sqrt(a) * (np.cbrt(at / a) - 1.0 + 1.0 / (9.0 * a))
    out = np.where(at > 0.0, normal_cdf(z), 0.0)
    near = (a < smooth_above) & (at > 0.0) & (out > NEGLIGIBLE) & (out < 1.0 - NEGLIGIBLE)
    left, right = near & (at < a + 1.0), near & (at >= a + 1.0)
    out[left] = _gamma_series(a[left], at[left])
    out[right] = 1.0 - _gamma_fraction(a[right], at[right])
    return np.clip(out, 0.0, 1.0).reshape(shape_out)


def _gamma_series(a: Numbers, x: Numbers) -> Numbers:
    term = 1.0 / a
    total = term.copy()
    for n in range(1, MOST_TERMS):
        term = term * x / (a + n)
        total += term
        if np.all(term <= PRECISION * total):
            break
    return total * np.exp(a * np.log(x) - x - log_gamma(a))


def _gamma_fraction(a: Numbers, x: Numbers) -> Numbers:
    def coefficients(n: int, kept: Any) -> tuple[Numbers, Numbers]:
        return n * (a[kept] - n), x[kept] + (2 * n + 1) - a[kept]

    return np.exp(a * np.log(x) - x - log_gamma(a)) / _fraction(x + 1.0 - a, coefficients)


def _fraction(first: Numbers, coefficients: Any) -> Numbers:
    """b0 + a1/(b1 + a2/(b2 + ...)) by Lentz's method as modified by Thompson and Barnett (1986).

    Rows that have converged are dropped, since the slowest row needs many times the terms of a usual one.
    """
    out = np.where(np.abs(first) < TINY, TINY, first)
    kept = np.arange(out.size)
    c, d = out.copy(), np.zeros_like(out)
    for n in range(1, MOST_TERMS):
        if kept.size == 0:
            break
        top, bottom = coefficients(n, kept)
        d = bottom + top * d
        d = 1.0 / np.where(np.abs(d) < TINY, TINY, d)
        c = bottom + top / c
        c = np.where(np.abs(c) < TINY, TINY, c)
        change = c * d
        out[kept] *= change
        going = np.abs(change - 1.0) > PRECISION
        kept, c, d = kept[going], c[going], d[going]
    return out


def beta_cdf(a: ArrayLike, b: ArrayLike, x: ArrayLike) -> Numbers:
    """The regularised incomplete beta function I_x(a, b), 0 <= x <= 1 (AS 26.5.8, and AS 26.5.2 to swap)."""
    shape, (left, right, at) = _flat(a, b, x)
    swap = at > (left + 1.0) / (left + right + 2.0)
    left, right, at = np.where(swap, right, left), np.where(swap, left, right), np.where(swap, 1.0 - at, at)
    inside = at > 0.0
    value = np.zeros_like(at)
    value[inside] = _beta_left(left[inside], right[inside], at[inside])
    return np.clip(np.where(swap, 1.0 - value, value), 0.0, 1.0).reshape(shape)


def _beta_left(a: Numbers, b: Numbers, x: Numbers) -> Numbers:
    def coefficients(n: int, kept: Any) -> tuple[Numbers, Numbers]:
        p, q, at, m = a[kept], b[kept], x[kept], n // 2
        if n % 2:
            top = -(p + m) * (p + q + m) * at / ((p + 2 * m) * (p + 2 * m + 1))
        else:
            top = m * (q - m) * at / ((p + 2 * m - 1) * (p + 2 * m))
        return top, np.ones_like(at)

    front = log_gamma(a + b) - log_gamma(a) - log_gamma(b) + a * np.log(x) + b * np.log1p(-x)
    return np.exp(front) / (a * _fraction(np.ones_like(x), coefficients))


def count_log_probability(count: ArrayLike, mean: ArrayLike, dispersion: ArrayLike) -> Numbers:
    """log P(D = count) of the same negative binomial; mean above 0."""
    shape, (k, m, f) = _flat(count, mean, dispersion)
    size = 1.0 / np.maximum(f, LEAST_DISPERSION)
    ways = log_gamma(k + size) - log_gamma(size) - log_gamma(k + 1.0)
    return (ways - size * np.log1p(m / size) + k * (np.log(m) - np.log(size + m))).reshape(shape)


def count_cdf(
    count: ArrayLike, mean: ArrayLike, dispersion: ArrayLike, smooth_above: float = NORMAL_ABOVE_SHAPE
) -> Numbers:
    """P(D <= count) for a negative binomial D with that mean and variance mean + dispersion mean^2.

    Exact (AS 26.5.26: an incomplete beta function) for small means and large dispersions; elsewhere a gamma
    distribution, shifted so that mean, variance and skewness are those of D, read half a count to the right.
    count below zero gives 0; mean 0 gives 1 from count 0 on. A lower `smooth_above`, such as 4, is five times as quick
    and right to within a thousandth.
    """
    shape, (k, m, f) = _flat(count, mean, dispersion)
    k, f = np.floor(k), np.maximum(f, LEAST_DISPERSION)
    out = np.where(k < 0.0, 0.0, 1.0)
    open_question = (k >= 0.0) & (m > 0.0)
    small = open_question & ((m <= EXACT_BELOW_MEAN) | (f > EXACT_ABOVE_DISPERSION))
    large = open_question & ~small
    out[small] = _exact_cdf(k[small], m[small], f[small])
    out[large] = _curve_cdf(k[large], m[large], f[large], smooth_above)
    return out.reshape(shape)


def _exact_cdf(k: Numbers, m: Numbers, f: Numbers) -> Numbers:
    size = 1.0 / f
    return beta_cdf(size, k + 1.0, size / (size + m))


def _curve(m: Numbers, f: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """Shape, scale and shift of the gamma distribution with the first three moments of the count.

    The third central moment of the negative binomial is m (1 + f m)(1 + 2 f m).
    """
    growth = 1.0 + 2.0 * f * m
    return 4.0 * m * (1.0 + f * m) / growth**2, growth / 2.0, -m / growth


def _curve_cdf(k: Numbers, m: Numbers, f: Numbers, smooth_above: float) -> Numbers:
    shape, scale, shift = _curve(m, f)
    return gamma_cdf(shape, (k + 0.5 - shift) / scale, smooth_above)


def expected_excess(stock: ArrayLike, mean: ArrayLike, dispersion: ArrayLike) -> Numbers:
    """E[max(0, D - stock)] for a negative binomial D with that mean and variance mean + dispersion mean^2: how many
    requests a stock leaves unmet. The stock may be negative (requests that wait already): then it is mean - stock.

    With r = 1/dispersion, k P(D = k) is mean P(D' = k - 1), where D' has r + 1 in place of r: mean (1 + dispersion)
    and dispersion/(1 + dispersion). So E[D; D > s] = mean P(D' > s - 1). Where `count_cdf` reads D off a gamma curve,
    the excess is that of the same curve, in which shape + 1 does what r + 1 does here. Both are convex in the stock.
    """
    shape, (s, m, f) = _flat(stock, mean, dispersion)
    s, f = np.floor(s), np.maximum(f, LEAST_DISPERSION)
    out = np.maximum(m - s, 0.0)
    open_question = (s > 0.0) & (m > 0.0)
    small = open_question & ((m <= EXACT_BELOW_MEAN) | (f > EXACT_ABOVE_DISPERSION))
    large = open_question & ~small
    out[small] = _exact_excess(s[small], m[small], f[small])
    out[large] = _curve_excess(s[large], m[large], f[large])
    return out.reshape(shape)


def _exact_excess(s: Numbers, m: Numbers, f: Numbers) -> Numbers:
    beyond = m * (1.0 - _exact_cdf(s - 1.0, m * (1.0 + f), f / (1.0 + f)))
    return np.maximum(beyond - s * (1.0 - _exact_cdf(s, m, f)), 0.0)


def _curve_excess(s: Numbers, m: Numbers, f: Numbers) -> Numbers:
    shape, scale, shift = _curve(m, f)
    at = (s - shift) / scale
    beyond = shape * (1.0 - gamma_cdf(shape + 1.0, at)) - at * (1.0 - gamma_cdf(shape, at))
    return np.maximum(scale * beyond, 0.0)
