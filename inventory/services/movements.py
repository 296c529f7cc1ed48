"""Movements as other systems read them: one, an office's, and all that is new since somebody last asked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, func, or_, select, text

from inventory.db import db, on_postgresql
from inventory.domain.access import Action, Actor, may, reach
from inventory.domain.errors import Invalid, NotFound
from inventory.domain.ledger import Line
from inventory.domain.ranges import Ranges
from inventory.models import Item, Movement, Office, Person
from inventory.services import items, offices, ranges
from inventory.services.offices import in_reach

MARKS = 1112296262
"""The class of the advisory locks by which writers say which ids are not all to be seen yet: as in the trigger
`movements_marked`."""
MARK_TURNS = 2**31
"""A mark is an id without its higher digits."""
WALKED_AT_ONCE = 100_000
"""Ids that one look at what is new walks over at most, whoever's they are."""


@dataclass(frozen=True, kw_only=True)
class MovementView:
    """A movement with the documents behind it. Instants are aware UTC, `day` is the office's own."""

    id: int
    office_code: str
    item_code: str
    seq: int
    kind: str
    reason: str
    quantity: int
    served_waiting: int
    day: date
    happened_at: datetime | None
    recorded_at: datetime
    recorded_by: str | None
    posting: UUID
    """What its movements have in common that were recorded in one go."""
    shift: str | None
    note: str
    origin: str
    reverses_id: int | None
    delivery_id: int | None
    transfer_id: int | None
    proposal_id: int | None
    stocktake_id: int | None
    import_id: int | None
    ranges: Ranges = ()


@dataclass(frozen=True)
class News:
    """What came after an id, in the order in which it could be seen. `until` is the id to go on from; with `more` there
    is something to be had at once."""

    movements: tuple[MovementView, ...]
    until: int
    more: bool


def get(actor: Actor, movement_id: int) -> MovementView:
    """One movement. Raises NotFound `movement_not_found`, out of reach as well: nobody learns which there are."""
    row = db.session.execute(_query().add_columns(Office.path).where(Movement.id == movement_id)).one_or_none()
    if row is None or not may(actor, Action.VIEW_STOCK, row.path):
        raise NotFound("movement_not_found")
    return _views([row])[0]


def view_of(
    actor: Actor, now: datetime, request_id: UUID, office_code: str, item_code: str, line: Line
) -> MovementView:
    """An entry's movement as it will be when it is recorded, but for its id and its number, which are 0."""
    return MovementView(
        id=0,
        office_code=office_code,
        item_code=item_code,
        seq=0,
        kind=line.kind.value,
        reason=line.reason,
        quantity=line.quantity,
        served_waiting=line.served_waiting,
        day=line.effective_on,
        happened_at=line.happened_at,
        recorded_at=now,
        recorded_by=actor.name if actor.person_id is not None else None,
        posting=request_id,
        shift=line.shift,
        note=line.note,
        origin="entered",
        reverses_id=None,
        delivery_id=None,
        transfer_id=None,
        proposal_id=None,
        stocktake_id=None,
        import_id=None,
    )


def of_ids(actor: Actor, ids: Iterable[int]) -> list[MovementView]:
    """Movements that somebody has just posted, by id. They see what they wrote, whatever else they may see."""
    query = _query().where(Movement.id.in_(list(ids)), Movement.actor_id == actor.person_id).order_by(Movement.id)
    return _views(db.session.execute(query).all())


def of_office(
    actor: Actor,
    office_code: str,
    *,
    since: date | None = None,
    until: date | None = None,
    kind: str | None = None,
    item_code: str | None = None,
    after: tuple[date, int] | None = None,
    limit: int,
) -> list[MovementView]:
    """An office's movements by day and id, after those of the key `after`; of the days from `since` to `until`, both
    included. Raises NotFound, NotAllowed."""
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    query = _query().where(Movement.office_id == office.id)
    if item_code is not None:
        query = query.where(Movement.item_id == items.get(item_code).id)
    if since is not None:
        query = query.where(Movement.effective_on >= since)
    if until is not None:
        query = query.where(Movement.effective_on <= until)
    if kind is not None:
        query = query.where(Movement.kind == kind)
    if after is not None:
        day, movement_id = after
        later = and_(Movement.effective_on == day, Movement.id > movement_id)
        query = query.where(or_(Movement.effective_on > day, later), Movement.effective_on >= day)
    return _views(db.session.execute(query.order_by(Movement.effective_on, Movement.id).limit(limit)).all())


