"""Destruction of spoiled blanks before two witnesses, and the write-off of blanks that are no longer valid."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, insert, or_, select
from sqlalchemy.orm import Session

from inventory.db import db
from inventory.domain.access import Action, Actor
from inventory.domain.calendars import check_period
from inventory.domain.destructions import (
    CAUSES,
    METHODS,
    Part,
    Witness,
    check_breakdown,
    check_spoiled,
    check_witnesses,
    movement_lines,
    oldest_spoiled_day,
)
from inventory.domain.errors import Invalid, NotFound
from inventory.domain.ledger import EFFECTS, Kind, body_digest, check_day
from inventory.domain.offices import local_day
from inventory.domain.proposals import ProposalKind, ProposalStatus
from inventory.domain.quantities import check_quantity
from inventory.domain.ranges import check_agreement, count, parse_ranges, write_ranges
from inventory.domain.texts import check_text
from inventory.models import Balance, DailyTotal, Destruction, DestructionLine, Item, Movement, Office, Proposal
from inventory.services import items, offices, proposals
from inventory.services.consumption import FIRST_DAY
from inventory.services.ledger import Posting, hold, post
from inventory.services.proposals import Asked, ProposalView

RECORDS = (ProposalKind.DESTRUCTION, ProposalKind.WRITE_OFF)
MAX_DAYS = 92


@dataclass(frozen=True, kw_only=True)
class Record:
    """What a record of destruction says. `happened_on` is the office's own day, `parts` the breakdown of `total`."""

    happened_on: date
    place: str
    method: str
    witnesses: Sequence[Witness]
    total: int
    parts: Sequence[Part]
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class DestructionView:
    """A record with the proposal that carries it."""

    proposal: ProposalView
    happened_on: date
    place: str
    method: str
    witnesses: tuple[Witness, Witness]
    total: int
    parts: tuple[Part, ...]


@dataclass(frozen=True, kw_only=True)
class Overdue:
    """Spoiled blanks of an office that should have been destroyed by now: how many lie there, since when, and how many
    calendar days ago they were due."""

    office_id: int
    item_id: int
    spoiled: int
    oldest_on: date
    due_on: date
    days_late: int


def propose(actor: Actor, now: datetime, request_id: UUID, office_code: str, kind: ProposalKind, record: Record) -> int:
    """Record a destruction or a write-off, for another person to approve; the proposal's id.

    Nothing moves before the approval. Raises NotFound, NotAllowed; Invalid `day_in_future`, `day_too_early`,
    `place_missing`, `method_unknown`, `witness_missing`, `witnesses_same`, `breakdown_differs`, `nothing_entered`,
    `cause_unknown`, `text_too_long`, `ranges_missing`, `ranges_differ`; Refusal `not_enough_spoiled`,
    `request_id_reused`.
    """
    office = offices.get(actor, Action.PROPOSE_DESTRUCTION, office_code)
    check_day(record.happened_on, office.today(now), FIRST_DAY)
    record = replace(record, parts=[_counted(part) for part in record.parts])
    values = _checked(kind, record)
    whole = [(items.get(part.item_code), part) for part in record.parts]
    for item, part in whole:
        check_agreement(item.code, item.numbered, part.quantity, part.ranges)
    movement_lines(kind, office.id, record.happened_on, [(item.id, part) for item, part in whole])
    parts = [(item.id, part.cause, part.quantity) for item, part in whole]
    if kind is ProposalKind.DESTRUCTION:
        check_spoiled(_lying(db.session(), office.id), parts)

    def write(session: Session, proposal_id: int) -> None:
        session.execute(insert(Destruction).values(proposal_id=proposal_id, **values))
        lines = [
            {
                "proposal_id": proposal_id,
                "item_id": item.id,
                "cause": part.cause,
                "quantity": part.quantity,
                "numbers": write_ranges(part.ranges),
            }
            for item, part in whole
        ]
        session.execute(insert(DestructionLine), lines)

    asked = Asked(
        kind=kind,
        office_id=office.id,
        request_id=request_id,
        digest=body_digest(actor.person_id, (), {"office": office.id, "kind": kind.value} | asdict(record)),
        note=record.note,
        write=write,
    )
    return proposals.put(actor, now, asked)


