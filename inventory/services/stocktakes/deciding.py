"""Deciding on what was counted: approved and booked, corrected later, or given up, by whom the rules allow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from inventory.db import db, write
from inventory.domain.access import Action, Actor, require
from inventory.domain.audit import Event
from inventory.domain.errors import Invalid, Refusal
from inventory.domain.ledger import NOTE_LENGTH
from inventory.domain.offices import local_day
from inventory.domain.ranges import Ranges
from inventory.domain.stocktakes import (
    OPEN_STATUSES,
    WORDS_LENGTH,
    ToBook,
    check_may_approve,
    check_person,
    check_shown,
    count_lines,
)
from inventory.domain.texts import check_text
from inventory.models import Item, Stocktake, StocktakeLine
from inventory.services import audit, ledger
from inventory.services.stocktakes.book import Compared, Since, compare, moved_since
from inventory.services.stocktakes.reading import StocktakeView, get, view
from inventory.services.stocktakes.rows import hold, involved, one_line, query, row_of, standing


def approve(
    actor: Actor,
    now: datetime,
    request_id: UUID,
    stocktake_id: int,
    shown: Mapping[str, int],
    ranges: Mapping[str, Ranges] | None = None,
) -> StocktakeView:
    """Book the differences, each on the day of its count. `shown` are those that the approver saw, by item code, and
    `ranges` the numbers missing or found, of items whose numbers are kept.

    The differences are computed anew while the office's stock is held; if they are no longer those shown, nothing
    is booked. Raises NotFound, NotAllowed; Refusal `own_count`, `stocktake_not_counted`, `stocktake_closed`,
    `differences_changed`, and what `ledger.post` raises when the stock cannot take a shortage any more.
    """
    row = row_of(stocktake_id)
    require(actor, Action.APPROVE, row.path)
    person_id = check_may_approve(actor.person_id, involved(row))
    if row.status == "counting":
        raise Refusal("stocktake_not_counted")
    approval = {"approved_at": now, "approved_by_id": person_id, "approval_request_id": request_id}

    def close(session: Session) -> dict[str, int]:
        if hold(session, stocktake_id) != "counted":
            raise Refusal("stocktake_closed")
        compared = _compare_held(session, row)
        check_shown({each.item_code: each.difference for each in compared}, shown)
        _keep_books(session, stocktake_id, compared)
        session.execute(
            update(Stocktake)
            .where(Stocktake.id == stocktake_id, Stocktake.status == "counted")
            .values(status="approved", **approval)
        )
        _note(session, actor, now, row, Event.APPROVED, "stocktake", shown)
        return {"stocktake_id": stocktake_id}

    lines = count_lines(row.office_id, _to_book(row, shown, ranges or {}))
    if lines:
        said = {"approved": stocktake_id, "shown": dict(shown)}
        ledger.post(actor, now, request_id, lines, extra=said, document=close)
    else:
        _once(lambda: write(close), stocktake_id, request_id)
    return get(actor, now, stocktake_id)


def correct(
    actor: Actor,
    now: datetime,
    request_id: UUID,
    stocktake_id: int,
    shown: Mapping[str, int],
    note: str = "",
    ranges: Mapping[str, Ranges] | None = None,
) -> StocktakeView:
    """Book what entries recorded since the approval, for before the count, have left of the differences.

    `shown` is what was left as the approver saw it, by item code, without those that have nothing left. Raises
    NotFound, NotAllowed; Refusal `own_count`, `stocktake_not_approved`, `nothing_to_correct`,
    `differences_changed`, and what `ledger.post` raises.
    """
    row = row_of(stocktake_id)
    require(actor, Action.APPROVE, row.path)
    check_may_approve(actor.person_id, involved(row))
    if row.status != "approved":
        raise Refusal("stocktake_not_approved")
    if not any(shown.values()):
        raise Refusal("nothing_to_correct")

    def book(session: Session) -> dict[str, int]:
        hold(session, stocktake_id)
        compared = _compare_held(session, row)
        check_shown({each.item_code: each.left for each in compared if each.left}, shown)
        _keep_books(session, stocktake_id, compared)
        _note(session, actor, now, row, Event.APPROVED, "correction", shown)
        return {"stocktake_id": stocktake_id}

    lines = count_lines(row.office_id, _to_book(row, shown, ranges or {}), check_text(note, NOTE_LENGTH))
    said = {"corrected": stocktake_id, "shown": dict(shown)}
    ledger.post(actor, now, request_id, lines, extra=said, document=book)
    return get(actor, now, stocktake_id)


def cancel(actor: Actor, now: datetime, stocktake_id: int, why: str) -> StocktakeView:
    """Give up a stocktake, with a reason. Once all is counted that takes somebody who may approve and did not count:
    a difference is not made to go away by who counted it. Said again by the same person, it is done once.

    Raises NotFound, NotAllowed; Invalid `stocktake_cancel_needs_reason`; Refusal `stocktake_closed`, `own_count`.
    """
    row = row_of(stocktake_id)
    require(actor, Action.COUNT_STOCK, row.path)
    person_id = check_person(actor.person_id)
    why = check_text(why, WORDS_LENGTH)
    if not why:
        raise Invalid("stocktake_cancel_needs_reason")

    def close(session: Session) -> None:
        status = hold(session, stocktake_id)
        if status == "counted":
            require(actor, Action.APPROVE, row.path)
            check_may_approve(person_id, involved(row))
        said = (Stocktake.cancelled_by_id == person_id) & (Stocktake.cancel_reason == why)
        if session.scalar(select(said).where(Stocktake.id == stocktake_id)):
            return
        if status not in OPEN_STATUSES:
            raise Refusal("stocktake_closed")
        values = {"status": "cancelled", "cancelled_at": now, "cancelled_by_id": person_id, "cancel_reason": why}
        session.execute(update(Stocktake).where(Stocktake.id == stocktake_id).values(values))
        if status == "counted":
            _note(session, actor, now, row, Event.DECLINED, "stocktake", {})

    write(close)
    return get(actor, now, stocktake_id)


def for_approval(actor: Actor, now: datetime, stocktake_id: int) -> tuple[StocktakeView, list[Compared], list[Since]]:
    """What an approver decides on: book, count and difference of each line, and what moved since it was opened.

    Raises NotFound, NotAllowed; Refusal `own_count`, `stocktake_not_counted`, `stocktake_closed`.
    """
    row = row_of(stocktake_id)
    require(actor, Action.APPROVE, row.path)
    check_may_approve(actor.person_id, involved(row))
    if row.status == "counting":
        raise Refusal("stocktake_not_counted")
    if row.status != "counted":
        raise Refusal("stocktake_closed")
    return view(row), compare(db.session(), row), moved_since(row)


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A difference that a finished count shows now, and that nobody has approved; `counted_on` is the office's day."""

    stocktake_id: int
    office_id: int
    time_zone: str
    item_id: int
    difference: int
    counted_on: date


