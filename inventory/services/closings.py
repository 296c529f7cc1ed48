"""The daily closing: what is left and what was printed, item by item, and the differences that it brings to light."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from operator import attrgetter
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, false, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased

from inventory.db import db, write
from inventory.domain.access import SYSTEM, Action, Actor, reach, require
from inventory.domain.audit import Event
from inventory.domain.calendars import OfficeCalendar
from inventory.domain.closings import (
    DAYS_WATCHED,
    WORDS_LENGTH,
    check_complete,
    check_may_clear,
    check_person,
    days_left_out,
    differences,
)
from inventory.domain.errors import Invalid, NotFound, Refusal
from inventory.domain.ledger import Kind, check_day, effect_of
from inventory.domain.offices import local_day
from inventory.domain.stocktakes import check_count
from inventory.domain.texts import check_text
from inventory.models import Balance, ClosingException, DailyTotal, DayClosing, Item, Movement, Office, Person
from inventory.models.offices import within
from inventory.services import audit, calendars, items, ledger, offices
from inventory.services.consumption import FIRST_DAY
from inventory.services.lookup import the_row
from inventory.services.offices import OfficeView, in_reach

LATE_SHOWN = 50
LONGEST_LOOK_BACK = timedelta(days=31)
"""How far back the last working days are looked for: an office that was shut for longer owes no closing."""


@dataclass(frozen=True, kw_only=True)
class ExceptionView:
    """A difference of a closing. `known` is what the book expects as known now; `cleared_at` is aware UTC."""

    id: int
    kind: str
    expected: int
    found: int
    known: int
    status: str
    office_code: str
    office_name: str
    item_code: str
    day: date
    closed_by_id: int
    cleared_at: datetime | None
    cleared_by: str | None
    reason: str

    @property
    def vanished(self) -> bool:
        """Later entries have made the difference go away; it is still a manager who clears it."""
        return self.known == self.found


@dataclass(frozen=True, kw_only=True)
class LateEntry:
    """A movement that came in after the closing, for its day or an earlier one. `change` is to the store."""

    item_code: str
    seq: int
    day: date
    kind: str
    reason: str
    quantity: int
    change: int
    recorded_at: datetime


@dataclass(frozen=True, kw_only=True)
class ItemClosing:
    """An item at a day's closing: what was left and printed, what the book said then, and what it says now."""

    item_code: str
    left: int
    book_store: int
    known_store: int
    printed_by_system: int | None
    book_printed: int
    known_printed: int
    exceptions: tuple[ExceptionView, ...]


@dataclass(frozen=True, kw_only=True)
class DayView:
    """A closed day of an office. `closed_at` is aware UTC; `late` holds the newest LATE_SHOWN entries."""

    office: OfficeView
    day: date
    closed_at: datetime
    closed_by: str
    closed_by_id: int
    items: tuple[ItemClosing, ...]
    late: tuple[LateEntry, ...]


@dataclass(frozen=True, kw_only=True)
class DaySummary:
    day: date
    closed_at: datetime
    closed_by: str
    exceptions: int
    open_exceptions: int


@dataclass(frozen=True, kw_only=True)
class Unclosed:
    """An office that keeps stock, and the working days that it left unclosed; `never` when it never closed one."""

    office_id: int
    office_code: str
    office_name: str
    office_path: str
    days: tuple[date, ...]
    never: bool


def to_close(actor: Actor, office_code: str) -> list[items.ItemView]:
    """What an office has to count at the end of a day: all that its book knows. Raises NotFound, NotAllowed."""
    office = offices.get(actor, Action.CLOSE_DAY, office_code)
    return _held(office.id)


