"""Making and reading seals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from inventory.db import db, let_writers_through
from inventory.domain import audit
from inventory.domain.access import Action, Actor, may_somewhere
from inventory.domain.errors import NotAllowed
from inventory.domain.ranges import write_ranges
from inventory.domain.schedules import Schedule
from inventory.domain.seals import GENESIS, SEALED, SEALED_WHERE_SET, seal
from inventory.models import AuditEntry, Movement, Seal
from inventory.services import ranges, runs
from inventory.services.runs import RunView

SEALING = "daily seal"
SEALING_BY_HAND = "seal by hand"

AT_ONCE = 5_000
"""Rows that the database sends at a time."""


@dataclass(frozen=True, kw_only=True)
class SealView:
    """A seal; `sealed_at` is aware UTC."""

    id: int
    sealed_at: datetime
    first_id: int | None
    last_id: int | None
    movements: int
    first_audit_id: int | None
    last_audit_id: int | None
    audit_entries: int
    previous: str
    digest: str


def seal_slot(slot: datetime, schedule: Schedule, clock: Callable[[], datetime], worker: str) -> RunView | None:
    """The scheduled seal of one slot; None when the slot is taken. See `runs.run_slot`."""
    return runs.run_slot(SEALING, slot, schedule, clock, worker, lambda session, _run: _seal(session, clock()))


def seal_now(actor: Actor, clock: Callable[[], datetime], worker: str) -> RunView:
    """Seal by hand all that was recorded since the last seal. Raises NotAllowed."""
    if not may_somewhere(actor, Action.VIEW_JOBS):
        raise NotAllowed("not_allowed", action=Action.VIEW_JOBS.value)
    run = runs.run_slot(SEALING_BY_HAND, clock(), None, clock, worker, lambda session, _run: _seal(session, clock()))
    assert run is not None, "a run by hand has its instant to itself"
    return run


def head() -> SealView | None:
    """The newest seal. Its digest, kept elsewhere, is what a later check can be held against."""
    row = db.session.scalar(select(Seal).order_by(Seal.id.desc()).limit(1))
    return view(row) if row else None


def sealed_up_to() -> tuple[int, int]:
    """The last movement and the last audit entry that any seal holds; 0 where there is none."""
    row = db.session.execute(select(func.max(Seal.last_id), func.max(Seal.last_audit_id))).one()
    return row[0] or 0, row[1] or 0


def chain() -> list[SealView]:
    """All seals in their order: about one a day."""
    return [view(row) for row in db.session.scalars(select(Seal).order_by(Seal.id))]


def sealed_rows(session: Session, first_id: int, last_id: int | None) -> Iterator[Any]:
    """The movements from one id to another (or the newest), in order, as mappings of what is sealed."""
    sealed = (*SEALED, *SEALED_WHERE_SET)
    query = select(*(getattr(Movement, name) for name in sealed)).where(Movement.id >= first_id)
    if last_id is not None:
        query = query.where(Movement.id <= last_id)
    moved = ranges.history(session, first_id, last_id)
    ahead = next(moved, None)
    for row in session.execute(query.order_by(Movement.id).execution_options(yield_per=AT_ONCE)).mappings():
        if ahead is None or ahead.movement_id != row["id"]:
            yield row
            continue
        yield {**row, "ranges": write_ranges(ahead.ranges)}
        ahead = next(moved, None)


def sealed_entries(session: Session, first_id: int, last_id: int | None) -> Iterator[Any]:
    """The audit entries from one id to another (or the newest), in order, as mappings of what is sealed.

    So many at a time by their ids: whoever stops at the first that is wrong leaves no cursor open.
    """
    query = select(*(getattr(AuditEntry, name) for name in (*audit.SEALED, "digest"))).order_by(AuditEntry.id)
    if last_id is not None:
        query = query.where(AuditEntry.id <= last_id)
    rows: Sequence[Any] = ()
    while not rows or len(rows) == AT_ONCE:
        rows = session.execute(query.where(AuditEntry.id >= first_id).limit(AT_ONCE)).mappings().all()
        if not rows:
            return
        yield from rows
        first_id = rows[-1]["id"] + 1


def digest_of(session: Session, link: SealView) -> tuple[str, int, int]:
    """The digest that a seal ought to have, and how many movements and entries there are between its ids."""
    moved = sealed_rows(session, link.first_id, link.last_id) if link.first_id else ()
    entered = sealed_entries(session, link.first_audit_id, link.last_audit_id) if link.first_audit_id else ()
    return seal(link.previous, moved, entered)


def view(row: Seal) -> SealView:
    return SealView(**{name: getattr(row, name) for name in SealView.__dataclass_fields__})


def _seal(session: Session, now: datetime) -> dict[str, Any]:
    """Seal what came since the last seal, after everything that is being written has come through.

    Ids are given out before a posting commits: without waiting, one that commits later could slip in below `last_id`.
    """
    let_writers_through(session)
    previous = session.scalar(select(Seal.digest).order_by(Seal.id.desc()).limit(1)) or GENESIS
    first_id, last_id = _new(session, Movement.id, Seal.last_id)
    first_audit_id, last_audit_id = _new(session, AuditEntry.id, Seal.last_audit_id)
    if not first_id and not first_audit_id:
        return {"movements": 0, "audit_entries": 0}
    moved = sealed_rows(session, first_id, last_id) if first_id else ()
    entered = sealed_entries(session, first_audit_id, last_audit_id) if first_audit_id else ()
    digest, movements, entries = seal(previous, moved, entered)
    ids = {"first_id": first_id, "last_id": last_id, "first_audit_id": first_audit_id, "last_audit_id": last_audit_id}
    counts = {"movements": movements, "audit_entries": entries}
    session.execute(insert(Seal).values(ids | counts | {"sealed_at": now, "previous": previous, "digest": digest}))
    return {**counts, "digest": digest}


def _new(session: Session, key: Any, sealed: Any) -> tuple[int | None, int | None]:
    """From where to where the ids reach that no seal holds; None and None where there is nothing new."""
    last = session.scalar(select(func.max(sealed))) or 0
    newest = session.scalar(select(func.max(key))) or 0
    return (last + 1, newest) if newest > last else (None, None)
