"""Day caps of offices that ration their prints."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import CheckConstraint, Date, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from inventory.db import Base, UtcDateTime
from inventory.domain.quantities import MAX_QUANTITY


class DayCap(Base):
    """At most so many prints of an item a day. Where two count on a day, the lower one does. Never deleted: one that
    was entered by mistake is withdrawn."""

    __tablename__ = "day_caps"
    __table_args__ = (
        CheckConstraint(f"most_a_day BETWEEN 1 AND {MAX_QUANTITY}", name="most_a_day"),
        CheckConstraint("last_day >= first_day", name="days"),
        CheckConstraint("version >= 1", name="version"),
        Index("ix_day_caps_office_id_item_id", "office_id", "item_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    office_id: Mapped[int] = mapped_column(ForeignKey("offices.id"))
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"))
    most_a_day: Mapped[int]
    first_day: Mapped[date] = mapped_column(Date)
    last_day: Mapped[date | None] = mapped_column(Date)
    """None for as long as nobody says otherwise."""
    version: Mapped[int] = mapped_column(server_default="1")
    withdrawn_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    made_by_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    note: Mapped[str] = mapped_column(String(500), server_default="")
