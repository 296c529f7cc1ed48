"""A storekeeper's today: what is left, what was entered today, and what still waits to be done before going home."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import select

from inventory.db import db
from inventory.domain.access import Action, Actor
from inventory.domain.errors import NotFound
from inventory.domain.ledger import EVERYDAY_CAUSES, Kind
from inventory.models import StoredProjection
from inventory.services import balances, closings, items, offices, transfers
from inventory.services.items import ItemView
from inventory.services.offices import OfficeView
from inventory.services.transfers import Waiting


@dataclass(frozen=True, kw_only=True)
class Left:
    """What is left of an item, and what has been entered of it today by (kind, reason).

    `level` is that of the last review; `low_below` and `watch_below` are stores below which it would be low or want
    watching, as that review has it. All three are None where nobody can tell.
    """

    item: ItemView
    store: int
    level: str | None
    low_below: int | None
    watch_below: int | None
    moved: Mapping[tuple[str, str], int]
    synthetic: bool

    @property
    def used(self) -> bool:
        """Whether anything has been printed, used up or spoiled today, as far as the book knows."""
        return any(kind == Kind.PRINT or reason in EVERYDAY_CAUSES for kind, reason in self.moved)


@dataclass(frozen=True, kw_only=True)
class Today:
    """`items` are those that the office keeps, or all where it keeps none yet; `chosen` is one of them. `waiting` are
    transfers to be received, `more_waiting` how many there are besides."""

    office: OfficeView
    day: date
    items: tuple[Left, ...]
    chosen: Left
    closed: bool
    waiting: tuple[Waiting, ...]
    more_waiting: int

    @property
    def not_entered(self) -> list[ItemView]:
        """What is in the store and of which nothing has been entered today."""
        return [left.item for left in self.items if left.store and not left.used]


def of_office(actor: Actor, now: datetime, office_code: str, item_code: str | None) -> Today:
    """The day of the office that `now` falls on, beginning with one of its items: the one named, else the first.

    Raises NotFound `office_not_found`, `item_not_found` when no item is in use at all; NotAllowed.
    """
    office = offices.get(actor, Action.POST_MOVEMENT, office_code)
    day = office.today(now)
    kept = _items(actor, office, day)
    if not kept:
        raise NotFound("item_not_found", code=(item_code or "")[:40])
    chosen = next((left for left in kept if left.item.code == item_code), kept[0])
    waiting = transfers.to_receive(actor, office_code)
    return Today(
        office=office,
        day=day,
        items=kept,
        chosen=chosen,
        closed=closings.is_closed(actor, office_code, day),
        waiting=tuple(waiting[: transfers.WAITING_SHOWN]),
        more_waiting=max(0, len(waiting) - transfers.WAITING_SHOWN),
    )


def _items(actor: Actor, office: OfficeView, day: date) -> tuple[Left, ...]:
    held = {each.item_code: each for each in balances.of_office(actor, office.code)}
    moved = balances.day_summary(actor, office.code, day)
    bounds = _bounds(office.id)
    active = items.active()
    found: list[Left] = []
    for item in [item for item in active if item.code in held] or active:
        balance = held.get(item.code)
        low_below, watch_below = bounds.get(item.id, (None, None))
        left = Left(
            item=item,
            store=balance.store if balance else 0,
            level=_level(balance.store, balance.level) if balance else None,
            low_below=low_below,
            watch_below=watch_below,
            moved=moved.get(item.code, {}),
            synthetic=balance.synthetic if balance else False,
        )
        found.append(left)
    return tuple(found)


def _level(store: int, reviewed: str | None) -> str | None:
    """An empty store is seen at once, not at the next review."""
    return "out" if store <= 0 else reviewed


def _bounds(office_id: int) -> dict[int, tuple[int | None, int | None]]:
    """By item id: the store below which it is low, and below which it wants watching."""
    rows = db.session.execute(
        select(StoredProjection.item_id, StoredProjection.facts).where(StoredProjection.office_id == office_id)
    )
    return {item_id: (_bound(facts, "reorder_point"), _bound(facts, "order_up_to")) for item_id, facts in rows}


def _bound(facts: Mapping[str, Any], name: str) -> int | None:
    """The thresholds are for what is usable and what is on its way; this one is for the store alone."""
    threshold = facts.get(name)
    if threshold is None:
        return None
    return max(0, int(threshold) + int(facts.get("backlog") or 0) - int(facts.get("inbound") or 0))
