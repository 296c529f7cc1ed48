"""What the parts of the ledger have in common: how a movement is written and read, and what it did."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, String, and_, case, insert, literal_column, select
from sqlalchemy.orm import Session, aliased

from inventory.db import db
from inventory.domain.access import Action, Actor, require
from inventory.domain.errors import NotFound
from inventory.domain.ledger import EFFECTS, NOTHING, Effect, Kind, Line, Original, effect_of, total_effect
from inventory.models import DailyTotal, Movement, Office
from inventory.services.lookup import the_row

Key = tuple[int, int]
"""Office id and item id."""


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A movement as the ledger holds it. `recorded_at` is aware UTC, `effective_on` the office's own day."""

    id: int
    office_id: int
    item_id: int
    seq: int
    kind: Kind
    reason: str
    quantity: int
    served_waiting: int
    effective_on: date
    recorded_at: datetime
    delivery_id: int | None
    transfer_id: int | None
    proposal_id: int | None
    stocktake_id: int | None
    reverses_id: int | None


# --- writing ---------------------------------------------------------------------------------------------------------

INSERT = insert(Movement)
"""The one place where movements are inserted."""
COLUMNS = (
    Movement.id,
    Movement.office_id,
    Movement.item_id,
    Movement.seq,
    Movement.kind,
    Movement.reason,
    Movement.quantity,
    Movement.served_waiting,
    Movement.effective_on,
    Movement.recorded_at,
    Movement.delivery_id,
    Movement.transfer_id,
    Movement.proposal_id,
    Movement.stocktake_id,
    Movement.reverses_id,
)
"""What is read back of a movement."""


def row_of(line: Line) -> dict[str, Any]:
    return {
        "office_id": line.office_id,
        "item_id": line.item_id,
        "kind": line.kind.value,
        "reason": line.reason,
        "quantity": line.quantity,
        "served_waiting": line.served_waiting,
        "effective_on": line.effective_on,
        "reverses_id": line.reverses_id,
        "shift": line.shift,
        "happened_at": line.happened_at,
        "note": line.note,
    }


def changes_stock(lines: Iterable[Line]) -> bool:
    """Whether the store is another, or something has arrived, be it spoiled, and is no longer on its way."""
    effect = total_effect(lines)
    return effect.store != 0 or effect.received != 0


def as_written(
    line: Line, movement_id: int, seq: int, recorded_at: datetime, references: Mapping[str, int]
) -> Recorded:
    """A line that is no reversal as the ledger holds it now, without reading it back: `references` are the ids of its
    documents by the names of their columns."""
    return Recorded(
        id=movement_id,
        office_id=line.office_id,
        item_id=line.item_id,
        seq=seq,
        kind=line.kind,
        reason=line.reason,
        quantity=line.quantity,
        served_waiting=line.served_waiting,
        effective_on=line.effective_on,
        recorded_at=recorded_at.astimezone(UTC),
        delivery_id=references.get("delivery_id"),
        transfer_id=references.get("transfer_id"),
        proposal_id=references.get("proposal_id"),
        stocktake_id=references.get("stocktake_id"),
        reverses_id=None,
    )


# --- reading ---------------------------------------------------------------------------------------------------------


def recorded(row: Any) -> Recorded:
    told = {column.key: getattr(row, column.key) for column in COLUMNS}
    return Recorded(**{**told, "kind": Kind(row.kind)})


def find(actor: Actor, movement_id: int, action: Action = Action.REVERSE_MOVEMENT) -> Recorded:
    """One movement, if the actor may do `action` where it was posted. Raises NotFound, NotAllowed."""
    _, office_path = original_of(movement_id, None)
    require(actor, action, office_path)
    return recorded(db.session.execute(select(*COLUMNS).where(Movement.id == movement_id)).one())


def find_request(request_id: UUID) -> tuple[str, tuple[Recorded, ...]] | None:
    rows = db.session.execute(
        select(*COLUMNS, Movement.request_digest)
        .where(Movement.request_id == request_id)
        .order_by(Movement.request_line)
    ).all()
    if not rows:
        return None
    return rows[0].request_digest, tuple(recorded(row) for row in rows)


