"""Schedulers that live: what each of them said last."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, CheckConstraint, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from inventory.db import Base, UtcDateTime


class Heartbeat(Base):
    """A process with a scheduler in it. That a clock steps back between two beats is no fault of the row: so nothing
    is asked of the order of its instants."""

    __tablename__ = "heartbeats"
    __table_args__ = (CheckConstraint("worker <> ''", name="worker"), Index("ix_heartbeats_beat_at", "beat_at"))

    worker: Mapped[str] = mapped_column(String(80), primary_key=True)
    """Host and process id."""
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    beat_at: Mapped[datetime] = mapped_column(UtcDateTime)
    jobs: Mapped[list[str]] = mapped_column(JSON)
    """Names of the jobs that it knows."""
