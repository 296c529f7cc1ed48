"""The movements and what is summed from them: sequence, reversals, daily totals, balances, law, past closings."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session, aliased

from inventory.domain.ledger import FIGURES, NEVER_NEGATIVE, obeys_law
from inventory.models import Balance, DailyTotal, Movement
from inventory.services.ledger import effect_on
from inventory.services.verification.faults import Fault, stock_name, whole


def sequence(session: Session) -> Iterator[Fault]:
    """Per office and item the numbers run from 1 without a gap, in the order of the ids, to the balance's last one."""
    before = func.lag(Movement.seq).over(partition_by=(Movement.office_id, Movement.item_id), order_by=Movement.id)
    numbered = select(
        Movement.id, Movement.office_id, Movement.item_id, Movement.seq, before.label("before")
    ).subquery()
    wrong = select(numbered).where(numbered.c.seq != func.coalesce(numbered.c.before, 0) + 1).order_by(numbered.c.id)
    for row in session.execute(wrong.limit(1)):
        what = f"number {row.seq} follows {row.before or 0}"
        yield Fault(check="sequence", row=stock_name(session, row) + f", movement {row.id}", what=what)
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
        yield Fault(check="sequence", row=stock_name(session, row), what=what)


def reversals(session: Session) -> Iterator[Fault]:
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
        yield Fault(check="reversals", row=stock_name(session, row) + f", movement {row.id}", what=what)


_TOTAL = ("office_id", "item_id", "day", "kind", "reason")


def daily_totals(session: Session) -> Iterator[Fault]:
    """A daily total is the sum of its movements, and every movement is in one."""
    by = (Movement.office_id, Movement.item_id, Movement.effective_on, Movement.kind, Movement.reason)
    summed = (
        select(
            *(column.label(name) for name, column in zip(_TOTAL, by, strict=True)),
            whole(func.sum(Movement.quantity)).label("quantity"),
            whole(func.sum(Movement.served_waiting)).label("served_waiting"),
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
        yield Fault(
            check="daily totals", row=stock_name(session, row) + f", {row.day} {row.kind} {row.reason}", what=what
        )
    missing = select(summed).outerjoin(DailyTotal, key).where(DailyTotal.day.is_(None), summed.c.quantity != 0)
    for row in session.execute(missing.order_by(*(summed.c[name] for name in _TOTAL)).limit(1)):
        where = stock_name(session, row) + f", {row.day} {row.kind} {row.reason}"
        yield Fault(check="daily totals", row=where, what=f"there is none, its movements say {row.quantity}")


def balances(session: Session) -> Iterator[Fault]:
    """Each figure of a balance is the sum of the movements' effects on it, and the law holds."""
    sums = [whole(func.sum(effect_on(Movement, figure))).label(figure) for figure in FIGURES]
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
                yield Fault(check="balances", row=stock_name(session, balance), what=what)
        if not obeys_law(figures):
            yield Fault(check="balances", row=stock_name(session, balance), what="the law does not hold")


def unbalanced(session: Session) -> Iterator[Fault]:
    """No movement without a balance row."""
    wrong = (
        select(Movement.id, Movement.office_id, Movement.item_id)
        .outerjoin(Balance, and_(Balance.office_id == Movement.office_id, Balance.item_id == Movement.item_id))
        .where(Balance.office_id.is_(None))
        .order_by(Movement.id)
    )
    for row in session.execute(wrong.limit(1)):
        yield Fault(check="balances", row=stock_name(session, row), what="movements without a balance")


def closings(session: Session) -> Iterator[Fault]:
    """No day closed with a negative figure."""
    sums = [whole(func.sum(effect_on(Movement, figure))).label(figure) for figure in NEVER_NEGATIVE]
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
        yield Fault(check="closings", row=stock_name(session, row) + f", {row.day}", what=what)
