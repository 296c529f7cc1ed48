"""Number ranges: where every number is now, and which numbers each movement moved."""

from __future__ import annotations

import uuid

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    SmallInteger,
    String,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy.orm import Mapped, mapped_column

from inventory.db import Base
from inventory.domain.ledger import OUTSIDE, PLACES
from inventory.domain.ranges import BLOCK, MAX_WIDTH, PREFIX_LENGTH
from inventory.models.offices import one_of

NUMBERS = f"first BETWEEN 0 AND last AND length(CAST(last AS VARCHAR({MAX_WIDTH}))) <= width"
SERIES = f"length(prefix) <= {PREFIX_LENGTH} AND width BETWEEN 1 AND {MAX_WIDTH}"


class NumberRange(Base):
    """The present place of numbers. Written by `inventory.services.ranges` for the ledger alone.

    No two rows of an item hold the same number (a trigger refuses the second), and rows are never updated: a part is
    taken out by deleting its row and inserting what is left of it. Neighbours in the same place are one row.
    """

    __tablename__ = "number_ranges"
    __table_args__ = (
        UniqueConstraint("item_id", "prefix", "width", "last"),
        CheckConstraint(NUMBERS, name="numbers"),
        CheckConstraint(SERIES, name="series"),
        CheckConstraint(one_of("place", (*PLACES, OUTSIDE)), name="place"),
        # Between leaving its sender and reaching its receiver, inside one posting, a number is outside with its
        # transfer, so that nobody else can take it up.
        CheckConstraint(
            f"place = '{OUTSIDE}' OR (place = 'transit') = (transfer_id IS NOT NULL)",
            name="transfer",
        ),
        Index("ix_number_ranges_held", "office_id", "item_id", "place", "prefix", "width", "first"),
    )

    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"), primary_key=True, autoincrement=False)
    prefix: Mapped[str] = mapped_column(String(PREFIX_LENGTH), primary_key=True)
    width: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    first: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    last: Mapped[int] = mapped_column(BigInteger)
    office_id: Mapped[int] = mapped_column(ForeignKey("offices.id"))
    """For numbers outside: the office that they were last at."""
    place: Mapped[str] = mapped_column(String(16))
    transfer_id: Mapped[int | None] = mapped_column(ForeignKey("transfers.id"), index=True)


class MovementRange(Base):
    """Numbers that a movement moved, cut at multiples of BLOCK: never updated, never deleted, never added to.

    They are written before their movement, to which the deferred reference binds them by the commit. So the movement's
    own trigger can compare their sum with its quantity, and refuse to be inserted where the two differ: the same on
    both databases, and without deferred triggers, which SQLite does not have.
    """

    __tablename__ = "movement_ranges"
    __table_args__ = (
        ForeignKeyConstraint(
            ["request_id", "request_line"],
            ["movements.request_id", "movements.request_line"],
            deferrable=True,
            initially="DEFERRED",
        ),
        CheckConstraint(NUMBERS, name="numbers"),
        CheckConstraint(SERIES, name="series"),
        CheckConstraint(f"first / {BLOCK} = last / {BLOCK}", name="block"),
        Index("ix_movement_ranges_number", "item_id", "prefix", "width", "first"),
    )

    request_id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True)
    request_line: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    prefix: Mapped[str] = mapped_column(String(PREFIX_LENGTH), primary_key=True)
    width: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    first: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    last: Mapped[int] = mapped_column(BigInteger)
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"))
