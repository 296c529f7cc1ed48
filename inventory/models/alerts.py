"""Projections, alerts and their history, and the runs of the jobs that make them."""

from __future__ import annotations

import uuid
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    ColumnElement,
    Computed,
    Date,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    Uuid,
    case,
    text,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.sql import SQLColumnExpression
from sqlalchemy.sql.functions import FunctionElement

from inventory.db import Base, UtcDateTime
from inventory.domain.alerts import SEVERITY, Level, Subject
from inventory.domain.cases import BY_ITSELF, Act, Done, Event
from inventory.models.ledger import BIG_ID
from inventory.models.offices import one_of

RUN_STATUSES = ("running", "done", "failed")
OUTLOOK_COLUMNS = (
    *("level", "stockout_on", "stockout_early_on", "stockout_late_on"),
    *("per_day", "cover_days", "reorder_point", "to_come", "next_due_on", "made_at"),
)
"""Of a projection: what tells how a stock stands without its facts."""


def rank_of(level: SQLColumnExpression[str]) -> ColumnElement[int]:
    """SQL: in which order a level wants attention, see `domain.alerts.SEVERITY`."""
    return case({name.value: rank for name, rank in SEVERITY.items()}, value=level)


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
        # Likewise how all offices stand with one item.
        Index("ix_projections_outlooks", "item_id", "office_id", *OUTLOOK_COLUMNS),
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
    per_day: Mapped[float | None]
    """Usual demand on a working day. This and what follows are what `facts` say, like the days above."""
    cover_days: Mapped[float | None]
    """Working days until the usual demand has used the stock up."""
    reorder_point: Mapped[int | None] = mapped_column(BigInteger)
    to_come: Mapped[int | None] = mapped_column(BigInteger)
    """In transit to the office, with its teams, or on order."""
    next_due_on: Mapped[date | None] = mapped_column(Date)


class SubtreeTrend(Base):
    """What an office and all below it held in their stores at the close of the last days, as the review of all stocks
    found it: a sum that no page can make of thousands of offices."""

    __tablename__ = "subtree_trends"

    office_id: Mapped[int] = mapped_column(ForeignKey("offices.id"), primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"), primary_key=True)
    on_day: Mapped[date] = mapped_column(Date)
    """The day of the last figure."""
    stores: Mapped[list[int]] = mapped_column(JSON)
    """One figure a calendar day, the latest last."""


class _DayOfFacts(FunctionElement[str]):
    """SQL: the day that an alert's facts name, as the databases repeat it."""

    inherit_cache = True


@compiles(_DayOfFacts, "postgresql")
def _day_on_postgresql(*_: Any, **__: Any) -> str:
    return "COALESCE((facts ->> 'stockout_on'::text), (facts ->> 'since'::text))"


@compiles(_DayOfFacts, "sqlite")
def _day_on_sqlite(*_: Any, **__: Any) -> str:
    return "coalesce(json_extract(facts, '$.stockout_on'), json_extract(facts, '$.since'))"


class Alert(Base):
    """A case: one open at most per office, item and subject; closed ones stay as history. Some subjects are about an
    office as a whole, and have no item.

    One that people resolved keeps the level that it had; a review that finds it no better opens it again.
    """

    __tablename__ = "alerts"
    __table_args__ = (
        CheckConstraint(one_of("level", tuple(Level)), name="level"),
        CheckConstraint(one_of("subject", tuple(Subject)), name="subject"),
        CheckConstraint("level <> 'ok' OR resolved_at IS NOT NULL", name="resolved"),
        CheckConstraint("(done IS NULL) = (resolved_at IS NULL)", name="done"),
        CheckConstraint(one_of("done", tuple(Done)), name="how"),
        CheckConstraint("done IS NULL OR done <> 'relieved' OR level = 'ok'", name="relieved"),
        CheckConstraint("(acknowledged_at IS NULL) = (acknowledged_by_id IS NULL)", name="acknowledged"),
        CheckConstraint(
            "resolved_at IS NULL OR (snoozed_until IS NULL AND snoozed_level IS NULL)", name="snoozed_while_open"
        ),
        CheckConstraint(one_of("snoozed_level", tuple(Level)[1:]), name="snoozed_level"),
        CheckConstraint("reopened >= 0", name="reopened"),
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
    facts_day: Mapped[str | None] = mapped_column(Text, Computed(_DayOfFacts(), persisted=True), deferred=True)
    """In ISO format the day on which the stock runs out, or since when it has been so, as the facts say; the database
    works it out itself, so that a list of thousands is put in order without reading their facts."""
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    acknowledged_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    acknowledged_by_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    snoozed_until: Mapped[date | None] = mapped_column(Date)
    """The office's own day on which it wakes."""
    snoozed_level: Mapped[str | None] = mapped_column(String(16))
    done: Mapped[str | None] = mapped_column(String(16))
    reopened: Mapped[int] = mapped_column(server_default="0")


class AlertEvent(Base):
    """A line of a case's history: a change of its level with the numbers that caused it, or what a person did."""

    __tablename__ = "alert_events"
    __table_args__ = (
        CheckConstraint(one_of("from_level", tuple(Level)), name="from_level"),
        CheckConstraint(one_of("to_level", tuple(Level)), name="to_level"),
        CheckConstraint(one_of("kind", tuple(Event)), name="kind"),
        CheckConstraint("(kind = 'level') = (from_level <> to_level)", name="change"),
        CheckConstraint(f"({one_of('kind', BY_ITSELF)}) = (person_id IS NULL)", name="person"),
        CheckConstraint("kind <> 'comment' OR words <> ''", name="comment"),
    )

    id: Mapped[int] = mapped_column(BIG_ID, primary_key=True)
    alert_id: Mapped[int] = mapped_column(ForeignKey("alerts.id"), index=True)
    job_run_id: Mapped[int | None] = mapped_column(ForeignKey("job_runs.id"))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    from_level: Mapped[str] = mapped_column(String(16))
    to_level: Mapped[str] = mapped_column(String(16))
    facts: Mapped[dict[str, Any]] = mapped_column(JSON)
    kind: Mapped[str] = mapped_column(String(16), server_default=Event.LEVEL.value)
    person_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    words: Mapped[str] = mapped_column(String(500), server_default="")


class CaseAct(Base):
    """A form by which somebody did something with cases, so that it does it once; `changed` of them followed."""

    __tablename__ = "case_acts"
    __table_args__ = (
        CheckConstraint(one_of("kind", tuple(Act)), name="kind"),
        CheckConstraint("changed >= 1", name="changed"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    request_id: Mapped[uuid.UUID] = mapped_column(Uuid, unique=True)
    request_digest: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(16))
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    changed: Mapped[int]


class StockCheck(Base):
    """A stock that postings have changed since its case was last held against it. `postings` counts them, so that
    whoever has looked at the stock can tell whether another came meanwhile."""

    __tablename__ = "stock_checks"
    __table_args__ = (
        ForeignKeyConstraint(["office_id", "item_id"], ["balances.office_id", "balances.item_id"]),
        CheckConstraint("postings >= 1", name="postings"),
        Index("ix_stock_checks_since", "since"),
    )

    office_id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = mapped_column(primary_key=True)
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    postings: Mapped[int] = mapped_column(Integer, server_default="1")


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
