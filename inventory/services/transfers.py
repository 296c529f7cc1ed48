"""Transfers between offices, in two phases: dispatched, then received or cancelled back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, insert, or_, select, update
from sqlalchemy.orm import Session, aliased

from inventory.db import db
from inventory.domain.access import Action, Actor, may, reach, require
from inventory.domain.errors import Invalid, NotFound, Refusal
from inventory.domain.ledger import check_day
from inventory.domain.offices import local_day
from inventory.domain.ranges import Ranges, count
from inventory.domain.texts import check_text
from inventory.domain.transfers import (
    WORDS_LENGTH,
    Arrived,
    arrival_lines,
    cancel_lines,
    check_dispatch,
    check_open,
    dispatch_lines,
    short_and_over,
    with_damaged_counted,
)
from inventory.models import Item, Office, Transfer, TransferLine
from inventory.services import drafts, items, offices
from inventory.services import ranges as number_ranges
from inventory.services.consumption import FIRST_DAY
from inventory.services.ledger import Posting, post
from inventory.services.lookup import the_row
from inventory.services.offices import in_reach


@dataclass(frozen=True, kw_only=True)
class Dispatch:
    """What a sender says. Days are the sender's own; `sent` is by item code; `due_on` for loans only.

    `ranges` are the numbers sent, by item code, of items whose numbers are kept; a missing quantity is then theirs.
    """

    receiver_code: str
    purpose: str
    dispatched_on: date
    expected_on: date
    sent: Mapping[str, int]
    custodian: str
    bast_number: str
    due_on: date | None = None
    repays_id: int | None = None
    note: str = ""
    ranges: Mapping[str, Ranges] = field(default_factory=dict[str, Ranges])
    draft_id: int | None = None
    """The draft of an allotment plan that this sends."""

    def said(self) -> dict[str, object]:
        """All of it by name; without the numbers and the draft where there are none."""
        return {name: value for name, value in asdict(self).items() if name not in ("ranges", "draft_id") or value}


@dataclass(frozen=True, kw_only=True)
class TransferLineView:
    item_code: str
    sent: int
    received: int | None
    short: int | None
    damaged: int | None

    @property
    def over(self) -> int:
        """What came beyond what was sent."""
        return max(0, (self.received or 0) + (self.damaged or 0) - self.sent)

    ranges: Ranges = ()
    """The numbers that were sent, of an item whose numbers are kept."""


@dataclass(frozen=True, kw_only=True)
class TransferView:
    """A transfer as the edges see it. `overdue` is told for the sender's own day."""

    id: int
    sender_code: str
    sender_name: str
    receiver_code: str
    receiver_name: str
    receiver_path: str
    sender_path: str
    purpose: str
    status: str
    bast_number: str
    custodian: str
    dispatched_on: date
    expected_on: date
    due_on: date | None
    closed_on: date | None
    repays_id: int | None
    note: str
    overdue: bool
    lines: tuple[TransferLineView, ...]


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A transfer that should be counted where it goes."""

    id: int
    sender_name: str
    expected_on: date


MOST_WAITING = 100
WAITING_SHOWN = 3


def dispatch(actor: Actor, now: datetime, request_id: UUID, sender_code: str, out: Dispatch) -> int:
    """Send blanks off: they leave the sender's store and are in transit, in nobody's usable stock. The transfer's id.

    A repeated request finds its transfer. Raises NotFound, NotAllowed; Invalid `purpose_unknown`,
    `custodian_missing`, `bast_number_missing`, `expected_before_dispatch`, `loan_needs_due_date`, `same_office`,
    `nothing_entered`, `day_in_future`, `day_too_early`; Refusal `loan_not_found`, and what `drafts.settle` and
    `ledger.post` raise.
    """
    sender = offices.get(actor, Action.SEND_TRANSFER, sender_code)
    receiver_id = _receiver_id(out.receiver_code)
    check_day(out.dispatched_on, sender.today(now), FIRST_DAY)
    check_dispatch(out.purpose, out.dispatched_on, out.expected_on, out.due_on, out.custodian)
    bast_number, custodian = check_text(out.bast_number, 80), check_text(out.custodian, 120)
    if not bast_number:
        raise Invalid("bast_number_missing")
    if receiver_id == sender.id:
        raise Invalid("same_office")
    numbers = {items.get(code).id: given for code, given in out.ranges.items() if given}
    sent = {item_id: count(given) for item_id, given in numbers.items()}
    sent |= {items.get(code).id: quantity for code, quantity in out.sent.items() if quantity}
    lines = dispatch_lines(sender.id, out.purpose, out.dispatched_on, sent, numbers)
    _check_repayment(out, sender.id, receiver_id)

    def write_transfer(session: Session) -> dict[str, int]:
        values = {
            "request_id": request_id,
            "sender_id": sender.id,
            "receiver_id": receiver_id,
            "purpose": out.purpose,
            "status": "dispatched",
            "bast_number": bast_number,
            "custodian": custodian,
            "dispatched_on": out.dispatched_on,
            "expected_on": out.expected_on,
            "due_on": out.due_on,
            "repays_id": out.repays_id,
            "dispatched_by_id": actor.person_id,
            "recorded_at": now,
            "note": check_text(out.note, WORDS_LENGTH),
        }
        transfer_id = session.execute(insert(Transfer).values(values).returning(Transfer.id)).scalar_one()
        rows = [{"transfer_id": transfer_id, "item_id": item_id, "sent": q} for item_id, q in sorted(sent.items())]
        session.execute(insert(TransferLine), rows)
        if out.draft_id is not None:
            drafts.settle(session, actor, now, out.draft_id, transfer_id, (sender.id, receiver_id), sent)
        return {"transfer_id": transfer_id}

    coming = [(receiver_id, item_id) for item_id in sent]
    posting = post(actor, now, request_id, lines, extra=out.said(), document=write_transfer, expecting=coming)
    return _transfer_id(posting)


def receive(
    actor: Actor, now: datetime, request_id: UUID, transfer_id: int, day: date, arrived: Mapping[str, Arrived]
) -> int:
    """Count what came, by item code: good cards go to the receiver's store, damaged ones to its spoiled, and what is
    short stays the sender's missing, as does, below zero, what came beyond what was sent.
    `day` is the receiver's own. The transfer's id.

    Raises NotFound, NotAllowed; Refusal `transfer_closed`; Invalid `arrived_items_differ`,
    `more_arrived_than_sent`, `range_not_part`, `arrived_before_dispatch`, `day_in_future`, and what `ledger.post`
    raises.
    """
    transfer = _transfer(transfer_id)
    require(actor, Action.RECEIVE_TRANSFER, transfer.receiver_path)
    check_day(day, local_day(now, transfer.receiver_zone), FIRST_DAY)
    _check_order(day, transfer.dispatched_on)
    by_id = {items.get(code).id: with_damaged_counted(came) for code, came in arrived.items()}
    sent, numbers = _sent(transfer_id), number_ranges.sent_with(db.session(), transfer_id)
    lines = arrival_lines(transfer.sender_id, transfer.receiver_id, day, sent, by_id, numbers)

    def close(session: Session) -> dict[str, int]:
        _close(session, transfer_id, "received", actor, now, day)
        for item_id, came in by_id.items():
            counted = {"received": came.good, "damaged": came.damaged}
            counted["short"], _over = short_and_over(sent[item_id], came)
            line = (TransferLine.transfer_id == transfer_id, TransferLine.item_id == item_id)
            session.execute(update(TransferLine).where(*line).values(counted))
        return {"transfer_id": transfer_id}

    said = {"received": transfer_id}
    # What came short or damaged changes no store, and is no longer on its way.
    came_to = [(transfer.receiver_id, item_id) for item_id in by_id]
    return _transfer_id(post(actor, now, request_id, lines, extra=said, document=close, expecting=came_to))


def cancel(actor: Actor, now: datetime, request_id: UUID, transfer_id: int, day: date, why: str) -> int:
    """The sender takes everything back into its store; the reason joins the transfer's note. A draft that the transfer
    sent waits to be sent again. The transfer's id.

    Raises NotFound, NotAllowed; Refusal `transfer_closed`; Invalid `cancel_needs_reason`, `text_too_long`,
    `arrived_before_dispatch`, `day_in_future`, and what `ledger.post` raises.
    """
    transfer = _transfer(transfer_id)
    require(actor, Action.SEND_TRANSFER, transfer.sender_path)
    check_day(day, local_day(now, transfer.sender_zone), FIRST_DAY)
    _check_order(day, transfer.dispatched_on)
    why = check_text(why, WORDS_LENGTH)
    if not why:
        raise Invalid("cancel_needs_reason")
    note = " · ".join(part for part in (transfer.note, why) if part)
    numbers = number_ranges.sent_with(db.session(), transfer_id)
    sent = _sent(transfer_id)
    lines = cancel_lines(transfer.sender_id, day, sent, numbers)

    def close(session: Session) -> dict[str, int]:
        # Its draft first: the database lets no transfer be cancelled that leaves a draft behind as sent. Nobody may
        # receive the transfer between the two.
        _keep_open(session, transfer_id)
        drafts.recall(session, transfer_id)
        _close(session, transfer_id, "cancelled", actor, now, day)
        session.execute(update(Transfer).where(Transfer.id == transfer_id).values(note=note))
        return {"transfer_id": transfer_id}

    said = {"cancelled": transfer_id, "why": why}
    waited = [(transfer.receiver_id, item_id) for item_id in sent]
    return _transfer_id(post(actor, now, request_id, lines, extra=said, document=close, expecting=waited))


def get(actor: Actor, now: datetime, transfer_id: int, action: Action = Action.VIEW_STOCK) -> TransferView:
    """One transfer, for people of either end; to send or receive it, for those who may do so at that end.

    Raises NotFound `transfer_not_found`, NotAllowed.
    """
    transfer = _transfer(transfer_id)
    ends = {Action.SEND_TRANSFER: transfer.sender_path, Action.RECEIVE_TRANSFER: transfer.receiver_path}
    if not any(may(actor, Action.VIEW_STOCK, path) for path in ends.values()):
        raise NotFound("transfer_not_found")
    if action in ends:
        require(actor, action, ends[action])
    return _views(now, [transfer])[0]


def of_office(actor: Actor, now: datetime, office_code: str, limit: int = 50) -> list[TransferView]:
    """An office's transfers, both ways: those under way first, then the newest."""
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    ends = or_(Transfer.sender_id == office.id, Transfer.receiver_id == office.id)
    rows = db.session.execute(_query(ends).order_by(Transfer.closed_at.is_not(None), Transfer.id.desc()).limit(limit))
    return _views(now, rows.all())


