"""Projected demand for blank cards: a distribution per office and item, over lead time and review period.

The recipe, in the order of project():
1. Evidence: open, recorded days that were not stock-outs; prints for requests that had waited are left out.
2. Profile: weekday weights shrunk to the pool, and a pooled factor for the first day after a closure.
   (Step 3 will stand between these: bursts from outreach are found and set apart before levels are taken.)
4. Replay: levels by exponential weights at several half-lives, today and at past origins, each origin knowing
   only what was known then.
5. Blend: half-lives weighted by how well they foretold the windows after the past origins.
6. Spread: dispersion of the demand over a window, from the same windows, shrunk to offices of like volume.
7. Outlook: negative binomial demand by calendar day. (A mixture over 0..3 bursts will widen it here.)
8. Decision: backlog, reorder point, suggested order, chance and day of the stock-out.

S is the number of series (one per office and item), T the days of history, H the days ahead. A day's exposure
is its weekday weight times the factor for the first day after a closure, 0 when closed: the mean is 1 per
open day, so that level times exposure is expected demand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from inventory.domain.distributions import count_cdf, count_quantile

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Part = TypeVar("Part", bound="DataclassInstance")
Numbers = NDArray[np.float64]
Counts = NDArray[np.integer[Any]]
Flags = NDArray[np.bool_]

WEEK = 7
UNKNOWN = -1  # in whole-number fields of a series that has no projection; the others hold NaN
BEYOND = -1  # a day of stock-out that lies beyond the calendar ahead


@dataclass(frozen=True)
class Settings:
    """What the projection assumes. Priors are in units of evidence: they fade as evidence comes in."""

    # Days; from an office that changed last week to one that has not changed in a year.
    half_lives: tuple[float, ...] = (10.0, 30.0, 90.0, 240.0)
    # About six working weeks: below, a weekday has been seen five times at most, and a level is a guess.
    minimum_open_days: int = 30
    # Reported quantiles: two bands (80 %, 90 %), the quartiles, and the tails that service levels use.
    probabilities: tuple[float, ...] = (0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975)
    # Prints a week's profile must show before it weighs as much as the pool's: an office with 60 prints in
    # all has about 12 a weekday, known to within a third.
    profile_prior_prints: float = 60.0
    # A day after a closure holds the requests of at most a few days, and is never nearly empty.
    after_closure_range: tuple[float, float] = (0.5, 3.0)
    # Open days of the long-run mean mixed into each level: a short half-life after a long gap falls back on
    # it.
    level_prior_days: float = 2.0
    # Prints added to the long-run mean (Jeffreys' prior for a rate): no print in a year is not proof of none
    # ever.
    rate_prior_prints: float = 0.5
    # Twenty windows a fortnight apart look back about a year: all seasons once, and no window twice a week.
    origins: int = 20
    origin_step_days: int = 14
    # An origin with less behind it has no level to be judged by.
    minimum_exposure_behind: float = 20.0
    # A window is used when at least this share of its exposure was observed; the rest is scaled away.
    minimum_window_share: float = 0.5
    # Windows of the pool's record mixed into a series' own errors: those of 20 overlapping windows are worth
    # about 8.
    blend_prior_windows: float = 8.0
    # Sharp: errors of half-lives differ by a few per cent, and an average of all is worse than the best of
    # them.
    blend_power: float = 8.0
    # Windows of the volume class mixed into a series' own dispersion: variances need more evidence than
    # means.
    spread_prior_windows: float = 12.0
    # Edges of the volume classes, in prints over the horizon: dispersion falls with volume. Fixed, so that an
    # office is not moved by what other offices are projected with it.
    volume_edges: tuple[float, ...] = (10.0, 30.0, 100.0, 300.0, 1000.0)
    # The dispersion of a class nobody is in (a coefficient of variation of 22 %), and its worth in windows.
    usual_dispersion: float = 0.05
    usual_dispersion_windows: float = 40.0
    # Demand is never surer than a coefficient of variation of 3 %, whatever a quiet year says.
    least_dispersion: float = 0.001
    # A class of wild series must not widen the interval of its tame ones more than twofold.
    most_stretch: float = 2.0
    # Short windows, to tell day-to-day noise (averages out) from a wrong level (does not): a quarter of the
    # horizon.
    short_window_share: float = 0.25
    # A stated rate is somebody's guess: a coefficient of variation of 40 % of the level itself, and a noisy
    # day.
    stated_dispersion: float = 0.16
    stated_daily_dispersion: float = 0.5
    # Series computed at a time: working memory of about 100 MB for two years of history.
    chunk: int = 1_000

    def __post_init__(self) -> None:
        if not self.half_lives or min(self.half_lives) <= 0:
            raise ValueError("half-lives are positive, and there is at least one")
        if list(self.probabilities) != sorted(self.probabilities) or not self.probabilities:
            raise ValueError("the reported probabilities ascend, and there is at least one")
        if not 0 < self.probabilities[0] <= self.probabilities[-1] < 1:
            raise ValueError("the reported probabilities lie strictly between 0 and 1")
        if min(self.chunk, self.origin_step_days) < 1:
            raise ValueError("a chunk and a step between origins are at least 1")


DEFAULTS = Settings()


@dataclass(frozen=True, eq=False)
class History:
    """What was recorded, one row a series and one column a calendar day from first_day on.

    demand (S,T): prints, all reasons. served_waiting (S,T): how many of them served requests that had waited.
    open (S,T): the office was open. known (S,T): the day lies in the recorded span of the series; days before
    it and trailing days nobody has recorded yet are unknown, not zero. stocked_out (S,T): the day began or
    ended with too little stock, so that its prints say nothing about demand. group (S,): label of the pool;
    None is one pool.

    Raises ValueError for shapes that differ, negative prints, or more served waiting than printed.
    """

    first_day: date
    demand: Counts
    served_waiting: Counts
    open: Flags
    known: Flags
    stocked_out: Flags
    group: Counts | None = None

    def __post_init__(self) -> None:
        if self.demand.ndim != 2:
            raise ValueError("demand has one row a series and one column a day")
        for name in ("served_waiting", "open", "known", "stocked_out"):
            _expect_shape(name, getattr(self, name), self.demand.shape)
        if self.group is not None:
            _expect_shape("group", self.group, self.demand.shape[:1])
        if np.any(self.served_waiting < 0) or np.any(self.demand < self.served_waiting):
            raise ValueError("prints that served waiting requests lie between 0 and all prints of the day")

    @property
    def series(self) -> int:
        return self.demand.shape[0]

    @property
    def days(self) -> int:
        return self.demand.shape[1]

    @property
    def pools(self) -> Counts:
        """(S,) the pool of each series, numbered from 0."""
        if self.group is None:
            return np.zeros(self.series, dtype=np.int64)
        return np.unique(self.group, return_inverse=True)[1]


@dataclass(frozen=True, eq=False)
class Ahead:
    """open (S,H): the office will be open, one column a calendar day from the day after the history on.

    Raises ValueError when there is no day ahead.
    """

    open: Flags

    def __post_init__(self) -> None:
        if self.open.ndim != 2 or self.open.shape[1] < 1:
            raise ValueError("the calendar ahead has one row a series and at least one day")


@dataclass(frozen=True, eq=False)
class Horizon:
    """lead_days (S,), review_days (S,): whole OPEN days until an order arrives, and until the next is placed.

    Raises ValueError when one is negative or their sum is 0.
    """

    lead_days: Counts
    review_days: Counts

    def __post_init__(self) -> None:
        _expect_shape("review_days", self.review_days, self.lead_days.shape)
        if np.any(self.lead_days < 0) or np.any(self.review_days < 0) or np.any(self.total < 1):
            raise ValueError("lead and review are not negative, and at least one open day together")

    @property
    def total(self) -> Counts:
        return self.lead_days + self.review_days


@dataclass(frozen=True, eq=False)
class Position:
    """Where a series stands at the end of the history; blanks in store (S,), inbound (S,), requests waiting
    (S,).

    pack_size (S,): blanks in a pack. service_level (S,): the wanted probability of meeting all demand until
    an order arrives, 0.5 to 0.999. stated_rate (S,): a published or manager's figure, prints per open day,
    used where the history is not enough; NaN is none.

    Raises ValueError for numbers out of these bounds.
    """

    store: Counts
    inbound: Counts
    backlog: Counts
    pack_size: Counts
    service_level: Numbers
    stated_rate: Numbers | None = None

    def __post_init__(self) -> None:
        for name in ("inbound", "backlog", "pack_size", "service_level"):
            _expect_shape(name, getattr(self, name), self.store.shape)
        if any(np.any(amount < 0) for amount in (self.store, self.inbound, self.backlog)):
            raise ValueError("store, inbound and backlog are not negative")
        if np.any(self.pack_size < 1):
            raise ValueError("a pack holds at least one blank")
        if not np.all((self.service_level >= 0.5) & (self.service_level <= 0.999)):
            raise ValueError("a service level lies between 0.5 and 0.999")
        if self.stated_rate is not None:
            _expect_shape("stated_rate", self.stated_rate, self.store.shape)
            if np.any(self.stated_rate < 0) or np.any(np.isinf(self.stated_rate)):
                raise ValueError("a stated rate is a number of prints per open day, or NaN for none")


@dataclass(frozen=True, eq=False)
class Projection:
    """What is to be expected, and why. Without a projection numbers are NaN, whole numbers -1, flags False.

    enough (S,): the history sufficed. from_stated_rate (S,): it did not, and the stated rate was used
    instead. days_used + days_stocked_out + days_closed + days_unknown (S,): the T days of history, each
    counted once. windows_used (S,): past windows the errors are measured on. level (S,): mean demand per open
    day now. weekday_weights (S,7): Monday first, mean 1 over the days used. after_closure (S,): factor of the
    first open day after a closure. half_life_weights (S,K): sum 1. dispersion (S,): f of the demand over lead
    + review, whose variance is mean + f mean^2; it is made of level_dispersion (S,), which stays, and
    daily_dispersion (S,), which averages out over days (see Spread). backtest_error (S,): mean absolute
    error of the past windows, relative to their mean demand. probabilities (Q,), quantiles (S,Q): demand over
    lead + review, new requests only. mean_lead, mean_horizon (S,). reorder_point (S,): demand over the lead
    time at the service level, plus backlog. suggested_order (S,): blanks, whole packs. beyond_calendar (S,):
    lead + review reach past the calendar ahead; its mean open day stands in. cover_days (S,): open days until
    expected demand uses up store - backlog; cover_capped (S,): it lasts longer than the calendar ahead, and
    cover_days is the calendar's number of open days. stockout_probability (S,H): chance that demand up to the
    end of that day exceeds store - backlog, leaving out what is inbound; 1 from the first day when nothing is
    free. stockout_day (S,): the first column where it is at least 0.5; stockout_early and stockout_late: 0.1
    and 0.9, an 80 % band; -1 beyond the calendar. horizon_days (S,), cumulative_mean (S,H), open_days_ahead
    (S,H): what fan() draws from.
    """

    enough: Flags
    from_stated_rate: Flags
    days_used: Counts
    days_stocked_out: Counts
    days_closed: Counts
    days_unknown: Counts
    windows_used: Counts
    level: Numbers
    weekday_weights: Numbers
    after_closure: Numbers
    half_life_weights: Numbers
    dispersion: Numbers
    level_dispersion: Numbers
    daily_dispersion: Numbers
    backtest_error: Numbers
    probabilities: tuple[float, ...]
    quantiles: Numbers
    mean_lead: Numbers
    mean_horizon: Numbers
    reorder_point: Counts
    suggested_order: Counts
    beyond_calendar: Flags
    cover_days: Numbers
    cover_capped: Flags
    stockout_probability: Numbers
    stockout_day: Counts
    stockout_early: Counts
    stockout_late: Counts
    horizon_days: Counts
    cumulative_mean: Numbers
    open_days_ahead: Counts


def project(
    history: History, ahead: Ahead, horizon: Horizon, position: Position, *, settings: Settings = DEFAULTS
) -> Projection:
    """Project the demand of S series and what it means for their stock.

    Raises ValueError when the inputs do not have the same number of series.
    """
    for name, rows in (("ahead", ahead.open), ("horizon", horizon.lead_days), ("position", position.store)):
        _expect_shape(name, rows[:, 0] if rows.ndim == 2 else rows, (history.series,))
    survey = _survey(history, ahead, settings)
    profile = _profile(survey, history.pools, settings)
    replay = _replay(history, ahead, profile, horizon, settings)
    enough = survey.days_used >= settings.minimum_open_days
    blend = _blend(replay, enough, horizon, settings)
    spread = _spread(replay, blend, enough, horizon, settings)
    level, spread, stated = _stand_in(position, enough, blend.level, spread, settings)
    outlook = _outlook(history, ahead, profile, horizon, position, level, spread, settings)
    return _assemble(survey, profile, replay, blend, spread, outlook, level, enough, stated, settings)


def fan(projection: Projection, series: int, probabilities: Sequence[float] | None = None) -> Numbers:
    """(Q,H) quantiles of one series' cumulative demand by calendar day; NaN when it has no projection."""
    wanted = np.array(projection.probabilities if probabilities is None else probabilities)
    mean = projection.cumulative_mean[series]
    if np.isnan(mean).any():
        return np.full((wanted.size, mean.size), np.nan)
    row = [series]
    spread = Spread(
        horizon=projection.dispersion[row],
        level=projection.level_dispersion[row],
        daily=projection.daily_dispersion[row],
        days=projection.horizon_days[row],
    )
    dispersion = spread.over(projection.open_days_ahead[row])
    # Late days may be relatively surer than early ones; the demand so far still never falls.
    return np.maximum.accumulate(count_quantile(wanted[:, None], mean, dispersion), axis=1)


