"""The projection: all steps in their order, and the record of what came out and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import ArrayLike

from inventory.domain.demand import mixture
from inventory.domain.demand.arrays import (
    Counts,
    Flags,
    Numbers,
    chunk_by_chunk,
    expect_shape,
    rows_of,
    stack,
    where_known,
)
from inventory.domain.demand.batches import Batches, find_batches
from inventory.domain.demand.blend import Blend, blend
from inventory.domain.demand.bursts import Bursts, find_bursts
from inventory.domain.demand.evidence import Record, Survey, record, survey
from inventory.domain.demand.inputs import DEFAULTS, Ahead, History, Horizon, Position, Seasons, Settings
from inventory.domain.demand.levels import replay
from inventory.domain.demand.newcomers import borrow
from inventory.domain.demand.outlook import OUTLOOK_CHUNKS, Forecast, Outlook, outlook
from inventory.domain.demand.profile import Profile, profile
from inventory.domain.demand.spread import Spread, spread, stand_in


@dataclass(frozen=True, eq=False)
class Projection:
    """What is to be expected, and why. Without a projection numbers are NaN, whole numbers -1, flags False.

    enough (S,): the history sufficed. from_stated_rate (S,): it did not, and the stated rate was used
    instead. from_average (S,): the plain average of twelve weeks stands for the model. lumpy (S,): demand comes
    in batches, and all of it is in the burst fields (see batches). borrowed (S,): the share of a
    newcomer's level that comes from its relatives, 0 for all others. days_used + days_stocked_out
    + days_rationed + days_announced + days_closed + days_unknown (S,): the T days of history, each counted once.
    windows_used (S,): past windows the errors are measured on. level (S,): mean demand per open day now.
    weekday_weights (S,7): Monday first, mean 1 over the days used. after_closure (S,): factor of the first open day
    after a closure. season_factors (S,1+E): what each season multiplies demand by; the first, of ordinary days, is 1.
    half_life_weights (S,K): of the experts (see Replay), sum 1. dispersion (S,): f of the demand over lead
    + review without bursts, whose variance is mean + f mean^2; it is made of level_dispersion (S,), which stays, and
    daily_dispersion (S,), which averages out over days (see Spread). burst_rate (S,) bursts an open day, burst_size
    (S,) in usual days' worth, burst_jump (S,) in prints, burst_seen (S,): how many the rate rests on,
    burst_variation (S,): squared coefficient of variation of a size. backtest_error (S,): mean
    absolute error of the past windows, relative to their mean demand. probabilities (Q,), quantiles (S,Q): demand over
    lead + review, new requests and planned prints. mean_lead, mean_horizon (S,). reorder_point (S,): demand over the
    lead time and the wait until somebody acts (Settings.read_after) at the service level, plus backlog; order_up_to
    (S,): the same over lead + review. suggested_order (S,):
    blanks, whole packs. beyond_calendar (S,): lead + review reach past the calendar ahead; its mean open day stands
    in. cover_days (S,): open days until expected demand uses up store - backlog; cover_capped (S,): it lasts longer
    than the calendar ahead, and cover_days is the calendar's number of open days. stockout_probability (S,H): chance
    that demand up to the end of that day exceeds store - backlog, leaving out what is inbound; 1 from the first day
    when nothing is free; stockout_despite_due (S,H): the same, counting on what is due. stockout_day (S,): the first
    column where it is at least 0.5, if nothing comes; stockout_early and stockout_late: 0.1 and 0.9, an 80 % band; -1
    beyond the calendar. horizon_days (S,), cumulative_mean,
    cumulative_planned, cumulative_planned_variance (S,H), open_days_ahead (S,H): what fan() draws from.
    """

    enough: Flags
    from_stated_rate: Flags
    from_average: Flags
    lumpy: Flags
    borrowed: Numbers
    days_used: Counts
    days_stocked_out: Counts
    days_rationed: Counts
    days_announced: Counts
    days_closed: Counts
    days_unknown: Counts
    windows_used: Counts
    level: Numbers
    weekday_weights: Numbers
    after_closure: Numbers
    season_factors: Numbers
    half_life_weights: Numbers
    dispersion: Numbers
    level_dispersion: Numbers
    daily_dispersion: Numbers
    burst_rate: Numbers
    burst_size: Numbers
    burst_jump: Numbers
    burst_seen: Numbers
    burst_variation: Numbers
    backtest_error: Numbers
    probabilities: tuple[float, ...]
    quantiles: Numbers
    mean_lead: Numbers
    mean_horizon: Numbers
    reorder_point: Counts
    order_up_to: Counts
    suggested_order: Counts
    beyond_calendar: Flags
    cover_days: Numbers
    cover_capped: Flags
    stockout_probability: Numbers
    stockout_despite_due: Numbers
    stockout_day: Counts
    stockout_early: Counts
    stockout_late: Counts
    horizon_days: Counts
    cumulative_mean: Numbers
    cumulative_planned: Numbers
    cumulative_planned_variance: Numbers
    open_days_ahead: Counts


def project(
    history: History,
    ahead: Ahead,
    horizon: Horizon,
    position: Position,
    *,
    seasons: Seasons | None = None,
    average: Flags | None = None,
    settings: Settings = DEFAULTS,
) -> Projection:
    """Project the demand of S series and what it means for their stock.

    average (S,): series for which the plain average of twelve weeks stands for the model, because their backtest
    said so. Raises ValueError when the inputs do not have the same number of series.
    """
    parts = project_by_part(history, ahead, horizon, position, seasons=seasons, average=average, settings=settings)
    return stack(Projection, parts)


def project_by_part(
    history: History,
    ahead: Ahead,
    horizon: Horizon,
    position: Position,
    *,
    seasons: Seasons | None = None,
    average: Flags | None = None,
    settings: Settings = DEFAULTS,
) -> Iterator[Projection]:
    """The same in parts of some hundred series, in their order, each as soon as it is made: something can be done with
    them while the others are made. Everything is learnt from all series before the first part."""
    _expect_series(history, ahead, horizon, position, seasons)
    plain = np.zeros(history.series, dtype=bool) if average is None else average
    expect_shape("average", plain, (history.series,))
    recorded = record(history, ahead, seasons, settings)
    learnt = _learn(recorded, horizon, position, plain, settings)

    def work(rows: slice) -> Projection:
        own = learnt.profiled, horizon, position, learnt.forecast, learnt.scatter
        return _assemble(rows_of(learnt, rows), outlook(recorded, *own, settings, rows), settings)

    yield from chunk_by_chunk(work, history.series, OUTLOOK_CHUNKS * settings.chunk)


@dataclass(frozen=True, eq=False)
class _Flags:
    """Where each projection comes from; borrowed (S,): the share that comes from relatives."""

    enough: Flags
    stated: Flags
    average: Flags
    lumpy: Flags
    borrowed: Numbers

    @property
    def known(self) -> Flags:
        return self.enough | self.stated | (self.borrowed > 0)


@dataclass(frozen=True, eq=False)
class _Learnt:
    """What the histories of all series say of each; windows (S,): past ones that the errors are measured on."""

    surveyed: Survey
    profiled: Profile
    blended: Blend
    windows: Counts
    burst_size: Numbers
    scatter: Spread
    forecast: Forecast
    flags: _Flags


def _learn(record: Record, horizon: Horizon, position: Position, average: Flags, settings: Settings) -> _Learnt:
    surveyed, profiled, batches, bursts = _kinds_of_days(record, settings)
    replayed = replay(record, profiled, bursts, horizon, settings)
    enough = surveyed.days_used >= settings.minimum_open_days
    plain = average & enough
    # What batches look like as levels and bursts must not teach other series anything.
    telling = enough & ~batches.lumpy
    blended = blend(replayed, bursts, telling, plain, horizon, settings)
    own = spread(replayed, blended, bursts, telling, plain, horizon, settings)
    borrowed = borrow(record.history, surveyed, blended.level, enough, telling, settings)
    level, scatter, stated, borrows = stand_in(position, enough, blended.level, own, borrowed, settings)
    forecast = _forecast(level, bursts, batches, enough & ~plain)
    flags = _Flags(enough, stated, plain, batches.lumpy & enough & ~plain, np.where(borrows, borrowed.share, 0.0))
    windows = replayed.valid.sum(axis=1)
    return _Learnt(surveyed, profiled, blended, windows, bursts.size, scatter, forecast, flags)


def _kinds_of_days(record: Record, settings: Settings) -> tuple[Survey, Profile, Batches, Bursts]:
    """What kinds of days there are, and which were bursts: each is needed to see the other, so twice in turn."""
    first, again = settings.burst_rounds
    surveyed = survey(record, settings)
    profiled = profile(record, surveyed, settings)
    batches = find_batches(record, profiled, settings)
    even = ~batches.lumpy
    bursts = find_bursts(record, profiled, even, settings, first)
    surveyed = survey(record, settings, bursts)
    profiled = profile(record, surveyed, settings, bursts, even)
    return surveyed, profiled, batches, find_bursts(record, profiled, even, settings, again)


def fan(projection: Projection, series: int, probabilities: Sequence[float] | None = None) -> Numbers:
    """(Q,H) quantiles of one series' cumulative demand by calendar day; NaN when it has no projection."""
    wanted = projection.probabilities if probabilities is None else probabilities
    mean = projection.cumulative_mean[series]
    if np.isnan(mean).any():
        return np.full((len(wanted), mean.size), np.nan)
    drawn = {field.name: getattr(projection, field.name)[series] for field in fields(FanParts)}
    return fan_of(FanParts(**drawn), wanted)


