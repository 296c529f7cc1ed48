"""Verification: recompute what the books say from the movements, and name the first row that is wrong.

It reports and never repairs: a discrepancy in a security document's books is for people to explain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Integer, and_, case, cast, func, literal, or_, select
from sqlalchemy.orm import Session, aliased

from inventory.db import db
from inventory.domain.access import Action, Actor, may_somewhere
from inventory.domain.errors import NotAllowed
from inventory.domain.ledger import EFFECTS, FIGURES, NEVER_NEGATIVE, OUTSIDE, PLACES, obeys_law
from inventory.domain.ranges import Range, Whereabouts, less
from inventory.domain.seals import GENESIS, seal
from inventory.models import (
    Balance,
    DailyTotal,
    Item,
    Movement,
    MovementRange,
    NumberRange,
    Office,
    Transfer,
    TransferLine,
)
from inventory.services import ranges, seals


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A row that is wrong: in which check, which row, and what is wrong with it."""

    check: str
    row: str
    what: str


class Stock(NamedTuple):
    office_id: int
    item_id: int


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What was checked. `faults` holds the first wrong row of each check that failed; none means all is well."""

    movements: int
    balances: int
    seals: int
    head: str | None
    faults: tuple[Fault, ...]


def verify(actor: Actor, known_head: str | None = None) -> Verified:
    """Check sequence, reversals, daily totals, balances, law, past closings, transfers, number ranges and the chain of
    seals.

    `known_head` is a seal's digest that was kept elsewhere: it must stand in the chain. Reads only.
    Raises NotAllowed.
    """
    if not may_somewhere(actor, Action.VIEW_JOBS):
        raise NotAllowed("not_allowed", action=Action.VIEW_JOBS.value)
    session = _snapshot()
    found = [next(check(session), None) for check in CHECKS]
    found.append(next(_chain(session, known_head), None))
    head = seals.head()
    verified = Verified(
        movements=session.scalar(select(func.count()).select_from(Movement)) or 0,
        balances=session.scalar(select(func.count()).select_from(Balance)) or 0,
        seals=len(seals.chain()),
        head=head.digest if head else None,
        faults=tuple(fault for fault in found if fault),
    )
    session.rollback()
    return verified


def _snapshot() -> Session:
    """A session that reads one moment of the database from its first query to its last."""
    session: Session = db.session()
    session.rollback()
    if session.get_bind().dialect.name == "postgresql":
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
    return session


# --- the checks: each yields its faults in a fixed order, and only the first is asked for --------------------------


def _sequence(session: Session) -> Iterator[Fault]:
    """Per office and item the numbers run from 1 without a gap, in the order of the ids, to the balance's last one."""
    before = func.lag(Movement.seq).over(partition_by=(Movement.office_id, Movement.item_id), order_by=Movement.id)
    numbered = select(
        Movement.id, Movement.office_id, Movement.item_id, Movement.seq, before.label("before")
    ).subquery()
    wrong = select(numbered).where(numbered.c.seq != func.coalesce(numbered.c.before, 0) + 1).order_by(numbered.c.id)
    for row in session.execute(wrong.limit(1)):
        what = f"number {row.seq} follows {row.before or 0}"
        yield Fault(check="sequence", row=_stock(session, row) + f", movement {row.id}", what=what)
    last = func.coalesce(func.max(Movement.seq), 0)
    ends = (
        select(Balance.office_id, Balance.item_id, Balance.last_seq, last.label("last"))
        .outerjoin(Movement, and_(Movement.office_id == Balance.office_id, Movement.item_id == Balance.item_id))
        .group_by(Balance.office_id, Balance.item_id, Balance.last_seq)
        .having(last != Balance.last_seq)
        .order_by(Balance.office_id, Balance.item_id)
    )
    for row in session.execute(ends.limit(1)):
        what = f"the balance has counted {row.last_seq} movements, the last one is {row.last}"
        yield Fault(check="sequence", row=_stock(session, row), what=what)


