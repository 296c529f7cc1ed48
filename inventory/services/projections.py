"""Projected demand of the stocks in an actor's reach: daily totals in, figures that explain themselves out."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, and_, case, func, literal, null, or_, select

from inventory.db import db
from inventory.domain.access import Action, Actor, reach
from inventory.domain.alerts import Reading
from inventory.domain.calendars import OfficeCalendar
from inventory.domain.demand import Ahead, History, Horizon, Position, Projection, project
from inventory.domain.distributions import count_quantile
from inventory.domain.ledger import EFFECTS, Kind
from inventory.domain.offices import OfficeKind, local_day
from inventory.domain.requests import OPEN, hope_ends, still_expected
from inventory.models import (
    Balance,
    DailyTotal,
    DeliveryRequest,
    DeliveryRequestLine,
    Item,
    Office,
    StatedRate,
    Transfer,
    TransferLine,
)
from inventory.models.offices import within
from inventory.services import calendars, open_requests, run_outs
from inventory.services.offices import in_reach
from inventory.services.run_outs import Projected

HISTORY_DAYS = 730
SHORTEST_OUTLOOK = 120
LONGEST_OUTLOOK = 400


@dataclass(frozen=True, kw_only=True)
class StockProjection:
    """The projection of one office's stock of one item at the close of `on_day`.

    `facts` holds plain values that can be stored as JSON: days as ISO text, None where nothing is known.
    """

    office_id: int
    office_code: str
    office_name: str
    item_id: int
    item_code: str
    on_day: date
    reading: Reading
    facts: dict[str, Any]


def of_stocks(
    actor: Actor, now: datetime, *, on: date | None = None, office_path: str | None = None
) -> list[StockProjection]:
    """Project every stock in the actor's reach (below `office_path`, if given), by office code and item.

    Without `on`, history ends with each office's own yesterday and the stock is that of now; with it, both are
    those at the close of that day. An office that never held an item has no stock of it to project.
    """
    rows = _stocks(actor, office_path)
    by_day: dict[date, list[Any]] = defaultdict(list)
    for row in rows:
        by_day[on or local_day(now, row.time_zone) - timedelta(days=1)].append(row)
    found: list[StockProjection] = []
    for through, stocks in by_day.items():
        found.extend(_project(stocks, through, past=on is not None))
    return sorted(found, key=lambda each: (each.office_code, each.item_id))


def _stocks(actor: Actor, office_path: str | None) -> Sequence[Any]:
    query = (
        select(
            Balance.office_id,
            Balance.item_id,
            Balance.store,
            Balance.first_on,
            Balance.synthetic,
            Office.code.label("office_code"),
            Office.name.label("office_name"),
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
        # What an outreach team holds and prints counts for its office: see `_teams`.
        .where(Office.active, Item.active, Balance.last_seq > 0, Office.kind != OfficeKind.OUTREACH.value)
        .where(in_reach(reach(actor, Action.VIEW_ALERT)))
    )
    if office_path is not None:
        query = query.where(within(office_path))
    return db.session.execute(query).all()


@dataclass(frozen=True, eq=False)
class _Days:
    """What the daily totals say, one row per stock and one column per calendar day up to `through`."""

    first_day: date
    printed: np.ndarray
    served: np.ndarray
    store_change: np.ndarray
    last_recorded: np.ndarray
    """(S,) column of the last day on which the office recorded anything, for whichever item; -1 for never."""

    def rows(self, kept: list[int]) -> _Days:
        parts = (self.printed, self.served, self.store_change, self.last_recorded)
        return _Days(self.first_day, *(part[kept] for part in parts))


def _project(stocks: Sequence[Any], through: date, *, past: bool) -> list[StockProjection]:
    first_day = through - timedelta(days=HISTORY_DAYS - 1)
    days = _read_days(stocks, first_day, through)
    now = np.array([stock.store for stock in stocks], dtype=np.int64)
    closing = now - _change_after(stocks, through)
    if past:
        # A stock that came later was not there yet. (Without `on`, one that came today is: with no history behind it.)
        kept = [i for i, stock in enumerate(stocks) if stock.first_on <= through]
        stocks, days, closing = [stocks[i] for i in kept], days.rows(kept), closing[kept]
        now = closing
    if not stocks:
        return []
    outlook = _outlook_days(stocks)
    is_open, is_open_ahead = _open_flags(stocks, first_day, through, outlook)
    horizon = Horizon(
        lead_days=np.array([stock.lead_time_days for stock in stocks]),
        review_days=np.array([stock.review_period_days for stock in stocks]),
    )
    nothing = np.zeros(len(stocks), dtype=np.int64)
    inbound = _inbound(stocks, through, past=past)
    position = Position(
        store=now,
        inbound=inbound.all,
        backlog=nothing,
        pack_size=np.array([stock.pack_size for stock in stocks]),
        service_level=np.array([stock.service_level for stock in stocks]),
        stated_rate=np.array([np.nan if s.stated_rate is None else s.stated_rate for s in stocks]),
    )
    history = _history(stocks, days, closing, is_open)
    projection = project(history, Ahead(open=is_open_ahead), horizon, position)
    results = _results(stocks, through, position, inbound, horizon, projection)
    run_outs.note_first(_projected(stocks, results, is_open_ahead, through))
    return results


def _projected(
    stocks: Sequence[Any], results: Sequence[StockProjection], is_open_ahead: np.ndarray, through: date
) -> list[Projected]:
    def nth_open_day(row: int, number: int) -> date | None:
        columns = np.flatnonzero(is_open_ahead[row])
        return through + timedelta(days=1 + int(columns[number - 1])) if number <= columns.size else None

    return [
        Projected(
            office_id=stock.office_id,
            item_code=stock.item_code,
            prints_per_unit=stock.prints_per_unit,
            facts=result.facts,
            nth_open_day=partial(nth_open_day, row),
        )
        for row, (stock, result) in enumerate(zip(stocks, results, strict=True))
    ]


def _read_days(stocks: Sequence[Any], first_day: date, through: date) -> _Days:
    row_of = {(stock.office_id, stock.item_id): i for i, stock in enumerate(stocks)}
    shape = (len(stocks), HISTORY_DAYS)
    printed, served, change = (np.zeros(shape, dtype=np.int64) for _ in range(3))
    last_of_office: dict[int, int] = defaultdict(lambda: -1)
    teams = _teams()
    for office_id, item_id, day, prints, waiting, store in _day_rows(stocks, first_day, through, teams):
        column = (day - first_day).days
        owner_id = teams[office_id] if office_id in teams else int(office_id)
        last_of_office[owner_id] = max(last_of_office[owner_id], column)
        row = row_of.get((owner_id, item_id))
        if row is None:
            continue
        printed[row, column] += prints
        served[row, column] += waiting
        if owner_id == office_id:
            change[row, column] = store
    last = np.array([last_of_office[stock.office_id] for stock in stocks])
    return _Days(first_day, printed, served, change, last)


def _teams() -> dict[int, int]:
    """The office of each outreach team: what a team prints is its office's demand."""
    rows = db.session.execute(select(Office.id, Office.parent_id).where(Office.kind == OfficeKind.OUTREACH.value))
    teams: dict[int, int] = {}
    for team_id, office_id in rows:
        if office_id is not None:
            teams[team_id] = office_id
    return teams


