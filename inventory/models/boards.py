"""Public boards: what offices chose to show, word by word; the newest word of an office counts."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from inventory.db import Base, UtcDateTime
from inventory.domain.boards import Precision
from inventory.domain.quantities import MAX_QUANTITY
from inventory.models.offices import one_of


class Board(Base):
    """An office's choice, never updated. Of two who change it at once, one takes the next version."""

    __tablename__ = "boards"
    __table_args__ = (
        UniqueConstraint("office_id", "version"),
        CheckConstraint("version >= 1", name="version"),
        CheckConstraint(one_of("precision", tuple(Precision)), name="precision"),
        CheckConstraint(f"few_below BETWEEN 1 AND {MAX_QUANTITY}", name="few_below"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    office_id: Mapped[int] = mapped_column(ForeignKey("offices.id"))
    version: Mapped[int]
    shown: Mapped[bool]
    precision: Mapped[str] = mapped_column(String(16))
    few_below: Mapped[int]
    sentence: Mapped[str] = mapped_column(String(200), server_default="")
    confirmed: Mapped[bool]
    """Whether it is told when the stock was last counted."""
    request_id: Mapped[uuid.UUID] = mapped_column(Uuid, unique=True)
    request_digest: Mapped[str] = mapped_column(String(64))
    chosen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    chosen_by_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))


class BoardItem(Base):
    """An item that a choice shows."""

    __tablename__ = "board_items"

    board_id: Mapped[int] = mapped_column(ForeignKey("boards.id"), primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"), primary_key=True)
