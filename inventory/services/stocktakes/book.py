"""The book at the instant of a count, as known now."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import Any

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session, aliased

from inventory.db import db
from inventory.domain.errors import Refusal
from inventory.domain.ledger import effect_of
from inventory.domain.offices import local_day
from inventory.domain.stocktakes import (
    CLOCK_BEHIND,
    CLOCKS_DIFFER,
    is_in_book,
    left_to_book,
)
from inventory.models import Balance, DailyTotal, Item, Movement, StocktakeLine
from inventory.services import ledger
from inventory.services.stocktakes.rows import line_rows, standing

MOVEMENTS_SHOWN = 50


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A count against the book at its instant, as known now. `left` is what is still to be booked of the difference.

    `store` is what the book has in the store now.
    """

    item_id: int
    item_code: str
    count: int
    at: datetime
    book: int
    booked: int
    left: int
    store: int

    @property
    def difference(self) -> int:
        return self.count - self.book


@dataclass(frozen=True, kw_only=True)
class Since:
    """A movement recorded since the stocktake was opened. `in_book` when it belongs before the item's count."""

    item_code: str
    seq: int
    kind: str
    reason: str
    change: int
    moment: datetime
    recorded_at: datetime
    in_book: bool


def book_at(session: Session, row: Any, item_id: int, at: datetime) -> int:
    """The store at the instant `at`, as known now and without what this stocktake itself booked.

    Counted back from the balance: what later days did, from their totals, and what its own day did after `at`. One
    statement, so that all of it is of the same moment.
    """
    day = local_day(at, row.time_zone)
    later = select(func.coalesce(func.sum(ledger.effect_on(DailyTotal, "store")), 0)).where(
        DailyTotal.office_id == row.office_id, DailyTotal.item_id == item_id, DailyTotal.day > day
    )
    original = aliased(Movement)
    after = (
        select(func.coalesce(func.sum(ledger.effect_on(Movement, "store")), 0))
        .outerjoin(original, original.id == Movement.reverses_id)
        .where(
            Movement.office_id == row.office_id,
            Movement.item_id == item_id,
            Movement.effective_on == day,
            or_(_moment(original) > at, func.coalesce(Movement.stocktake_id, 0) == row.id),
        )
    )
    store = Balance.store - later.scalar_subquery() - after.scalar_subquery()
    found = select(store).where(Balance.office_id == row.office_id, Balance.item_id == item_id)
    return int(session.execute(found).scalar_one())


def check_clock(session: Session, row: Any, item_ids: Collection[int], now: datetime) -> None:
    """What was recorded before the clock was set back lies, by its time, after a count that is made now, though it is
    before it: no count can be held against such a book. Raises Refusal `clock_behind`."""
    newest = session.scalar(
        select(func.max(Movement.recorded_at)).where(
            Movement.office_id == row.office_id,
            Movement.item_id.in_(item_ids),
            Movement.effective_on >= local_day(now, row.time_zone),
            Movement.recorded_at.between(now + CLOCKS_DIFFER, now + CLOCK_BEHIND),
        )
    )
    if newest is not None:
        raise Refusal("clock_behind", minutes=ceil((newest - now).total_seconds() / 60))


def _moment(original: Any) -> Any:
    """SQL: when a movement happened, or was recorded; a reversal stands where its original stands."""
    return func.coalesce(Movement.happened_at, original.recorded_at, Movement.recorded_at)


def compare(session: Session, row: Any) -> list[Compared]:
    """Every line's count against the book, in the order of the items."""
    rows = session.execute(
        select(*StocktakeLine.__table__.columns, Item.code, Balance.store)
        .join(Item, Item.id == StocktakeLine.item_id)
        .join(Balance, and_(Balance.item_id == StocktakeLine.item_id, Balance.office_id == row.office_id))
        .where(StocktakeLine.stocktake_id == row.id)
        .order_by(Item.position)
    ).all()
    found = []
    for line in rows:
        count, at, booked = *standing(line), line.difference or 0
        book = book_at(session, row, line.item_id, at)
        told = {"item_id": line.item_id, "item_code": line.code, "store": line.store}
        left = left_to_book(count, book, booked)
        found.append(Compared(**told, count=count, at=at, book=book, booked=booked, left=left))
    return found


def moved_since(row: Any) -> list[Since]:
    """The newest movements since the stocktake was opened, of all its items."""
    original = aliased(Movement)
    lines = line_rows(db.session(), row.id)
    rows = db.session.execute(
        select(
            Item.code.label("item_code"),
            Movement.item_id,
            Movement.seq,
            Movement.kind,
            Movement.reason,
            Movement.quantity,
            Movement.effective_on,
            Movement.recorded_at,
            _moment(original).label("moment"),
        )
        .join(Item, Item.id == Movement.item_id)
        .outerjoin(original, original.id == Movement.reverses_id)
        .where(
            Movement.office_id == row.office_id,
            Movement.item_id.in_(list(lines)),
            Movement.recorded_at >= row.opened_at,
        )
        .order_by(Movement.recorded_at.desc(), Movement.id.desc())
        .limit(MOVEMENTS_SHOWN)
    )
    found = []
    for each in rows:
        at = standing(lines[each.item_id])[1]
        in_book = is_in_book(each.effective_on, each.moment, local_day(at, row.time_zone), at)
        told = {name: getattr(each, name) for name in ("item_code", "seq", "kind", "reason", "moment", "recorded_at")}
        change = effect_of(each.kind, each.reason).store * each.quantity
        found.append(Since(**told, change=change, in_book=in_book))
    return [each for each in found if each.change]
