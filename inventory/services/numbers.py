"""What is asked of the serial numbers: where one is and has been, which an office holds, and what looks wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from typing import Any

from sqlalchemy import and_, exists, func, literal, or_, select, tuple_
from sqlalchemy.orm import aliased

from inventory.db import db
from inventory.domain.access import Action, Actor, may_somewhere, reach
from inventory.domain.audit import Event
from inventory.domain.errors import NotAllowed
from inventory.domain.ledger import OUTSIDE, Kind
from inventory.domain.ranges import BLOCK, Range, Ranges, common, gaps, joined, less, parse_number, passed_over
from inventory.models import Delivery, Item, Movement, MovementRange, NumberRange, Office, Person, Transfer
from inventory.models.offices import within
from inventory.services import audit, items, offices
from inventory.services.items import ItemView
from inventory.services.offices import OfficeView, in_reach
from inventory.services.ranges import as_range, overlapping, same_movement, share_numbers

PAGE = 100
MOST_STEPS = 200
MOST_ANOMALIES = 200
LOTS = 200
"""Of an office and item, how many of the newest receipts the report looks into."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """A movement of a number. At an office out of the reader's reach only kind, reason and day are told.

    `recorded_at` is aware UTC, `day` the office's own.
    """

    day: date
    kind: str
    reason: str
    reversal: bool
    office: OfficeView | None
    recorded_at: datetime | None = None
    by: str | None = None
    bast_number: str | None = None
    transfer_id: int | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class NumberView:
    """Where a number is: `place` is None when it was never in the books, `office` when it is out of reach."""

    item: ItemView
    number: str
    place: str | None
    office: OfficeView | None
    steps: tuple[Step, ...]


@dataclass(frozen=True, kw_only=True)
class Held:
    """Some of the ranges that an office holds, by place, and how many numbers each place has in all."""

    office: OfficeView
    item: ItemView
    rows: tuple[tuple[str, Range], ...]
    totals: dict[str, int]
    page: int
    pages: int


@dataclass(frozen=True, kw_only=True)
class Anomaly:
    """Something to look into: `kind` is one of missing, gap, overlap, early, skipped; `document` where it began."""

    kind: str
    office_code: str
    item_code: str
    numbers: Range
    day: date | None = None
    document: str = ""


def find(actor: Actor, item_code: str, typed: str) -> NumberView:
    """Where a number is now, and its whole way from the first movement to the last (at most MOST_STEPS).

    Raises NotFound `item_not_found`, Invalid `range_unreadable`, NotAllowed.
    """
    if not may_somewhere(actor, Action.VIEW_STOCK):
        raise NotAllowed("not_allowed", action=Action.VIEW_STOCK.value)
    item = items.get(item_code)
    series, number = parse_number(typed)
    each = Range(*series, number, number)
    rows = overlapping(db.session(), item.id, each)
    return NumberView(
        item=item,
        number=str(each),
        place=rows[0].place if rows else None,
        office=_in_reach(actor, {row.office_id for row in rows}).get(rows[0].office_id) if rows else None,
        steps=_steps(actor, item.id, each),
    )


def look_up(actor: Actor, now: datetime, item_code: str, typed: str) -> NumberView:
    """`find`, for somebody who asks: that they did is written into the audit. Raises what `find` raises."""
    found = find(actor, item_code, typed)
    office_id = found.office.id if found.office else None
    facts = {"item": item_code, "found": found.place or ""}
    audit.record(now, actor, Event.NUMBER_LOOKED_UP, office_id=office_id, subject=found.number, facts=facts)
    return found


def held(actor: Actor, office_code: str, item_code: str, page: int = 1) -> Held:
    """The ranges in an office's places, PAGE at a time; a page past the last is the last.

    Raises NotFound, NotAllowed.
    """
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    item = items.get(item_code)
    here = (NumberRange.office_id == office.id, NumberRange.item_id == item.id, NumberRange.place != OUTSIDE)
    size = func.sum(NumberRange.last - NumberRange.first + 1)
    sums = db.session.execute(
        select(NumberRange.place, func.count().label("rows"), size.label("size"))
        .where(*here)
        .group_by(NumberRange.place)
    ).all()
    pages = max(-(-sum(row.rows for row in sums) // PAGE), 1)
    page = min(max(page, 1), pages)
    rows = db.session.scalars(
        select(NumberRange)
        .where(*here)
        .order_by(NumberRange.place, NumberRange.prefix, NumberRange.width, NumberRange.first)
        .offset((page - 1) * PAGE)
        .limit(PAGE)
    )
    return Held(
        office=office,
        item=item,
        rows=tuple((row.place, as_range(row)) for row in rows),
        totals={row.place: int(row.size) for row in sums},
        page=page,
        pages=pages,
    )


HeldKey = tuple[str, str, int, int]
"""Where a range stands among those of an office: place, prefix, width, first number."""


def held_after(
    actor: Actor, office_code: str, item_code: str, after: HeldKey | None, limit: int
) -> list[tuple[str, Range]]:
    """The ranges in an office's places with their place, in order, from behind a key on.

    Raises NotFound, NotAllowed.
    """
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    item = items.get(item_code)
    key = (NumberRange.place, NumberRange.prefix, NumberRange.width, NumberRange.first)
    query = select(NumberRange).where(
        NumberRange.office_id == office.id, NumberRange.item_id == item.id, NumberRange.place != OUTSIDE
    )
    if after is not None:
        query = query.where(tuple_(*key) > tuple_(*(literal(each) for each in after)))
    return [(row.place, as_range(row)) for row in db.session.scalars(query.order_by(*key).limit(limit))]


def report(actor: Actor, office_code: str, *, below: bool = False) -> list[Anomaly]:
    """What looks wrong with an office's numbers, and with `below` in its subtree as far as it is in reach.

    Missing numbers, numbers left out of a receipt and known nowhere, numbers that two rows hold (only written past the
    ledger), numbers used on a day before they had come, and numbers passed over while later ones of the same receipt
    were printed. At most MOST_ANOMALIES. Raises NotFound, NotAllowed.
    """
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    here = within(office.path) if below else Office.id == office.id
    stocks = db.session.execute(
        select(NumberRange.office_id, NumberRange.item_id, Office.code, Item.code.label("item"))
        .join(Office, Office.id == NumberRange.office_id)
        .join(Item, Item.id == NumberRange.item_id)
        .where(here, in_reach(reach(actor, Action.VIEW_STOCK)))
        .distinct()
        .order_by(Office.code, Item.code)
    ).all()
    return list(islice((found for stock in stocks for found in _anomalies(stock)), MOST_ANOMALIES))


# --- parts -------------------------------------------------------------------------------------------------------


def _steps(actor: Actor, item_id: int, each: Range) -> tuple[Step, ...]:
    rows = db.session.execute(
        select(Movement, Person.full_name, Delivery.bast_number, Transfer.bast_number.label("transfer_bast"))
        .join(MovementRange, same_movement(MovementRange))
        .outerjoin(Person, Person.id == Movement.actor_id)
        .outerjoin(Delivery, Delivery.id == Movement.delivery_id)
        .outerjoin(Transfer, Transfer.id == Movement.transfer_id)
        .where(
            MovementRange.item_id == item_id,
            MovementRange.prefix == each.prefix,
            MovementRange.width == each.width,
            MovementRange.first.between(each.first - each.first % BLOCK, each.first),
            MovementRange.last >= each.first,
        )
        .order_by(Movement.id)
        .limit(MOST_STEPS)
    ).all()
    known = _in_reach(actor, {row.Movement.office_id for row in rows})
    return tuple(_step(row, known.get(row.Movement.office_id)) for row in rows)


def _step(row: Any, office: OfficeView | None) -> Step:
    movement = row.Movement
    said = {"day": movement.effective_on, "kind": movement.kind, "reason": movement.reason}
    said["reversal"] = movement.quantity < 0
    if office is None:
        return Step(**said, office=None)
    return Step(
        **said,
        office=office,
        recorded_at=movement.recorded_at,
        by=row.full_name,
        bast_number=row.bast_number or row.transfer_bast,
        transfer_id=movement.transfer_id,
        note=movement.note,
    )


def _in_reach(actor: Actor, office_ids: set[int]) -> dict[int, OfficeView]:
    """Of these offices, those whose stock the actor may see."""
    allowed = in_reach(reach(actor, Action.VIEW_STOCK))
    rows = db.session.scalars(select(Office).where(Office.id.in_(office_ids), allowed))
    return {row.id: offices.view(row) for row in rows}


def _anomalies(stock: Any) -> Iterator[Anomaly]:
    def found(kind: str, numbers: Range, day: date | None = None, document: str = "") -> Anomaly:
        return Anomaly(
            kind=kind, office_code=stock.code, item_code=stock.item, numbers=numbers, day=day, document=document
        )

    for each in _lying(stock, "missing"):
        yield found("missing", each)
    yield from (found("overlap", each) for each in _overlaps(stock))
    yield from (found("early", as_range(row), row.effective_on) for row in _used_early(stock))
    unused, printed = _lying(stock, "store"), _lying(stock, "printed")
    for day, document, lot in _lots(stock):
        for each in gaps(lot):
            known = [as_range(row) for row in overlapping(db.session(), stock.item_id, each)]
            yield from (found("gap", left, day, document) for left in less([each], known))
        passed = passed_over(common(lot, unused), common(lot, printed))
        yield from (found("skipped", each, day, document) for each in passed)


def _lying(stock: Any, place: str) -> Ranges:
    rows = db.session.scalars(
        select(NumberRange)
        .where(
            NumberRange.office_id == stock.office_id,
            NumberRange.item_id == stock.item_id,
            NumberRange.place == place,
        )
        .order_by(NumberRange.prefix, NumberRange.width, NumberRange.first)
    )
    return tuple(sorted(map(as_range, rows)))


def _lots(stock: Any) -> Iterator[tuple[date, str, Ranges]]:
    """The newest receipts and arrivals of an office and item that stand: day, document and numbers of each."""
    undo = aliased(Movement)
    newest = (
        select(Movement.request_id, func.max(Movement.id).label("id"))
        .where(
            Movement.office_id == stock.office_id,
            Movement.item_id == stock.item_id,
            Movement.quantity > 0,
            Movement.kind.in_((Kind.RECEIPT.value, Kind.ARRIVAL.value)),
            Movement.reason.in_(("supplied", "opening", "defective", "arrived", "arrived_damaged")),
            ~exists().where(undo.reverses_id == Movement.id),
        )
        .group_by(Movement.request_id)
        .order_by(func.max(Movement.id).desc())
        .limit(LOTS)
        .subquery()
    )
    rows = db.session.execute(
        select(
            newest.c.id,
            Movement.effective_on,
            func.coalesce(Delivery.bast_number, Transfer.bast_number, "").label("document"),
            *_RANGE,
        )
        .join(Movement, Movement.request_id == newest.c.request_id)
        .join(MovementRange, same_movement(MovementRange))
        .outerjoin(Delivery, Delivery.id == Movement.delivery_id)
        .outerjoin(Transfer, Transfer.id == Movement.transfer_id)
        .where(Movement.office_id == stock.office_id, Movement.item_id == stock.item_id)
    )
    lots: dict[int, tuple[date, str, list[Range]]] = {}
    for row in rows:
        lots.setdefault(row.id, (row.effective_on, row.document, []))[2].append(as_range(row))
    for _, (day, document, ranges) in sorted(lots.items()):
        yield day, document, joined(sorted(ranges))


_RANGE = (MovementRange.prefix, MovementRange.width, MovementRange.first, MovementRange.last)


def _used_early(stock: Any) -> Sequence[Any]:
    """Numbers that left the store on a day before any receipt had brought them to this office."""
    used, use = aliased(MovementRange), aliased(Movement)
    brought, receipt = aliased(MovementRange), aliased(Movement)
    before, earlier, undo = aliased(MovementRange), aliased(Movement), aliased(Movement)
    coming = [kind.value for kind in (Kind.RECEIPT, Kind.ARRIVAL)]

    def came(movement: Any) -> Any:
        return and_(
            movement.office_id == stock.office_id,
            movement.item_id == stock.item_id,
            movement.kind.in_(coming),
            movement.quantity > 0,
        )

    going = (Kind.PRINT.value, Kind.SPOIL.value, Kind.DISPATCH.value, Kind.RETURN.value)
    in_time = exists().where(
        share_numbers(before, used),
        same_movement(before, earlier),
        came(earlier),
        earlier.effective_on <= use.effective_on,
    )
    return db.session.execute(
        select(used.prefix, used.width, used.first, used.last, use.effective_on)
        .join(use, same_movement(used, use))
        .where(
            use.office_id == stock.office_id,
            use.item_id == stock.item_id,
            use.kind.in_(going),
            use.quantity > 0,
            ~exists().where(undo.reverses_id == use.id),
            exists().where(
                share_numbers(brought, used),
                same_movement(brought, receipt),
                came(receipt),
                receipt.effective_on > use.effective_on,
            ),
            ~in_time,
        )
        .order_by(use.id)
        .limit(MOST_ANOMALIES)
    ).all()


def _overlaps(stock: Any) -> Ranges:
    """The rows of this stock that share a number with the row before or after them, wherever that lies."""
    own, before, after = aliased(NumberRange), aliased(NumberRange), aliased(NumberRange)

    def neighbour(row: Any) -> Any:
        return and_(row.item_id == own.item_id, row.prefix == own.prefix, row.width == own.width)

    end_before = (
        select(before.last)
        .where(neighbour(before), before.first < own.first)
        .order_by(before.first.desc())
        .limit(1)
        .scalar_subquery()
    )
    begin_after = select(func.min(after.first)).where(neighbour(after), after.first > own.first).scalar_subquery()
    rows = db.session.scalars(
        select(own)
        .where(
            own.office_id == stock.office_id,
            own.item_id == stock.item_id,
            or_(end_before >= own.first, begin_after <= own.last),
        )
        .limit(MOST_ANOMALIES)
    )
    return tuple(sorted(map(as_range, rows)))