def newest(
    actor: Actor, now: datetime, office_code: str, before_id: int | None, limit: int, status: str | None = None
) -> list[TransferView]:
    """An office's transfers, both ways, the newest first, from below an id on. Raises NotFound, NotAllowed."""
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    found = _query(or_(Transfer.sender_id == office.id, Transfer.receiver_id == office.id))
    if status is not None:
        found = found.where(Transfer.status == status)
    if before_id is not None:
        found = found.where(Transfer.id < before_id)
    return _views(now, db.session.execute(found.order_by(Transfer.id.desc()).limit(limit)).all())


def to_receive(actor: Actor, office_code: str) -> list[Waiting]:
    """What is on its way to an office and waits to be counted there, the oldest first, at most MOST_WAITING."""
    office = offices.get(actor, Action.RECEIVE_TRANSFER, office_code)
    rows = db.session.execute(
        select(Transfer.id, Office.name.label("sender_name"), Transfer.expected_on)
        .join(Office, Office.id == Transfer.sender_id)
        .where(Transfer.receiver_id == office.id, Transfer.status == "dispatched")
        .order_by(Transfer.expected_on, Transfer.id)
        .limit(MOST_WAITING)
    )
    return [Waiting(**row._mapping) for row in rows]


def overdue(actor: Actor, now: datetime) -> list[TransferView]:
    """Transfers in reach that are under way past the day on which they were expected, the oldest first."""
    sender, receiver = _ENDS
    allowed = reach(actor, Action.VIEW_STOCK)
    under_way = (Transfer.status == "dispatched") & or_(in_reach(allowed, sender), in_reach(allowed, receiver))
    rows = db.session.execute(_query(under_way).order_by(Transfer.expected_on, Transfer.id)).all()
    return [view for view in _views(now, rows) if view.overdue]