_undo = aliased(Movement)
_ORIGINAL = (
    Movement.id,
    Movement.office_id,
    Movement.item_id,
    Movement.kind,
    Movement.reason,
    Movement.quantity,
    Movement.served_waiting,
    Movement.effective_on,
    Movement.happened_at,
    Movement.reverses_id,
    Movement.shift,
    Movement.proposal_id,
    _undo.id.label("reversed_by_id"),
)


def original_of(movement_id: int, request_id: UUID | None) -> tuple[Original, str]:
    row = the_row(_originals(request_id).where(Movement.id == movement_id), NotFound("movement_not_found"))
    return _as_original(row), row.path


def parts_of(posting: UUID, request_id: UUID) -> list[Original]:
    """The movements of a posting, each with what has reversed it; a reversal by `request_id` itself does not count."""
    rows = db.session.execute(
        _originals(request_id).where(Movement.request_id == posting).order_by(Movement.request_line)
    )
    return [_as_original(row) for row in rows]


def receipts_of(delivery_id: int, request_id: UUID) -> list[Original]:
    receipts = _originals(request_id).where(Movement.delivery_id == delivery_id, Movement.reverses_id.is_(None))
    return [_as_original(row) for row in db.session.execute(receipts.order_by(Movement.id))]


def _originals(request_id: UUID | None) -> Any:
    """Movements with what has reversed them; a reversal by `request_id` itself does not count, so that a repeated
    request builds the same lines as it did the first time."""
    undone = _undo.reverses_id == Movement.id
    if request_id is not None:
        undone = and_(undone, _undo.request_id != request_id)
    return (
        select(*_ORIGINAL, Office.path.label("path"))
        .join(Office, Office.id == Movement.office_id)
        .outerjoin(_undo, undone)
    )


def _as_original(row: Any) -> Original:
    fields = set(Original.__dataclass_fields__) - {"kind"}
    return Original(**{field: getattr(row, field) for field in fields}, kind=Kind(row.kind))


# --- what was done ---------------------------------------------------------------------------------------------------


def day_effects(session: Session, key: Key, since: date) -> dict[date, Effect]:
    """The net effect of each day from `since` on, from the daily totals."""
    rows = session.execute(
        select(DailyTotal.day, DailyTotal.kind, DailyTotal.reason, DailyTotal.quantity).where(
            DailyTotal.office_id == key[0], DailyTotal.item_id == key[1], DailyTotal.day >= since
        )
    )
    effects: dict[date, Effect] = defaultdict(lambda: NOTHING)
    for day, kind, reason, quantity in rows:
        effects[day] = effects[day].plus(effect_of(kind, reason).times(quantity))
    return dict(effects)


def effect_on(table: Any, figure: str) -> ColumnElement[int]:
    """SQL: what a movement or a daily total did to one of the FIGURES, from the one table of effects. `table` is one of
    the two, or has their columns `kind`, `reason` and `quantity`.

    Kinds that do the same for every reason are asked for first: nine rows in ten are of such a kind, and there may be
    hundreds of thousands. All is written out, so that the statement has no parameters by this.
    """
    alike: dict[int, list[str]] = defaultdict(list)
    branches = []
    for kind in Kind:
        by_reason = {reason: getattr(effect, figure) for (each, reason), effect in EFFECTS.items() if each is kind}
        if len(set(by_reason.values())) == 1:
            alike[next(iter(by_reason.values()))].append(kind.value)
        else:
            of_kind = table.kind == _word(kind.value)
            branches += [(and_(of_kind, table.reason == _word(reason)), by) for reason, by in by_reason.items()]
    same = [(table.kind.in_(map(_word, kinds)), by) for by, kinds in alike.items()]
    effects = ((which, _number(by) * table.quantity) for which, by in [*same, *branches] if by)
    return case(*effects, else_=_number(0))


def _word(name: str) -> ColumnElement[str]:
    """One of the ledger's own names."""
    return literal_column(f"'{name}'", String)


def _number(value: int) -> ColumnElement[int]:
    return literal_column(str(value), Integer)
