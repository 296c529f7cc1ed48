"""Chores, which are done every few seconds and record no runs: when each was last done well."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, String
from sqlalchemy.orm import Mapped, mapped_column

from inventory.db import Base, UtcDateTime


class ChoreRound(Base):
    """The last good round of a chore, by whichever process; and what has held it up since, if anything has."""

    __tablename__ = "chore_rounds"
    __table_args__ = (
        CheckConstraint("chore <> ''", name="chore"),
        CheckConstraint("good_at IS NOT NULL OR held_up IS NOT NULL", name="said"),
    )

    chore: Mapped[str] = mapped_column(String(40), primary_key=True)
    good_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    held_up: Mapped[str | None] = mapped_column(String(300))
