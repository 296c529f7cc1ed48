"""Drafts of transfers that an allotment plan left: waiting to be sent, settled when they are, and recalled when what
was sent is taken back.

It stands below the transfers: a dispatch settles its draft in its own transaction, a cancellation recalls it in its.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session, aliased

from inventory.db import db, write
from inventory.domain.access import Action, Actor, require
from inventory.domain.drafts import OPEN, PURPOSES, check_draft
from inventory.domain.errors import Invalid, NotFound, Refusal
from inventory.models import AllotmentLine, AllotmentPlan, Item, Office
from inventory.services import offices


@dataclass(frozen=True, kw_only=True)
class DraftView:
    """A draft as the edges see it. `purpose` is that of the transfer which will send it; `transfer_id` is the one that
    sent it last, also when it was recalled since."""

    id: int
    plan_id: int
    plan_office_path: str
    item_code: str
    sender_code: str
    sender_name: str
    sender_path: str
    receiver_code: str
    receiver_name: str
    quantity: int
    status: str
    transfer_id: int | None
    purpose: str
    planned_on: date
    why: dict[str, Any]


def get(actor: Actor, draft_id: int, action: Action = Action.SEND_TRANSFER) -> DraftView:
    """A draft, for those who may do `action` at its sender. Raises NotFound `draft_not_found`, NotAllowed."""
    found = _views(AllotmentLine.id == draft_id)
    if not found:
        raise NotFound("draft_not_found")
    require(actor, action, found[0].sender_path)
    return found[0]


def to_send(actor: Actor, office_code: str, limit: int = 50) -> list[DraftView]:
    """The drafts that an office is to send, recalled ones among them, the oldest first."""
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    return _views(AllotmentLine.sender_id == office.id, AllotmentLine.status.in_(OPEN), limit=limit)


def to_send_after(actor: Actor, office_code: str, after_id: int | None, limit: int) -> list[DraftView]:
    """The drafts that an office is to send, the first planned first, from above an id on. Raises NotFound,
    NotAllowed."""
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    above = () if after_id is None else (AllotmentLine.id > after_id,)
    return _views(AllotmentLine.sender_id == office.id, AllotmentLine.status.in_(OPEN), *above, limit=limit)


def of_plan(plan_id: int) -> list[DraftView]:
    """All drafts of a plan, in the order in which they were planned. The caller has checked who may see it."""
    return _views(AllotmentLine.plan_id == plan_id)


def drop(actor: Actor, now: datetime, draft_id: int) -> int:
    """Take back a draft that waits to be sent; its plan's id. One that was dropped before stays dropped.

    Raises NotFound `draft_not_found`, NotAllowed, Refusal `draft_closed`.
    """
    [found] = _views(AllotmentLine.id == draft_id) or [None]
    if found is None:
        raise NotFound("draft_not_found")
    require(actor, Action.ALLOT_DELIVERY, found.plan_office_path)

    def close(session: Session) -> None:
        dropped = {"status": "dropped", "closed_at": now, "closed_by_id": actor.person_id}
        if not _close(session, [AllotmentLine.id == draft_id], dropped) and _status(session, draft_id) != "dropped":
            check_draft(_status(session, draft_id))

    write(close)
    return found.plan_id


def settle(
    session: Session,
    actor: Actor,
    now: datetime,
    draft_id: int,
    transfer_id: int,
    ends: tuple[int, int],
    item_ids: Collection[int],
) -> None:
    """Inside a dispatch: the transfer sends the draft. Of two that send it at once, the second finds it sent.

    Raises NotFound `draft_not_found`; Refusal `draft_closed`; Invalid `draft_differs` when the transfer has other
    ends, or does not carry the draft's item.
    """
    sent = {"status": "sent", "transfer_id": transfer_id, "closed_at": now, "closed_by_id": actor.person_id}
    sender_id, receiver_id = ends
    fits = [
        AllotmentLine.id == draft_id,
        AllotmentLine.sender_id == sender_id,
        AllotmentLine.receiver_id == receiver_id,
        AllotmentLine.item_id.in_(item_ids),
    ]
    if _close(session, fits, sent):
        return
    columns = AllotmentLine.sender_id, AllotmentLine.receiver_id, AllotmentLine.item_id
    draft = session.execute(select(*columns).where(AllotmentLine.id == draft_id)).one_or_none()
    if draft is None or draft.sender_id != sender_id:
        raise NotFound("draft_not_found")
    if draft.receiver_id == receiver_id and draft.item_id in item_ids:
        # It was closed a moment ago, whatever has become of it since.
        raise Refusal("draft_closed")
    check_draft(_status(session, draft_id))
    raise Invalid("draft_differs")


def recall(session: Session, transfer_id: int) -> None:
    """Inside a cancellation, while the transfer is kept open and before it is closed: a draft that it sent waits to be
    sent again."""
    taken_back = {"status": "recalled", "closed_at": None, "closed_by_id": None}
    sent_by_it = (AllotmentLine.transfer_id == transfer_id, AllotmentLine.status == "sent")
    session.execute(update(AllotmentLine).where(*sent_by_it).values(taken_back))


def planned(item_id: int, office_ids: Iterable[int]) -> dict[int, tuple[int, int]]:
    """How many blanks drafts would bring to each office, and take from it."""
    found: dict[int, tuple[int, int]] = dict.fromkeys(office_ids, (0, 0))
    for place, end in enumerate((AllotmentLine.receiver_id, AllotmentLine.sender_id)):
        rows = db.session.execute(
            select(end, func.sum(AllotmentLine.quantity))
            .where(AllotmentLine.status.in_(OPEN), AllotmentLine.item_id == item_id)
            .group_by(end)
        )
        for office_id, quantity in rows:
            if office_id in found:
                into, out = found[office_id]
                found[office_id] = (int(quantity), out) if place == 0 else (into, int(quantity))
    return found


def _close(session: Session, conditions: list[ColumnElement[bool]], values: dict[str, Any]) -> bool:
    still = update(AllotmentLine).where(AllotmentLine.status.in_(OPEN), *conditions)
    return session.execute(still.values(values).returning(AllotmentLine.id)).scalar_one_or_none() is not None


def _status(session: Session, draft_id: int) -> str:
    return session.execute(select(AllotmentLine.status).where(AllotmentLine.id == draft_id)).scalar_one()


def _views(*conditions: ColumnElement[bool], limit: int | None = None) -> list[DraftView]:
    sender, receiver, planner = aliased(Office), aliased(Office), aliased(Office)
    rows = db.session.execute(
        select(
            AllotmentLine.id,
            AllotmentLine.plan_id,
            planner.path.label("plan_office_path"),
            Item.code.label("item_code"),
            sender.code.label("sender_code"),
            sender.name.label("sender_name"),
            sender.path.label("sender_path"),
            receiver.code.label("receiver_code"),
            receiver.name.label("receiver_name"),
            AllotmentLine.quantity,
            AllotmentLine.status,
            AllotmentLine.transfer_id,
            AllotmentPlan.mode,
            AllotmentPlan.planned_on,
            AllotmentLine.why,
        )
        .join(AllotmentPlan, AllotmentPlan.id == AllotmentLine.plan_id)
        .join(planner, planner.id == AllotmentPlan.office_id)
        .join(Item, Item.id == AllotmentLine.item_id)
        .join(sender, sender.id == AllotmentLine.sender_id)
        .join(receiver, receiver.id == AllotmentLine.receiver_id)
        .where(*conditions)
        .order_by(AllotmentLine.id)
        .limit(limit)
    )
    plain = set(DraftView.__dataclass_fields__) - {"purpose"}
    return [DraftView(**{name: getattr(row, name) for name in plain}, purpose=PURPOSES[row.mode]) for row in rows]
