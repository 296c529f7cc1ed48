"""Which days offices are open: the working week, the country's holidays, and each office's own days."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from functools import lru_cache

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from inventory.adapters import holidays
from inventory.db import db
from inventory.domain.calendars import OfficeCalendar
from inventory.domain.errors import Refusal
from inventory.domain.outreach import STANDS
from inventory.models import CalendarDay, Office, OutreachPlan


@lru_cache(maxsize=8)
def national_holidays(first_year: int, last_year: int) -> dict[date, str]:
    """Public holidays and collective leave of the years from `first_year` to `last_year`."""
    return holidays.indonesian(range(first_year, last_year + 1))


def of_offices(weeks: Iterable[tuple[int, str]], start: date, end: date) -> dict[int, OfficeCalendar]:
    """The calendars of offices, given as (office id, working week), good from `start` to `end`.

    One query, however many offices; offices without days of their own share one calendar per working week.
    """
    own: dict[int | None, list[tuple[date, bool, str]]] = defaultdict(list)
    rows = db.session.execute(
        select(CalendarDay.office_id, CalendarDay.day, CalendarDay.open, CalendarDay.name).where(
            CalendarDay.day.between(start, end)
        )
    )
    for office_id, day, is_open, name in rows:
        own[office_id].append((day, is_open, name))
    official = national_holidays(start.year, end.year) | {day: name for day, is_open, name in own[None] if not is_open}
    shared: dict[str, OfficeCalendar] = {}
    found: dict[int, OfficeCalendar] = {}
    for office_id, week in weeks:
        days = own.get(office_id, []) + [each for each in own[None] if each[1]]
        if not days:
            if week not in shared:
                shared[week] = OfficeCalendar(working_week=week, holidays=official)
            found[office_id] = shared[week]
            continue
        found[office_id] = OfficeCalendar(
            working_week=week,
            holidays=official,
            outreach=frozenset(day for day, is_open, _ in days if is_open),
            closed=frozenset(day for day, is_open, _ in days if not is_open),
        )
    return found


def hold(session: Session, office_id: int) -> None:
    """Inside a transaction: nobody else changes this office's days until it ends."""
    session.execute(select(Office.id).where(Office.id == office_id).with_for_update(key_share=True))


def open_for_plan(session: Session, office_id: int, working_week: str, day: date, name: str) -> None:
    """Inside a transaction that holds the office's days: have the office open on a day of planned outreach.

    Raises Refusal `office_closed_on_day` where somebody has closed the office for a reason of its own.
    """
    own = session.execute(
        select(CalendarDay.open, CalendarDay.name).where(CalendarDay.office_id == office_id, CalendarDay.day == day)
    ).one_or_none()
    if own is not None and not own.open:
        raise Refusal("office_closed_on_day", day=day, name=own.name)
    if own is None and not of_offices([(office_id, working_week)], day, day)[office_id].is_open(day):
        session.execute(insert(CalendarDay).values(office_id=office_id, day=day, open=True, name=name, by_plan=True))


def close_after_plan(session: Session, office_id: int, day: date) -> None:
    """Inside a transaction that holds the office's days: take back what only planned outreach had opened."""
    stands = select(OutreachPlan.id).where(
        OutreachPlan.office_id == office_id, OutreachPlan.day == day, OutreachPlan.status.in_(STANDS)
    )
    session.execute(
        delete(CalendarDay).where(
            CalendarDay.office_id == office_id, CalendarDay.day == day, CalendarDay.by_plan, ~stands.exists()
        )
    )