def _day_rows(stocks: Sequence[Any], first_day: date, through: date, teams: Mapping[int, int]) -> Iterator[Any]:
    query = (
        select(
            DailyTotal.office_id,
            DailyTotal.item_id,
            DailyTotal.day,
            func.sum(case((DailyTotal.kind == Kind.PRINT.value, DailyTotal.quantity), else_=0)),
            func.sum(DailyTotal.served_waiting),
            func.sum(_store_effect()),
        )
        .where(DailyTotal.day.between(first_day, through))
        .group_by(DailyTotal.office_id, DailyTotal.item_id, DailyTotal.day)
    )
    office_ids = {stock.office_id for stock in stocks}
    office_ids |= {team_id for team_id, office_id in teams.items() if office_id in office_ids}
    if len(office_ids) <= 500:  # else the whole table is wanted anyway, and a list would only slow the query
        query = query.where(DailyTotal.office_id.in_(office_ids))
    yield from db.session.execute(query.execution_options(yield_per=10_000))


def _store_effect() -> ColumnElement[int]:
    """SQL: what a daily total did to the store, from the ledger's one table of effects."""
    branches = [
        (
            (DailyTotal.kind == kind.value) & (DailyTotal.reason == reason),
            literal(effect.store) * DailyTotal.quantity,
        )
        for (kind, reason), effect in EFFECTS.items()
        if effect.store
    ]
    return case(*branches, else_=0)


