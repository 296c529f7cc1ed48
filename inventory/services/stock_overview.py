"""How all offices below one stand with an item: rolled up along the tree or one by one, in order, page by page.

What is in the stores and in transit is that of now; levels, use and days are those of each stock's last review. All is
counted in SQL from narrow columns, so that a country is as quick as a district.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from operator import add
from types import SimpleNamespace
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    String,
    Subquery,
    and_,
    bindparam,
    case,
    func,
    literal,
    null,
    or_,
    select,
    true,
)
from sqlalchemy.orm import aliased

from inventory.db import db
from inventory.domain import series
from inventory.domain.access import Action, Actor, Reach, reach, require
from inventory.domain.alerts import SEVERITY, Level
from inventory.domain.series import Moved
from inventory.domain.stock_overview import PER_PAGE, SORTS, Asking
from inventory.models import Balance, DailyTotal, Item, Office, StoredProjection
from inventory.models.alerts import rank_of
from inventory.models.offices import within
from inventory.services import items, offices, subtree_trends
from inventory.services.items import ItemView
from inventory.services.ledger import effect_on
from inventory.services.offices import OfficeView, in_reach
from inventory.services.projection_inputs import RECENT_DAYS

LEVELS = tuple(level.value for level in Level)
_TOLD = (Office.id, Office.code, Office.name, Office.path)
SUMS = ("holders", "store", "transit", "to_come", "use")


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What some offices have of an item, and what the last reviews say of it.

    `holders`: how many of them ever held it. `use` a working day, None where nobody can tell; `cover` in working days:
    of one office as its review says, of several as if what they have were spread as they use it. `reorder` is their
    reorder points in days of their use, `lead` the longest lead time. `next_on`, `out_on` and `early_on` are the first
    of any of them; None for none in sight. `levels` counts them.
    """

    holders: int
    store: int
    transit: int
    to_come: int
    use: float | None
    cover: float | None
    reorder: float | None
    lead: int | None
    next_on: date | None
    out_on: date | None
    early_on: date | None
    levels: Mapping[str, int]
    synthetic: bool


@dataclass(frozen=True, kw_only=True)
class OverviewRow:
    """One line: an office with all below it, or an office by itself (`alone`). `trend` is what was in the store at
    the close of the last days, the last being `trend_on`; empty where nobody has added it up."""

    office_id: int
    code: str
    name: str
    path: str
    figures: Figures
    alone: bool
    below: int
    """How many offices are right below, for opening the line; 0 where it is the office by itself."""
    trend: tuple[int, ...]
    trend_on: date | None

    @property
    def told(self) -> tuple[Any, ...]:
        """All that there is to tell of it, as one value."""
        figures = {**vars(self.figures), "levels": tuple(self.figures.levels.items())}
        return *figures.values(), *(value for name, value in vars(self).items() if name != "figures")

    @property
    def level(self) -> str | None:
        """Of an office by itself."""
        found = [level for level, count in self.figures.levels.items() if count]
        return found[0] if self.alone and found else None


