"""Number ranges: the only writer of where each number is and of which movement moved it; and what is asked of them.

Writing is called by the ledger alone, inside a posting that holds the balance row of every office and item it moves.
So numbers that lie at an office are never contended here. Numbers outside belong to nobody's balance: whoever takes
them up or puts them there holds the item's row, so that two deliveries cannot both bring a number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple, cast
from uuid import UUID

from sqlalchemy import ColumnElement, Table, and_, exists, func, insert, or_, select
from sqlalchemy.orm import Session, aliased

from inventory.domain.errors import Refusal
from inventory.domain.ledger import EFFECTS, OUTSIDE, Kind, Line, route_of
from inventory.domain.ranges import (
    BLOCK,
    Range,
    Ranges,
    blocks,
    check_agreement,
    check_ranges,
    common,
    joined,
    less,
    write_ranges,
)
from inventory.models import Item, Movement, MovementRange, NumberRange

_TABLE = cast(Table, NumberRange.__table__)
NUMBERS = _TABLE.c


class Numbered(NamedTuple):
    """A line of a posting, its number in the request, and the numbers that it moves."""

    number: int
    line: Line
    ranges: Ranges


class KnownItem(NamedTuple):
    code: str
    numbered: bool


class State(NamedTuple):
    """Where numbers are. Only what is between two offices has a transfer."""

    office_id: int
    place: str
    transfer_id: int | None


class Moved(NamedTuple):
    """The numbers that a movement moved, and between which states: for those who look at the whole history."""

    movement_id: int
    item_id: int
    quantity: int
    ranges: Ranges
    source: State
    target: State
    receives: bool
    """It may bring numbers that were never known before."""


# --- writing, for the ledger -------------------------------------------------------------------------------------


def of_lines(session: Session, lines: Sequence[Line]) -> list[Numbered]:
    """The lines whose numbers are kept, with their numbers: a reversal's are those of its original.

    Raises Invalid `ranges_missing`, `ranges_differ`, `ranges_not_kept`.
    """
    rows = session.execute(
        select(Item.id, Item.code, Item.numbered).where(Item.id.in_({line.item_id for line in lines}))
    )
    known = {row.id: row for row in rows}
    found = []
    for number, line in enumerate(lines, start=1):
        item = known[line.item_id]
        if not item.numbered and not line.ranges:
            continue
        ranges = check_ranges(line.ranges)
        if line.reverses_id is not None:
            ranges = of_movement(session, line.reverses_id)
        check_agreement(item.code, item.numbered, line.quantity, ranges)
        found.append(Numbered(number, line, ranges))
    return found


def known_items(session: Session) -> dict[int, KnownItem]:
    """Of each item by its id, whether its numbers are kept."""
    return {
        row.id: KnownItem(row.code, row.numbered) for row in session.execute(select(Item.id, Item.code, Item.numbered))
    }


def check_kept(item: KnownItem, line: Line) -> None:
    """What `of_lines` refuses, of one line that is no reversal."""
    if item.numbered or line.ranges:
        check_agreement(item.code, item.numbered, line.quantity, check_ranges(line.ranges))


def of_movement(session: Session, movement_id: int) -> Ranges:
    """The numbers that a movement moved."""
    rows = session.execute(
        select(MovementRange.prefix, MovementRange.width, MovementRange.first, MovementRange.last)
        .join(Movement, same_movement(MovementRange))
        .where(Movement.id == movement_id)
    )
    return joined(sorted(Range(*row) for row in rows))


def of_movements(session: Session, movement_ids: Sequence[int]) -> dict[int, Ranges]:
    """The numbers that each of these movements moved; those that moved none are left out."""
    rows = session.execute(
        select(Movement.id, MovementRange.prefix, MovementRange.width, MovementRange.first, MovementRange.last)
        .join(Movement, same_movement(MovementRange))
        .where(Movement.id.in_(movement_ids))
    )
    found: dict[int, list[Range]] = {}
    for row in rows:
        found.setdefault(row.id, []).append(Range(row.prefix, row.width, row.first, row.last))
    return {movement_id: joined(sorted(parts)) for movement_id, parts in found.items()}


def sent_with(session: Session, transfer_id: int) -> dict[int, Ranges]:
    """The numbers that a transfer took along, by item id."""
    return {item_id: found for (_, item_id), found in sent_with_each(session, [transfer_id]).items()}


def sent_with_each(session: Session, transfer_ids: Sequence[int]) -> dict[tuple[int, int], Ranges]:
    """The numbers that transfers took along, by transfer id and item id."""
    rows = session.execute(
        select(
            Movement.transfer_id,
            MovementRange.item_id,
            MovementRange.prefix,
            MovementRange.width,
            MovementRange.first,
            MovementRange.last,
        )
        .join(Movement, same_movement(MovementRange))
        .where(Movement.transfer_id.in_(transfer_ids), Movement.kind == Kind.DISPATCH.value)
    )
    found: dict[tuple[int, int], list[Range]] = {}
    for row in rows:
        found.setdefault((row.transfer_id, row.item_id), []).append(as_range(row))
    return {key: joined(sorted(ranges)) for key, ranges in found.items()}


def history(session: Session, first_id: int = 1, last_id: int | None = None) -> Iterator[Moved]:
    """All movements of numbers, in their order, from one movement's id to another's."""
    query = (
        select(
            Movement.id,
            Movement.office_id,
            Movement.item_id,
            Movement.kind,
            Movement.reason,
            Movement.quantity,
            Movement.transfer_id,
            MovementRange.prefix,
            MovementRange.width,
            MovementRange.first,
            MovementRange.last,
        )
        .join(Movement, same_movement(MovementRange))
        .where(Movement.id >= first_id)
        .order_by(Movement.id)
        .execution_options(yield_per=5_000)
    )
    if last_id is not None:
        query = query.where(Movement.id <= last_id)
    # Closed also when the reader stops half-way: PostgreSQL keeps a cursor open for what was not read.
    with session.execute(query) as result:
        for _, rows in groupby(result, key=lambda row: row.id):
            pieces = list(rows)
            row = pieces[0]
            source, target = _between(row.kind, row.reason, row.quantity, row.office_id, row.transfer_id)
            receives = row.kind == Kind.RECEIPT.value and row.quantity > 0
            ranges = joined(sorted(map(as_range, pieces)))
            yield Moved(row.id, row.item_id, row.quantity, ranges, source, target, receives)


def move(session: Session, request_id: UUID, lines: Sequence[Numbered], transfer_id: int | None) -> None:
    """Move the numbers of a posting, line by line in their order, and write down which line moved them.

    The balances are moved before, the movements inserted after. Raises Refusal `range_not_here`, `range_known`,
    `range_moved_on`.
    """
    _hold_outside(session, lines)
    for _, line, ranges in lines:
        source, target = _between(line.kind, line.reason, line.quantity, line.office_id, transfer_id)
        if line.reverses_id is not None:
            _refuse_moved_on(session, line.reverses_id)
        for each in ranges:
            _take(session, line, each, source)
            _put(session, line.item_id, each, target)
    rows = [
        {"request_id": request_id, "request_line": number, "item_id": line.item_id, **piece._asdict()}
        for number, line, ranges in lines
        for each in ranges
        for piece in blocks(each)
    ]
    if rows:
        session.execute(insert(MovementRange), rows)


def _between(kind: str, reason: str, quantity: int, office_id: int, transfer_id: int | None) -> tuple[State, State]:
    """From where to where a movement takes its numbers.

    An arrival hands numbers over in two lines, out of the sender's books and into the receiver's. Between the two they
    are outside with their transfer, and no other movement finds them there.
    """
    between = ("transit", OUTSIDE) if kind == Kind.ARRIVAL.value else ("transit",)
    source, target = (
        State(office_id, place, transfer_id if place in between else None) for place in route_of(kind, reason)
    )
    return (target, source) if quantity < 0 else (source, target)


def _hold_outside(session: Session, lines: Sequence[Numbered]) -> None:
    items = {
        line.item_id
        for _, line, _ in lines
        if line.kind is not Kind.ARRIVAL and OUTSIDE in route_of(line.kind, line.reason)
    }
    if items:
        # References to the row may go on. SQLite has one writer anyway.
        held = select(Item.id).where(Item.id.in_(items)).order_by(Item.id).with_for_update(key_share=True)
        session.execute(held).all()


def _take(session: Session, line: Line, each: Range, source: State) -> None:
    if source.place == OUTSIDE:
        _take_up(session, line, each, source.transfer_id)
    elif not _cut_out(session, line.item_id, each, source):
        strangers = less([each], _lying(session, line.item_id, each, source))
        if line.reverses_id is not None:
            raise Refusal("range_moved_on", ranges=_some(strangers))
        raise Refusal("range_not_here", ranges=_some(strangers), figure=source.place)


def _take_up(session: Session, line: Line, each: Range, transfer_id: int | None) -> None:
    """Take numbers from outside. A receipt may bring some that were never known; any other movement may not."""
    known = overlapping(session, line.item_id, each)
    free = [row for row in known if row.place == OUTSIDE and row.transfer_id == transfer_id]
    here = common([each], [as_range(row) for row in free])
    taken = less(common([each], [as_range(row) for row in known]), here)
    if taken:
        raise Refusal("range_known", ranges=_some(taken))
    strange = () if line.kind is Kind.RECEIPT else less([each], here)
    if strange:
        raise Refusal("range_moved_on", ranges=_some(strange))
    for row in free:
        part = each.part(max(each.first, row.first), min(each.last, row.last))
        if not _cut_out(session, line.item_id, part, State(row.office_id, OUTSIDE, transfer_id)):
            raise Refusal("range_moved_on", ranges=str(part))


def _cut_out(session: Session, item_id: int, each: Range, state: State) -> bool:
    """Take the range out of the one row that holds all of it in this state; what is left of the row stays.

    Neighbours in the same state are one row, so numbers that are all here are in one.
    """
    before = _TABLE.alias("before")
    begin = select(func.max(before.c.first)).where(*_series(before.c, item_id, each), before.c.first <= each.first)
    row = session.execute(
        _TABLE.delete()
        .where(
            *_series(NUMBERS, item_id, each),
            NUMBERS.first == begin.scalar_subquery(),
            NUMBERS.last >= each.last,
            *_in_state(state),
        )
        .returning(NUMBERS.first, NUMBERS.last)
    ).one_or_none()
    if row is None:
        return False
    for piece in less([each.part(row.first, row.last)], [each]):
        _insert(session, item_id, piece, state)
    return True


def _put(session: Session, item_id: int, each: Range, state: State) -> None:
    """Lay numbers down, joined with neighbours in the same state."""
    here = [*_series(NUMBERS, item_id, each), *_in_state(state)]
    left = session.execute(
        _TABLE.delete().where(*here, NUMBERS.last == each.first - 1).returning(NUMBERS.first)
    ).scalar_one_or_none()
    right = session.execute(
        _TABLE.delete().where(*here, NUMBERS.first == each.last + 1).returning(NUMBERS.last)
    ).scalar_one_or_none()
    first = each.first if left is None else left
    last = each.last if right is None else right
    _insert(session, item_id, each.part(first, last), state)


def _insert(session: Session, item_id: int, each: Range, state: State) -> None:
    session.execute(insert(NumberRange).values(item_id=item_id, **each._asdict(), **state._asdict()))


def _refuse_moved_on(session: Session, movement_id: int) -> None:
    """A movement whose numbers have crossed an office's border since is not undone, also when they came back."""
    original, moved, later, since, undo = (
        aliased(Movement),
        aliased(MovementRange),
        aliased(MovementRange),
        aliased(Movement),
        aliased(Movement),
    )
    crossing = select(later.prefix, later.width, later.first, later.last).select_from(original)
    crossing = (
        crossing.join(moved, same_movement(moved, original))
        .join(later, share_numbers(later, moved))
        .join(since, same_movement(later, since))
        .where(
            original.id == movement_id,
            since.id > original.id,
            since.reverses_id.is_(None),
            or_(*(and_(since.kind == kind, since.reason == reason) for kind, reason in _CROSSINGS)),
            ~exists().where(undo.reverses_id == since.id),
        )
        .limit(1)
    )
    row = session.execute(crossing).one_or_none()
    if row is not None:
        raise Refusal("range_moved_on", ranges=str(Range(*row)))


