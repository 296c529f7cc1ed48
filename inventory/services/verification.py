"""Verification: recompute what the books say from the movements, and name the first row that is wrong.

It reports and never repairs: a discrepancy in a security document's books is for people to explain.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Integer, and_, case, cast, func, or_, select
from sqlalchemy.orm import Session, aliased

from inventory.db import db
from inventory.domain.access import SYSTEM, Action, Actor, may_somewhere
from inventory.domain.errors import NotAllowed
from inventory.domain.ledger import EFFECTS, FIGURES, NEVER_NEGATIVE, OUTSIDE, PLACES, obeys_law
from inventory.domain.proposals import ProposalStatus, needs_second_person
from inventory.domain.ranges import Range, Whereabouts, less
from inventory.domain.schedules import Schedule
from inventory.domain.seals import GENESIS, seal
from inventory.models import (
    Balance,
    DailyTotal,
    Delivery,
    DeliveryRequest,
    Destruction,
    DestructionLine,
    Item,
    Movement,
    MovementRange,
    NumberRange,
    Office,
    Proposal,
    Stocktake,
    StocktakeLine,
    Transfer,
    TransferLine,
)
from inventory.services import ranges, runs, seals
from inventory.services.ledger import effect_on
from inventory.services.runs import RunView

VERIFICATION = "verification"


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
    """Check sequence, reversals, daily totals, balances, law, past closings, every kind of document, what needs a
    second person, number ranges, and the chain of seals.

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


def verify_slot(slot: datetime, schedule: Schedule, clock: Callable[[], datetime], worker: str) -> RunView | None:
    """The scheduled verification of one slot; None when the slot is taken. See `runs.run_slot`.

    The books are read before the run is written down: nobody waits for a check of years of movements.
    """
    found = verify(SYSTEM)
    counts: dict[str, Any] = {
        "movements": found.movements,
        "balances": found.balances,
        "seals": found.seals,
        "faults": len(found.faults),
        "head": found.head,
        "found": [asdict(fault) for fault in found.faults],
    }
    return runs.run_slot(VERIFICATION, slot, schedule, clock, worker, lambda _session, _run: counts)


def last_runs(actor: Actor) -> tuple[RunView | None, RunView | None]:
    """The last scheduled verification, and the last one that found nothing wrong. Raises NotAllowed."""
    found = runs.latest_of(actor, VERIFICATION, limit=400)
    done = [run for run in found if run.status == "done"]
    return next(iter(done), None), next((run for run in done if not run.counts.get("faults")), None)


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
    sums = [_whole(func.sum(effect_on(Movement, figure))).label(figure) for figure in FIGURES]
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
    sums = [_whole(func.sum(effect_on(Movement, figure))).label(figure) for figure in NEVER_NEGATIVE]
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
    came = (line.received or 0) + (line.damaged or 0)
    over = max(0, came - line.sent) if transfer.status == "received" else 0
    sent = line.sent + (over if transfer.purpose == "distribution" else 0)
    expected = [(transfer.sender_id, "dispatch", transfer.purpose, sent)]
    if over:
        expected.append((transfer.sender_id, "count", "found", over))
        if transfer.purpose != "distribution":
            expected.append((transfer.sender_id, "dispatch", "distribution", over))
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


def _guarded() -> ColumnElement[bool]:
    """SQL: movements that must stand on a proposal. What needs one does so whatever it says that it reverses."""
    branches = []
    for kind, reason in EFFECTS:
        such = and_(Movement.kind == kind.value, Movement.reason == reason)
        if needs_second_person(kind, reason, reversal=False):
            branches.append(such)
        elif needs_second_person(kind, reason, reversal=True):
            branches.append(and_(such, Movement.reverses_id.is_not(None)))
    return or_(*branches)