def differences_waiting() -> list[Waiting]:
    """Of all stocktakes that wait for approval, the lines that differ from the book. For services: whoever asks."""
    rows = db.session.execute(query().where(Stocktake.status == "counted").order_by(Stocktake.id)).all()
    return [
        Waiting(
            stocktake_id=row.id,
            office_id=row.office_id,
            time_zone=row.time_zone,
            item_id=each.item_id,
            difference=each.difference,
            counted_on=local_day(each.at, row.time_zone),
        )
        for row in rows
        for each in compare(db.session(), row)
        if each.difference
    ]


def known_now(actor: Actor, now: datetime, stocktake_id: int) -> list[Compared]:
    """For an approved stocktake: the book at each count as known now, what was booked, and what is left to correct.
    Nothing for one that is not approved. Raises NotFound, NotAllowed."""
    row = row_of(stocktake_id)
    require(actor, Action.VIEW_STOCK, row.path)
    return compare(db.session(), row) if row.status == "approved" else []


def _note(
    session: Session, actor: Actor, now: datetime, row: Any, event: Event, kind: str, shown: Mapping[str, int]
) -> None:
    differences = [f"{code} {difference:+d}" for code, difference in sorted(shown.items()) if difference]
    facts = {"kind": kind, "id": row.id, "item": differences}
    audit.note(session, now, actor, event, office_id=row.office_id, subject=str(row.id), facts=facts)


def _once(work: Any, stocktake_id: int, request_id: UUID) -> None:
    try:
        work()
    except Refusal:
        asked = select(Stocktake.approval_request_id).where(Stocktake.id == stocktake_id)
        if db.session.scalar(asked) != request_id:
            raise


def _compare_held(session: Session, row: Any) -> list[Compared]:
    """The same inside a posting, with the office's stock held: no movement can come in between."""
    ledger.hold(session, row.office_id)
    return compare(session, row)


def _keep_books(session: Session, stocktake_id: int, compared: list[Compared]) -> None:
    for each in compared:
        statement = one_line(stocktake_id, each.item_id)
        session.execute(statement.values(book=each.book, difference=each.difference))


def _to_book(row: Any, shown: Mapping[str, int], ranges: Mapping[str, Ranges]) -> list[ToBook]:
    """The differences shown, with where and when they belong. Raises Refusal `differences_changed` for an item that
    the stocktake does not have."""
    with_codes = (
        select(*StocktakeLine.__table__.columns, Item.code)
        .join(Item, Item.id == StocktakeLine.item_id)
        .where(StocktakeLine.stocktake_id == row.id)
    )
    lines = {line.code: line for line in db.session.execute(with_codes)}
    if not set(shown) <= set(lines):
        raise Refusal("differences_changed")
    found = []
    for code, difference in sorted(shown.items()):
        _, at = standing(lines[code])
        day = local_day(at, row.time_zone)
        numbers = ranges.get(code, ())
        found.append(ToBook(item_id=lines[code].item_id, difference=difference, at=at, day=day, ranges=numbers))
    return found
