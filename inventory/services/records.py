"""Records on paper of what the ledger holds: hand-overs (BAST) of deliveries and transfers, and stock cards."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import aliased

from inventory.db import db
from inventory.domain.access import Action, Actor, may
from inventory.domain.documents import (
    CardEntry,
    DeliveredLine,
    DeliveryRecord,
    Party,
    StockCardRecord,
    TransferRecord,
    TransferredLine,
    digest_of,
    to_facts,
)
from inventory.domain.errors import NotFound, Refusal
from inventory.models import Delivery, Item, Movement, Office, Person, Transfer
from inventory.services import documents, offices, stock_cards, transfers
from inventory.services.documents import DocumentView
from inventory.services.stock_cards import CardLine, StockCard


def issue_delivery(actor: Actor, now: datetime, delivery_id: int, link_base: str) -> DocumentView:
    """A delivery's record of hand-over: one per delivery.

    Raises NotFound `delivery_not_found`; Refusal `delivery_reversed` for one that never was.
    """
    row = _delivery(delivery_id)
    if row is None or not may(actor, Action.VIEW_STOCK, row.path):
        raise NotFound("delivery_not_found")
    office = offices.by_id(actor, Action.VIEW_STOCK, row.Delivery.office_id)
    subject = str(delivery_id)
    earlier = documents.find(actor, office, "delivery", subject)
    if earlier is not None:
        return earlier
    delivery = row.Delivery
    if delivery.voided_at is not None:
        raise Refusal("delivery_reversed")
    record = DeliveryRecord(
        bast_number=delivery.bast_number,
        bast_on=delivery.bast_on,
        received_on=row.received_on,
        handed_over=Party(office=delivery.supplier, name=delivery.handed_over_by),
        taken_over=Party(office=office.name, name=delivery.taken_over_by),
        funding_source=delivery.funding_source,
        condition=delivery.note,
        lines=(
            DeliveredLine(
                item=documents.item_name(row.Item),
                asked=delivery.asked,
                received=delivery.received,
                defective=delivery.defective,
            ),
        ),
    )
    day = office.today(now)
    return documents.issue(
        actor, now, office, "delivery", subject, day, to_facts(record), link_base, synthetic=row.synthetic
    )


def issue_transfer(actor: Actor, now: datetime, transfer_id: int, link_base: str) -> DocumentView:
    """A transfer's record of hand-over, of the end from which the actor looks at it: one while it is under way, and
    one when it has been counted or cancelled. Raises NotFound `transfer_not_found`.
    """
    transfer = transfers.get(actor, now, transfer_id)
    sees_sender = may(actor, Action.VIEW_STOCK, transfer.sender_path)
    own = transfer.sender_code if sees_sender else transfer.receiver_code
    office = offices.get(actor, Action.VIEW_STOCK, own)
    sent_by, closed_by, synthetic = _transfer_people(transfer_id)
    names = _item_names()
    record = TransferRecord(
        bast_number=transfer.bast_number,
        purpose=transfer.purpose,
        status=transfer.status,
        sender=Party(office=transfer.sender_name, name=sent_by),
        receiver=Party(office=transfer.receiver_name, name=closed_by if transfer.status == "received" else ""),
        custodian=transfer.custodian,
        dispatched_on=transfer.dispatched_on,
        expected_on=transfer.expected_on,
        due_on=transfer.due_on,
        closed_on=transfer.closed_on,
        note=transfer.note,
        lines=tuple(
            TransferredLine(
                item=names[line.item_code],
                sent=line.sent,
                received=line.received,
                damaged=line.damaged,
                short=line.short,
            )
            for line in transfer.lines
        ),
    )
    subject, day = f"{transfer_id}/{transfer.status}", office.today(now)
    return documents.issue(
        actor, now, office, "transfer", subject, day, to_facts(record), link_base, synthetic=synthetic
    )


def issue_stock_card(
    actor: Actor,
    now: datetime,
    office_code: str,
    item_code: str,
    since: date | None,
    until: date | None,
    link_base: str,
) -> DocumentView:
    """The stock card of a period. While it says the same it is the same document; with a late entry it is another.

    Raises what `stock_cards.read` raises.
    """
    card = stock_cards.read(actor, now, office_code, item_code, since, until)
    facts = to_facts(_card_record(card))
    # The digest tells apart what the same period came to at different times.
    state = digest_of(repr(facts))[:16]
    subject, day = f"{item_code}/{card.since}/{card.until}/{state}", card.office.today(now)
    return documents.issue(
        actor, now, card.office, "stock_card", subject, day, facts, link_base, synthetic=card.synthetic
    )


# --- parts -------------------------------------------------------------------------------------------------------


def _delivery(delivery_id: int) -> Any:
    moved = (
        select(func.min(Movement.effective_on).label("received_on"), func.min(Movement.origin).label("origin"))
        .where(Movement.delivery_id == delivery_id, Movement.reverses_id.is_(None))
        .subquery()
    )
    return db.session.execute(
        select(
            Delivery,
            Item,
            Office.path,
            moved.c.received_on,
            (moved.c.origin == "synthetic").label("synthetic"),
        )
        .join(Item, Item.id == Delivery.item_id)
        .join(Office, Office.id == Delivery.office_id)
        .join(moved, moved.c.received_on.is_not(None))
        .where(Delivery.id == delivery_id)
    ).one_or_none()


def _transfer_people(transfer_id: int) -> tuple[str, str, bool]:
    """Who dispatched and who closed a transfer, and whether it is made up."""
    sent, closed = aliased(Person), aliased(Person)
    made_up = select(Movement.id).where(Movement.transfer_id == transfer_id, Movement.origin == "synthetic").exists()
    row = db.session.execute(
        select(sent.full_name, closed.full_name, made_up)
        .select_from(Transfer)
        .outerjoin(sent, sent.id == Transfer.dispatched_by_id)
        .outerjoin(closed, closed.id == Transfer.closed_by_id)
        .where(Transfer.id == transfer_id)
    ).one()
    return row[0] or "", row[1] or "", bool(row[2])


def _item_names() -> dict[str, Any]:
    return {item.code: documents.item_name(item) for item in db.session.scalars(select(Item))}


def _card_record(card: StockCard) -> StockCardRecord:
    return StockCardRecord(
        item=documents.item_name(card.item),
        since=card.since,
        until=card.until,
        opening=card.opening,
        lines=tuple(_entry(line) for line in card.lines),
        closing=card.closing,
    )


def _entry(line: CardLine) -> CardEntry:
    return CardEntry(
        seq=line.seq,
        day=line.day,
        kind=line.kind,
        reason=line.reason,
        quantity=line.quantity,
        change=line.change,
        left=line.left,
        reference=" · ".join(part for part in (line.bast_number, line.note) if part),
        reverses_seq=line.reverses_seq,
    )
