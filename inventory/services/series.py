"""Series of a stock, from the balance of now and the daily totals back from it: what the store held day by day, and
what the item was used up for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import select

from inventory.db import db
from inventory.domain.access import Action, Actor
from inventory.domain.calendars import check_period
from inventory.domain.errors import Invalid
from inventory.domain.ledger import CONSUMED, Kind
from inventory.domain.outreach import STANDS
from inventory.domain.series import PARTS, Closing, Step, closings, moved_by_day, part_of, periods
from inventory.models import Balance, DailyTotal, OutreachPlan
from inventory.services import calendars, events, items, offices
from inventory.services.consumption import FIRST_DAY
from inventory.services.items import ItemView
from inventory.services.offices import OfficeView

MOST_DAYS = 5 * 366
"""Of one stock's series."""
USUAL_DAYS = {Step.DAY: 31, Step.WEEK: 26 * 7}
MOST_USED_DAYS = {Step.DAY: 92, Step.WEEK: 2 * 366}


@dataclass(frozen=True, kw_only=True)
class StockSeries:
    """The closings of an office's stock of an item, from `since` to `until` or as far back as it was kept."""

    office: OfficeView
    item: ItemView
    since: date
    until: date
    closings: tuple[Closing, ...]
    synthetic: bool


@dataclass(frozen=True, kw_only=True)
class Used:
    """What was used up in a week or on a day, by part (the reasons of prints, and what was spoiled; zeros left out).
    `open_days` are the office's own. `marks` says what was special about it: outreach, seasons, events."""

    first: date
    last: date
    by_part: Mapping[str, int]
    open_days: int
    outreach: tuple[str, ...]
    events: tuple[tuple[str, str], ...]
    """Kind and name."""

    @property
    def total(self) -> int:
        return sum(self.by_part.values())


@dataclass(frozen=True, kw_only=True)
class Usage:
    office: OfficeView
    item: ItemView
    since: date
    until: date
    step: Step
    parts: tuple[str, ...]
    """Of the item, in the order in which they are stacked: only those that occur."""
    used: tuple[Used, ...]
    synthetic: bool

    def total(self, part: str) -> int:
        return sum(each.by_part.get(part, 0) for each in self.used)


def of_stock(
    actor: Actor, now: datetime, office_code: str, item_code: str, since: date | None = None, until: date | None = None
) -> StockSeries:
    """The closings up to `until` (the office's today, where it is left out or lies ahead); without `since`, MOST_DAYS
    of them at most. Two queries, however long the series. Raises NotFound, NotAllowed; Invalid `period_backwards`,
    `period_too_long`, `day_too_early`.
    """
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    item = items.get(item_code)
    today = office.today(now)
    until = min(until or today, today)
    _check_first(min(since or until, until))
    since = since or max(until - timedelta(days=MOST_DAYS - 1), FIRST_DAY)
    check_period(since, until, MOST_DAYS)
    balance = db.session.get(Balance, (office.id, item.id))
    return StockSeries(
        office=office,
        item=item,
        since=since,
        until=until,
        closings=closings_of(office.id, item.id, since, until),
        synthetic=bool(balance and balance.synthetic),
    )


def closings_of(office_id: int, item_id: int, since: date, until: date) -> tuple[Closing, ...]:
    """The closings of an office's stock from `since`, or the first day that it was kept, to `until`; the caller has
    checked who may see them. Costs a row per kind of movement and day since `since`."""
    balance = db.session.get(Balance, (office_id, item_id))
    if balance is None or balance.first_on is None:
        return ()
    first = max(since, balance.first_on)
    rows = db.session.execute(
        select(DailyTotal.day, DailyTotal.kind, DailyTotal.reason, DailyTotal.quantity).where(
            DailyTotal.office_id == office_id, DailyTotal.item_id == item_id, DailyTotal.day >= first
        )
    )
    return closings(
        balance.store, moved_by_day((day, kind, reason, quantity) for day, kind, reason, quantity in rows), first, until
    )