def approve(actor: Actor, now: datetime, request_id: UUID, proposal_id: int) -> Posting:
    """Let a record take effect: the blanks leave the books, on the record's own day.

    The actor is another person than who proposed it. Raises NotFound `proposal_not_found`, NotAllowed
    `own_proposal`, Refusal `proposal_decided`, `not_enough_spoiled`, and what `ledger.post` raises.
    """
    proposal = proposals.to_decide(actor, proposal_id, RECORDS)
    happened_on = db.session.execute(
        select(Destruction.happened_on).where(Destruction.proposal_id == proposal_id)
    ).scalar_one()
    whole = [(item.id, part) for item, part in _parts([proposal_id])[proposal_id]]
    parts = [(item_id, part.cause, part.quantity) for item_id, part in whole]
    lines = movement_lines(proposal.kind, proposal.office_id, happened_on, whole)
    settle = proposals.approval(actor, now, proposal_id)

    def document(session: Session) -> Mapping[str, int]:
        references = settle(session)
        if proposal.kind is ProposalKind.DESTRUCTION:
            hold(session, proposal.office_id)  # no other destruction counts the same blanks meanwhile
            check_spoiled(_lying(session, proposal.office_id, before=proposal_id), parts)
        return references

    return post(actor, now, request_id, lines, extra={"proposal": proposal_id}, document=document)


def get(actor: Actor, proposal_id: int) -> DestructionView:
    """One record, for whoever may see the office's stock. Raises NotFound `proposal_not_found`."""
    proposal = proposals.get(actor, proposal_id)
    found = _views([proposal])
    if not found:
        raise NotFound("proposal_not_found")
    return found[0]


def of_office(actor: Actor, office_code: str, limit: int = 50) -> list[DestructionView]:
    """An office's records: those that wait first, then the newest."""
    return _views(proposals.of_office(actor, office_code, RECORDS, limit))


def newest(actor: Actor, office_code: str, before_id: int | None, limit: int) -> list[DestructionView]:
    """An office's records, the newest first, from below an id on. Raises NotFound, NotAllowed."""
    return _views(proposals.newest(actor, office_code, RECORDS, before_id, limit))


def spoiled(actor: Actor, office_code: str) -> dict[tuple[str, str], int]:
    """What lies among an office's spoiled blanks, by item code and cause, less what was destroyed of each."""
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    codes: dict[int, str] = {row.id: row.code for row in db.session.execute(select(Item.id, Item.code))}
    lying = _lying(db.session(), office.id)
    return {(codes[item_id], cause): left for (item_id, cause), left in sorted(lying.items()) if left > 0}


def overdue(now: datetime, office_ids: Iterable[int] | None = None) -> list[Overdue]:
    """Spoiled blanks older than their office allows, whoever asks: for the nightly review and the office's page.

    The oldest are taken to be destroyed first. Reads the daily totals of offices with spoiled blanks alone.
    """
    query = (
        select(Balance.office_id, Balance.item_id, Balance.spoiled, Balance.destroyed)
        .add_columns(Office.destroy_within_days, Office.time_zone)
        .join(Office, Office.id == Balance.office_id)
        .where(Balance.spoiled > 0, Office.active)
        .order_by(Balance.office_id, Balance.item_id)
    )
    if office_ids is not None:
        query = query.where(Balance.office_id.in_(list(office_ids)))
    stocks = db.session.execute(query).all()
    inflow = _inflow_by_day({row.office_id for row in stocks})
    found = []
    for row in stocks:
        oldest = oldest_spoiled_day(inflow[row.office_id, row.item_id], row.destroyed)
        if oldest is None:
            continue
        due = oldest + timedelta(days=row.destroy_within_days)
        days_late = (local_day(now, row.time_zone) - due).days
        if days_late > 0:
            stock = {"office_id": row.office_id, "item_id": row.item_id, "spoiled": row.spoiled}
            found.append(Overdue(**stock, oldest_on=oldest, due_on=due, days_late=days_late))
    return found


def spoilage(actor: Actor, office_code: str, since: date, until: date) -> list[tuple[str, str, str | None, int]]:
    """What was spoiled from one day to another, both included: item code, cause, shift (None where not said) and
    number. Raises Invalid `period_backwards`, `period_too_long`; NotFound, NotAllowed."""
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    check_period(since, until, MAX_DAYS)
    rows = db.session.execute(
        select(Item.code, Movement.reason, Movement.shift, func.sum(Movement.quantity))
        .join(Item, Item.id == Movement.item_id)
        .where(
            Movement.office_id == office.id,
            Movement.effective_on.between(since, until),
            Movement.kind == Kind.SPOIL.value,
        )
        .group_by(Item.position, Item.code, Movement.reason, Movement.shift)
        .having(func.sum(Movement.quantity) > 0)
        .order_by(Item.position, Movement.reason, Movement.shift)
    )
    return [(code, cause, shift, int(quantity)) for code, cause, shift, quantity in rows]


