"""A stocktake's rows: read, held and changed one at a time."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session, aliased

from inventory.db import db
from inventory.domain.errors import NotFound
from inventory.models import Office, Person, Stocktake, StocktakeLine
from inventory.services import service_accounts
from inventory.services.lookup import the_row

_OPENER, _APPROVER, _CANCELLER = aliased(Person), aliased(Person), aliased(Person)


def query() -> Any:
    """Stocktakes with their office and who opened, approved and cancelled them."""
    return (
        select(
            *Stocktake.__table__.columns,
            Office.code.label("office_code"),
            Office.name.label("office_name"),
            Office.path,
            Office.time_zone,
            _OPENER.full_name.label("opened_by"),
            _APPROVER.full_name.label("approved_by"),
            _CANCELLER.full_name.label("cancelled_by"),
        )
        .join(Office, Office.id == Stocktake.office_id)
        .join(_OPENER, _OPENER.id == Stocktake.opened_by_id)
        .outerjoin(_APPROVER, _APPROVER.id == Stocktake.approved_by_id)
        .outerjoin(_CANCELLER, _CANCELLER.id == Stocktake.cancelled_by_id)
    )


def row_of(stocktake_id: int) -> Any:
    """One stocktake of the query. Raises NotFound `stocktake_not_found`."""
    return the_row(query().where(Stocktake.id == stocktake_id), NotFound("stocktake_not_found"))


def line_rows(session: Session, stocktake_id: int) -> dict[int, Any]:
    """A stocktake's lines by item id."""
    rows = session.execute(select(*StocktakeLine.__table__.columns).where(StocktakeLine.stocktake_id == stocktake_id))
    return {row.item_id: row for row in rows}


def one_line(stocktake_id: int, item_id: int) -> Any:
    """An UPDATE of one line, whose values are still to be given."""
    return update(StocktakeLine).where(StocktakeLine.stocktake_id == stocktake_id, StocktakeLine.item_id == item_id)


def hold(session: Session, stocktake_id: int) -> str:
    """Hold the stocktake until the transaction ends, so that one at a time changes it; its status."""
    held = update(Stocktake).where(Stocktake.id == stocktake_id).values(status=Stocktake.status)
    return session.execute(held.returning(Stocktake.status)).scalar_one()


def involved(row: Any) -> set[int]:
    """The ids of those who opened the stocktake or counted for it, and of who let a machine do so."""
    lines = line_rows(db.session(), row.id).values()
    people = {person for line in lines for person in (line.counted_by_id, line.recounted_by_id)}
    return service_accounts.behind(people | {row.opened_by_id})


def standing(line: Any) -> tuple[int, datetime]:
    """The count of a line that counts, and its instant: the second one where there is one."""
    return (line.counted, line.counted_at) if line.recounted is None else (line.recounted, line.recounted_at)
