"""Stocktakes as the edges see them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import aliased

from inventory.db import db
from inventory.domain.access import Action, Actor, require
from inventory.domain.offices import local_day
from inventory.domain.stocktakes import (
    OPEN_STATUSES,
)
from inventory.models import Item, Movement, Person, Stocktake, StocktakeLine
from inventory.services import offices
from inventory.services.stocktakes.rows import involved, query, row_of


@dataclass(frozen=True, kw_only=True)
class Booked:
    """A movement that a stocktake wrote: positive was found, negative is missing. `recorded_at` is aware UTC."""

    difference: int
    recorded_at: datetime
    by: str
    note: str


@dataclass(frozen=True, kw_only=True)
class StocktakeLineView:
    """One item's count. Instants are aware UTC; people are named in full.

    While counting goes on `counted` and `recounted` are None, so that no count leans on another. `book` and
    `difference` (count less book) are None until the stocktake is approved.
    """

    item_code: str
    counted: int | None
    counted_at: datetime | None
    counted_by: str | None
    recount_asked: bool
    recounted: int | None
    recounted_at: datetime | None
    recounted_by: str | None
    book: int | None
    difference: int | None
    booked: tuple[Booked, ...]

    @property
    def stands(self) -> int | None:
        """The count that counts: the second one where there is one."""
        return self.counted if self.recounted_at is None else self.recounted

    @property
    def stands_at(self) -> datetime | None:
        return self.recounted_at or self.counted_at

    @property
    def waits(self) -> str | None:
        """What the line still waits for: "count", "recount" or None."""
        if self.counted_at is None:
            return "count"
        return "recount" if self.recount_asked and self.recounted_at is None else None


@dataclass(frozen=True, kw_only=True)
class StocktakeView:
    """A stocktake as the edges see it. Instants are aware UTC; people are named in full."""

    id: int
    office_id: int
    office_code: str
    office_name: str
    path: str
    time_zone: str
    status: str
    record_number: str
    note: str
    opened_at: datetime
    opened_by: str
    approved_at: datetime | None
    approved_by: str | None
    cancelled_at: datetime | None
    cancelled_by: str | None
    cancel_reason: str
    lines: tuple[StocktakeLineView, ...]


def get(actor: Actor, now: datetime, stocktake_id: int, action: Action = Action.VIEW_STOCK) -> StocktakeView:
    """One stocktake with its counts, and once approved its differences and what was booked; see the view.

    Raises NotFound `stocktake_not_found`, NotAllowed.
    """
    row = row_of(stocktake_id)
    require(actor, action, row.path)
    return view(row)


def of_office(actor: Actor, office_code: str, limit: int = 50) -> list[StocktakeView]:
    """An office's stocktakes, the newest first, without their lines."""
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    rows = db.session.execute(
        query().where(Stocktake.office_id == office.id).order_by(Stocktake.id.desc()).limit(limit)
    )
    return [view(row, with_lines=False) for row in rows]


def newest(actor: Actor, office_code: str, before_id: int | None, limit: int) -> list[StocktakeView]:
    """An office's stocktakes without their lines, the newest first, from below an id on.

    Raises NotFound, NotAllowed.
    """
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    found = query().where(Stocktake.office_id == office.id)
    if before_id is not None:
        found = found.where(Stocktake.id < before_id)
    rows = db.session.execute(found.order_by(Stocktake.id.desc()).limit(limit))
    return [view(row, with_lines=False) for row in rows]


def asks_for_time(actor: Actor, now: datetime, office_code: str) -> bool:
    """Whether an entry of today should say its time of day: the office has a stocktake that is open, or one that
    was opened or approved today, so before or after the count makes a difference."""
    office = offices.get(actor, Action.POST_MOVEMENT, office_code)
    latest = db.session.execute(
        select(Stocktake.status, Stocktake.opened_at, Stocktake.approved_at)
        .where(Stocktake.office_id == office.id, Stocktake.status != "cancelled")
        .order_by(Stocktake.id.desc())
        .limit(1)
    ).one_or_none()
    if latest is None:
        return False
    days = {local_day(at, office.time_zone) for at in (latest.opened_at, latest.approved_at) if at}
    return latest.status in OPEN_STATUSES or office.today(now) in days


def took_part(actor: Actor, stocktake_id: int) -> bool:
    """Whether the actor opened the stocktake or counted for it, and so cannot approve it. Raises NotFound."""
    return actor.person_id is None or actor.person_id in involved(row_of(stocktake_id))


_COUNTER, _RECOUNTER = aliased(Person), aliased(Person)


def view(row: Any, *, with_lines: bool = True) -> StocktakeView:
    """What the edges see of a row of the query."""
    plain = {name: getattr(row, name) for name in StocktakeView.__dataclass_fields__ if name != "lines"}
    return StocktakeView(**plain, lines=tuple(_line_views(row)) if with_lines else ())


def _line_views(row: Any) -> list[StocktakeLineView]:
    booked = _booked(row.id)
    rows = db.session.execute(
        select(
            *StocktakeLine.__table__.columns,
            Item.code.label("item_code"),
            _COUNTER.full_name.label("counted_by"),
            _RECOUNTER.full_name.label("recounted_by"),
        )
        .join(Item, Item.id == StocktakeLine.item_id)
        .outerjoin(_COUNTER, _COUNTER.id == StocktakeLine.counted_by_id)
        .outerjoin(_RECOUNTER, _RECOUNTER.id == StocktakeLine.recounted_by_id)
        .where(StocktakeLine.stocktake_id == row.id)
        .order_by(Item.position)
    )
    hidden: dict[str, Any] = {"counted": None, "recounted": None} if row.status == "counting" else {}
    names = set(StocktakeLineView.__dataclass_fields__) - {"booked"}
    return [
        StocktakeLineView(
            **{name: getattr(line, name) for name in names} | hidden, booked=tuple(booked.get(line.item_id, ()))
        )
        for line in rows
    ]


def _booked(stocktake_id: int) -> dict[int, list[Booked]]:
    rows = db.session.execute(
        select(
            Movement.item_id, Movement.reason, Movement.quantity, Movement.recorded_at, Movement.note, Person.full_name
        )
        .join(Person, Person.id == Movement.actor_id)
        .where(Movement.stocktake_id == stocktake_id)
        .order_by(Movement.id)
    )
    found: dict[int, list[Booked]] = {}
    for row in rows:
        difference = row.quantity if row.reason == "found" else -row.quantity
        each = Booked(difference=difference, recorded_at=row.recorded_at, by=row.full_name, note=row.note)
        found.setdefault(row.item_id, []).append(each)
    return found
