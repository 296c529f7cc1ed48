"""Reversal of a receipt: asked for by one person, done when another approves it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from inventory.domain.access import Action, Actor
from inventory.domain.errors import Invalid, NotFound
from inventory.domain.ledger import body_digest
from inventory.domain.proposals import ProposalKind, needs_second_person
from inventory.services import ledger, offices, proposals
from inventory.services.ledger import Posting
from inventory.services.proposals import Asked


def needs_approval(actor: Actor, movement_id: int) -> bool:
    """Whether undoing this movement takes a second person. Raises NotFound, NotAllowed."""
    movement = ledger.find(actor, movement_id)
    return needs_second_person(movement.kind, movement.reason, reversal=True) is not None


def ask(actor: Actor, now: datetime, request_id: UUID, movement_id: int, note: str) -> int:
    """Ask for a receipt, and all of its delivery, to be taken off the books; the proposal's id.

    Raises NotFound `movement_not_found`, NotAllowed; Refusal `already_reversed`, `reversal_of_reversal`,
    `reversal_already_asked`, `request_id_reused`; Invalid `reversal_needs_reason`, `not_a_receipt`.
    """
    original = ledger.check_reversible(movement_id, note, request_id)
    office = offices.by_id(actor, Action.REVERSE_MOVEMENT, original.office_id)
    if not needs_second_person(original.kind, original.reason, reversal=True):
        raise Invalid("not_a_receipt")
    asked = Asked(
        kind=ProposalKind.REVERSAL,
        office_id=office.id,
        request_id=request_id,
        digest=body_digest(actor.person_id, (), {"reverses": movement_id, "note": note.strip()}),
        note=note,
        movement_id=movement_id,
    )
    return proposals.put(actor, now, asked)


def approve(actor: Actor, now: datetime, request_id: UUID, proposal_id: int) -> Posting:
    """Take the receipt off the books, on its own day. The actor is another person than who asked.

    Raises NotFound `proposal_not_found`, NotAllowed `own_proposal`, Refusal `proposal_decided`, and what
    `ledger.reverse_receipt` raises.
    """
    proposal = proposals.to_decide(actor, proposal_id, [ProposalKind.REVERSAL])
    if proposal.movement_id is None:
        raise NotFound("movement_not_found")
    settle = proposals.approval(actor, now, proposal_id)
    return ledger.reverse_receipt(actor, now, request_id, proposal.movement_id, proposal.note, settle)
