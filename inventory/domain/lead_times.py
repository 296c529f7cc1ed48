"""Lead times as distributions: what an office's setting promises, corrected by how long its deliveries took.

Lead time in whole open days X is modelled by a normal distribution of log(X + 1/2), so that X itself is skewed to
the right as waits are, with the conjugate normal-inverse-gamma prior (Gelman et al., Bayesian Data Analysis, 3rd ed.,
section 3.3; Murphy, Conjugate Bayesian analysis of the Gaussian distribution, 2007, section 3):

    k' = k + n        m' = (k m + n y) / k'        v' = v + n
    v' s'^2 = v s^2 + sum (y_i - y)^2 + k n / k' (y - m)^2

with y_i = log(x_i + 1/2), y their mean, m = log(setting + 1/2) and s^2 = log(1 + c^2) for a coefficient of variation c.
The next delivery then follows Student's t with v' degrees of freedom about m', of squared scale s'^2 (1 + 1/k').

Two departures, both on purpose. A setting is a promise and not a spread: without a delivery it stands as it is, a
single number of days; and the squared scale counts in proportion to the share n / k' that the deliveries have in the
evidence (Bühlmann's credibility), so that the spread comes in as it is shown and not all at once. And a request that
has been open for longer than the office's usual wait counts as if it had arrived today: the least that it can take.
Waits that are shorter than usual so far say little, and would pull the mean down if they were counted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Counts = NDArray[np.integer]

LONGEST_DAYS = 250
"""Open days, a year of them: also the longest setting. What takes longer is told apart by nothing."""
PRIOR_DELIVERIES = 3.0
"""Deliveries that the setting is worth: about a season's."""
PRIOR_DEGREES = 4
"""Deliveries that the usual variation is worth; variances need more evidence than means."""
PRIOR_VARIATION = 0.3
"""The usual standard deviation of a lead time over its mean."""
NEGLIGIBLE = 1e-4
"""Chances beyond this are folded into the last day that is kept."""
BAND = (0.1, 0.9)
"""Eight cases of ten lie between."""


@dataclass(frozen=True, kw_only=True)
class Waits:
    """What is known of an office's lead time, in its open days from the day after asking to the day of arrival.

    `setting`: what the administrator set. `taken`: the deliveries that came. `waiting`: how long the requests that
    are still open have waited. Raises ValueError for one below zero.
    """

    setting: int
    taken: tuple[int, ...] = ()
    waiting: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if min((self.setting, *self.taken, *self.waiting)) < 0:
            raise ValueError("a wait is not below zero")


@dataclass(frozen=True, eq=False)
class LeadTimes:
    """The lead times of S offices, as probabilities of taking 0, 1 … M-1 open days.

    weights (S,M): rows add up to 1. mean (S,). low, high (S,): between them lie eight cases of ten. deliveries (S,):
    how many arrivals they were learnt from. overdue (S,): how many open requests counted because they have waited
    for longer than usual. With neither, all the weight lies on the setting.
    """

    weights: Numbers
    mean: Numbers
    low: Counts
    high: Counts
    deliveries: Counts
    overdue: Counts


def learn(offices: Sequence[Waits]) -> LeadTimes:
    """The lead times of offices, in their order."""
    posteriors = [_Posterior.of(waits) for waits in offices]
    weights = _weights(posteriors)
    reached = np.cumsum(weights, axis=1)
    return LeadTimes(
        weights=weights,
        mean=weights @ np.arange(weights.shape[1]),
        low=_quantile(reached, BAND[0]),
        high=_quantile(reached, BAND[1]),
        deliveries=np.array([len(waits.taken) for waits in offices], dtype=np.int64),
        overdue=np.array([each.overdue for each in posteriors], dtype=np.int64),
    )


@dataclass(frozen=True)
class _Posterior:
    """Student's t of log(X + 1/2); a scale of 0 is the setting itself."""

    centre: float
    scale: float
    degrees: int
    overdue: int

    @classmethod
    def of(cls, waits: Waits) -> _Posterior:
        arrived = cls._from(waits.setting, waits.taken, 0)
        usual = arrived.centre + 1e-9
        overdue = tuple(days for days in waits.waiting if math.log(days + 0.5) > usual and days <= LONGEST_DAYS)
        return cls._from(waits.setting, waits.taken + overdue, len(overdue)) if overdue else arrived

    @classmethod
    def _from(cls, setting: int, taken: Sequence[int], overdue: int) -> _Posterior:
        prior = math.log(min(setting, LONGEST_DAYS) + 0.5)
        number = len(taken)
        if number == 0:
            return cls(prior, 0.0, PRIOR_DEGREES, overdue)
        logs = [math.log(min(days, LONGEST_DAYS) + 0.5) for days in taken]
        mean = sum(logs) / number
        worth, degrees = PRIOR_DELIVERIES + number, PRIOR_DEGREES + number
        squares = PRIOR_DEGREES * math.log(1.0 + PRIOR_VARIATION**2)
        squares += sum((each - mean) ** 2 for each in logs)
        squares += PRIOR_DELIVERIES * number / worth * (mean - prior) ** 2
        variance = squares / degrees * (1.0 + 1.0 / worth) * number / worth
        return cls((PRIOR_DELIVERIES * prior + number * mean) / worth, math.sqrt(variance), degrees, overdue)


def _weights(posteriors: Sequence[_Posterior]) -> Numbers:
    """(S,M) chances of each number of days: the t distribution of log(X + 1/2) between log m and log(m + 1)."""
    centre = np.array([each.centre for each in posteriors], dtype=np.float64)
    scale = np.array([each.scale for each in posteriors], dtype=np.float64)
    degrees = np.array([each.degrees for each in posteriors], dtype=np.int64)
    ends = np.log(np.arange(1.0, LONGEST_DAYS + 2.0))
    learnt = scale > 0.0
    # A setting alone is a step at its own day.
    reached = np.where(ends > centre[:, None], 1.0, 0.0)
    distance = (ends - centre[learnt, None]) / scale[learnt, None]
    reached[learnt] = student_cdf(distance, degrees[learnt])
    enough = np.flatnonzero(np.all(reached >= 1.0 - NEGLIGIBLE, axis=0))
    last = int(enough[0]) if enough.size else LONGEST_DAYS
    reached = reached[:, : last + 1]
    reached[:, -1] = 1.0
    return np.diff(reached, axis=1, prepend=0.0)


def student_cdf(t: Numbers, degrees: Counts) -> Numbers:
    """(S,M) P(T <= t) of Student's t distributions with whole degrees of freedom (S,), at least 1.

    Abramowitz and Stegun 26.7.3 and 26.7.4: finite series in the cosine of atan(t / sqrt(degrees)).
    """
    out = np.empty(t.shape)
    for number in np.unique(degrees):
        rows = degrees == number
        angle = np.arctan(t[rows] / math.sqrt(number))
        out[rows] = 0.5 + 0.5 * _within(angle, int(number))
    return out


def _within(angle: Numbers, degrees: int) -> Numbers:
    """P(|T| <= t), with the sign of t."""
    odd = degrees % 2
    cosine = np.cos(angle)
    term = cosine if odd else np.ones_like(angle)
    series = np.zeros_like(angle)
    for number in range(2 + odd, degrees + 1, 2):
        series += term
        term = term * cosine**2 * (number - 1) / number
    return 2.0 / math.pi * (angle + np.sin(angle) * series) if odd else np.sin(angle) * series


def _quantile(reached: Numbers, probability: float) -> Counts:
    return np.argmax(reached >= probability - 1e-12, axis=1)
