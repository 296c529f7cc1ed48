"""The stock card: an office's movements of one item, day by day, with what was left in the store after each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import select
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
from inventory.services.offices import OfficeView

MAX_DAYS = 92


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
    office: OfficeView
    item: ItemView
    since: date
    until: date
    opening: int
    closing: int
    lines: tuple[CardLine, ...]
    synthetic: bool


def read(
    actor: Actor, now: datetime, office_code: str, item_code: str, since: date | None, until: date | None
) -> StockCard:
    """The card from `since` to `until`, both included; by default the last 30 days of the office's own calendar.

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
    lines = _lines(office.id, item.id, since, until, opening)
    return StockCard(
        office=office,
        item=item,
        since=since,
        until=until,
        opening=opening,
        closing=lines[-1].left if lines else opening,
        lines=lines,
        synthetic=any(line.origin == "synthetic" for line in lines),
    )


def of_day(actor: Actor, now: datetime, office_code: str, item_code: str, day: date) -> StockCard:
    """The card of a single day."""
    return read(actor, now, office_code, item_code, day, day)


def _lines(office_id: int, item_id: int, since: date, until: date, opening: int) -> tuple[CardLine, ...]:
    original, undo = aliased(Movement), aliased(Movement)
    rows = db.session.execute(
        select(
            Movement,
            Person.full_name,
            Delivery.bast_number,
            original.seq.label("reverses_seq"),
            undo.seq.label("reversed_by_seq"),
        )
        .outerjoin(Person, Person.id == Movement.actor_id)
        .outerjoin(Delivery, Delivery.id == Movement.delivery_id)
        .outerjoin(original, original.id == Movement.reverses_id)
        .outerjoin(undo, undo.reverses_id == Movement.id)
        .where(
            Movement.office_id == office_id,
            Movement.item_id == item_id,
            Movement.effective_on.between(since, until),
        )
        .order_by(Movement.effective_on, Movement.seq)
    )
    lines, left = [], opening
    for movement, by, bast_number, reverses_seq, reversed_by_seq in rows:
        change = effect_of(movement.kind, movement.reason).store * movement.quantity
        left += change
        lines.append(
            CardLine(
                movement_id=movement.id,
                seq=movement.seq,
                day=movement.effective_on,
                recorded_at=movement.recorded_at,
                kind=movement.kind,
                reason=movement.reason,
                quantity=movement.quantity,
                served_waiting=movement.served_waiting,
                change=change,
                left=left,
                note=movement.note,
                by=by,
                bast_number=bast_number,
                stocktake_id=movement.stocktake_id,
                origin=movement.origin,
                reverses_seq=reverses_seq,
                reversed_by_seq=reversed_by_seq,
            )
        )
    return tuple(lines)