def _change_after(stocks: Sequence[Any], through: date) -> np.ndarray:
    rows = db.session.execute(
        select(DailyTotal.office_id, DailyTotal.item_id, func.sum(_store_effect()))
        .where(DailyTotal.day > through)
        .group_by(DailyTotal.office_id, DailyTotal.item_id)
    )
    return _per_stock(stocks, {(office_id, item_id): int(total) for office_id, item_id, total in rows})


@dataclass(frozen=True, eq=False)
class _Inbound:
    """(S,) each: what is on its way to an office, what its open requests still promise, and what its outreach teams
    have with them."""

    in_transit: np.ndarray
    on_order: np.ndarray
    with_teams: np.ndarray

    @property
    def all(self) -> np.ndarray:
        return self.in_transit + self.on_order + self.with_teams


def _inbound(stocks: Sequence[Any], day: date, *, past: bool) -> _Inbound:
    """What was yet to come to each office at the close of `day`, or, unless that is past, is now."""
    through = day if past else None
    under_way = _under_way(through)
    with_teams: dict[tuple[int, int], int] = defaultdict(int)
    for team_id, office_id in _teams().items():
        for (receiver_id, item_id), quantity in under_way.items():
            if receiver_id == team_id:
                with_teams[office_id, item_id] += quantity
    for (office_id, item_id), quantity in _teams_stores(through).items():
        with_teams[office_id, item_id] += quantity
    return _Inbound(_per_stock(stocks, under_way), _on_order(stocks, day, through), _per_stock(stocks, with_teams))


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
            select(Office.parent_id, DailyTotal.item_id, func.sum(_store_effect()))
            .join(Office, Office.id == DailyTotal.office_id)
            .where(Office.kind == OfficeKind.OUTREACH.value, DailyTotal.day > through)
            .group_by(Office.parent_id, DailyTotal.item_id)
        )
        for office_id, item_id, total in later:
            if office_id is not None and (office_id, item_id) in stores:
                stores[office_id, item_id] -= int(total)
    return stores


def _under_way(through: date | None) -> dict[tuple[int, int], int]:
    """What was on its way at the close of `through`, or is now, by receiver and item."""
    under_way = Transfer.status == "dispatched"
    if through is not None:
        still_open = or_(Transfer.closed_on.is_(None), Transfer.closed_on > through)
        under_way = and_(Transfer.dispatched_on <= through, still_open)
    rows = db.session.execute(
        select(Transfer.receiver_id, TransferLine.item_id, func.sum(TransferLine.sent))
        .join(TransferLine, TransferLine.transfer_id == Transfer.id)
        .where(under_way)
        .group_by(Transfer.receiver_id, TransferLine.item_id)
    )
    return {(office_id, item_id): int(total) for office_id, item_id, total in rows}


