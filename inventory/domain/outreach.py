"""Outreach plans: on which day an office goes where, and how many prints it expects. Planned → held or called off."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, time, timedelta

from inventory.domain.errors import Invalid, Refusal
from inventory.domain.offices import OfficeKind
from inventory.domain.quantities import MAX_QUANTITY, check_quantity

STATUSES = ("planned", "held", "called_off")
STANDS = ("planned", "held")
"""A plan that stands keeps its office open on its day."""

WORDS_LENGTH = 120
PLANNED_AHEAD = 366
"""Calendar days: a plan further ahead is a slip of the finger."""


def check_planner(kind: OfficeKind) -> None:
    """A team's demand counts for its office, so the office plans it. Raises Invalid `outreach_of_team`."""
    if kind is OfficeKind.OUTREACH:
        raise Invalid("outreach_of_team")


def check_day(day: date, today: date) -> None:
    """A plan is for the office's `today` or later. Raises Invalid `outreach_day_range`."""
    last = today + timedelta(days=PLANNED_AHEAD)
    if not today <= day <= last:
        raise Invalid("outreach_day_range", first=today, last=last)


def check_plan(place: str, starts: time | None, ends: time | None, expected: Mapping[int, int]) -> None:
    """`expected` prints by item id. Raises Invalid `outreach_place_missing`, `outreach_hours`, `nothing_entered` and
    what `check_quantity` raises."""
    if not place.strip():
        raise Invalid("outreach_place_missing")
    if (starts is None) != (ends is None) or (starts is not None and ends is not None and ends <= starts):
        raise Invalid("outreach_hours")
    if not expected:
        raise Invalid("nothing_entered")
    for quantity in expected.values():
        check_quantity(quantity)


def check_planned(status: str) -> None:
    """A plan is changed, called off or held while it is planned. Raises Refusal `outreach_closed`."""
    if status != "planned":
        raise Refusal("outreach_closed")


def check_held(day: date, today: date, expected: Iterable[int], actual: Mapping[int, int]) -> None:
    """What was printed at an outreach, by item id; empty when nobody has counted. Raises Invalid `outreach_not_yet`,
    `outreach_items_differ`, `quantity_negative`, `quantity_too_large`."""
    if day > today:
        raise Invalid("outreach_not_yet", day=day, today=today)
    if actual and set(actual) != set(expected):
        raise Invalid("outreach_items_differ")
    if any(quantity < 0 for quantity in actual.values()):
        raise Invalid("quantity_negative")
    if any(quantity > MAX_QUANTITY for quantity in actual.values()):
        raise Invalid("quantity_too_large", limit=MAX_QUANTITY)
