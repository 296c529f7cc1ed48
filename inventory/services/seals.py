"""Making and reading seals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select, text
from sqlalchemy.orm import Session

from inventory.db import db
from inventory.domain.access import Action, Actor, may_somewhere
from inventory.domain.errors import NotAllowed
from inventory.domain.ranges import write_ranges
from inventory.domain.schedules import Schedule
from inventory.domain.seals import GENESIS, SEALED, SEALED_WHERE_SET, seal
from inventory.models import Movement, Seal
from inventory.services import ranges, runs
from inventory.services.runs import RunView

SEALING = "daily seal"
SEALING_BY_HAND = "seal by hand"


@dataclass(frozen=True, kw_only=True)
class SealView:
    """A seal; `sealed_at` is aware UTC."""

    id: int
    sealed_at: datetime
    first_id: int
    last_id: int
    movements: int
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
    for row in session.execute(query.order_by(Movement.id).execution_options(yield_per=5_000)).mappings():
        if ahead is None or ahead.movement_id != row["id"]:
            yield row
            continue
        yield {**row, "ranges": write_ranges(ahead.ranges)}
        ahead = next(moved, None)


def view(row: Seal) -> SealView:
    return SealView(**{name: getattr(row, name) for name in SealView.__dataclass_fields__})


def _seal(session: Session, now: datetime) -> dict[str, Any]:
    """Seal what came since the last seal, after every posting that is under way has come through.

    Ids are given out before a posting commits: without waiting, one that commits later could slip in below `last_id`.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("LOCK TABLE movements IN SHARE MODE"))
    last = session.execute(select(Seal.last_id, Seal.digest).order_by(Seal.id.desc()).limit(1)).one_or_none()
    first_id, previous = (last.last_id + 1, last.digest) if last else (1, GENESIS)
    newest = session.scalar(select(func.max(Movement.id)))
    if newest is None or newest < first_id:
        return {"movements": 0}
    digest, count = seal(previous, sealed_rows(session, first_id, newest))
    values = {"sealed_at": now, "first_id": first_id, "last_id": newest, "movements": count}
    session.execute(insert(Seal).values(values | {"previous": previous, "digest": digest}))
    return {"movements": count, "digest": digest}
