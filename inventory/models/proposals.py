"""Proposals that wait for a second person, and the records of destruction and write-off behind them."""

from __future__ import annotations

import uuid
from datetime import date, datetime

from sqlalchemy import CheckConstraint, Date, ForeignKey, Index, String, Text, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from inventory.db import Base, UtcDateTime
from inventory.domain.destructions import CAUSES, METHODS
from inventory.domain.proposals import ProposalKind, ProposalStatus
from inventory.domain.quantities import MAX_QUANTITY
from inventory.models.ledger import BIG_ID
from inventory.models.offices import one_of


class Proposal(Base):
    """Something that takes blanks off the books, proposed by one person and decided by another."""

    __tablename__ = "proposals"
    __table_args__ = (
        CheckConstraint(one_of("kind", tuple(ProposalKind)), name="kind"),
        CheckConstraint(one_of("status", tuple(ProposalStatus)), name="status"),
        CheckConstraint("(status = 'proposed') = (decided_at IS NULL)", name="decided_at"),
        CheckConstraint("(decided_at IS NULL) = (decided_by_id IS NULL)", name="decided_by"),
        CheckConstraint(
            "decided_by_id IS NULL OR (status = 'withdrawn') = (decided_by_id = proposed_by_id)",
            name="second_person",
        ),
        CheckConstraint("(kind = 'reversal') = (movement_id IS NOT NULL)", name="movement"),
        # One open request to reverse an entry is enough.
        Index(
            "uq_proposals_movement_id",
            "movement_id",
            unique=True,
            sqlite_where=text("status = 'proposed'"),
            postgresql_where=text("status = 'proposed'"),
        ),
        Index("ix_proposals_office_id_status", "office_id", "status"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    office_id: Mapped[int] = mapped_column(ForeignKey("offices.id"))
    request_id: Mapped[uuid.UUID] = mapped_column(Uuid, unique=True)
    request_digest: Mapped[str] = mapped_column(String(64))
    status: Mapped[str] = mapped_column(String(16))
    proposed_by_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    proposed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    decided_by_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    movement_id: Mapped[int | None] = mapped_column(BIG_ID)
    """The receipt that a reversal would take back, with the rest of its delivery. Not a foreign key: movements
    refer to proposals already, and the trigger on movements compares the two."""
    note: Mapped[str] = mapped_column(String(500), server_default="")
    decision_note: Mapped[str] = mapped_column(String(500), server_default="")


class Destruction(Base):
    """The record of a destruction, or of a write-off of blanks that are no longer valid."""

    __tablename__ = "destructions"
    __table_args__ = (
        CheckConstraint(one_of("method", METHODS), name="method"),
        CheckConstraint(f"total BETWEEN 1 AND {MAX_QUANTITY}", name="total"),
        CheckConstraint("first_witness <> second_witness", name="two_witnesses"),
    )

    proposal_id: Mapped[int] = mapped_column(ForeignKey("proposals.id"), primary_key=True)
    happened_on: Mapped[date] = mapped_column(Date)
    """The office's own day."""
    place: Mapped[str] = mapped_column(String(120))
    method: Mapped[str] = mapped_column(String(16))
    first_witness: Mapped[str] = mapped_column(String(120))
    first_position: Mapped[str] = mapped_column(String(120))
    second_witness: Mapped[str] = mapped_column(String(120))
    second_position: Mapped[str] = mapped_column(String(120))
    total: Mapped[int]
    """As stated in the record; the breakdown adds up to it, or the record is refused."""


class DestructionLine(Base):
    """How many of an item for one cause; "obsolete" is the only one of a write-off."""

    __tablename__ = "destruction_lines"
    __table_args__ = (
        CheckConstraint(one_of("cause", CAUSES), name="cause"),
        CheckConstraint(f"quantity BETWEEN 1 AND {MAX_QUANTITY}", name="quantity"),
    )

    proposal_id: Mapped[int] = mapped_column(ForeignKey("destructions.proposal_id"), primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"), primary_key=True)
    cause: Mapped[str] = mapped_column(String(24), primary_key=True)
    quantity: Mapped[int]
    numbers: Mapped[str] = mapped_column(Text, server_default="")
    """Its number ranges as people write them, of an item whose numbers are kept."""