@dataclass(frozen=True, eq=False)
class FanParts:
    """What the fan of one series is drawn from: the fields of Projection of the same names, of that series, for days
    (H,) of one's choice, and for the whole of it."""

    cumulative_mean: Numbers
    cumulative_planned: Numbers
    cumulative_planned_variance: Numbers
    open_days_ahead: Counts
    level_dispersion: float
    daily_dispersion: float
    horizon_days: int
    burst_rate: float
    burst_jump: float
    burst_seen: float
    burst_variation: float


def fan_of(parts: FanParts, probabilities: Sequence[float]) -> Numbers:
    """(Q,H) quantiles of the cumulative demand of one series by its days."""
    wanted, days = np.array(probabilities), np.asarray(parts.open_days_ahead)
    found = mixture.quantiles(np.broadcast_to(wanted, (days.size, wanted.size)), _demand_of(parts))
    # Late days may be relatively surer than early ones; the demand so far still never falls.
    return np.maximum.accumulate(found.T, axis=1)


def chances_of(parts: FanParts, free: ArrayLike) -> Numbers:
    """(H,) chance that the demand of one series has been more than `free` by its days; free is one number or (H,), as
    it is before each day. Where nothing is free the next request already waits: certain."""
    stock = np.broadcast_to(np.asarray(free, dtype=np.float64), np.asarray(parts.open_days_ahead).shape)
    chance = np.where(stock <= 0, 1.0, mixture.chance_above(stock, _demand_of(parts)))
    return np.maximum.accumulate(chance)


