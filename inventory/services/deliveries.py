"""Deliveries: blanks handed over to an office with a record (BAST), of one item or of several."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, insert, select
from sqlalchemy.orm import Session

from inventory.db import db
from inventory.domain.access import Action, Actor, reach
from inventory.domain.errors import Invalid, NotFound
from inventory.domain.ledger import NOTE_LENGTH, Kind, Line, check_day
from inventory.domain.quantities import check_quantity
from inventory.domain.ranges import Ranges, count, less_part
from inventory.domain.requests import check_allotment, expected, short_and_over
from inventory.domain.texts import check_text
from inventory.models import Delivery, Item, Office
from inventory.services import items, offices, open_requests
from inventory.services.consumption import FIRST_DAY
from inventory.services.ledger import Posting, post, require_untouched
from inventory.services.offices import in_reach

FUNDING_SOURCES = ("apbn", "apbd")
TEXT_LENGTHS = {
    "bast_number": 80,
    "funding_source": 8,
    "supplier": 120,
    "handed_over_by": 120,
    "taken_over_by": 120,
}


@dataclass(frozen=True, kw_only=True)
class Paper:
    """What a record of hand-over says of all its items. `bast_on` is the date on the record, `received_on` the
    office's own day of arrival; `delivery_request_id` names the request that it answers."""

    bast_number: str
    bast_on: date
    received_on: date
    funding_source: str
    supplier: str
    handed_over_by: str = ""
    taken_over_by: str = ""
    delivery_request_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class Counted:
    """What it says of one item. `received` counts all cards on arrival, the `defective` ones included; `asked` and
    `allotted` what was still to come before; `note` the condition in which it came."""

    received: int
    defective: int = 0
    asked: int | None = None
    allotted: int | None = None
    cartons: int | None = None
    note: str = ""
    ranges: Ranges = ()
    """The numbers of all that arrived, of an item whose numbers are kept; a quantity of 0 is then theirs."""
    defective_ranges: Ranges = ()


@dataclass(frozen=True, kw_only=True)
class Handover:
    """What a record of hand-over of a single item says: a `Paper` and what was `Counted`."""

    bast_number: str
    bast_on: date
    received_on: date
    asked: int | None
    received: int
    defective: int
    funding_source: str
    supplier: str
    handed_over_by: str = ""
    taken_over_by: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class DeliveryView:
    """One item of a hand-over. `short` and `over` are told against what was allotted, or else asked."""

    id: int
    item_code: str
    bast_number: str
    bast_on: date
    received_on: date
    asked: int | None
    allotted: int | None
    received: int
    defective: int
    short: int
    over: int
    cartons: int | None
    funding_source: str
    supplier: str
    handed_over_by: str
    taken_over_by: str
    note: str
    delivery_request_id: int | None
    voided: bool


@dataclass(frozen=True, kw_only=True)
class RecordView:
    """A record of hand-over (BAST) with all its items, in their order. `voided` when every one was reversed."""

    office_code: str
    office_name: str
    office_path: str
    bast_number: str
    bast_on: date
    received_on: date
    funding_source: str
    supplier: str
    handed_over_by: str
    taken_over_by: str
    delivery_request_id: int | None
    recorded_at: datetime
    voided: bool
    items: tuple[DeliveryView, ...]


def record(
    actor: Actor,
    now: datetime,
    request_id: UUID,
    office_code: str,
    item_code: str,
    handover: Handover,
    *,
    ranges: Ranges = (),
    defective_ranges: Ranges = (),
) -> Posting:
    """Record a delivery of one item, see `record_many`."""
    paper, one = _parts(handover)
    one = replace(one, ranges=ranges, defective_ranges=defective_ranges)
    return record_many(actor, now, request_id, office_code, paper, {item_code: one})


