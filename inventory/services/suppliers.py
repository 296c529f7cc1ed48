"""How well suppliers deliver: asked, allotted, received and waited for, month by month."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from sqlalchemy import ColumnElement, case, extract, func, select, union_all

from inventory.db import db
from inventory.domain.access import Action, Actor, reach
from inventory.domain.calendars import check_period
from inventory.models import Delivery, DeliveryRequest, DeliveryRequestLine, Office
from inventory.models.offices import within
from inventory.services import calendars, offices, open_requests
from inventory.services.offices import OfficeView, in_reach

LONGEST_PERIOD = 732
"""Days: two years, so that a month can be held against the same one a year before."""
MOST_SUPPLIERS = 30


@dataclass(frozen=True, kw_only=True)
class Performance:
    """What a supplier did in a month, or altogether.

    `asked` and `received` are of closed requests and of hand-overs that say themselves what had been asked;
    `allotted` and `received_of_allotted` of those of which an allotment is known. `hand_overs` counts every record
    of hand-over by its day of arrival, `days` the working days from asking to arrival, on average over the hand-overs
    that answer a request; None without any.
    """

    asked: int
    received: int
    allotted: int
    received_of_allotted: int
    hand_overs: int
    days: float | None

    @property
    def fill_rate(self) -> float | None:
        return self.received / self.asked if self.asked else None

    @property
    def fill_rate_of_allotted(self) -> float | None:
        return self.received_of_allotted / self.allotted if self.allotted else None


@dataclass(frozen=True, kw_only=True)
class Supplier:
    """`months` by their first day, the newest first."""

    name: str
    total: Performance
    months: tuple[tuple[date, Performance], ...]


def performance(actor: Actor, office_code: str, since: date, until: date) -> tuple[OfficeView, list[Supplier]]:
    """The suppliers of an office and of those below it that the actor may see, from `since` to `until` (the offices'
    own days), the one that was asked for most first; at most MOST_SUPPLIERS.

    A request counts in the month in which it was closed: one that is open may still be filled. Names that differ in
    case or in space around them are one supplier. Raises NotFound, NotAllowed, Invalid `period_backwards`,
    `period_too_long`.
    """
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    check_period(since, until, LONGEST_PERIOD)
    there = (within(office.path), in_reach(reach(actor, Action.VIEW_STOCK)))
    found: dict[str, _Found] = defaultdict(_Found)
    for row in _orders(there, since, until):
        found[row.key].order(row)
    for row, days in _hand_overs(there, since, until):
        found[row.key].hand_over(row, days)
    suppliers = [each.supplier() for each in found.values()]
    most_asked_first = sorted(suppliers, key=lambda each: (-each.total.asked, -each.total.hand_overs, each.name))
    return office, most_asked_first[:MOST_SUPPLIERS]


# --- reading -----------------------------------------------------------------------------------------------------

Conditions = tuple[ColumnElement[bool], ...]


def _key(supplier: Any) -> ColumnElement[str]:
    """SQL: one spelling of a supplier's name."""
    return func.lower(func.trim(supplier))


def _orders(there: Conditions, since: date, until: date) -> Any:
    """Sums of what was asked, allotted and received, by supplier and month."""
    arrived = open_requests.received_on()
    told_by_paper = (
        select(
            Delivery.supplier.label("supplier"),
            arrived.label("day"),
            Delivery.asked.label("asked"),
            Delivery.allotted.label("allotted"),
            Delivery.received.label("received"),
        )
        .join(Office, Office.id == Delivery.office_id)
        .where(*there, open_requests.STANDS, Delivery.delivery_request_id.is_(None), arrived.between(since, until))
    )
    closed = (
        select(
            DeliveryRequest.supplier,
            DeliveryRequest.closed_on,
            DeliveryRequestLine.asked,
            DeliveryRequestLine.allotted,
            open_requests.received_of_line(),
        )
        .join(Office, Office.id == DeliveryRequest.office_id)
        .join(DeliveryRequestLine, DeliveryRequestLine.delivery_request_id == DeliveryRequest.id)
        .where(*there, DeliveryRequest.status == "received", DeliveryRequest.closed_on.between(since, until))
    )
    order = union_all(told_by_paper, closed).subquery()
    year, month, key = extract("year", order.c.day), extract("month", order.c.day), _key(order.c.supplier)

    def received_where(known: ColumnElement[Any]) -> ColumnElement[int]:
        return func.coalesce(func.sum(case((known.is_not(None), order.c.received), else_=0)), 0)

    return db.session.execute(
        select(
            key.label("key"),
            func.min(func.trim(order.c.supplier)).label("name"),
            year.label("year"),
            month.label("month"),
            func.coalesce(func.sum(order.c.asked), 0).label("asked"),
            received_where(order.c.asked).label("received"),
            func.coalesce(func.sum(order.c.allotted), 0).label("allotted"),
            received_where(order.c.allotted).label("received_of_allotted"),
        ).group_by(key, year, month)
    )