_CROSSINGS = tuple((kind.value, reason) for (kind, reason), effect in EFFECTS.items() if effect.received or effect.sent)


def _lying(session: Session, item_id: int, each: Range, state: State) -> list[Range]:
    return [
        as_range(row)
        for row in overlapping(session, item_id, each)
        if (row.office_id, row.place, row.transfer_id) == state
    ]


def overlapping(session: Session, item_id: int, each: Range) -> Sequence[Any]:
    """The present rows that hold numbers of the range, in order; found by where they begin, without passing others."""
    before = _TABLE.alias("before")
    begin = select(func.max(before.c.first)).where(*_series(before.c, item_id, each), before.c.first <= each.first)
    return session.execute(
        select(*NUMBERS)
        .where(
            *_series(NUMBERS, item_id, each),
            NUMBERS.first.between(func.coalesce(begin.scalar_subquery(), 0), each.last),
            NUMBERS.last >= each.first,
        )
        .order_by(NUMBERS.first)
    ).all()


def _series(columns: Any, item_id: int, each: Range) -> list[ColumnElement[bool]]:
    return [columns.item_id == item_id, columns.prefix == each.prefix, columns.width == each.width]


def _in_state(state: State) -> list[ColumnElement[bool]]:
    return [
        NUMBERS.office_id == state.office_id,
        NUMBERS.place == state.place,
        NUMBERS.transfer_id.is_not_distinct_from(state.transfer_id),
    ]


def same_movement(ranges: Any, movement: Any = Movement) -> ColumnElement[bool]:
    return and_(ranges.request_id == movement.request_id, ranges.request_line == movement.request_line)


def share_numbers(one: Any, other: Any) -> ColumnElement[bool]:
    """Two rows of the history that share a number: they lie in the same block."""
    return and_(
        one.item_id == other.item_id,
        one.prefix == other.prefix,
        one.width == other.width,
        one.first.between(other.first - other.first % BLOCK, other.last),
        one.last >= other.first,
    )


def as_range(row: Any) -> Range:
    return Range(row.prefix, row.width, row.first, row.last)


def _some(ranges: Ranges) -> str:
    return write_ranges(ranges[:3]) + (" …" if len(ranges) > 3 else "")
