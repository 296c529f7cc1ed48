"""How all offices below one stand with an item: rolled up along the tree or one by one, in order, page by page.

What is in the stores and in transit is that of now; levels, use and days are those of each stock's last review. All is
counted in SQL from narrow columns, so that a country is as quick as a district.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from operator import attrgetter, itemgetter
from types import SimpleNamespace
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    String,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal,
    null,
    or_,
    select,
    true,
)
from sqlalchemy.orm import aliased

from inventory.db import db, on_postgresql
from inventory.domain import series
from inventory.domain.access import Action, Actor, Reach, reach, require
from inventory.domain.alerts import SEVERITY, Level
from inventory.domain.stock_overview import PER_PAGE, SORTS, Asking
from inventory.models import Balance, DailyTotal, Item, Office, StoredProjection, SubtreeTrend
from inventory.models.alerts import rank_of
from inventory.models.offices import within
from inventory.services import items, offices
from inventory.services.items import ItemView
from inventory.services.ledger import effect_on
from inventory.services.offices import OfficeView, code_below, in_reach
from inventory.services.projection_inputs import RECENT_DAYS

LEVELS = tuple(level.value for level in Level)
OUT = Level.OUT.value
_TOLD = (Office.id, Office.code, Office.name, Office.path)


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
        return *_TOLD_OF_ROW(self), *_TOLD_OF_FIGURES(self.figures), *self.figures.levels.values()

    @property
    def level(self) -> str | None:
        """Of an office by itself."""
        found = [level for level, count in self.figures.levels.items() if count]
        return found[0] if self.alone and found else None


_TOLD_OF_ROW = attrgetter(*(each.name for each in fields(OverviewRow) if each.name != "figures"))
_TOLD_OF_FIGURES = attrgetter(*(each.name for each in fields(Figures) if each.name != "levels"))


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
        found, rows, whole, asking = _one_by_one(office.path, item.id, allowed, asking)
    else:
        found, rows, whole, asking = _along_the_tree(office, item.id, allowed, asking)
    return Overview(
        office=office,
        item=item,
        asking=asking,
        rows=_with_trends(rows, office, item.id, office.today(now), flat=asking.flat),
        whole=_figures(whole, alone=False),
        reviewed_at=whole.made_at,
        found=found,
    )


def kept_items(actor: Actor, office: OfficeView) -> list[ItemView]:
    """The items in use that any office at or below one ever held, in their order. Raises NotAllowed."""
    require(actor, Action.VIEW_STOCK, office.path)
    allowed = reach(actor, Action.VIEW_STOCK)
    if office.parent_id is None and _sees_all(allowed, office.path):
        return items.active(_EVER_HELD.exists())
    of_subtree = _EVER_HELD.join(Office, Office.id == Balance.office_id).where(within(office.path), in_reach(allowed))
    return items.active(of_subtree.exists())


_EVER_HELD = select(Balance.office_id).where(Balance.item_id == Item.id, Balance.last_seq > 0)


# --- what is counted ---------------------------------------------------------------------------------------------


def _reviewed_level() -> ColumnElement[Any]:
    """SQL: what the last review said, as far as it still holds. What was used up since is out all the same; what was
    refilled since is not known before the next."""
    return case(
        (and_(StoredProjection.level.is_not(None), Balance.store <= 0), Level.OUT.value),
        (_refilled(), null()),
        else_=StoredProjection.level,
    )


def _refilled() -> ColumnElement[bool]:
    return and_(StoredProjection.level == Level.OUT.value, Balance.store > 0)


def _asked_for(asking: Asking) -> list[ColumnElement[bool]]:
    """SQL: of which stocks a list of single offices is."""
    wanted: list[ColumnElement[bool]] = []
    if asking.level:
        wanted.append(_reviewed_level() == asking.level)
    if asking.words:
        wanted.append(_called(asking.words))
    return wanted


def _within_sight(path: str, allowed: Reach) -> list[ColumnElement[bool]]:
    """SQL: the offices below a path that may be seen; nothing is asked of each of them where all may be."""
    if not _sees_all(allowed, path):
        return [within(path), in_reach(allowed)]
    return [within(path)] if path.count("/") > 1 else []


def _called(words: str) -> ColumnElement[bool]:
    """SQL: the office's name has these words in it, or its code begins with them."""
    pattern = words.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return or_(
        func.lower(Office.name).like(f"%{pattern}%", escape="\\"),
        func.lower(Office.code).like(f"{pattern}%", escape="\\"),
    )