def record_many(
    actor: Actor, now: datetime, request_id: UUID, office_code: str, paper: Paper, counted: Mapping[str, Counted]
) -> Posting:
    """Record a hand-over and its movements, by item code, all or nothing: what is good goes to the store, what is
    defective to the spoiled. The request that it names is closed when nothing more is to come on it.

    Raises Invalid `nothing_entered`, `bast_number_missing`, `supplier_missing`, `defective_exceeds_received`,
    `bast_after_arrival`, `funding_source_unknown`, `day_in_future`, `day_too_early`, `arrived_before_asked`,
    `range_not_part`; NotFound `delivery_request_not_found`; Refusal `delivery_request_closed`,
    `bast_already_recorded`; and what `ledger.post` raises.
    """
    office = offices.get(actor, Action.RECORD_DELIVERY, office_code)
    check_day(paper.received_on, office.today(now), FIRST_DAY)
    paper = _checked_paper(paper)
    by_id = {items.get(code).id: _checked(counted[code], code) for code in counted}
    lines = [line for item_id, one in sorted(by_id.items()) for line in _lines(office.id, item_id, paper, one)]

    def write_deliveries(session: Session) -> list[dict[str, int]]:
        if paper.delivery_request_id is not None:
            open_requests.take_in(session, paper.delivery_request_id, office.id, paper.received_on, len(by_id))
        said = asdict(paper) | {"office_id": office.id, "recorded_at": now, "recorded_by_id": actor.person_id}
        del said["received_on"]
        ids = {
            item_id: session.execute(
                insert(Delivery).values(said | _figures(one) | {"item_id": item_id}).returning(Delivery.id)
            ).scalar_one()
            for item_id, one in sorted(by_id.items())
        }
        if paper.delivery_request_id is not None:
            open_requests.settle(session, paper.delivery_request_id, paper.received_on, now)
        return [{"delivery_id": ids[line.item_id]} for line in lines]

    extra = asdict(paper) | {"counted": {item_id: _figures(one) for item_id, one in sorted(by_id.items())}}
    return post(actor, now, request_id, lines, extra=extra, document=write_deliveries)


def record_opening(
    actor: Actor,
    now: datetime,
    request_id: UUID,
    office_code: str,
    item_code: str,
    day: date,
    quantity: int,
    note: str,
    *,
    ranges: Ranges = (),
) -> Posting:
    """Record what an office holds when it starts to keep this ledger: once per item, before anything else.

    With `ranges` a quantity of 0 is theirs.

    Raises Refusal `opening_not_first`, Invalid `day_in_future`, `day_too_early`, and what `ledger.post` raises.
    """
    office = offices.get(actor, Action.RECORD_DELIVERY, office_code)
    item = items.get(item_code)
    check_day(day, office.today(now), FIRST_DAY)
    line = Line(
        office_id=office.id,
        item_id=item.id,
        kind=Kind.RECEIPT,
        reason="opening",
        quantity=quantity or count(ranges),
        effective_on=day,
        note=note.strip(),
        ranges=ranges,
    )
    return post(
        actor,
        now,
        request_id,
        [line],
        document=lambda session: require_untouched(session, (office.id, item.id)),
    )


def latest(actor: Actor, office_code: str, limit: int = 20) -> list[DeliveryView]:
    """An office's deliveries, the newest first."""
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    newest = _query(Delivery.office_id == office.id).order_by(Delivery.recorded_at.desc(), Delivery.id.desc())
    return [_view(row) for row in db.session.execute(newest.limit(limit))]


def newest(actor: Actor, office_code: str, before_id: int | None, limit: int) -> list[DeliveryView]:
    """An office's deliveries, those recorded last first, from below an id on. Raises NotFound, NotAllowed."""
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    found = _query(Delivery.office_id == office.id)
    if before_id is not None:
        found = found.where(Delivery.id < before_id)
    return [_view(row) for row in db.session.execute(found.order_by(Delivery.id.desc()).limit(limit))]


def of_request(actor: Actor, office_code: str, delivery_request_id: int) -> list[DeliveryView]:
    """The hand-overs that name a request, in the order in which they were recorded."""
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    named = _query(Delivery.office_id == office.id, Delivery.delivery_request_id == delivery_request_id)
    return [_view(row) for row in db.session.execute(named.order_by(Delivery.id))]


def get(actor: Actor, office_code: str, delivery_id: int) -> RecordView:
    """The record of hand-over to which a delivery of the office belongs. Raises NotFound `delivery_not_found`,
    `office_not_found`, NotAllowed."""
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    mine = (Delivery.id == delivery_id, Delivery.office_id == office.id)
    number = db.session.scalar(select(Delivery.bast_number).where(*mine))
    if number is None:
        raise NotFound("delivery_not_found")
    return get_record(actor, office_code, number)