def _reversals(session: Session) -> Iterator[Fault]:
    """A reversal takes back exactly one movement that is not itself a reversal."""
    original = aliased(Movement)
    same = [
        getattr(original, name) == getattr(Movement, name)
        for name in ("office_id", "item_id", "kind", "reason", "effective_on")
    ]
    taken_back = and_(
        *same,
        original.quantity == -Movement.quantity,
        original.served_waiting == -Movement.served_waiting,
        original.reverses_id.is_(None),
    )
    wrong = (
        select(Movement.id, Movement.office_id, Movement.item_id, Movement.reverses_id)
        .outerjoin(original, original.id == Movement.reverses_id)
        .where(Movement.reverses_id.is_not(None), or_(original.id.is_(None), ~taken_back))
        .order_by(Movement.id)
    )
    for row in session.execute(wrong.limit(1)):
        what = f"it does not take back movement {row.reverses_id}"
        yield Fault(check="reversals", row=_stock(session, row) + f", movement {row.id}", what=what)


_TOTAL = ("office_id", "item_id", "day", "kind", "reason")


def _daily_totals(session: Session) -> Iterator[Fault]:
    """A daily total is the sum of its movements, and every movement is in one."""
    by = (Movement.office_id, Movement.item_id, Movement.effective_on, Movement.kind, Movement.reason)
    summed = (
        select(
            *(column.label(name) for name, column in zip(_TOTAL, by, strict=True)),
            _whole(func.sum(Movement.quantity)).label("quantity"),
            _whole(func.sum(Movement.served_waiting)).label("served_waiting"),
        )
        .group_by(*by)
        .subquery()
    )
    key = and_(*(getattr(DailyTotal, name) == summed.c[name] for name in _TOTAL))
    said = (DailyTotal.quantity, DailyTotal.served_waiting)
    columns = [*(getattr(DailyTotal, name) for name in _TOTAL), *said, summed.c.quantity.label("sum")]
    wrong = (
        select(*columns)
        .outerjoin(summed, key)
        .where(
            or_(
                DailyTotal.quantity != func.coalesce(summed.c.quantity, 0),
                DailyTotal.served_waiting != func.coalesce(summed.c.served_waiting, 0),
            )
        )
        .order_by(*(getattr(DailyTotal, name) for name in _TOTAL))
    )
    for row in session.execute(wrong.limit(1)):
        what = f"it says {row.quantity} ({row.served_waiting} waited), its movements say {row.sum or 0}"
        yield Fault(check="daily totals", row=_stock(session, row) + f", {row.day} {row.kind} {row.reason}", what=what)
    missing = select(summed).outerjoin(DailyTotal, key).where(DailyTotal.day.is_(None), summed.c.quantity != 0)
    for row in session.execute(missing.order_by(*(summed.c[name] for name in _TOTAL)).limit(1)):
        where = _stock(session, row) + f", {row.day} {row.kind} {row.reason}"
        yield Fault(check="daily totals", row=where, what=f"there is none, its movements say {row.quantity}")


def _balances(session: Session) -> Iterator[Fault]:
    """Each figure of a balance is the sum of the movements' effects on it, and the law holds."""
    sums = [_whole(func.sum(_effect(figure))).label(figure) for figure in FIGURES]
    summed = (
        select(Movement.office_id, Movement.item_id, *sums).group_by(Movement.office_id, Movement.item_id).subquery()
    )
    rows = session.execute(
        select(Balance, *(func.coalesce(summed.c[figure], 0).label(f"sum_{figure}") for figure in FIGURES))
        .outerjoin(summed, and_(summed.c.office_id == Balance.office_id, summed.c.item_id == Balance.item_id))
        .order_by(Balance.office_id, Balance.item_id)
    )
    for row in rows:
        balance = row[0]
        figures = {figure: getattr(balance, figure) for figure in FIGURES}
        for figure in FIGURES:
            by_movements = getattr(row, f"sum_{figure}")
            if figures[figure] != by_movements:
                what = f"{figure} is {figures[figure]}, its movements say {by_movements}"
                yield Fault(check="balances", row=_stock(session, balance), what=what)
        if not obeys_law(figures):
            yield Fault(check="balances", row=_stock(session, balance), what="the law does not hold")