# --- 1. Evidence --------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Survey:
    """Sums over the whole history by weekday (S,7); "after" are the first days after a closure."""

    days_used: Counts
    days_stocked_out: Counts
    days_closed: Counts
    days_unknown: Counts
    prints: Numbers
    days: Numbers
    prints_after: Numbers
    days_after: Numbers


def _survey(history: History, ahead: Ahead, settings: Settings) -> Survey:
    return _stack(Survey, (_survey_rows(history, ahead, rows) for rows in _chunks(history.series, settings)))


def _survey_rows(history: History, ahead: Ahead, rows: slice) -> Survey:
    prints, usable = _evidence(history, rows)
    known, opened = history.known[rows], history.open[rows]
    after = usable & _after_closure(history, ahead, rows)[:, : history.days]
    plain = usable & ~after
    first = history.first_day.weekday()
    return Survey(
        days_used=usable.sum(axis=1),
        days_stocked_out=(known & opened & history.stocked_out[rows]).sum(axis=1),
        days_closed=(known & ~opened).sum(axis=1),
        days_unknown=(~known).sum(axis=1),
        prints=_by_weekday(prints * plain, first),
        days=_by_weekday(plain, first),
        prints_after=_by_weekday(prints * after, first),
        days_after=_by_weekday(after, first),
    )


