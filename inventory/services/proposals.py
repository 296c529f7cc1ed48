"""Proposals: what one person asks for, and another decides before it takes effect on the books."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased

from inventory.db import db, write
from inventory.domain.access import Action, Actor, may, reach, require
from inventory.domain.audit import Event
from inventory.domain.errors import NotAllowed, NotFound, Refusal
from inventory.domain.ledger import NOTE_LENGTH
from inventory.domain.proposals import (
    ProposalKind,
    ProposalStatus,
    check_approver,
    check_reason,
    check_undecided,
)
from inventory.domain.texts import check_text
from inventory.models import Office, Person, Proposal
from inventory.services import audit, offices, service_accounts
from inventory.services.idempotency import once
from inventory.services.offices import in_reach


@dataclass(frozen=True, kw_only=True)
class ProposalView:
    """A proposal as the edges see it; instants are aware UTC. `movement_id` is the receipt that a reversal names."""

    id: int
    kind: ProposalKind
    status: ProposalStatus
    office_id: int
    office_code: str
    office_name: str
    office_path: str
    time_zone: str
    proposed_by_id: int
    proposed_by: str
    proposed_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    movement_id: int | None
    note: str
    decision_note: str

    @property
    def waiting(self) -> bool:
        return self.status is ProposalStatus.PROPOSED


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a person proposes: `digest` tells two requests with one id apart, `write` adds the record behind it."""

    kind: ProposalKind
    office_id: int
    request_id: UUID
    digest: str
    note: str
    movement_id: int | None = None
    write: Callable[[Session, int], None] = lambda _session, _id: None


def put(actor: Actor, now: datetime, asked: Asked) -> int:
    """Write a proposal, once per request id; its id. The caller has checked what the actor may propose, and where.

    Raises NotAllowed `not_allowed` for the system (a proposal needs a person), Refusal `request_id_reused`,
    `reversal_already_asked`; Invalid `text_too_long`.
    """
    if actor.person_id is None:
        raise NotAllowed("not_allowed", action=Action.PROPOSE_DESTRUCTION.value)
    values = {
        "kind": asked.kind.value,
        "office_id": asked.office_id,
        "request_id": asked.request_id,
        "request_digest": asked.digest,
        "status": ProposalStatus.PROPOSED.value,
        "proposed_by_id": actor.person_id,
        "proposed_at": now,
        "movement_id": asked.movement_id,
        "note": check_text(asked.note, NOTE_LENGTH),
    }

    def work(session: Session) -> int:
        proposal_id = session.execute(insert(Proposal).values(values).returning(Proposal.id)).scalar_one()
        asked.write(session, proposal_id)
        return proposal_id

    try:
        return once(Proposal, Proposal.id, asked.request_id, asked.digest, work)
    except IntegrityError as error:
        if "movement_id" in str(error.orig):
            raise Refusal("reversal_already_asked") from error
        raise


def approval(actor: Actor, now: datetime, proposal_id: int) -> Callable[[Session], Mapping[str, int]]:
    """The part of a posting that settles its proposal: of two who decide at once, one finds it decided."""

    def settle(session: Session) -> Mapping[str, int]:
        _decide(session, actor, now, proposal_id, ProposalStatus.APPROVED, "")
        return {"proposal_id": proposal_id}

    return settle


def to_decide(actor: Actor, proposal_id: int, kinds: Iterable[ProposalKind]) -> ProposalView:
    """A proposal that the actor may approve or reject, were it still open.

    Raises NotFound `proposal_not_found`, NotAllowed (`own_proposal` to its proposer, and to who let a machine propose).
    """
    found = _get(proposal_id)
    if found is None or found.kind not in set(kinds):
        raise NotFound("proposal_not_found")
    require(actor, Action.APPROVE, found.office_path)
    for person_id in service_accounts.behind([found.proposed_by_id]):
        check_approver(person_id, actor.person_id)
    return found


def reject(actor: Actor, now: datetime, proposal_id: int, why: str) -> None:
    """Turn a proposal down. Raises NotFound, NotAllowed, Refusal `proposal_decided`, Invalid
    `decision_needs_reason`."""
    to_decide(actor, proposal_id, ProposalKind)
    reason = check_reason(check_text(why, NOTE_LENGTH))
    write(lambda session: _decide(session, actor, now, proposal_id, ProposalStatus.REJECTED, reason))


def withdraw(actor: Actor, now: datetime, proposal_id: int, why: str) -> None:
    """Take one's own proposal back; said again with the same words, it is done once. Raises NotFound, NotAllowed,
    Refusal `proposal_decided`, Invalid `decision_needs_reason`."""
    found = _get(proposal_id)
    if found is None or not may(actor, Action.VIEW_STOCK, found.office_path):
        raise NotFound("proposal_not_found")
    if found.proposed_by_id != actor.person_id:
        raise NotAllowed("not_own_proposal")
    reason = check_reason(check_text(why, NOTE_LENGTH))
    write(lambda session: _decide(session, actor, now, proposal_id, ProposalStatus.WITHDRAWN, reason))