def get_record(actor: Actor, office_code: str, bast_number: str) -> RecordView:
    """All that an office's record of hand-over says, item by item. What was reversed is left out, unless all was.

    Raises NotFound `delivery_not_found`, `office_not_found`, NotAllowed.
    """
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    numbered = _query(Delivery.office_id == office.id, Delivery.bast_number == bast_number)
    rows = [] if "\x00" in bast_number else db.session.execute(numbered.order_by(Item.position, Delivery.id)).all()
    rows = [row for row in rows if row.voided_at is None] or rows
    if not rows:
        raise NotFound("delivery_not_found")
    first = rows[0]
    same = ("bast_number", "bast_on", "received_on", "funding_source", "supplier")
    parties = ("handed_over_by", "taken_over_by", "delivery_request_id", "recorded_at")
    return RecordView(
        **{name: getattr(first, name) for name in (*same, *parties)},
        office_code=office.code,
        office_name=office.name,
        office_path=office.path,
        voided=first.voided_at is not None,
        items=tuple(_view(row) for row in rows),
    )


def supplier_names(actor: Actor, limit: int = 50) -> list[str]:
    """The suppliers that deliveries in the actor's reach name, each in one spelling, by name."""
    key = func.lower(func.trim(Delivery.supplier))
    rows = db.session.scalars(
        select(func.min(Delivery.supplier))
        .join(Office, Office.id == Delivery.office_id)
        .where(in_reach(reach(actor, Action.VIEW_STOCK)))
        .group_by(key)
        .order_by(key)
        .limit(limit)
    )
    return list(rows)


# --- parts -------------------------------------------------------------------------------------------------------


def _query(*conditions: ColumnElement[bool]) -> Any:
    return (
        select(
            *Delivery.__table__.columns,
            Item.code.label("item_code"),
            open_requests.received_on().label("received_on"),
        )
        .join(Item, Item.id == Delivery.item_id)
        .where(*conditions)
    )


def _view(row: Any) -> DeliveryView:
    short, over = short_and_over(expected(row.asked, row.allotted), row.received)
    plain = set(DeliveryView.__dataclass_fields__) - {"short", "over", "voided"}
    said = {name: getattr(row, name) for name in plain}
    return DeliveryView(**said, short=short, over=over, voided=row.voided_at is not None)


def _figures(one: Counted) -> dict[str, Any]:
    """What a delivery's row keeps of it: its numbers are the movements'."""
    return {name: value for name, value in asdict(one).items() if name not in ("ranges", "defective_ranges")}


def _lines(office_id: int, item_id: int, paper: Paper, one: Counted) -> list[Line]:
    good, good_ranges = one.received - one.defective, less_part(one.ranges, one.defective_ranges)
    return [
        Line(
            office_id=office_id,
            item_id=item_id,
            kind=Kind.RECEIPT,
            reason=reason,
            quantity=quantity,
            effective_on=paper.received_on,
            ranges=numbers,
        )
        for reason, quantity, numbers in (
            ("supplied", good, good_ranges),
            ("defective", one.defective, one.defective_ranges),
        )
        if quantity
    ]


def checked(handover: Handover) -> Handover:
    """The handover with its texts trimmed. Raises Invalid for what no record of hand-over can say, see `record`."""
    paper, one = _parts(handover)
    said = asdict(_checked_paper(paper)) | asdict(_checked(one, ""))
    return Handover(**{name: said[name] for name in Handover.__dataclass_fields__})


def _parts(handover: Handover) -> tuple[Paper, Counted]:
    said = asdict(handover)
    figures = {name: said.pop(name) for name in ("asked", "received", "defective", "note")}
    return Paper(**said), Counted(**figures)


def _checked_paper(paper: Paper) -> Paper:
    texts = {name: check_text(getattr(paper, name), most) for name, most in TEXT_LENGTHS.items()}
    paper = replace(paper, **texts)
    if not paper.bast_number:
        raise Invalid("bast_number_missing")
    if not paper.supplier:
        raise Invalid("supplier_missing")
    if paper.bast_on > paper.received_on:
        raise Invalid("bast_after_arrival", bast_on=paper.bast_on, received_on=paper.received_on)
    if paper.funding_source not in FUNDING_SOURCES:
        raise Invalid("funding_source_unknown")
    return paper


def _checked(one: Counted, item_code: str) -> Counted:
    received, defective = one.received or count(one.ranges), one.defective or count(one.defective_ranges)
    check_quantity(received)
    for optional in (one.asked, one.cartons):
        if optional is not None:
            check_quantity(optional)
    if one.allotted is not None:
        check_allotment(one.allotted)
    if not 0 <= defective <= received:
        raise Invalid("defective_exceeds_received", item=item_code, defective=defective, received=received)
    return replace(one, received=received, defective=defective, note=check_text(one.note, NOTE_LENGTH))