def _on_order(stocks: Sequence[Any], day: date, through: date | None) -> np.ndarray:
    """(S,) what was yet to come on each office's requests at the close of `through`, or is now.

    What was asked counts only until an allotment says otherwise, and until its hope ends by `day`.
    """
    lead_times = {stock.office_id: stock.lead_time_days for stock in stocks}
    counts, allotted = DeliveryRequest.status.in_(OPEN), DeliveryRequestLine.allotted
    if through is not None:
        still_open = or_(DeliveryRequest.closed_on.is_(None), DeliveryRequest.closed_on > through)
        counts = and_(DeliveryRequest.asked_on <= through, still_open)
        allotted = case((DeliveryRequest.allotted_on <= through, allotted), else_=null())
    rows = db.session.execute(
        select(
            DeliveryRequest.office_id,
            DeliveryRequest.asked_on,
            DeliveryRequest.needed_by,
            DeliveryRequestLine.item_id,
            DeliveryRequestLine.asked,
            allotted,
            open_requests.received_of_line(through),
        )
        .join(DeliveryRequestLine, DeliveryRequestLine.delivery_request_id == DeliveryRequest.id)
        .where(counts)
    )
    on_order: dict[tuple[int, int], int] = defaultdict(int)
    for office_id, asked_on, needed_by, item_id, asked, promised, received in rows:
        hopeless = hope_ends(asked_on, needed_by, lead_times.get(office_id, 0)) < day
        if promised is None and hopeless:
            continue
        on_order[office_id, item_id] += still_expected(asked, promised, int(received))
    return _per_stock(stocks, on_order)


def _per_stock(stocks: Sequence[Any], found: Mapping[tuple[int, int], int]) -> np.ndarray:
    """(S,) what was found for each stock; 0 where nothing was."""
    return np.array([found.get((stock.office_id, stock.item_id), 0) for stock in stocks], dtype=np.int64)


def _outlook_days(stocks: Iterable[Any]) -> int:
    """Calendar days that surely hold every office's lead time and review period."""
    longest = max(
        math.ceil((stock.lead_time_days + stock.review_period_days) * 7 / stock.working_days.count("1"))
        for stock in stocks
    )
    return min(LONGEST_OUTLOOK, max(SHORTEST_OUTLOOK, longest + 45))


def _open_flags(stocks: Sequence[Any], first_day: date, through: date, outlook: int) -> tuple[np.ndarray, np.ndarray]:
    end = through + timedelta(days=outlook)
    weeks = {stock.office_id: stock.working_days for stock in stocks}
    by_office = calendars.of_offices(weeks.items(), first_day, end)
    flags: dict[int, np.ndarray] = {}

    def flags_of(calendar: OfficeCalendar) -> np.ndarray:
        if id(calendar) not in flags:
            flags[id(calendar)] = np.array(calendar.flags(first_day, end), dtype=bool)
        return flags[id(calendar)]

    every = np.stack([flags_of(by_office[stock.office_id]) for stock in stocks])
    return every[:, :HISTORY_DAYS], every[:, HISTORY_DAYS:]


def _history(stocks: Sequence[Any], days: _Days, closing: np.ndarray, is_open: np.ndarray) -> History:
    columns = np.arange(HISTORY_DAYS)
    first = np.array([(stock.first_on - days.first_day).days for stock in stocks])
    # The day on which recording began is not a whole one. And nobody has recorded anything after the office's last
    # entry yet: those days are unknown, not days of no demand.
    known = (columns > first[:, None]) & (columns <= days.last_recorded[:, None])
    change_from = np.cumsum(days.store_change[:, ::-1], axis=1)[:, ::-1]
    opened_with = closing[:, None] - change_from
    closed_with = opened_with + days.store_change
    return History(
        first_day=days.first_day,
        demand=days.printed,
        served_waiting=np.minimum(days.served, days.printed),
        open=is_open,
        known=known,
        stocked_out=(opened_with <= 0) | (closed_with <= 0),
        group=np.array([stock.item_id for stock in stocks]),
    )


