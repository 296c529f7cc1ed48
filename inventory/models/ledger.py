"""Movements, balances and daily totals: the law of `inventory.domain.ledger` as constraints."""

from __future__ import annotations

import uuid
from datetime import date, datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Date,
    ForeignKey,
    Index,
    Integer,
    String,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from inventory.db import Base, UtcDateTime
from inventory.domain.ledger import EFFECTS, FLOWS, NEVER_NEGATIVE, PLACES, SHIFTS
from inventory.domain.quantities import MAX_QUANTITY
from inventory.models.keys import find_by_number

BIG_ID = BigInteger().with_variant(Integer, "sqlite")
LAW = f"{' - '.join(FLOWS)} = {' + '.join(PLACES)}"
ORIGINS = ("entered", "imported", "synthetic")
FUNDING_SOURCES = ("apbn", "apbd")

_KNOWN_MOVEMENTS = " OR ".join(f"(kind = '{kind}' AND reason = '{reason}')" for kind, reason in EFFECTS)


class Balance(Base):
    """Where every blank of an office and item is now. Written by `inventory.services.ledger` alone."""

    __tablename__ = "balances"
    __table_args__ = (
        CheckConstraint(LAW, name="law"),
        *(CheckConstraint(f"{figure} >= 0", name=f"{figure}_not_negative") for figure in NEVER_NEGATIVE),
        CheckConstraint("last_seq >= 0", name="last_seq"),
    )

    office_id: Mapped[int] = mapped_column(ForeignKey("offices.id"), primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"), primary_key=True, index=True)
    received: Mapped[int] = mapped_column(BigInteger, server_default="0")
    sent: Mapped[int] = mapped_column(BigInteger, server_default="0")
    store: Mapped[int] = mapped_column(BigInteger, server_default="0")
    transit: Mapped[int] = mapped_column(BigInteger, server_default="0")
    printed: Mapped[int] = mapped_column(BigInteger, server_default="0")
    spoiled: Mapped[int] = mapped_column(BigInteger, server_default="0")
    destroyed: Mapped[int] = mapped_column(BigInteger, server_default="0")
    missing: Mapped[int] = mapped_column(BigInteger, server_default="0")
    last_seq: Mapped[int] = mapped_column(BigInteger, server_default="0")
    first_on: Mapped[date | None] = mapped_column(Date)
    last_on: Mapped[date | None] = mapped_column(Date)
    """The latest day that a movement is for: a movement on or after it cannot upset a later day."""
    synthetic: Mapped[bool] = mapped_column(server_default=text("false"))
    """Some movement behind this balance is made up for a demonstration."""


class Delivery(Base):
    """A hand-over of blanks to an office, as its record (BAST) says; the ledger holds its movements."""

    __tablename__ = "deliveries"
    __table_args__ = (
        CheckConstraint(f"received BETWEEN 1 AND {MAX_QUANTITY}", name="received"),
        CheckConstraint("defective BETWEEN 0 AND received", name="defective"),
        CheckConstraint(f"asked BETWEEN 1 AND {MAX_QUANTITY}", name="asked"),
        CheckConstraint(f"allotted BETWEEN 0 AND {MAX_QUANTITY}", name="allotted"),
        CheckConstraint(f"cartons BETWEEN 1 AND {MAX_QUANTITY}", name="cartons"),
        CheckConstraint(f"funding_source IN {FUNDING_SOURCES}", name="funding_source"),
        # One record of hand-over counts once; a delivery reversed as a mistake frees its number again.
        Index(
            "uq_deliveries_bast_number",
            "office_id",
            "item_id",
            "bast_number",
            unique=True,
            sqlite_where=text("voided_at IS NULL"),
            postgresql_where=text("voided_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    office_id: Mapped[int] = mapped_column(ForeignKey("offices.id"))
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"))
    bast_number: Mapped[str] = mapped_column(String(80))
    bast_on: Mapped[date] = mapped_column(Date)
    asked: Mapped[int | None]
    received: Mapped[int]
    """All cards counted on arrival, the defective ones included."""
    defective: Mapped[int]
    funding_source: Mapped[str] = mapped_column(String(8))
    supplier: Mapped[str] = mapped_column(String(120))
    handed_over_by: Mapped[str] = mapped_column(String(120))
    taken_over_by: Mapped[str] = mapped_column(String(120))
    note: Mapped[str] = mapped_column(String(500))
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    recorded_by_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    voided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    delivery_request_id: Mapped[int | None] = mapped_column(ForeignKey("delivery_requests.id"), index=True)
    """The request that this hand-over answers, wholly or in part."""
    allotted: Mapped[int | None]
    cartons: Mapped[int | None]


find_by_number(Delivery.bast_number, Delivery.office_id)


class Movement(Base):
    """One line of the ledger: never updated, never deleted (a trigger refuses both)."""

    __tablename__ = "movements"
    __table_args__ = (
        UniqueConstraint("office_id", "item_id", "seq"),
        UniqueConstraint("request_id", "request_line"),
        UniqueConstraint("reverses_id"),
        CheckConstraint(_KNOWN_MOVEMENTS, name="kind_and_reason"),
        CheckConstraint(
            f"(reverses_id IS NULL AND quantity BETWEEN 1 AND {MAX_QUANTITY})"
            f" OR (reverses_id IS NOT NULL AND quantity BETWEEN -{MAX_QUANTITY} AND -1)",
            name="quantity",
        ),
        CheckConstraint(
            "served_waiting = 0 OR (kind = 'print' AND abs(served_waiting) <= abs(quantity)"
            " AND (served_waiting > 0) = (quantity > 0))",
            name="served_waiting",
        ),
        CheckConstraint("seq >= 1", name="seq"),
        CheckConstraint("happened_at <= recorded_at", name="happened_at"),
        CheckConstraint("(stocktake_id IS NOT NULL) = (kind = 'count' AND transfer_id IS NULL)", name="stocktake"),
        CheckConstraint(f"origin IN {ORIGINS}", name="origin"),
        CheckConstraint(f"shift IS NULL OR (kind = 'spoil' AND shift IN {SHIFTS})", name="shift"),
        Index("ix_movements_stock_card", "office_id", "item_id", "effective_on", "seq"),
    )

    id: Mapped[int] = mapped_column(BIG_ID, primary_key=True)
    office_id: Mapped[int] = mapped_column(ForeignKey("offices.id"))
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"))
    seq: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(String(24))
    quantity: Mapped[int]
    """Positive; negative for a reversal, which is its original's kind and reason taken back."""
    served_waiting: Mapped[int] = mapped_column(server_default="0")
    """Of the cards printed, how many served requests that had waited for stock."""
    effective_on: Mapped[date] = mapped_column(Date)
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    actor_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    request_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    request_line: Mapped[int] = mapped_column(Integer)
    request_digest: Mapped[str] = mapped_column(String(64))
    reverses_id: Mapped[int | None] = mapped_column(BIG_ID, ForeignKey("movements.id"))
    delivery_id: Mapped[int | None] = mapped_column(ForeignKey("deliveries.id"), index=True)
    transfer_id: Mapped[int | None] = mapped_column(ForeignKey("transfers.id"), index=True)
    proposal_id: Mapped[int | None] = mapped_column(ForeignKey("proposals.id"), index=True)
    """What a second person approved, for what takes blanks off the books without a resident's card."""
    shift: Mapped[str | None] = mapped_column(String(12))
    """In which shift a card was spoiled, where the office says."""
    happened_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When on its day it happened, where that is known."""
    stocktake_id: Mapped[int | None] = mapped_column(ForeignKey("stocktakes.id"), index=True)
    import_id: Mapped[int | None] = mapped_column(ForeignKey("imports.id"), index=True)
    origin: Mapped[str] = mapped_column(String(16), server_default="entered")
    note: Mapped[str] = mapped_column(String(500), server_default="")


class DailyTotal(Base):
    """What a day's movements of one kind and reason add up to, reversals taken off. Written with them."""

    __tablename__ = "daily_totals"
    __table_args__ = (
        CheckConstraint("quantity >= 0", name="quantity"),
        CheckConstraint("served_waiting BETWEEN 0 AND quantity", name="served_waiting"),
    )

    office_id: Mapped[int] = mapped_column(ForeignKey("offices.id"), primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"), primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    reason: Mapped[str] = mapped_column(String(24), primary_key=True)
    quantity: Mapped[int] = mapped_column(BigInteger)
    served_waiting: Mapped[int] = mapped_column(BigInteger, server_default="0")
