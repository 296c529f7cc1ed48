"""What projections are made from: the stocks in an actor's reach, their daily totals, calendars and what is coming."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import and_, func, or_, select

from inventory.db import db
from inventory.domain.access import Action, Actor, reach
from inventory.domain.arrivals import LONGEST_WAIT, Due, counted_on
from inventory.domain.demand import Ahead, History, Horizon, Position, Seasons
from inventory.domain.demand.arrays import by_chunk
from inventory.domain.ledger import Kind
from inventory.domain.offices import OfficeKind, local_day
from inventory.domain.requests import expected_on
from inventory.models import (
    Balance,
    DailyTotal,
    Item,
    Office,
    StatedRate,
    Transfer,
    TransferLine,
)
from inventory.models.offices import within
from inventory.services import calendars, coverage, daily_totals, known_demand, lead_times, open_requests
from inventory.services.daily_totals import Days
from inventory.services.known_demand import KnownDemand
from inventory.services.lead_times import OfficeLeadTimes
from inventory.services.ledger import effect_on
from inventory.services.offices import in_reach

HISTORY_DAYS = 730
RECENT_DAYS = 60
ROWS_AT_ONCE = 1_000
SHORTEST_OUTLOOK = 120
LONGEST_OUTLOOK = 400


def stocks_in_reach(actor: Actor, office_path: str | None) -> Sequence[Any]:
    query = (
        select(
            Balance.office_id,
            Balance.item_id,
            Balance.store,
            Balance.first_on,
            Balance.last_on,
            Balance.synthetic,
            Office.code.label("office_code"),
            Office.name.label("office_name"),
            Office.parent_id,
            Office.time_zone,
            Office.lead_time_days,
            Office.review_period_days,
            Office.service_level,
            Office.working_days,
            Item.code.label("item_code"),
            Item.pack_size,
            Item.prints_per_unit,
            StatedRate.per_day.label("stated_rate"),
            StatedRate.source.label("stated_source"),
        )
        .join(Office, Office.id == Balance.office_id)
        .join(Item, Item.id == Balance.item_id)
        .outerjoin(
            StatedRate,
            (StatedRate.office_id == Balance.office_id) & (StatedRate.item_id == Balance.item_id),
        )
        # What an outreach team holds and prints counts for its office: see `daily_totals.teams`.
        .where(Office.active, Item.active, Balance.last_seq > 0, Office.kind != OfficeKind.OUTREACH.value)
        .where(in_reach(reach(actor, Action.VIEW_ALERT)))
    )
    if office_path is not None:
        query = query.where(within(office_path))
    return db.session.execute(query).all()


def last_days(stocks: Iterable[Any], now: datetime) -> list[date]:
    """Of each stock the last day whose demand is known: its office's yesterday, or today once prints of today are
    recorded. Their blanks have left the store, and today is not still to come. (What is printed later today makes the
    stock fall as any day does.)
    """
    stocks = list(stocks)
    todays = {zone: local_day(now, zone) for zone in {stock.time_zone for stock in stocks}}
    moved = [stock for stock in stocks if stock.last_on is not None and stock.last_on >= todays[stock.time_zone]]
    printed = _printed_on(set(todays.values())) if moved else set()
    found = []
    for stock in stocks:
        today = todays[stock.time_zone]
        running = (stock.office_id, stock.item_id, today) in printed
        found.append(today if running else today - timedelta(days=1))
    return found


def _printed_on(days: set[date]) -> set[tuple[int, int, date]]:
    """Which offices printed on which items on these days; only balances that moved since are looked through."""
    rows = db.session.execute(
        select(DailyTotal.office_id, DailyTotal.item_id, DailyTotal.day)
        .join(Balance, (Balance.office_id == DailyTotal.office_id) & (Balance.item_id == DailyTotal.item_id))
        .where(Balance.last_on >= min(days), DailyTotal.day.in_(days))
        .where(DailyTotal.kind == Kind.PRINT.value, DailyTotal.quantity > 0)
    )
    return {(office_id, item_id, day) for office_id, item_id, day in rows}


@dataclass(frozen=True, eq=False)
class Inbound:
    """(S,) each: what is on its way to an office, what its open requests still promise, and what its outreach teams
    have with them. due: what of it is counted on, of each stock."""

    in_transit: np.ndarray
    on_order: np.ndarray
    with_teams: np.ndarray
    due: Sequence[Sequence[Due]]

    @property
    def all(self) -> np.ndarray:
        return self.in_transit + self.on_order + self.with_teams


def inbound(stocks: Sequence[Any], day: date, *, past: bool) -> Inbound:
    """What was yet to come to each office at the close of `day`, or, unless that is past, is now."""
    through = day if past else None
    in_transit, with_teams = _Coming(stocks, day), _Coming(stocks, day)
    of_team = daily_totals.teams()
    for receiver_id, item_id, day_due, quantity in _under_way(through):
        in_transit.add(receiver_id, item_id, quantity, day_due)
        if receiver_id in of_team:
            with_teams.add(of_team[receiver_id], item_id, quantity, day_due)
    for (office_id, item_id), quantity in _teams_stores(through).items():
        with_teams.add(office_id, item_id, quantity, None)
    on_order = _on_order(stocks, day, through)
    due = [[*now, *soon, *later] for now, soon, later in zip(with_teams.due, in_transit.due, on_order.due, strict=True)]
    return Inbound(in_transit.quantities, on_order.quantities, with_teams.quantities, due)


class _Coming:
    """What comes to each of some stocks: how much in all, and what of it is counted on."""

    def __init__(self, stocks: Sequence[Any], day: date) -> None:
        self._stocks, self._day = stocks, day
        self._row_of = {(stock.office_id, stock.item_id): row for row, stock in enumerate(stocks)}
        self.quantities = np.zeros(len(stocks), dtype=np.int64)
        self.due: list[list[Due]] = [[] for _ in stocks]

    def add(self, office_id: int, item_id: int, quantity: int, expected: date | None) -> None:
        """`expected` None: it is there already. What comes to no stock among these is passed over."""
        row = self._row_of.get((office_id, item_id))
        if row is None:
            return
        self.quantities[row] += quantity
        lead_time = self._stocks[row].lead_time_days
        on_day = None if expected is None else counted_on(expected, self._day, lead_time)
        if expected is None or on_day is not None:
            self.due[row].append(Due(on_day=on_day, quantity=quantity))


def _teams_stores(through: date | None) -> dict[tuple[int, int], int]:
    """What outreach teams had in their stores, by their office and item."""
    rows = db.session.execute(
        select(Office.parent_id, Balance.item_id, func.sum(Balance.store))
        .join(Office, Office.id == Balance.office_id)
        .where(Office.kind == OfficeKind.OUTREACH.value)
        .group_by(Office.parent_id, Balance.item_id)
    )
    stores = {(office_id, item_id): int(total) for office_id, item_id, total in rows if office_id is not None}
    if through is not None and stores:
        later = db.session.execute(
            select(Office.parent_id, DailyTotal.item_id, func.sum(effect_on(DailyTotal, "store")))
            .join(Office, Office.id == DailyTotal.office_id)
            .where(Office.kind == OfficeKind.OUTREACH.value, DailyTotal.day > through)
            .group_by(Office.parent_id, DailyTotal.item_id)
        )
        for office_id, item_id, total in later:
            if office_id is not None and (office_id, item_id) in stores:
                stores[office_id, item_id] -= int(total)
    return stores


def _under_way(through: date | None) -> Iterator[tuple[int, int, date, int]]:
    """What was on its way at the close of `through`, or is now: receiver, item, expected on, quantity."""
    under_way = Transfer.status == "dispatched"
    if through is not None:
        still_open = or_(Transfer.closed_on.is_(None), Transfer.closed_on > through)
        under_way = and_(Transfer.dispatched_on <= through, still_open)
    rows = db.session.execute(
        select(Transfer.receiver_id, TransferLine.item_id, Transfer.expected_on, func.sum(TransferLine.sent))
        .join(TransferLine, TransferLine.transfer_id == Transfer.id)
        .where(under_way)
        .group_by(Transfer.receiver_id, TransferLine.item_id, Transfer.expected_on)
    )
    for receiver_id, item_id, day_due, total in rows:
        yield receiver_id, item_id, day_due, int(total)


def _on_order(stocks: Sequence[Any], day: date, through: date | None) -> _Coming:
    """What was yet to come on each office's requests at the close of `through`, or is now; expected when the lead
    time, counted in the office's own working days, has passed since asking."""
    lead_times = {stock.office_id: stock.lead_time_days for stock in stocks}
    weeks = {stock.office_id: stock.working_days for stock in stocks}
    lines = [each for each in open_requests.on_order(lead_times, day, through=through) if each.office_id in weeks]
    found = _Coming(stocks, day)
    if not lines:
        return found
    first, last = min(each.asked_on for each in lines), day + LONGEST_WAIT
    calendar_of = calendars.of_offices({each.office_id: weeks[each.office_id] for each in lines}.items(), first, last)
    for each in lines:
        comes = expected_on(each.asked_on, lead_times[each.office_id], calendar_of[each.office_id].nth_open_day)
        found.add(each.office_id, each.item_id, each.left, comes)
    return found


