"""Stocktakes: a blind count, a second count where the first differs, and a difference that somebody else approves.

Work goes on while people count. So each line is compared with the book at its own instant of counting: all that
happened before that instant is in the book, all that happened after it is not, whenever it was recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from inventory.domain.errors import Invalid, NotAllowed, Refusal
from inventory.domain.ledger import Kind, Line
from inventory.domain.quantities import MAX_QUANTITY
from inventory.domain.ranges import Ranges

STATUSES = ("counting", "counted", "approved", "cancelled")
OPEN_STATUSES = ("counting", "counted")
WORDS_LENGTH = 240
"""Of the note to a stocktake, and of the reason why it is cancelled."""


@dataclass(frozen=True, kw_only=True)
class Counted:
    """What somebody counted of one item. `at` is the instant (aware) when it was counted later than now is told."""

    quantity: int
    at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class ToBook:
    """A difference to be booked: positive was found, negative is missing. `at` is the instant of the count, `day`
    the office's own day of it; `ranges` are the numbers that differ, of an item whose numbers are kept."""

    item_id: int
    difference: int
    at: datetime
    day: date
    ranges: Ranges = ()


def check_person(person_id: int | None) -> int:
    """Somebody answers for a count and for its approval: the system does neither. Raises NotAllowed."""
    if person_id is None:
        raise NotAllowed("not_allowed", action="count_stock")
    return person_id


def check_count(quantity: int) -> int:
    """A count is a whole number, and none at all is one too. Raises Invalid `quantity_not_a_number`,
    `quantity_negative`, `quantity_too_large`."""
    if isinstance(quantity, bool) or not isinstance(quantity, int):
        raise Invalid("quantity_not_a_number")
    if quantity < 0:
        raise Invalid("quantity_negative")
    if quantity > MAX_QUANTITY:
        raise Invalid("quantity_too_large", limit=MAX_QUANTITY)
    return quantity


def counted_at(typed: datetime | None, since: datetime, now: datetime) -> datetime:
    """The instant of a count: now, or what was typed, which lies from `since` (the opening, or the first count) to now.

    People type minutes, so the minute in which `since` lies counts as after it. Raises Invalid `count_in_future`,
    `count_before_opening`.
    """
    if typed is None:
        return now
    if typed > now:
        raise Invalid("count_in_future")
    if typed < since.replace(second=0, microsecond=0):
        raise Invalid("count_before_opening")
    return max(typed, since)


CLOCKS_DIFFER = timedelta(minutes=1)
"""So much the clocks of several servers may differ, and nobody looks at it."""
CLOCK_BEHIND = timedelta(days=1)
"""What was recorded for a time still further ahead holds up no count: it stands on days that are still to come."""


def is_in_book(effective_on: date, moment: datetime, day: date, at: datetime) -> bool:
    """Whether a movement is in the book of a count made at the instant `at`, on `day` of the office's calendar.

    `moment` is when on its day the movement happened, where that is known; else when it was recorded, and for a
    reversal that of its original: an entry and what takes it back stand on the same side of every count.
    """
    return effective_on < day or (effective_on == day and moment <= at)


def check_may_approve(person_id: int | None, involved: Iterable[int | None]) -> int:
    """Nobody approves a count that they opened or took part in, nor cancels it once it is finished. Raises Refusal
    `own_count`; NotAllowed for the system."""
    person = check_person(person_id)
    if person in set(involved):
        raise Refusal("own_count")
    return person


def check_shown(current: Mapping[str, int], shown: Mapping[str, int]) -> None:
    """Who approves has seen the differences that are booked. Raises Refusal `differences_changed`."""
    if dict(current) != dict(shown):
        raise Refusal("differences_changed")


def left_to_book(count: int, book: int, booked: int) -> int:
    """What is still to be booked so that all that was booked is count − book."""
    return count - book - booked


def count_lines(office_id: int, found: Iterable[ToBook], note: str = "") -> list[Line]:
    """The movements that bring the book to the count, at the instant and on the day of the count; none for a
    difference of zero."""
    return [
        Line(
            office_id=office_id,
            item_id=each.item_id,
            kind=Kind.COUNT,
            reason="found" if each.difference > 0 else "short",
            quantity=abs(each.difference),
            effective_on=each.day,
            happened_at=each.at,
            note=note,
            ranges=each.ranges,
        )
        for each in found
        if each.difference
    ]
