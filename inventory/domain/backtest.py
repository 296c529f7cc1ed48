"""How good the projection was: what it would have said at past origins, held against what followed.

For each origin, a day of the past, in the order of backtest():
1. Cut: the history is cut at the origin. What was recorded later is not seen; the calendar is known ahead, as it is
   today, and what was known then of seasons and plans is known: see Foreknown. What a season does to demand is
   learnt from the history before the origin alone.
2. Foretell: project() says the demand over lead time and review period, as quantiles; so do the two rivals, from
   the same days: the average monthly consumption that others use, and the window before (seasonal naive).
3. Look: new requests over that window. Days without stock or without a record say nothing; the rest is scaled up by
   its share of the window, weighed by weekday as the projection does. A window of which less than half was seen is
   left out. (To leave out every window with a day without stock would leave nothing to say about the offices that
   are often out, and of them it matters most. Scaling makes what was seen a little noisier than a whole window, so
   every method's bands look a little too narrow, none in favour of another.)
4. Count: quantile loss, coverage, error and bias, and whether stock-outs came as often as they were foretold, for a
   hypothetical stock of a share of the average's demand.

Sums are kept, so that any group of series can be scored together: see Record and scores().

S is the number of series (one per office and item), T the days of history, J the origins, Q the probabilities.

Where it flatters or wrongs: entries that were made late count on their day, as if they had been known; a day closed
at short notice counts as foreseen; windows four weeks apart overlap when lead time and review period are longer.
Caps, backlogs and shares of digital identities that were known then are not told to it, nor lead times as learnt.

Sources: quantile loss and its average over probabilities, Gneiting and Raftery, Strictly proper scoring rules,
prediction, and estimation, JASA 102 (2007); Brier score and reliability table, Wilks, Statistical methods in the
atmospheric sciences, chapter on verification; average monthly consumption as the mean of the last three months, and
safety stock as a normal quantile of its standard deviation: John Snow Inc., The logistics handbook (2011).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inventory.domain.demand import Ahead, History, Horizon, Position, Projection, Seasons, Settings, project
from inventory.domain.distributions import normal_cdf, normal_quantile

Numbers = NDArray[np.float64]
Counts = NDArray[np.integer[Any]]
Flags = NDArray[np.bool_]

MODEL, AVERAGE, NAIVE = "model", "average", "naive"
METHODS = (MODEL, AVERAGE, NAIVE)

BANDS = (0.5, 0.8, 0.95)
"""How much of the demand the three bands should hold."""

ORIGINS = 13
STEP_DAYS = 28
"""Thirteen windows four weeks apart are a year: every season once, and enough to tell a fault from a bad month (of
eight, three times as many series lost to the average by chance). Whole weeks, so that each begins on the same
weekday as today."""

AVERAGE_DAYS = 91
"""Three months."""
MONTH_DAYS = 28
"""A month of the average's spread: whole weeks, so that months do not differ by their weekends."""
MONTHS = 13
WINDOWS_BEFORE = 14
"""How many windows back seasonal naive looks: about two years of a usual lead time and review period."""
FEWEST_DIFFERENCES = 3

SURE = 1e-9
"""Cards: a deviation below this is none."""

STOCKS = (0.6, 0.75, 0.9, 1.0, 1.1, 1.25, 1.5)
"""Hypothetical stocks, as shares of the average's demand: from nearly sure to run out to nearly safe."""
BINS = 10

FEWEST_WINDOWS = 6
CLEARLY = 1.10
MOST_OF_THEM = 0.75
STANDARD_ERRORS = 3.0
BY_FAR = 1.5
"""When the model has lost to the average: see worse()."""


@dataclass(frozen=True, eq=False)
class Foreknown:
    """What was known at an origin of days that are not like others: the seasons of the history up to it and of the
    days that follow, and the prints (S,H) that were planned for these on top of usual demand; None for none."""

    seasons: Seasons | None = None
    extra: Numbers | None = None


Foreknowing = Callable[[date, int], Foreknown]
"""What was known at the close of a day of the history, of so many days that follow: nothing of what came later."""


def _nothing_special(through: date, days: int) -> Foreknown:
    return Foreknown()


@dataclass(frozen=True, eq=False)
class Forecast:
    """What a method said at the origins: mean (S,J), quantiles (S,J,Q) of the demand over the window, and chance
    (S,J) that the hypothetical stock does not last. NaN where it said nothing."""

    mean: Numbers
    quantiles: Numbers
    chance: Numbers


