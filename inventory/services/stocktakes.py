"""Stocktakes: counted blind, counted again where the count differs, approved and booked by somebody else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased

from inventory.db import db, write
from inventory.domain.access import Action, Actor, require
from inventory.domain.errors import Invalid, NotFound, Refusal
from inventory.domain.ledger import NOTE_LENGTH, effect_of
from inventory.domain.offices import local_day
from inventory.domain.ranges import Ranges
from inventory.domain.stocktakes import (
    OPEN_STATUSES,
    WORDS_LENGTH,
    Counted,
    ToBook,
    check_count,
    check_may_approve,
    check_person,
    check_shown,
    count_lines,
    counted_at,
    is_in_book,
    left_to_book,
)
from inventory.domain.texts import check_text
from inventory.models import Balance, DailyTotal, Item, Movement, Office, Person, Stocktake, StocktakeLine
from inventory.services import items, ledger, offices
from inventory.services.lookup import the_row

MOVEMENTS_SHOWN = 50


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


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A count against the book at its instant, as known now. `left` is what is still to be booked of the difference.

    `store` is what the book has in the store now.
    """

    item_id: int
    item_code: str
    count: int
    at: datetime
    book: int
    booked: int
    left: int
    store: int

    @property
    def difference(self) -> int:
        return self.count - self.book


@dataclass(frozen=True, kw_only=True)
class Since:
    """A movement recorded since the stocktake was opened. `in_book` when it belongs before the item's count."""

    item_code: str
    seq: int
    kind: str
    reason: str
    change: int
    moment: datetime
    recorded_at: datetime
    in_book: bool


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
    `count_in_future`, `count_before_opening`; Refusal `stocktake_closed`, `line_counted`, `request_id_reused`.
    """
    return _enter(actor, now, request_id, stocktake_id, counts, _COUNT)


def recount(
    actor: Actor, now: datetime, request_id: UUID, stocktake_id: int, counts: Mapping[str, Counted]
) -> StocktakeView:
    """Save the second count of items for which one was asked. It stands, at its own time; the first one is kept.

    Raises what `count` raises.
    """
    return _enter(actor, now, request_id, stocktake_id, counts, _RECOUNT)


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
    row = _row(stocktake_id)
    require(actor, Action.APPROVE, row.path)
    person_id = check_may_approve(actor.person_id, _involved(row))
    if row.status == "counting":
        raise Refusal("stocktake_not_counted")
    approval = {"approved_at": now, "approved_by_id": person_id, "approval_request_id": request_id}

    def close(session: Session) -> dict[str, int]:
        if _hold(session, stocktake_id) != "counted":
            raise Refusal("stocktake_closed")
        compared = _compare_held(session, row)
        check_shown({each.item_code: each.difference for each in compared}, shown)
        _keep_books(session, stocktake_id, compared)
        session.execute(
            update(Stocktake)
            .where(Stocktake.id == stocktake_id, Stocktake.status == "counted")
            .values(status="approved", **approval)
        )
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
    row = _row(stocktake_id)
    require(actor, Action.APPROVE, row.path)
    check_may_approve(actor.person_id, _involved(row))
    if row.status != "approved":
        raise Refusal("stocktake_not_approved")
    if not any(shown.values()):
        raise Refusal("nothing_to_correct")

    def book(session: Session) -> dict[str, int]:
        _hold(session, stocktake_id)
        compared = _compare_held(session, row)
        check_shown({each.item_code: each.left for each in compared if each.left}, shown)
        _keep_books(session, stocktake_id, compared)
        return {"stocktake_id": stocktake_id}

    lines = count_lines(row.office_id, _to_book(row, shown, ranges or {}), check_text(note, NOTE_LENGTH))
    said = {"corrected": stocktake_id, "shown": dict(shown)}
    ledger.post(actor, now, request_id, lines, extra=said, document=book)
    return get(actor, now, stocktake_id)


def cancel(actor: Actor, now: datetime, stocktake_id: int, why: str) -> StocktakeView:
    """Give up a stocktake, with a reason. Once all is counted that takes somebody who may approve: a difference is
    not made to go away by who counted it. Said again by the same person, it is done once.

    Raises NotFound, NotAllowed; Invalid `stocktake_cancel_needs_reason`; Refusal `stocktake_closed`.
    """
    row = _row(stocktake_id)
    require(actor, Action.COUNT_STOCK, row.path)
    person_id = check_person(actor.person_id)
    why = check_text(why, WORDS_LENGTH)
    if not why:
        raise Invalid("stocktake_cancel_needs_reason")

    def close(session: Session) -> None:
        status = _hold(session, stocktake_id)
        if status == "counted":
            require(actor, Action.APPROVE, row.path)
        said = (Stocktake.cancelled_by_id == person_id) & (Stocktake.cancel_reason == why)
        if session.scalar(select(said).where(Stocktake.id == stocktake_id)):
            return
        if status not in OPEN_STATUSES:
            raise Refusal("stocktake_closed")
        values = {"status": "cancelled", "cancelled_at": now, "cancelled_by_id": person_id, "cancel_reason": why}
        session.execute(update(Stocktake).where(Stocktake.id == stocktake_id).values(values))

    write(close)
    return get(actor, now, stocktake_id)


def get(actor: Actor, now: datetime, stocktake_id: int, action: Action = Action.VIEW_STOCK) -> StocktakeView:
    """One stocktake with its counts, and once approved its differences and what was booked; see the view.

    Raises NotFound `stocktake_not_found`, NotAllowed.
    """
    row = _row(stocktake_id)
    require(actor, action, row.path)
    return _view(row)


def of_office(actor: Actor, office_code: str, limit: int = 50) -> list[StocktakeView]:
    """An office's stocktakes, the newest first, without their lines."""
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    rows = db.session.execute(
        _query().where(Stocktake.office_id == office.id).order_by(Stocktake.id.desc()).limit(limit)
    )
    return [_view(row, with_lines=False) for row in rows]


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


