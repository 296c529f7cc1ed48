"""Delivery requests: what an office asked for, what it was allotted, and the steps in between."""

from __future__ import annotations

import uuid
from datetime import date, datetime

from sqlalchemy import CheckConstraint, Date, ForeignKey, Index, String, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from inventory.db import Base, UtcDateTime
from inventory.domain.quantities import MAX_QUANTITY
from inventory.domain.requests import STATUSES, STEPS
from inventory.models.offices import one_of


class DeliveryRequest(Base):
    """What an office asked its supplier for. Hand-overs that name it are rows of `deliveries`."""

    __tablename__ = "delivery_requests"
    __table_args__ = (
        CheckConstraint(one_of("status", STATUSES), name="status"),
        CheckConstraint("hand_overs >= 0", name="hand_overs"),
        CheckConstraint("status <> 'cancelled' OR hand_overs = 0", name="cancelled"),
        CheckConstraint(
            "(status IN ('received', 'cancelled')) = (closed_on IS NOT NULL)"
            " AND (closed_on IS NULL) = (closed_at IS NULL)",
            name="closed",
        ),
        CheckConstraint("status <> 'asked' OR allotted_on IS NULL", name="not_allotted"),
        CheckConstraint("status <> 'allotted' OR allotted_on IS NOT NULL", name="allotted"),
        CheckConstraint("needed_by >= asked_on", name="needed_by"),
        CheckConstraint("closed_on >= asked_on", name="closed_on"),
        Index("ix_delivery_requests_office_id_status", "office_id", "status"),
        Index("ix_delivery_requests_status", "status"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    request_id: Mapped[uuid.UUID] = mapped_column(Uuid, unique=True)
    request_digest: Mapped[str] = mapped_column(String(64))
    office_id: Mapped[int] = mapped_column(ForeignKey("offices.id"))
    supplier: Mapped[str] = mapped_column(String(120))
    status: Mapped[str] = mapped_column(String(16))
    version: Mapped[int] = mapped_column(server_default="1")
    """Grows with every change, so that nobody decides upon a request that has changed since they looked."""
    hand_overs: Mapped[int] = mapped_column(server_default="0")
    """How many deliveries name it and stand; written together with them."""
    asked_on: Mapped[date] = mapped_column(Date)
    """A day of the office's calendar, like the other days here."""
    needed_by: Mapped[date | None] = mapped_column(Date)
    allotted_on: Mapped[date | None] = mapped_column(Date)
    closed_on: Mapped[date | None] = mapped_column(Date)
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    made_by_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    note: Mapped[str] = mapped_column(String(500), server_default="")


class DeliveryRequestLine(Base):
    """How many of one item. `allotted` is empty until somebody has answered; 0 is an answer."""

    __tablename__ = "delivery_request_lines"
    __table_args__ = (
        CheckConstraint(f"asked BETWEEN 1 AND {MAX_QUANTITY}", name="asked"),
        CheckConstraint(f"allotted BETWEEN 0 AND {MAX_QUANTITY}", name="allotted"),
        CheckConstraint(f"cartons BETWEEN 1 AND {MAX_QUANTITY}", name="cartons"),
    )

    delivery_request_id: Mapped[int] = mapped_column(ForeignKey("delivery_requests.id"), primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"), primary_key=True)
    asked: Mapped[int]
    allotted: Mapped[int | None]
    cartons: Mapped[int | None]
    """In how many cartons the allotment comes."""


class DeliveryRequestStep(Base):
    """Who decided what on a request, and when. Its request id makes a repeated form find what it did."""

    __tablename__ = "delivery_request_steps"
    __table_args__ = (CheckConstraint(one_of("step", STEPS), name="step"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    delivery_request_id: Mapped[int] = mapped_column(ForeignKey("delivery_requests.id"), index=True)
    step: Mapped[str] = mapped_column(String(16))
    request_id: Mapped[uuid.UUID] = mapped_column(Uuid, unique=True)
    request_digest: Mapped[str] = mapped_column(String(64))
    on_day: Mapped[date] = mapped_column(Date)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    by_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    note: Mapped[str] = mapped_column(String(500), server_default="")