def chances_despite(parts: FanParts, free: float, due: Sequence[tuple[float, int]], leads: Sequence[int]) -> Numbers:
    """(L,) chance that one series runs out within each number of open days of `leads`, although what is `due` comes:
    blanks by the number of open days ahead at whose end they are there, 0 for those that are there already.

    Between two arrivals the chance only grows, so it is enough to look at the end of the days on which something
    comes, before it comes, and at the last day.
    """
    coming = sorted(due)
    days = sorted({float(lead) for lead in leads} | {float(day) for day, _ in coming if day > 0})
    stock = [free + sum(quantity for at, quantity in coming if at < day) for day in days]
    chance = chances_of(at_open_days(parts, days), stock)
    return chance[np.searchsorted(days, leads)]


def at_open_days(parts: FanParts, numbers: Sequence[float]) -> FanParts:
    """The same for the days that are the n-th open ones from now (ascending); between the days that are known in a
    straight line, and after the last of them at the pace until there."""
    known, wanted = np.asarray(parts.open_days_ahead, dtype=float), np.asarray(numbers, dtype=float)
    last = max(float(known[-1]), 1.0)

    def figure(values: Numbers) -> Numbers:
        values = np.asarray(values, dtype=float)
        within = np.interp(wanted, np.concatenate(([0.0], known)), np.concatenate(([0.0], values)))
        return np.where(wanted > last, values[-1] * wanted / last, within)

    return replace(
        parts,
        cumulative_mean=figure(parts.cumulative_mean),
        cumulative_planned=figure(parts.cumulative_planned),
        cumulative_planned_variance=figure(parts.cumulative_planned_variance),
        open_days_ahead=wanted,
    )


