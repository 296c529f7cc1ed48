"""Profile: what kind of day it is. Weekday weights, the first day after a closure, seasons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from inventory.domain.demand.arrays import WEEK, Counts, Flags, Numbers, by_pool, chunks, ratio
from inventory.domain.demand.evidence import Survey, after_closure, evidence
from inventory.domain.demand.inputs import Ahead, History, Seasons, Settings
from inventory.domain.demand.local import local_level

if TYPE_CHECKING:
    from inventory.domain.demand.bursts import Bursts


@dataclass(frozen=True, eq=False)
class Profile:
    """weekday (S,7): weights, mean 1 over the days used; after_closure (S,): factor of the pool; season (S,1+E):
    factor of each season, the first for ordinary days 1."""

    weekday: Numbers
    after_closure: Numbers
    season: Numbers

    def exposure(self, rows: slice, opened: Flags, after: Flags, seasons: Counts | None, first_weekday: int) -> Numbers:
        """(C,D) exposure of days whose first column is that weekday."""
        columns = (first_weekday + np.arange(opened.shape[1])) % WEEK
        factor = np.where(after, self.after_closure[rows, None], 1.0)
        if seasons is not None:
            factor = factor * np.take_along_axis(self.season[rows], seasons[rows].astype(np.int64), axis=1)
        return np.where(opened, self.weekday[rows][:, columns] * factor, 0.0)


def profile(
    history: History, ahead: Ahead, seasons: Seasons | None, survey: Survey, settings: Settings,
    bursts: Bursts | None = None, telling: Flags | None = None,
) -> Profile:  # fmt: skip
    """Weights of weekdays and closures from the whole history, then what seasons did beside the level around them.

    telling (S,): the series that others may learn from; None is all of them.

    A burst of three days' worth moves a season of twenty days by 15 %: once they are found, they are set apart here.
    """
    pools = history.pools
    heard: Numbers = np.ones(history.series) if telling is None else telling.astype(np.float64)
    weekday = _weekday(survey, pools, heard, settings)
    rate = ratio(survey.prints.sum(axis=1), survey.days.sum(axis=1), 0.0)
    found = by_pool(heard * survey.prints_after.sum(axis=1), pools) + settings.profile_prior_prints
    usual = rate * (weekday * survey.days_after).sum(axis=1)
    factor = found / (by_pool(heard * usual, pools) + settings.profile_prior_prints)
    plain = Profile(weekday, np.clip(factor, *settings.after_closure_range)[pools], np.ones((history.series, 1)))
    if seasons is None or not seasons.stated.size:
        return plain
    return Profile(weekday, plain.after_closure, _season(history, ahead, seasons, plain, heard, settings, bursts))


def _weekday(survey: Survey, pools: Counts, heard: Numbers, settings: Settings) -> Numbers:
    """w_d = (prints_d + 60 pool_d / 7) / (rate days_d + 60 / 7): a gamma prior worth 60 prints."""
    prior = settings.profile_prior_prints / WEEK
    total = survey.days.sum(axis=1)
    rate = survey.prints.sum(axis=1) / np.maximum(total, 1.0)
    foreseen = rate[:, None] * survey.days
    pool = by_pool(heard[:, None] * survey.prints, pools) + prior
    pool /= by_pool(heard[:, None] * foreseen, pools) + prior
    weekday = (survey.prints + prior * pool[pools]) / (foreseen + prior)
    mean = (weekday * survey.days).sum(axis=1) / np.maximum(total, 1.0)
    return weekday / np.where(total > 0, mean, 1.0)[:, None]


def _season(
    history: History, ahead: Ahead, seasons: Seasons, plain: Profile, heard: Numbers, settings: Settings,
    bursts: Bursts | None,
) -> Numbers:  # fmt: skip
    """(S,1+E) prints in a season over what the weeks around it would have led to expect; gamma priors twice:
    the pool's factor leans on what was stated (or 1), a series' own on the pool's."""
    number, pools = seasons.stated.size, history.pools
    printed, foreseen = (np.zeros((history.series, number)) for _ in range(2))
    for rows in chunks(history.series, settings.chunk):
        prints, usable = evidence(history, rows, bursts)
        after = after_closure(history, ahead, rows)[:, : history.days]
        exposure = plain.exposure(rows, usable, after, None, history.first_day.weekday())
        ordinary = seasons.past[rows] == 0
        expected = local_level(prints * ordinary, exposure * ordinary, settings) * exposure
        for season in range(number):
            during = seasons.past[rows] == season + 1
            printed[rows, season] = (prints * during).sum(axis=1)
            foreseen[rows, season] = (expected * during).sum(axis=1)
    stated = np.where(np.isnan(seasons.stated), 1.0, seasons.stated)
    prior = settings.season_prior_prints
    pool = by_pool(heard[:, None] * printed, pools) + prior * stated
    pool /= by_pool(heard[:, None] * foreseen, pools) + prior
    # Prints whose factor would be as sure as offices are alike: noise m (1 + f m / days) against (variation m)^2.
    daily = settings.usual_daily_dispersion if bursts is None else bursts.daily[:, None]
    own = (1.0 / settings.season_variation**2) * (1.0 + daily * foreseen / 20.0)
    factor = (printed + own * pool[pools]) / (foreseen + own)
    return np.concatenate([np.ones((history.series, 1)), np.clip(factor, *settings.season_range)], axis=1)
