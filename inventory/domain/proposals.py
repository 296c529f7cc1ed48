"""What takes blanks off the books without a resident's card takes effect only when a second person approves it.

A destruction, a write-off of obsolete blanks, and the reversal of a receipt are proposed by one person and decided
by another. (The loss that a stocktake finds has its own approval, by somebody who did not count.)
"""

from __future__ import annotations

from enum import StrEnum

from inventory.domain.errors import Invalid, NotAllowed, Refusal
from inventory.domain.ledger import Kind


class ProposalKind(StrEnum):
    DESTRUCTION = "destruction"
    WRITE_OFF = "write_off"
    REVERSAL = "reversal"


class ProposalStatus(StrEnum):
    PROPOSED = "proposed"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


def check_approver(proposed_by: int, decided_by: int | None) -> None:
    """Raises NotAllowed `own_proposal` unless another person decides: not the proposer, and not the system."""
    if decided_by is None or decided_by == proposed_by:
        raise NotAllowed("own_proposal")


def check_undecided(status: str) -> None:
    """Raises Refusal `proposal_decided` unless the proposal still waits for its decision."""
    if status != ProposalStatus.PROPOSED:
        raise Refusal("proposal_decided")


def check_reason(words: str) -> str:
    """The reason of a rejection or a withdrawal. Raises Invalid `decision_needs_reason` when there is none."""
    if not words.strip():
        raise Invalid("decision_needs_reason")
    return words.strip()


def needs_second_person(kind: Kind, reason: str, *, reversal: bool) -> ProposalKind | None:
    """The kind of proposal that a movement must stand on, or None when one person is enough."""
    if reversal:
        return ProposalKind.REVERSAL if kind is Kind.RECEIPT else None
    if kind is Kind.DESTROY:
        return ProposalKind.DESTRUCTION
    if (kind, reason) == (Kind.SPOIL, "obsolete"):
        return ProposalKind.WRITE_OFF
    return None