def _demand_of(parts: FanParts) -> mixture.Mixture:
    days = np.asarray(parts.open_days_ahead)
    level, daily, horizon = (np.array([each]) for each in (parts.level_dispersion, parts.daily_dispersion,
                                                            parts.horizon_days))  # fmt: skip
    own = Spread(level + daily / horizon, level, daily, horizon)
    number = np.asarray(parts.burst_rate * days, dtype=np.float64)
    planned = np.asarray(parts.cumulative_planned)
    return mixture.of_demand(
        np.maximum(np.asarray(parts.cumulative_mean) - planned - number * parts.burst_jump, 0.0),
        own.over(days[None, :])[0],
        number,
        np.full(days.shape, parts.burst_jump),
        parts.burst_variation,
        np.array([parts.burst_seen]),
        planned,
        np.asarray(parts.cumulative_planned_variance),
    )


def _expect_series(
    history: History, ahead: Ahead, horizon: Horizon, position: Position, seasons: Seasons | None
) -> None:
    for name, rows in (("ahead", ahead.open), ("horizon", horizon.lead_days), ("position", position.store)):
        expect_shape(name, rows[:, 0] if rows.ndim == 2 else rows, (history.series,))
    if seasons is not None:
        expect_shape("seasons past", seasons.past, history.demand.shape)
        expect_shape("seasons ahead", seasons.ahead, ahead.open.shape)
    if position.due is not None:
        expect_shape("due", position.due, ahead.open.shape)


def _forecast(level: Numbers, bursts: Bursts, batches: Batches, modelled: Flags) -> Forecast:
    """Bursts belong to the model: an average has them in it, and a stated rate says nothing of them. Of a lumpy
    series bursts are all there is."""
    lumpy = modelled & batches.lumpy
    jump = np.where(modelled, bursts.size * np.nan_to_num(level), 0.0)
    return Forecast(
        np.where(lumpy, 0.0, level),
        np.where(lumpy, batches.rate, np.where(modelled, bursts.rate, 0.0)),
        np.where(lumpy, batches.size, jump),
        np.where(lumpy, batches.seen, bursts.seen),
        np.where(lumpy, batches.variation, bursts.variation),
    )


def _assemble(learnt: _Learnt, looked: Outlook, settings: Settings) -> Projection:
    """Of some series, what was learnt of them and what it means."""
    surveyed, profiled, blended, scatter, forecast, flags = (
        learnt.surveyed, learnt.profiled, learnt.blended, learnt.scatter, learnt.forecast, learnt.flags,
    )  # fmt: skip
    enough, known = flags.enough, flags.known
    return Projection(
        enough=enough,
        from_stated_rate=flags.stated,
        from_average=flags.average,
        lumpy=flags.lumpy,
        borrowed=flags.borrowed,
        days_used=surveyed.days_used,
        days_stocked_out=surveyed.days_stocked_out,
        days_rationed=surveyed.days_rationed,
        days_announced=surveyed.days_announced,
        days_closed=surveyed.days_closed,
        days_unknown=surveyed.days_unknown,
        windows_used=learnt.windows,
        level=forecast.level + forecast.burst_rate * forecast.burst_jump,
        probabilities=settings.probabilities,
        horizon_days=scatter.days,
        weekday_weights=where_known(known, profiled.weekday),
        after_closure=where_known(known, profiled.after_closure),
        season_factors=where_known(known, profiled.season),
        half_life_weights=where_known(enough, blended.weights),
        dispersion=where_known(known, scatter.horizon),
        level_dispersion=where_known(known, scatter.level),
        daily_dispersion=where_known(known, scatter.daily),
        burst_rate=where_known(known, forecast.burst_rate),
        burst_size=where_known(enough & ~flags.lumpy, learnt.burst_size),
        burst_jump=where_known(known, forecast.burst_jump),
        burst_seen=where_known(known, forecast.burst_seen),
        burst_variation=forecast.burst_variation,
        backtest_error=where_known(enough, blended.error),
        **{field.name: getattr(looked, field.name) for field in fields(Outlook)},
    )
