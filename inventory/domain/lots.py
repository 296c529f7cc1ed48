"""Lots: which deliveries the blanks in a store come from. What a regional grant paid for is used up first.

Nobody marks a card with its lot, so the rule tells: replayed day by day, what leaves the store is taken from the
oldest regional grant (APBD) that is there, and from the oldest of the others only when none is left. What a day
brings is there for that day's use.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

GRANTED_FIRST = "apbd"


@dataclass(frozen=True, kw_only=True)
class Lot:
    """What came into the store at once: a delivery's good cards, by its id and funding source, or with neither
    what came otherwise (opening stock, transfers, a count's surplus)."""

    day: date
    quantity: int
    funding: str | None = None
    delivery_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class StoreDay:
    """All that came into a store on a day and all that left it; neither is negative."""

    day: date
    came: int
    left: int


@dataclass(frozen=True, kw_only=True)
class Remain:
    lot: Lot
    left: int


def remains(lots: Iterable[Lot], days: Iterable[StoreDay]) -> list[Remain]:
    """What remains of each lot after the last day, in the order of arrival; its sum is what the store then holds.

    `lots` are deliveries that stand; what `days` say came beyond them is a lot of unknown funding of its day. Days
    are those of one store from its first on, each once, and close at no less than zero. A lot without a day of its
    own never came into the store, and remains 0.
    """
    arriving: dict[date, list[Lot]] = {}
    for lot in lots:
        arriving.setdefault(lot.day, []).append(lot)
    kept: list[_Kept] = []
    granted, others = _Queue(), _Queue()
    for day in sorted(days, key=lambda each: each.day):
        for lot, quantity in _arrivals(day, arriving.pop(day.day, [])):
            lot_kept = _Kept(lot, quantity)
            kept.append(lot_kept)
            (granted if lot.funding == GRANTED_FIRST else others).kept.append(lot_kept)
        others.take(granted.take(day.left))
    never_came = [Remain(lot=lot, left=0) for found in arriving.values() for lot in found]
    return [Remain(lot=each.lot, left=each.left) for each in kept] + never_came


def _arrivals(day: StoreDay, lots: Iterable[Lot]) -> list[tuple[Lot, int]]:
    """Each lot of the day with its quantity, and what else came; never more together than came."""
    found: list[tuple[Lot, int]] = []
    left_over = day.came
    for lot in lots:
        quantity = min(lot.quantity, left_over)
        left_over -= quantity
        found.append((lot, quantity))
    if left_over:
        found.append((Lot(day=day.day, quantity=left_over), left_over))
    return found


@dataclass
class _Kept:
    lot: Lot
    left: int


class _Queue:
    """Lots in the order of arrival; those before `first` are used up, so that a replay looks at each but once."""

    def __init__(self) -> None:
        self.kept: list[_Kept] = []
        self.first = 0

    def take(self, quantity: int) -> int:
        """Take from the oldest on; what could not be taken."""
        while quantity and self.first < len(self.kept):
            oldest = self.kept[self.first]
            taken = min(quantity, oldest.left)
            oldest.left -= taken
            quantity -= taken
            if not oldest.left:
                self.first += 1
        return quantity
