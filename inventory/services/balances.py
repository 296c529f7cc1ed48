"""Balances: where an office's blanks are, today, on a past day, as known at an instant, and rolled up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import CompoundSelect, Select, and_, bindparam, func, or_, select, true, union_all

from inventory.db import db
from inventory.domain.access import Action, Actor, Reach, reach
from inventory.domain.ledger import FIGURES, NOTHING, Effect, effect_of
from inventory.domain.printable import Consumable, Printable, printable
from inventory.models import Balance, DailyTotal, Item, Movement, Office, StoredProjection
from inventory.models.offices import within
from inventory.services import items, offices
from inventory.services.items import ItemView
from inventory.services.offices import OfficeView, in_reach


@dataclass(frozen=True, kw_only=True)
class ItemBalance:
    """An office's figures for one item, and what the last review said of it.

    `level`, `cover_days` (working days) and `stockout_on` are None before the first review.
    """

    item_code: str
    figures: Effect
    last_on: date | None
    synthetic: bool
    level: str | None = None
    cover_days: float | None = None
    stockout_on: date | None = None
    first_to_run_out: tuple[str, date] | None = None
    """Of a blank, which item stops the printing first (its own code, a ribbon's or a film's), and when."""

    @property
    def store(self) -> int:
        return self.figures.store


@dataclass(frozen=True, kw_only=True)
class RolledUp:
    """A subtree's store and transit per item code, how many of its offices hold that item, and how many have
    each alert level in the last review."""

    office: OfficeView
    store: Mapping[str, int]
    transit: Mapping[str, int]
    offices: Mapping[str, int]
    levels: Mapping[str, Mapping[str, int]]
    synthetic: bool


def of_office(actor: Actor, office_code: str) -> list[ItemBalance]:
    """The office's balance of each item that it ever held, in the items' order."""
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    rows: Any = db.session.execute(
        _balances().where(Balance.office_id == office.id, Balance.last_seq > 0).order_by(Item.position)
    )
    return [_item_balance(balance, code, level, facts or {}) for balance, code, level, facts in rows]


@dataclass(frozen=True, kw_only=True)
class PlacedBalance:
    """An item's figures at one of several offices."""

    office_code: str
    item_id: int
    balance: ItemBalance


def listed(
    actor: Actor, *, under: str | None, item_code: str | None, after: tuple[str, int] | None, limit: int
) -> list[PlacedBalance]:
    """Balances of the offices in reach, by office code and item, after those of the key `after` (office code, item
    id): at or below the office with code `under`, of one item only. Raises NotFound, NotAllowed for `under`."""
    query = _balances().join(Office, Office.id == Balance.office_id).add_columns(Office.code.label("office"))
    query = query.where(in_reach(reach(actor, Action.VIEW_STOCK)), Balance.last_seq > 0)
    if under is not None:
        query = query.where(within(offices.get(actor, Action.VIEW_STOCK, under).path))
    if item_code is not None:
        query = query.where(Balance.item_id == items.get(item_code).id)
    order = offices.by_code()
    if after is not None:
        query = query.where(or_(order > after[0], and_(order == after[0], Balance.item_id > after[1])))
    rows: Any = db.session.execute(query.order_by(order, Balance.item_id).limit(limit))
    return [
        PlacedBalance(
            office_code=office, item_id=balance.item_id, balance=_item_balance(balance, code, level, facts or {})
        )
        for balance, code, level, facts, office in rows
    ]


def _balances() -> Any:
    return (
        select(Balance, Item.code, StoredProjection.level, StoredProjection.facts)
        .join(Item, Item.id == Balance.item_id)
        .outerjoin(
            StoredProjection,
            (StoredProjection.office_id == Balance.office_id) & (StoredProjection.item_id == Balance.item_id),
        )
    )


def printable_cards(found: Sequence[ItemBalance], kept: Sequence[ItemView]) -> dict[str, Printable]:
    """How many cards of each blank an office can print with its ribbons and films, by item code: `found` are its
    balances, `kept` the items in use."""
    stores = {each.item_code: each.store for each in found}
    consumables = {
        item.code: Consumable(units=stores.get(item.code), prints_per_unit=item.prints_per_unit)
        for item in kept
        if item.prints_per_unit is not None
    }
    blanks = [item.code for item in kept if item.is_blank and item.code in stores]
    return {code: printable(stores[code], consumables) for code in blanks}


def as_of(actor: Actor, office_code: str, item_code: str, day: date) -> Effect:
    """The closing figures of `day` as they are known now. Costs a row per later day, not per movement."""
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    item = items.get(item_code)
    return _figures_less(_CLOSING, office=office.id, item=item.id, day=day)


def as_known_at(actor: Actor, office_code: str, item_code: str, day: date, known_at: datetime) -> Effect:
    """The closing figures of `day` as they were known at the instant `known_at` (aware): without what was recorded
    after it. Costs a row per later day and per movement recorded since."""
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    item = items.get(item_code)
    return _figures_less(_KNOWN, office=office.id, item=item.id, day=day, known_at=known_at)


