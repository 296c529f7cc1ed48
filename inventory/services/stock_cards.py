"""The stock card: an office's movements of one item, day by day, with what was left in the store after each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import aliased

from inventory.db import db
from inventory.domain.access import Action, Actor
from inventory.domain.calendars import check_period
from inventory.domain.errors import Invalid
from inventory.domain.ledger import effect_of
from inventory.models import Delivery, Movement, Person
from inventory.services import balances, items, offices
from inventory.services.consumption import FIRST_DAY
from inventory.services.items import ItemView
from inventory.services.ledger import effect_on
from inventory.services.offices import OfficeView

MAX_DAYS = 92
PER_PAGE = 100
"""Lines: where machines record each print by itself, a month has thousands."""


@dataclass(frozen=True, kw_only=True)
class CardLine:
    """A movement on the card. `change` is what it did to the store, `left` what the store held after it."""

    movement_id: int
    seq: int
    day: date
    recorded_at: datetime
    kind: str
    reason: str
    quantity: int
    served_waiting: int
    change: int
    left: int
    note: str
    by: str | None
    bast_number: str | None
    stocktake_id: int | None
    origin: str
    reverses_seq: int | None
    reversed_by_seq: int | None


@dataclass(frozen=True, kw_only=True)
class StockCard:
    """A period of an office's movements of one item. `opening` is what the store held before the first of the `lines`,
    `closing` after the last; of one page of several, those on it, `page` 1 being the newest."""

    office: OfficeView
    item: ItemView
    since: date
    until: date
    opening: int
    closing: int
    lines: tuple[CardLine, ...]
    synthetic: bool
    page: int = 1
    pages: int = 1

    @property
    def first(self) -> date:
        """The day that the card, or this page of it, begins with."""
        return self.since if self.page == self.pages else self.lines[0].day

    @property
    def last(self) -> date:
        return self.until if self.page == 1 else self.lines[-1].day


def read(
    actor: Actor,
    now: datetime,
    office_code: str,
    item_code: str,
    since: date | None,
    until: date | None,
    *,
    page: int | None = None,
) -> StockCard:
    """The card from `since` to `until`, both included; by default the last 30 days of the office's own calendar. All
    of it, or one `page` of PER_PAGE lines, 1 being the newest; the last one stands for those after it.

    Movements stand in the order of their days, and within a day as they were recorded.
    Raises Invalid `day_too_early`, `period_backwards`, `period_too_long` (over MAX_DAYS days); NotFound, NotAllowed.
    """
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    item = items.get(item_code)
    until = until or office.today(now)
    if min(since or until, until) < FIRST_DAY:
        raise Invalid("day_too_early", day=min(since or until, until), first=FIRST_DAY)
    since = since or max(until - timedelta(days=29), FIRST_DAY)
    check_period(since, until, MAX_DAYS)
    opening = balances.as_of(actor, office_code, item_code, since - timedelta(days=1)).store
    period = _Period(office.id, item.id, since, until)
    rows, pages = slice(None), 1
    if page is not None:
        count = period.count()
        pages = max(1, -(-count // PER_PAGE))
        page = min(max(page, 1), pages)
        rows = slice(max(0, count - page * PER_PAGE), count - (page - 1) * PER_PAGE)
        opening += period.change_before(rows.start)
    lines = period.lines(rows, opening)
    return StockCard(
        office=office,
        item=item,
        since=since,
        until=until,
        opening=opening,
        closing=lines[-1].left if lines else opening,
        lines=lines,
        synthetic=any(line.origin == "synthetic" for line in lines),
        page=page or 1,
        pages=pages,
    )


def of_day(actor: Actor, now: datetime, office_code: str, item_code: str, day: date) -> StockCard:
    """The card of a single day."""
    return read(actor, now, office_code, item_code, day, day)


@dataclass(frozen=True)
class _Period:
    """The movements of a card, in its order."""

    office_id: int
    item_id: int
    since: date
    until: date

    def count(self) -> int:
        return db.session.scalar(select(func.count()).select_from(Movement).where(*self._conditions())) or 0

    def change_before(self, number: int) -> int:
        """What the store changed by in so many of the first."""
        if not number:
            return 0
        first = select(effect_on(Movement, "store").label("change")).where(*self._conditions()).order_by(*_ORDER)
        return int(db.session.scalar(select(func.sum(first.limit(number).subquery().c.change))) or 0)

    def lines(self, rows: slice, left: int) -> tuple[CardLine, ...]:
        """Those of a slice, before which so many were `left`."""
        original, undo = aliased(Movement), aliased(Movement)
        told = original.seq.label("reverses_seq"), undo.seq.label("reversed_by_seq")
        query = (
            select(Movement, Person.full_name, Delivery.bast_number, *told)
            .outerjoin(Person, Person.id == Movement.actor_id)
            .outerjoin(Delivery, Delivery.id == Movement.delivery_id)
            .outerjoin(original, original.id == Movement.reverses_id)
            .outerjoin(undo, undo.reverses_id == Movement.id)
            .where(*self._conditions())
            .order_by(*_ORDER)
        )
        if rows.stop is not None:
            query = query.offset(rows.start).limit(rows.stop - rows.start)
        found: list[CardLine] = []
        for row in db.session.execute(query):
            found.append(_line(*row, left=found[-1].left if found else left))
        return tuple(found)

    def _conditions(self) -> tuple[ColumnElement[bool], ...]:
        return (
            Movement.office_id == self.office_id,
            Movement.item_id == self.item_id,
            Movement.effective_on.between(self.since, self.until),
        )


_ORDER = Movement.effective_on, Movement.seq


def _line(
    movement: Movement,
    by: str | None,
    bast_number: str | None,
    reverses_seq: int | None,
    reversed_by_seq: int | None,
    *,
    left: int,
) -> CardLine:
    """The next line after one that `left` so many in the store."""
    change = effect_of(movement.kind, movement.reason).store * movement.quantity
    return CardLine(
        movement_id=movement.id,
        seq=movement.seq,
        day=movement.effective_on,
        recorded_at=movement.recorded_at,
        kind=movement.kind,
        reason=movement.reason,
        quantity=movement.quantity,
        served_waiting=movement.served_waiting,
        change=change,
        left=left + change,
        note=movement.note,
        by=by,
        bast_number=bast_number,
        stocktake_id=movement.stocktake_id,
        origin=movement.origin,
        reverses_seq=reverses_seq,
        reversed_by_seq=reversed_by_seq,
    )
