"""Outreach plans, and who changed what an office plans."""

from __future__ import annotations

import uuid
from datetime import date, datetime, time

from sqlalchemy import CheckConstraint, Date, ForeignKey, Index, String, Time, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from inventory.db import Base, UtcDateTime
from inventory.domain.outreach import STATUSES
from inventory.domain.quantities import MAX_QUANTITY
from inventory.models.keys import find_by_number
from inventory.models.offices import one_of

SUBJECTS = ("outreach", "event", "cap")
STEPS = ("added", "changed", "called_off", "held", "removed")


class OutreachPlan(Base):
    """A day on which an office means to print elsewhere. Never deleted; `version` grows with every change."""

    __tablename__ = "outreach_plans"
    __table_args__ = (
        CheckConstraint(one_of("status", STATUSES), name="status"),
        CheckConstraint("version >= 1", name="version"),
        CheckConstraint("place <> ''", name="place"),
        CheckConstraint(
            "(starts IS NULL AND ends IS NULL) OR (starts IS NOT NULL AND ends IS NOT NULL AND starts < ends)",
            name="hours",
        ),
        CheckConstraint("(status = 'planned') = (closed_at IS NULL)", name="closed"),
        CheckConstraint("team_id IS NULL OR team_id <> office_id", name="team"),
        Index("ix_outreach_plans_office_id_day", "office_id", "day"),
        Index("ix_outreach_plans_day", "day"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    office_id: Mapped[int] = mapped_column(ForeignKey("offices.id"))
    day: Mapped[date] = mapped_column(Date)
    """A day of the office's calendar."""
    place: Mapped[str] = mapped_column(String(120))
    team_id: Mapped[int | None] = mapped_column(ForeignKey("offices.id"))
    """An outreach team that is an office of its own."""
    team: Mapped[str] = mapped_column(String(120), server_default="")
    """Who goes, in words."""
    starts: Mapped[time | None] = mapped_column(Time)
    """On the office's clock, like `ends`."""
    ends: Mapped[time | None] = mapped_column(Time)
    status: Mapped[str] = mapped_column(String(16))
    version: Mapped[int] = mapped_column(server_default="1")
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    made_by_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    note: Mapped[str] = mapped_column(String(500), server_default="")


find_by_number(OutreachPlan.place)


class OutreachPlanLine(Base):
    """How many prints of one item are expected, and were made where somebody counted."""

    __tablename__ = "outreach_plan_lines"
    __table_args__ = (
        CheckConstraint(f"expected BETWEEN 1 AND {MAX_QUANTITY}", name="expected"),
        CheckConstraint(f"actual BETWEEN 0 AND {MAX_QUANTITY}", name="actual"),
    )

    outreach_plan_id: Mapped[int] = mapped_column(ForeignKey("outreach_plans.id"), primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"), primary_key=True)
    expected: Mapped[int]
    actual: Mapped[int | None]


class PlanStep(Base):
    """Who took which step on a plan, an event or a cap. Its request id makes a repeated form find what it did."""

    __tablename__ = "plan_steps"
    __table_args__ = (
        CheckConstraint(one_of("subject", SUBJECTS), name="subject"),
        CheckConstraint(one_of("step", STEPS), name="step"),
        Index("ix_plan_steps_subject_subject_id", "subject", "subject_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(String(16))
    subject_id: Mapped[int]
    """The id of the outreach plan, the event or the day cap."""
    office_id: Mapped[int | None] = mapped_column(ForeignKey("offices.id"), index=True)
    """None where it is about the whole country."""
    step: Mapped[str] = mapped_column(String(16))
    request_id: Mapped[uuid.UUID] = mapped_column(Uuid, unique=True)
    request_digest: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    by_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    note: Mapped[str] = mapped_column(String(500), server_default="")
