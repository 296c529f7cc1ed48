"""What offices have said of clearing their backlog and of digital identities: the newest word counts, all are kept."""

from __future__ import annotations

import uuid
from datetime import date, datetime

from sqlalchemy import CheckConstraint, Date, ForeignKey, Index, String, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from inventory.db import Base, UtcDateTime
from inventory.domain.quantities import MAX_QUANTITY


class ClearingRate(Base):
    """Cards a working day by which the print-ready backlog is to be cleared; None for not planned."""

    __tablename__ = "clearing_rates"
    __table_args__ = (
        CheckConstraint(f"per_day BETWEEN 1 AND {MAX_QUANTITY}", name="per_day"),
        CheckConstraint("source <> ''", name="source"),
        Index("ix_clearing_rates_office_id_item_id", "office_id", "item_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    office_id: Mapped[int] = mapped_column(ForeignKey("offices.id"))
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"))
    per_day: Mapped[int | None]
    source: Mapped[str] = mapped_column(String(200))
    stated_on: Mapped[date] = mapped_column(Date)
    request_id: Mapped[uuid.UUID] = mapped_column(Uuid, unique=True)
    request_digest: Mapped[str] = mapped_column(String(64))
    stated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    stated_by_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))


class DigitalShare(Base):
    """The share by which digital identities lower an office's usual demand; 0 for none."""

    __tablename__ = "digital_shares"
    __table_args__ = (
        CheckConstraint("share BETWEEN 0 AND 0.9", name="share"),
        CheckConstraint("source <> ''", name="source"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    office_id: Mapped[int] = mapped_column(ForeignKey("offices.id"), index=True)
    share: Mapped[float]
    source: Mapped[str] = mapped_column(String(200))
    stated_on: Mapped[date] = mapped_column(Date)
    request_id: Mapped[uuid.UUID] = mapped_column(Uuid, unique=True)
    request_digest: Mapped[str] = mapped_column(String(64))
    stated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    stated_by_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