def for_approval(actor: Actor, now: datetime, stocktake_id: int) -> tuple[StocktakeView, list[Compared], list[Since]]:
    """What an approver decides on: book, count and difference of each line, and what moved since it was opened.

    Raises NotFound, NotAllowed; Refusal `own_count`, `stocktake_not_counted`, `stocktake_closed`.
    """
    row = _row(stocktake_id)
    require(actor, Action.APPROVE, row.path)
    check_may_approve(actor.person_id, _involved(row))
    if row.status == "counting":
        raise Refusal("stocktake_not_counted")
    if row.status != "counted":
        raise Refusal("stocktake_closed")
    return _view(row), _compare(db.session(), row), _since(row)


def known_now(actor: Actor, now: datetime, stocktake_id: int) -> list[Compared]:
    """For an approved stocktake: the book at each count as known now, what was booked, and what is left to correct.
    Nothing for one that is not approved. Raises NotFound, NotAllowed."""
    row = _row(stocktake_id)
    require(actor, Action.VIEW_STOCK, row.path)
    return _compare(db.session(), row) if row.status == "approved" else []


def took_part(actor: Actor, stocktake_id: int) -> bool:
    """Whether the actor opened the stocktake or counted for it, and so cannot approve it. Raises NotFound."""
    return actor.person_id is None or actor.person_id in _involved(_row(stocktake_id))


