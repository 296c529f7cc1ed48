"""What remains of each delivery in an office's stores, replayed from the daily totals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from sqlalchemy import case, func, select

from inventory.db import db
from inventory.domain.access import Action, Actor
from inventory.domain.ledger import EFFECTS
from inventory.domain.lots import GRANTED_FIRST, Lot, Remain, StoreDay, remains
from inventory.models import DailyTotal, Delivery, Item
from inventory.services import offices, open_requests


def of_deliveries(actor: Actor, office_code: str) -> dict[int, int]:
    """What remains in the store of each of an office's deliveries that stand, by the delivery's id."""
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    found = _remains(office.id, _lots(office.id))
    return {each.lot.delivery_id: each.left for kept in found.values() for each in kept if each.lot.delivery_id}


def granted(actor: Actor, office_code: str) -> dict[str, int]:
    """How many of an office's blanks in the store are of a regional grant, by item code.

    Items of which a grant was never delivered are left out: then there is nothing to use up first.
    """
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    lots = _lots(office.id)
    of_grants = {item_id: kept for item_id, kept in lots.items() if any(lot.funding == GRANTED_FIRST for lot in kept)}
    if not of_grants:
        return {}
    codes = {item.id: item.code for item in db.session.scalars(select(Item).where(Item.id.in_(of_grants)))}
    return {
        codes[item_id]: sum(each.left for each in kept if each.lot.funding == GRANTED_FIRST)
        for item_id, kept in _remains(office.id, of_grants).items()
    }


def _remains(office_id: int, lots: dict[int, list[Lot]]) -> dict[int, list[Remain]]:
    days = _days(office_id, lots)
    return {item_id: remains(lots[item_id], days.get(item_id, [])) for item_id in lots}


def _lots(office_id: int) -> dict[int, list[Lot]]:
    """The good cards of the deliveries that stand, by item, in the order of arrival."""
    rows = db.session.execute(
        select(
            Delivery.id,
            Delivery.item_id,
            Delivery.funding_source,
            (Delivery.received - Delivery.defective).label("good"),
            open_requests.received_on().label("day"),
        )
        .where(Delivery.office_id == office_id, open_requests.STANDS)
        .order_by(Delivery.id)
    )
    found: dict[int, list[Lot]] = defaultdict(list)
    for row in rows:
        lot = Lot(day=row.day, quantity=row.good, funding=row.funding_source, delivery_id=row.id)
        found[row.item_id].append(lot)
    return {item_id: sorted(lots, key=lambda lot: lot.day) for item_id, lots in found.items()}


def _days(office_id: int, item_ids: Iterable[int]) -> dict[int, list[StoreDay]]:
    """What came into the stores and what left them, day by day: one row per day that moved anything."""
    rows = db.session.execute(
        select(
            DailyTotal.item_id,
            DailyTotal.day,
            func.sum(_store_change(+1)).label("came"),
            func.sum(_store_change(-1)).label("left"),
        )
        .where(DailyTotal.office_id == office_id, DailyTotal.item_id.in_(list(item_ids)))
        .group_by(DailyTotal.item_id, DailyTotal.day)
    )
    found: dict[int, list[StoreDay]] = defaultdict(list)
    for item_id, day, came, left in rows:
        found[item_id].append(StoreDay(day=day, came=int(came), left=int(left)))
    return found


def _store_change(sign: int) -> Any:
    """SQL: how many a daily total brought into the store (+1), or took out of it (-1)."""
    branches = [
        ((DailyTotal.kind == kind.value) & (DailyTotal.reason == reason), DailyTotal.quantity)
        for (kind, reason), effect in EFFECTS.items()
        if effect.store == sign
    ]
    return case(*branches, else_=0)
