"""Newcomers: an office with a few days of history borrows from those it belongs with.

Partial pooling (Gelman and Hill, Data analysis using regression and multilevel models, 2007, chapter 12): the level is
drawn from its own days and from the levels of its family, each after how much it tells.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from inventory.domain.demand.arrays import Counts, Flags, Numbers, by_pool, ratio
from inventory.domain.demand.evidence import Survey
from inventory.domain.demand.inputs import History, Settings

SURE = 3
"""From so many relatives on, how much they differ is measured and not assumed."""


@dataclass(frozen=True, eq=False)
class Borrowed:
    """known (S,): the series has a few days of its own and relatives that know more. level (S,) a open day;
    dispersion (S,): of the level; share (S,): how much of it is borrowed."""

    known: Flags
    level: Numbers
    dispersion: Numbers
    share: Numbers


def borrow(
    history: History, surveyed: Survey, level: Numbers, enough: Flags, telling: Flags, settings: Settings
) -> Borrowed:
    """Levels of series without `enough` history, from their own days and the levels (S,) of those `telling` (S,)."""
    nothing = np.full(history.series, np.nan)
    if history.family is None:
        return Borrowed(np.zeros(history.series, dtype=bool), nothing, nothing, nothing)
    family = np.unique(history.family, return_inverse=True)[1]
    mean, differ, relatives = _relatives(family, level, telling, settings)
    days = surveyed.days_used
    prints = surveyed.prints.sum(axis=1) + surveyed.prints_after.sum(axis=1)
    # A day's noise over how much relatives differ: the days of its own that say as much as they do.
    worth = (1.0 / np.maximum(mean, 0.05) + settings.usual_daily_dispersion) / differ
    known = ~enough & (days >= settings.newcomer_days) & (relatives > 0)
    borrowed = worth / (days + worth)
    return Borrowed(
        known=known,
        level=np.where(known, (prints + worth * mean) / (days + worth), np.nan),
        # What is left of how relatives differ, and a level that a few weeks have not yet shown to be steady.
        dispersion=differ * borrowed + settings.newcomer_dispersion,
        share=np.where(known, borrowed, np.nan),
    )


def _relatives(family: Counts, level: Numbers, telling: Flags, settings: Settings) -> tuple[Numbers, Numbers, Numbers]:
    """(S,) geometric mean of the family's levels, squared coefficient of variation among them, and their number."""
    logs = np.log(np.where(telling, np.maximum(np.nan_to_num(level, nan=1.0), 0.05), 1.0))
    number = by_pool(telling * 1.0, family)
    middle = ratio(by_pool(logs, family), number, 0.0)
    squares = by_pool(telling * (logs - middle[family]) ** 2, family)
    measured = np.maximum(ratio(squares, number - 1.0, 0.0), settings.least_relative_variation)
    differ = np.where(number >= SURE, measured, settings.usual_relative_variation)
    return np.exp(middle)[family], differ[family], number[family]
