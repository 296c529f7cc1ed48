"""Outlook: demand by calendar day, and what it means for the stock."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import timedelta

import numpy as np

from inventory.domain.demand import mixture
from inventory.domain.demand.arrays import Counts, Flags, Numbers, ratio, rows_of, where_known
from inventory.domain.demand.evidence import Record
from inventory.domain.demand.inputs import Ahead, Horizon, Position, Settings
from inventory.domain.demand.mixture import Mixture
from inventory.domain.demand.profile import Profile
from inventory.domain.demand.spread import Spread

OUTLOOK_CHUNKS = 2
"""Worked on together: days ahead are fewer than days behind, and a search costs by the step more than by the row."""
BEYOND = -1  # a day of stock-out that lies beyond the calendar ahead
LEAD_ATOMS = (0.1, 0.3, 0.5, 0.7, 0.9)
"""A learnt lead time stands for these five of its quantiles, each as likely as the others."""


@dataclass(frozen=True, eq=False)
class Outlook:
    """The fields of Projection of the same names."""

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
    cumulative_mean: Numbers
    cumulative_planned: Numbers
    cumulative_planned_variance: Numbers
    open_days_ahead: Counts


@dataclass(frozen=True, eq=False)
class Forecast:
    """What is known of each series' demand: level (C,) without bursts, and what strays from it.

    burst_rate (C,) an open day, burst_jump (C,) prints of one, burst_seen (C,) what the rate rests on,
    burst_variation (C,): squared coefficient of variation of the prints of one.
    """

    level: Numbers
    burst_rate: Numbers
    burst_jump: Numbers
    burst_seen: Numbers
    burst_variation: Numbers


@dataclass(frozen=True, eq=False)
class Days:
    """(C,H) by calendar day ahead, all of them running totals: open days, expected demand without bursts, planned
    prints and the variance of these."""

    open: Counts
    base: Numbers
    planned: Numbers
    planned_variance: Numbers


def outlook(
    record: Record, profile: Profile, horizon: Horizon, position: Position, forecast: Forecast, spread: Spread,
    settings: Settings, rows: slice,
) -> Outlook:  # fmt: skip
    """Of these rows alone: nothing is learnt from other series any more."""
    ahead, days = record.ahead, record.history.days
    first = (record.history.first_day + timedelta(days=days)).weekday()
    labels = None if record.seasons is None else record.seasons.ahead
    row, column = np.nonzero(record.after[rows, days:])
    exposure = profile.exposure(rows, ahead.open[rows], (row, column), labels, first)
    own = rows_of(forecast, rows), rows_of(spread, rows), rows_of(horizon, rows), rows_of(position, rows)
    return _outlook_rows(exposure, rows_of(ahead, rows), *own, settings)


def _outlook_rows(
    exposure: Numbers, ahead: Ahead, forecast: Forecast, spread: Spread, horizon: Horizon, position: Position,
    settings: Settings,
) -> Outlook:  # fmt: skip
    known = ~np.isnan(forecast.level)
    forecast = replace(forecast, level=np.where(known, forecast.level, 0.0))
    spread = _usable(spread, known)
    days = _days(exposure, ahead, forecast, settings)
    demand = _Demand(days, forecast, spread)
    lead, total = demand.over_days(horizon.lead_days), demand.over_days(horizon.total)
    probabilities = np.broadcast_to(np.array(settings.probabilities), (known.size, len(settings.probabilities)))
    service = position.service_level[:, None]
    point = demand.quantile_until(
        service, horizon, np.multiply(settings.read_after, horizon.review_days, dtype=np.float64)
    )
    up_to = demand.quantile_over(service, horizon, horizon.review_days)
    free = position.store - position.backlog
    mean = days.base + days.planned + days.open * (forecast.burst_rate * forecast.burst_jump)[:, None]
    cover, capped = _cover(free, mean, days.open)
    chance = _stockout_probability(free[:, None], demand.by_day())
    despite = chance if position.due is None else _despite_due(chance, free, position.due, demand)
    missing = np.maximum(up_to + position.backlog - position.store - position.inbound, 0)
    found = Outlook(
        quantiles=mixture.quantiles(probabilities, total),
        mean_lead=(lead.weights * lead.mean).sum(axis=-1),
        mean_horizon=(total.weights * total.mean).sum(axis=-1),
        reorder_point=np.ceil(point).astype(np.int64) + position.backlog,
        order_up_to=up_to.astype(np.int64) + position.backlog,
        suggested_order=-(-missing.astype(np.int64) // position.pack_size) * position.pack_size,
        beyond_calendar=horizon.total > days.open[:, -1],
        cover_days=cover,
        cover_capped=capped,
        stockout_probability=chance,
        stockout_despite_due=despite,
        stockout_day=_first_day(chance >= 0.5),
        stockout_early=_first_day(chance >= 0.1),
        stockout_late=_first_day(chance >= 0.9),
        cumulative_mean=mean,
        cumulative_planned=days.planned,
        cumulative_planned_variance=days.planned_variance,
        open_days_ahead=days.open,
    )
    values = {field.name: getattr(found, field.name) for field in fields(found)}
    blanked = {name: where_known(known, value) for name, value in values.items() if name != "open_days_ahead"}
    return replace(found, **blanked)


def _usable(spread: Spread, known: Flags) -> Spread:
    """A spread without NaN, for series without a projection, which are blanked afterwards."""
    level, daily, horizon = (np.where(known, each, 0.0) for each in (spread.level, spread.daily, spread.horizon))
    return Spread(horizon, level, daily, spread.days)


def _days(exposure: Numbers, ahead: Ahead, forecast: Forecast, settings: Settings) -> Days:
    usual = forecast.level[:, None] * exposure
    if ahead.factor is not None:
        usual = usual * ahead.factor[:, None]
    planned = np.zeros_like(usual) if ahead.extra is None else ahead.extra
    if ahead.cap is not None:
        usual = np.minimum(usual, ahead.cap)
        planned = np.minimum(planned, ahead.cap - usual)
    return Days(
        np.cumsum(ahead.open, axis=1, dtype=np.int64),
        np.cumsum(usual, axis=1),
        np.cumsum(planned, axis=1),
        np.cumsum(settings.planned_dispersion * planned**2, axis=1),
    )


@dataclass(frozen=True, eq=False)
class _Demand:
    """Demand as a mixture, over a number of open days or by each calendar day."""

    days: Days
    forecast: Forecast
    spread: Spread

    def over_days(self, length: Counts) -> Mixture:
        """(C,) over the next `length` (C,) open days; past the calendar its mean open day stands in."""
        last = self.days.open[:, -1]
        column = np.maximum((self.days.open <= length[:, None]).sum(axis=1) - 1, 0)
        none = self.days.open[:, 0] > length
        more = np.maximum(length - last, 0)

        def upto(values: Numbers) -> Numbers:
            within = np.where(none, 0.0, np.take_along_axis(values, column[:, None], axis=1)[:, 0])
            return within + more * ratio(values[:, -1], last, 0.0)

        base, planned, variance = (
            upto(each) for each in (self.days.base, self.days.planned, self.days.planned_variance)
        )
        return self._mixture(base, length, planned, variance)

    def by_day(self) -> Mixture:
        """(C,H) up to the end of each calendar day."""
        return self._mixture(self.days.base, self.days.open, self.days.planned, self.days.planned_variance)

    def quantile_until(self, probability: Numbers, horizon: Horizon, later: Numbers) -> Numbers:
        """The same for a number of open days that need not be whole: in a straight line between the two next to it."""
        whole = np.floor(later).astype(np.int64)
        below = self.quantile_over(probability, horizon, whole)
        if np.array_equal(whole, later):
            return below
        return below + (later - whole) * (self.quantile_over(probability, horizon, whole + 1) - below)

    def quantile_over(self, probability: Numbers, horizon: Horizon, later: Counts) -> Numbers:
        """(C,) quantile at probability (C,1) of demand over the lead time and `later` (C,) open days more. Where the
        lead time is a distribution, so are the days."""
        found = mixture.quantiles(probability, self.over_days(horizon.lead_days + later))[:, 0]
        if horizon.lead_weights is not None:
            learnt = np.flatnonzero(horizon.lead_weights.sum(axis=1) > 0)
            if learnt.size:
                sums = np.cumsum(horizon.lead_weights[learnt], axis=1)
                part = self.of(learnt)
                over = [part.over_days((sums < at).sum(axis=1) + later[learnt]) for at in LEAD_ATOMS]
                found[learnt] = mixture.quantiles(probability[learnt], mixture.join(over))[:, 0]
        return found

    def of(self, rows: Counts) -> _Demand:
        return _Demand(rows_of(self.days, rows), rows_of(self.forecast, rows), rows_of(self.spread, rows))

    def _mixture(self, base: Numbers, open_days: Counts, planned: Numbers, planned_variance: Numbers) -> Mixture:
        extra = (slice(None),) + (None,) * (base.ndim - 1)
        return mixture.of_demand(
            base,
            self.spread.over(open_days),
            self.forecast.burst_rate[extra] * open_days,
            np.broadcast_to(self.forecast.burst_jump[extra], base.shape),
            self.forecast.burst_variation[extra],
            self.forecast.burst_seen[extra],
            planned,
            planned_variance,
        )


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


def _despite_due(chance: Numbers, free: Counts, due: Counts, demand: _Demand) -> Numbers:
    """(C,H) the chance of having run out by each day although what is due comes on its day."""
    rows = np.flatnonzero(due[:, -1] > 0)
    found = chance.copy()
    if rows.size:
        found[rows] = _stockout_probability(free[rows, None] + due[rows], demand.of(rows).by_day())
    return found


def _stockout_probability(free: Counts, demand: Mixture) -> Numbers:
    """(C,H) P(demand by day h > free), free (C,H) or (C,1). Where nothing is free the next request already waits:
    certain."""
    chance = np.where(free <= 0, 1.0, mixture.chance_above(free.astype(np.float64), demand))
    # Stock that ran out by a day has run out by every later day, whatever the curves' last digits say.
    return np.maximum.accumulate(chance, axis=1)


def _first_day(true: Flags) -> Counts:
    return np.where(true.any(axis=1), true.argmax(axis=1), BEYOND)
