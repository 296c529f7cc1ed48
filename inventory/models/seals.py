"""Seals over the movements; append-only like the movements themselves."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, String
from sqlalchemy.orm import Mapped, mapped_column

from inventory.db import Base, UtcDateTime


class Seal(Base):
    """One link of the chain: the movements from `first_id` to `last_id`, chained to the seal before."""

    __tablename__ = "seals"
    __table_args__ = (
        CheckConstraint("movements >= 1 AND last_id >= first_id", name="movements"),
        CheckConstraint("length(digest) = 64 AND length(previous) = 64", name="digests"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    sealed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    first_id: Mapped[int] = mapped_column(BigInteger, unique=True)
    last_id: Mapped[int] = mapped_column(BigInteger, unique=True)
    movements: Mapped[int] = mapped_column(BigInteger)
    previous: Mapped[str] = mapped_column(String(64), unique=True)
    """The digest before this one: unique, so that two seals cannot follow the same one."""
    digest: Mapped[str] = mapped_column(String(64), unique=True)