def _evidence(history: History, rows: slice) -> tuple[Numbers, Flags]:
    """New requests printed on each day that says something about demand (C,T), and which days those are.

    Prints for waiting requests are the demand of days that are left out: to leave out the days and keep the
    prints would count that demand on the wrong days, which is worse than leaving out neither.
    """
    usable = history.open[rows] & history.known[rows] & ~history.stocked_out[rows]
    new = history.demand[rows] - history.served_waiting[rows]
    return np.where(usable, new, 0).astype(np.float64), usable


def _after_closure(history: History, ahead: Ahead, rows: slice) -> Flags:
    """(C,T+H) open days that follow a closure: since the last open day, a weekday usually open was not."""
    opened = np.concatenate([history.open[rows], ahead.open[rows]], axis=1)
    columns = np.arange(opened.shape[1])
    first = history.first_day.weekday()
    # Share of each weekday's dates that are open, over all dates of that weekday.
    share = _by_weekday(opened, first) / np.maximum(_by_weekday(np.ones((1, columns.size)), first), 1.0)
    closed = ~opened & (share > 0.5)[:, (first + columns) % WEEK]
    closures = np.cumsum(closed, axis=1, dtype=np.int32)
    at_last_open = np.maximum.accumulate(np.where(opened, closures, 0), axis=1)
    before = np.concatenate([np.zeros_like(closures[:, :1]), at_last_open[:, :-1]], axis=1)
    return opened & (closures > before)


