"""The monthly report of an office: as known now, as known when it was issued, and what came late."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, false, func, literal, or_, select, union_all

from inventory.db import db
from inventory.domain.access import Action, Actor
from inventory.domain.documents import (
    ItemMonth,
    KnownUpTo,
    LateEntries,
    LateEntry,
    MonthlyReport,
    from_facts,
    to_facts,
)
from inventory.domain.errors import NotFound, Refusal
from inventory.domain.ledger import FIGURES, Effect, check_day
from inventory.domain.reports import Difference, Month, Sums, accounts_of, added, check_over, differences, total_of
from inventory.models import Balance, DailyTotal, Item, Movement, Person
from inventory.services import documents, offices
from inventory.services.consumption import FIRST_DAY
from inventory.services.documents import DocumentView
from inventory.services.offices import OfficeView

MOST_MONTHS = 120
MOST_LATE = 1000
"""How many late entries one supplement takes in; the next one takes the rest."""

REPORT, SUPPLEMENT = "monthly_report", "late_entries"

Known = Mapping[str, int]
"""Item code → the newest movement (its seq) that was known. Every later one came late."""


@dataclass(frozen=True, kw_only=True)
class MonthView:
    """An office's month as known now. Once a report was issued: the report, what it said, its supplements, and what
    has come since the last of them (at most `MOST_LATE` entries)."""

    office: OfficeView
    month: Month
    now: MonthlyReport
    synthetic: bool
    issued: DocumentView | None = None
    then: MonthlyReport | None = None
    supplements: tuple[DocumentView, ...] = ()
    late: tuple[LateEntry, ...] = ()

    @property
    def differences(self) -> list[Difference]:
        """What the report said otherwise than the books do now."""
        if self.then is None:
            return []
        then, now = ({each.item.code: each.accounts for each in report.items} for report in (self.then, self.now))
        return differences(then, now)

    @property
    def newest(self) -> DocumentView | None:
        """The document after which a supplement would be."""
        return self.supplements[-1] if self.supplements else self.issued


def months(actor: Actor, now: datetime, office_code: str) -> list[Month]:
    """The months of which an office has anything to report, the newest first, up to the current one of its own."""
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    first = db.session.scalar(select(func.min(Balance.first_on)).where(Balance.office_id == office.id))
    found = [Month.of(office.today(now))]
    while first and Month.of(first) < found[-1] and len(found) < MOST_MONTHS:
        found.append(found[-1].before())
    return found


def read(actor: Actor, office_code: str, month: Month) -> MonthView:
    """An office's month, now and as it was reported. Raises NotFound, NotAllowed."""
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    report, synthetic = _report(office, month)
    view = {"office": office, "month": month, "now": report, "synthetic": synthetic}
    issued = documents.find(actor, office, REPORT, str(month))
    if issued is None:
        return MonthView(**view)
    then = _record(actor, issued, MonthlyReport)
    supplements, known = _supplements(actor, office, month, issued, then)
    late = _late_entries(office, month, known)
    return MonthView(**view, issued=issued, then=then, supplements=supplements, late=late)


def as_known(actor: Actor, office_code: str, month: Month, known: Known) -> MonthlyReport:
    """The month without whatever was recorded after `known`: what a report that knew no more had to say."""
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    return _report(office, month, known)[0]


def issue(actor: Actor, now: datetime, office_code: str, month: Month, link_base: str) -> DocumentView:
    """The month's report as a document: as known now when it is the first time, else as it was issued.

    Raises Refusal `month_not_over`; Invalid `day_too_early`; NotFound, NotAllowed.
    """
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    today = office.today(now)
    check_over(month, today)
    check_day(month.first, today, FIRST_DAY)
    report, synthetic = _report(office, month)
    facts = to_facts(report)
    return documents.issue(actor, now, office, REPORT, str(month), today, facts, link_base, synthetic=synthetic)


def issue_late(
    actor: Actor, now: datetime, office_code: str, month: Month, after_id: int, link_base: str
) -> DocumentView:
    """A supplement: what was recorded for the month since the document `after_id`, which is its report or an earlier
    supplement. There is one after each. Raises NotFound `document_not_found`; Refusal `no_late_entries`.
    """
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    subject = f"{month}/{after_id}"
    earlier = documents.find(actor, office, SUPPLEMENT, subject)
    if earlier is not None:
        return earlier
    view = read(actor, office_code, month)
    if view.issued is None or view.newest is None or view.newest.id != after_id or view.then is None:
        raise NotFound("document_not_found")
    if not view.late:
        raise Refusal("no_late_entries")
    _documents, known = _supplements(actor, office, month, view.issued, view.then)
    known = {**known, **{line.item.code: line.seq for line in view.late}}
    record = LateEntries(
        year=month.year,
        month=month.month,
        report=view.issued.number,
        lines=view.late,
        known=tuple(KnownUpTo(item=item, seq=seq) for item, seq in sorted(known.items())),
    )
    today = office.today(now)
    return documents.issue(
        actor, now, office, SUPPLEMENT, subject, today, to_facts(record), link_base, synthetic=view.synthetic
    )


# --- parts -------------------------------------------------------------------------------------------------------


def _record(actor: Actor, document: DocumentView, record_type: Any) -> Any:
    _view, paper = documents.get(actor, document.id)
    return from_facts(record_type, paper.facts)