def due_ahead(due: Sequence[Sequence[Due]], through: date, days: int) -> np.ndarray:
    """(S,days) what is due, as `demand.Position` wants it: running totals before each day after `through`."""
    found = np.zeros((len(due), days + 1), dtype=np.int64)
    for row, some in enumerate(due):
        for each in some:
            column = 0 if each.on_day is None else (each.on_day - through).days - 1
            found[row, min(column, days)] += each.quantity
    return np.cumsum(found, axis=1)[:, :-1]


def outlook_days(stocks: Iterable[Any]) -> int:
    """Calendar days that surely hold every office's lead time and review period."""
    longest = max(
        math.ceil((stock.lead_time_days + stock.review_period_days) * 7 / stock.working_days.count("1"))
        for stock in stocks
    )
    return min(LONGEST_OUTLOOK, max(SHORTEST_OUTLOOK, longest + 45))


def open_flags(stocks: Sequence[Any], first_day: date, through: date, outlook: int) -> tuple[np.ndarray, np.ndarray]:
    end = through + timedelta(days=outlook)
    weeks = {stock.office_id: stock.working_days for stock in stocks}
    by_office = calendars.of_offices(weeks.items(), first_day, end)
    # Most offices share a calendar: each is made into flags once.
    different = {id(each): each for each in by_office.values()}
    row_of = {name: row for row, name in enumerate(different)}
    flags = np.array([each.flags(first_day, end) for each in different.values()], dtype=bool)
    every = flags[[row_of[id(by_office[stock.office_id])] for stock in stocks]]
    return every[:, :HISTORY_DAYS], every[:, HISTORY_DAYS:]


