"""What if: an office's projection under other circumstances, tried out and kept nowhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np

from inventory.domain import what_if
from inventory.domain.access import SYSTEM, Action, Actor
from inventory.domain.demand import Projection, fan
from inventory.domain.errors import Invalid, NotFound
from inventory.domain.what_if import LATEST, PROBABILITIES, Arrival, Stock
from inventory.services import explanations, items, offices, projection_inputs, projections
from inventory.services.projection_inputs import Inputs


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


def try_out(actor: Actor, now: datetime, office_code: str, item_code: str, changes: Changes) -> Comparison | None:
    """The stock now, without and with the changes; None where there is nothing to project from.

    The stock is projected alone, with the same formulas as in the review; what the review learns from like offices
    is missing, so figures may differ from it by a little. A newcomer, which alone has no projection, is projected
    beside those that it borrows from. Nothing is written. Raises NotFound `office_not_found`,
    `item_not_found`, `stock_not_found`; NotAllowed; Invalid `outreach_day_range`, `outreach_day_missing`,
    `late_days_range`, `quantity_too_large`.
    """
    # Twice as many days hold the working days of any but the strangest week.
    further = 2 * min(max(changes.late_days, 0), LATEST)
    inputs = inputs_of_stock(actor, now, office_code, item_code, further=further)
    last_day = inputs.through + timedelta(days=inputs.ahead.open.shape[1])
    wanted = _checked(changes, inputs.through + timedelta(days=1), last_day)
    projection, _ = projections.projected(inputs)
    if np.isnan(projection.level[0]):
        inputs = inputs_of_stock(actor, now, office_code, item_code, further=further, relatives=True)
        projection, _ = projections.projected(inputs)
    if np.isnan(projection.level[0]):
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


def _stock(inputs: Inputs, projection: Projection, arrivals: Sequence[Arrival]) -> Stock:
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


def inputs_of_stock(
    actor: Actor, now: datetime, office_code: str, item_code: str, *, further: int = 0, relatives: bool = False
) -> Inputs:
    """What the review would project this one stock from now; `further` calendar days are looked ahead beyond its own.
    With `relatives` those follow that a newcomer borrows from: the same item in the offices below the same parent, of
    which nothing but the level counts, whether the actor may see them or not.

    Raises NotFound `office_not_found`, `item_not_found`, `stock_not_found` (an office that never held the item, or an
    outreach team, whose stock counts for its office); NotAllowed.
    """
    office = offices.get(actor, Action.VIEW_ALERT, office_code)
    item = items.get(item_code)
    rows = projection_inputs.stocks_in_reach(actor, office.path)
    stocks = [row for row in rows if (row.office_id, row.item_id) == (office.id, item.id)]
    days = projection_inputs.last_days(stocks, now)
    if stocks and relatives:
        stocks += _relatives(stocks[0], office.path)
    inputs = projection_inputs.gather(stocks, days[0], past=False, further=further) if stocks else None
    if inputs is None:
        raise NotFound("stock_not_found")
    return inputs


def _relatives(stock: Any, path: str) -> list[Any]:
    above = path.rstrip("/").rpartition("/")[0] + "/"
    rows = projection_inputs.stocks_in_reach(SYSTEM, above)
    family = stock.parent_id, stock.item_id
    return [row for row in rows if (row.parent_id, row.item_id) == family and row.office_id != stock.office_id]
