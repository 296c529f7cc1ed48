"""Number ranges: as many as each movement says, and where the movements put them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import and_, case, func, or_, select
from sqlalchemy.orm import Session, aliased

from inventory.domain.ledger import OUTSIDE, PLACES
from inventory.domain.ranges import Range, Whereabouts, less
from inventory.models import Balance, Item, Movement, MovementRange, NumberRange
from inventory.services import ranges
from inventory.services.verification.faults import Fault, Stock, stock_name, whole

_RANGE = (MovementRange.prefix, MovementRange.width, MovementRange.first, MovementRange.last)


def sums(session: Session) -> Iterator[Fault]:
    """A movement's number ranges hold its quantity where numbers are kept, and there are none elsewhere."""
    summed = (
        select(
            MovementRange.request_id,
            MovementRange.request_line,
            whole(func.sum(MovementRange.last - MovementRange.first + 1)).label("numbers"),
            func.min(MovementRange.item_id).label("item_id"),
        )
        .group_by(MovementRange.request_id, MovementRange.request_line)
        .subquery()
    )
    kept = func.coalesce(summed.c.numbers, 0)
    wrong = (
        select(Movement.id, Movement.office_id, Movement.item_id, Movement.quantity, kept.label("numbers"))
        .join(Item, Item.id == Movement.item_id)
        .outerjoin(
            summed,
            and_(summed.c.request_id == Movement.request_id, summed.c.request_line == Movement.request_line),
        )
        .where(
            or_(
                kept != case((Item.numbered, func.abs(Movement.quantity)), else_=0),
                func.coalesce(summed.c.item_id, Movement.item_id) != Movement.item_id,
            )
        )
        .order_by(Movement.id)
    )
    for row in session.execute(wrong.limit(1)):
        what = f"its quantity is {row.quantity}, its number ranges hold {row.numbers} numbers"
        yield Fault(check="number sums", row=stock_name(session, row) + f", movement {row.id}", what=what)


def reversals(session: Session) -> Iterator[Fault]:
    """A reversal takes back the very numbers of its original."""
    undo, original, moved = aliased(Movement), aliased(Movement), aliased(MovementRange)
    same = [getattr(moved, name) == getattr(MovementRange, name) for name in ("prefix", "width", "first", "last")]
    of_original = and_(moved.request_id == original.request_id, moved.request_line == original.request_line)
    wrong = (
        select(undo.id, undo.office_id, undo.item_id, undo.reverses_id, *_RANGE)
        .select_from(undo)
        .join(original, original.id == undo.reverses_id)
        .join(
            MovementRange,
            and_(MovementRange.request_id == undo.request_id, MovementRange.request_line == undo.request_line),
        )
        .where(~select(moved.first).where(of_original, *same).exists())
        .order_by(undo.id)
    )
    for row in session.execute(wrong.limit(1)):
        each = Range(row.prefix, row.width, row.first, row.last)
        what = f"{each} was not moved by movement {row.reverses_id}, which it takes back"
        yield Fault(check="number sums", row=stock_name(session, row) + f", movement {row.id}", what=what)


def places(session: Session) -> Iterator[Fault]:
    """Each number was where its movement took it from, and all lie where the last one put them."""
    items: dict[int, Whereabouts] = {}
    for moved in ranges.history(session):
        whereabouts = items.setdefault(moved.item_id, Whereabouts())
        for each in moved.ranges:
            for piece, state in _astray(moved, each, whereabouts.move(each, moved.target)):
                what = f"it takes {piece} from {moved.source.place}, where it was not ({state or 'never known'})"
                yield Fault(check="number places", row=f"movement {moved.movement_id}", what=what)
    replayed: dict[tuple[Any, ...], bool] = {}
    for item_id, found in items.items():
        for each, state in found.all():
            replayed[item_id, *each, *state] = True
    yield from _not_as_replayed(session, replayed)


def _astray(
    moved: ranges.Moved, each: Range, before: Sequence[tuple[Range, Any]]
) -> Iterator[tuple[Range, str | None]]:
    """The numbers that were not where a movement took them from, with where they were."""
    for piece, state in before:
        elsewhere = state.place == OUTSIDE and (state.place, state.transfer_id) == moved.source[1:]
        if state != moved.source and not elsewhere:
            yield piece, state.place
    if not moved.receives:
        for piece in less([each], [piece for piece, _ in before]):
            yield piece, None


def _not_as_replayed(session: Session, replayed: dict[tuple[Any, ...], bool]) -> Iterator[Fault]:
    rows = session.execute(
        select(NumberRange).order_by(
            NumberRange.item_id, NumberRange.prefix, NumberRange.width, NumberRange.first, NumberRange.last
        )
    ).scalars()
    for row in rows:
        each = Range(row.prefix, row.width, row.first, row.last)
        if not replayed.pop((row.item_id, *each, row.office_id, row.place, row.transfer_id), False):
            what = f"it is said to be {row.place}, its movements say otherwise"
            yield Fault(check="number places", row=stock_name(session, row) + f", {each}", what=what)
        if row.place == OUTSIDE and row.transfer_id is not None:
            what = f"transfer {row.transfer_id} handed it over to nobody"
            yield Fault(check="number places", row=stock_name(session, row) + f", {each}", what=what)
    for item_id, *numbers, office_id, place, _ in sorted(replayed, key=str):
        row = Stock(office_id, item_id)
        what = f"its movements say that it is {place}, and it is not there"
        yield Fault(check="number places", row=stock_name(session, row) + f", {Range(*numbers)}", what=what)


def balances(session: Session) -> Iterator[Fault]:
    """The numbers in each place are as many as the balance says."""
    size = NumberRange.last - NumberRange.first + 1
    counted = (
        select(
            NumberRange.office_id,
            NumberRange.item_id,
            *(whole(func.sum(case((NumberRange.place == place, size), else_=0))).label(place) for place in PLACES),
        )
        .group_by(NumberRange.office_id, NumberRange.item_id)
        .subquery()
    )
    wrong = (
        select(Balance, *(func.coalesce(counted.c[place], 0).label(f"numbers_{place}") for place in PLACES))
        .join(Item, Item.id == Balance.item_id)
        .outerjoin(counted, and_(counted.c.office_id == Balance.office_id, counted.c.item_id == Balance.item_id))
        .where(
            Item.numbered,
            or_(*(getattr(Balance, place) != func.coalesce(counted.c[place], 0) for place in PLACES)),
        )
        .order_by(Balance.office_id, Balance.item_id)
    )
    for row in session.execute(wrong.limit(1)):
        place = next(place for place in PLACES if getattr(row[0], place) != getattr(row, f"numbers_{place}"))
        numbers = getattr(row, f"numbers_{place}")
        what = f"{place} is {getattr(row[0], place)}, and {numbers} numbers are there"
        yield Fault(check="number balances", row=stock_name(session, row[0]), what=what)