def _grouped(item_id: Any, *wanted: ColumnElement[bool], key: Any = None) -> Any:
    """SQL: sums of stocks that are alike: by `key` if there is one, the level that their reviews gave them, and whether
    anything is in the store. What follows from these is worked out for all that are alike at once, see `_Line.add`:
    each column that is worked out stock by stock costs a country a good part of what all the sums do."""
    said, known = StoredProjection, StoredProjection.per_day.is_not(None)
    alike = [*(() if key is None else (key.label("key"),)), said.level, (Balance.store > 0).label("holds")]

    def total(what: Any) -> Any:
        """Whole numbers, not the exact decimals that PostgreSQL adds them up to."""
        return cast(what, BigInteger)

    sums = select(
        *alike,
        func.count().label("holders"),
        total(func.sum(Balance.store)).label("store"),
        total(func.sum(Balance.transit)).label("transit"),
        total(func.sum(said.to_come)).label("to_come"),
        func.sum(said.per_day).label("use"),
        total(func.sum(Balance.store).filter(known)).label("known_store"),
        total(func.sum(said.reorder_point).filter(known)).label("reorder_point"),
        func.min(said.cover_days).label("cover"),
        func.max(Office.lead_time_days).label("lead"),
        func.min(said.next_due_on).label("next_on"),
        func.min(said.stockout_on).label("out_on"),
        func.min(said.stockout_early_on).label("early_on"),
        func.max(case((Balance.synthetic, 1), else_=0)).label("synthetic"),
        func.max(said.made_at).label("made_at"),
    )
    return _of_stocks(sums, item_id, *wanted).group_by(*alike)


def _of_stocks(query: Any, item_id: Any, *wanted: ColumnElement[bool]) -> Any:
    """SQL: of the stocks of an item, with their offices and, where there was one, their last review."""
    said = StoredProjection
    return (
        query.select_from(Balance)
        .join(Office, Office.id == Balance.office_id)
        .outerjoin(said, (said.office_id == Balance.office_id) & (said.item_id == item_id))
        .where(Balance.item_id == item_id, Balance.last_seq > 0, *wanted)
    )


@dataclass(slots=True)
class _Line:
    """Sums of stocks, and how many of them (`own`) are the line's own office's. None for what nobody can tell."""

    id: int = 0
    code: str = ""
    name: str = ""
    path: str = ""
    own: int = 0
    below: int = 0
    trend: Sequence[int] = ()
    trend_on: date | None = None
    holders: int = 0
    store: int = 0
    transit: int = 0
    to_come: int = 0
    use: float | None = None
    known_store: int | None = None
    reorder_point: int | None = None
    cover: float | None = None
    """Of a line with one stock alone; of several it is as if what they have were spread."""
    lead: int | None = None
    next_on: date | None = None
    out_on: date | None = None
    early_on: date | None = None
    levels: dict[str, int] = field(default_factory=dict[str, int])
    synthetic: bool = False
    made_at: datetime | None = None

    def add(self, part: Any) -> None:
        """A row of `_grouped`. What was used up since the last review is out all the same, and does not run out any
        more; what was refilled since is not known before the next."""
        level = OUT if part.level and not part.holds else part.level
        refilled = level == OUT and part.holds
        if level and not refilled:
            self.levels[level] = self.levels.get(level, 0) + part.holders
            if level != OUT:
                self.out_on = _least(self.out_on, part.out_on)
                self.early_on = _least(self.early_on, part.early_on)
        self.cover = part.cover if part.holds else 0.0
        if refilled:
            self.cover = float(part.store) / part.use if part.use else None
        self._sum(part)

    def join(self, other: _Line) -> None:
        """Another line's stocks as well."""
        self.own += other.own
        for level, count in other.levels.items():
            self.levels[level] = self.levels.get(level, 0) + count
        self.out_on = _least(self.out_on, other.out_on)
        self.early_on = _least(self.early_on, other.early_on)
        self._sum(other)

    def _sum(self, part: Any) -> None:
        self.holders += part.holders
        self.store += part.store
        self.transit += part.transit
        self.to_come += part.to_come or 0
        if part.use is not None:
            self.use = (self.use or 0.0) + part.use
        if part.known_store is not None:
            self.known_store = (self.known_store or 0) + part.known_store
        if part.reorder_point is not None:
            self.reorder_point = (self.reorder_point or 0) + part.reorder_point
        self.lead = _most(self.lead, part.lead)
        self.next_on = _least(self.next_on, part.next_on)
        self.synthetic = self.synthetic or bool(part.synthetic)
        self.made_at = _most(self.made_at, part.made_at)

    @property
    def lasts(self) -> float | None:
        """In working days."""
        if self.holders == 1:
            return self.cover
        return self.known_store / self.use if self.use and self.known_store is not None else None

    @property
    def worst(self) -> int | None:
        return max(map(_RANKS.__getitem__, self.levels), default=None)


