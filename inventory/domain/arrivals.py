"""When what is under way will be there, and how long a late consignment is still counted on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, timedelta

LONGEST_WAIT = timedelta(days=2 * 366)
"""For a delivery: the longest lead time, in a short working week."""


@dataclass(frozen=True, kw_only=True)
class Due:
    """So many blanks that are counted on from the opening of `on_day`, the office's own day; None: they are there
    already, with a team of the office."""

    on_day: date | None
    quantity: int


def counted_on(expected: date, through: date, lead_time_days: int) -> date | None:
    """The day on which something expected on a day is counted on, as seen at the close of `through`.

    An alarm in the night before it comes would help nobody, so the whole day is taken as covered. What is late may come
    any day: it is counted on for the day after tomorrow. What is later than a whole lead time (working days, five to a
    week) is not counted on any more: None.
    """
    if expected > through:
        return expected
    given_up = expected + timedelta(days=math.ceil(lead_time_days * 7 / 5))
    return through + timedelta(days=2) if through <= given_up else None