def _hand_overs(there: Conditions, since: date, until: date) -> Iterable[tuple[Any, int | None]]:
    """Records of hand-over by supplier, office and days, each with the working days waited for it, if it answers a
    request."""
    arrived = open_requests.received_on().label("arrived")
    came = (
        select(
            Delivery.supplier,
            Delivery.office_id,
            Delivery.bast_number,
            arrived,
            DeliveryRequest.asked_on,
            Office.working_days,
        )
        .join(Office, Office.id == Delivery.office_id)
        .outerjoin(DeliveryRequest, DeliveryRequest.id == Delivery.delivery_request_id)
        .where(*there, open_requests.STANDS, open_requests.received_on().between(since, until))
        .subquery()
    )
    by = (came.c.office_id, came.c.working_days, came.c.arrived, came.c.asked_on)
    key = _key(came.c.supplier)
    rows = db.session.execute(
        select(
            key.label("key"),
            func.min(func.trim(came.c.supplier)).label("name"),
            *by,
            func.count(came.c.bast_number.distinct()).label("hand_overs"),
        ).group_by(key, *by)
    ).all()
    return [(row, days) for row, days in zip(rows, _waited(rows), strict=True)]


def _waited(rows: Iterable[Any]) -> list[int | None]:
    """Working days from the day after asking to the day of arrival, in each row's office's own calendar."""
    rows = list(rows)
    asked = [row for row in rows if row.asked_on is not None]
    if not asked:
        return [None] * len(rows)
    weeks = {row.office_id: row.working_days for row in asked}
    start, end = min(row.asked_on for row in asked), max(row.arrived for row in asked)
    by_office = calendars.of_offices(weeks.items(), start, end)
    return [
        None
        if row.asked_on is None
        else by_office[row.office_id].count_open(row.asked_on + timedelta(days=1), row.arrived)
        for row in rows
    ]


# --- adding up ---------------------------------------------------------------------------------------------------


@dataclass
class _Sums:
    asked: int = 0
    received: int = 0
    allotted: int = 0
    received_of_allotted: int = 0
    hand_overs: int = 0
    answered: int = 0
    days: int = 0

    def performance(self) -> Performance:
        return Performance(
            asked=self.asked,
            received=self.received,
            allotted=self.allotted,
            received_of_allotted=self.received_of_allotted,
            hand_overs=self.hand_overs,
            days=self.days / self.answered if self.answered else None,
        )


@dataclass
class _Found:
    """One supplier while its rows come in."""

    names: set[str] = field(default_factory=set)
    total: _Sums = field(default_factory=_Sums)
    months: dict[date, _Sums] = field(default_factory=lambda: defaultdict(_Sums))

    def order(self, row: Any) -> None:
        self.names.add(row.name)
        for sums in (self.total, self.months[date(int(row.year), int(row.month), 1)]):
            sums.asked += int(row.asked)
            sums.received += int(row.received)
            sums.allotted += int(row.allotted)
            sums.received_of_allotted += int(row.received_of_allotted)

    def hand_over(self, row: Any, days: int | None) -> None:
        self.names.add(row.name)
        for sums in (self.total, self.months[row.arrived.replace(day=1)]):
            sums.hand_overs += row.hand_overs
            if days is not None:
                sums.answered += row.hand_overs
                sums.days += days * row.hand_overs

    def supplier(self) -> Supplier:
        months = sorted(self.months.items(), reverse=True)
        return Supplier(
            name=min(self.names),
            total=self.total.performance(),
            months=tuple((month, sums.performance()) for month, sums in months),
        )
