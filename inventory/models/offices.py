"""Offices, their calendars, and the items that they keep."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ColumnElement,
    Date,
    ForeignKey,
    Index,
    String,
    UniqueConstraint,
    and_,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from inventory.db import Base
from inventory.domain.offices import OfficeKind

ITEM_KINDS = ("blank", "consumable")

# Byte order, so that a subtree is one range of the path's index on PostgreSQL whatever the cluster's locale.
PATH = String(255).with_variant(String(255, collation="C"), "postgresql")


def one_of(column: str, values: tuple[str, ...]) -> str:
    """The text of a CHECK that `column` is one of `values` (constants of ours)."""
    return f"{column} IN ({', '.join(repr(str(value)) for value in values)})"


class Office(Base):
    __tablename__ = "offices"
    __table_args__ = (
        CheckConstraint(one_of("kind", tuple(OfficeKind)), name="kind"),
        CheckConstraint("lead_time_days BETWEEN 0 AND 250", name="lead_time_days"),
        CheckConstraint("review_period_days BETWEEN 1 AND 250", name="review_period_days"),
        CheckConstraint("service_level BETWEEN 0.5 AND 0.999", name="service_level"),
        CheckConstraint("working_days LIKE '_______' AND working_days <> '0000000'", name="working_days"),
        CheckConstraint("destroy_within_days BETWEEN 1 AND 365", name="destroy_within_days"),
        CheckConstraint("(kind = 'ministry') = (parent_id IS NULL)", name="one_root"),
        Index("ix_offices_name", "name"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(String(32), unique=True)
    name: Mapped[str] = mapped_column(String(120))
    kind: Mapped[str] = mapped_column(String(16))
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("offices.id"), index=True)
    path: Mapped[str] = mapped_column(PATH, unique=True)
    """Codes from the root to this office, each followed by "/": "00/51/51.71/"."""
    time_zone: Mapped[str] = mapped_column(String(40))
    lead_time_days: Mapped[int]
    """Working days from asking for a delivery to having it."""
    review_period_days: Mapped[int]
    """Working days between two occasions to ask."""
    service_level: Mapped[float]
    working_days: Mapped[str] = mapped_column(String(7))
    """Monday first, 1 for a working day: "1111100"."""
    destroy_within_days: Mapped[int] = mapped_column(server_default="30")
    """Calendar days after which spoiled blanks should have been destroyed."""
    population: Mapped[int | None]
    active: Mapped[bool] = mapped_column(default=True)


def within(path: str, office: Any = Office) -> ColumnElement[bool]:
    """SQL: the office lies in the subtree of `path`, itself included. A range, so that the index serves it."""
    return and_(office.path >= path, office.path < path + "~")


class CalendarDay(Base):
    """A day on which an office, or with no office the country, departs from its working week."""

    __tablename__ = "calendar_days"
    __table_args__ = (
        UniqueConstraint("office_id", "day"),
        # NULLs never collide in the constraint above, so the country's own days need one of their own.
        Index(
            "uq_calendar_days_country",
            "day",
            unique=True,
            sqlite_where=text("office_id IS NULL"),
            postgresql_where=text("office_id IS NULL"),
        ),
        CheckConstraint("NOT by_plan OR open", name="by_plan"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    office_id: Mapped[int | None] = mapped_column(ForeignKey("offices.id"))
    day: Mapped[date] = mapped_column(Date, index=True)
    open: Mapped[bool]
    """True: open although it is a weekend or a holiday (outreach). False: closed."""
    name: Mapped[str] = mapped_column(String(120))
    by_plan: Mapped[bool] = mapped_column(server_default=text("false"))
    """Open because outreach is planned, and no longer when that is called off; not because somebody said so."""


class Item(Base):
    __tablename__ = "items"
    __table_args__ = (
        CheckConstraint(one_of("kind", ITEM_KINDS), name="kind"),
        CheckConstraint("pack_size >= 1", name="pack_size"),
        CheckConstraint("(kind = 'consumable') = (prints_per_unit IS NOT NULL)", name="prints_per_unit"),
        CheckConstraint("prints_per_unit > 0", name="prints_per_unit_positive"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(String(32), unique=True)
    name_id: Mapped[str] = mapped_column(String(120))
    name_en: Mapped[str] = mapped_column(String(120))
    kind: Mapped[str] = mapped_column(String(16))
    unit_id: Mapped[str] = mapped_column(String(20))
    unit_en: Mapped[str] = mapped_column(String(20))
    pack_size: Mapped[int]
    prints_per_unit: Mapped[int | None]
    position: Mapped[int]
    active: Mapped[bool] = mapped_column(default=True)
    numbered: Mapped[bool] = mapped_column(server_default=text("false"))
    """Every movement says which serial numbers it moves. Chosen before the first one: a trigger holds it fixed then."""
