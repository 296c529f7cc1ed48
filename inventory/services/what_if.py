"""What if: an office's projection under other circumstances, tried out and kept nowhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
from sqlalchemy import select

from inventory.db import db
from inventory.domain import what_if
from inventory.domain.access import Action, Actor
from inventory.domain.demand import Ahead, History, Horizon, Position, Projection, fan, project
from inventory.domain.errors import Invalid, NotFound
from inventory.domain.ledger import Kind
from inventory.domain.offices import local_day
from inventory.domain.what_if import LATEST, PROBABILITIES, Arrival, Stock
from inventory.models import DailyTotal
from inventory.services import explanations, items, offices, projections


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What is tried out; see `domain.what_if.Changes`. Days are the office's own."""

    outreach: int = 0
    outreach_on: date | None = None
    late_days: int = 0
    nothing_comes: bool = False
    cap: int | None = None
    order: int | None = None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """See `domain.what_if.Outcome`; a day is None when it lies beyond the days looked at."""

    empty_on: date | None
    empty_early_on: date | None
    empty_late_on: date | None
    empty_despite_on: date | None
    next_arrival_on: date | None
    chance_before: float
    chance_after: float
    suggested: int
    ordered: int
    needed: int
    waiting: int


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The stock as it is expected, and with the changes. `late` blanks under way have missed their day already: they
    are taken off a suggested order, but no arrival is counted on. `last_day` is the last that was looked at."""

    before: Outcome
    after: Outcome
    late: int
    last_day: date


@dataclass(frozen=True, eq=False, kw_only=True)
class StockInputs:
    """What one stock is projected from, as for all stocks: see `domain.demand`. Each has one row. The days ahead
    begin on the day after `through`."""

    history: History
    ahead: Ahead
    horizon: Horizon
    position: Position
    through: date


def try_out(actor: Actor, now: datetime, office_code: str, item_code: str, changes: Changes) -> Comparison | None:
    """The stock now, without and with the changes; None where there is nothing to project from.

    The stock is projected alone, with the same formulas as in the review; what the review borrows from like offices
    is missing, so figures may differ from it by a little. Nothing is written. Raises NotFound `office_not_found`,
    `item_not_found`, `stock_not_found`; NotAllowed; Invalid `outreach_day_range`, `outreach_day_missing`,
    `late_days_range`, `quantity_too_large`.
    """
    # Twice as many days hold the working days of any but the strangest week.
    inputs = inputs_of_stock(actor, now, office_code, item_code, further=2 * min(max(changes.late_days, 0), LATEST))
    last_day = inputs.through + timedelta(days=inputs.ahead.open.shape[1])
    wanted = _checked(changes, inputs.through + timedelta(days=1), last_day)
    projection = project(inputs.history, inputs.ahead, inputs.horizon, inputs.position)
    if not (projection.enough[0] or projection.from_stated_rate[0]):
        return None
    office = offices.get(actor, Action.VIEW_ALERT, office_code)
    expected = explanations.under_way(office, items.get(item_code).id, office.today(now))
    dated = [each for each in expected if inputs.through < each.on_day <= last_day]
    arrivals = [Arrival(column=(each.on_day - inputs.through).days - 1, quantity=each.quantity) for each in dated]
    stock = _stock(inputs, projection, arrivals)
    return Comparison(
        before=_dated(what_if.try_out(stock, what_if.Changes()), inputs.through),
        after=_dated(what_if.try_out(stock, wanted), inputs.through),
        late=sum(each.quantity for each in expected if each.on_day <= inputs.through),
        last_day=last_day,
    )


def _checked(changes: Changes, first: date, last: date) -> what_if.Changes:
    column = 0
    if changes.outreach:
        if changes.outreach_on is None:
            raise Invalid("outreach_day_missing")
        if not first <= changes.outreach_on <= last:
            raise Invalid("outreach_day_range", first=first, last=last)
        column = (changes.outreach_on - first).days
    wanted = what_if.Changes(
        outreach=changes.outreach,
        outreach_column=column,
        late_days=changes.late_days,
        nothing_comes=changes.nothing_comes,
        cap=changes.cap,
        order=changes.order,
    )
    what_if.check_changes(wanted)
    return wanted


def _stock(inputs: StockInputs, projection: Projection, arrivals: Sequence[Arrival]) -> Stock:
    position = inputs.position
    paths = fan(projection, 0, (*PROBABILITIES, float(position.service_level[0])))
    return Stock(
        paths=paths[:-1],
        wanted=paths[-1],
        open=inputs.ahead.open[0],
        store=int(position.store[0]),
        backlog=int(position.backlog[0]),
        inbound=int(position.inbound[0]),
        lead_days=int(inputs.horizon.lead_days[0]),
        review_days=int(inputs.horizon.review_days[0]),
        pack_size=int(position.pack_size[0]),
        arrivals=tuple(arrivals),
    )


def _dated(outcome: what_if.Outcome, through: date) -> Outcome:
    def day(column: int | None) -> date | None:
        return None if column is None else through + timedelta(days=1 + column)

    return Outcome(
        empty_on=day(outcome.empty),
        empty_early_on=day(outcome.empty_early),
        empty_late_on=day(outcome.empty_late),
        empty_despite_on=day(outcome.empty_despite),
        next_arrival_on=day(outcome.next_arrival),
        chance_before=outcome.chance_before,
        chance_after=outcome.chance_after,
        suggested=outcome.suggested,
        ordered=outcome.ordered,
        needed=outcome.needed,
        waiting=outcome.waiting,
    )


def _last_day(office_id: int, item_id: int, today: date) -> date:
    """The last day whose demand is known: once prints of today are recorded their blanks have left the store, and
    today is not still to come."""
    printed = select(DailyTotal.quantity).where(
        DailyTotal.office_id == office_id,
        DailyTotal.item_id == item_id,
        DailyTotal.day == today,
        DailyTotal.kind == Kind.PRINT.value,
        DailyTotal.quantity > 0,
    )
    return today if db.session.scalars(printed.limit(1)).first() else today - timedelta(days=1)


def inputs_of_stock(actor: Actor, now: datetime, office_code: str, item_code: str, further: int = 0) -> StockInputs:
    """What the review would project this one stock from now; `further` calendar days are looked ahead beyond its own.

    Raises NotFound `office_not_found`, `item_not_found`, `stock_not_found` (an office that never held the item, or an
    outreach team, whose stock counts for its office); NotAllowed.
    """
    office = offices.get(actor, Action.VIEW_ALERT, office_code)
    item = items.get(item_code)
    stocks = [
        row for row in projections._stocks(actor, office.path) if (row.office_id, row.item_id) == (office.id, item.id)
    ]
    if not stocks:
        raise NotFound("stock_not_found")
    through = _last_day(office.id, item.id, local_day(now, office.time_zone))
    first_day = through - timedelta(days=projections.HISTORY_DAYS - 1)
    days = projections._read_days(stocks, first_day, through)
    store = np.array([stock.store for stock in stocks], dtype=np.int64)
    closing = store - projections._change_after(stocks, through)
    outlook = min(projections.LONGEST_OUTLOOK, projections._outlook_days(stocks) + further)
    is_open, is_open_ahead = projections._open_flags(stocks, first_day, through, outlook)
    [stock] = stocks
    rate = np.nan if stock.stated_rate is None else stock.stated_rate
    return StockInputs(
        history=projections._history(stocks, days, closing, is_open),
        ahead=Ahead(open=is_open_ahead),
        horizon=Horizon(lead_days=np.array([stock.lead_time_days]), review_days=np.array([stock.review_period_days])),
        position=Position(
            store=store,
            inbound=projections._inbound(stocks, through, past=False).all,
            backlog=np.zeros_like(store),
            pack_size=np.array([stock.pack_size]),
            service_level=np.array([stock.service_level]),
            stated_rate=np.array([rate]),
        ),
        through=through,
    )
