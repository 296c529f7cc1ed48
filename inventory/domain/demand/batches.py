"""Batches: lumpy series, printed on a few days and then many at once, of which no level tells anything.

A series is lumpy when far more of its days are empty than a count of its size, however noisy, would leave empty
(Syntetos and Boylan 2005 ask for the same of the interval and the variation of sizes). Its demand is then a number of
batches of about the same size: how often they came and how large they were is all that is said of the days ahead.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from inventory.domain.demand.arrays import Flags, Numbers, by_chunk, ratio, stack
from inventory.domain.demand.bursts import observed
from inventory.domain.demand.evidence import Record
from inventory.domain.demand.inputs import Settings
from inventory.domain.demand.local import local_level
from inventory.domain.demand.profile import Profile

SURE = 5.0
"""Standard deviations of empty days too many from which a series counts as lumpy."""

RARE, LEAST_SIZE = 0.05, 5.0
"""Lumpy as well: prints on so few of the days, and so many at a time."""


@dataclass(frozen=True, eq=False)
class Batches:
    """lumpy (S,); rate (S,) batches an open day, size (S,) prints of one, variation (S,): squared coefficient of
    variation of a size, seen (S,): batches that the rate rests on."""

    lumpy: Flags
    rate: Numbers
    size: Numbers
    variation: Numbers
    seen: Numbers


def find_batches(record: Record, profile: Profile, settings: Settings) -> Batches:
    """Which series are lumpy, and the batches of all; those of a series that is not lumpy mean nothing."""

    def work(rows: slice) -> Batches:
        return _batches(*observed(record, profile, rows), settings)

    return stack(Batches, by_chunk(work, record.series, settings.chunk))


def _batches(prints: Numbers, exposure: Numbers, settings: Settings) -> Batches:
    days, number = (exposure > 0).sum(axis=1), (prints > 0).sum(axis=1)
    age = np.arange(prints.shape[1] - 1, -1, -1.0)
    weight = np.exp2(-age / settings.batch_half_life)
    recent, exposed = ((prints > 0) * weight).sum(axis=1), ((exposure > 0) * weight).sum(axis=1)
    half = 0.5
    rate = (recent + half * ratio(number, days, 0.0)) / np.maximum(exposed + half, half)
    size = ratio(prints.sum(axis=1), number, 0.0)
    square = ratio((prints**2).sum(axis=1), number, 0.0)
    own = ratio(square - size**2, size**2, 0.0)
    prior = settings.batch_variation_prior
    variation = (number * own + prior * settings.usual_burst_variation) / (number + prior)
    return Batches(_lumpy(prints, exposure, settings), rate, size, variation, recent + half)


def _lumpy(prints: Numbers, exposure: Numbers, settings: Settings) -> Flags:
    """(C,) more empty days than a negative binomial of that level would leave, which is (1 + f m)^(-1/f) a day."""
    used = exposure > 0
    f = settings.batch_dispersion
    mean = np.where(used, local_level(prints, exposure, settings) * exposure, 0.0)
    empty = np.where(used, (1.0 + f * mean) ** (-1.0 / f), 0.0)
    foreseen, variance = empty.sum(axis=1), (empty * (1.0 - empty)).sum(axis=1)
    found, days = (used & (prints == 0)).sum(axis=1), used.sum(axis=1)
    full = days - found
    # Of a handful of days that stand alone, the level around each is made by that day itself.
    rare = (full > 0) & (full <= RARE * days) & (prints.sum(axis=1) >= LEAST_SIZE * full)
    return rare | (found - foreseen > SURE * np.sqrt(variance + 1.0))
