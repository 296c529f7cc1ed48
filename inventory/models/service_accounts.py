"""Accounts of machines, the tokens that they show, and what they asked for by the API."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, SmallInteger, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from inventory.db import Base, UtcDateTime
from inventory.models.offices import Office
from inventory.models.people import Person


class ServiceAccount(Base):
    """What belongs to a person of kind "service": an office and what is below it, and what may be done there."""

    __tablename__ = "service_accounts"
    __table_args__ = (
        CheckConstraint("scopes <> ''", name="scopes"),
        CheckConstraint("closed_at IS NOT NULL OR closed_by_id IS NULL", name="closed"),
    )

    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"), primary_key=True, autoincrement=False)
    office_id: Mapped[int] = mapped_column(ForeignKey("offices.id"), index=True)
    scopes: Mapped[str] = mapped_column(String(400))
    """Separated by spaces."""
    purpose: Mapped[str] = mapped_column(String(240))
    request_id: Mapped[str] = mapped_column(String(36), unique=True)
    """What asked for it: the same form sent twice makes one account."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    closed_by_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    person: Mapped[Person] = relationship(foreign_keys=[person_id], lazy="joined", innerjoin=True)
    office: Mapped[Office] = relationship(lazy="joined", innerjoin=True)


class ApiToken(Base):
    """A secret that stands for an account, kept as its SHA-256 only; `prefix` is its beginning, to know it by."""

    __tablename__ = "api_tokens"
    __table_args__ = (
        CheckConstraint("expires_at > created_at", name="expires_at"),
        CheckConstraint("length(digest) = 64", name="digest"),
        CheckConstraint("revoked_at IS NOT NULL OR revoked_by_id IS NULL", name="revoked"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("service_accounts.person_id"), index=True)
    name: Mapped[str] = mapped_column(String(80))
    prefix: Mapped[str] = mapped_column(String(12))
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Within a minute: not every request is written down."""
    last_used_from: Mapped[str | None] = mapped_column(String(45))
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_by_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    request_id: Mapped[str] = mapped_column(String(36), unique=True)


class ApiRequest(Base):
    """A posting by the API under the key that its sender chose, and the answer that it had."""

    __tablename__ = "api_requests"
    __table_args__ = (
        UniqueConstraint("person_id", "key"),
        CheckConstraint("state IN ('claimed', 'done')", name="state"),
        CheckConstraint(
            "(state = 'done') = (status IS NOT NULL) AND (state = 'done') = (done_at IS NOT NULL)", name="done"
        ),
        CheckConstraint("status BETWEEN 200 AND 299", name="status"),
        Index("ix_api_requests_claimed_at", "claimed_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    key: Mapped[str] = mapped_column(String(255))
    digest: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(8))
    claim: Mapped[str] = mapped_column(String(32))
    """Who holds it: one that was taken over cannot be settled by who held it before."""
    claimed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    status: Mapped[int | None] = mapped_column(SmallInteger)
    headers: Mapped[str | None] = mapped_column(Text)
    body: Mapped[str | None] = mapped_column(Text)
    done_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    rights: Mapped[str | None] = mapped_column(Text)
    """JSON: what its sender might do when it was answered, for which alone the answer is given again."""