def day_summary(actor: Actor, office_code: str, day: date) -> dict[str, dict[tuple[str, str], int]]:
    """What a day's movements add up to: item code → (kind, reason) → quantity, reversals taken off."""
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    rows = db.session.execute(
        select(Item.code, DailyTotal.kind, DailyTotal.reason, DailyTotal.quantity)
        .join(Item, Item.id == DailyTotal.item_id)
        .where(DailyTotal.office_id == office.id, DailyTotal.day == day, DailyTotal.quantity > 0)
        .order_by(Item.position)
    )
    summary: dict[str, dict[tuple[str, str], int]] = defaultdict(dict)
    for code, kind, reason, quantity in rows:
        summary[code][kind, reason] = quantity
    return dict(summary)


def rolled_up(actor: Actor, office_code: str) -> tuple[RolledUp, list[RolledUp]]:
    """A subtree's balances, and those of each office right below it. Both hold what the actor may see of the
    subtree, and no more. Raises NotFound, NotAllowed.
    """
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    allowed = reach(actor, Action.VIEW_STOCK)
    below = [child for child in offices.children(actor, Action.VIEW_STOCK, office) if allowed.includes(child.path)]
    sums = {child.path: _Sums() for child in below}
    whole = _Sums()
    depth = office.path.count("/") + 1
    for row in _stock_rows(office.path, allowed):
        whole.add(row)
        top = "/".join(row.path.split("/")[:depth]) + "/"
        if top in sums:
            sums[top].add(row)
    return whole.rolled_up(office), [sums[child.path].rolled_up(child) for child in below]


@dataclass
class _Sums:
    store: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    transit: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    offices: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    levels: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(int)))
    synthetic: bool = False

    def add(self, row: Any) -> None:
        self.store[row.item] += row.store
        self.transit[row.item] += row.transit
        self.offices[row.item] += 1
        self.synthetic |= row.synthetic
        if row.level:
            self.levels[row.item][row.level] += 1

    def rolled_up(self, office: OfficeView) -> RolledUp:
        return RolledUp(
            office=office,
            store=dict(self.store),
            transit=dict(self.transit),
            offices=dict(self.offices),
            levels={item: dict(levels) for item, levels in self.levels.items()},
            synthetic=self.synthetic,
        )


def _stock_rows(path: str, allowed: Reach) -> Any:
    return db.session.execute(
        select(
            Office.path,
            Item.code.label("item"),
            Balance.store,
            Balance.transit,
            Balance.synthetic,
            StoredProjection.level,
        )
        .join(Office, Office.id == Balance.office_id)
        .join(Item, Item.id == Balance.item_id)
        .outerjoin(
            StoredProjection,
            (StoredProjection.office_id == Balance.office_id) & (StoredProjection.item_id == Balance.item_id),
        )
        .where(within(path), in_reach(allowed), Balance.last_seq > 0)
        .order_by(Item.position)
    )


_LATER = select(DailyTotal.kind, DailyTotal.reason, DailyTotal.quantity).where(
    DailyTotal.office_id == bindparam("office"),
    DailyTotal.item_id == bindparam("item"),
    DailyTotal.day > bindparam("day"),
)
_RECORDED_SINCE = select(Movement.kind, Movement.reason, Movement.quantity).where(
    Movement.office_id == bindparam("office"),
    Movement.item_id == bindparam("item"),
    Movement.effective_on <= bindparam("day"),
    Movement.recorded_at > bindparam("known_at"),
)


def _less(taken: Select[str, str, int] | CompoundSelect[str, str, int]) -> Any:
    """The figures of now beside what is to be taken off them: kinds, reasons and quantities of movements. One
    statement, so that both are of the same moment."""
    rows_off = taken.subquery()
    what = rows_off.c.kind, rows_off.c.reason
    off = select(*what, func.sum(rows_off.c.quantity).label("quantity")).group_by(*what).subquery()
    figures = [getattr(Balance, figure) for figure in FIGURES]
    return (
        select(*figures, off.c.kind, off.c.reason, off.c.quantity)
        .outerjoin(off, true())
        .where(Balance.office_id == bindparam("office"), Balance.item_id == bindparam("item"))
    )


# Made once: to put them together takes as long as asking for an item.
_CLOSING = _less(_LATER)
_KNOWN = _less(union_all(_LATER, _RECORDED_SINCE))


def _figures_less(statement: Any, **of: int | date | datetime) -> Effect:
    rows: Any = db.session.execute(statement, of).all()
    result = Effect(*rows[0][: len(FIGURES)]) if rows else NOTHING
    for *_, kind, reason, quantity in rows:
        if quantity is not None:
            result = result.plus(effect_of(kind, reason).times(-int(quantity)))
    return result


def _item_balance(balance: Balance, code: str, level: str | None, facts: Mapping[str, Any]) -> ItemBalance:
    stockout_on, first = facts.get("stockout_on"), facts.get("first_to_run_out")
    return ItemBalance(
        item_code=code,
        figures=Effect(*(getattr(balance, figure) for figure in FIGURES)),
        last_on=balance.last_on,
        synthetic=balance.synthetic,
        level=level,
        cover_days=facts.get("cover_days"),
        stockout_on=date.fromisoformat(stockout_on) if stockout_on else None,
        first_to_run_out=(first["item"], date.fromisoformat(first["on_day"])) if first else None,
    )