_RANKS = {level.value: rank for level, rank in SEVERITY.items()}


def _least(one: Any, other: Any) -> Any:
    return other if one is None or (other is not None and other < one) else one


def _most(one: Any, other: Any) -> Any:
    return other if one is None or (other is not None and other > one) else one


Found = tuple[int, Sequence[_Line], _Line, Asking]
"""How many lines there are, those of the page, the sums of all that was asked for, and what page it is."""


@lru_cache(maxsize=4)
def _rolled_up(_dialect: str, *, whole: bool) -> Any:
    """SQL: the sums of all stocks of an item below a path, or of the `whole` tree, by the office right below. Put
    together once: that takes longer than the country's stocks take to be added up."""
    return _by_office_below(*(() if whole else (_below_path(),)))


def _by_office_below(*wanted: ColumnElement[bool]) -> Any:
    key = code_below(Office.path, bindparam("parts", type_=Integer), bindparam("length", type_=Integer))
    return _grouped(bindparam("item_id", type_=Integer), *wanted, key=key)


def _below_path() -> ColumnElement[bool]:
    return and_(Office.path >= bindparam("path", type_=String), Office.path < bindparam("beyond", type_=String))


@lru_cache(maxsize=2)
def _all_lines(_dialect: str) -> Any:
    return _lines(true(), true())


_CHILD = aliased(Office)


def _lines(seen: ColumnElement[bool], seen_below: ColumnElement[bool]) -> Any:
    """SQL: an office and those right below it, each with whether it holds the item itself, how many active offices are
    right below it, and what it and all below it held on the last days."""
    top, item_id = bindparam("office_id", type_=Integer), bindparam("item_id", type_=Integer)
    itself = and_(Balance.office_id == Office.id, Balance.item_id == item_id, Balance.last_seq > 0)
    below = select(func.count()).where(_CHILD.parent_id == Office.id, _CHILD.active, seen_below)
    trend = and_(SubtreeTrend.office_id == Office.id, SubtreeTrend.item_id == item_id, Office.parent_id == top)
    return (
        select(
            *_TOLD,
            Office.active,
            case((Balance.office_id.is_not(None), 1), else_=0).label("own"),
            below.scalar_subquery().label("below"),
            SubtreeTrend.on_day,
            SubtreeTrend.stores,
        )
        .select_from(Office)
        .outerjoin(Balance, itself)
        .outerjoin(SubtreeTrend, trend)
        .where(or_(Office.id == top, Office.parent_id == top), seen)
    )


def _along_the_tree(office: OfficeView, item_id: int, allowed: Reach, asking: Asking) -> Found:
    """The office by itself and those right below, which are few: all are read, in one go over the stocks. Offices
    right below are there even when they hold nothing."""
    dialect, whole = db.engine.dialect.name, office.path.count("/") == 1
    if _sees_all(allowed, office.path):
        told, summed = _all_lines(dialect), _rolled_up(dialect, whole=whole)
    else:
        seen = in_reach(allowed)
        told, summed = _lines(seen, in_reach(allowed, _CHILD)), _by_office_below(_below_path(), seen)
    asked = {"path": office.path, "beyond": office.path + "~", "item_id": item_id}
    asked |= {"parts": office.path.count("/"), "length": len(office.path)}
    lines: dict[str, _Line] = defaultdict(_Line)
    for part in db.session.execute(summed, asked):
        lines[part.key].add(part)
    rows = []
    for row in db.session.execute(told, {"office_id": office.id, "item_id": item_id}):
        itself = row.id == office.id
        line = lines["" if itself else row.code]
        if row.own if itself else row.active or line.holders:
            rows.append(_named(line, row))
            line.own = row.own
            line.below = row.below
            if not itself and row.stores is not None and _sees_all(allowed, row.path):
                line.trend, line.trend_on = row.stores, row.on_day
    together = _together(rows)
    rows = _sorted(rows, asking)
    asking = _within(asking, len(rows))
    first = (asking.page - 1) * PER_PAGE
    return len(rows), rows[first : first + PER_PAGE], together, asking


