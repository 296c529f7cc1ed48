"""What a projection is made from: settings, history, the calendar ahead, horizon, position, seasons."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inventory.domain.demand.arrays import Counts, Flags, Numbers, expect_shape


@dataclass(frozen=True)
class Settings:
    """What the projection assumes. Priors are in units of evidence: they fade as evidence comes in."""

    # Calendar days; from an office that changed last week to one that has not changed in years.
    half_lives: tuple[float, ...] = (10.0, 30.0, 90.0, 240.0, 720.0)
    # Each two neighbouring half-lives show where the level is going; it is followed half the way, or all of it.
    trend_dampings: tuple[float, ...] = (0.5, 1.0)
    # A trend never more than halves or doubles the level over a window.
    most_trend: float = 2.0
    # A trend has to foretell better than a level before it is believed: its errors start this much worse.
    trend_handicap: float = 1.7
    # About six working weeks: below, a weekday has been seen five times at most, and a level is a guess.
    minimum_open_days: int = 30
    # Reported quantiles: four bands (50, 80, 90, 95 %), the middle, and the tails that service levels use.
    probabilities: tuple[float, ...] = (0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975)
    # Prints a week's profile must show before it weighs as much as the pool's: an office with 60 prints in
    # all has about 12 a weekday, known to within a third.
    profile_prior_prints: float = 60.0
    # A day after a closure holds the requests of at most a few days, and is never nearly empty.
    after_closure_range: tuple[float, float] = (0.5, 3.0)
    # By how much offices differ in what a season does to them, and prints before a season's factor is believed.
    season_variation: float = 0.1
    season_prior_prints: float = 200.0
    season_range: tuple[float, float] = (0.2, 4.0)
    # The level around a day, against which bursts and day-to-day noise show: standard deviation of its weights.
    local_days: float = 45.0
    # Seen first: days above what day-to-day noise of 28 % explains, by so many standard deviations.
    burst_first_look: float = 2.5
    # Days looked at afterwards: those above the usual by as many standard deviations of that office itself.
    burst_candidates: float = 1.5
    # Rounds of telling bursts from noise with a first profile, and again with one that they are no longer in;
    # another changes hardly anything.
    burst_rounds: tuple[int, int] = (1, 2)
    # Open days of the pool's rate mixed into an office's own; bursts of the pool's size into its own size.
    burst_rate_prior_days: float = 60.0
    burst_size_prior: float = 30.0
    # Before any is seen: four a year, each worth three usual days, give or take a half.
    usual_burst_rate: float = 0.016
    usual_burst_size: float = 3.0
    usual_burst_variation: float = 0.3
    # A day-to-day dispersion (28 %), and how many days of it are mixed into a series' own.
    usual_daily_dispersion: float = 0.08
    daily_prior_days: float = 30.0
    least_daily_dispersion: float = 0.002
    # A series is lumpy when its empty days are too many even for a daily dispersion of so much; calendar days after
    # which a batch counts half; batches of usual variation mixed into a series' own.
    batch_dispersion: float = 4.0
    batch_half_life: float = 240.0
    batch_variation_prior: float = 2.0
    # Open days of the long-run mean mixed into each level: a short half-life after a long gap falls back on
    # it.
    level_prior_days: float = 2.0
    # Prints added to the long-run mean (Jeffreys' prior for a rate): no print in a year is not proof of none
    # ever.
    rate_prior_prints: float = 0.5
    # Twenty windows a fortnight apart look back about a year: all seasons once, and no window twice a week.
    origins: int = 20
    origin_step_days: int = 14
    # The average that offices use: of the last twelve weeks.
    average_steps: int = 6
    # An origin with less behind it has no level to be judged by.
    minimum_exposure_behind: float = 20.0
    # A window is used when at least this share of its exposure was observed; the rest is scaled away.
    minimum_window_share: float = 0.5
    # Windows of the pool's record mixed into a series' own errors, and of the settings' into the pool's.
    blend_prior_windows: float = 16.0
    blend_pool_windows: float = 400.0
    # Sharp: errors of half-lives differ by a few per cent, and an average of all is worse than the best of
    # them.
    blend_power: float = 8.0
    # Windows of the volume class mixed into a series' own dispersion: variances need more evidence than
    # means.
    spread_prior_windows: float = 40.0
    # Edges of the volume classes, in prints over the horizon: dispersion falls with volume. Fixed, so that an
    # office is not moved by what other offices are projected with it.
    volume_edges: tuple[float, ...] = (10.0, 30.0, 100.0, 300.0, 1000.0)
    # How wrong a level is (a coefficient of variation of 10 %), and what that is worth in windows.
    usual_dispersion: float = 0.01
    usual_dispersion_windows: float = 40.0
    # A level is never surer than a coefficient of variation of 2 %, whatever a quiet year says.
    least_dispersion: float = 0.0004
    # Past windows that together held more surprise than was foretold widen what is foretold: a series' own count
    # against so many of its volume class, by so much at most.
    surprise_prior_windows: float = 20.0
    most_surprise: float = 6.0
    # A stated rate is somebody's guess: a coefficient of variation of 40 % of the level itself, and a noisy
    # day.
    stated_dispersion: float = 0.16
    stated_daily_dispersion: float = 0.5
    # Days of its own that an office needs before it may lean on its relatives for the rest; how much these differ when
    # too few are there to tell (a factor of two), and at least (30 %); a new level's own unsteadiness (20 %).
    newcomer_days: int = 5
    usual_relative_variation: float = 0.5
    least_relative_variation: float = 0.1
    newcomer_dispersion: float = 0.04
    # An alert is read and an order signed this share of a review period later, in the mean.
    read_after: float = 1 / 3
    # Planned outreach brings what it brings: a coefficient of variation of 40 % of what was expected.
    planned_dispersion: float = 0.16
    # Series computed at a time: working memory of about 50 MB a core for two years of history.
    chunk: int = 500

    def __post_init__(self) -> None:
        if not self.half_lives or min(self.half_lives) <= 0 or list(self.half_lives) != sorted(self.half_lives):
            raise ValueError("half-lives are positive and ascend, and there is at least one")
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
    ended with too little stock, so that its prints say nothing about demand. rationed (S,T): a cap on prints was
    reached, with the same effect; None is never. announced (S,T): outreach had been planned for the day; what it
    brings is planned again the next time, so that the day says nothing about usual demand nor about bursts; None is
    never. group (S,): label of the pool; None is one pool.
    family (S,): label of those that a new office is like (same parent and item); None lets nobody borrow.

    Raises ValueError for shapes that differ, negative prints, or more served waiting than printed.
    """

    first_day: date
    demand: Counts
    served_waiting: Counts
    open: Flags
    known: Flags
    stocked_out: Flags
    group: Counts | None = None
    rationed: Flags | None = None
    family: Counts | None = None
    announced: Flags | None = None

    def __post_init__(self) -> None:
        if self.demand.ndim != 2:
            raise ValueError("demand has one row a series and one column a day")
        for name in ("served_waiting", "open", "known", "stocked_out"):
            expect_shape(name, getattr(self, name), self.demand.shape)
        for name in ("rationed", "announced"):
            if getattr(self, name) is not None:
                expect_shape(name, getattr(self, name), self.demand.shape)
        for name in ("group", "family"):
            if getattr(self, name) is not None:
                expect_shape(name, getattr(self, name), self.demand.shape[:1])
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

    extra (S,H): prints expected on top of the usual demand (planned outreach, a backlog being cleared).
    cap (S,H): the most prints on a day; inf is no cap. factor (S,): by what the usual demand is multiplied.
    None is nothing of the kind. Days of `extra` count on the day given, whether the office is open or not.

    Raises ValueError when there is no day ahead, or for shapes and numbers that make no sense.
    """

    open: Flags
    extra: Numbers | None = None
    cap: Numbers | None = None
    factor: Numbers | None = None

    def __post_init__(self) -> None:
        if self.open.ndim != 2 or self.open.shape[1] < 1:
            raise ValueError("the calendar ahead has one row a series and at least one day")
        for name in ("extra", "cap"):
            values: Numbers | None = getattr(self, name)
            if values is not None:
                expect_shape(name, values, self.open.shape)
                if not np.all(values >= 0):
                    raise ValueError(f"{name} is not negative")
        if self.factor is not None:
            expect_shape("factor", self.factor, self.open.shape[:1])
            if not np.all((self.factor >= 0) & np.isfinite(self.factor)):
                raise ValueError("a factor of demand is a number, and not negative")


@dataclass(frozen=True, eq=False)
class Seasons:
    """Which season or event each day belongs to, and what is said of them.

    past (S,T), ahead (S,H): 0 for an ordinary day, otherwise the number of a season, from 1. stated (E,): the
    factor by which season e+1 multiplies demand as somebody stated it; NaN to learn it from history alone.

    Raises ValueError for a number without a season.
    """

    past: NDArray[np.integer[Any]]
    ahead: NDArray[np.integer[Any]]
    stated: Numbers

    def __post_init__(self) -> None:
        for labels in (self.past, self.ahead):
            if labels.size and not (labels.min() >= 0 and labels.max() <= self.stated.size):
                raise ValueError("a day belongs to no season or to one of those stated")


@dataclass(frozen=True, eq=False)
class Horizon:
    """lead_days (S,), review_days (S,): whole OPEN days until an order arrives, and until the next is placed.

    lead_weights (S,M): probability that an order takes 0..M-1 open days, rows summing to 1; None where lead_days
    is certain, and a row of zeros for a series of which that holds.

    Raises ValueError when one is negative or their sum is 0.
    """

    lead_days: Counts
    review_days: Counts
    lead_weights: Numbers | None = None

    def __post_init__(self) -> None:
        expect_shape("review_days", self.review_days, self.lead_days.shape)
        if np.any(self.lead_days < 0) or np.any(self.review_days < 0) or np.any(self.total < 1):
            raise ValueError("lead and review are not negative, and at least one open day together")
        if self.lead_weights is not None:
            if self.lead_weights.shape[:1] != self.lead_days.shape or self.lead_weights.ndim != 2:
                raise ValueError("the weights of lead times have one row a series")
            sums = self.lead_weights.sum(axis=1)
            if np.any(self.lead_weights < 0) or not np.all(np.isclose(sums, 1) | (sums == 0)):
                raise ValueError("the weights of lead times are probabilities")

    @property
    def total(self) -> Counts:
        return self.lead_days + self.review_days


@dataclass(frozen=True, eq=False)
class Position:
    """Where a series stands at the end of the history; blanks in store (S,), inbound (S,), requests waiting
    (S,).

    pack_size (S,): blanks in a pack. service_level (S,): the wanted probability of meeting all demand until
    an order arrives, 0.5 to 0.999. stated_rate (S,): a published or manager's figure, prints per open day,
    used where the history is not enough; NaN is none. due (S,H): how many of the blanks inbound are counted on
    to be there before each day ahead begins, a running total; None is none.

    Raises ValueError for numbers out of these bounds.
    """

    store: Counts
    inbound: Counts
    backlog: Counts
    pack_size: Counts
    service_level: Numbers
    stated_rate: Numbers | None = None
    due: Counts | None = None

    def __post_init__(self) -> None:
        for name in ("inbound", "backlog", "pack_size", "service_level"):
            expect_shape(name, getattr(self, name), self.store.shape)
        if any(np.any(amount < 0) for amount in (self.store, self.inbound, self.backlog)):
            raise ValueError("store, inbound and backlog are not negative")
        if np.any(self.pack_size < 1):
            raise ValueError("a pack holds at least one blank")
        if not np.all((self.service_level >= 0.5) & (self.service_level <= 0.999)):
            raise ValueError("a service level lies between 0.5 and 0.999")
        if self.stated_rate is not None:
            expect_shape("stated_rate", self.stated_rate, self.store.shape)
            if np.any(self.stated_rate < 0) or np.any(np.isinf(self.stated_rate)):
                raise ValueError("a stated rate is a number of prints per open day, or NaN for none")
        if self.due is not None:
            expect_shape("due", self.due[:, 0], self.store.shape)
            if np.any(self.due[:, 0] < 0) or np.any(np.diff(self.due, axis=1) < 0):
                raise ValueError("what is due is a running total, and not negative")
