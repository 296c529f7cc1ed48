"""Counting: a stocktake is begun, counted blind, and counted again where the count differs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from inventory.db import db, write
from inventory.domain.access import Action, Actor, require
from inventory.domain.errors import Invalid, Refusal
from inventory.domain.stocktakes import (
    WORDS_LENGTH,
    Counted,
    check_count,
    check_person,
    counted_at,
)
from inventory.domain.texts import check_text
from inventory.models import Balance, Stocktake, StocktakeLine
from inventory.services import items, offices
from inventory.services.stocktakes.book import book_at, check_clock
from inventory.services.stocktakes.reading import StocktakeView, get
from inventory.services.stocktakes.rows import hold, line_rows, one_line, row_of


def begin(
    actor: Actor, now: datetime, request_id: UUID, office_code: str, *, record_number: str = "", note: str = ""
) -> int:
    """Open a stocktake of all that the office's book knows; the stocktake's id. A repeated request finds its own.

    Raises NotFound, NotAllowed; Invalid `text_too_long`; Refusal `stocktake_open`, `nothing_to_count`,
    `request_id_reused`.
    """
    office = offices.get(actor, Action.COUNT_STOCK, office_code)
    said = {
        "office_id": office.id,
        "record_number": check_text(record_number, 80),
        "note": check_text(note, WORDS_LENGTH),
        "opened_by_id": check_person(actor.person_id),
    }

    def put(session: Session) -> int:
        values = said | {"request_id": request_id, "status": "counting", "opened_at": now}
        stocktake_id = session.execute(insert(Stocktake).values(values).returning(Stocktake.id)).scalar_one()
        held = select(Balance.item_id).where(Balance.office_id == office.id, Balance.last_seq > 0)
        rows = [{"stocktake_id": stocktake_id, "item_id": item_id} for item_id in session.scalars(held)]
        if not rows:
            raise Refusal("nothing_to_count")
        session.execute(insert(StocktakeLine), rows)
        return stocktake_id

    try:
        return write(put)
    except IntegrityError as error:
        earlier = db.session.scalar(select(Stocktake).where(Stocktake.request_id == request_id))
        if earlier is None:
            raise Refusal("stocktake_open") from error
        if {name: getattr(earlier, name) for name in said} != said:
            raise Refusal("request_id_reused") from error
        return earlier.id


def count(
    actor: Actor, now: datetime, request_id: UUID, stocktake_id: int, counts: Mapping[str, Counted]
) -> StocktakeView:
    """Save what was counted, by item code, for some or all items. Once every item is in, those whose count differs
    from the book are asked for a second time, without saying by how much; if none does, the count waits for approval.

    Raises NotFound, NotAllowed; Invalid `nothing_entered`, `quantity_negative`, `quantity_too_large`,
    `count_in_future`, `count_before_opening`; Refusal `stocktake_closed`, `line_counted`, `clock_behind`,
    `request_id_reused`.
    """
    return _enter(actor, now, request_id, stocktake_id, counts, _COUNT)


def recount(
    actor: Actor, now: datetime, request_id: UUID, stocktake_id: int, counts: Mapping[str, Counted]
) -> StocktakeView:
    """Save the second count of items for which one was asked. It stands, at its own time; the first one is kept.

    Raises what `count` raises.
    """
    return _enter(actor, now, request_id, stocktake_id, counts, _RECOUNT)


@dataclass(frozen=True)
class _Round:
    """The columns in which a count is kept."""

    quantity: str
    at: str
    by: str
    request: str


_COUNT = _Round("counted", "counted_at", "counted_by_id", "count_request_id")
_RECOUNT = _Round("recounted", "recounted_at", "recounted_by_id", "recount_request_id")


def _enter(
    actor: Actor, now: datetime, request_id: UUID, stocktake_id: int, counts: Mapping[str, Counted], of: _Round
) -> StocktakeView:
    row = row_of(stocktake_id)
    require(actor, Action.COUNT_STOCK, row.path)
    person_id = check_person(actor.person_id)
    if not counts:
        raise Invalid("nothing_entered")
    for each in counts.values():
        check_count(each.quantity)
    by_id = {items.get(code).id: each for code, each in counts.items()}

    def put(session: Session) -> None:
        status = hold(session, stocktake_id)
        if _entered(session, stocktake_id, request_id, person_id, by_id, of):
            return
        if status != "counting":
            raise Refusal("stocktake_closed")
        check_clock(session, row, by_id, now)
        lines = line_rows(session, stocktake_id)
        for item_id, each in sorted(by_id.items()):
            line = lines.get(item_id)
            if line is None or getattr(line, of.quantity) is not None or (of is _RECOUNT and not line.recount_asked):
                raise Refusal("line_counted")
            since = row.opened_at if of is _COUNT else line.counted_at
            told = {of.quantity: each.quantity, of.at: counted_at(each.at, since, now)}
            told |= {of.by: person_id, of.request: request_id}
            session.execute(one_line(stocktake_id, item_id).values(told))
        _finish_round(session, row)

    write(put)
    return get(actor, now, stocktake_id)


def _entered(
    session: Session, stocktake_id: int, request_id: UUID, person_id: int, by_id: Mapping[int, Counted], of: _Round
) -> bool:
    """Whether this very request was saved before. Raises Refusal `request_id_reused` when it said something else."""
    saved = {
        item_id: line
        for item_id, line in line_rows(session, stocktake_id).items()
        if getattr(line, of.request) == request_id
    }
    if not saved:
        return False
    said = {item_id: (each.quantity, person_id) for item_id, each in by_id.items()}
    if said != {item_id: (getattr(line, of.quantity), getattr(line, of.by)) for item_id, line in saved.items()}:
        raise Refusal("request_id_reused")
    return True


def _finish_round(session: Session, row: Any) -> None:
    """When every item is in, ask for a second count of those that differ; when none is awaited, all is counted."""
    lines = line_rows(session, row.id)
    if any(line.counted is None for line in lines.values()):
        return
    if not any(line.recount_asked for line in lines.values()):
        for item_id, line in lines.items():
            if line.counted != book_at(session, row, item_id, line.counted_at):
                session.execute(one_line(row.id, item_id).values(recount_asked=True))
        lines = line_rows(session, row.id)
    if all(line.recounted is not None for line in lines.values() if line.recount_asked):
        session.execute(update(Stocktake).where(Stocktake.id == row.id).values(status="counted"))
