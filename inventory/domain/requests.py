"""Delivery requests: asked → allotted, in part or whole → received, or cancelled before anything came."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import date, timedelta

from inventory.domain.errors import Invalid, Refusal
from inventory.domain.quantities import check_quantity

STATUSES = ("asked", "allotted", "received", "cancelled")
OPEN = ("asked", "allotted")
"""More may still come on these."""
STEPS = ("allotted", "closed", "cancelled")


def check_asked(asked_on: date, needed_by: date | None, asked: Mapping[int, int]) -> None:
    """Raises Invalid `nothing_entered`, `needed_before_asked`, and what `check_quantity` raises."""
    if not asked:
        raise Invalid("nothing_entered")
    for quantity in asked.values():
        check_quantity(quantity)
    if needed_by is not None and needed_by < asked_on:
        raise Invalid("needed_before_asked", needed_by=needed_by, asked_on=asked_on)


def check_allotted(asked: Mapping[int, int], allotted: Mapping[int, int]) -> None:
    """An allotment answers every line of its request; 0 is an answer, and more than was asked is one as well.

    Raises Invalid `allotted_items_differ`, and what `check_quantity` raises.
    """
    if set(asked) != set(allotted):
        raise Invalid("allotted_items_differ")
    for quantity in allotted.values():
        check_allotment(quantity)


def check_allotment(quantity: int) -> None:
    """Raises Invalid unless `quantity` is 0 or what `check_quantity` takes."""
    if isinstance(quantity, bool) or quantity != 0:
        check_quantity(quantity)


def check_arrival(day: date, asked_on: date) -> None:
    """Nothing comes on a request before it was made. Raises Invalid `arrived_before_asked`."""
    if day < asked_on:
        raise Invalid("arrived_before_asked", day=day, asked_on=asked_on)


def check_open(status: str) -> None:
    """Raises Refusal `delivery_request_closed`."""
    if status not in OPEN:
        raise Refusal("delivery_request_closed", status=status)


def expected(asked: int | None, allotted: int | None) -> int | None:
    """What is to come: what was asked is only a hope, and an allotment, also one of 0, takes its place."""
    return asked if allotted is None else allotted


def still_expected(asked: int, allotted: int | None, received: int) -> int:
    """What is yet to come of a line; never negative."""
    promised = asked if allotted is None else allotted
    return max(0, promised - received)


def expected_on(asked_on: date, lead_time_days: int, nth_open_day: Callable[[date, int], date]) -> date:
    """The day by whose close something asked for should be there: a request counts from its first working day after
    asking on. `nth_open_day(after, n)` of the office's calendar says which the n-th is."""
    return nth_open_day(asked_on, lead_time_days) if lead_time_days else asked_on


def hope_ends(asked_on: date, needed_by: date | None, lead_time_days: int) -> date:
    """The last day on which a request that nobody has allotted counts as on order.

    It is a hope only: until the day by which it was needed, or else until the office's lead time (working days, five
    to a week) has passed. A request that was forgotten must not make a stock look safe.
    """
    return needed_by or asked_on + timedelta(days=math.ceil(lead_time_days * 7 / 5))


def short_and_over(promised: int | None, received: int) -> tuple[int, int]:
    """How much less and how much more came than was to come; nothing of either where nothing was said."""
    if promised is None:
        return 0, 0
    return max(0, promised - received), max(0, received - promised)