def owed(actor: Actor, now: datetime, office_code: str) -> list[tuple[TransferView, dict[str, int]]]:
    """Loans of an office, given and taken, that are not yet given back in full: what is still owed, by item code.

    A loan is owed for what arrived in good condition, less what returns for it arrived.
    """
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    ends = or_(Transfer.sender_id == office.id, Transfer.receiver_id == office.id)
    loans = _views(now, db.session.execute(_query(ends & (Transfer.purpose == "loan"))).all())
    repaid = _repaid([loan.id for loan in loans])
    found = []
    for loan in loans:
        left = {line.item_code: (line.received or 0) - repaid.get((loan.id, line.item_code), 0) for line in loan.lines}
        left = {code: quantity for code, quantity in left.items() if quantity > 0}
        if left:
            found.append((loan, left))
    return found


# --- parts -------------------------------------------------------------------------------------------------------

_ENDS = aliased(Office), aliased(Office)


def _query(condition: ColumnElement[bool]) -> Any:
    sender, receiver = _ENDS
    return (
        select(
            *Transfer.__table__.columns,
            sender.code.label("sender_code"),
            sender.name.label("sender_name"),
            sender.path.label("sender_path"),
            sender.time_zone.label("sender_zone"),
            receiver.code.label("receiver_code"),
            receiver.name.label("receiver_name"),
            receiver.path.label("receiver_path"),
            receiver.time_zone.label("receiver_zone"),
        )
        .join(sender, sender.id == Transfer.sender_id)
        .join(receiver, receiver.id == Transfer.receiver_id)
        .where(condition)
    )


