"""Events that move demand: elections, school enrolment and others that administrators enter."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import CheckConstraint, Date, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from inventory.db import Base, UtcDateTime
from inventory.domain.events import KINDS
from inventory.models.offices import one_of


class Event(Base):
    """Days on which demand is another than usual, in an office's subtree or in the country.

    What is removed stays, with the instant; it counts no longer.
    """

    __tablename__ = "events"
    __table_args__ = (
        CheckConstraint(one_of("kind", KINDS), name="kind"),
        CheckConstraint("name <> ''", name="name"),
        CheckConstraint("last_day >= first_day", name="days"),
        CheckConstraint("factor BETWEEN 0.1 AND 5.0", name="factor"),
        CheckConstraint("version >= 1", name="version"),
        Index("ix_events_last_day", "last_day"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(24))
    name: Mapped[str] = mapped_column(String(120))
    first_day: Mapped[date] = mapped_column(Date)
    last_day: Mapped[date] = mapped_column(Date)
    office_id: Mapped[int | None] = mapped_column(ForeignKey("offices.id"), index=True)
    """None for the whole country."""
    factor: Mapped[float | None]
    """On usual demand; None to learn it from history."""
    version: Mapped[int] = mapped_column(server_default="1")
    removed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    made_by_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)


class EventItem(Base):
    """An item that an event is about; an event without any is about every item."""

    __tablename__ = "event_items"

    event_id: Mapped[int] = mapped_column(ForeignKey("events.id"), primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"), primary_key=True)