# --- parts -------------------------------------------------------------------------------------------------------


def _checked(kind: ProposalKind, record: Record) -> dict[str, Any]:
    if record.method not in METHODS:
        raise Invalid("method_unknown")
    place = check_text(record.place, 120)
    if not place:
        raise Invalid("place_missing")
    check_witnesses(record.witnesses)
    check_quantity(record.total)
    allowed = ("obsolete",) if kind is ProposalKind.WRITE_OFF else CAUSES
    check_breakdown(record.total, record.parts, allowed)
    first, second = record.witnesses
    return {
        "happened_on": record.happened_on,
        "place": place,
        "method": record.method,
        "first_witness": check_text(first.name, 120),
        "first_position": check_text(first.position, 120),
        "second_witness": check_text(second.name, 120),
        "second_position": check_text(second.position, 120),
        "total": record.total,
    }


def _counted(part: Part) -> Part:
    """The part, where nobody said how many but which."""
    return replace(part, quantity=part.quantity or count(part.ranges))


_INTO_SPOILED = or_(
    *(
        (DailyTotal.kind == kind.value) & (DailyTotal.reason == reason)
        for (kind, reason), effect in EFFECTS.items()
        if effect.spoiled > 0
    )
)


def _lying(session: Session, office_id: int, before: int | None = None) -> dict[tuple[int, str], int]:
    """What lies among the spoiled by item id and cause: what came, less what approved records destroyed of it.

    `before` leaves out the record that is being approved.
    """
    came = session.execute(
        select(DailyTotal.item_id, DailyTotal.reason, func.sum(DailyTotal.quantity))
        .where(DailyTotal.office_id == office_id, _INTO_SPOILED)
        .group_by(DailyTotal.item_id, DailyTotal.reason)
    )
    left: dict[tuple[int, str], int] = defaultdict(int)
    for item_id, cause, quantity in came:
        left[item_id, cause] += int(quantity)
    gone = (
        select(DestructionLine.item_id, DestructionLine.cause, func.sum(DestructionLine.quantity))
        .join(Proposal, Proposal.id == DestructionLine.proposal_id)
        .where(
            Proposal.office_id == office_id,
            Proposal.kind == ProposalKind.DESTRUCTION.value,
            Proposal.status == ProposalStatus.APPROVED.value,
        )
        .group_by(DestructionLine.item_id, DestructionLine.cause)
    )
    if before is not None:
        gone = gone.where(Proposal.id != before)
    for item_id, cause, quantity in session.execute(gone):
        left[item_id, cause] -= int(quantity)
    return left


def _inflow_by_day(office_ids: set[int]) -> dict[tuple[int, int], dict[date, int]]:
    inflow: dict[tuple[int, int], dict[date, int]] = defaultdict(dict)
    rows = db.session.execute(
        select(DailyTotal.office_id, DailyTotal.item_id, DailyTotal.day, func.sum(DailyTotal.quantity))
        .where(DailyTotal.office_id.in_(office_ids), _INTO_SPOILED)
        .group_by(DailyTotal.office_id, DailyTotal.item_id, DailyTotal.day)
    )
    for office_id, item_id, day, quantity in rows:
        inflow[office_id, item_id][day] = int(quantity)
    return inflow


def _views(found: Sequence[ProposalView]) -> list[DestructionView]:
    by_id = {proposal.id: proposal for proposal in found}
    parts = _parts(by_id)
    query = select(Destruction).where(Destruction.proposal_id.in_(by_id))
    records = {row.proposal_id: row for row in db.session.scalars(query)}
    return [
        DestructionView(
            proposal=proposal,
            happened_on=row.happened_on,
            place=row.place,
            method=row.method,
            witnesses=(
                Witness(row.first_witness, row.first_position),
                Witness(row.second_witness, row.second_position),
            ),
            total=row.total,
            parts=tuple(part for _, part in parts[proposal.id]),
        )
        for proposal in found
        if (row := records.get(proposal.id)) is not None
    ]


def _parts(proposal_ids: Iterable[int]) -> dict[int, list[tuple[Item, Part]]]:
    parts: dict[int, list[tuple[Item, Part]]] = defaultdict(list)
    rows = db.session.execute(
        select(DestructionLine, Item)
        .join(Item, Item.id == DestructionLine.item_id)
        .where(DestructionLine.proposal_id.in_(list(proposal_ids)))
        .order_by(Item.position, DestructionLine.cause)
    )
    for line, item in rows:
        ranges = parse_ranges(line.numbers) if line.numbers else ()
        parts[line.proposal_id].append((item, Part(item.code, line.cause, line.quantity, ranges)))
    return parts