def _by_weekday(values: NDArray[Any], first_weekday: int) -> Numbers:
    """Sums by weekday, (C,7), of values (C,D) whose first column is that weekday."""
    sums = np.zeros((values.shape[0], WEEK))
    for day in range(WEEK):
        sums[:, (first_weekday + day) % WEEK] = values[:, day::WEEK].sum(axis=1)
    return sums


# --- 2. Profile ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Profile:
    """weekday (S,7): weights, mean 1 over the days used; after_closure (S,): factor of the pool."""

    weekday: Numbers
    after_closure: Numbers

    def exposure(self, rows: slice, opened: Flags, after: Flags, first_weekday: int) -> Numbers:
        """(C,D) exposure of days whose first column is that weekday."""
        columns = (first_weekday + np.arange(opened.shape[1])) % WEEK
        factor = np.where(after, self.after_closure[rows, None], 1.0)
        return np.where(opened, self.weekday[rows][:, columns] * factor, 0.0)


def _profile(survey: Survey, pools: Counts, settings: Settings) -> Profile:
    """w_d = (prints_d + 60 pool_d / 7) / (rate days_d + 60 / 7): a gamma prior worth 60 prints."""
    prior = settings.profile_prior_prints / WEEK
    total = survey.days.sum(axis=1)
    rate = survey.prints.sum(axis=1) / np.maximum(total, 1.0)
    foreseen = rate[:, None] * survey.days
    pool = (_by_pool(survey.prints, pools) + prior) / (_by_pool(foreseen, pools) + prior)
    weekday = (survey.prints + prior * pool[pools]) / (foreseen + prior)
    mean = (weekday * survey.days).sum(axis=1) / np.maximum(total, 1.0)
    weekday = weekday / np.where(total > 0, mean, 1.0)[:, None]
    found = _by_pool(survey.prints_after.sum(axis=1), pools) + settings.profile_prior_prints
    usual = rate * (weekday * survey.days_after).sum(axis=1)
    factor = found / (_by_pool(usual, pools) + settings.profile_prior_prints)
    return Profile(weekday, np.clip(factor, *settings.after_closure_range)[pools])


def _by_pool(values: Numbers, pools: Counts) -> Numbers:
    sums = np.zeros((int(pools.max(initial=0)) + 1, *values.shape[1:]))
    np.add.at(sums, pools, values)
    return sums


# --- 4. Replay ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Replay:
    """Levels today (S,K), and for each past origin (S,J): its levels (S,J,K) and what followed.

    valid: the origin has a record behind it and a window of lead + review after it that was observed well
    enough; seen, exposure: new requests and exposure over the observed days of that window; the short window
    likewise.
    """

    today: Numbers
    levels: Numbers
    valid: Flags
    seen: Numbers
    exposure: Numbers
    short_valid: Flags
    short_seen: Numbers
    short_exposure: Numbers