@dataclass(frozen=True, kw_only=True)
class Overview:
    """One page of lines, `found` in all, and the sums of all that were asked for. `reviewed_at` (aware UTC) is when
    the last of them was reviewed; None before."""

    office: OfficeView
    item: ItemView
    asking: Asking
    rows: tuple[OverviewRow, ...]
    whole: Figures
    reviewed_at: datetime | None
    found: int

    @property
    def pages(self) -> int:
        return max(1, -(-self.found // PER_PAGE))


def of_office(actor: Actor, now: datetime, office_code: str, item_code: str, asking: Asking) -> Overview:
    """How the offices at and below one stand with an item, as far as the actor may see them.

    A handful of queries, however many offices there are. Raises NotFound `office_not_found`, `item_not_found`;
    NotAllowed.
    """
    return below(actor, now, offices.get(actor, Action.VIEW_STOCK, office_code), items.get(item_code), asking)


def below(actor: Actor, now: datetime, office: OfficeView, item: ItemView, asking: Asking) -> Overview:
    """The same, for who has looked up the office and the item. Raises NotAllowed."""
    require(actor, Action.VIEW_STOCK, office.path)
    allowed = reach(actor, Action.VIEW_STOCK)
    if asking.flat:
        stocks = _stocks(within(office.path), item.id, in_reach(allowed), asking)
        found, rows, whole, asking = _one_by_one(stocks, asking)
    else:
        found, rows, whole, asking = _along_the_tree(office, item.id, allowed, asking)
    return Overview(
        office=office,
        item=item,
        asking=asking,
        rows=_with_trends(rows, office, item.id, allowed, office.today(now), flat=asking.flat),
        whole=_figures(whole, alone=False),
        reviewed_at=whole.made_at,
        found=found,
    )


def kept_items(actor: Actor, office: OfficeView) -> list[ItemView]:
    """The items in use that any office at or below one ever held, in their order. Raises NotAllowed."""
    require(actor, Action.VIEW_STOCK, office.path)
    allowed = reach(actor, Action.VIEW_STOCK)
    of_item = select(Balance.office_id).where(Balance.item_id == Item.id, Balance.last_seq > 0)
    if office.parent_id is not None or not _sees_all(allowed, office.path):
        of_item = of_item.join(Office, Office.id == Balance.office_id).where(within(office.path), in_reach(allowed))
    return items.active(of_item.exists())


# --- what is counted ---------------------------------------------------------------------------------------------


def _stocks(where: ColumnElement[bool], item_id: Any, seen: ColumnElement[bool], asking: Asking) -> Subquery:
    """SQL: each stock of the item in these offices, as far as it was asked for."""
    reviewed = StoredProjection.level.is_not(None)
    # What was used up since the last review is out all the same; what was refilled since is not known before the next.
    refilled = and_(StoredProjection.level == Level.OUT.value, Balance.store > 0)
    level = case(
        (and_(reviewed, Balance.store <= 0), Level.OUT.value), (refilled, null()), else_=StoredProjection.level
    )
    is_out = level == Level.OUT.value
    wanted = [Balance.item_id == item_id, Balance.last_seq > 0, where, seen]
    if asking.level:
        wanted.append(level == asking.level)
    if asking.words:
        wanted.append(_called(asking.words))
    return (
        select(
            Office.path,
            Office.lead_time_days.label("lead"),
            Balance.store,
            Balance.transit,
            case((Balance.synthetic, 1), else_=0).label("synthetic"),
            level.label("level"),
            StoredProjection.per_day.label("use"),
            case(
                (Balance.store <= 0, 0.0),
                (refilled, case((StoredProjection.per_day > 0, Balance.store / StoredProjection.per_day))),
                else_=StoredProjection.cover_days,
            ).label("cover"),
            StoredProjection.reorder_point.label("reorder"),
            func.coalesce(StoredProjection.to_come, 0).label("to_come"),
            StoredProjection.next_due_on.label("next_on"),
            case((~is_out, StoredProjection.stockout_on)).label("out_on"),
            case((~is_out, StoredProjection.stockout_early_on)).label("early_on"),
            StoredProjection.made_at,
        )
        .select_from(Balance)
        .join(Office, Office.id == Balance.office_id)
        .outerjoin(
            StoredProjection,
            (StoredProjection.office_id == Balance.office_id) & (StoredProjection.item_id == Balance.item_id),
        )
        .where(*wanted)
        .subquery()
    )


def _called(words: str) -> ColumnElement[bool]:
    """SQL: the office's name has these words in it, or its code begins with them."""
    pattern = words.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return or_(
        func.lower(Office.name).like(f"%{pattern}%", escape="\\"),
        func.lower(Office.code).like(f"{pattern}%", escape="\\"),
    )


def _first_below(column: ColumnElement[str], dialect: str) -> ColumnElement[str]:
    """SQL: the code of the office right below the path of so many parts, or letters, that an office belongs to; empty
    for the office at the path."""
    if dialect == "postgresql":
        return func.split_part(column, "/", bindparam("parts", type_=Integer) + 1)
    rest = func.substr(column, bindparam("length", type_=Integer) + 1)
    return func.substr(rest, 1, func.instr(rest, "/") - 1)


def _sums(stocks: Subquery) -> list[ColumnElement[Any]]:
    """SQL: the Figures of some stocks, and how many of them are the line's own office's."""
    column = stocks.c

    def total(what: Any) -> Any:
        return func.coalesce(func.sum(what), 0)

    def known(what: Any) -> Any:
        return case((column.use.is_not(None), what))

    return [
        func.count(column.path).label("holders"),
        total(case((column.path == column.key, 1), else_=0)).label("own"),
        *(total(column[name]).label(name) for name in ("store", "transit", "to_come")),
        func.sum(column.use).label("use"),
        func.sum(known(column.store)).label("known_store"),
        func.sum(known(column.reorder)).label("reorder_point"),
        func.min(column.cover).label("least_cover"),
        func.max(column.lead).label("lead"),
        func.min(column.next_on).label("next_on"),
        func.min(column.out_on).label("out_on"),
        func.min(column.early_on).label("early_on"),
        func.max(rank_of(column.level)).label("worst"),
        *(total(case((column.level == level, 1), else_=0)).label(f"level_{level}") for level in LEVELS),
        total(column.synthetic).label("synthetic"),
        func.max(column.made_at).label("made_at"),
    ]


Found = tuple[int, Sequence[Any], Any, Asking]
"""How many lines there are, those of the page, the sums of all that was asked for, and what page it is."""


@lru_cache(maxsize=2)
def _rolled_up(dialect: str) -> Select[Any]:
    """SQL: the sums of all stocks of an item below a path, by the office right below and by level. Put together once:
    that takes longer than the country's stocks take to be added up."""
    return _by_office_and_level(dialect, true())


def _by_office_and_level(dialect: str, seen: ColumnElement[bool]) -> Select[Any]:
    top = bindparam("path", type_=String)
    where = and_(Office.path >= top, Office.path < bindparam("beyond", type_=String))
    stocks = _stocks(where, bindparam("item_id", type_=Integer), seen, Asking())
    keyed = select(stocks, _first_below(stocks.c.path, dialect).label("key")).subquery()
    column = keyed.c
    own_length = bindparam("length", type_=Integer) + func.length(column.key) + 1

    def known(what: Any) -> Any:
        return case((column.use.is_not(None), what))

    return select(
        column.key,
        column.level,
        func.count().label("holders"),
        func.sum(case((or_(column.key == "", func.length(column.path) == own_length), 1), else_=0)).label("own"),
        *(func.sum(column[name]).label(name) for name in ("store", "transit", "to_come", "use")),
        func.sum(known(column.store)).label("known_store"),
        func.sum(known(column.reorder)).label("reorder_point"),
        func.min(column.cover).label("least_cover"),
        func.max(column.lead).label("lead"),
        *(func.min(column[name]).label(name) for name in ("next_on", "out_on", "early_on")),
        func.max(column.synthetic).label("synthetic"),
        func.max(column.made_at).label("made_at"),
    ).group_by(column.key, column.level)


@lru_cache(maxsize=2)
def _lines(_dialect: str) -> Any:
    """SQL: an office and those right below it."""
    top = bindparam("office_id", type_=Integer)
    return select(*_TOLD, Office.parent_id, Office.active).where(or_(Office.id == top, Office.parent_id == top))


def _along_the_tree(office: OfficeView, item_id: int, allowed: Reach, asking: Asking) -> Found:
    """The office by itself and those right below, which are few: all are read, in one go over the stocks. Offices
    right below are there even when they hold nothing."""
    dialect, seen, all_seen = db.engine.dialect.name, in_reach(allowed), _sees_all(allowed, office.path)
    told = _lines(dialect) if all_seen else _lines(dialect).where(seen)
    summed = _rolled_up(dialect) if all_seen else _by_office_and_level(dialect, seen)
    asked = {"path": office.path, "beyond": office.path + "~", "item_id": item_id}
    asked |= {"parts": office.path.count("/"), "length": len(office.path)}
    parts: dict[str, list[Any]] = defaultdict(list)
    for part in db.session.execute(summed, asked).all():
        parts[part.key].append(SimpleNamespace(**part._mapping, **_counted(part)))
    rows = []
    for row in db.session.execute(told, {"office_id": office.id}).all():
        line = _together(parts["" if row.id == office.id else row.code])
        if line.own if row.id == office.id else row.active or line.holders:
            line.id, line.code, line.name, line.path = row.id, row.code, row.name, row.path
            rows.append(line)
    rows = _sorted(rows, asking)
    asking = _within(asking, len(rows))
    first = (asking.page - 1) * PER_PAGE
    return len(rows), rows[first : first + PER_PAGE], _together(rows), asking


def _counted(part: Any) -> dict[str, int]:
    """How many have each level, of some that have the same."""
    return {f"level_{part.level}": part.holders, "worst": SEVERITY[Level(part.level)]} if part.level else {}


def _sorted(rows: Sequence[Any], asking: Asking) -> list[Any]:
    """As `_order` has it: what is not known comes last, whichever way round; equals by their code."""

    def cover(row: Any) -> float | None:
        spread = float(row.known_store) / row.use if row.use else None
        return row.least_cover if row.holders == 1 else spread

    def by(name: str) -> Callable[[Any], Any]:
        return lambda row: getattr(row, name)

    wanted: dict[str, list[Callable[[Any], Any]]] = {
        "level": [by("worst"), lambda row: None if row.out_on is None else -row.out_on.toordinal()],
        "office": [lambda row: row.name.lower()],
        "next": [by("next_on")],
        "out": [lambda row: date.min if row.level_out else row.out_on],
        "cover": [cover],
        **{name: [by(name)] for name in ("store", "transit", "to_come", "use")},
    }
    found = sorted(rows, key=lambda row: row.code)
    for key in reversed(wanted[asking.sort if asking.sort in SORTS else "level"]):
        known = [row for row in found if key(row) is not None]
        found = sorted(known, key=key, reverse=asking.down) + [row for row in found if key(row) is None]
    return found


def _one_by_one(stocks: Subquery, asking: Asking) -> Found:
    """A page of single offices: first which, then what there is to tell of them."""
    alone = select(stocks, stocks.c.path.label("key")).subquery()
    whole = db.session.execute(select(*_sums(alone))).one()
    asking = _within(asking, whole.holders)
    column = stocks.c
    keys = {name: column[name] for name in ("store", "transit", "to_come", "use", "cover", "next_on", "out_on")}
    keys |= {"worst": rank_of(column.level), "is_out": column.level == Level.OUT.value}
    paths = db.session.scalars(
        select(column.path)
        .join(Office, Office.path == column.path)
        .order_by(*_order(keys, asking))
        .limit(PER_PAGE)
        .offset((asking.page - 1) * PER_PAGE)
    ).all()
    sums = select(alone.c.key, *_sums(alone)).where(alone.c.path.in_(paths)).group_by(alone.c.key).subquery()
    rows = db.session.execute(select(*_TOLD, sums).join(sums, Office.path == sums.c.key)).all()
    place = {path: number for number, path in enumerate(paths)}
    return whole.holders, sorted(rows, key=lambda row: place[row.path]), whole, asking


def _within(asking: Asking, found: int) -> Asking:
    """The same, on the last page when there are not so many."""
    return replace(asking, page=min(max(asking.page, 1), max(1, -(-found // PER_PAGE))))


def _together(rows: Iterable[Any]) -> Any:
    """The sums of lines, as one line."""
    found: dict[str, Any] = dict.fromkeys(_JOINS)
    for row in rows:
        for name, value in vars(row).items():
            if value is not None and name in found:
                before = found[name]
                found[name] = value if before is None else _JOINS[name](before, value)
    return SimpleNamespace(**found)


_JOINS: dict[str, Callable[[Any, Any], Any]] = {
    **dict.fromkeys((*SUMS, "own", "known_store", "reorder_point", *(f"level_{level}" for level in LEVELS)), add),
    **dict.fromkeys(("lead", "made_at", "worst", "synthetic"), max),
    **dict.fromkeys(("next_on", "out_on", "early_on", "least_cover"), min),
}
"""How what is told of several lines is told of them together."""


def _order(keys: Mapping[str, Any], asking: Asking) -> list[Any]:
    """SQL: what is not known comes last, whichever way round; equals by their code."""
    wanted: dict[str, list[Any]] = {
        "level": [keys["worst"], _minus(keys["out_on"])],
        "office": [func.lower(Office.name)],
        "next": [keys["next_on"]],
        "out": [case((keys["is_out"], literal(date.min)), else_=keys["out_on"])],
        **{name: [keys[name]] for name in ("store", "transit", "to_come", "use", "cover")},
    }
    order: list[Any] = []
    for key in wanted[asking.sort if asking.sort in SORTS else "level"]:
        order += [case((key.is_(None), 1), else_=0), key.desc() if asking.down else key]
    return [*order, Office.code]


def _minus(day: ColumnElement[Any]) -> ColumnElement[Any]:
    """SQL: a number that is the larger the sooner the day."""
    if db.engine.dialect.name == "postgresql":
        return literal(date(2000, 1, 1)) - day
    return -func.julianday(day)


# --- one page ----------------------------------------------------------------------------------------------------


def _figures(row: Any, *, alone: bool) -> Figures:
    """Of a line, or of all together; a line without any stock has no sums at all."""
    use = float(row.use) if row.use is not None else None
    spread = float(row.known_store) / use if use else None
    cover = row.least_cover if alone else spread
    return Figures(
        holders=int(row.holders or 0),
        store=int(row.store or 0),
        transit=int(row.transit or 0),
        to_come=int(row.to_come or 0),
        use=use,
        cover=None if cover is None else float(cover),
        reorder=float(row.reorder_point) / use if use and row.reorder_point is not None else None,
        lead=row.lead,
        next_on=row.next_on,
        out_on=row.out_on,
        early_on=row.early_on,
        levels={level: int(getattr(row, f"level_{level}") or 0) for level in LEVELS},
        synthetic=bool(row.synthetic),
    )


def _with_trends(
    rows: Sequence[Any], office: OfficeView, item_id: int, allowed: Reach, today: date, *, flat: bool
) -> tuple[OverviewRow, ...]:
    below = {} if flat else _right_below(office, allowed)
    alone = {row.id for row in rows if flat or row.id == office.id or (row.holders or 0) == (row.own or 0) > 0}
    together = [row.id for row in rows if row.id not in alone and _sees_all(allowed, row.path)]
    trends = dict(subtree_trends.of_offices(together, item_id))
    stores = {row.id: int(row.store) for row in rows if row.id in alone}
    trends |= {office_id: (today, stores) for office_id, stores in _closings(stores, item_id, today).items()}
    return tuple(
        OverviewRow(
            office_id=row.id,
            code=row.code,
            name=row.name,
            path=row.path,
            figures=_figures(row, alone=row.id in alone),
            alone=row.id in alone,
            below=below.get(row.id, 0),
            trend=tuple(trends[row.id][1]) if row.id in trends else (),
            trend_on=trends[row.id][0] if row.id in trends else None,
        )
        for row in rows
    )


def of_subtrees(actor: Actor, tops: Sequence[OfficeView], item_id: int) -> dict[str, tuple[Figures, bool]]:
    """The Figures of each office with all below it, as far as the actor may see them, by its path; and whether it is
    the only one of them that ever held the item. One query, however many offices."""
    top = aliased(Office)
    seen = in_reach(reach(actor, Action.VIEW_STOCK))
    stocks = _stocks(or_(*(within(each.path) for each in tops)), item_id, seen, Asking())
    under = and_(stocks.c.path >= top.path, stocks.c.path < top.path + "~")
    keyed = (
        select(stocks, top.path.label("key")).join(top, under).where(top.id.in_([each.id for each in tops])).subquery()
    )
    rows = db.session.execute(select(keyed.c.key, *_sums(keyed)).group_by(keyed.c.key))
    return {row.key: (_figures(row, alone=row.holders == row.own), row.holders == row.own) for row in rows}


@lru_cache(maxsize=2)
def _counts(_dialect: str) -> Any:
    """SQL: how many active offices are right below each of those right below one."""
    middle = aliased(Office)
    counted = select(Office.parent_id, func.count()).join(middle, middle.id == Office.parent_id)
    return counted.where(middle.parent_id == bindparam("office_id"), Office.active).group_by(Office.parent_id)


def _right_below(office: OfficeView, allowed: Reach) -> dict[int, int]:
    query = _counts(db.engine.dialect.name)
    if not _sees_all(allowed, office.path):
        query = query.where(in_reach(allowed))
    rows: Any = db.session.execute(query, {"office_id": office.id})
    return {row[0]: row[1] for row in rows}


def sees_all(actor: Actor, path: str) -> bool:
    """Whether the actor may see the stock of the office with this path and of all below it."""
    return _sees_all(reach(actor, Action.VIEW_STOCK), path)


def _sees_all(allowed: Reach, path: str) -> bool:
    return allowed.everywhere or any(path.startswith(top) for top in allowed.subtrees)


def closings(office_ids: Sequence[int], item_id: int, today: date) -> dict[int, list[int]]:
    """What each office by itself had in its store at the close of the last RECENT_DAYS calendar days up to `today`.
    One query for the stores, one for the days. It asks for no permission: callers have."""
    rows = db.session.execute(
        select(Balance.office_id, Balance.store).where(Balance.office_id.in_(office_ids), Balance.item_id == item_id)
    )
    return _closings({office_id: int(store) for office_id, store in rows}, item_id, today)


def _closings(stores: Mapping[int, int], item_id: int, today: date) -> dict[int, list[int]]:
    """Back from what is in the stores now, by what the daily totals say of each day."""
    if not stores:
        return {}
    first = today - timedelta(days=RECENT_DAYS - 1)
    change = func.sum(effect_on(DailyTotal, "store"))
    rows = db.session.execute(
        select(DailyTotal.office_id, DailyTotal.day, change)
        .where(
            DailyTotal.office_id.in_(stores),
            DailyTotal.item_id == item_id,
            DailyTotal.day > first,
        )
        .group_by(DailyTotal.office_id, DailyTotal.day)
    )
    moved: dict[int, dict[date, Moved]] = defaultdict(dict)
    for office_id, day, by in rows:
        moved[office_id][day] = Moved(change=int(by))
    return {
        office_id: [each.store for each in series.closings(store, moved[office_id], first, today)]
        for office_id, store in stores.items()
    }
