"""Deliveries: blanks handed over to an office with a record (BAST)."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from inventory.db import db
from inventory.domain.access import Action, Actor
from inventory.domain.errors import Invalid
from inventory.domain.ledger import NOTE_LENGTH, Kind, Line, check_day
from inventory.domain.quantities import check_quantity
from inventory.domain.texts import check_text
from inventory.models import Delivery, Item
from inventory.services import items, offices
from inventory.services.consumption import FIRST_DAY
from inventory.services.ledger import Posting, post, require_untouched

FUNDING_SOURCES = ("apbn", "apbd")
TEXT_LENGTHS = {
    "bast_number": 80,
    "funding_source": 8,
    "supplier": 120,
    "handed_over_by": 120,
    "taken_over_by": 120,
    "note": NOTE_LENGTH,
}


@dataclass(frozen=True, kw_only=True)
class Handover:
    """What a record of hand-over says. `received` counts all cards on arrival, the `defective` ones included.

    `bast_on` is the date on the record, `received_on` the office's own day of arrival.
    """

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
    id: int
    item_code: str
    bast_number: str
    bast_on: date
    asked: int | None
    received: int
    defective: int
    funding_source: str
    supplier: str
    voided: bool


def record(
    actor: Actor, now: datetime, request_id: UUID, office_code: str, item_code: str, handover: Handover
) -> Posting:
    """Record a delivery and its movements: what is good goes to the store, what is defective to the spoiled.

    Raises Invalid `bast_number_missing`, `supplier_missing`, `defective_exceeds_received`, `bast_after_arrival`,
    `funding_source_unknown`, `day_in_future`, `day_too_early`; Refusal `bast_already_recorded`; and what
    `ledger.post` raises.
    """
    office = offices.get(actor, Action.RECORD_DELIVERY, office_code)
    item = items.get(item_code)
    check_day(handover.received_on, office.today(now), FIRST_DAY)
    handover = checked(handover)
    good = handover.received - handover.defective
    lines = [
        Line(
            office_id=office.id,
            item_id=item.id,
            kind=Kind.RECEIPT,
            reason=reason,
            quantity=quantity,
            effective_on=handover.received_on,
        )
        for reason, quantity in (("supplied", good), ("defective", handover.defective))
        if quantity
    ]

    def write_delivery(session: Session) -> dict[str, int]:
        values = asdict(handover) | {"office_id": office.id, "item_id": item.id}
        del values["received_on"]
        values |= {"recorded_at": now, "recorded_by_id": actor.person_id}
        return {"delivery_id": session.execute(insert(Delivery).values(values).returning(Delivery.id)).scalar_one()}

    return post(actor, now, request_id, lines, extra=asdict(handover), document=write_delivery)


def record_opening(
    actor: Actor,
    now: datetime,
    request_id: UUID,
    office_code: str,
    item_code: str,
    day: date,
    quantity: int,
    note: str,
) -> Posting:
    """Record what an office holds when it starts to keep this ledger: once per item, before anything else.

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
        quantity=quantity,
        effective_on=day,
        note=note.strip(),
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
    rows = db.session.execute(
        select(Delivery, Item.code)
        .join(Item, Item.id == Delivery.item_id)
        .where(Delivery.office_id == office.id)
        .order_by(Delivery.recorded_at.desc(), Delivery.id.desc())
        .limit(limit)
    )
    return [
        DeliveryView(
            id=row.id,
            item_code=item_code,
            bast_number=row.bast_number,
            bast_on=row.bast_on,
            asked=row.asked,
            received=row.received,
            defective=row.defective,
            funding_source=row.funding_source,
            supplier=row.supplier,
            voided=row.voided_at is not None,
        )
        for row, item_code in rows
    ]


def checked(handover: Handover) -> Handover:
    """The handover with its texts trimmed. Raises Invalid for what no record of hand-over can say, see `record`."""
    texts = {name: check_text(getattr(handover, name), most) for name, most in TEXT_LENGTHS.items()}
    handover = replace(handover, **texts)
    if not handover.bast_number:
        raise Invalid("bast_number_missing")
    if not handover.supplier:
        raise Invalid("supplier_missing")
    check_quantity(handover.received)
    if handover.asked is not None:
        check_quantity(handover.asked)
    if not 0 <= handover.defective <= handover.received:
        raise Invalid("defective_exceeds_received", defective=handover.defective, received=handover.received)
    if handover.bast_on > handover.received_on:
        raise Invalid("bast_after_arrival", bast_on=handover.bast_on, received_on=handover.received_on)
    if handover.funding_source not in FUNDING_SOURCES:
        raise Invalid("funding_source_unknown")
    return handover