def _transfer(transfer_id: int) -> Any:
    return the_row(_query(Transfer.id == transfer_id), NotFound("transfer_not_found"))


def _sent(transfer_id: int) -> dict[int, int]:
    rows = db.session.execute(
        select(TransferLine.item_id, TransferLine.sent).where(TransferLine.transfer_id == transfer_id)
    )
    return {row.item_id: row.sent for row in rows}


def _close(session: Session, transfer_id: int, status: str, actor: Actor, now: datetime, day: date) -> None:
    """Close the transfer once: of two that try, the second finds it closed."""
    closed = session.execute(
        update(Transfer)
        .where(Transfer.id == transfer_id, Transfer.status == "dispatched")
        .values(status=status, closed_at=now, closed_on=day, closed_by_id=actor.person_id)
        .returning(Transfer.id)
    ).scalar_one_or_none()
    if closed is None:
        status = session.execute(select(Transfer.status).where(Transfer.id == transfer_id)).scalar_one()
        check_open(status)


def _keep_open(session: Session, transfer_id: int) -> None:
    """Whoever else would close the transfer waits for this transaction; one that is closed already is refused."""
    check_open(
        session.execute(select(Transfer.status).where(Transfer.id == transfer_id).with_for_update()).scalar_one()
    )


def _check_order(day: date, dispatched_on: date) -> None:
    if day < dispatched_on:
        raise Invalid("arrived_before_dispatch", day=day, dispatched_on=dispatched_on)


def _check_repayment(out: Dispatch, sender_id: int, receiver_id: int) -> None:
    """What gives back a loan is a return, from who borrowed to who lent."""
    if out.repays_id is None:
        return
    loan = db.session.execute(
        select(Transfer.purpose, Transfer.sender_id, Transfer.receiver_id).where(Transfer.id == out.repays_id)
    ).one_or_none()
    if out.purpose != "return" or loan is None or tuple(loan) != ("loan", receiver_id, sender_id):
        raise Refusal("loan_not_found")


def _repaid(loan_ids: list[int]) -> dict[tuple[int, str], int]:
    rows = db.session.execute(
        select(Transfer.repays_id, Item.code, TransferLine.received)
        .join(TransferLine, TransferLine.transfer_id == Transfer.id)
        .join(Item, Item.id == TransferLine.item_id)
        .where(Transfer.repays_id.in_(loan_ids), Transfer.status == "received")
    )
    repaid: dict[tuple[int, str], int] = {}
    for row in rows:
        key = row.repays_id, row.code
        repaid[key] = repaid.get(key, 0) + (row.received or 0)
    return repaid


def _receiver_id(code: str) -> int:
    """Any office may be sent to, also one that the sender cannot look into."""
    found = db.session.scalar(select(Office.id).where(Office.code == code, Office.active))
    if found is None:
        raise NotFound("office_not_found", code=code[:40])
    return found


def _transfer_id(posting: Posting) -> int:
    transfer_id = posting.movements[0].transfer_id
    assert transfer_id is not None
    return transfer_id


def _views(now: datetime, rows: Any) -> list[TransferView]:
    lines = _lines_of([row.id for row in rows])
    plain = set(TransferView.__dataclass_fields__) - {"overdue", "lines"}
    return [
        TransferView(
            **{name: getattr(row, name) for name in plain},
            overdue=row.status == "dispatched" and row.expected_on < local_day(now, row.sender_zone),
            lines=tuple(lines.get(row.id, ())),
        )
        for row in rows
    ]


def _lines_of(transfer_ids: list[int]) -> dict[int, list[TransferLineView]]:
    numbers = number_ranges.sent_with_each(db.session(), transfer_ids)
    rows = db.session.execute(
        select(
            TransferLine.transfer_id,
            TransferLine.item_id,
            Item.code,
            TransferLine.sent,
            TransferLine.received,
            TransferLine.short,
            TransferLine.damaged,
        )
        .join(Item, Item.id == TransferLine.item_id)
        .where(TransferLine.transfer_id.in_(transfer_ids))
        .order_by(Item.position)
    )
    lines: dict[int, list[TransferLineView]] = {}
    for transfer_id, item_id, code, sent, received, short, damaged in rows:
        view = TransferLineView(
            item_code=code,
            sent=sent,
            received=received,
            short=short,
            damaged=damaged,
            ranges=numbers.get((transfer_id, item_id), ()),
        )
        lines.setdefault(transfer_id, []).append(view)
    return lines
