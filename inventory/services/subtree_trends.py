"""What offices and all below them held in their stores on the last days: added up by each review of all stocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from inventory.db import db, in_batches, insert_or
from inventory.models import Office, SubtreeTrend
from inventory.services.projections import StockProjection

BATCH = 500

_TRENDS: Any = SubtreeTrend.__table__


def keep(session: Session, found: Sequence[StockProjection]) -> None:
    """Within the review's transaction: add the closings of all stocks up along the tree. Sums of a later day stand."""
    if not found:
        return
    last = max(each.on_day for each in found)
    sums = _sums(found, last, _above(session))
    rows = [
        {"office_id": office_id, "item_id": item_id, "on_day": last, "stores": stores}
        for (office_id, item_id), stores in sums.items()
    ]
    statement = insert_or(session, _TRENDS)
    statement = statement.on_conflict_do_update(
        index_elements=["office_id", "item_id"],
        set_={name: statement.excluded[name] for name in ("on_day", "stores")},
        where=_TRENDS.c.on_day <= statement.excluded.on_day,
    )
    for some in in_batches(rows, BATCH):
        session.execute(statement, some)


def _sums(
    found: Sequence[StockProjection], last: date, above: Mapping[int, list[int]]
) -> dict[tuple[int, int], list[int]]:
    """By office and item the closings up to `last` of all stocks at or below the office."""
    closings = np.stack([_until(each, last) for each in found])
    place: dict[tuple[int, int], int] = {}
    pairs = [
        (place.setdefault((office_id, each.item_id), len(place)), row)
        for row, each in enumerate(found)
        for office_id in above[each.office_id]
    ]
    sums = np.zeros((len(place), closings.shape[1]), dtype=closings.dtype)
    if pairs:
        places, rows = np.array(pairs).T
        np.add.at(sums, places, closings[rows])
    return dict(zip(place, sums.tolist(), strict=True))


def of_offices(office_ids: Sequence[int], item_id: int) -> Mapping[int, tuple[date, list[int]]]:
    """The day of the last figure, and the figures, one a calendar day; by office. It asks for no permission: callers
    show it only to those who may see all that is below."""
    rows = db.session.execute(
        select(SubtreeTrend.office_id, SubtreeTrend.on_day, SubtreeTrend.stores).where(
            SubtreeTrend.office_id.in_(office_ids), SubtreeTrend.item_id == item_id
        )
    )
    return {office_id: (on_day, stores) for office_id, on_day, stores in rows}


def _above(session: Session) -> dict[int, list[int]]:
    """Of each office those whose sums it is part of: itself and those above it, as far as there are offices below."""
    rows = session.execute(select(Office.id, Office.path)).all()
    by_path = {row.path: row.id for row in rows}
    found: dict[int, list[int]] = {}
    for row in rows:
        codes = row.path.strip("/").split("/")
        found[row.id] = [by_path["/".join(codes[:depth]) + "/"] for depth in range(1, len(codes) + 1)]
    parents = {office_id for way in found.values() for office_id in way[:-1]}
    return {office_id: [each for each in way if each in parents] for office_id, way in found.items()}


def _until(each: StockProjection, last: date) -> np.ndarray:
    """The closings up to `last`: an office where it is still the day before keeps what it held."""
    missing = min((last - each.on_day).days, each.closings.size - 1)
    if not missing:
        return each.closings
    return np.concatenate((each.closings[missing:], np.full(missing, each.closings[-1])))
