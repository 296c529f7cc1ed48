"""Series of days: what a store held at each day's end, and how days gather into weeks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from inventory.domain.ledger import EVERYDAY_CAUSES, PRINT_REASONS, Kind, effect_of

DAYS_A_WEEK = 7
SPOILED = "spoiled"
"""What was spoiled in the everyday work, whatever the cause: beside the reasons of prints one part of the use."""
PARTS = (*PRINT_REASONS, SPOILED)
"""Of the use of a blank, as pictures stack them."""

Totals = Iterable[tuple[date, str, str, int]]
"""Day, kind, reason and quantity: daily totals as the ledger keeps them."""


class Step(StrEnum):
    WEEK = "week"
    DAY = "day"


@dataclass(frozen=True, kw_only=True)
class Closing:
    """What the store held at the end of a day, how much had come in on it, and by how much a count changed the books
    (negative where blanks were missing)."""

    day: date
    store: int
    arrived: int
    counted: int = 0


@dataclass(frozen=True)
class Moved:
    """What one day's totals did to the store, and what of it came in or was put right by a count."""

    change: int = 0
    arrived: int = 0
    counted: int = 0


def moved_by_day(totals: Totals) -> dict[date, Moved]:
    """The days on which anything moved."""
    found: dict[date, Moved] = {}
    for day, kind, reason, quantity in totals:
        change = effect_of(kind, reason).store * quantity
        before = found.get(day, Moved())
        # What comes back from a transfer that was called off is no delivery.
        came_in = kind == Kind.RECEIPT or (kind == Kind.ARRIVAL and reason != "cancelled")
        found[day] = Moved(
            change=before.change + change,
            arrived=before.arrived + (change if came_in else 0),
            counted=before.counted + (change if kind == Kind.COUNT else 0),
        )
    return found


def closings(store: int, moved: Mapping[date, Moved], first: date, last: date) -> tuple[Closing, ...]:
    """The closings of the days from `first` to `last`, of which `store` is what is there after everything in `moved`,
    which has to know every day after `first`."""
    store -= sum(each.change for day, each in moved.items() if day > last)
    found = []
    for number in range((last - first).days + 1):
        day = last - timedelta(days=number)
        on_day = moved.get(day, Moved())
        found.append(Closing(day=day, store=store, arrived=on_day.arrived, counted=on_day.counted))
        store -= on_day.change
    return tuple(reversed(found))


def stores_before(store: int, changes: Mapping[int, int], days: int) -> list[int]:
    """What was in the store at the close of so many days up to today, as `closings` tells it and no more: `changes` are
    those of each day by how many days ago it was, the days to come below zero."""
    store -= sum(change for ago, change in changes.items() if ago < 0)
    found = []
    for ago in range(days):
        found.append(store)
        store -= changes.get(ago, 0)
    return found[::-1]


def part_of(kind: str, reason: str) -> str | None:
    """Which part of the use a movement is; None for one that used nothing up. A write-off of obsolete blanks is none:
    nobody asked for them."""
    if kind == Kind.PRINT:
        return reason
    return SPOILED if kind == Kind.SPOIL and reason in EVERYDAY_CAUSES else None


def monday_of(day: date) -> date:
    """The first day of its week."""
    return day - timedelta(days=day.weekday())


def periods(since: date, until: date, step: Step) -> Iterator[tuple[date, date]]:
    """The days, or the weeks from Monday to Sunday, from `since` to `until`: the first and the last day of each. The
    weeks at the ends are cut off there."""
    first = since
    while first <= until:
        last = first if step is Step.DAY else monday_of(first) + timedelta(days=DAYS_A_WEEK - 1)
        yield first, min(last, until)
        first = last + timedelta(days=1)
