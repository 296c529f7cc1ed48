"""How many offices run out of stock, by day: an office and those below it, as the last reviews expect it.

Everything is counted in SQL from the columns of the projections, so that a country is as quick as a district.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Date, Subquery, and_, case, func, literal, or_, select
from sqlalchemy.orm import aliased

from inventory.db import db
from inventory.domain.access import Action, Actor, reach
from inventory.domain.alerts import Level, Subject
from inventory.domain.offices import local_day
from inventory.models import Alert, Item, Office, StoredProjection
from inventory.models.offices import within
from inventory.services import items, offices
from inventory.services.offices import OfficeView, in_reach

DAYS = 14
WEEK = 7
PER_PAGE = 50
COUNTRY = "Asia/Jakarta"
"""Whose today counts where no one office is asked for."""
NEVER = date(9999, 12, 31)


@dataclass(frozen=True, kw_only=True)
class DayAhead:
    """How many offices run out on a day, and how many are without stock at its end: the likeliest number, and the
    numbers if every stock lasted as long, or as briefly, as its band of 80 % allows."""

    day: date
    offices: int
    by_then: int
    at_least: int
    at_most: int


@dataclass(frozen=True, kw_only=True)
class Part:
    """An office with those below it that the actor may see: how many were reviewed, are without stock, run out within
    a week, and within two (the week included). `unknown`: without stock enough to be sure of, and no projection."""

    office: OfficeView
    offices: int
    out: int
    week: int
    fortnight: int
    unknown: int


@dataclass(frozen=True, kw_only=True)
class RunOut:
    """A stock that runs out; `day` is None for one that is out already. `alert_id` is its open alert."""

    office_code: str
    office_name: str
    item_code: str
    level: str
    day: date | None
    early: date | None
    late: date | None
    alert_id: int | None


@dataclass(frozen=True, kw_only=True)
class RunOutCalendar:
    """`office` is None for all that the actor may see; `parts` are then where their reach begins. `own` is the office
    without those below it. Of `run_outs` one page is told, `found` in all."""

    office: OfficeView | None
    today: date
    reviewed_at: datetime | None
    offices: int
    out: int
    unknown: int
    days: tuple[DayAhead, ...]
    parts: tuple[Part, ...]
    own: Part | None
    run_outs: tuple[RunOut, ...]
    found: int
    page: int

    @property
    def week(self) -> int:
        """How many offices run out within a week."""
        return sum(each.offices for each in self.days[:WEEK])

    @property
    def pages(self) -> int:
        return max(1, -(-self.found // PER_PAGE))


def of_office(
    actor: Actor,
    now: datetime,
    office_code: str | None = None,
    *,
    item_code: str | None = None,
    day: date | None = None,
    page: int = 1,
) -> RunOutCalendar:
    """The run-outs of the next DAYS days at an office and below it, or wherever the actor may look.

    An office that runs out of several items counts once, with the first. `item_code` counts one item alone; `day`
    lists the stocks of that day alone. Raises NotFound `office_not_found`, `item_not_found`; NotAllowed.
    """
    office = offices.get(actor, Action.VIEW_ALERT, office_code) if office_code else None
    item_id = items.get(item_code).id if item_code else None
    today = office.today(now) if office else local_day(now, COUNTRY)
    scope = [in_reach(reach(actor, Action.VIEW_ALERT)), Office.active]
    if office:
        scope.append(within(office.path))
    below = offices.children(actor, Action.VIEW_ALERT, office) if office else offices.tops(actor, Action.VIEW_ALERT)
    first = _first_of_offices(scope, item_id)
    kinds = _kinds(first, today)
    listed = _listed(scope, item_id, today, day)
    found = db.session.scalar(select(func.count()).select_from(listed.subquery())) or 0
    page = min(max(page, 1), max(1, -(-found // PER_PAGE)))
    return RunOutCalendar(
        office=office,
        today=today,
        reviewed_at=_reviewed_at(scope),
        offices=sum(each.offices for each in kinds),
        out=sum(each.offices for each in kinds if each.out),
        unknown=sum(each.offices for each in kinds if each.in_the_dark),
        days=_days(kinds, today),
        parts=tuple(_parts(first, today, below)),
        own=_own(_first_of_offices([*scope, Office.id == office.id], item_id), today, office) if office else None,
        run_outs=_run_outs(listed.limit(PER_PAGE).offset((page - 1) * PER_PAGE)),
        found=found,
        page=page,
    )


def _first_of_offices(scope: Sequence[ColumnElement[bool]], item_id: int | None) -> Subquery:
    """SQL: of each office with a reviewed stock when the first of them runs out, and whether one has done so."""
    is_out = StoredProjection.level == Level.OUT.value
    ahead = StoredProjection.stockout_on
    # A band without an end is later than every other; a stock that never runs out has none.
    late = case((ahead.is_not(None), func.coalesce(StoredProjection.stockout_late_on, NEVER)))
    return (
        select(
            Office.id.label("office_id"),
            Office.path,
            func.max(case((is_out, 1), else_=0)).label("out"),
            func.max(case((StoredProjection.level == Level.UNKNOWN.value, 1), else_=0)).label("unknown"),
            func.min(ahead).label("likely"),
            func.min(func.coalesce(StoredProjection.stockout_early_on, ahead)).label("early"),
            func.min(late).label("late"),
        )
        .select_from(StoredProjection)
        .join(Office, Office.id == StoredProjection.office_id)
        .where(*scope, _of_item(item_id))
        .group_by(Office.id, Office.path)
        .subquery()
    )


def _of_item(item_id: int | None) -> ColumnElement[bool]:
    kept = select(Item.id).where(Item.active)
    return StoredProjection.item_id.in_(kept) if item_id is None else StoredProjection.item_id == item_id


def _sums(first: Subquery, today: date) -> tuple[Any, ...]:
    """SQL: the offices, those without stock, those that run out within a week and two, those nobody can tell of."""

    def count(condition: ColumnElement[bool]) -> Any:
        return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)

    def within_days(number: int) -> ColumnElement[bool]:
        return and_(first.c.out == 0, first.c.likely < today + timedelta(days=number))

    in_the_dark = and_(first.c.out == 0, _in_the_dark(first))
    return (func.count(), count(first.c.out == 1), *map(count, (within_days(WEEK), within_days(DAYS), in_the_dark)))


def _parts(first: Subquery, today: date, below: Sequence[OfficeView]) -> list[Part]:
    """Those of the offices that have a reviewed stock, or one below them, in the same order."""
    top = aliased(Office)
    under = and_(first.c.path >= top.path, first.c.path < top.path + "~")
    rows = db.session.execute(
        select(top.id, *_sums(first, today))
        .select_from(top)
        .join(first, under)
        .where(top.id.in_([each.id for each in below]))
        .group_by(top.id)
    )
    found = {row[0]: row[1:] for row in rows}
    return [_part(each, found[each.id]) for each in below if each.id in found]


def _own(first: Subquery, today: date, office: OfficeView) -> Part | None:
    row = db.session.execute(select(*_sums(first, today)).select_from(first)).one()
    return _part(office, row) if row[0] else None


def _part(office: OfficeView, row: Sequence[Any]) -> Part:
    count, out, week, fortnight, unknown = map(int, row)
    return Part(office=office, offices=count, out=out, week=week, fortnight=fortnight, unknown=unknown)


@dataclass(frozen=True)
class _Kind:
    """So many offices that are out, or run out on these days: today for what should be past, None beyond the DAYS."""

    out: bool
    in_the_dark: bool
    likely: date | None
    early: date | None
    late: date | None
    offices: int


def _kinds(first: Subquery, today: date) -> list[_Kind]:
    """The offices counted in one go: those alike are one row, so there are few, however many offices there are."""
    last = today + timedelta(days=DAYS - 1)

    def shown(column: Any) -> Any:
        return case((column < today, literal(today, Date)), (column <= last, column))

    told = (
        first.c.out == 1,
        and_(first.c.out == 0, _in_the_dark(first)),
        *(shown(first.c[name]) for name in ("likely", "early", "late")),
    )
    named = [column.label(name) for column, name in zip(told, ("out", "dark", "likely", "early", "late"), strict=True)]
    alike = select(*named).subquery()
    rows: Any = db.session.execute(select(*alike.c, func.count()).group_by(*alike.c))
    return [_Kind(bool(out), bool(dark), likely, early, late, count) for out, dark, likely, early, late, count in rows]


def _in_the_dark(first: Subquery) -> ColumnElement[bool]:
    return and_(first.c.unknown == 1, first.c.likely.is_(None))


def _days(kinds: Sequence[_Kind], today: date) -> tuple[DayAhead, ...]:
    out = sum(each.offices for each in kinds if each.out)
    on_day: dict[str, Counter[date]] = {name: Counter() for name in ("likely", "early", "late")}
    for each in kinds:
        for name, found in on_day.items():
            day = getattr(each, name)
            if day is not None and not each.out:
                found[day] += each.offices
    days = []
    by_then = dict.fromkeys(on_day, out)
    for number in range(DAYS):
        day = today + timedelta(days=number)
        for name, found in on_day.items():
            by_then[name] += found[day]
        days.append(
            DayAhead(
                day=day,
                offices=on_day["likely"][day],
                by_then=by_then["likely"],
                at_least=by_then["late"],
                at_most=by_then["early"],
            )
        )
    return tuple(days)


def _listed(scope: Sequence[ColumnElement[bool]], item_id: int | None, today: date, day: date | None) -> Any:
    """The stocks that are out or run out within the DAYS, or on `day` alone; those that are out first."""
    is_out = StoredProjection.level == Level.OUT.value
    ahead = StoredProjection.stockout_on
    if day is None:
        wanted = or_(is_out, ahead < today + timedelta(days=DAYS))
    else:
        wanted = and_(~is_out, ahead <= day if day == today else ahead == day)
    order = case((is_out, 0), else_=1)
    return (
        select(
            Office.code.label("office_code"),
            Office.name.label("office_name"),
            Item.code.label("item_code"),
            StoredProjection.level,
            case((~is_out, ahead)).label("day"),
            case((~is_out, StoredProjection.stockout_early_on)).label("early"),
            case((~is_out, StoredProjection.stockout_late_on)).label("late"),
            Alert.id.label("alert_id"),
        )
        .select_from(StoredProjection)
        .join(Office, Office.id == StoredProjection.office_id)
        .join(Item, Item.id == StoredProjection.item_id)
        .outerjoin(
            Alert,
            and_(
                Alert.office_id == StoredProjection.office_id,
                Alert.item_id == StoredProjection.item_id,
                Alert.subject == Subject.LOW_STOCK.value,
                Alert.resolved_at.is_(None),
            ),
        )
        .where(*scope, _of_item(item_id), wanted)
        .order_by(order, ahead, Office.code, Item.position, Item.id)
    )


def _run_outs(query: Any) -> tuple[RunOut, ...]:
    return tuple(RunOut(**row._mapping) for row in db.session.execute(query))


def _reviewed_at(scope: Sequence[ColumnElement[bool]]) -> datetime | None:
    newest = select(func.max(StoredProjection.made_at)).join(Office, Office.id == StoredProjection.office_id)
    return db.session.scalar(newest.where(*scope))
