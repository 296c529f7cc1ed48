"""Which days an office is open: working week, public holidays, outreach days, closures of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date

from inventory.domain.errors import Invalid

DAYS_IN_WEEK = 7
# Longer than any closure an office came back from: past it, an answer would hide a wrong calendar.
LONGEST_CLOSURE_DAYS = 3 * 366

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


def day_from(text: str) -> date:
    """A day as forms and addresses write it, such as 2024-05-15, and in no other of ISO's ways (20240515, 2024-W20-3).

    Raises ValueError.
    """
    if not _DAY.fullmatch(text):
        raise ValueError(f"a day is written as 2024-05-15, not {text[:20]!r}")
    return date.fromisoformat(text)


def parse_working_week(text: str) -> tuple[bool, ...]:
    """Read a working week such as "1111100": seven signs, Monday first, 1 for open and 0 for closed.

    Raises ValueError when it is not seven signs 0 or 1, or when no day is open: an office that never opens
    has no working days to count a lead time in.
    """
    if len(text) != DAYS_IN_WEEK or not set(text) <= {"0", "1"}:
        raise ValueError(f"a working week is seven signs 0 or 1, Monday first, not {text!r}")
    if "1" not in text:
        raise ValueError("a working week has at least one open day")
    return tuple(sign == "1" for sign in text)


@dataclass(frozen=True)
class OfficeCalendar:
    """The open days of one office.

    working_week: seven signs, Monday first (see parse_working_week).
    holidays: public holidays and their names.
    outreach: days the office serves although they are a weekend or a holiday.
    closed: days the office is shut for a reason of its own (flood, move). It wins over everything else: an
    outreach day that was called off stays in the plan and is listed here too.

    Raises ValueError when the working week is not valid.
    """

    working_week: str
    holidays: Mapping[date, str] = field(default_factory=dict[date, str], hash=False)
    outreach: frozenset[date] = frozenset()
    closed: frozenset[date] = frozenset()

    def __post_init__(self) -> None:
        parse_working_week(self.working_week)

    def is_open(self, day: date) -> bool:
        """Whether the office serves on that day."""
        if day in self.closed:
            return False
        if day in self.outreach:
            return True
        return self.working_week[day.weekday()] == "1" and day not in self.holidays

    def flags(self, start: date, end_inclusive: date) -> list[bool]:
        """One flag a calendar day, from start to end_inclusive; empty when the end lies before the start."""
        return [self.is_open(day) for day in days_between(start, end_inclusive)]

    def open_days(self, start: date, end_inclusive: date) -> list[date]:
        """The open days from start to end_inclusive, in order; empty when the end lies before the start."""
        return [day for day in days_between(start, end_inclusive) if self.is_open(day)]

    def count_open(self, start: date, end_inclusive: date) -> int:
        """How many days from start to end_inclusive are open."""
        return sum(self.flags(start, end_inclusive))

    def nth_open_day(self, after: date, n: int) -> date:
        """The n-th open day strictly after `after`; n counts from 1.

        Raises ValueError when n is below 1, or when three years pass without an open day.
        """
        if n < 1:
            raise ValueError(f"open days are counted from 1, not from {n}")
        last = after
        for _ in range(n):
            last = self._next_open_day(last)
        return last

    def _next_open_day(self, after: date) -> date:
        first = after.toordinal() + 1
        for number in range(first, min(first + LONGEST_CLOSURE_DAYS, date.max.toordinal() + 1)):
            day = date.fromordinal(number)
            if self.is_open(day):
                return day
        raise ValueError(f"no open day within three years after {after.isoformat()}")


def days_between(start: date, end_inclusive: date) -> Iterator[date]:
    """Every calendar day from start to end_inclusive, in order."""
    first = start.toordinal()
    return map(date.fromordinal, range(first, end_inclusive.toordinal() + 1))


def check_period(since: date, until: date, most_days: int) -> None:
    """A period of days, both its ends included. Raises Invalid `period_backwards`, `period_too_long`."""
    if since > until:
        raise Invalid("period_backwards")
    if (until - since).days >= most_days:
        raise Invalid("period_too_long", limit=most_days)
