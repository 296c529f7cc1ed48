"""Printable cards: blanks alone print nothing. Ribbon and film limit them; what runs out first stops all."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, kw_only=True)
class Consumable:
    """A ribbon or film in a store. `units` is None where it was never recorded: then it is not known to limit."""

    units: int | None
    prints_per_unit: int


@dataclass(frozen=True, kw_only=True)
class Printable:
    """How many cards can be printed, what stops there (None when it is the blanks), and what was never recorded."""

    cards: int
    limited_by: str | None
    unrecorded: tuple[str, ...]


def printable(blanks: int, consumables: Mapping[str, Consumable]) -> Printable:
    """Cards that `blanks` and the consumables of the office, by item code, allow. Of equal limits the blanks count,
    then the first. All blanks share the consumables: each blank's figure holds as if they were used for it alone."""
    cards, limited_by = blanks, None
    for code, consumable in consumables.items():
        if consumable.units is None:
            continue
        prints = consumable.units * consumable.prints_per_unit
        if prints < cards:
            cards, limited_by = prints, code
    unrecorded = tuple(code for code, consumable in consumables.items() if consumable.units is None)
    return Printable(cards=cards, limited_by=limited_by, unrecorded=unrecorded)


def open_days_of(prints: int, cards_per_day: float) -> int | None:
    """On which open day from now `prints` are used up at `cards_per_day`, counted from 1; None without demand."""
    return max(1, math.ceil(prints / cards_per_day)) if cards_per_day > 0 else None


def first_to_run_out(run_outs: Iterable[tuple[str, date | None]]) -> tuple[str, date] | None:
    """Of items and the days on which they run out (None for none in sight), the first; of the same day, the one
    that is named first."""
    known = [(item, day) for item, day in run_outs if day is not None]
    return min(known, key=lambda each: each[1]) if known else None
