"""Known figures and equipment as they were reported, and the forms and files that reported them.

Rows are added and never changed: a correction is another row with the next `revision`, and the last one counts.
"""

from __future__ import annotations

import uuid
from datetime import date, datetime

from sqlalchemy import CheckConstraint, Date, ForeignKey, Index, LargeBinary, String, UniqueConstraint, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from inventory.db import Base, UtcDateTime
from inventory.domain.coverage import EQUIPMENT, MEASURES, MOST, MOST_EQUIPMENT
from inventory.models.offices import one_of

ENTRY_STATUSES = ("checked", "recorded")
FIRST_DAY = "2011-01-01"
"""Before it nobody kept any such figures; the ledger's first day as well."""


class FigureEntry(Base):
    """A form that was sent, or a file that was looked through and then recorded."""

    __tablename__ = "figure_entries"
    __table_args__ = (
        CheckConstraint(one_of("status", ENTRY_STATUSES), name="status"),
        CheckConstraint("(status = 'checked') = (content IS NOT NULL)", name="content"),
        CheckConstraint("(status = 'recorded') = (recorded_at IS NOT NULL)", name="recorded"),
        CheckConstraint("added >= 0 AND corrected >= 0 AND known >= 0", name="counts"),
        Index("ix_figure_entries_status", "status", "checked_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    request_id: Mapped[uuid.UUID] = mapped_column(Uuid, unique=True)
    request_digest: Mapped[str] = mapped_column(String(64))
    office_id: Mapped[int] = mapped_column(ForeignKey("offices.id"), index=True)
    """Where it was sent in; the rows of a file may be of any office that the sender may record for."""
    status: Mapped[str] = mapped_column(String(10))
    file_name: Mapped[str] = mapped_column(String(200), server_default="")
    content: Mapped[bytes | None] = mapped_column(LargeBinary)
    """The rows that were read, as compressed JSON, while they wait to be recorded."""
    added: Mapped[int]
    corrected: Mapped[int]
    known: Mapped[int]
    """How many rows were new, said something else than before, or were on record already."""
    checked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    checked_by_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    recorded_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class ReportedFigure(Base):
    """One count of one office, as its source reports it. Of the rows of one source for one day the last one counts."""

    __tablename__ = "reported_figures"
    __table_args__ = (
        CheckConstraint(one_of("measure", MEASURES), name="measure"),
        CheckConstraint(f"value BETWEEN 0 AND {MOST}", name="value"),
        CheckConstraint("length(trim(source)) > 0", name="source"),
        CheckConstraint(f"as_of >= '{FIRST_DAY}'", name="as_of"),
        CheckConstraint("revision >= 1", name="revision"),
        # Of two who report the same at once, the second finds the first's row or breaks here.
        UniqueConstraint("office_id", "as_of", "measure", "source", "revision"),
        Index("ix_reported_figures_office_id_measure_as_of", "office_id", "measure", "as_of"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    entry_id: Mapped[int] = mapped_column(ForeignKey("figure_entries.id"), index=True)
    office_id: Mapped[int] = mapped_column(ForeignKey("offices.id"))
    as_of: Mapped[date] = mapped_column(Date)
    measure: Mapped[str] = mapped_column(String(24))
    value: Mapped[int]
    source: Mapped[str] = mapped_column(String(200))
    note: Mapped[str] = mapped_column(String(500), server_default="")
    revision: Mapped[int]
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    recorded_by_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))


class EquipmentReport(Base):
    """How many machines of a kind work at an office as of a day, and how many do not."""

    __tablename__ = "equipment_reports"
    __table_args__ = (
        CheckConstraint(one_of("kind", EQUIPMENT), name="kind"),
        CheckConstraint(f"working BETWEEN 0 AND {MOST_EQUIPMENT}", name="working"),
        CheckConstraint(f"out_of_order BETWEEN 0 AND {MOST_EQUIPMENT}", name="out_of_order"),
        CheckConstraint("(kind = 'printer') = (cards_a_day IS NOT NULL)", name="capacity"),
        CheckConstraint(f"cards_a_day BETWEEN 1 AND {MOST_EQUIPMENT}", name="cards_a_day"),
        CheckConstraint("length(trim(source)) > 0", name="source"),
        CheckConstraint(f"as_of >= '{FIRST_DAY}'", name="as_of"),
        CheckConstraint("revision >= 1", name="revision"),
        UniqueConstraint("office_id", "kind", "as_of", "revision"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    entry_id: Mapped[int] = mapped_column(ForeignKey("figure_entries.id"), index=True)
    office_id: Mapped[int] = mapped_column(ForeignKey("offices.id"))
    kind: Mapped[str] = mapped_column(String(16))
    as_of: Mapped[date] = mapped_column(Date)
    working: Mapped[int]
    out_of_order: Mapped[int]
    cards_a_day: Mapped[int | None]
    """What one working printer can print in a working day."""
    source: Mapped[str] = mapped_column(String(200))
    note: Mapped[str] = mapped_column(String(500), server_default="")
    revision: Mapped[int]
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    recorded_by_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