def _named(line: _Line, office: Any) -> _Line:
    line.id, line.code, line.name, line.path = office.id, office.code, office.name, office.path
    return line


def _alone(stock: Any) -> _Line:
    """The line of one stock, a row of `_each`."""
    line = _named(_Line(), stock)
    line.own = 1
    told: dict[str, Any] = dict(stock._mapping) | {"holders": 1, "known_store": None}
    known = {"known_store": stock.store} if stock.use is not None else {"reorder_point": None}
    line.add(SimpleNamespace(**(told | known)))
    return line


def _together(lines: Iterable[_Line]) -> _Line:
    whole = _Line()
    for line in lines:
        whole.join(line)
    return whole


def _sorted(rows: Sequence[_Line], asking: Asking) -> list[_Line]:
    """As `_order` has it: what is not known comes last, whichever way round; equals by their code."""

    def by(name: str) -> Callable[[_Line], Any]:
        return lambda row: getattr(row, name) if row.holders else None

    wanted: dict[str, list[Callable[[_Line], Any]]] = {
        "level": [by("worst"), lambda row: None if row.out_on is None else -row.out_on.toordinal()],
        "office": [lambda row: row.name.lower()],
        "next": [by("next_on")],
        "out": [lambda row: date.min if row.levels.get(OUT) else row.out_on],
        "cover": [by("lasts")],
        **{name: [by(name)] for name in ("store", "transit", "to_come", "use")},
    }
    found = sorted(rows, key=lambda row: row.code)
    for key in reversed(wanted[asking.sort if asking.sort in SORTS else "level"]):
        keyed = [(key(row), row) for row in found]
        known = [each for each in keyed if each[0] is not None]
        known.sort(key=itemgetter(0), reverse=asking.down)
        found = [row for _, row in known] + [row for value, row in keyed if value is None]
    return found


def _one_by_one(path: str, item_id: int, allowed: Reach, asking: Asking) -> Found:
    """A page of single offices, and the sums of all."""
    wanted = *_within_sight(path, allowed), *_asked_for(asking)
    whole = _Line()
    for part in db.session.execute(_grouped(item_id, *wanted)):
        whole.add(part)
    asking = _within(asking, whole.holders)
    page = _each(item_id, *wanted).order_by(*_order(asking))
    page = page.limit(PER_PAGE).offset((asking.page - 1) * PER_PAGE)
    return whole.holders, [_alone(row) for row in db.session.execute(page)], whole, asking


def _each(item_id: int, *wanted: ColumnElement[bool]) -> Any:
    """SQL: each stock by itself, in the columns of `_grouped` as they are kept."""
    said = StoredProjection
    return _of_stocks(
        select(
            *_TOLD,
            said.level,
            (Balance.store > 0).label("holds"),
            Balance.store,
            Balance.transit,
            said.to_come,
            said.per_day.label("use"),
            said.reorder_point,
            said.cover_days.label("cover"),
            Office.lead_time_days.label("lead"),
            said.next_due_on.label("next_on"),
            said.stockout_on.label("out_on"),
            said.stockout_early_on.label("early_on"),
            Balance.synthetic,
            said.made_at,
        ),
        item_id,
        *wanted,
    )


