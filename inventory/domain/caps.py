"""Day caps: an office that runs low prints at most so many a day. Such a day says what it could, not what was asked."""

from __future__ import annotations

from datetime import date, timedelta

from inventory.domain.errors import Invalid, Refusal
from inventory.domain.quantities import check_quantity

REACHED = 0.95
"""From this share of its cap on a day has reached it: the last few are lost to misprints and counting."""
PLANNED_AHEAD = 366


def check_cap(most_a_day: int, first_day: date, last_day: date | None, today: date) -> None:
    """`last_day` is None for a cap without an end. Raises Invalid `cap_too_far`, `period_backwards`, and what
    `check_quantity` raises."""
    check_quantity(most_a_day)
    if first_day > today + timedelta(days=PLANNED_AHEAD):
        raise Invalid("cap_too_far", limit=PLANNED_AHEAD)
    if last_day is not None and last_day < first_day:
        raise Invalid("period_backwards")


def check_stands(withdrawn: bool) -> None:
    """Raises Refusal `cap_withdrawn`."""
    if withdrawn:
        raise Refusal("cap_withdrawn")


def is_reached(printed: int, most_a_day: int) -> bool:
    """Whether a day's prints reached its cap: then more may have been asked for."""
    return printed >= REACHED * most_a_day