def _history(stocks: Sequence[Any], days: Days, closing: np.ndarray, is_open: np.ndarray) -> History:
    columns = np.arange(HISTORY_DAYS)
    first = np.array([(stock.first_on - days.first_day).days for stock in stocks])
    items = np.array([stock.item_id for stock in stocks])
    relatives = np.array([stock.parent_id or 0 for stock in stocks]) * (items.max() + 1) + items
    # The day on which recording began is not a whole one. And nobody has recorded anything after the office's last
    # entry yet: those days are unknown, not days of no demand.
    known = (columns > first[:, None]) & (columns <= days.last_recorded[:, None])
    return History(
        first_day=days.first_day,
        demand=days.printed,
        served_waiting=np.minimum(days.served, days.printed),
        open=is_open,
        known=known,
        stocked_out=_stocked_out(days.store_change, closing),
        group=items,
        family=np.unique(relatives, return_inverse=True)[1],
    )


def _stocked_out(change: np.ndarray, closing: np.ndarray) -> np.ndarray:
    """(S,T) days that began or ended with nothing in the store; worked out for some stocks at a time."""
    found = np.empty(change.shape, dtype=bool)

    def work(rows: slice) -> None:
        changed_from = np.cumsum(change[rows, ::-1], axis=1, dtype=np.int64)[:, ::-1]
        opened_with = closing[rows, None] - changed_from
        found[rows] = (opened_with <= 0) | (opened_with + change[rows] <= 0)

    by_chunk(work, len(change), ROWS_AT_ONCE)
    return found


@dataclass(frozen=True, eq=False)
class Inputs:
    """All that the projection of some stocks is made from; their history ends with the same day, `through`."""

    stocks: Sequence[Any]
    through: date
    history: History
    ahead: Ahead
    horizon: Horizon
    position: Position
    seasons: Seasons
    known: KnownDemand
    inbound: Inbound
    lead_times: OfficeLeadTimes
    reasons: np.ndarray
    """(S,R) new requests of the last year, see `daily_totals.Days`."""
    closings: np.ndarray
    """(S,RECENT_DAYS) what was in the store at the close of the last days, `through` being the last."""