def _second_person(session: Session) -> Iterator[Fault]:
    """What takes blanks off the books without a resident's card was approved by somebody else than its proposer."""
    approved = and_(
        Proposal.id == Movement.proposal_id,
        Proposal.status == ProposalStatus.APPROVED.value,
        Proposal.office_id == Movement.office_id,
        Proposal.decided_by_id != Proposal.proposed_by_id,
    )
    wrong = (
        select(Movement.id, Movement.office_id, Movement.item_id)
        .outerjoin(Proposal, approved)
        .where(_guarded(), Proposal.id.is_(None))
        .order_by(Movement.id)
    )
    for row in session.execute(wrong.limit(1)):
        where = _stock(session, row) + f", movement {row.id}"
        yield Fault(check="second person", row=where, what="nobody else has approved it")


def _destructions(session: Session) -> Iterator[Fault]:
    """A record's breakdown adds up to its total, and an approved one says what its movements say."""
    said: dict[int, dict[int, int]] = defaultdict(dict)
    lines = select(DestructionLine.proposal_id, DestructionLine.item_id, func.sum(DestructionLine.quantity))
    for proposal_id, item_id, quantity in session.execute(
        lines.group_by(DestructionLine.proposal_id, DestructionLine.item_id)
    ):
        said[proposal_id][item_id] = int(quantity)
    moved: dict[int, dict[int, int]] = defaultdict(dict)
    sums = select(Movement.proposal_id, Movement.item_id, func.sum(Movement.quantity)).where(
        Movement.proposal_id.is_not(None), Movement.reverses_id.is_(None)
    )
    for proposal_id, item_id, quantity in session.execute(sums.group_by(Movement.proposal_id, Movement.item_id)):
        assert proposal_id is not None
        moved[proposal_id][item_id] = int(quantity)
    records = select(Destruction.proposal_id, Destruction.total, Proposal.status).join(
        Proposal, Proposal.id == Destruction.proposal_id
    )
    for row in session.execute(records.order_by(Destruction.proposal_id)):
        parts = said[row.proposal_id]
        name = f"record {row.proposal_id}"
        if sum(parts.values()) != row.total:
            what = f"its breakdown adds up to {sum(parts.values())}, it says {row.total}"
            yield Fault(check="destructions", row=name, what=what)
        expected = parts if row.status == ProposalStatus.APPROVED.value else {}
        if moved[row.proposal_id] != expected:
            what = f"it says {sum(expected.values())}, its movements say {sum(moved[row.proposal_id].values())}"
            yield Fault(check="destructions", row=name, what=what)


def _deliveries(session: Session) -> Iterator[Fault]:
    """A delivery says what its movements say, and one that was reversed says nothing any more."""
    own = and_(Movement.office_id == Delivery.office_id, Movement.item_id == Delivery.item_id)

    def booked(condition: ColumnElement[bool]) -> ColumnElement[int]:
        return _whole(func.coalesce(func.sum(case((condition, Movement.quantity), else_=0)), 0))

    good = and_(own, Movement.kind == "receipt", Movement.reason == "supplied")
    defective = and_(own, Movement.kind == "receipt", Movement.reason == "defective")
    strange = func.coalesce(func.sum(case((or_(good, defective), 0), else_=1)), 0)
    stands = case((Delivery.voided_at.is_(None), 1), else_=0)
    said_good, said_defective = stands * (Delivery.received - Delivery.defective), stands * Delivery.defective
    wrong = (
        select(
            Delivery.id,
            Delivery.office_id,
            Delivery.item_id,
            Delivery.bast_number,
            said_good.label("said_good"),
            said_defective.label("said_defective"),
            booked(good).label("good"),
            booked(defective).label("defective"),
        )
        .outerjoin(Movement, Movement.delivery_id == Delivery.id)
        .group_by(*Delivery.__table__.columns)
        .having(or_(booked(good) != said_good, booked(defective) != said_defective, strange > _unbooked()))
        .order_by(Delivery.id)
    )
    for row in session.execute(wrong.limit(1)):
        what = (
            f"it says {row.said_good} good and {row.said_defective} defective,"
            f" its movements say {row.good} and {row.defective}"
        )
        name = _stock(session, row) + f", delivery {row.id} (BAST {row.bast_number})"
        yield Fault(check="deliveries", row=name, what=what)