def _unbalanced(session: Session) -> Iterator[Fault]:
    """No movement without a balance row."""
    wrong = (
        select(Movement.id, Movement.office_id, Movement.item_id)
        .outerjoin(Balance, and_(Balance.office_id == Movement.office_id, Balance.item_id == Movement.item_id))
        .where(Balance.office_id.is_(None))
        .order_by(Movement.id)
    )
    for row in session.execute(wrong.limit(1)):
        yield Fault(check="balances", row=_stock(session, row), what="movements without a balance")


def _closings(session: Session) -> Iterator[Fault]:
    """No day closed with a negative figure."""
    sums = [_whole(func.sum(_effect(figure))).label(figure) for figure in NEVER_NEGATIVE]
    by_day = (
        select(Movement.office_id, Movement.item_id, Movement.effective_on.label("day"), *sums)
        .group_by(Movement.office_id, Movement.item_id, Movement.effective_on)
        .subquery()
    )
    stock = (by_day.c.office_id, by_day.c.item_id)
    closing = [
        func.sum(by_day.c[figure]).over(partition_by=stock, order_by=by_day.c.day).label(figure)
        for figure in NEVER_NEGATIVE
    ]
    closings = select(*stock, by_day.c.day, *closing).subquery()
    below = or_(*(closings.c[figure] < 0 for figure in NEVER_NEGATIVE))
    wrong = select(closings).where(below).order_by(closings.c.office_id, closings.c.item_id, closings.c.day)
    for row in session.execute(wrong.limit(1)):
        figure = next(figure for figure in NEVER_NEGATIVE if getattr(row, figure) < 0)
        what = f"{figure} closed at {getattr(row, figure)}"
        yield Fault(check="closings", row=_stock(session, row) + f", {row.day}", what=what)


def _transfers(session: Session) -> Iterator[Fault]:
    """What a transfer says was sent, arrived, short and damaged is what its movements say, at both ends."""
    booked = {
        (row.transfer_id, row.item_id, row.office_id, row.kind, row.reason): int(row.quantity)
        for row in session.execute(
            select(
                Movement.transfer_id,
                Movement.item_id,
                Movement.office_id,
                Movement.kind,
                Movement.reason,
                func.sum(Movement.quantity).label("quantity"),
            )
            .where(Movement.transfer_id.is_not(None))
            .group_by(Movement.transfer_id, Movement.item_id, Movement.office_id, Movement.kind, Movement.reason)
        )
    }
    lines = session.execute(
        select(Transfer, TransferLine)
        .join(TransferLine, TransferLine.transfer_id == Transfer.id)
        .order_by(Transfer.id, TransferLine.item_id)
    )
    for transfer, line in lines:
        for office_id, kind, reason, quantity in _expected(transfer, line):
            found = booked.pop((transfer.id, line.item_id, office_id, kind, reason), 0)
            if found != quantity:
                what = f"{kind} {reason}: it says {quantity}, its movements say {found}"
                yield Fault(check="transfers", row=f"transfer {transfer.id}, item {line.item_id}", what=what)
    for (transfer_id, item_id, _, kind, reason), quantity in sorted(booked.items()):
        what = f"{kind} {reason} of {quantity} that the transfer does not say"
        yield Fault(check="transfers", row=f"transfer {transfer_id}, item {item_id}", what=what)


def _expected(transfer: Transfer, line: TransferLine) -> list[tuple[int, str, str, int]]:
    """Office, kind, reason and quantity of the movements that a transfer's line stands for."""
    expected = [(transfer.sender_id, "dispatch", transfer.purpose, line.sent)]
    if transfer.status == "cancelled":
        expected.append((transfer.sender_id, "arrival", "cancelled", line.sent))
    if transfer.status == "received":
        good, damaged, short = line.received or 0, line.damaged or 0, line.short or 0
        expected += [
            (transfer.sender_id, "arrival", "handed_over", good + damaged),
            (transfer.sender_id, "arrival", "short", short),
            (transfer.receiver_id, "arrival", "arrived", good),
            (transfer.receiver_id, "arrival", "arrived_damaged", damaged),
        ]
    return expected


