"""The drafts of allotment plans, held against the transfers that sent them and against what their plan said."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session, aliased

from inventory.domain.drafts import FIXED, follows, said
from inventory.domain.ledger import body_digest
from inventory.models import AllotmentLine, AllotmentPlan, Item, Office, Transfer, TransferLine
from inventory.services.verification.faults import Fault


def sent(session: Session) -> Iterator[Fault]:
    """A draft that was sent has a transfer between its own offices which carries its item, is not cancelled and was
    recorded when the draft was closed; one that was recalled has a cancelled one.

    How many are sent is for who packs the boxes: the transfer may carry more or fewer than were planned.
    """
    rows = session.execute(
        select(
            *AllotmentLine.__table__.columns,
            Transfer.id.label("found_id"),
            Transfer.status.label("transfer_status"),
            Transfer.recorded_at,
            Transfer.dispatched_by_id,
            and_(
                Transfer.sender_id == AllotmentLine.sender_id, Transfer.receiver_id == AllotmentLine.receiver_id
            ).label("own_ends"),
            TransferLine.sent,
        )
        .outerjoin(Transfer, Transfer.id == AllotmentLine.transfer_id)
        .outerjoin(
            TransferLine,
            and_(TransferLine.transfer_id == Transfer.id, TransferLine.item_id == AllotmentLine.item_id),
        )
        .order_by(AllotmentLine.id)
    )
    for row in rows:
        what = _against_transfer(row)
        if what:
            yield Fault(check="drafts", row=f"draft {row.id} of plan {row.plan_id}", what=what)


def _against_transfer(row: Any) -> str | None:
    if row.transfer_id is not None and row.found_id is None:
        return f"there is no transfer {row.transfer_id}"
    if not follows(row.status, row.transfer_status):
        its = f"transfer {row.found_id} is {row.transfer_status}" if row.found_id else "it has no transfer"
        return f"it is {row.status}, and {its}"
    if row.found_id is None:
        return None
    if not row.own_ends or row.sent is None:
        return f"transfer {row.found_id} is between other offices, or carries another item"
    if row.status == "sent" and (row.closed_at, row.closed_by_id) != (row.recorded_at, row.dispatched_by_id):
        return f"it was not closed when, and by whom, transfer {row.found_id} was dispatched"
    return None


def planned(session: Session) -> Iterator[Fault]:
    """A plan and its drafts still say what was asked for when the plan was kept: between which offices, of which item,
    how many, in whole packs where nobody changed the proposal, and in a split no more than there was to split."""
    plans = session.execute(
        select(*AllotmentPlan.__table__.columns, Office.code.label("office"), Item.code.label("item_code"))
        .outerjoin(Office, Office.id == AllotmentPlan.office_id)
        .outerjoin(Item, Item.id == AllotmentPlan.item_id)
        .order_by(AllotmentPlan.id)
    ).all()
    drafts = _by_plan(session)
    for plan in plans:
        of_plan = drafts.pop(plan.id, [])
        for draft in of_plan:
            what = _against_plan(draft, plan)
            if what:
                yield Fault(check="drafts", row=f"draft {draft.id} of plan {plan.id}", what=what)
        what = _against_total(plan, of_plan)
        if what:
            yield Fault(check="drafts", row=f"plan {plan.id}", what=what)
    for plan_id, of_none in drafts.items():
        yield Fault(check="drafts", row=f"draft {of_none[0].id} of plan {plan_id}", what="there is no such plan")


def _by_plan(session: Session) -> dict[int, list[Any]]:
    sender, receiver = aliased(Office), aliased(Office)
    rows = session.execute(
        select(
            *AllotmentLine.__table__.columns,
            func.coalesce(sender.code, "?").label("sender"),
            func.coalesce(receiver.code, "?").label("receiver"),
        )
        .outerjoin(sender, sender.id == AllotmentLine.sender_id)
        .outerjoin(receiver, receiver.id == AllotmentLine.receiver_id)
        .order_by(AllotmentLine.id)
    )
    found: dict[int, list[Any]] = defaultdict(list)
    for row in rows:
        found[row.plan_id].append(row)
    return found


def _against_plan(draft: Any, plan: Any) -> str | None:
    if draft.quantity < 1 or draft.sender_id == draft.receiver_id or draft.item_id != plan.item_id:
        return "it sends nothing, or to its own sender, or another item than its plan"
    if plan.mode == "split" and draft.sender_id != plan.office_id:
        return "it takes from another office than the one whose delivery is split"
    why = draft.why if isinstance(draft.why, dict) else {}
    if why.get("quantity") != draft.quantity:
        return f"its quantity is {draft.quantity}, and {why.get('quantity')} were planned"
    proposed = why.get("rule") != FIXED and why.get("proposed") == draft.quantity
    if proposed and draft.quantity % max(1, plan.pack):
        return f"{draft.quantity} were proposed, which are no whole packs of {plan.pack}"
    return None


def _against_total(plan: Any, drafts: list[Any]) -> str | None:
    total = sum(draft.quantity for draft in drafts)
    if plan.quantity is not None and total > plan.quantity - plan.reserve:
        return f"its drafts add up to {total}, and there are {plan.quantity - plan.reserve} to split"
    asked = said(
        mode=plan.mode,
        office=plan.office,
        item_code=plan.item_code,
        quantity=plan.quantity,
        reserve=plan.reserve,
        pack=plan.pack,
        planned={(draft.sender, draft.receiver): draft.quantity for draft in drafts},
    )
    if body_digest(plan.made_by_id, (), asked) != plan.request_digest:
        return "it or its drafts are not what was asked for when it was kept"
    return None
