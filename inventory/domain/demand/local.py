"""The level around each day: what demand was about then, without single days standing out."""

from __future__ import annotations

import numpy as np

from inventory.domain.demand.arrays import WEEK, Numbers, ratio
from inventory.domain.demand.inputs import Settings

BLOCK = 8


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
    mean = ratio(printed.sum(axis=1), exposed.sum(axis=1), 0.0)
    half = settings.rate_prior_prints
    level = (_times(printed, near) + half) / (_times(exposed, near) + half / np.maximum(mean, 0.05)[:, None])
    return np.repeat(level, WEEK, axis=1)[:, :days]


def _times(rows: Numbers, square: Numbers) -> Numbers:
    """The matrix product, in blocks so small that the linear algebra library begins no threads of its own, which
    would wait for each other by running idle: the chunks are on all cores already."""
    number, width = rows.shape
    padded = np.zeros((-(-number // BLOCK), BLOCK, width))
    padded.reshape(-1, width)[:number] = rows
    return (padded @ square).reshape(-1, width)[:number]


def _weekly(values: Numbers) -> Numbers:
    """(C,W) sums of seven days; the last week may have fewer."""
    sums = np.zeros((values.shape[0], -(-values.shape[1] // WEEK)))
    for day in range(WEEK):
        part = values[:, day::WEEK]
        sums[:, : part.shape[1]] += part
    return sums
