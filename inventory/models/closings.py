"""Daily closings and their differences: the rules of `inventory.domain.closings` as constraints."""

from __future__ import annotations

import uuid
from datetime import date, datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Date,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from inventory.db import Base, UtcDateTime
from inventory.domain.closings import KINDS, STATUSES
from inventory.domain.quantities import MAX_QUANTITY
from inventory.models.offices import one_of


class DayClosing(Base):
    """What was left of one item at the end of a day, and what the book said then. Reopened, it counts no more."""

    __tablename__ = "day_closings"
    __table_args__ = (
        UniqueConstraint("request_id", "item_id"),
        UniqueConstraint("id", "closed_by_id"),
        CheckConstraint(f"remaining BETWEEN 0 AND {MAX_QUANTITY}", name="remaining"),
        CheckConstraint(
            f"printed_by_system IS NULL OR printed_by_system BETWEEN 0 AND {MAX_QUANTITY}", name="printed_by_system"
        ),
        CheckConstraint("book_store >= 0 AND book_printed >= 0", name="book"),
        CheckConstraint(
            "(reopened_at IS NULL AND reopened_by_id IS NULL AND reopen_reason = '')"
            " OR (reopened_at IS NOT NULL AND reopened_by_id IS NOT NULL AND reopen_reason <> ''"
            " AND reopened_by_id <> closed_by_id)",
            name="reopened",
        ),
        Index(
            "uq_day_closings_day",
            "office_id",
            "day",
            "item_id",
            unique=True,
            sqlite_where=text("reopened_at IS NULL"),
            postgresql_where=text("reopened_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    request_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    office_id: Mapped[int] = mapped_column(ForeignKey("offices.id"))
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"))
    day: Mapped[date] = mapped_column(Date)
    """A day of the office's calendar."""
    remaining: Mapped[int]
    """Counted in the store at the end of the day."""
    printed_by_system: Mapped[int | None]
    """Cards printed on that day as the population system has it; None for what no system counts."""
    book_store: Mapped[int] = mapped_column(BigInteger)
    book_printed: Mapped[int] = mapped_column(BigInteger)
    book_seq: Mapped[int] = mapped_column(BigInteger)
    """The number of the last movement that the book knew: those after it came in after the closing."""
    closed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    closed_by_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    reopened_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    reopened_by_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    reopen_reason: Mapped[str] = mapped_column(String(500), server_default="")


class ClosingException(Base):
    """A difference that a closing brought to light; somebody else than who closed clears it, with a reason."""

    __tablename__ = "closing_exceptions"
    __table_args__ = (
        UniqueConstraint("closing_id", "kind"),
        ForeignKeyConstraint(["closing_id", "closed_by_id"], ["day_closings.id", "day_closings.closed_by_id"]),
        CheckConstraint(one_of("kind", KINDS), name="kind"),
        CheckConstraint(one_of("status", STATUSES), name="status"),
        CheckConstraint("expected <> found", name="differs"),
        CheckConstraint(
            "(status = 'open' AND cleared_at IS NULL AND cleared_by_id IS NULL AND reason = '')"
            " OR (status = 'cleared' AND cleared_at IS NOT NULL AND cleared_by_id IS NOT NULL AND reason <> ''"
            " AND cleared_by_id <> closed_by_id)",
            name="cleared",
        ),
        Index("ix_closing_exceptions_status", "status", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    closing_id: Mapped[int]
    kind: Mapped[str] = mapped_column(String(16))
    expected: Mapped[int] = mapped_column(BigInteger)
    found: Mapped[int] = mapped_column(BigInteger)
    status: Mapped[str] = mapped_column(String(16))
    closed_by_id: Mapped[int]
    """Who closed the day, so that the database can tell the two people apart."""
    cleared_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    cleared_by_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    clear_request_id: Mapped[uuid.UUID | None] = mapped_column(Uuid)
    reason: Mapped[str] = mapped_column(String(500), server_default="")