_RANGE = (MovementRange.prefix, MovementRange.width, MovementRange.first, MovementRange.last)


def _number_sums(session: Session) -> Iterator[Fault]:
    """A movement's number ranges hold its quantity where numbers are kept, and there are none elsewhere."""
    summed = (
        select(
            MovementRange.request_id,
            MovementRange.request_line,
            _whole(func.sum(MovementRange.last - MovementRange.first + 1)).label("numbers"),
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
        yield Fault(check="number sums", row=_stock(session, row) + f", movement {row.id}", what=what)


def _number_reversals(session: Session) -> Iterator[Fault]:
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
        yield Fault(check="number sums", row=_stock(session, row) + f", movement {row.id}", what=what)


def _number_places(session: Session) -> Iterator[Fault]:
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
            yield Fault(check="number places", row=_stock(session, row) + f", {each}", what=what)
        if row.place == OUTSIDE and row.transfer_id is not None:
            what = f"transfer {row.transfer_id} handed it over to nobody"
            yield Fault(check="number places", row=_stock(session, row) + f", {each}", what=what)
    for item_id, *numbers, office_id, place, _ in sorted(replayed, key=str):
        row = Stock(office_id, item_id)
        what = f"its movements say that it is {place}, and it is not there"
        yield Fault(check="number places", row=_stock(session, row) + f", {Range(*numbers)}", what=what)


def _number_balances(session: Session) -> Iterator[Fault]:
    """The numbers in each place are as many as the balance says."""
    size = NumberRange.last - NumberRange.first + 1
    counted = (
        select(
            NumberRange.office_id,
            NumberRange.item_id,
            *(_whole(func.sum(case((NumberRange.place == place, size), else_=0))).label(place) for place in PLACES),
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
        yield Fault(check="number balances", row=_stock(session, row[0]), what=what)


def _chain(session: Session, known_head: str | None) -> Iterator[Fault]:
    """Every seal follows the one before and still fits its movements; a head kept elsewhere stands in the chain."""
    previous, next_id = GENESIS, 1
    seen = known_head is None
    for link in seals.chain():
        digest, count = seal(link.previous, seals.sealed_rows(session, link.first_id, link.last_id))
        name = f"seal {link.id} (movements {link.first_id} to {link.last_id})"
        if link.previous != previous or link.first_id != next_id:
            yield Fault(check="seals", row=name, what="it does not follow the seal before")
        elif count != link.movements or digest != link.digest:
            what = f"{count} movements of {link.movements} are there, or one of them was changed"
            yield Fault(check="seals", row=name, what=what)
        previous, next_id = link.digest, link.last_id + 1
        seen = seen or link.digest == known_head
    if not seen:
        yield Fault(check="seals", row=f"head {known_head}", what="it is not in the chain")


CHECKS: tuple[Callable[[Session], Iterator[Fault]], ...] = (
    _sequence,
    _reversals,
    _daily_totals,
    _unbalanced,
    _balances,
    _closings,
    _transfers,
    _number_sums,
    _number_reversals,
    _number_places,
    _number_balances,
)


def _effect(figure: str) -> ColumnElement[int]:
    """SQL: what a movement did to a figure, from the ledger's one table of effects."""
    branches = [
        (and_(Movement.kind == kind.value, Movement.reason == reason), literal(by) * Movement.quantity)
        for (kind, reason), effect in EFFECTS.items()
        if (by := getattr(effect, figure))
    ]
    return case(*branches, else_=0)


def _whole(total: ColumnElement[Any]) -> ColumnElement[int]:
    """SQL: a sum as a whole number; PostgreSQL sums into decimals."""
    return cast(total, Integer().with_variant(Movement.seq.type, "postgresql"))


def _stock(session: Session, row: Any) -> str:
    """An office and item by their codes."""
    office = session.scalar(select(Office.code).where(Office.id == row.office_id))
    item = session.scalar(select(Item.code).where(Item.id == row.item_id))
    return f"office {office}, item {item}"