def _replay(history: History, ahead: Ahead, profile: Profile, horizon: Horizon, settings: Settings) -> Replay:
    # Two calendar days an open day covers any usual week with its holidays; older origins make up for the
    # rest.
    reach = int(2 * horizon.total.max(initial=0)) // settings.origin_step_days + 1
    count = max(0, min(settings.origins + reach, (history.days - 1) // settings.origin_step_days))
    origins = history.days - settings.origin_step_days * np.arange(count + 1)
    behind = _decay(history.days, origins, settings.half_lives)
    parts = (
        _replay_rows(history, ahead, profile, horizon, settings, rows, origins, behind)
        for rows in _chunks(history.series, settings)
    )
    return _stack(Replay, parts)


def _decay(days: int, origins: Counts, half_lives: Sequence[float]) -> Numbers:
    """(T, origins, K+1) weight of each day as seen from each origin; the last column counts all days alike.

    Days from the origin on weigh nothing: an origin must not know its future.
    """
    age = origins[None, :] - 1 - np.arange(days)[:, None]
    past = np.where(age >= 0, age, np.inf)
    faded = [np.exp2(-past / half_life) for half_life in half_lives]
    return np.stack([*faded, (age >= 0).astype(np.float64)], axis=2)


def _replay_rows(
    history: History, ahead: Ahead, profile: Profile, horizon: Horizon, settings: Settings,
    rows: slice, origins: Counts, behind: Numbers,
) -> Replay:  # fmt: skip
    prints, usable = _evidence(history, rows)
    opened = history.open[rows]
    after = _after_closure(history, ahead, rows)[:, : history.days]
    whole = profile.exposure(rows, opened, after, history.first_day.weekday())
    exposure = whole * usable
    levels, base = _levels(prints, exposure, behind, settings)
    total = horizon.total[rows]
    short = np.maximum(1, np.ceil(settings.short_window_share * total)).astype(np.int64)
    sums = tuple(_running(values) for values in (prints, exposure, whole))
    seen, share, valid = _windows(sums, opened, origins[1:], total, settings)
    short_seen, short_share, short_valid = _windows(sums, opened, origins[1:], short, settings)
    valid &= base[:, 1:] >= settings.minimum_exposure_behind
    valid &= np.cumsum(valid, axis=1) <= settings.origins
    return Replay(levels[:, 0], levels[:, 1:], valid, seen, share, valid & short_valid, short_seen, short_share)


def _levels(prints: Numbers, exposure: Numbers, behind: Numbers, settings: Settings) -> tuple[Numbers, Numbers]:
    """(C, origins, K) demand per unit of exposure at each origin, and (C, origins) the exposure behind it.

    level = (sum of faded prints + 2 long-run mean) / (sum of faded exposure + 2), one matrix product for all.
    """
    days, origins, columns = behind.shape
    flat = behind.reshape(days, origins * columns)
    printed = (prints @ flat).reshape(-1, origins, columns)
    exposed = (exposure @ flat).reshape(-1, origins, columns)
    base = exposed[..., -1]
    long_run = (printed[..., -1] + settings.rate_prior_prints) / np.maximum(base, 1.0)
    prior = settings.level_prior_days
    levels = (printed[..., :-1] + prior * long_run[..., None]) / (exposed[..., :-1] + prior)
    return levels, base


def _windows(
    sums: tuple[Numbers, ...], opened: Flags, starts: Counts, length: Counts, settings: Settings
) -> tuple[Numbers, Numbers, Flags]:
    """Prints, observed exposure and usability (C,J) of windows of `length` (C,) open days from each start."""
    days = opened.shape[1]
    ends = _nth_open_column(opened, starts, length)
    ended = ends < days
    stop = np.where(ended, ends + 1, starts)
    printed, exposed, whole = (np.take_along_axis(s, stop, axis=1) - s[:, starts] for s in sums)
    return printed, exposed, ended & (exposed >= settings.minimum_window_share * whole) & (exposed > 0)


def _nth_open_column(opened: Flags, starts: Counts, length: Counts) -> Counts:
    """(C,J) column of the length-th (C,) open day from each start on; the number of columns when none is."""
    days = opened.shape[1]
    rows, columns = np.nonzero(opened)
    before = _running(opened).astype(np.int64)
    column_of = np.full((opened.shape[0], days + 1), days)
    column_of[rows, before[rows, columns]] = columns
    rank = np.minimum(before[:, starts] + length[:, None] - 1, days)
    return np.take_along_axis(column_of, rank, axis=1)


def _running(values: NDArray[Any]) -> Numbers:
    """(C,D+1) sums of the columns before each column."""
    sums = np.zeros((values.shape[0], values.shape[1] + 1))
    np.cumsum(values, axis=1, out=sums[:, 1:])
    return sums


# --- 5. Blend -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Blend:
    """weights (S,K) of the half-lives, level (S,) today, past (S,J) at the origins; error (S,) of the
    backtest; volume (S,): class by mean demand over the horizon."""

    weights: Numbers
    level: Numbers
    past: Numbers
    error: Numbers
    volume: Counts


def _blend(replay: Replay, enough: Flags, horizon: Horizon, settings: Settings) -> Blend:
    """Weights in proportion to MSE^-8, each series' errors shrunk to those of its volume class."""
    count = replay.valid.sum(axis=1)
    miss = replay.seen[..., None] - replay.levels * replay.exposure[..., None]
    squares = (replay.valid[..., None] * miss**2).sum(axis=1)
    mean = squares.mean(axis=1, keepdims=True)
    # Relative to the mean of the half-lives, so that offices of any size can be pooled.
    relative = np.divide(squares, mean, out=np.ones_like(squares), where=mean > 0)
    volume = np.digitize(replay.today.mean(axis=1) * horizon.total, settings.volume_edges)
    weight = (count * enough)[:, None]
    prior = settings.blend_prior_windows
    pool = (_by_pool(weight * relative, volume) + prior) / (_by_pool(weight * 1.0, volume) + prior)
    shrunk = (count[:, None] * relative + prior * pool[volume]) / (count[:, None] + prior)
    weights = (shrunk / shrunk.min(axis=1, keepdims=True)) ** -settings.blend_power
    weights /= weights.sum(axis=1, keepdims=True)
    past = np.einsum("sjk,sk->sj", replay.levels, weights)
    return Blend(weights, (replay.today * weights).sum(axis=1), past, _backtest_error(replay, past), volume)


def _backtest_error(replay: Replay, past: Numbers) -> Numbers:
    miss = (replay.valid * np.abs(replay.seen - past * replay.exposure)).sum(axis=1)
    seen = (replay.valid * replay.seen).sum(axis=1)
    return np.divide(miss, seen, out=np.full_like(miss, np.nan), where=seen > 0)


# --- 6. Spread ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Spread:
    """Dispersion of the demand over n open days: level + daily / n, level growing past the horizon.

    horizon (S,) is the dispersion at `days` (S,), the open days of lead + review. No window was measured past
    it. There a steady level errs as before and a random walk in proportion to the days; the square root lies
    between, and its 80 % bands held 71 to 85 % of made-up futures at 2.4 horizons where no growth held 63 %.
    """

    horizon: Numbers
    level: Numbers
    daily: Numbers
    days: Counts

    def over(self, open_days: Counts) -> Numbers:
        """(S,...) dispersion over that many open days (S,...)."""
        extra = (slice(None),) + (None,) * (open_days.ndim - 1)
        past = np.sqrt(np.maximum(open_days / self.days[extra], 1.0))
        return self.level[extra] * past + self.daily[extra] / np.maximum(open_days, 1)


def _spread(replay: Replay, blend: Blend, enough: Flags, horizon: Horizon, settings: Settings) -> Spread:
    long = _dispersion(replay.seen, replay.exposure, replay.valid, blend, enough, settings)
    short = _dispersion(replay.short_seen, replay.short_exposure, replay.short_valid, blend, enough, settings)
    stretch = _stretch(replay, enough, horizon, settings)
    long, short = long * stretch, short * stretch
    days = horizon.total
    short_days = np.maximum(1, np.ceil(settings.short_window_share * days))
    # Two lengths give two unknowns: f(n) = level + daily / n. Neither part is below zero.
    gap = 1.0 / short_days - 1.0 / days
    daily = np.divide(short - long, gap, out=np.zeros_like(long), where=gap > 0)
    daily = np.clip(daily, 0.0, long * days)
    return Spread(long, long - daily / days, daily, days)


def _dispersion(
    seen: Numbers, exposure: Numbers, valid: Flags, blend: Blend, enough: Flags, settings: Settings
) -> Numbers:
    """(S,) f = sum((Y - m)^2 - m) / sum(m^2) over past windows, each series shrunk to its volume class."""
    mean = blend.past * exposure
    excess = (valid * ((seen - mean) ** 2 - mean)).sum(axis=1)
    square = (valid * mean**2).sum(axis=1)
    count = valid.sum(axis=1)
    own = np.divide(excess, square, out=np.zeros_like(excess), where=square > 0)
    weight = count * enough
    prior = settings.usual_dispersion_windows
    pool = _by_pool(weight * own, blend.volume) + prior * settings.usual_dispersion
    pool /= _by_pool(weight * 1.0, blend.volume) + prior
    strength = settings.spread_prior_windows
    shrunk = (count * own + strength * np.maximum(pool, 0.0)[blend.volume]) / (count + strength)
    return np.maximum(shrunk, settings.least_dispersion)


def _stretch(replay: Replay, enough: Flags, horizon: Horizon, settings: Settings) -> Numbers:
    """(S,) by how much dispersion measured on past windows falls short of the errors still to come.

    Weights and dispersion are fitted to the windows they are measured on, so they flatter themselves. Fitted
    to the older half of the windows and tried on the newer half, they show by how much; fitted to all, on
    twice the evidence, about half of that excess remains. One figure a volume class: a single series has too
    few windows to tell.
    """
    newer = replay.valid & (2 * np.cumsum(replay.valid, axis=1) <= replay.valid.sum(axis=1, keepdims=True))
    older = replace(replay, valid=replay.valid & ~newer)
    blend = _blend(older, enough, horizon, settings)
    dispersion = _dispersion(older.seen, older.exposure, older.valid, blend, enough, settings)
    mean = blend.past * replay.exposure
    variance = mean + dispersion[:, None] * mean**2
    surprise = np.divide((replay.seen - mean) ** 2, variance, out=np.zeros_like(mean), where=newer)
    weight = newer.sum(axis=1) * enough
    prior = settings.usual_dispersion_windows
    pool = _by_pool(surprise.sum(axis=1) * enough, blend.volume) + prior
    pool /= _by_pool(weight * 1.0, blend.volume) + prior
    return np.clip(0.5 + 0.5 * pool, 1.0, settings.most_stretch)[blend.volume]


def _stand_in(
    position: Position, enough: Flags, level: Numbers, spread: Spread, settings: Settings
) -> tuple[Numbers, Spread, Flags]:
    """Level and spread, from the stated rate where the history is not enough; NaN where there is neither."""
    rate = np.full(level.shape, np.nan) if position.stated_rate is None else position.stated_rate
    stated = ~enough & ~np.isnan(rate)
    fixed, daily = settings.stated_dispersion, settings.stated_daily_dispersion
    return (
        np.where(enough, level, np.where(stated, rate, np.nan)),
        Spread(
            np.where(enough, spread.horizon, fixed + daily / spread.days),
            np.where(enough, spread.level, fixed),
            np.where(enough, spread.daily, daily),
            spread.days,
        ),
        stated,
    )


# --- 7 and 8. Outlook and decision --------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Outlook:
    """The fields of Projection of the same names."""

    quantiles: Numbers
    mean_lead: Numbers
    mean_horizon: Numbers
    reorder_point: Counts
    suggested_order: Counts
    beyond_calendar: Flags
    cover_days: Numbers
    cover_capped: Flags
    stockout_probability: Numbers
    stockout_day: Counts
    stockout_early: Counts
    stockout_late: Counts
    cumulative_mean: Numbers
    open_days_ahead: Counts


def _outlook(
    history: History, ahead: Ahead, profile: Profile, horizon: Horizon, position: Position,
    level: Numbers, spread: Spread, settings: Settings,
) -> Outlook:  # fmt: skip
    first = (history.first_day + timedelta(days=history.days)).weekday()
    parts = []
    for rows in _chunks(history.series, settings):
        after = _after_closure(history, ahead, rows)[:, history.days :]
        exposure = profile.exposure(rows, ahead.open[rows], after, first)
        own = _rows(spread, rows), _rows(horizon, rows), _rows(position, rows)
        parts.append(_outlook_rows(exposure, ahead.open[rows], level[rows], *own, settings))
    return _stack(Outlook, parts)


def _outlook_rows(
    exposure: Numbers, opened: Flags, level: Numbers, spread: Spread, horizon: Horizon, position: Position,
    settings: Settings,
) -> Outlook:  # fmt: skip
    known = ~np.isnan(level)
    level = np.where(known, level, 0.0)
    days = np.cumsum(opened, axis=1, dtype=np.int64)
    mean = level[:, None] * np.cumsum(exposure, axis=1)
    mean_lead = level * _exposure_of(exposure, days, horizon.lead_days)
    mean_total = level * _exposure_of(exposure, days, horizon.total)
    quantiles = count_quantile(np.array(settings.probabilities), mean_total[:, None], spread.horizon[:, None])
    point, order = _decision(mean_lead, mean_total, spread, horizon, position)
    free = position.store - position.backlog
    cover, capped = _cover(free, mean, days)
    chance = _stockout_probability(free, mean, spread.over(days))
    outlook = Outlook(
        quantiles=quantiles,
        mean_lead=mean_lead,
        mean_horizon=mean_total,
        reorder_point=point,
        suggested_order=order,
        beyond_calendar=horizon.total > days[:, -1],
        cover_days=cover,
        cover_capped=capped,
        stockout_probability=chance,
        stockout_day=_first_day(chance >= 0.5),
        stockout_early=_first_day(chance >= 0.1),
        stockout_late=_first_day(chance >= 0.9),
        cumulative_mean=mean,
        open_days_ahead=days,
    )
    values = {field.name: getattr(outlook, field.name) for field in fields(outlook)}
    blanked = {name: _where_known(known, value) for name, value in values.items() if name != "open_days_ahead"}
    return replace(outlook, **blanked)


def _exposure_of(exposure: Numbers, days: Counts, length: Counts) -> Numbers:
    """(C,) exposure of the next `length` (C,) open days; past the calendar, its mean open day stands in."""
    within = (exposure * (days <= length[:, None])).sum(axis=1)
    last = days[:, -1]
    mean = np.divide(exposure.sum(axis=1), last, out=np.ones(last.shape), where=last > 0)
    return within + np.maximum(length - last, 0) * mean


def _decision(
    mean_lead: Numbers, mean_total: Numbers, spread: Spread, horizon: Horizon, position: Position
) -> tuple[Counts, Counts]:
    """(C,) reorder point, and (C,) suggested order in whole packs; what is inbound is not ordered again."""
    service = position.service_level
    over_lead = count_quantile(service, mean_lead, spread.over(horizon.lead_days))
    over_total = count_quantile(service, mean_total, spread.horizon)
    point = over_lead.astype(np.int64) + position.backlog
    missing = over_total.astype(np.int64) + position.backlog - position.store - position.inbound
    packs = -(-np.maximum(missing, 0) // position.pack_size)
    return point, packs * position.pack_size


def _cover(free: Counts, mean: Numbers, days: Counts) -> tuple[Numbers, Flags]:
    """(C,) open days until expected demand reaches what is free; whether the calendar ends first."""
    reached = mean >= np.maximum(free, 0)[:, None]
    capped: Flags = np.logical_not(reached.any(axis=1))
    at = np.where(capped, mean.shape[1] - 1, reached.argmax(axis=1))[:, None]
    now = np.take_along_axis(mean, at, axis=1)[:, 0]
    before = np.where(at[:, 0] > 0, np.take_along_axis(mean, np.maximum(at - 1, 0), axis=1)[:, 0], 0.0)
    number = np.take_along_axis(days, at, axis=1)[:, 0]
    rest = np.divide(now - free, now - before, out=np.zeros_like(now), where=now > before)
    return np.where(free <= 0, 0.0, np.where(capped, number, number - rest)), capped


def _stockout_probability(free: Counts, mean: Numbers, dispersion: Numbers) -> Numbers:
    """(C,H) P(demand by day h > free). Where nothing is free the next request already waits: certain."""
    chance = np.where(free[:, None] <= 0, 1.0, 1.0 - count_cdf(free[:, None], mean, dispersion))
    # Stock that ran out by a day has run out by every later day, whatever the curves' last digits say.
    return np.maximum.accumulate(chance, axis=1)


def _first_day(true: Flags) -> Counts:
    return np.where(true.any(axis=1), true.argmax(axis=1), BEYOND)


def _where_known(known: Flags, values: NDArray[Any]) -> NDArray[Any]:
    """The values where there is a projection; elsewhere NaN, -1 or False after their kind."""
    rows = known.reshape(-1, *(1,) * (values.ndim - 1))
    if values.dtype == np.bool_:
        return rows & values
    return np.where(rows, values, np.nan if values.dtype == np.float64 else UNKNOWN)


# --- Putting together ---------------------------------------------------------------------------------------


def _assemble(
    survey: Survey, profile: Profile, replay: Replay, blend: Blend, spread: Spread, outlook: Outlook,
    level: Numbers, enough: Flags, stated: Flags, settings: Settings,
) -> Projection:  # fmt: skip
    return Projection(
        enough=enough,
        from_stated_rate=stated,
        days_used=survey.days_used,
        days_stocked_out=survey.days_stocked_out,
        days_closed=survey.days_closed,
        days_unknown=survey.days_unknown,
        windows_used=replay.valid.sum(axis=1),
        level=level,
        probabilities=settings.probabilities,
        horizon_days=spread.days,
        weekday_weights=_where_known(enough | stated, profile.weekday),
        after_closure=_where_known(enough | stated, profile.after_closure),
        half_life_weights=_where_known(enough, blend.weights),
        dispersion=_where_known(enough | stated, spread.horizon),
        level_dispersion=_where_known(enough | stated, spread.level),
        daily_dispersion=_where_known(enough | stated, spread.daily),
        backtest_error=_where_known(enough, blend.error),
        **{field.name: getattr(outlook, field.name) for field in fields(Outlook)},
    )


def _chunks(series: int, settings: Settings) -> Iterator[slice]:
    # One empty chunk for no series at all, so that every array still gets its shape.
    for start in range(0, max(series, 1), settings.chunk):
        yield slice(start, min(start + settings.chunk, series))


def _stack(kind: type[Part], parts: Iterable[Part]) -> Part:
    """One record of the whole from records of its chunks, field by field."""
    chunks = list(parts)
    names = [field.name for field in fields(kind)]
    return kind(**{name: np.concatenate([getattr(chunk, name) for chunk in chunks]) for name in names})


def _rows(record: Part, rows: slice) -> Part:
    """The same record for some of its series."""
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    return type(record)(**{name: None if value is None else value[rows] for name, value in values.items()})


def _expect_shape(name: str, values: NDArray[Any], shape: tuple[int, ...]) -> None:
    if values.shape != shape:
        raise ValueError(f"{name} has shape {values.shape}, expected {shape}")
