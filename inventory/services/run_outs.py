"""Which of blanks, ribbon and film runs out first in an office: said on the projection of each blank."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from inventory.domain.facts import is_known
from inventory.domain.printable import first_to_run_out, open_days_of


@dataclass(frozen=True, eq=False)
class Projected:
    """A stock that was projected: `prints_per_unit` for a ribbon or film, `facts` its figures,
    `nth_open_day` the day that is its office's n-th open one from now, None past the calendar ahead."""

    office_id: int
    item_code: str
    prints_per_unit: int | None
    facts: dict[str, Any]
    nth_open_day: Callable[[int], date | None]


def note_first(found: Sequence[Projected]) -> None:
    """Set `first_to_run_out` in the facts of every blank: {"item", "on_day"}, or None where nothing is in sight.

    A consumable's own projection counts where there is one; else its prints over the demand for all of the office's
    blanks together.
    """
    by_office: dict[int, list[Projected]] = defaultdict(list)
    for each in found:
        by_office[each.office_id].append(each)
    for stocks in by_office.values():
        blanks = [each for each in stocks if each.prints_per_unit is None]
        per_day = sum(each.facts["level_per_day"] or 0.0 for each in blanks)
        consumables = [(each.item_code, _run_out(each, per_day)) for each in stocks if each.prints_per_unit]
        for blank in blanks:
            first = first_to_run_out([(blank.item_code, _day(blank.facts)), *consumables])
            named = {"item": first[0], "on_day": first[1].isoformat()} if first else None
            blank.facts["first_to_run_out"] = named


def _run_out(consumable: Projected, per_day: float) -> date | None:
    facts = consumable.facts
    if is_known(facts):
        return _day(facts)
    assert consumable.prints_per_unit is not None
    number = open_days_of(facts["store"] * consumable.prints_per_unit, per_day)
    return consumable.nth_open_day(number) if number else None


def _day(facts: Mapping[str, Any]) -> date | None:
    return date.fromisoformat(facts["stockout_on"]) if facts["stockout_on"] else None
