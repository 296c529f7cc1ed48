"""Plans that split a delivery or propose loans, and their drafts of transfers. Nothing moves before a dispatch."""

from __future__ import annotations

import uuid
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    CheckConstraint,
    Date,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy.orm import Mapped, mapped_column

from inventory.db import Base, UtcDateTime
from inventory.domain.drafts import DRAFT_STATUSES, MODES
from inventory.domain.quantities import MAX_QUANTITY
from inventory.models.offices import one_of


class AllotmentPlan(Base):
    """What a manager decided for an office and those below it, and on what grounds (`facts`)."""

    __tablename__ = "allotment_plans"
    __table_args__ = (
        CheckConstraint(one_of("mode", MODES), name="mode"),
        CheckConstraint("pack >= 1", name="pack"),
        CheckConstraint("(mode = 'split') = (quantity IS NOT NULL)", name="split"),
        CheckConstraint(f"quantity BETWEEN 1 AND {MAX_QUANTITY}", name="quantity"),
        CheckConstraint("reserve >= 0 AND (quantity IS NULL OR reserve < quantity)", name="reserve"),
        Index("ix_allotment_plans_office_id", "office_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    request_id: Mapped[uuid.UUID] = mapped_column(Uuid, unique=True)
    request_digest: Mapped[str] = mapped_column(String(64))
    office_id: Mapped[int] = mapped_column(ForeignKey("offices.id"))
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"))
    mode: Mapped[str] = mapped_column(String(8))
    quantity: Mapped[int | None]
    """What is split, the reserve included."""
    reserve: Mapped[int]
    pack: Mapped[int]
    planned_on: Mapped[date] = mapped_column(Date)
    """A day of the office's calendar."""
    facts: Mapped[dict[str, Any]] = mapped_column(JSON)
    made_by_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    made_at: Mapped[datetime] = mapped_column(UtcDateTime)


class AllotmentLine(Base):
    """A draft: how many blanks one office is to send another. It is sent by a transfer between these two that carries
    this item, recalled when that is cancelled, or dropped. Triggers allow the steps of `domain.drafts` and no others,
    let a draft be sent and recalled by a transfer that is under way only, and close no transfer that leaves its draft
    at odds with it."""

    __tablename__ = "allotment_lines"
    __table_args__ = (
        UniqueConstraint("plan_id", "sender_id", "receiver_id"),
        UniqueConstraint("transfer_id"),
        CheckConstraint(one_of("status", DRAFT_STATUSES), name="status"),
        CheckConstraint(f"quantity BETWEEN 1 AND {MAX_QUANTITY}", name="quantity"),
        CheckConstraint("sender_id <> receiver_id", name="two_offices"),
        CheckConstraint("(status IN ('draft', 'recalled')) = (closed_at IS NULL)", name="closed"),
        CheckConstraint(
            "(status <> 'draft' OR transfer_id IS NULL)"
            " AND (status NOT IN ('sent', 'recalled') OR transfer_id IS NOT NULL)",
            name="sent",
        ),
        ForeignKeyConstraint(
            ["transfer_id", "sender_id", "receiver_id"],
            ["transfers.id", "transfers.sender_id", "transfers.receiver_id"],
        ),
        ForeignKeyConstraint(
            ["transfer_id", "item_id"],
            ["transfer_lines.transfer_id", "transfer_lines.item_id"],
        ),
        Index("ix_allotment_lines_sender_id_status", "sender_id", "status"),
        Index("ix_allotment_lines_receiver_id_status", "receiver_id", "status"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    plan_id: Mapped[int] = mapped_column(ForeignKey("allotment_plans.id"))
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"))
    sender_id: Mapped[int] = mapped_column(ForeignKey("offices.id"))
    receiver_id: Mapped[int] = mapped_column(ForeignKey("offices.id"))
    quantity: Mapped[int]
    status: Mapped[str] = mapped_column(String(8))
    transfer_id: Mapped[int | None]
    """What sent it last."""
    why: Mapped[dict[str, Any]] = mapped_column(JSON)
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    closed_by_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