def gather(rows: Sequence[Any], through: date, *, past: bool, running: bool = False, further: int = 0) -> Inputs | None:
    """What the stocks given (see stocks_in_reach) are projected from, at the close of `through` when `past`, else with
    the stock of now; None when none of them was there yet. When that day is still `running`, its prints so far say
    nothing of a day's demand. `further` calendar days are looked ahead beyond the usual.
    """
    stocks = _there(rows, through, past=past)
    if not stocks:
        return None
    with _recorded(stocks, through, past=past, further=further) as recorded:
        on_way = inbound(stocks, through, past=past)
        waiting = {
            office_id: said.print_ready or 0
            for office_id, said in coverage.backlog_of({stock.office_id for stock in stocks}, through).items()
        }
        learnt = lead_times.of_offices({stock.office_id: stock.lead_time_days for stock in stocks}, through)
        found = recorded()
    open_ahead = found.is_open_ahead
    known = known_demand.of_stocks(stocks, found.days.first_day, through, found.days.printed, open_ahead, waiting)
    return Inputs(
        stocks=stocks,
        through=through,
        history=replace(
            found.history,
            known=_but_last(found.history.known, running),
            rationed=known.rationed,
            announced=known.announced,
        ),
        ahead=Ahead(open=open_ahead, extra=known.extra, cap=known.cap_ahead, factor=known.factor),
        horizon=_horizon(stocks, learnt),
        position=_position(stocks, found.store, on_way, due_ahead(on_way.due, through, open_ahead.shape[1])),
        seasons=Seasons(
            past=known.season[:, :HISTORY_DAYS],
            ahead=known.season[:, HISTORY_DAYS:],
            stated=known_demand.stated_factors(known.seasons),
        ),
        known=known,
        inbound=on_way,
        lead_times=learnt,
        reasons=found.days.reasons,
        closings=found.closings,
    )


def _but_last(known: np.ndarray, running: bool) -> np.ndarray:
    return np.column_stack([known[:, :-1], np.zeros(len(known), dtype=bool)]) if running else known


def histories(rows: Sequence[Any], through: date) -> tuple[Sequence[Any], History, Horizon] | None:
    """Those of the stocks that were there, their history up to `through`, and their horizon as set; for a backtest,
    which learns from `known_demand.as_it_was_known` what was foreseen at each of its origins."""
    stocks = _there(rows, through, past=True)
    if not stocks:
        return None
    with _recorded(stocks, through, past=True) as recorded:
        found = recorded()
    days = found.days
    known = known_demand.of_stocks(stocks, days.first_day, through, days.printed, found.is_open_ahead[:, :1], {})
    return stocks, replace(found.history, rationed=known.rationed, announced=known.announced), _horizon(stocks, None)


def _there(rows: Sequence[Any], through: date, *, past: bool) -> Sequence[Any]:
    """A stock that came later was not there yet. (Without `past`, one that came today is: with no history behind
    it.)"""
    return [stock for stock in rows if stock.first_on <= through] if past else list(rows)


@dataclass(frozen=True, eq=False)
class _Recorded:
    """What the books say of stocks: `store` at the end of the history or now, and the calendar ahead."""

    days: Days
    store: np.ndarray
    history: History
    is_open_ahead: np.ndarray
    closings: np.ndarray


@contextmanager
def _recorded(
    stocks: Sequence[Any], through: date, *, past: bool, further: int = 0
) -> Iterator[Callable[[], _Recorded]]:
    """As something to call, which waits for it: a country's days are read beside what the caller does."""
    first_day = through - timedelta(days=HISTORY_DAYS - 1)
    outlook = min(LONGEST_OUTLOOK, outlook_days(stocks) + further)
    with daily_totals.read_beside(stocks, first_day, through) as read:
        is_open, is_open_ahead = open_flags(stocks, first_day, through, outlook)

        def found() -> _Recorded:
            days = read()
            now = np.array([stock.store for stock in stocks], dtype=np.int64)
            closing = now - days.changed_since
            history = _history(stocks, days, closing, is_open)
            return _Recorded(days, closing if past else now, history, is_open_ahead, _recent(days, closing))

        yield found


def _recent(days: Days, closing: np.ndarray) -> np.ndarray:
    """The closings of the last days, back from the last one."""
    change = days.store_change[:, -RECENT_DAYS:].astype(np.int64)
    return closing[:, None] - (np.cumsum(change[:, ::-1], axis=1)[:, ::-1] - change)


def _horizon(stocks: Sequence[Any], learnt: OfficeLeadTimes | None) -> Horizon:
    weights = None
    if learnt is not None and learnt.learnt:
        weights = learnt.weights_of([stock.office_id for stock in stocks])
        weights = weights * np.array([stock.office_id in learnt.learnt for stock in stocks])[:, None]
    return Horizon(
        lead_days=np.array([stock.lead_time_days for stock in stocks]),
        review_days=np.array([stock.review_period_days for stock in stocks]),
        lead_weights=weights,
    )


def _position(stocks: Sequence[Any], store: np.ndarray, on_way: Inbound, due: np.ndarray) -> Position:
    return Position(
        store=store,
        inbound=on_way.all,
        backlog=np.zeros(len(stocks), dtype=np.int64),
        pack_size=np.array([stock.pack_size for stock in stocks]),
        service_level=np.array([stock.service_level for stock in stocks]),
        stated_rate=np.array([np.nan if stock.stated_rate is None else stock.stated_rate for stock in stocks]),
        due=due,
    )