@dataclass(frozen=True, eq=False)
class Backtest:
    """What was foretold and what came.

    through (J,): the last day that was known at each origin, the newest first. valid (S,J): the projection had
    enough history and the window after was seen well enough; all else counts only there. demand (S,J): new requests
    in the window; share (S,J): how much of the window was seen; stock (S,J): the hypothetical stock. probabilities
    (Q,). worse_than_average (S,): see worse().
    """

    through: tuple[date, ...]
    valid: Flags
    demand: Numbers
    share: Numbers
    stock: Numbers
    probabilities: tuple[float, ...]
    forecasts: Mapping[str, Forecast]

    @property
    def record(self) -> Record:
        """The sums of each series."""
        tallies = {name: _tally(self, forecast) for name, forecast in self.forecasts.items()}
        demand = np.where(self.valid, self.demand, 0.0).sum(axis=1)
        return Record(self.valid.sum(axis=1), demand, self.worse_than_average, tallies)

    @property
    def worse_than_average(self) -> Flags:
        model, average = (_losses(self, self.forecasts[name]) for name in (MODEL, AVERAGE))
        return worse(model, average, self.valid)


@dataclass(frozen=True, eq=False)
class Tally:
    """Sums over the windows of each series: loss (S,) quantile loss, miss (S,) absolute error of the mean, lean (S,)
    mean less demand, hits (S,3) demand within the bands, brier (S,), bins (S,10,3): windows, sum of the foretold
    chances of a stock-out, and stock-outs, by foretold chance."""

    loss: Numbers
    miss: Numbers
    lean: Numbers
    hits: Numbers
    brier: Numbers
    bins: Numbers


@dataclass(frozen=True, eq=False)
class Record:
    """windows (S,), demand (S,) in them, worse (S,) than the average; and the sums of each method."""

    windows: Counts
    demand: Numbers
    worse: Flags
    tallies: Mapping[str, Tally]


def backtest(
    history: History,
    horizon: Horizon,
    *,
    foreknowing: Foreknowing = _nothing_special,
    settings: Settings | None = None,
    origins: int = ORIGINS,
    step: int = STEP_DAYS,
) -> Backtest:
    """Try the projection on the last `origins` windows of each series that have ended, `step` calendar days apart.

    `foreknowing` says what was known at an origin beside the history; without it no season and no plan is known.
    `settings` are the projection's; its probabilities must hold the edges of the bands. Costs about one projection
    per origin, and no more memory than one. Raises ValueError.
    """
    settings = settings or Settings()
    _edges(settings.probabilities)
    if min(origins, step) < 1:
        raise ValueError("at least one origin, and a day between two")
    trials: list[_Trial] = []
    tried = np.zeros(history.series, dtype=np.int64)
    for origin in _origins(history, horizon, origins, step):
        length = _window_days(history, horizon, origin, settings)
        wanted = (length > 0) & (tried < origins)
        if wanted.any():
            known = foreknowing(history.first_day + timedelta(days=origin - 1), int(length.max()))
            trial = _try(history, horizon, origin, len(trials), length, known, settings)
            trial = replace(trial, valid=trial.valid & wanted)
            tried += trial.valid
            trials.append(trial)
    return _together(history, trials, settings)


def worse(model: Numbers, average: Numbers, valid: Flags) -> Flags:
    """(S,) the model lost to the average, from the losses (S,J) of both in at least six windows: by more than chance
    makes it lose (more than 10 % in sum, in three windows of four, by three standard errors of their differences), or
    by far (half as much again in sum, be it in few windows: one such miss empties a store).

    Measured on made-up worlds, 360 to 600 offices each, as quantile loss per card over the half year that followed:

    demand is                         model   average   this rule (takes the average)   better of both in hindsight
    an office's usual one             0.0222   0.0263   0.0222 (0.2 % of the offices)   0.0219
    constant, few prints a day        0.0173   0.0195   0.0173 (0.2 %)                  0.0171
    constant, a print in days         0.0647   0.0736   0.0647 (0.3 %)                  0.0640
    nearly the same every day         0.0030   0.0030   0.0030 (none)                   0.0030
    saved up, printed every 10th day  2.42     0.156    0.167 (99 %)                    0.156
    a quota, gone in a week of four   4.09     0.097    0.107 (88 %)                    0.097

    (The last two as they were before the projection told batches apart, which it foretells as such by now: this rule is
    for what it does not know yet.) Without "by far" they were 0.93 and 0.11; with a tenth of a loss, six windows of ten
    and 1.5 errors instead of it 0.19 and 0.11, and offices that print little lost by being given the average.
    """
    windows, lost = valid.sum(axis=1), (valid & (model > average)).sum(axis=1)
    apart = np.where(valid, model - average, 0.0)
    mean = apart.sum(axis=1) / np.maximum(windows, 1)
    square = np.where(valid, apart - mean[:, None], 0.0) ** 2
    error = np.sqrt(square.sum(axis=1) / np.maximum(windows - 1, 1) / np.maximum(windows, 1))
    ours, theirs = (np.where(valid, losses, 0.0).sum(axis=1) for losses in (model, average))
    often = lost >= MOST_OF_THEM * windows
    surely = (ours > CLEARLY * theirs) & often & (mean > STANDARD_ERRORS * error)
    return (windows >= FEWEST_WINDOWS) & (surely | (ours > BY_FAR * theirs))


