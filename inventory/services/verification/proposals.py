"""What a second person has to approve, and the destructions that it approved."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from inventory.domain.ledger import EFFECTS
from inventory.domain.proposals import ProposalStatus, needs_second_person
from inventory.models import Destruction, DestructionLine, Movement, Proposal
from inventory.services.verification.faults import Fault, stock_name


def _guarded() -> ColumnElement[bool]:
    """SQL: movements that must stand on a proposal. What needs one does so whatever it says that it reverses."""
    branches = []
    for kind, reason in EFFECTS:
        such = and_(Movement.kind == kind.value, Movement.reason == reason)
        if needs_second_person(kind, reason, reversal=False):
            branches.append(such)
        elif needs_second_person(kind, reason, reversal=True):
            branches.append(and_(such, Movement.reverses_id.is_not(None)))
    return or_(*branches)


def second_person(session: Session) -> Iterator[Fault]:
    """What takes blanks off the books without a resident's card was approved by somebody else than its proposer."""
    approved = and_(
        Proposal.id == Movement.proposal_id,
        Proposal.status == ProposalStatus.APPROVED.value,
        Proposal.office_id == Movement.office_id,
        Proposal.decided_by_id != Proposal.proposed_by_id,
    )
    wrong = (
        select(Movement.id, Movement.office_id, Movement.item_id)
        .outerjoin(Proposal, approved)
        .where(_guarded(), Proposal.id.is_(None))
        .order_by(Movement.id)
    )
    for row in session.execute(wrong.limit(1)):
        where = stock_name(session, row) + f", movement {row.id}"
        yield Fault(check="second person", row=where, what="nobody else has approved it")


def destructions(session: Session) -> Iterator[Fault]:
    """A record's breakdown adds up to its total, and an approved one says what its movements say."""
    said: dict[int, dict[int, int]] = defaultdict(dict)
    lines = select(DestructionLine.proposal_id, DestructionLine.item_id, func.sum(DestructionLine.quantity))
    for proposal_id, item_id, quantity in session.execute(
        lines.group_by(DestructionLine.proposal_id, DestructionLine.item_id)
    ):
        said[proposal_id][item_id] = int(quantity)
    moved: dict[int, dict[int, int]] = defaultdict(dict)
    sums = select(Movement.proposal_id, Movement.item_id, func.sum(Movement.quantity)).where(
        Movement.proposal_id.is_not(None), Movement.reverses_id.is_(None)
    )
    for proposal_id, item_id, quantity in session.execute(sums.group_by(Movement.proposal_id, Movement.item_id)):
        assert proposal_id is not None
        moved[proposal_id][item_id] = int(quantity)
    records = select(Destruction.proposal_id, Destruction.total, Proposal.status).join(
        Proposal, Proposal.id == Destruction.proposal_id
    )
    for row in session.execute(records.order_by(Destruction.proposal_id)):
        parts = said[row.proposal_id]
        name = f"record {row.proposal_id}"
        if sum(parts.values()) != row.total:
            what = f"its breakdown adds up to {sum(parts.values())}, it says {row.total}"
            yield Fault(check="destructions", row=name, what=what)
        expected = parts if row.status == ProposalStatus.APPROVED.value else {}
        if moved[row.proposal_id] != expected:
            what = f"it says {sum(expected.values())}, its movements say {sum(moved[row.proposal_id].values())}"
            yield Fault(check="destructions", row=name, what=what)