def _within(asking: Asking, found: int) -> Asking:
    """The same, on the last page when there are not so many."""
    return replace(asking, page=min(max(asking.page, 1), max(1, -(-found // PER_PAGE))))


def _order(asking: Asking) -> list[Any]:
    """SQL: what is not known comes last, whichever way round; equals by their code."""
    said, level = StoredProjection, _reviewed_level()
    is_out = level == Level.OUT.value
    out_on = case((~is_out, said.stockout_on))
    refilled = case((said.per_day > 0, Balance.store / said.per_day))
    wanted: dict[str, list[Any]] = {
        "level": [rank_of(level), _minus(out_on)],
        "office": [func.lower(Office.name)],
        "next": [said.next_due_on],
        "out": [case((is_out, literal(date.min)), else_=out_on)],
        "store": [Balance.store],
        "transit": [Balance.transit],
        "to_come": [func.coalesce(said.to_come, 0)],
        "use": [said.per_day],
        "cover": [case((Balance.store <= 0, 0.0), (_refilled(), refilled), else_=said.cover_days)],
    }
    order: list[Any] = []
    for key in wanted[asking.sort if asking.sort in SORTS else "level"]:
        order += [case((key.is_(None), 1), else_=0), key.desc() if asking.down else key]
    return [*order, Office.code]


def _minus(day: ColumnElement[Any]) -> ColumnElement[Any]:
    """SQL: a number that is the larger the sooner the day."""
    if on_postgresql():
        return literal(date(2000, 1, 1)) - day
    return -func.julianday(day)


# --- one page ----------------------------------------------------------------------------------------------------


def _figures(line: _Line, *, alone: bool) -> Figures:
    """Of a line, or of all together."""
    use = line.use
    spread = line.known_store / use if use and line.known_store is not None else None
    return Figures(
        holders=line.holders,
        store=line.store,
        transit=line.transit,
        to_come=line.to_come,
        use=use,
        cover=line.cover if alone else spread,
        reorder=line.reorder_point / use if use and line.reorder_point is not None else None,
        lead=line.lead,
        next_on=line.next_on,
        out_on=line.out_on,
        early_on=line.early_on,
        levels={level: line.levels.get(level, 0) for level in LEVELS},
        synthetic=line.synthetic,
    )


def _with_trends(
    lines: Sequence[_Line], office: OfficeView, item_id: int, today: date, *, flat: bool
) -> tuple[OverviewRow, ...]:
    """The trend of a single office goes up to today; that of several the review has added up."""
    alone = {line.id for line in lines if flat or line.id == office.id or line.holders == line.own > 0}
    trends = _closings({line.id: line.store for line in lines if line.id in alone}, item_id, today)
    return tuple(
        OverviewRow(
            office_id=line.id,
            code=line.code,
            name=line.name,
            path=line.path,
            figures=_figures(line, alone=line.id in alone),
            alone=line.id in alone,
            below=line.below,
            trend=tuple(trends.get(line.id, ()) if line.id in alone else line.trend),
            trend_on=today if line.id in trends else line.trend_on,
        )
        for line in lines
    )


def of_subtrees(actor: Actor, tops: Sequence[OfficeView], item_id: int) -> dict[str, tuple[Figures, bool]]:
    """The Figures of each office with all below it, as far as the actor may see them, by its path; and whether it is
    the only one of them that ever held the item. One query, however many offices."""
    top = aliased(Office)
    below = and_(Office.path >= top.path, Office.path < top.path + "~")
    allowed = reach(actor, Action.VIEW_STOCK)
    seen = () if all(_sees_all(allowed, each.path) for each in tops) else (in_reach(allowed),)
    lines: dict[str, _Line] = defaultdict(_Line)
    grouped = _grouped(item_id, *seen, key=top.path).join(top, below).where(top.id.in_([each.id for each in tops]))
    own: Counter[str] = Counter()
    for part in db.session.execute(grouped.add_columns(func.sum(case((Office.id == top.id, 1), else_=0)).label("own"))):
        lines[part.key].add(part)
        own[part.key] += part.own
    alone = {path: line.holders == own[path] for path, line in lines.items()}
    return {path: (_figures(line, alone=alone[path]), alone[path]) for path, line in lines.items()}


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
    moved: dict[int, dict[int, int]] = defaultdict(dict)
    for office_id, day, by in rows:
        moved[office_id][(today - day).days] = int(by)
    return {
        office_id: series.stores_before(store, moved[office_id], RECENT_DAYS) for office_id, store in stores.items()
    }