def close(
    actor: Actor,
    now: datetime,
    request_id: UUID,
    office_code: str,
    day: date,
    left: Mapping[str, int],
    printed: Mapping[str, int],
) -> DayView:
    """Close a day of the office for all that it holds: `left` in the store by item code, and for blanks the cards
    `printed` on that day as the population system has it. Each difference to the book becomes an exception.

    It posts nothing. A repeated request finds its closing. Raises NotFound, NotAllowed; Invalid
    `closing_items_differ`, `quantity_negative`, `quantity_too_large`, `day_in_future`, `day_too_early`; Refusal
    `day_closed`, `nothing_to_close`, `request_id_reused`.
    """
    office = offices.get(actor, Action.CLOSE_DAY, office_code)
    person_id = check_person(actor.person_id)
    check_day(day, office.today(now), FIRST_DAY)
    for quantity in (*left.values(), *printed.values()):
        check_count(quantity)
    stamp = {"request_id": request_id, "office_id": office.id, "day": day, "closed_at": now, "closed_by_id": person_id}

    def put(session: Session) -> None:
        last_seqs = ledger.hold(session, office.id)
        held = _held(office.id)
        if not held:
            raise Refusal("nothing_to_close")
        check_complete([item.code for item in held], left, printed, {item.code for item in held if item.is_blank})
        for item in held:
            store, printed_on_day = _book(session, (office.id, item.id), day)
            values = stamp | {
                "item_id": item.id,
                "remaining": left[item.code],
                "printed_by_system": printed.get(item.code),
                "book_store": store,
                "book_printed": printed_on_day,
                "book_seq": last_seqs[item.id],
            }
            _write_closing(session, values)

    try:
        write(put)
    except IntegrityError as error:
        _refuse_unless_repeated(request_id, office.id, day, left, printed, error)
    return get(actor, now, office_code, day)


def reopen(actor: Actor, now: datetime, office_code: str, day: date, why: str) -> None:
    """Open a closed day again, to close it anew: by somebody else than who closed it. Its open differences are
    cleared with the same reason.

    Raises NotFound, NotAllowed; Invalid `reopening_needs_reason`; Refusal `day_not_closed`, `own_closing`.
    """
    office = offices.get(actor, Action.APPROVE, office_code)
    why = check_text(why, WORDS_LENGTH)
    if not why:
        raise Invalid("reopening_needs_reason")

    def put(session: Session) -> None:
        of_day = (DayClosing.office_id == office.id, DayClosing.day == day, DayClosing.reopened_at.is_(None))
        closed = session.execute(select(DayClosing.id, DayClosing.closed_by_id).where(*of_day)).all()
        if not closed:
            raise Refusal("day_not_closed", day=day)
        person_id = max(check_may_clear(actor.person_id, row.closed_by_id) for row in closed)
        values = {"reopened_at": now, "reopened_by_id": person_id, "reopen_reason": why}
        session.execute(update(DayClosing).where(*of_day).values(values))
        cleared = {"status": "cleared", "cleared_at": now, "cleared_by_id": person_id, "reason": why}
        is_open = ClosingException.status == "open"
        ids = [row.id for row in closed]
        session.execute(update(ClosingException).where(ClosingException.closing_id.in_(ids), is_open).values(cleared))

    write(put)


def clear(actor: Actor, now: datetime, request_id: UUID, exception_id: int, reason: str) -> ExceptionView:
    """Say how a difference is explained: by somebody else than who closed the day. It posts nothing: what has to be
    corrected is corrected by an entry, a reversal or a stocktake. A repeated request clears once.

    Raises NotFound, NotAllowed; Invalid `clearing_needs_reason`; Refusal `own_closing`, `exception_cleared`.
    """
    row = _exception(exception_id)
    require(actor, Action.APPROVE, row.path)
    person_id = check_may_clear(actor.person_id, row.closed_by_id)
    reason = check_text(reason, WORDS_LENGTH)
    if not reason:
        raise Invalid("clearing_needs_reason")
    values = {"status": "cleared", "cleared_at": now, "cleared_by_id": person_id, "reason": reason}

    def put(session: Session) -> None:
        is_it = ClosingException.id == exception_id
        done = session.execute(
            update(ClosingException)
            .where(is_it, ClosingException.status == "open")
            .values(values | {"clear_request_id": request_id})
            .returning(ClosingException.id)
        ).scalar_one_or_none()
        earlier = select(ClosingException.clear_request_id).where(is_it)
        if done is None and session.scalar(earlier) != request_id:
            raise Refusal("exception_cleared")
        if done is not None:
            facts = {"kind": "day_difference", "id": exception_id, "day": row.day, "item": row.item_code}
            audit.note(session, now, actor, Event.APPROVED, office_id=row.office_id, subject=str(row.day), facts=facts)

    write(put)
    return exception(actor, exception_id)


