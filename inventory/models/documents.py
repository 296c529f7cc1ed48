"""Documents that were issued, with their numbers: per office and year 1, 2, 3, and none left out."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import CheckConstraint, Date, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from inventory.db import Base, UtcDateTime
from inventory.domain.documents import KINDS, SUBJECT_LENGTH
from inventory.models.offices import one_of


class DocumentCounter(Base):
    """The last number given out. Taken and used in one transaction: a number is never lost."""

    __tablename__ = "document_counters"
    __table_args__ = (CheckConstraint("last >= 0", name="last"),)

    office_id: Mapped[int] = mapped_column(ForeignKey("offices.id"), primary_key=True)
    year: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    last: Mapped[int]


class Document(Base):
    """One document, never updated, never deleted, and numbered right after the one before it (triggers see to it)."""

    __tablename__ = "documents"
    __table_args__ = (
        UniqueConstraint("office_id", "year", "number"),
        UniqueConstraint("office_id", "kind", "subject"),
        UniqueConstraint("token"),
        CheckConstraint("number >= 1", name="number"),
        CheckConstraint(one_of("kind", KINDS), name="kind"),
        CheckConstraint("subject <> ''", name="subject"),
        CheckConstraint("length(digest) = 64", name="digest"),
        CheckConstraint("length(token) >= 22", name="token"),
        Index("ix_documents_office_id_id", "office_id", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    office_id: Mapped[int] = mapped_column(ForeignKey("offices.id"))
    year: Mapped[int]
    """Of `day`: the office's own year."""
    number: Mapped[int]
    kind: Mapped[str] = mapped_column(String(16))
    subject: Mapped[str] = mapped_column(String(SUBJECT_LENGTH))
    """What it is about, within its kind: the same subject is the same document."""
    day: Mapped[date] = mapped_column(Date)
    content: Mapped[str] = mapped_column(Text)
    """All that its pages are drawn from, as JSON; see `domain.documents.Paper`."""
    digest: Mapped[str] = mapped_column(String(64))
    """SHA-256 of the content."""
    token: Mapped[str] = mapped_column(String(43))
    """In the address under which anybody who holds the paper can look it up; cannot be guessed."""
    issued_at: Mapped[datetime] = mapped_column(UtcDateTime)
    issued_by_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
