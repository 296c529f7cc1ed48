"""Undo: what somebody has entered last is taken back whole, in one transaction, for a few minutes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any
from uuid import UUID

from sqlalchemy import and_, select
from sqlalchemy.orm import Session, aliased

from inventory.db import db
from inventory.domain.access import Action, Actor
from inventory.domain.errors import NotFound, Refusal
from inventory.domain.ledger import Kind, reversal_of
from inventory.domain.offices import local_moment
from inventory.domain.undo import UNDOABLE, Entered, check_undo, request_of, until
from inventory.models import Balance, DayClosing, Item, Movement
from inventory.services import ledger, offices
from inventory.services.ledger import Posting

LOOKED_AT = 40
"""Movements of each item among which somebody's own newest are looked for: it costs the same in an old ledger."""
SHOWN = 12


@dataclass(frozen=True, kw_only=True)
class Part:
    movement_id: int
    kind: str
    reason: str
    quantity: int
    undone: bool


@dataclass(frozen=True, kw_only=True)
class OwnEntry:
    """Something that the actor entered today, one item of it. `day` is what it is for, `recorded_at` aware UTC.

    `undone` when all of it was reversed since; `undo_until` is the instant until which one touch undoes it, and None
    when it does not.
    """

    posting: UUID
    item_code: str
    day: date
    recorded_at: datetime
    parts: tuple[Part, ...]
    undone: bool
    undo_until: datetime | None


def undo(actor: Actor, now: datetime, office_code: str, posting: UUID, minutes: int, note: str) -> Posting:
    """Take back all movements of the actor's own newest posting, with `note` as the reason of their reversal.

    `posting` is the request id of the entry, `minutes` how long it can be undone. Undone twice it is reversed once, and
    the second answer is `replayed`. Raises NotFound `office_not_found`, `entry_not_found`; NotAllowed; what
    `domain.undo.check_undo` raises; and what `ledger.post` raises when something has built on the entry.
    """
    office = offices.get(actor, Action.POST_MOVEMENT, office_code)
    request_id = request_of(posting)
    parts = ledger.parts_of(posting, request_id)
    if not parts or any(part.office_id != office.id for part in parts):
        raise NotFound("entry_not_found")
    lines = [reversal_of(part, note) for part in parts]

    def check(session: Session) -> ledger.References:
        # Held, the books of this office stand still: nobody closes the day or enters more until this is done.
        ledger.hold(session, office.id)
        check_undo(_entered(session, office.id, posting, actor), actor.person_id, now, minutes)
        return ledger.note_reversal(actor, now, parts)(session)

    return ledger.post(actor, now, request_id, lines, document=check)


def own_entries(actor: Actor, now: datetime, office_code: str, minutes: int) -> list[OwnEntry]:
    """What the actor entered at the office on its own today, the newest first, at most SHOWN. Raises NotFound,
    NotAllowed."""
    office = offices.get(actor, Action.POST_MOVEMENT, office_code)
    midnight = local_moment(office.today(now), time(), office.time_zone)
    session = db.session()
    rows = [row for row in _recent(session, office.id, actor) if row.recorded_at >= midnight]
    closed = _closed(session, office.id, {row.effective_on for row in rows})
    newest = _newest(rows)
    found: dict[tuple[UUID, int], list[Any]] = {}
    for row in rows:
        if row.reverses_id is None:
            found.setdefault((row.request_id, row.item_id), []).append(row)
    entries: list[OwnEntry] = []
    for group in list(found.values())[:SHOWN]:
        entered = _as_entered([row for row in rows if row.request_id == group[0].request_id], newest, closed)
        entries.append(_own_entry(group, entered, actor, now, minutes))
    return entries


# --- reading -----------------------------------------------------------------------------------------------------

_undoing = aliased(Movement)
_READ = (
    Movement.id,
    Movement.office_id,
    Movement.item_id,
    Movement.request_id,
    Movement.actor_id,
    Movement.kind,
    Movement.reason,
    Movement.quantity,
    Movement.effective_on,
    Movement.recorded_at,
    Movement.origin,
    Movement.reverses_id,
    Item.code.label("item_code"),
    _undoing.id.label("reversed_by_id"),
)


def _rows() -> Any:
    query = select(*_READ).join(Item, Item.id == Movement.item_id)
    return query.outerjoin(_undoing, _undoing.reverses_id == Movement.id)


def _recent(session: Session, office_id: int, actor: Actor) -> Sequence[Any]:
    """The actor's own among the last movements of each of the office's items, the newest first."""
    last = and_(
        Balance.office_id == Movement.office_id,
        Balance.item_id == Movement.item_id,
        Movement.seq > Balance.last_seq - LOOKED_AT,
    )
    # What a proposal brought about is the decision of two, and is undone as such.
    own = (Balance.office_id == office_id, Movement.actor_id == actor.person_id, Movement.proposal_id.is_(None))
    return session.execute(_rows().join(Balance, last).where(*own).order_by(Movement.id.desc())).all()


def _newest(rows: Sequence[Any]) -> UUID | None:
    """The posting of the newest entry that still stands and is of a kind to be undone."""
    standing = (row for row in rows if row.reverses_id is None and row.reversed_by_id is None)
    return next((row.request_id for row in standing if Kind(row.kind) in UNDOABLE), None)


def _closed(session: Session, office_id: int, days: Collection[date]) -> set[date]:
    of_days = (DayClosing.office_id == office_id, DayClosing.day.in_(days), DayClosing.reopened_at.is_(None))
    return set(session.scalars(select(DayClosing.day).where(*of_days).distinct()))


def _entered(session: Session, office_id: int, posting: UUID, actor: Actor) -> Entered:
    rows = session.execute(_rows().where(Movement.request_id == posting)).all()
    closed = _closed(session, office_id, {row.effective_on for row in rows})
    return _as_entered(rows, _newest(_recent(session, office_id, actor)), closed)


def _as_entered(rows: Sequence[Any], newest: UUID | None, closed: Collection[date]) -> Entered:
    return Entered(
        actor_id=rows[0].actor_id,
        recorded_at=rows[0].recorded_at,
        kinds=[Kind(row.kind) for row in rows],
        origin=rows[0].origin,
        is_reversal=any(row.reverses_id is not None for row in rows),
        reversed=any(row.reversed_by_id is not None for row in rows),
        newest=rows[0].request_id == newest,
        closed=any(row.effective_on in closed for row in rows),
    )


def _own_entry(group: Sequence[Any], entered: Entered, actor: Actor, now: datetime, minutes: int) -> OwnEntry:
    first = group[0]
    try:
        check_undo(entered, actor.person_id, now, minutes)
        undo_until = until(first.recorded_at, minutes)
    except Refusal:
        undo_until = None
    ordered = sorted(group, key=lambda row: row.id)
    return OwnEntry(
        posting=first.request_id,
        item_code=first.item_code,
        day=first.effective_on,
        recorded_at=first.recorded_at,
        parts=tuple(
            Part(
                movement_id=row.id,
                kind=row.kind,
                reason=row.reason,
                quantity=row.quantity,
                undone=row.reversed_by_id is not None,
            )
            for row in ordered
        ),
        undone=all(row.reversed_by_id is not None for row in group),
        undo_until=undo_until,
    )