def get(actor: Actor, now: datetime, office_code: str, day: date) -> DayView:
    """A closed day: what was found, what the book said then and says now, its differences, and what came in late.

    Raises NotFound, NotAllowed; Refusal `day_not_closed`.
    """
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    rows = db.session.execute(
        select(*DayClosing.__table__.columns, Item.code.label("item_code"), Person.full_name.label("closed_by"))
        .join(Item, Item.id == DayClosing.item_id)
        .join(Person, Person.id == DayClosing.closed_by_id)
        .where(DayClosing.office_id == office.id, DayClosing.day == day, DayClosing.reopened_at.is_(None))
        .order_by(Item.position)
    ).all()
    if not rows:
        raise Refusal("day_not_closed", day=day)
    found: dict[str, list[ExceptionView]] = defaultdict(list)
    for each in _exceptions(DayClosing.id.in_([row.id for row in rows]), limit=2 * len(rows)):
        found[each.item_code].append(each)
    return DayView(
        office=office,
        day=day,
        closed_at=rows[0].closed_at,
        closed_by=rows[0].closed_by,
        closed_by_id=rows[0].closed_by_id,
        items=tuple(_item_closing(row, found[row.item_code]) for row in rows),
        late=tuple(_late(office.id, day, {row.item_id: row.book_seq for row in rows})),
    )


def is_closed(actor: Actor, office_code: str, day: date) -> bool:
    """Whether a day of the office is closed. Raises NotFound, NotAllowed."""
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    of_day = (DayClosing.office_id == office.id, DayClosing.day == day, DayClosing.reopened_at.is_(None))
    return db.session.scalar(select(DayClosing.id).where(*of_day).limit(1)) is not None


def of_office(actor: Actor, office_code: str, limit: int = 62) -> list[DaySummary]:
    """An office's closed days, the latest first."""
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    is_open = ClosingException.status == "open"
    rows = db.session.execute(
        select(
            DayClosing.day,
            func.max(DayClosing.closed_at).label("closed_at"),
            func.max(Person.full_name).label("closed_by"),
            func.count(ClosingException.id).label("exceptions"),
            func.count(ClosingException.id).filter(is_open).label("open_exceptions"),
        )
        .join(Person, Person.id == DayClosing.closed_by_id)
        .outerjoin(ClosingException, ClosingException.closing_id == DayClosing.id)
        .where(DayClosing.office_id == office.id, DayClosing.reopened_at.is_(None))
        .group_by(DayClosing.day)
        .order_by(DayClosing.day.desc())
        .limit(limit)
    )
    return [DaySummary(**row._mapping) for row in rows]


def exception(actor: Actor, exception_id: int, action: Action = Action.VIEW_STOCK) -> ExceptionView:
    """One difference. Raises NotFound `exception_not_found`, NotAllowed."""
    require(actor, action, _exception(exception_id).path)
    return _exceptions(ClosingException.id == exception_id, limit=1)[0]


def open_exceptions(actor: Actor, limit: int = 100) -> list[ExceptionView]:
    """The differences in reach that nobody has cleared, the oldest first."""
    return _exceptions(in_reach(reach(actor, Action.VIEW_STOCK)) & (ClosingException.status == "open"), limit=limit)


def unclosed(
    actor: Actor, now: datetime, limit: int | None = None, *, below: Sequence[str] | None = None
) -> list[Unclosed]:
    """Offices in reach (of the subtrees with the paths `below`, if given) that keep stock and left working days
    unclosed, by code: of the last DAYS_WATCHED working days that are over in their own calendar, those since their
    first closing. One that never closed a day is told once.

    Four queries, however many offices there are.
    """
    allowed = _in_sight(actor, below)
    return _by_code(_left_out(allowed, now), allowed, limit)


