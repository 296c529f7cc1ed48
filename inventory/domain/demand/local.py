"""The level around each day: what demand was about then, without single days standing out."""

from __future__ import annotations

import numpy as np

from inventory.domain.demand.arrays import WEEK, Numbers, ratio
from inventory.domain.demand.inputs import Settings


def local_level(prints: Numbers, exposure: Numbers, settings: Settings) -> Numbers:
    """(C,T) demand per unit of exposure around each day: weekly sums under Gaussian weights.

    The long-run mean counts as half a print, so that weeks without evidence fall back on it.
    """
    days = prints.shape[1]
    if days == 0:
        return np.zeros_like(prints)
    printed, exposed = _weekly(prints), _weekly(exposure)
    number = printed.shape[1]
    apart = WEEK * (np.arange(number)[:, None] - np.arange(number)[None, :])
    near = np.exp(-0.5 * (apart / settings.local_days) ** 2)
    mean = ratio(prints.sum(axis=1), exposure.sum(axis=1), 0.0)
    half = settings.rate_prior_prints
    level = (printed @ near + half) / (exposed @ near + half / np.maximum(mean, 0.05)[:, None])
    return np.repeat(level, WEEK, axis=1)[:, :days]


def _weekly(values: Numbers) -> Numbers:
    rest = -values.shape[1] % WEEK
    padded = np.pad(values, ((0, 0), (0, rest)))
    return padded.reshape(values.shape[0], padded.shape[1] // WEEK, WEEK).sum(axis=2)
