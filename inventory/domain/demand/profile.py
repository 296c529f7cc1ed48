"""Profile: what kind of day it is. Weekday weights, the first day after a closure, seasons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from inventory.domain.demand.arrays import WEEK, Counts, Flags, Numbers, Places, by_chunk, by_pool, ratio
from inventory.domain.demand.evidence import Record, Survey, evidence
from inventory.domain.demand.inputs import Seasons, Settings
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

    def exposure(
        self, rows: slice, opened: Flags, after: Places, seasons: Counts | None, first_weekday: int
    ) -> Numbers:
        """(C,D) exposure of days whose first column is that weekday; `after` are the first days after a closure."""
        columns = (first_weekday + np.arange(opened.shape[1])) % WEEK
        weekday, closure = self.weekday[rows], self.after_closure[rows]
        row, column = after
        if seasons is None:
            found = weekday.take(columns, axis=1)
            found[row, column] *= closure[row]
        else:
            season, labels = self.season[rows], seasons[rows]
            found = _by_kind_of_day(weekday, season, columns, labels)
            found[row, column] = weekday[row, columns[column]] * (closure[row] * season[row, labels[row, column]])
        np.copyto(found, 0.0, where=~opened)
        return found


def _by_kind_of_day(weekday: Numbers, season: Numbers, columns: Counts, labels: Counts) -> Numbers:
    """(C,D) the weight of each day's weekday times the factor of its season."""
    if labels.strides[0] == 0 and len(labels):
        # What is said of everybody's days is one row, seen from everywhere.
        kinds, kind_of = np.unique(columns * season.shape[1] + labels[0].astype(np.int64), return_inverse=True)
        each = weekday[:, kinds // season.shape[1]] * season[:, kinds % season.shape[1]]
        return each.take(kind_of, axis=1)
    return weekday.take(columns, axis=1) * np.take_along_axis(season, labels.astype(np.int64), axis=1)


def profile(
    record: Record, survey: Survey, settings: Settings, bursts: Bursts | None = None, telling: Flags | None = None
) -> Profile:  # fmt: skip
    """Weights of weekdays and closures from the whole history, then what seasons did beside the level around them.

    telling (S,): the series that others may learn from; None is all of them.

    A burst of three days' worth moves a season of twenty days by 15 %: once they are found, they are set apart here.
    """
    pools, seasons = record.history.pools, record.seasons
    heard: Numbers = np.ones(record.series) if telling is None else telling.astype(np.float64)
    weekday = _weekday(survey, pools, heard, settings)
    rate = ratio(survey.prints.sum(axis=1), survey.days.sum(axis=1), 0.0)
    found = by_pool(heard * survey.prints_after.sum(axis=1), pools) + settings.profile_prior_prints
    usual = rate * (weekday * survey.days_after).sum(axis=1)
    factor = found / (by_pool(heard * usual, pools) + settings.profile_prior_prints)
    plain = Profile(weekday, np.clip(factor, *settings.after_closure_range)[pools], np.ones((record.series, 1)))
    if seasons is None or not seasons.stated.size:
        return plain
    return Profile(weekday, plain.after_closure, _season(record, seasons, plain, heard, settings, bursts))


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
    record: Record, seasons: Seasons, plain: Profile, heard: Numbers, settings: Settings, bursts: Bursts | None
) -> Numbers:  # fmt: skip
    """(S,1+E) prints in a season over what the weeks around it would have led to expect; gamma priors twice:
    the pool's factor leans on what was stated (or 1), a series' own on the pool's."""
    number, pools = seasons.stated.size, record.history.pools
    printed, foreseen = (np.zeros((record.series, number)) for _ in range(2))

    def work(rows: slice) -> None:
        prints, usable = evidence(record, rows, bursts)
        exposure = plain.exposure(rows, usable, record.first_days(rows), None, record.first_weekday)
        ordinary = seasons.past[rows] == 0
        expected = local_level(prints * ordinary, exposure * ordinary, settings) * exposure
        for season in range(number):
            during = seasons.past[rows] == season + 1
            printed[rows, season] = (prints * during).sum(axis=1)
            foreseen[rows, season] = (expected * during).sum(axis=1)

    by_chunk(work, record.series, settings.chunk)
    stated = np.where(np.isnan(seasons.stated), 1.0, seasons.stated)
    prior = settings.season_prior_prints
    pool = by_pool(heard[:, None] * printed, pools) + prior * stated
    pool /= by_pool(heard[:, None] * foreseen, pools) + prior
    # Prints whose factor would be as sure as offices are alike: noise m (1 + f m / days) against (variation m)^2.
    daily = settings.usual_daily_dispersion if bursts is None else bursts.daily[:, None]
    own = (1.0 / settings.season_variation**2) * (1.0 + daily * foreseen / 20.0)
    factor = (printed + own * pool[pools]) / (foreseen + own)
    return np.concatenate([np.ones((record.series, 1)), np.clip(factor, *settings.season_range)], axis=1)
