"""How many offices run out of stock, by day: an office and those below it, as the last reviews expect it.

Everything is counted in SQL from the columns of the projections, so that a country is as quick as a district.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Date,
    Integer,
    String,
    and_,
    case,
    cast,
    func,
    literal,
    null,
    or_,
    select,
    union_all,
)
from sqlalchemy.orm import aliased

from inventory.db import UtcDateTime, db
from inventory.domain.access import Action, Actor, reach
from inventory.domain.alerts import Level, Subject
from inventory.domain.offices import local_day
from inventory.models import Alert, Item, Office, StoredProjection
from inventory.models.offices import within
from inventory.services import items, offices
from inventory.services.offices import OfficeView, code_below, in_reach

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
    wanted = _is_listed(today, day)
    first = _first_of_offices([*scope, _of_item(item_id)], wanted, office)
    kinds, parts = _added_up(first, today, office, below)
    found = sum(each.listed for each in kinds)
    page = min(max(page, 1), max(1, -(-found // PER_PAGE)))
    return RunOutCalendar(
        office=office,
        today=today,
        reviewed_at=max((each.made_at for each in kinds), default=None),
        offices=sum(each.offices for each in kinds),
        out=sum(each.offices for each in kinds if each.out),
        unknown=sum(each.offices for each in kinds if each.in_the_dark),
        days=_days(kinds, today),
        parts=tuple(parts[each.path] for each in below if each.path in parts),
        own=parts.get(office.path) if office else None,
        run_outs=_run_outs([*scope, _of_item(item_id), wanted], (page - 1) * PER_PAGE) if found else (),
        found=found,
        page=page,
    )


def _first_of_offices(
    scope: Sequence[ColumnElement[bool]], wanted: ColumnElement[bool], office: OfficeView | None
) -> CTE:
    """SQL: of each office with a reviewed stock when the first of them runs out, and whether one has done so; and how
    many of its stocks are `wanted` on the list. It is read twice, and worked out once."""
    is_out = StoredProjection.level == Level.OUT.value
    ahead = StoredProjection.stockout_on
    # A band without an end is later than every other; a stock that never runs out has none.
    late = case((ahead.is_not(None), func.coalesce(StoredProjection.stockout_late_on, NEVER)))
    key = code_below(Office.path, office.path.count("/"), len(office.path)) if office else literal("")
    return (
        select(
            Office.path,
            key.label("key"),
            func.max(case((is_out, 1), else_=0)).label("out"),
            func.max(case((StoredProjection.level == Level.UNKNOWN.value, 1), else_=0)).label("unknown"),
            func.min(ahead).label("likely"),
            func.min(func.coalesce(StoredProjection.stockout_early_on, ahead)).label("early"),
            func.min(late).label("late"),
            func.sum(case((wanted, 1), else_=0)).label("listed"),
            func.max(StoredProjection.made_at).label("made_at"),
        )
        .select_from(StoredProjection)
        .join(Office, Office.id == StoredProjection.office_id)
        .where(*scope)
        .group_by(Office.id, Office.path)
        .cte("first")
    )


def _of_item(item_id: int | None) -> ColumnElement[bool]:
    kept = select(Item.id).where(Item.active)
    return StoredProjection.item_id.in_(kept) if item_id is None else StoredProjection.item_id == item_id


@dataclass(frozen=True)
class _Kind:
    """So many offices that are out, or run out on these days: today for what should be past, None beyond the DAYS;
    `listed` of their stocks are on the list."""

    out: bool
    in_the_dark: bool
    likely: date | None
    early: date | None
    late: date | None
    offices: int
    listed: int
    made_at: datetime


def _added_up(
    first: CTE, today: date, office: OfficeView | None, below: Sequence[OfficeView]
) -> tuple[list[_Kind], dict[str, Part]]:
    """The offices by what they have in common, and by the office below (or where the reach begins) that they belong
    to, by its path: in one go over the stocks, however many there are."""
    keyed = _by_key(first, today) if office else _by_top(first, today, below)
    kinds = _kinds(first, today)
    rows = db.session.execute(union_all(keyed, kinds)).all()
    names = {(each.path if office is None else each.code): each for each in below}
    if office:
        names[""] = office
    parts = [_part(names[row.key], row) for row in rows if row.key in names]
    return [_kind(row) for row in rows if row.key is None], {each.office.path: each for each in parts}


def _kind(row: Any) -> _Kind:
    days = row.likely, row.early, row.late
    return _Kind(bool(row.out), bool(row.dark), *days, int(row.offices), int(row.listed), row.made_at)


def _part(office: OfficeView, row: Any) -> Part:
    counts = {name: int(getattr(row, name)) for name in ("offices", "out", "week", "fortnight", "unknown")}
    return Part(office=office, **counts)


def _by_key(first: CTE, today: date) -> Any:
    return select(first.c.key, *_sums(first, today)).group_by(first.c.key)


def _by_top(first: CTE, today: date, tops: Sequence[OfficeView]) -> Any:
    """SQL: reaches may lie within each other, and an office belongs to each that it lies in."""
    if len(tops) == 1:  # who sees the country, as a rule
        return select(literal(tops[0].path).label("key"), *_sums(first, today)).having(func.count() > 0)
    top = aliased(Office)
    under = and_(first.c.path >= top.path, first.c.path < top.path + "~")
    joined = select(top.path.label("key"), *_sums(first, today)).select_from(top).join(first, under)
    return joined.where(top.id.in_([each.id for each in tops])).group_by(top.path)


def _sums(first: CTE, today: date) -> tuple[Any, ...]:
    """SQL: the offices, those without stock, those that run out within a week and two, those nobody can tell of; in
    the columns of `_kinds`, and none where these have what parts have not."""

    def count(condition: ColumnElement[bool]) -> Any:
        return func.sum(case((condition, 1), else_=0))

    def within_days(number: int) -> ColumnElement[bool]:
        return and_(first.c.out == 0, first.c.likely < today + timedelta(days=number))

    sums = {
        "offices": func.count(),
        "out": count(first.c.out == 1),
        "week": count(within_days(WEEK)),
        "fortnight": count(within_days(DAYS)),
        "unknown": count(and_(first.c.out == 0, _in_the_dark(first))),
        "dark": null(),
        "listed": null(),
    }
    days = {name: cast(null(), Date) for name in ("likely", "early", "late")}
    made_at = cast(null(), UtcDateTime).label("made_at")
    return (*(column.label(name) for name, column in (sums | days).items()), made_at)


def _kinds(first: CTE, today: date) -> Any:
    """SQL: the offices counted, those alike in one row, so that there are few rows, however many offices there are."""
    last = today + timedelta(days=DAYS - 1)

    def shown(column: Any) -> Any:
        return case((column < today, literal(today, Date)), (column <= last, column))

    alike = select(
        case((first.c.out == 1, 1), else_=0).label("out"),
        case((and_(first.c.out == 0, _in_the_dark(first)), 1), else_=0).label("dark"),
        *(shown(first.c[name]).label(name) for name in ("likely", "early", "late")),
        first.c.listed,
        first.c.made_at,
    ).subquery()
    column = alike.c
    days = column.likely, column.early, column.late
    return select(
        cast(null(), String).label("key"),
        func.count().label("offices"),
        column.out,
        cast(null(), Integer).label("week"),
        cast(null(), Integer).label("fortnight"),
        cast(null(), Integer).label("unknown"),
        column.dark,
        func.sum(column.listed).label("listed"),
        *days,
        func.max(column.made_at).label("made_at"),
    ).group_by(column.out, column.dark, *days)


def _in_the_dark(first: CTE) -> ColumnElement[bool]:
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


def _is_listed(today: date, day: date | None) -> ColumnElement[bool]:
    """SQL: the stocks that are out or run out within the DAYS, or on `day` alone."""
    is_out = StoredProjection.level == Level.OUT.value
    ahead = StoredProjection.stockout_on
    if day is None:
        return or_(is_out, ahead < today + timedelta(days=DAYS))
    return and_(~is_out, ahead <= day if day == today else ahead == day)


def _run_outs(wanted: Sequence[ColumnElement[bool]], offset: int) -> tuple[RunOut, ...]:
    """A page of the stocks, those that are out first; what else there is to tell of them is looked up for it alone."""
    is_out = StoredProjection.level == Level.OUT.value
    ahead = StoredProjection.stockout_on
    page = (
        select(
            StoredProjection.office_id,
            StoredProjection.item_id,
            Item.position,
            Office.code.label("office_code"),
            Office.name.label("office_name"),
            Item.code.label("item_code"),
            StoredProjection.level,
            ahead,
            case((~is_out, ahead)).label("day"),
            case((~is_out, StoredProjection.stockout_early_on)).label("early"),
            case((~is_out, StoredProjection.stockout_late_on)).label("late"),
            case((is_out, 0), else_=1).label("after"),
        )
        .select_from(StoredProjection)
        .join(Office, Office.id == StoredProjection.office_id)
        .join(Item, Item.id == StoredProjection.item_id)
        .where(*wanted)
        .order_by(case((is_out, 0), else_=1), ahead, Office.code, Item.position, Item.id)
        .limit(PER_PAGE)
        .offset(offset)
        .subquery()
    )
    told, of_stock = page.c, (Alert.office_id == page.c.office_id, Alert.item_id == page.c.item_id)
    names = ("office_code", "office_name", "item_code", "level", "day", "early", "late")
    rows = db.session.execute(
        select(*(told[name] for name in names), Alert.id.label("alert_id"))
        .outerjoin(Alert, and_(*of_stock, Alert.subject == Subject.LOW_STOCK.value, Alert.resolved_at.is_(None)))
        .order_by(told.after, told.stockout_on, told.office_code, told.position, told.item_id)
    )
    return tuple(RunOut(**row._mapping) for row in rows)
