"""Seals over movements and audit; append-only like what they seal."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, String
from sqlalchemy.orm import Mapped, mapped_column

from inventory.db import Base, UtcDateTime


def _counted(count: str, first: str, last: str) -> str:
    """The text of a CHECK that so many rows lie between two ids, and none where there are none."""
    some = f"{count} >= 1 AND {first} IS NOT NULL AND {last} IS NOT NULL AND {last} >= {first}"
    return f"({count} = 0 AND {first} IS NULL AND {last} IS NULL) OR ({some})"


class Seal(Base):
    """One link of the chain: the movements from `first_id` to `last_id` and the audit entries from `first_audit_id` to
    `last_audit_id`, chained to the seal before. One of both may be none."""

    __tablename__ = "seals"
    __table_args__ = (
        CheckConstraint(_counted("movements", "first_id", "last_id"), name="movements"),
        CheckConstraint(_counted("audit_entries", "first_audit_id", "last_audit_id"), name="audit_entries"),
        CheckConstraint("movements + audit_entries >= 1", name="something"),
        CheckConstraint("length(digest) = 64 AND length(previous) = 64", name="digests"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    sealed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    first_id: Mapped[int | None] = mapped_column(BigInteger, unique=True)
    last_id: Mapped[int | None] = mapped_column(BigInteger, unique=True)
    movements: Mapped[int] = mapped_column(BigInteger)
    first_audit_id: Mapped[int | None] = mapped_column(BigInteger, unique=True)
    last_audit_id: Mapped[int | None] = mapped_column(BigInteger, unique=True)
    audit_entries: Mapped[int] = mapped_column(BigInteger, server_default="0")
    previous: Mapped[str] = mapped_column(String(64), unique=True)
    """The digest before this one: unique, so that two seals cannot follow the same one."""
    digest: Mapped[str] = mapped_column(String(64), unique=True)