def _results(
    stocks: Sequence[Any],
    through: date,
    position: Position,
    inbound: _Inbound,
    horizon: Horizon,
    projection: Projection,
) -> list[StockProjection]:
    order_up_to = count_quantile(position.service_level, projection.mean_horizon, projection.dispersion)
    in_lead = _stockout_in_lead(horizon, projection)
    results = []
    for i, stock in enumerate(stocks):
        facts = _facts(stock, through, i, position, projection, float(order_up_to[i]), float(in_lead[i]))
        facts |= {
            "in_transit": int(inbound.in_transit[i]),
            "on_order": int(inbound.on_order[i]),
            "with_teams": int(inbound.with_teams[i]),
        }
        results.append(
            StockProjection(
                office_id=stock.office_id,
                office_code=stock.office_code,
                office_name=stock.office_name,
                item_id=stock.item_id,
                item_code=stock.item_code,
                on_day=through,
                reading=_reading(facts),
                facts=facts,
            )
        )
    return results


def _stockout_in_lead(horizon: Horizon, projection: Projection) -> np.ndarray:
    """(S,) chance that the stock is gone by the end of the lead time's last open day."""
    within_lead = projection.open_days_ahead <= horizon.lead_days[:, None]
    last = np.maximum(within_lead.sum(axis=1) - 1, 0)
    return projection.stockout_probability[np.arange(last.size), last]


def _reading(facts: dict[str, Any]) -> Reading:
    known = facts["enough"] or facts["from_stated_rate"]
    return Reading(
        store=facts["store"],
        usable=facts["usable"],
        inbound=facts["inbound"],
        known=known,
        reorder_point=facts["reorder_point"] if known else 0.0,
        order_up_to=facts["order_up_to"] if known else 0.0,
        stockout_in_lead=facts["stockout_in_lead"] if known else 0.0,
    )


def _facts(
    stock: Any,
    through: date,
    i: int,
    position: Position,
    projection: Projection,
    order_up_to: float,
    stockout_in_lead: float,
) -> dict[str, Any]:
    store, inbound, backlog = int(position.store[i]), int(position.inbound[i]), int(position.backlog[i])
    known = bool(projection.enough[i] or projection.from_stated_rate[i])

    def day_ahead(column: int) -> str | None:
        return (through + timedelta(days=1 + int(column))).isoformat() if known and column >= 0 else None

    return {
        "on_day": through.isoformat(),
        "store": store,
        "inbound": inbound,
        "backlog": backlog,
        "usable": store - backlog,
        "synthetic": bool(stock.synthetic),
        "enough": bool(projection.enough[i]),
        "from_stated_rate": bool(projection.from_stated_rate[i]),
        "stated_rate": stock.stated_rate,
        "stated_source": stock.stated_source,
        "level_per_day": _number(projection.level[i], 1),
        "lead_days": stock.lead_time_days,
        "review_days": stock.review_period_days,
        "service_level": stock.service_level,
        "mean_lead": _number(projection.mean_lead[i], 0),
        "mean_horizon": _number(projection.mean_horizon[i], 0),
        "quantiles": {
            str(probability): _number(value, 0)
            for probability, value in zip(projection.probabilities, projection.quantiles[i], strict=True)
        },
        "reorder_point": int(projection.reorder_point[i]) if known else None,
        "order_up_to": _number(order_up_to + backlog, 0),
        "suggested_order": int(projection.suggested_order[i]) if known else None,
        "cover_days": _number(projection.cover_days[i], 1),
        "cover_capped": bool(projection.cover_capped[i]),
        "stockout_in_lead": _number(stockout_in_lead, 4),
        "stockout_on": day_ahead(projection.stockout_day[i]),
        "stockout_early_on": day_ahead(projection.stockout_early[i]),
        "stockout_late_on": day_ahead(projection.stockout_late[i]),
        "days_used": int(projection.days_used[i]),
        "days_stocked_out": int(projection.days_stocked_out[i]),
        "days_closed": int(projection.days_closed[i]),
        "days_unknown": int(projection.days_unknown[i]),
        "working_days": stock.working_days,
        "weekday_weights": [_number(weight, 3) for weight in projection.weekday_weights[i]],
        "backtest_error": _number(projection.backtest_error[i], 3),
    }


def _number(value: float, places: int) -> float | int | None:
    """A figure as JSON can hold it, rounded for people; None for one that is not known."""
    if not math.isfinite(value):
        return None
    return round(float(value)) if places == 0 else round(float(value), places)