def first_unclosed(actor: Actor, now: datetime, limit: int) -> tuple[list[Unclosed], int]:
    """The first of them in reach, at most `limit`; and how many there are."""
    allowed = _in_sight(actor)
    late = _left_out(allowed, now)
    found = _by_code(late, allowed, limit)
    if len(found) < limit:
        return found, len(found)
    never = select(func.count()).select_from(Office).where(*_never_closed(allowed))
    return found, len(late) + int(db.session.scalar(never) or 0)


def unclosed_by(actor: Actor, now: datetime, paths: Sequence[str]) -> list[tuple[int, int]]:
    """Of the subtrees with these paths: how many days were left unclosed, and how many offices never closed one."""
    allowed = _in_sight(actor, paths)
    late = _left_out(allowed, now)
    counts = [func.sum(case((within(path), 1), else_=0)) for path in paths]
    never = db.session.execute(select(*counts).where(*_never_closed(allowed))).one()
    days = [sum(len(each.days) for each in late if each.office_path.startswith(path)) for path in paths]
    return [(left, int(count or 0)) for left, count in zip(days, never, strict=True)]


def _in_sight(actor: Actor, below: Sequence[str] | None = None) -> ColumnElement[bool]:
    allowed = in_reach(reach(actor, Action.VIEW_STOCK))
    return allowed if below is None else and_(allowed, or_(false(), *map(within, below)))


def _by_code(late: Sequence[Unclosed], allowed: ColumnElement[bool], limit: int | None) -> list[Unclosed]:
    """Some that left days unclosed, with those that never closed one."""
    query = select(Office.id, Office.code, Office.name, Office.path).where(*_never_closed(allowed))
    never = db.session.execute(query.order_by(offices.by_code()).limit(limit))
    found = [*late, *(_unclosed(row, never=True) for row in never)]
    return sorted(found, key=attrgetter("office_code"))[:limit]


def _left_out(allowed: ColumnElement[bool], now: datetime) -> list[Unclosed]:
    """Those that closed a day once and left others unclosed since."""
    closing = _closing_offices(allowed)
    if not closing:
        return []
    end = max(local_day(now, zone) for zone in {row.time_zone for row in closing})
    start = end - LONGEST_LOOK_BACK
    closed = _closed_days(allowed, start)
    watched = _Watched(now, start, calendars.of_offices([(row.id, row.working_days) for row in closing], start, end))
    found: list[Unclosed] = []
    for row in closing:
        days = days_left_out(watched.days(row.id, row.time_zone), closed.get(row.id, ()), row.first)
        if days:
            found.append(_unclosed(row, days))
    return found


def _unclosed(row: Any, days: Sequence[date] = (), *, never: bool = False) -> Unclosed:
    told = {"office_id": row.id, "office_code": row.code, "office_name": row.name, "office_path": row.path}
    return Unclosed(**told, days=tuple(days), never=never)


class _Watched:
    """Which working days of an office are looked at. Most offices share a calendar and a clock, and so these days."""

    def __init__(self, now: datetime, start: date, by_office: Mapping[int, OfficeCalendar]) -> None:
        self._start, self._by_office = start, by_office
        self._yesterday = cache(lambda zone: local_day(now, zone) - timedelta(days=1))
        self._known: dict[tuple[int, date], list[date]] = {}

    def days(self, office_id: int, time_zone: str) -> list[date]:
        calendar, last = self._by_office[office_id], self._yesterday(time_zone)
        key = id(calendar), last
        if key not in self._known:
            self._known[key] = calendar.open_days(self._start, last)[-DAYS_WATCHED:]
        return self._known[key]


def unclosed_days(now: datetime) -> list[tuple[int, tuple[date, ...]]]:
    """For the nightly review: office ids with the working days that they left unclosed; offices that never closed
    one are not among them."""
    return [(each.office_id, each.days) for each in _left_out(_in_sight(SYSTEM), now)]


def open_by_office() -> list[tuple[int, int, date, str]]:
    """For the nightly review: office id, how many differences nobody has cleared, the oldest one's day, time zone."""
    rows = db.session.execute(
        select(DayClosing.office_id, func.count(), func.min(DayClosing.day), Office.time_zone)
        .join(ClosingException, ClosingException.closing_id == DayClosing.id)
        .join(Office, Office.id == DayClosing.office_id)
        .where(ClosingException.status == "open", Office.active)
        .group_by(DayClosing.office_id, Office.time_zone)
        .order_by(DayClosing.office_id)
    )
    return [(office_id, count, since, time_zone) for office_id, count, since, time_zone in rows]