def usage(
    actor: Actor,
    now: datetime,
    office_code: str,
    item_code: str,
    step: Step,
    since: date | None = None,
    until: date | None = None,
) -> Usage:
    """What an office used an item up for, by week or by day of its own calendar, with the outreach and the events of
    those days; by default the last USUAL_DAYS, in whole weeks. Raises NotFound, NotAllowed; Invalid
    `period_backwards`, `period_too_long`, `day_too_early`."""
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    item = items.get(item_code)
    today = office.today(now)
    until = min(until or today, today)
    _check_first(min(since or until, until))
    since = since or _usual_first(step, until)
    check_period(since, until, MOST_USED_DAYS[step])
    used = _used(office, item.id, list(periods(since, until, step)))
    balance = db.session.get(Balance, (office.id, item.id))
    return Usage(
        office=office,
        item=item,
        since=since,
        until=until,
        step=step,
        parts=tuple(part for part in (CONSUMED, *PARTS) if any(part in each.by_part for each in used)),
        used=used,
        synthetic=bool(balance and balance.synthetic),
    )


def _usual_first(step: Step, until: date) -> date:
    first = until - timedelta(days=USUAL_DAYS[step] - 1)
    if step is Step.WEEK:
        first += timedelta(days=-first.weekday() % 7)
    return max(first, FIRST_DAY)


def _check_first(day: date) -> None:
    if day < FIRST_DAY:
        raise Invalid("day_too_early", day=day, first=FIRST_DAY)


def _used(office: OfficeView, item_id: int, spans: Sequence[tuple[date, date]]) -> tuple[Used, ...]:
    since, until = spans[0][0], spans[-1][1]
    by_day = _used_by_day(office.id, item_id, since, until)
    calendar = calendars.of_offices([(office.id, office.settings.working_days)], since, until)[office.id]
    outreach, happenings = _outreach(office, since, until), _events(office, item_id, since, until)
    return tuple(
        Used(
            first=first,
            last=last,
            by_part=_summed(by_day, first, last),
            open_days=calendar.count_open(first, last),
            outreach=tuple(place for day, place in outreach if first <= day <= last),
            events=tuple((kind, name) for begin, end, kind, name in happenings if begin <= last and end >= first),
        )
        for first, last in spans
    )


def _used_by_day(office_id: int, item_id: int, since: date, until: date) -> dict[date, dict[str, int]]:
    rows = db.session.execute(
        select(DailyTotal.day, DailyTotal.kind, DailyTotal.reason, DailyTotal.quantity).where(
            DailyTotal.office_id == office_id,
            DailyTotal.item_id == item_id,
            DailyTotal.day.between(since, until),
            DailyTotal.kind.in_((Kind.PRINT.value, Kind.SPOIL.value)),
            DailyTotal.quantity > 0,
        )
    )
    found: dict[date, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for day, kind, reason, quantity in rows:
        part = part_of(kind, reason)
        if part is not None:
            found[day][part] += quantity
    return found


def _summed(by_day: Mapping[date, Mapping[str, int]], first: date, last: date) -> dict[str, int]:
    found: dict[str, int] = defaultdict(int)
    for number in range((last - first).days + 1):
        for part, quantity in by_day.get(first + timedelta(days=number), {}).items():
            found[part] += quantity
    return dict(found)


def _outreach(office: OfficeView, since: date, until: date) -> Sequence[tuple[date, str]]:
    """The days and places of outreach that was held, or planned and never called off."""
    rows = db.session.execute(
        select(OutreachPlan.day, OutreachPlan.place)
        .where(
            OutreachPlan.office_id == office.id,
            OutreachPlan.day.between(since, until),
            OutreachPlan.status.in_(STANDS),
        )
        .order_by(OutreachPlan.day, OutreachPlan.id)
    )
    return [(day, place) for day, place in rows]


def _events(office: OfficeView, item_id: int, since: date, until: date) -> list[tuple[date, date, str, str]]:
    """First and last day, kind and name of what moved the demand here."""
    return [
        (each.first, each.last, each.season.kind, each.name)
        for each in events.occurrences(since, until)
        if office.path.startswith(each.path) and (not each.item_ids or item_id in each.item_ids)
    ]
