"""Transfers between offices: dispatched, then received or cancelled back."""

from __future__ import annotations

import uuid
from datetime import date, datetime

from sqlalchemy import CheckConstraint, Date, ForeignKey, Index, String, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from inventory.db import Base, UtcDateTime
from inventory.domain.quantities import MAX_QUANTITY
from inventory.domain.transfers import PURPOSES, STATUSES
from inventory.models.keys import find_by_number
from inventory.models.offices import one_of


class Transfer(Base):
    """Blanks on their way from one office to another, with the person who has them in hand."""

    __tablename__ = "transfers"
    __table_args__ = (
        CheckConstraint(one_of("purpose", PURPOSES), name="purpose"),
        CheckConstraint(one_of("status", STATUSES), name="status"),
        CheckConstraint("sender_id <> receiver_id", name="two_offices"),
        CheckConstraint("(status = 'dispatched') = (closed_at IS NULL)", name="closed"),
        CheckConstraint("(purpose = 'loan') = (due_on IS NOT NULL)", name="due_on"),
        CheckConstraint("expected_on >= dispatched_on", name="expected_on"),
        # What a draft of an allotment plan refers to.
        Index("uq_transfers_ends", "id", "sender_id", "receiver_id", unique=True),
        Index("ix_transfers_sender_id_status", "sender_id", "status"),
        Index("ix_transfers_receiver_id_status", "receiver_id", "status"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    request_id: Mapped[uuid.UUID] = mapped_column(Uuid, unique=True)
    sender_id: Mapped[int] = mapped_column(ForeignKey("offices.id"))
    receiver_id: Mapped[int] = mapped_column(ForeignKey("offices.id"))
    purpose: Mapped[str] = mapped_column(String(16))
    status: Mapped[str] = mapped_column(String(16))
    bast_number: Mapped[str] = mapped_column(String(80))
    custodian: Mapped[str] = mapped_column(String(120))
    """The official who carries the blanks and answers for them on the way."""
    dispatched_on: Mapped[date] = mapped_column(Date)
    """A day of the sender's calendar."""
    expected_on: Mapped[date] = mapped_column(Date)
    due_on: Mapped[date | None] = mapped_column(Date)
    """When a loan is to be given back."""
    repays_id: Mapped[int | None] = mapped_column(ForeignKey("transfers.id"), index=True)
    """The loan that this return gives back, wholly or in part."""
    closed_on: Mapped[date | None] = mapped_column(Date)
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    dispatched_by_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    closed_by_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    note: Mapped[str] = mapped_column(String(500), server_default="")


find_by_number(Transfer.bast_number, Transfer.sender_id, Transfer.receiver_id)


class TransferLine(Base):
    """How many of one item; what arrived is filled in when the transfer is received. More may arrive than was sent."""

    __tablename__ = "transfer_lines"
    __table_args__ = (
        CheckConstraint(f"sent BETWEEN 1 AND {MAX_QUANTITY}", name="sent"),
        CheckConstraint(
            "(received IS NULL AND short IS NULL AND damaged IS NULL)"
            " OR (received IS NOT NULL AND short IS NOT NULL AND damaged IS NOT NULL"
            " AND received >= 0 AND short >= 0 AND damaged >= 0"
            " AND (sent = received + short + damaged OR (short = 0 AND sent < received + damaged)))",
            name="accounted",
        ),
    )

    transfer_id: Mapped[int] = mapped_column(ForeignKey("transfers.id"), primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"), primary_key=True)
    sent: Mapped[int]
    received: Mapped[int | None]
    """Arrived in good condition."""
    short: Mapped[int | None]
    damaged: Mapped[int | None]
