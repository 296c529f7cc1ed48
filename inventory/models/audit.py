"""The audit: append-only like the movements, and in the same chain of seals."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from inventory.db import Base, UtcDateTime
from inventory.domain.audit import FACTS_LENGTH, SUBJECT_LENGTH, WAYS
from inventory.models.ledger import BIG_ID
from inventory.models.offices import one_of


class AuditEntry(Base):
    """Who did what, from where and when: never updated, never deleted (a trigger refuses both)."""

    __tablename__ = "audit_entries"
    __table_args__ = (
        CheckConstraint(one_of("way", WAYS), name="way"),
        CheckConstraint("length(digest) = 64", name="digest"),
        CheckConstraint(f"length(facts) BETWEEN 2 AND {FACTS_LENGTH}", name="facts"),
        Index("ix_audit_entries_at", "at"),
        Index("ix_audit_entries_person_id_id", "person_id", "id"),
        Index("ix_audit_entries_about_id_id", "about_id", "id"),
        Index("ix_audit_entries_office_id_id", "office_id", "id"),
        Index("ix_audit_entries_event_id", "event", "id"),
    )

    id: Mapped[int] = mapped_column(BIG_ID, primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    event: Mapped[str] = mapped_column(String(32))
    person_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    """Whose act it was; none for the system and for who is not known."""
    actor_name: Mapped[str] = mapped_column(String(120))
    """Their name as it was then."""
    about_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    """Whose account it is about, where that is another's or nobody has shown whose act it was."""
    way: Mapped[str] = mapped_column(String(12))
    address: Mapped[str] = mapped_column(String(64))
    request_id: Mapped[str] = mapped_column(String(64))
    office_id: Mapped[int | None] = mapped_column(ForeignKey("offices.id"))
    subject: Mapped[str] = mapped_column(String(SUBJECT_LENGTH))
    """What it was about, as people know it: a number, a name, an address of a page."""
    facts: Mapped[str] = mapped_column(Text)
    """JSON, as `domain.audit.write_facts` writes it."""
    digest: Mapped[str] = mapped_column(String(64))
