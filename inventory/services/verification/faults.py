"""What a check yields: the row that is wrong, by names that people know it by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Integer, cast, select
from sqlalchemy.orm import Session

from inventory.models import Item, Movement, Office


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A row that is wrong: in which check, which row, and what is wrong with it."""

    check: str
    row: str
    what: str


class Stock(NamedTuple):
    office_id: int
    item_id: int


def whole(total: ColumnElement[Any]) -> ColumnElement[int]:
    """SQL: a sum as a whole number; PostgreSQL sums into decimals."""
    return cast(total, Integer().with_variant(Movement.seq.type, "postgresql"))


def stock_name(session: Session, row: Any) -> str:
    """An office and item by their codes."""
    office = session.scalar(select(Office.code).where(Office.id == row.office_id))
    item = session.scalar(select(Item.code).where(Item.id == row.item_id))
    return f"office {office}, item {item}"