def scores(record: Record, rows: Any = slice(None)) -> dict[str, Any]:
    """The scores of some series together, as plain values that can be stored as JSON.

    `windows`, `stocks` (with a window at all), `worse` (how many of them take the average). Of each method: `loss`,
    quantile loss per card asked for, large offices counting for more; `plain_loss`, the same with all series alike;
    `error`, `bias` per card; `cover`, the share of windows within each of BANDS; `brier`, mean squared error of the
    chance of a stock-out; `bins`: windows, mean chance and share of stock-outs, None in an empty one. None where
    nothing was asked for.
    """
    windows, demand = record.windows[rows], record.demand[rows]
    return {
        "windows": int(windows.sum()),
        "stocks": int((windows > 0).sum()),
        "worse": int(record.worse[rows].sum()),
        "demand": float(demand.sum()),
        "methods": {
            name: _scores(windows, demand, _rows(tally, rows)) for name, tally in record.tallies.items()
        },
    }  # fmt: skip


def _scores(windows: Counts, demand: Numbers, tally: Tally) -> dict[str, Any]:
    total, count = float(demand.sum()), int(windows.sum())
    some = demand > 0

    def per_card(values: Numbers) -> float | None:
        return float(values.sum()) / total if total > 0 else None

    judged = float(tally.bins[..., 0].sum())
    return {
        "loss": per_card(tally.loss),
        "plain_loss": float(np.mean(tally.loss[some] / demand[some])) if some.any() else None,
        "error": per_card(tally.miss),
        "bias": per_card(tally.lean),
        "cover": [float(hits) / count if count else None for hits in tally.hits.sum(axis=0)],
        "brier": float(tally.brier.sum()) / judged if judged else None,
        "bins": [_bin(*values) for values in tally.bins.sum(axis=0).tolist()],
    }


def _bin(count: float, chances: float, hits: float) -> list[Any]:
    return [int(count), chances / count if count else None, hits / count if count else None]


# --- 1. and 2. Origins, and what is foretold at one -----------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Trial:
    """One origin: the fields of Backtest for it, (S,) and (S,Q)."""

    through: date
    valid: Flags
    demand: Numbers
    share: Numbers
    stock: Numbers
    forecasts: Mapping[str, Forecast]


