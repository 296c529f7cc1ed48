"""Records on paper of what the ledger holds: hand-overs (BAST), stock cards, stocktakes and destructions."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import aliased

from inventory.db import db
from inventory.domain.access import Action, Actor, may
from inventory.domain.documents import (
    CardEntry,
    CountedLine,
    CountSheet,
    DeliveredLine,
    DeliveryRecord,
    DestroyedLine,
    DestructionRecord,
    Party,
    StockCardRecord,
    StocktakeRecord,
    TransferRecord,
    TransferredLine,
    digest_of,
    to_facts,
)
from inventory.domain.errors import NotFound, Refusal
from inventory.domain.offices import local_day
from inventory.domain.proposals import ProposalKind, ProposalStatus
from inventory.models import Delivery, Item, Movement, Office, Person, Transfer
from inventory.services import deliveries, destructions, documents, offices, stock_cards, stocktakes, transfers
from inventory.services.deliveries import RecordView
from inventory.services.documents import DocumentView
from inventory.services.stock_cards import CardLine, StockCard
from inventory.services.stocktakes import StocktakeView


def issue_delivery(actor: Actor, now: datetime, delivery_id: int, link_base: str) -> DocumentView:
    """The record of hand-over to which a delivery belongs, with all its items: one per record.

    Raises NotFound `delivery_not_found`; Refusal `delivery_reversed` for one that never was.
    """
    found = db.session.execute(
        select(Delivery.office_id, Office.path)
        .join(Office, Office.id == Delivery.office_id)
        .where(Delivery.id == delivery_id)
    ).one_or_none()
    if found is None or not may(actor, Action.VIEW_STOCK, found.path):
        raise NotFound("delivery_not_found")
    office = offices.by_id(actor, Action.VIEW_STOCK, found.office_id)
    record = deliveries.get(actor, office.code, delivery_id)
    subject = str(min(each.id for each in record.items))
    earlier = documents.find(actor, office, "delivery", subject)
    if earlier is not None:
        return earlier
    if record.voided:
        raise Refusal("delivery_reversed")
    facts, day = to_facts(_delivery_record(record)), office.today(now)
    made_up = _made_up(Movement.delivery_id.in_([each.id for each in record.items]))
    return documents.issue(actor, now, office, "delivery", subject, day, facts, link_base, synthetic=made_up)


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


def issue_count_sheet(actor: Actor, now: datetime, stocktake_id: int, link_base: str) -> DocumentView:
    """The sheet to count on: the items and empty boxes, never a figure of the book. Raises NotFound
    `stocktake_not_found`."""
    stocktake = stocktakes.get(actor, now, stocktake_id)
    office = offices.by_id(actor, Action.VIEW_STOCK, stocktake.office_id)
    names = _item_names()
    sheet = CountSheet(
        count_on=local_day(stocktake.opened_at, stocktake.time_zone),
        items=tuple(names[line.item_code] for line in stocktake.lines),
    )
    day = office.today(now)
    return documents.issue(actor, now, office, "count_sheet", str(stocktake_id), day, to_facts(sheet), link_base)


def issue_stocktake(actor: Actor, now: datetime, stocktake_id: int, link_base: str) -> DocumentView:
    """The record of an approved stocktake. Raises NotFound `stocktake_not_found`, Refusal `stocktake_not_approved`."""
    stocktake = stocktakes.get(actor, now, stocktake_id)
    if stocktake.approved_at is None:
        raise Refusal("stocktake_not_approved")
    office = offices.by_id(actor, Action.VIEW_STOCK, stocktake.office_id)
    facts = to_facts(_stocktake_record(stocktake, local_day(stocktake.approved_at, stocktake.time_zone)))
    day = office.today(now)
    return documents.issue(actor, now, office, "stocktake", str(stocktake_id), day, facts, link_base)


def issue_destruction(actor: Actor, now: datetime, destruction_id: int, link_base: str) -> DocumentView:
    """The record of an approved destruction. Raises NotFound `proposal_not_found`, Refusal
    `destruction_not_approved`."""
    record = destructions.get(actor, destruction_id)
    proposal = record.proposal
    if proposal.kind is not ProposalKind.DESTRUCTION:
        raise NotFound("proposal_not_found")
    if proposal.status is not ProposalStatus.APPROVED:
        raise Refusal("destruction_not_approved")
    office = offices.by_id(actor, Action.VIEW_STOCK, proposal.office_id)
    names = _item_names()
    facts = to_facts(
        DestructionRecord(
            destroyed_on=record.happened_on,
            place=record.place,
            method=record.method,
            total=record.total,
            lines=tuple(
                DestroyedLine(item=names[part.item_code], cause=part.cause, quantity=part.quantity)
                for part in record.parts
            ),
            officer=_party(office.name, proposal.proposed_by),
            witnesses=tuple(Party(office="", name=each.name, position=each.position) for each in record.witnesses),
            approver=_party(office.name, proposal.decided_by),
            note=proposal.note,
        )
    )
    day = office.today(now)
    return documents.issue(actor, now, office, "destruction", str(destruction_id), day, facts, link_base)


# --- parts -------------------------------------------------------------------------------------------------------


def _delivery_record(record: RecordView) -> DeliveryRecord:
    names = _item_names()
    return DeliveryRecord(
        bast_number=record.bast_number,
        bast_on=record.bast_on,
        received_on=record.received_on,
        handed_over=Party(office=record.supplier, name=record.handed_over_by),
        taken_over=Party(office=record.office_name, name=record.taken_over_by),
        funding_source=record.funding_source,
        condition=" · ".join(dict.fromkeys(each.note for each in record.items if each.note)),
        lines=tuple(
            DeliveredLine(
                item=names[each.item_code],
                asked=each.asked,
                allotted=each.allotted,
                received=each.received,
                defective=each.defective,
                cartons=each.cartons,
            )
            for each in record.items
        ),
    )


def _made_up(condition: ColumnElement[bool]) -> bool:
    """Whether some movement behind a document is made up for a demonstration."""
    return bool(
        db.session.scalar(select(select(Movement.id).where(condition, Movement.origin == "synthetic").exists()))
    )


def _party(office_name: str, name: str | None) -> Party:
    return Party(office=office_name, name=name or "")


def _stocktake_record(stocktake: StocktakeView, approved_on: date) -> StocktakeRecord:
    names = _item_names()
    counters = dict.fromkeys(line.counted_by for line in stocktake.lines if line.counted_by)
    recounters = dict.fromkeys(line.recounted_by for line in stocktake.lines if line.recounted_by)
    first = min(line.counted_at for line in stocktake.lines if line.counted_at)
    return StocktakeRecord(
        counted_on=local_day(first, stocktake.time_zone),
        counted_by=_party(stocktake.office_name, ", ".join(counters)),
        recounted_by=_party(stocktake.office_name, ", ".join(recounters)) if recounters else None,
        approved_by=_party(stocktake.office_name, stocktake.approved_by),
        approved_on=approved_on,
        note=" · ".join(part for part in (stocktake.record_number, stocktake.note) if part),
        lines=tuple(
            CountedLine(
                item=names[line.item_code],
                count=line.counted or 0,
                counted_at=line.stands_at or stocktake.opened_at,
                book=line.book or 0,
                recount=line.recounted,
            )
            for line in stocktake.lines
        ),
    )


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
