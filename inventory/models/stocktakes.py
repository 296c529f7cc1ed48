"""Stocktakes and their lines: the rules of `inventory.domain.stocktakes` as constraints."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from inventory.db import Base, UtcDateTime
from inventory.domain.quantities import MAX_QUANTITY
from inventory.domain.stocktakes import OPEN_STATUSES, STATUSES
from inventory.models.offices import one_of

IS_OPEN = one_of("status", OPEN_STATUSES)


class Stocktake(Base):
    """A count of all that an office holds. Triggers refuse the approval, and the cancelling once all is
    counted, by somebody who counted."""

    __tablename__ = "stocktakes"
    __table_args__ = (
        CheckConstraint(one_of("status", STATUSES), name="status"),
        CheckConstraint(
            "(status = 'approved') = (approved_at IS NOT NULL) AND (status = 'approved') = (approved_by_id IS NOT NULL)"
            " AND (status = 'approved') = (approval_request_id IS NOT NULL)",
            name="approved",
        ),
        CheckConstraint("approved_by_id IS NULL OR approved_by_id <> opened_by_id", name="two_people"),
        CheckConstraint(
            "(status = 'cancelled') = (cancelled_at IS NOT NULL) AND (status = 'cancelled') = (cancel_reason <> '')",
            name="cancelled",
        ),
        Index(
            "uq_stocktakes_open",
            "office_id",
            unique=True,
            sqlite_where=text(IS_OPEN),
            postgresql_where=text(IS_OPEN),
        ),
        Index("ix_stocktakes_office_id", "office_id", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    request_id: Mapped[uuid.UUID] = mapped_column(Uuid, unique=True)
    office_id: Mapped[int] = mapped_column(ForeignKey("offices.id"))
    status: Mapped[str] = mapped_column(String(16))
    record_number: Mapped[str] = mapped_column(String(80), server_default="")
    """The number of its record (berita acara), where there is one."""
    note: Mapped[str] = mapped_column(String(500), server_default="")
    opened_at: Mapped[datetime] = mapped_column(UtcDateTime)
    opened_by_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    approved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    approved_by_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    approval_request_id: Mapped[uuid.UUID | None] = mapped_column(Uuid, unique=True)
    cancelled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    cancelled_by_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    cancel_reason: Mapped[str] = mapped_column(String(500), server_default="")


class StocktakeLine(Base):
    """The count of one item, its second count where one was asked for, and what was booked of it."""

    __tablename__ = "stocktake_lines"
    __table_args__ = (
        CheckConstraint(
            "(counted IS NULL AND counted_at IS NULL AND counted_by_id IS NULL AND count_request_id IS NULL)"
            f" OR (counted IS NOT NULL AND counted BETWEEN 0 AND {MAX_QUANTITY} AND counted_at IS NOT NULL"
            " AND counted_by_id IS NOT NULL AND count_request_id IS NOT NULL)",
            name="counted",
        ),
        CheckConstraint(
            "(recounted IS NULL AND recounted_at IS NULL AND recounted_by_id IS NULL AND recount_request_id IS NULL)"
            f" OR (recounted IS NOT NULL AND recounted BETWEEN 0 AND {MAX_QUANTITY} AND recounted_at IS NOT NULL"
            " AND recounted_by_id IS NOT NULL AND recount_request_id IS NOT NULL AND recount_asked"
            " AND counted IS NOT NULL AND recounted_at >= counted_at)",
            name="recounted",
        ),
        CheckConstraint(
            "(book IS NULL AND difference IS NULL) OR (book IS NOT NULL AND difference IS NOT NULL"
            " AND counted IS NOT NULL AND difference = coalesce(recounted, counted) - book)",
            name="difference",
        ),
    )

    stocktake_id: Mapped[int] = mapped_column(ForeignKey("stocktakes.id"), primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"), primary_key=True)
    counted: Mapped[int | None]
    counted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    counted_by_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    count_request_id: Mapped[uuid.UUID | None] = mapped_column(Uuid)
    recount_asked: Mapped[bool] = mapped_column(server_default=text("false"))
    recounted: Mapped[int | None]
    recounted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    recounted_by_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    recount_request_id: Mapped[uuid.UUID | None] = mapped_column(Uuid)
    book: Mapped[int | None]
    """The book at the instant of the count, as known when the difference was last booked."""
    difference: Mapped[int | None]
    """Count less book: the sum of what was booked for this line."""
