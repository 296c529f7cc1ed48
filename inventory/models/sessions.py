"""Sessions: each log-in that lasts, on one browser."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from inventory.db import Base, UtcDateTime
from inventory.domain.sessions import End
from inventory.models.offices import one_of


class LoginSession(Base):
    """`digest` is that of the random key which the browser's cookie carries; without this row the cookie is worth
    nothing."""

    __tablename__ = "login_sessions"
    __table_args__ = (
        CheckConstraint("length(digest) = 64", name="digest"),
        CheckConstraint("started_at <= last_seen_at", name="order"),
        CheckConstraint("(ended_at IS NULL) = (end_reason IS NULL)", name="ended"),
        CheckConstraint("end_reason IS NULL OR " + one_of("end_reason", tuple(End)), name="end_reason"),
        Index("ix_login_sessions_person_id_ended_at", "person_id", "ended_at"),
        Index("ix_login_sessions_last_seen_at", "last_seen_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    address: Mapped[str] = mapped_column(String(45), default="", server_default="")
    device: Mapped[str] = mapped_column(String(60), default="", server_default="")
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    end_reason: Mapped[str | None] = mapped_column(String(24))
