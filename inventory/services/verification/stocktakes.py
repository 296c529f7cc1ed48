"""Stocktakes, held against the movements that they booked."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import and_, case, func, or_, select
from sqlalchemy.orm import Session

from inventory.models import Movement, Stocktake, StocktakeLine
from inventory.services.verification.faults import Fault


def booked(session: Session) -> Iterator[Fault]:
    """What a stocktake's line says was booked is what its movements say; no count is booked without a stocktake."""
    signed = case((Movement.reason == "found", Movement.quantity), else_=-Movement.quantity)
    booked: dict[tuple[int | None, int, int], int] = {
        (row.stocktake_id, row.office_id, row.item_id): int(row.difference)
        for row in session.execute(
            select(Movement.stocktake_id, Movement.office_id, Movement.item_id, func.sum(signed).label("difference"))
            # What a transfer's receiver found in the box is the transfer's own count.
            .where(
                or_(and_(Movement.kind == "count", Movement.transfer_id.is_(None)), Movement.stocktake_id.is_not(None))
            )
            .group_by(Movement.stocktake_id, Movement.office_id, Movement.item_id)
        )
    }
    lines = session.execute(
        select(StocktakeLine.stocktake_id, StocktakeLine.item_id, StocktakeLine.difference, Stocktake.office_id)
        .join(Stocktake, Stocktake.id == StocktakeLine.stocktake_id)
        .order_by(StocktakeLine.stocktake_id, StocktakeLine.item_id)
    )
    for line in lines:
        found = booked.pop((line.stocktake_id, line.office_id, line.item_id), 0)
        if found != (line.difference or 0):
            what = f"its difference is {line.difference or 0}, its movements say {found}"
            yield Fault(check="stocktakes", row=f"stocktake {line.stocktake_id}, item {line.item_id}", what=what)
    for (stocktake_id, office_id, item_id), quantity in sorted(booked.items(), key=str):
        what = f"{quantity} were booked that no stocktake says"
        yield Fault(check="stocktakes", row=f"stocktake {stocktake_id}, office {office_id}, item {item_id}", what=what)