def get(actor: Actor, proposal_id: int) -> ProposalView:
    """One proposal, for whoever may see the office's stock. Raises NotFound `proposal_not_found`."""
    found = _get(proposal_id)
    if found is None or not may(actor, Action.VIEW_STOCK, found.office_path):
        raise NotFound("proposal_not_found")
    return found


def waiting(actor: Actor, limit: int = 200) -> list[ProposalView]:
    """What waits for a decision where the actor may approve, the oldest first."""
    query = _query(Proposal.status == ProposalStatus.PROPOSED.value, in_reach(reach(actor, Action.APPROVE)))
    return _views(query.order_by(Proposal.proposed_at, Proposal.id).limit(limit))


def count_waiting(actor: Actor) -> int:
    """How many proposals wait for a decision where the actor may approve."""
    query = (
        select(func.count())
        .select_from(Proposal)
        .join(Office, Office.id == Proposal.office_id)
        .where(Proposal.status == ProposalStatus.PROPOSED.value, in_reach(reach(actor, Action.APPROVE)))
    )
    return db.session.scalar(query) or 0


def of_office(actor: Actor, office_code: str, kinds: Iterable[ProposalKind], limit: int = 50) -> list[ProposalView]:
    """An office's proposals of some kinds: those that wait first, then the newest."""
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    query = _query(Proposal.office_id == office.id, Proposal.kind.in_([kind.value for kind in kinds]))
    return _views(query.order_by(Proposal.decided_at.is_not(None), Proposal.id.desc()).limit(limit))


def newest(
    actor: Actor, office_code: str, kinds: Iterable[ProposalKind], before_id: int | None, limit: int
) -> list[ProposalView]:
    """An office's proposals of some kinds, the newest first, from below an id on. Raises NotFound, NotAllowed."""
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    query = _query(Proposal.office_id == office.id, Proposal.kind.in_([kind.value for kind in kinds]))
    if before_id is not None:
        query = query.where(Proposal.id < before_id)
    return _views(query.order_by(Proposal.id.desc()).limit(limit))


# --- parts -------------------------------------------------------------------------------------------------------

_proposer, _decider = aliased(Person), aliased(Person)


def _query(*conditions: ColumnElement[bool]) -> Select[Any]:
    return (
        select(
            *Proposal.__table__.columns,
            Office.code.label("office_code"),
            Office.name.label("office_name"),
            Office.path.label("office_path"),
            Office.time_zone,
            _proposer.full_name.label("proposed_by"),
            _decider.full_name.label("decided_by"),
        )
        .join(Office, Office.id == Proposal.office_id)
        .join(_proposer, _proposer.id == Proposal.proposed_by_id)
        .outerjoin(_decider, _decider.id == Proposal.decided_by_id)
        .where(*conditions)
    )


def _views(query: Select[Any]) -> list[ProposalView]:
    plain = set(ProposalView.__dataclass_fields__) - {"kind", "status"}
    return [
        ProposalView(
            kind=ProposalKind(row.kind),
            status=ProposalStatus(row.status),
            **{name: getattr(row, name) for name in plain},
        )
        for row in db.session.execute(query)
    ]


def _get(proposal_id: int) -> ProposalView | None:
    return next(iter(_views(_query(Proposal.id == proposal_id))), None)


def _decide(session: Session, actor: Actor, now: datetime, proposal_id: int, status: ProposalStatus, why: str) -> None:
    decided = session.execute(
        update(Proposal)
        .where(Proposal.id == proposal_id, Proposal.status == ProposalStatus.PROPOSED.value)
        .values(status=status.value, decided_by_id=actor.person_id, decided_at=now, decision_note=why)
        .returning(Proposal.office_id, Proposal.kind, Proposal.proposed_by_id)
    ).one_or_none()
    if decided is None:
        row = session.execute(
            select(Proposal.status, Proposal.decided_by_id, Proposal.decision_note).where(Proposal.id == proposal_id)
        ).one()
        withdrawn = (ProposalStatus.WITHDRAWN.value, actor.person_id, why)
        if status is not ProposalStatus.WITHDRAWN or tuple(row) != withdrawn:
            check_undecided(row.status)
        return
    if status is not ProposalStatus.WITHDRAWN:
        event = Event.APPROVED if status is ProposalStatus.APPROVED else Event.DECLINED
        by = session.scalar(select(Person.full_name).where(Person.id == decided.proposed_by_id))
        facts = {"kind": decided.kind, "id": proposal_id, "proposed_by": by}
        audit.note(session, now, actor, event, office_id=decided.office_id, subject=str(proposal_id), facts=facts)
