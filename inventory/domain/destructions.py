"""Destruction of spoiled blanks before two witnesses, and the write-off of blanks that are no longer valid."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from inventory.domain.errors import Invalid, Refusal
from inventory.domain.ledger import SPOIL_CAUSES, Kind, Line
from inventory.domain.quantities import check_quantity
from inventory.domain.ranges import Range, Ranges, check_ranges

METHODS = ("burned", "shredded", "cut", "other")
CAUSES = (*SPOIL_CAUSES, "arrived_damaged")
"""Why blanks lie among the spoiled: the causes of spoilage, and the damage of a transfer."""


@dataclass(frozen=True)
class Witness:
    """Somebody who saw the blanks destroyed, by name and position. An official, never a resident."""

    name: str
    position: str


@dataclass(frozen=True)
class Part:
    """A line of the record's breakdown: how many of one item for one cause. That of a write-off is "obsolete"."""

    item_code: str
    cause: str
    quantity: int
    ranges: Ranges = ()
    """The numbers, of an item whose numbers are kept; a quantity of 0 is then theirs."""


def check_witnesses(witnesses: Sequence[Witness]) -> None:
    """Raises Invalid `witness_missing` unless two are named with their positions, `witnesses_same` unless they are
    two persons."""
    if len(witnesses) != 2 or not all(each.name.strip() and each.position.strip() for each in witnesses):
        raise Invalid("witness_missing")
    first, second = (" ".join(each.name.casefold().split()) for each in witnesses)
    if first == second:
        raise Invalid("witnesses_same")


def check_breakdown(total: int, parts: Iterable[Part], causes: Sequence[str]) -> None:
    """A breakdown equals its total. Raises Invalid `nothing_entered`, `cause_unknown`, `breakdown_differs` (total,
    breakdown)."""
    parts = list(parts)
    if not parts:
        raise Invalid("nothing_entered")
    for part in parts:
        check_quantity(part.quantity)
        if part.cause not in causes:
            raise Invalid("cause_unknown")
    itemised = sum(part.quantity for part in parts)
    if itemised != total:
        raise Invalid("breakdown_differs", total=total, breakdown=itemised)


def check_spoiled(lying: Mapping[tuple[int, str], int], parts: Iterable[tuple[int, str, int]]) -> None:
    """No more can be destroyed of a cause than lies there of it: by item id and cause.

    Raises Refusal `not_enough_spoiled` (reason, available, asked).
    """
    for item_id, cause, quantity in parts:
        available = lying.get((item_id, cause), 0)
        if quantity > available:
            raise Refusal("not_enough_spoiled", reason=cause, available=max(available, 0), asked=quantity)


def movement_lines(kind: str, office_id: int, day: date, parts: Iterable[tuple[int, Part]]) -> list[Line]:
    """The movements of an approved record, one per item: out of the spoiled for good, or from the store to them.

    `parts` come with their items' ids. Raises Invalid for numbers that are named twice.
    """
    totals: dict[int, int] = {}
    numbers: dict[int, list[Range]] = {}
    for item_id, part in parts:
        totals[item_id] = totals.get(item_id, 0) + part.quantity
        numbers.setdefault(item_id, []).extend(part.ranges)
    moved, reason = (Kind.DESTROY, "destroyed") if kind == "destruction" else (Kind.SPOIL, "obsolete")
    return [
        Line(
            office_id=office_id,
            item_id=item_id,
            kind=moved,
            reason=reason,
            quantity=total,
            effective_on=day,
            ranges=check_ranges(numbers[item_id]),
        )
        for item_id, total in sorted(totals.items())
    ]


def oldest_spoiled_day(inflow: Mapping[date, int], destroyed: int) -> date | None:
    """The day on which the oldest blank that still waits for its destruction was spoiled; None when none waits.

    `inflow` is what joined the spoiled per day, net of reversals; what was destroyed counts against the oldest first.
    """
    left = destroyed
    for day in sorted(inflow):
        left -= inflow[day]
        if left < 0:
            return day
    return None