def _supplements(
    actor: Actor, office: OfficeView, month: Month, issued: DocumentView, then: MonthlyReport
) -> tuple[tuple[DocumentView, ...], dict[str, int]]:
    """The supplements to a report, each after the one before it, and what is known with the last of them."""
    known = {each.item.code: each.last_seq for each in then.items}
    found: list[DocumentView] = []
    newest = issued
    while (document := documents.find(actor, office, SUPPLEMENT, f"{month}/{newest.id}")) is not None:
        found.append(document)
        known = {each.item: each.seq for each in _record(actor, document, LateEntries).known}
        newest = document
    return tuple(found), known


def _report(office: OfficeView, month: Month, known: Known | None = None) -> tuple[MonthlyReport, bool]:
    """The report, and whether made-up movements are behind it."""
    found: list[ItemMonth] = []
    synthetic = False
    items = {item.id: item for item in db.session.scalars(select(Item).order_by(Item.position))}
    balances, sums = _month_rows(office.id, month, known)
    for item_id, item in items.items():
        if item_id not in balances:
            continue
        balance, parts = balances[item_id], sums[item_id]
        figures = Effect(*(balance[figure] for figure in FIGURES))
        late = added(parts["late_before"], parts["late_within"])
        closing = _less(figures, added(parts["after"], late))
        opening = _less(figures, added(parts["after"], parts["within"], parts["late_before"]))
        within = added(parts["within"], {key: -quantity for key, quantity in parts["late_within"].items()})
        last_seq = balance["last_seq"] if known is None else known.get(item.code, 0)
        accounts = accounts_of(opening, within, closing)
        found.append(ItemMonth(item=documents.item_name(item), last_seq=last_seq, accounts=accounts))
        synthetic |= balance["synthetic"]
    return MonthlyReport(year=month.year, month=month.month, items=tuple(found)), synthetic


def _less(figures: Effect, sums: Sums) -> Effect:
    return figures.plus(total_of(sums).times(-1))


def _month_rows(office_id: int, month: Month, known: Known | None) -> tuple[dict[int, Any], Any]:
    """Balances by item id, and per item id what moved after the month, within it, and came late before or within it.

    One statement, so that all of it is of the same moment. Costs a row per day since the month began.
    """
    off = union_all(*_parts(office_id, month, known)).subquery()
    balance = [*(getattr(Balance, figure) for figure in FIGURES), Balance.last_seq, Balance.synthetic]
    rows = db.session.execute(
        select(Balance.item_id, *balance, off.c.part, off.c.kind, off.c.reason, func.sum(off.c.quantity).label("sum"))
        .outerjoin(off, off.c.item_id == Balance.item_id)
        .where(Balance.office_id == office_id, Balance.last_seq > 0, Balance.first_on <= month.last)
        .group_by(Balance.item_id, *balance, off.c.part, off.c.kind, off.c.reason)
    )
    balances: dict[int, Any] = {}
    sums: Any = defaultdict(lambda: defaultdict(dict))
    for row in rows.mappings():
        balances[row["item_id"]] = row
        if row["part"] is not None:
            sums[row["item_id"]][row["part"]][row["kind"], row["reason"]] = int(row["sum"])
    return balances, sums


def _parts(office_id: int, month: Month, known: Known | None) -> list[Any]:
    totals, moved = DailyTotal.__table__.c, Movement.__table__.c

    def part(name: str, columns: Any, *conditions: ColumnElement[bool]) -> Any:
        what = (columns.item_id, literal(name).label("part"), columns.kind, columns.reason, columns.quantity)
        return select(*what).where(columns.office_id == office_id, *conditions)

    parts = [
        part("after", totals, totals.day > month.last),
        part("within", totals, totals.day.between(month.first, month.last)),
    ]
    if known is not None:
        unknown = _unknown(known)
        parts += [
            part("late_before", moved, moved.effective_on < month.first, unknown),
            part("late_within", moved, moved.effective_on.between(month.first, month.last), unknown),
        ]
    return parts


def _unknown(known: Known) -> ColumnElement[bool]:
    """SQL: the movement is not among the known ones of its item."""
    newer = [
        and_(Movement.item_id == item_id, Movement.seq > known.get(code, 0))
        for item_id, code in db.session.execute(select(Item.id, Item.code))
    ]
    return or_(false(), *newer)


def _late_entries(office: OfficeView, month: Month, known: Known) -> tuple[LateEntry, ...]:
    """Movements for the month, or a day before it, that are not among the known: both change what was reported."""
    rows = db.session.execute(
        select(Movement, Item, Person.full_name)
        .join(Item, Item.id == Movement.item_id)
        .outerjoin(Person, Person.id == Movement.actor_id)
        .where(Movement.office_id == office.id, Movement.effective_on <= month.last, _unknown(known))
        .order_by(Movement.id)
        .limit(MOST_LATE)
    )
    return tuple(
        LateEntry(
            item=documents.item_name(item),
            seq=movement.seq,
            day=movement.effective_on,
            recorded_at=movement.recorded_at,
            kind=movement.kind,
            reason=movement.reason,
            quantity=movement.quantity,
            by=by or "",
        )
        for movement, item, by in rows
    )
