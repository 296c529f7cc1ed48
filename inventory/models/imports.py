"""Imports: files of past records, from the dry run to the ledger, and the days that they have filled in."""

from __future__ import annotations

import uuid
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Uuid,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from inventory.db import Base, UtcDateTime
from inventory.domain.imports import KINDS, STATUSES
from inventory.models.offices import one_of


class Import(Base):
    """A file that was looked through. Its rows are kept until it is imported, refused or a day old."""

    __tablename__ = "imports"
    __table_args__ = (
        CheckConstraint(one_of("kind", KINDS), name="kind"),
        CheckConstraint(one_of("status", STATUSES), name="status"),
        CheckConstraint("(status = 'checked') = (content IS NOT NULL)", name="content"),
        CheckConstraint("(status = 'imported') = (imported_at IS NOT NULL)", name="imported"),
        CheckConstraint("(status = 'refused') = (fault_count > 0)", name="fault_count"),
        CheckConstraint("length(digest) = 64", name="digest"),
        CheckConstraint("row_count >= 0 AND movement_count >= 0 AND size >= 0", name="counts"),
        # A file is imported once, whoever sends it again and from where.
        Index(
            "uq_imports_digest",
            "kind",
            "digest",
            unique=True,
            sqlite_where=text("status = 'imported'"),
            postgresql_where=text("status = 'imported'"),
        ),
        Index("ix_imports_office_id", "office_id", "id"),
        Index("ix_imports_status", "status", "checked_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    request_id: Mapped[uuid.UUID] = mapped_column(Uuid, unique=True)
    office_id: Mapped[int] = mapped_column(ForeignKey("offices.id"))
    """Where the file was sent in; its rows may be of any office that the sender may import for."""
    kind: Mapped[str] = mapped_column(String(16))
    status: Mapped[str] = mapped_column(String(10))
    file_name: Mapped[str] = mapped_column(String(200))
    size: Mapped[int] = mapped_column(Integer)
    digest: Mapped[str] = mapped_column(String(64))
    """SHA-256 of the file as it was sent."""
    row_count: Mapped[int] = mapped_column(Integer)
    movement_count: Mapped[int] = mapped_column(Integer)
    totals: Mapped[list[Any]] = mapped_column(JSON)
    """What the rows add up to: [item code, movement kind, reason, quantity]."""
    fault_count: Mapped[int] = mapped_column(Integer)
    faults: Mapped[list[Any]] = mapped_column(JSON)
    """The first faults: [row, field, code, facts]."""
    content: Mapped[bytes | None] = mapped_column(LargeBinary)
    """The rows that were read, as compressed JSON, while they wait to be imported."""
    checked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    checked_by_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    imported_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    imported_by_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))


class ImportedDay(Base):
    """An office's day that a file has filled in: no second file may, unless what the first one wrote is reversed."""

    __tablename__ = "imported_days"

    office_id: Mapped[int] = mapped_column(ForeignKey("offices.id"), primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"), primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    import_id: Mapped[int] = mapped_column(ForeignKey("imports.id"), index=True)
    row: Mapped[int] = mapped_column(BigInteger)