# --- counting ----------------------------------------------------------------------------------------------------


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
    row = _row(stocktake_id)
    require(actor, Action.COUNT_STOCK, row.path)
    person_id = check_person(actor.person_id)
    if not counts:
        raise Invalid("nothing_entered")
    for each in counts.values():
        check_count(each.quantity)
    by_id = {items.get(code).id: each for code, each in counts.items()}

    def put(session: Session) -> None:
        status = _hold(session, stocktake_id)
        if _entered(session, stocktake_id, request_id, person_id, by_id, of):
            return
        if status != "counting":
            raise Refusal("stocktake_closed")
        lines = _line_rows(session, stocktake_id)
        for item_id, each in sorted(by_id.items()):
            line = lines.get(item_id)
            if line is None or getattr(line, of.quantity) is not None or (of is _RECOUNT and not line.recount_asked):
                raise Refusal("line_counted")
            since = row.opened_at if of is _COUNT else line.counted_at
            told = {of.quantity: each.quantity, of.at: counted_at(each.at, since, now)}
            told |= {of.by: person_id, of.request: request_id}
            session.execute(_one_line(stocktake_id, item_id).values(told))
        _finish_round(session, row)

    write(put)
    return get(actor, now, stocktake_id)


def _entered(
    session: Session, stocktake_id: int, request_id: UUID, person_id: int, by_id: Mapping[int, Counted], of: _Round
) -> bool:
    """Whether this very request was saved before. Raises Refusal `request_id_reused` when it said something else."""
    saved = {
        item_id: line
        for item_id, line in _line_rows(session, stocktake_id).items()
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
    lines = _line_rows(session, row.id)
    if any(line.counted is None for line in lines.values()):
        return
    if not any(line.recount_asked for line in lines.values()):
        for item_id, line in lines.items():
            if line.counted != _book(session, row, item_id, line.counted_at):
                session.execute(_one_line(row.id, item_id).values(recount_asked=True))
        lines = _line_rows(session, row.id)
    if all(line.recounted is not None for line in lines.values() if line.recount_asked):
        session.execute(update(Stocktake).where(Stocktake.id == row.id).values(status="counted"))


def _one_line(stocktake_id: int, item_id: int) -> Any:
    return update(StocktakeLine).where(StocktakeLine.stocktake_id == stocktake_id, StocktakeLine.item_id == item_id)


def _hold(session: Session, stocktake_id: int) -> str:
    """Hold the stocktake until the transaction ends, so that one at a time changes it; its status."""
    held = update(Stocktake).where(Stocktake.id == stocktake_id).values(status=Stocktake.status)
    return session.execute(held.returning(Stocktake.status)).scalar_one()


def _once(work: Any, stocktake_id: int, request_id: UUID) -> None:
    try:
        work()
    except Refusal:
        asked = select(Stocktake.approval_request_id).where(Stocktake.id == stocktake_id)
        if db.session.scalar(asked) != request_id:
            raise


# --- the book at the instant of a count --------------------------------------------------------------------------


def _book(session: Session, row: Any, item_id: int, at: datetime) -> int:
    """The store at the instant `at`, as known now and without what this stocktake itself booked.

    Counted back from the balance: what later days did, from their totals, and what its own day did after `at`. One
    statement, so that all of it is of the same moment.
    """
    day = local_day(at, row.time_zone)
    later = select(func.coalesce(func.sum(ledger.effect_on(DailyTotal, "store")), 0)).where(
        DailyTotal.office_id == row.office_id, DailyTotal.item_id == item_id, DailyTotal.day > day
    )
    original = aliased(Movement)
    after = (
        select(func.coalesce(func.sum(ledger.effect_on(Movement, "store")), 0))
        .outerjoin(original, original.id == Movement.reverses_id)
        .where(
            Movement.office_id == row.office_id,
            Movement.item_id == item_id,
            Movement.effective_on == day,
            or_(_moment(original) > at, func.coalesce(Movement.stocktake_id, 0) == row.id),
        )
    )
    store = Balance.store - later.scalar_subquery() - after.scalar_subquery()
    found = select(store).where(Balance.office_id == row.office_id, Balance.item_id == item_id)
    return int(session.execute(found).scalar_one())


def _moment(original: Any) -> Any:
    """SQL: when a movement happened, or was recorded; a reversal stands where its original stands."""
    return func.coalesce(Movement.happened_at, original.recorded_at, Movement.recorded_at)


def _compare(session: Session, row: Any) -> list[Compared]:
    rows = session.execute(
        select(*StocktakeLine.__table__.columns, Item.code, Balance.store)
        .join(Item, Item.id == StocktakeLine.item_id)
        .join(Balance, and_(Balance.item_id == StocktakeLine.item_id, Balance.office_id == row.office_id))
        .where(StocktakeLine.stocktake_id == row.id)
        .order_by(Item.position)
    ).all()
    found = []
    for line in rows:
        count, at, booked = *_standing(line), line.difference or 0
        book = _book(session, row, line.item_id, at)
        told = {"item_id": line.item_id, "item_code": line.code, "store": line.store}
        left = left_to_book(count, book, booked)
        found.append(Compared(**told, count=count, at=at, book=book, booked=booked, left=left))
    return found


def _compare_held(session: Session, row: Any) -> list[Compared]:
    """The same inside a posting, with the office's stock held: no movement can come in between."""
    ledger.hold(session, row.office_id)
    return _compare(session, row)


def _keep_books(session: Session, stocktake_id: int, compared: list[Compared]) -> None:
    for each in compared:
        statement = _one_line(stocktake_id, each.item_id)
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
        _, at = _standing(lines[code])
        day = local_day(at, row.time_zone)
        numbers = ranges.get(code, ())
        found.append(ToBook(item_id=lines[code].item_id, difference=difference, at=at, day=day, ranges=numbers))
    return found


def _standing(line: Any) -> tuple[int, datetime]:
    return (line.counted, line.counted_at) if line.recounted is None else (line.recounted, line.recounted_at)


def _since(row: Any) -> list[Since]:
    """The newest movements since the stocktake was opened, of all its items."""
    original = aliased(Movement)
    lines = _line_rows(db.session(), row.id)
    rows = db.session.execute(
        select(
            Item.code.label("item_code"),
            Movement.item_id,
            Movement.seq,
            Movement.kind,
            Movement.reason,
            Movement.quantity,
            Movement.effective_on,
            Movement.recorded_at,
            _moment(original).label("moment"),
        )
        .join(Item, Item.id == Movement.item_id)
        .outerjoin(original, original.id == Movement.reverses_id)
        .where(
            Movement.office_id == row.office_id,
            Movement.item_id.in_(list(lines)),
            Movement.recorded_at >= row.opened_at,
        )
        .order_by(Movement.recorded_at.desc(), Movement.id.desc())
        .limit(MOVEMENTS_SHOWN)
    )
    found = []
    for each in rows:
        at = _standing(lines[each.item_id])[1]
        in_book = is_in_book(each.effective_on, each.moment, local_day(at, row.time_zone), at)
        told = {name: getattr(each, name) for name in ("item_code", "seq", "kind", "reason", "moment", "recorded_at")}
        change = effect_of(each.kind, each.reason).store * each.quantity
        found.append(Since(**told, change=change, in_book=in_book))
    return [each for each in found if each.change]


# --- reading -----------------------------------------------------------------------------------------------------

_OPENER, _APPROVER, _CANCELLER = aliased(Person), aliased(Person), aliased(Person)
_COUNTER, _RECOUNTER = aliased(Person), aliased(Person)


def _query() -> Any:
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


def _row(stocktake_id: int) -> Any:
    return the_row(_query().where(Stocktake.id == stocktake_id), NotFound("stocktake_not_found"))


def _line_rows(session: Session, stocktake_id: int) -> dict[int, Any]:
    rows = session.execute(select(*StocktakeLine.__table__.columns).where(StocktakeLine.stocktake_id == stocktake_id))
    return {row.item_id: row for row in rows}


def _involved(row: Any) -> set[int | None]:
    lines = _line_rows(db.session(), row.id).values()
    return {row.opened_by_id} | {person for line in lines for person in (line.counted_by_id, line.recounted_by_id)}


def _view(row: Any, *, with_lines: bool = True) -> StocktakeView:
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