# --- parts -------------------------------------------------------------------------------------------------------


def _held(office_id: int) -> list[items.ItemView]:
    kept = select(Balance.item_id).where(Balance.office_id == office_id, Balance.last_seq > 0)
    ids = set(db.session.scalars(kept))
    return [item for item in items.active() if item.id in ids]


def _book(session: Session, key: tuple[int, int], day: date) -> tuple[int, int]:
    """The store at the close of `day` and the cards printed on it, as known now."""
    store = session.scalar(select(Balance.store).where(Balance.office_id == key[0], Balance.item_id == key[1])) or 0
    later = sum(effect.store for effect in ledger.day_effects(session, key, day + timedelta(days=1)).values())
    printed = session.scalar(
        select(func.sum(DailyTotal.quantity)).where(
            DailyTotal.office_id == key[0],
            DailyTotal.item_id == key[1],
            DailyTotal.day == day,
            DailyTotal.kind == Kind.PRINT.value,
        )
    )
    return store - later, int(printed or 0)


def _write_closing(session: Session, values: Mapping[str, Any]) -> None:
    closing_id = session.execute(insert(DayClosing).values(values).returning(DayClosing.id)).scalar_one()
    found = differences(values["book_store"], values["remaining"], values["book_printed"], values["printed_by_system"])
    rows = [
        {
            "closing_id": closing_id,
            "kind": each.kind,
            "expected": each.expected,
            "found": each.found,
            "status": "open",
            "closed_by_id": values["closed_by_id"],
        }
        for each in found
    ]
    if rows:
        session.execute(insert(ClosingException), rows)


def _refuse_unless_repeated(
    request_id: UUID,
    office_id: int,
    day: date,
    left: Mapping[str, int],
    printed: Mapping[str, int],
    error: IntegrityError,
) -> None:
    rows = db.session.execute(
        select(DayClosing.remaining, DayClosing.printed_by_system, DayClosing.office_id, DayClosing.day, Item.code)
        .join(Item, Item.id == DayClosing.item_id)
        .where(DayClosing.request_id == request_id)
    ).all()
    if not rows:
        raise Refusal("day_closed", day=day) from error
    said = {code: (quantity, printed.get(code), office_id, day) for code, quantity in left.items()}
    if said != {row.code: (row.remaining, row.printed_by_system, row.office_id, row.day) for row in rows}:
        raise Refusal("request_id_reused") from error


def _item_closing(row: Any, found: Sequence[ExceptionView]) -> ItemClosing:
    known_store, known_printed = _book(db.session(), (row.office_id, row.item_id), row.day)
    return ItemClosing(
        item_code=row.item_code,
        left=row.remaining,
        book_store=row.book_store,
        known_store=known_store,
        printed_by_system=row.printed_by_system,
        book_printed=row.book_printed,
        known_printed=known_printed,
        exceptions=tuple(found),
    )


def _late(office_id: int, day: date, seqs: Mapping[int, int]) -> list[LateEntry]:
    """What came in after the closing for its day or an earlier one, the newest first."""
    found: list[LateEntry] = []
    for item_id, seq in seqs.items():
        rows = db.session.execute(
            select(Movement, Item.code)
            .join(Item, Item.id == Movement.item_id)
            .where(
                Movement.office_id == office_id,
                Movement.item_id == item_id,
                Movement.seq > seq,
                Movement.effective_on <= day,
            )
            .order_by(Movement.seq.desc())
            .limit(LATE_SHOWN)
        )
        for each, code in rows:
            told = {name: getattr(each, name) for name in ("seq", "kind", "reason", "quantity", "recorded_at")}
            change = effect_of(each.kind, each.reason).store * each.quantity
            found.append(LateEntry(**told, item_code=code, day=each.effective_on, change=change))
    return sorted(found, key=lambda each: each.recorded_at, reverse=True)[:LATE_SHOWN]