def _unbooked() -> ColumnElement[int]:
    """SQL: 1 where the outer join found no movement at all, which is told by the sums and not as a strange one."""
    return case((func.count(Movement.id) == 0, 1), else_=0)


def _requests(session: Session) -> Iterator[Fault]:
    """A request has counted the hand-overs that name it, all of its own office; one that was cancelled has none."""
    named = and_(Delivery.delivery_request_id == DeliveryRequest.id, Delivery.voided_at.is_(None))
    elsewhere = func.coalesce(func.sum(case((Delivery.office_id != DeliveryRequest.office_id, 1), else_=0)), 0)
    count = func.count(Delivery.id)
    wrong = (
        select(DeliveryRequest.id, DeliveryRequest.hand_overs, count.label("count"), elsewhere.label("elsewhere"))
        .outerjoin(Delivery, named)
        .group_by(DeliveryRequest.id, DeliveryRequest.hand_overs, DeliveryRequest.status)
        .having(
            or_(
                count != DeliveryRequest.hand_overs,
                elsewhere > 0,
                and_(DeliveryRequest.status == "cancelled", count > 0),
            )
        )
        .order_by(DeliveryRequest.id)
    )
    for row in session.execute(wrong.limit(1)):
        what = f"it has counted {row.hand_overs} hand-overs, {row.count} name it, {row.elsewhere} of another office"
        yield Fault(check="requests", row=f"request {row.id}", what=what)


def _stocktakes(session: Session) -> Iterator[Fault]:
    """What a stocktake's line says was booked is what its movements say; no count is booked without a stocktake."""
    signed = case((Movement.reason == "found", Movement.quantity), else_=-Movement.quantity)
    booked: dict[tuple[int | None, int, int], int] = {
        (row.stocktake_id, row.office_id, row.item_id): int(row.difference)
        for row in session.execute(
            select(Movement.stocktake_id, Movement.office_id, Movement.item_id, func.sum(signed).label("difference"))
            # What a transfer's receiver found in the box is the transfer's own count.
            .where(
                or_(and_(Movement.kind == "count", Movement.transfer_id.is_(None)), Movement.stocktake_id.is_not(None))
            )
            .group_by(Movement.stocktake_id, Movement.office_id, Movement.item_id)
        )
    }
    lines = session.execute(
        select(StocktakeLine.stocktake_id, StocktakeLine.item_id, StocktakeLine.difference, Stocktake.office_id)
        .join(Stocktake, Stocktake.id == StocktakeLine.stocktake_id)
        .order_by(StocktakeLine.stocktake_id, StocktakeLine.item_id)
    )
    for line in lines:
        found = booked.pop((line.stocktake_id, line.office_id, line.item_id), 0)
        if found != (line.difference or 0):
            what = f"its difference is {line.difference or 0}, its movements say {found}"
            yield Fault(check="stocktakes", row=f"stocktake {line.stocktake_id}, item {line.item_id}", what=what)
    for (stocktake_id, office_id, item_id), quantity in sorted(booked.items(), key=str):
        what = f"{quantity} were booked that no stocktake says"
        yield Fault(check="stocktakes", row=f"stocktake {stocktake_id}, office {office_id}, item {item_id}", what=what)


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
    _second_person,
    _destructions,
    _deliveries,
    _requests,
    _stocktakes,
    _number_sums,
    _number_reversals,
    _number_places,
    _number_balances,
)


def _whole(total: ColumnElement[Any]) -> ColumnElement[int]:
    """SQL: a sum as a whole number; PostgreSQL sums into decimals."""
    return cast(total, Integer().with_variant(Movement.seq.type, "postgresql"))


def _stock(session: Session, row: Any) -> str:
    """An office and item by their codes."""
    office = session.scalar(select(Office.code).where(Office.id == row.office_id))
    item = session.scalar(select(Item.code).where(Item.id == row.item_id))
    return f"office {office}, item {item}"