def news(actor: Actor, after: int, limit: int) -> News:
    """The movements in reach with an id beyond `after`, at most `limit`, by id.

    Whoever always goes on from `until` sees every movement once and in order, however many write meanwhile: an id is
    told only when none below it can still come. To be asked of the primary: a standby does not know who writes.

    Raises Invalid `cursor_ahead` for an `after` that no movement has had yet: the books are older than what the reader
    has seen, such as a backup that was put back.
    """
    settled = _settled()
    if after > settled and after > _last_id():
        raise Invalid("cursor_ahead")
    upper = min(settled, after + WALKED_AT_ONCE)
    query = (
        _query()
        .where(Movement.id > after, Movement.id <= upper, in_reach(reach(actor, Action.VIEW_STOCK)))
        .order_by(Movement.id)
        .limit(limit + 1)
    )
    rows = db.session.execute(query).all()
    if len(rows) > limit:
        found = _views(rows[:limit])
        return News(tuple(found), found[-1].id, more=True)
    return News(tuple(_views(rows)), max(after, upper), more=upper < settled)


def last_settled() -> int:
    """The id from which somebody goes on who wants only what comes from now on."""
    return _settled()


def _settled() -> int:
    """The highest id below which no movement can come any more.

    SQLite lets one write at a time, so ids come in the order of commits. PostgreSQL hands them out before: there each
    writer holds a mark, the last id of the moment before it took its first, until all that it wrote can be seen. So (1)
    look how far ids go, then (2) which marks are held: who had none by then takes ids beyond (1) only. What lies below
    both is there, or never will be, (3) for a statement that begins after this.
    """
    db.session.rollback()
    if not on_postgresql():
        last = _last_id()
        db.session.rollback()
        return last
    last = _last_id()
    held = db.session.scalars(
        text(
            "SELECT objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND classid = :marks AND objsubid = 2"
            " AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        ),
        {"marks": MARKS},
    ).all()
    # Ids may have gone on since: a mark set meanwhile has its higher digits from there.
    newest = _last_id()
    db.session.rollback()
    return min([last, *(newest - (newest - mark) % MARK_TURNS for mark in held)])


def _last_id() -> int:
    """How far ids go, those of writers who have not committed included."""
    if not on_postgresql():
        return db.session.scalar(select(func.max(Movement.id))) or 0
    taken = text("SELECT last_value - CASE WHEN is_called THEN 0 ELSE 1 END FROM movements_id_seq")
    return db.session.scalar(taken) or 0


def _query() -> Any:
    return (
        select(Movement, Office.code.label("office"), Item.code.label("item"), Person.full_name)
        .join(Office, Office.id == Movement.office_id)
        .join(Item, Item.id == Movement.item_id)
        .outerjoin(Person, Person.id == Movement.actor_id)
    )


def _views(rows: Sequence[Any]) -> list[MovementView]:
    numbers = ranges.of_movements(db.session(), [row[0].id for row in rows]) if rows else {}
    return [
        MovementView(
            id=movement.id,
            office_code=office,
            item_code=item,
            seq=movement.seq,
            kind=movement.kind,
            reason=movement.reason,
            quantity=movement.quantity,
            served_waiting=movement.served_waiting,
            day=movement.effective_on,
            happened_at=movement.happened_at,
            recorded_at=movement.recorded_at,
            recorded_by=by,
            posting=movement.request_id,
            shift=movement.shift,
            note=movement.note,
            origin=movement.origin,
            reverses_id=movement.reverses_id,
            delivery_id=movement.delivery_id,
            transfer_id=movement.transfer_id,
            proposal_id=movement.proposal_id,
            stocktake_id=movement.stocktake_id,
            import_id=movement.import_id,
            ranges=numbers.get(movement.id, ()),
        )
        for movement, office, item, by, *_ in rows
    ]