def _exception(exception_id: int) -> Any:
    query = (
        select(
            Office.path,
            ClosingException.closed_by_id,
            DayClosing.office_id,
            DayClosing.day,
            Item.code.label("item_code"),
        )
        .join(DayClosing, DayClosing.id == ClosingException.closing_id)
        .join(Office, Office.id == DayClosing.office_id)
        .join(Item, Item.id == DayClosing.item_id)
        .where(ClosingException.id == exception_id)
    )
    return the_row(query, NotFound("exception_not_found"))


def _exceptions(condition: ColumnElement[bool], limit: int) -> list[ExceptionView]:
    clearer = aliased(Person)
    rows = db.session.execute(
        select(
            *ClosingException.__table__.columns,
            DayClosing.day,
            DayClosing.office_id,
            DayClosing.item_id,
            Office.code.label("office_code"),
            Office.name.label("office_name"),
            Item.code.label("item_code"),
            clearer.full_name.label("cleared_by"),
            _known().label("known"),
        )
        .join(DayClosing, DayClosing.id == ClosingException.closing_id)
        .join(Office, Office.id == DayClosing.office_id)
        .join(Item, Item.id == DayClosing.item_id)
        .outerjoin(clearer, clearer.id == ClosingException.cleared_by_id)
        .where(condition)
        .order_by(ClosingException.id)
        .limit(limit)
    )
    plain = set(ExceptionView.__dataclass_fields__) - {"known"}
    return [ExceptionView(**{name: getattr(row, name) for name in plain}, known=int(row.known)) for row in rows]


def _known() -> ColumnElement[Any]:
    """SQL: what the book expects of a difference's closing as known now; see `_book`."""
    same_stock = (DailyTotal.office_id == DayClosing.office_id, DailyTotal.item_id == DayClosing.item_id)
    later = select(func.sum(ledger.effect_on(DailyTotal, "store"))).where(*same_stock, DailyTotal.day > DayClosing.day)
    printed = select(func.sum(DailyTotal.quantity)).where(
        *same_stock, DailyTotal.day == DayClosing.day, DailyTotal.kind == Kind.PRINT.value
    )
    store = select(Balance.store).where(
        Balance.office_id == DayClosing.office_id, Balance.item_id == DayClosing.item_id
    )
    by_store = store.scalar_subquery() - func.coalesce(later.scalar_subquery(), 0)
    return case((ClosingException.kind == "store", by_store), else_=func.coalesce(printed.scalar_subquery(), 0))


def _never_closed(allowed: ColumnElement[bool]) -> list[ColumnElement[bool]]:
    """SQL: the offices that keep stock and never closed a day. They are counted where they are many: a country in which
    nobody closes is no reason to fetch all its offices."""
    closed = select(DayClosing.id).where(DayClosing.office_id == Office.id)
    return [allowed, *_keeping_stock(), ~closed.exists()]


def _keeping_stock() -> list[ColumnElement[bool]]:
    return [Office.active.is_(True), Office.id.in_(select(Balance.office_id).where(Balance.last_seq > 0))]


def _closing_offices(allowed: ColumnElement[bool]) -> Sequence[Any]:
    """Those that keep stock and closed a day once, with the first day."""
    first = select(DayClosing.office_id, func.min(DayClosing.day).label("first")).group_by(DayClosing.office_id)
    first = first.subquery()
    told = Office.id, Office.code, Office.name, Office.path, Office.time_zone, Office.working_days
    query = select(*told, first.c.first).join(first, first.c.office_id == Office.id)
    return db.session.execute(query.where(allowed, *_keeping_stock()).order_by(offices.by_code())).all()


def _closed_days(allowed: ColumnElement[bool], start: date) -> dict[int, set[date]]:
    rows = db.session.execute(
        select(DayClosing.office_id, DayClosing.day)
        .join(Office, and_(Office.id == DayClosing.office_id, allowed))
        .where(DayClosing.day >= start, DayClosing.reopened_at.is_(None))
        .distinct()
    )
    found: dict[int, set[date]] = defaultdict(set)
    for row in rows:
        found[row.office_id].add(row.day)
    return found
