"""How an office and those below it fared with one item, week by week: from balances and daily totals."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import case, func, select

from inventory.db import db
from inventory.domain.access import Action, Actor, reach
from inventory.domain.calendars import OfficeCalendar
from inventory.domain.heat import WEEKS, Cell, Show, Week, badness, cell_of, usage_per_day
from inventory.domain.ledger import EVERYDAY_CAUSES, Kind
from inventory.domain.series import DAYS_A_WEEK, Closing, Moved, closings, monday_of
from inventory.models import Balance, DailyTotal, Office, StoredProjection
from inventory.models.alerts import rank_of
from inventory.models.offices import within
from inventory.services import calendars, items, offices
from inventory.services.items import ItemView
from inventory.services.ledger import effect_on
from inventory.services.offices import OfficeView, in_reach

PER_PAGE = 50
MOST_SORTED = 150
"""Stocks that are read whole so that the worst come first; of more, those that the last review found worst."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """An office's weeks, the oldest first; None where there is nothing to say of one."""

    code: str
    name: str
    cells: tuple[Cell | None, ...]
    synthetic: bool


@dataclass(frozen=True, kw_only=True)
class Heat:
    """One page of the offices that keep the item. `weeks` are the Mondays; the last week may still be running.
    `by_review`: the offices are in the order of the last review, not of the figures shown."""

    office: OfficeView
    item: ItemView
    show: Show
    weeks: tuple[date, ...]
    rows: tuple[Row, ...]
    found: int
    page: int
    by_review: bool

    @property
    def pages(self) -> int:
        return max(1, -(-self.found // PER_PAGE))


def of_office(actor: Actor, now: datetime, office_code: str, item_code: str, show: Show, page: int = 1) -> Heat:
    """The last WEEKS weeks of an office and those below it that keep the item, as far as the actor may see them, the
    worst first. A fixed number of queries, however many offices. Raises NotFound `office_not_found`, `item_not_found`;
    NotAllowed."""
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    item = items.get(item_code)
    today = office.today(now)
    kept: tuple[Any, ...] = (
        Balance.item_id == item.id,
        Balance.last_seq > 0,
        within(office.path),
        in_reach(reach(actor, Action.VIEW_STOCK)),
        Office.active,
    )
    found = _count(kept)
    page = min(max(page, 1), max(1, -(-found // PER_PAGE)))
    start = (page - 1) * PER_PAGE
    by_review = found > MOST_SORTED
    stocks = _stocks(kept, start, PER_PAGE) if by_review else _stocks(kept, 0, MOST_SORTED)
    weeks = tuple(monday_of(today) - timedelta(days=DAYS_A_WEEK * number) for number in reversed(range(WEEKS)))
    rows = _rows(stocks, item.id, show, weeks, today)
    if not by_review:
        rows = sorted(rows, key=lambda row: badness(show, row.cells), reverse=True)[start : start + PER_PAGE]
    return Heat(
        office=office,
        item=item,
        show=show,
        weeks=weeks,
        rows=tuple(rows),
        found=found,
        page=page,
        by_review=by_review,
    )


def _count(kept: Sequence[Any]) -> int:
    counted = select(func.count()).select_from(Balance).join(Office, Office.id == Balance.office_id).where(*kept)
    return db.session.scalar(counted) or 0


def _stocks(kept: Sequence[Any], start: int, most: int) -> Sequence[Any]:
    """Those that the last review found worst come first; those without one last."""
    projected = (StoredProjection.office_id == Balance.office_id) & (StoredProjection.item_id == Balance.item_id)
    far = date(9999, 12, 31)
    return db.session.execute(
        select(
            Office.id,
            Office.code,
            Office.name,
            Office.working_days,
            Balance.store,
            Balance.first_on,
            Balance.synthetic,
        )
        .select_from(Balance)
        .join(Office, Office.id == Balance.office_id)
        .outerjoin(StoredProjection, projected)
        .where(*kept)
        .order_by(
            func.coalesce(rank_of(StoredProjection.level), -1).desc(),
            func.coalesce(StoredProjection.stockout_on, far),
            Office.code,
        )
        .offset(start)
        .limit(most)
    ).all()


@dataclass(frozen=True)
class _Day:
    """What one day did to a store, and what was used up on it."""

    change: int
    printed: int
    spoiled: int


def _rows(stocks: Sequence[Any], item_id: int, show: Show, weeks: Sequence[date], today: date) -> list[Row]:
    if not stocks:
        return []
    days = _days([stock.id for stock in stocks], item_id, weeks[0])
    by_office = calendars.of_offices([(stock.id, stock.working_days) for stock in stocks], weeks[0], today)
    opened: dict[int, frozenset[date]] = {}
    rows = []
    for stock in stocks:
        calendar = by_office[stock.id]
        if id(calendar) not in opened:
            opened[id(calendar)] = _open_days(calendar, weeks[0], today)
        cells = _cells(stock, days[stock.id], opened[id(calendar)], show, weeks, today)
        rows.append(Row(code=stock.code, name=stock.name, cells=cells, synthetic=stock.synthetic))
    return rows


def _open_days(calendar: OfficeCalendar, first: date, last: date) -> frozenset[date]:
    """Offices that share a calendar share this too: they are many, and their calendars few."""
    return frozenset(calendar.open_days(first, last))


def _cells(
    stock: Any, days: Mapping[date, _Day], opened: frozenset[date], show: Show, weeks: Sequence[date], today: date
) -> tuple[Cell | None, ...]:
    first = max(weeks[0], stock.first_on or today)
    moved = {day: Moved(change=each.change) for day, each in days.items()}
    working = [each for each in closings(stock.store, moved, first, today) if each.day in opened]
    used = {day: each.printed + each.spoiled for day, each in days.items() if day <= today}
    per_day = usage_per_day(used, working)
    by_week: dict[date, list[Closing]] = defaultdict(list)
    for closing in working:
        by_week[monday_of(closing.day)].append(closing)
    printed, spoiled = Counter[date](), Counter[date]()
    for day, each in days.items():
        printed[monday_of(day)] += each.printed
        spoiled[monday_of(day)] += each.spoiled
    return tuple(
        cell_of(show, Week(closings=by_week[monday], printed=printed[monday], spoiled=spoiled[monday]), per_day)
        for monday in weeks
    )


def _days(office_ids: Sequence[int], item_id: int, first: date) -> dict[int, dict[date, _Day]]:
    """One row per office and day on which anything moved, added up by the database."""
    printed = case((DailyTotal.kind == Kind.PRINT.value, DailyTotal.quantity), else_=0)
    everyday = (DailyTotal.kind == Kind.SPOIL.value) & DailyTotal.reason.in_(EVERYDAY_CAUSES)
    spoiled = case((everyday, DailyTotal.quantity), else_=0)
    sums = func.sum(effect_on(DailyTotal, "store")), func.sum(printed), func.sum(spoiled)
    rows = db.session.execute(
        select(DailyTotal.office_id, DailyTotal.day, *sums)
        .where(DailyTotal.office_id.in_(office_ids), DailyTotal.item_id == item_id, DailyTotal.day >= first)
        .group_by(DailyTotal.office_id, DailyTotal.day)
    )
    found: dict[int, dict[date, _Day]] = defaultdict(dict)
    for row in rows:
        found[row.office_id][row.day] = _Day(*map(int, row[2:]))
    return found
