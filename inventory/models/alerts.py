"""Projections, alerts and their history, and the runs of the jobs that make them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    CheckConstraint,
    Date,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from inventory.db import Base, UtcDateTime
from inventory.domain.alerts import Level, Subject
from inventory.models.ledger import BIG_ID
from inventory.models.offices import one_of

RUN_STATUSES = ("running", "done", "failed")


class StatedRate(Base):
    """A published or a manager's figure of demand per working day, used while there is too little history."""

    __tablename__ = "stated_rates"
    __table_args__ = (CheckConstraint("per_day >= 0", name="per_day"),)

    office_id: Mapped[int] = mapped_column(ForeignKey("offices.id"), primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"), primary_key=True)
    per_day: Mapped[float]
    source: Mapped[str] = mapped_column(String(200))
    stated_on: Mapped[date] = mapped_column(Date)


class StoredProjection(Base):
    """The latest projection of an office and item, as the last review made it."""

    __tablename__ = "projections"
    __table_args__ = (
        ForeignKeyConstraint(["office_id", "item_id"], ["balances.office_id", "balances.item_id"]),
        CheckConstraint(one_of("level", tuple(Level)), name="level"),
        # Rows are long for their facts: counting offices by the day reads this alone.
        Index(
            "ix_projections_run_outs",
            *("stockout_on", "office_id", "item_id", "level", "stockout_early_on", "stockout_late_on"),
        ),
    )

    office_id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = mapped_column(primary_key=True)
    on_day: Mapped[date] = mapped_column(Date)
    made_at: Mapped[datetime] = mapped_column(UtcDateTime)
    level: Mapped[str] = mapped_column(String(16))
    facts: Mapped[dict[str, Any]] = mapped_column(JSON)
    stockout_on: Mapped[date | None] = mapped_column(Date)
    """When the stock is likely to run out, if nothing comes: what `facts` say, for counting in SQL."""
    stockout_early_on: Mapped[date | None] = mapped_column(Date)
    stockout_late_on: Mapped[date | None] = mapped_column(Date)


class Alert(Base):
    """One open alert at most per office, item and subject; closed ones stay as history. Some subjects are about an
    office as a whole, and have no item."""

    __tablename__ = "alerts"
    __table_args__ = (
        CheckConstraint(one_of("level", tuple(Level)), name="level"),
        CheckConstraint(one_of("subject", tuple(Subject)), name="subject"),
        CheckConstraint("(level = 'ok') = (resolved_at IS NOT NULL)", name="resolved"),
        Index(
            "uq_alerts_open",
            "office_id",
            "item_id",
            "subject",
            unique=True,
            sqlite_where=text("resolved_at IS NULL"),
            postgresql_where=text("resolved_at IS NULL"),
        ),
        # NULLs never collide in the index above.
        Index(
            "uq_alerts_open_office",
            "office_id",
            "subject",
            unique=True,
            sqlite_where=text("resolved_at IS NULL AND item_id IS NULL"),
            postgresql_where=text("resolved_at IS NULL AND item_id IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    office_id: Mapped[int] = mapped_column(ForeignKey("offices.id"))
    item_id: Mapped[int | None] = mapped_column(ForeignKey("items.id"))
    subject: Mapped[str] = mapped_column(String(24))
    level: Mapped[str] = mapped_column(String(16))
    opened_at: Mapped[datetime] = mapped_column(UtcDateTime)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    resolved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    facts: Mapped[dict[str, Any]] = mapped_column(JSON)


class AlertEvent(Base):
    """A change of an alert's level, with the numbers that caused it."""

    __tablename__ = "alert_events"
    __table_args__ = (
        CheckConstraint(one_of("from_level", tuple(Level)), name="from_level"),
        CheckConstraint(one_of("to_level", tuple(Level)), name="to_level"),
        CheckConstraint("from_level <> to_level", name="change"),
    )

    id: Mapped[int] = mapped_column(BIG_ID, primary_key=True)
    alert_id: Mapped[int] = mapped_column(ForeignKey("alerts.id"), index=True)
    job_run_id: Mapped[int | None] = mapped_column(ForeignKey("job_runs.id"))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    from_level: Mapped[str] = mapped_column(String(16))
    to_level: Mapped[str] = mapped_column(String(16))
    facts: Mapped[dict[str, Any]] = mapped_column(JSON)


class JobRun(Base):
    """A slot of a job that some process took: written in the transaction of the job's effects, so it holds once."""

    __tablename__ = "job_runs"
    __table_args__ = (
        UniqueConstraint("job", "slot"),
        CheckConstraint(one_of("status", RUN_STATUSES), name="status"),
        CheckConstraint("attempts >= 1", name="attempts"),
        Index("ix_job_runs_started_at", "started_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    job: Mapped[str] = mapped_column(String(40))
    slot: Mapped[datetime] = mapped_column(UtcDateTime)
    status: Mapped[str] = mapped_column(String(10))
    attempts: Mapped[int] = mapped_column(Integer, server_default="1")
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    slots_missed: Mapped[int] = mapped_column(server_default="0")
    counts: Mapped[dict[str, Any]] = mapped_column(JSON)
    error: Mapped[str | None] = mapped_column(String(2000))
    worker: Mapped[str] = mapped_column(String(80))