def _origins(history: History, horizon: Horizon, origins: int, step: int) -> Iterator[int]:
    """Columns at which a history is cut, the newest first. Windows that have not ended cost older origins, two
    calendar days an open day; but never more than twice as many as are wanted."""
    reach = int(2 * horizon.total.max(initial=0)) // step + 1
    count = min(origins + min(reach, origins), max(history.days - 1, 0) // step)
    return (history.days - step * number for number in range(1, count + 1))


def _chunks(history: History, settings: Settings) -> Iterator[slice]:
    for start in range(0, history.series, settings.chunk):
        yield slice(start, min(start + settings.chunk, history.series))


def _window_days(history: History, horizon: Horizon, origin: int, settings: Settings) -> Counts:
    """(S,) calendar days of the window from the origin on; 0 when it has not ended yet."""
    days = np.zeros(history.series, dtype=np.int64)
    for rows in _chunks(history, settings):
        ended = np.cumsum(history.open[rows, origin:], axis=1, dtype=np.int32) >= horizon.total[rows, None]
        days[rows] = np.where(ended.any(axis=1), ended.argmax(axis=1) + 1, 0)
    return days


def _try(
    history: History, horizon: Horizon, origin: int, number: int, length: Counts, known: Foreknown, settings: Settings
) -> _Trial:
    past = until(history, origin)
    average = average_consumption(past, settings)
    mean, deviation = average.over(horizon.total)
    stock = np.maximum(np.round(_shares(history.series, number) * mean), 1.0)
    ahead = Ahead(history.open[:, origin : origin + int(length.max())], extra=known.extra)
    projection = project(past, ahead, horizon, _position(stock), seasons=known.seasons, settings=settings)
    demand, share = _seen(history, origin, length, projection, settings)
    level = np.array(settings.probabilities)
    return _Trial(
        through=history.first_day + timedelta(days=origin - 1),
        valid=(length > 0) & projection.enough & (share >= settings.minimum_window_share) & ~np.isnan(mean),
        demand=demand,
        share=share,
        stock=stock,
        forecasts={
            MODEL: Forecast(projection.mean_horizon, projection.quantiles, _chance_within(projection, length)),
            AVERAGE: _normal(mean, deviation, level, stock),
            NAIVE: _naive(last_windows(past, horizon.total, settings), level, stock),
        },
    )


def until(history: History, days: int) -> History:
    """The first so many days of a history, without a copy."""
    names = ("demand", "served_waiting", "open", "known", "stocked_out", "rationed", "announced")
    daily = {name: getattr(history, name) for name in names}
    return replace(history, **{name: values[:, :days] for name, values in daily.items() if values is not None})


def _shares(series: int, number: int) -> Numbers:
    """(S,) another hypothetical stock for each series and origin, in turn: one projection an origin tries them all."""
    return np.array(STOCKS)[(np.arange(series) + number) % len(STOCKS)]


def _position(stock: Numbers) -> Position:
    nothing = np.zeros(stock.size, dtype=np.int64)
    store = np.nan_to_num(stock, nan=1.0).astype(np.int64)
    return Position(store, nothing, nothing, nothing + 1, np.full(stock.size, 0.95))


def _chance_within(projection: Projection, length: Counts) -> Numbers:
    """(S,) the projection's own chance that the stock is gone by the last day of the window."""
    last = np.maximum(length - 1, 0)[:, None]
    return np.take_along_axis(projection.stockout_probability, last, axis=1)[:, 0]


# --- The rivals -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Average:
    """rate (S,): prints per open day, NaN with no open day on record; month (S,): standard deviation of a month's
    prints, NaN with fewer than two months; month_days (S,): open days of a month."""

    rate: Numbers
    month: Numbers
    month_days: Numbers

    def over(self, open_days: Counts) -> tuple[Numbers, Numbers]:
        """(S,) mean and standard deviation of the demand over that many open days (S,): months are taken as
        independent, so that the deviation grows with the root of the days; where there are not two, as Poisson's."""
        mean = self.rate * open_days
        scaled = self.month * np.sqrt(open_days / np.maximum(self.month_days, 1.0))
        return mean, np.where(np.isnan(scaled), np.sqrt(mean), scaled)


def average_consumption(history: History, settings: Settings | None = None) -> Average:
    """The average monthly consumption as others use it: all prints on the open days of the last three months on
    record, by the number of those days. Days without stock count as days without demand; prints for requests that
    had waited count like any. Its spread: the standard deviation between months of the last year."""
    parts = [_average_rows(history, rows) for rows in _chunks(history, settings or Settings())]
    empty = np.zeros(0)
    return Average(*(np.concatenate([empty, *values]) for values in zip(*parts, strict=True))) if parts else Average(
        empty, empty, empty
    )  # fmt: skip


def _average_rows(history: History, rows: slice) -> tuple[Numbers, Numbers, Numbers]:
    counted = history.open[rows] & history.known[rows]
    prints = np.where(counted, history.demand[rows], 0).astype(np.float64)
    days = counted[:, -AVERAGE_DAYS:].sum(axis=1)
    rate = np.divide(prints[:, -AVERAGE_DAYS:].sum(axis=1), days, out=np.full(days.shape, np.nan), where=days > 0)
    months = min(MONTHS, history.days // MONTH_DAYS)
    if months < 2:
        return rate, np.full(rate.shape, np.nan), np.zeros(rate.shape)

    def by_month(values: NDArray[Any]) -> NDArray[Any]:
        return values[:, -months * MONTH_DAYS :].reshape(-1, months, MONTH_DAYS)

    whole = by_month(history.known[rows]).all(axis=2)
    count = whole.sum(axis=1)
    sums = by_month(prints).sum(axis=2)
    mean = (sums * whole).sum(axis=1) / np.maximum(count, 1)
    square = (((sums - mean[:, None]) * whole) ** 2).sum(axis=1)
    open_days = (by_month(counted).sum(axis=2) * whole).sum(axis=1) / np.maximum(count, 1)
    deviation = np.sqrt(np.divide(square, count - 1, out=np.full(square.shape, np.nan), where=count >= 2))
    return rate, deviation, open_days


def last_windows(history: History, open_days: Counts, settings: Settings | None = None) -> Numbers:
    """(S,14) prints in the last windows of that many (S,) open days on record, the last one first; NaN where there
    was no whole one."""
    found = np.full((history.series, WINDOWS_BEFORE), np.nan)
    for rows in _chunks(history, settings or Settings()):
        counted = history.open[rows] & history.known[rows]
        rank = np.cumsum(counted[:, ::-1], axis=1, dtype=np.int32)[:, ::-1]
        window = (rank - 1) // open_days[rows, None]
        series, column = np.nonzero(counted & (window < WINDOWS_BEFORE))
        cell = series * WINDOWS_BEFORE + window[series, column]
        size = counted.shape[0] * WINDOWS_BEFORE
        prints = np.bincount(cell, weights=history.demand[rows][series, column], minlength=size)
        days = np.bincount(cell, minlength=size).reshape(-1, WINDOWS_BEFORE)
        found[rows] = np.where(days == open_days[rows, None], prints.reshape(days.shape), np.nan)
    return found


def _normal(mean: Numbers, deviation: Numbers, level: Numbers, stock: Numbers) -> Forecast:
    quantiles = mean[:, None] + deviation[:, None] * normal_quantile(level)
    # Half a card: demand of exactly the stock is no stock-out.
    distance = (stock + 0.5 - mean) / np.maximum(deviation, SURE)
    return Forecast(mean, np.maximum(quantiles, 0.0), 1.0 - normal_cdf(distance))


def _naive(windows: Numbers, level: Numbers, stock: Numbers) -> Forecast:
    """As the window before, give or take what one window differed from the one before it; where fewer than three
    pairs are known, what two Poisson counts differ by."""
    last = windows[:, 0]
    differences = windows[:, :-1] - windows[:, 1:]
    count = (~np.isnan(differences)).sum(axis=1)
    few = count < FEWEST_DIFFERENCES
    guess = _normal(last, np.sqrt(2.0 * np.nan_to_num(last)), level, stock)
    seen = last[:, None] + _quantiles(np.sort(differences, axis=1), count, level)  # NaN are sorted to the end
    above = (last[:, None] + differences > stock[:, None]).sum(axis=1) / np.maximum(count, 1)
    return Forecast(
        last,
        np.where(few[:, None], guess.quantiles, np.maximum(seen, 0.0)),
        np.where(few, guess.chance, above),
    )


def _quantiles(ascending: Numbers, count: Counts, level: Numbers) -> Numbers:
    """(S,Q) quantiles of the first `count` (S,) of ascending values (S,N), linear between them."""
    at = np.maximum(count - 1, 0)[:, None] * level
    below = np.floor(at).astype(np.int64)
    above = np.minimum(below + 1, np.maximum(count - 1, 0)[:, None])
    low, high = (np.take_along_axis(ascending, index, axis=1) for index in (below, above))
    return low + (at - below) * (high - low)


# --- 3. What followed -----------------------------------------------------------------------------------------------


def _seen(
    history: History, origin: int, length: Counts, projection: Projection, settings: Settings
) -> tuple[Numbers, Numbers]:
    """(S,) new requests in the window, and the share of it that was seen; NaN and 0 where nothing was."""
    columns = slice(origin, origin + int(length.max()))
    first = (history.first_day + timedelta(days=origin)).weekday()
    weekday = (first + np.arange(columns.stop - columns.start)) % 7
    demand, share = np.full(history.series, np.nan), np.zeros(history.series)
    for rows in _chunks(history, settings):
        inside = history.open[rows, columns] & (np.arange(weekday.size) < length[rows, None])
        usable = inside & history.known[rows, columns] & ~history.stocked_out[rows, columns]
        if history.rationed is not None:
            usable &= ~history.rationed[rows, columns]
        weight = np.nan_to_num(projection.weekday_weights[rows])[:, weekday]
        new = history.demand[rows, columns] - history.served_waiting[rows, columns]
        whole = (weight * inside).sum(axis=1)
        part = (weight * usable).sum(axis=1)
        share[rows] = np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
        prints = (new * usable).sum(axis=1).astype(np.float64)
        demand[rows] = np.divide(prints, share[rows], out=np.full_like(prints, np.nan), where=share[rows] > 0)
    return demand, share


# --- 4. Counting ----------------------------------------------------------------------------------------------------


def quantile_loss(quantiles: Numbers, demand: Numbers, probabilities: tuple[float, ...]) -> Numbers:
    """(…) mean over the probabilities (Q,) of p (y - q) where demand y (…) is above the quantile q (…,Q), and of
    (1 - p)(q - y) where it is below."""
    over = demand[..., None] - quantiles
    level = np.array(probabilities)
    return np.maximum(level * over, (level - 1.0) * over).mean(axis=-1)


def _losses(found: Backtest, forecast: Forecast) -> Numbers:
    return quantile_loss(forecast.quantiles, found.demand, found.probabilities)


def _edges(probabilities: tuple[float, ...]) -> list[tuple[int, int]]:
    """The columns of each band's lower and upper quantile. Raises ValueError when they are not all reported."""
    columns = {round(probability, 6): column for column, probability in enumerate(probabilities)}
    edges = [(round((1 - band) / 2, 6), round((1 + band) / 2, 6)) for band in BANDS]
    if not {edge for pair in edges for edge in pair} <= set(columns):
        raise ValueError("the reported probabilities lack an edge of the bands")
    return [(columns[low], columns[high]) for low, high in edges]


def _tally(found: Backtest, forecast: Forecast) -> Tally:
    def total(values: NDArray[Any]) -> Numbers:
        return np.where(found.valid, values, 0.0).sum(axis=1)

    demand, quantiles = found.demand, forecast.quantiles
    within = [
        (quantiles[..., low] <= demand) & (demand <= quantiles[..., high]) for low, high in _edges(found.probabilities)
    ]
    ran_out = demand > found.stock
    return Tally(
        loss=total(_losses(found, forecast)),
        miss=total(np.abs(forecast.mean - demand)),
        lean=total(forecast.mean - demand),
        hits=np.stack([total(each) for each in within], axis=1),
        brier=total((forecast.chance - ran_out) ** 2),
        bins=_bins(forecast.chance, ran_out, found.valid),
    )


def _bins(chance: Numbers, ran_out: Flags, valid: Flags) -> Numbers:
    """(S,10,3) windows, sum of chances, stock-outs, by tenth of the foretold chance."""
    series, origin = np.nonzero(valid)
    foretold = chance[series, origin]
    cell = series * BINS + np.minimum((foretold * BINS).astype(np.int64), BINS - 1)
    size = valid.shape[0] * BINS
    columns = (None, foretold, ran_out[series, origin].astype(np.float64))
    sums = [np.bincount(cell, weights=column, minlength=size) for column in columns]
    return np.stack(sums, axis=1).reshape(-1, BINS, 3).astype(np.float64)


def _together(history: History, trials: list[_Trial], settings: Settings) -> Backtest:
    def stacked(name: str, kind: type) -> NDArray[Any]:
        if not trials:
            return np.zeros((history.series, 0), dtype=kind)
        return np.stack([getattr(trial, name) for trial in trials], axis=1)

    def forecast(method: str) -> Forecast:
        said = [trial.forecasts[method] for trial in trials]
        if not said:
            nothing = np.zeros((history.series, 0))
            return Forecast(nothing, np.zeros((history.series, 0, len(settings.probabilities))), nothing)
        return Forecast(*(np.stack([getattr(each, f.name) for each in said], axis=1) for f in fields(Forecast)))

    return Backtest(
        through=tuple(trial.through for trial in trials),
        valid=stacked("valid", np.bool_),
        demand=stacked("demand", np.float64),
        share=stacked("share", np.float64),
        stock=stacked("stock", np.float64),
        probabilities=settings.probabilities,
        forecasts={method: forecast(method) for method in METHODS},
    )


def _rows(tally: Tally, rows: Any) -> Tally:
    return Tally(*(getattr(tally, field.name)[rows] for field in fields(Tally)))
