"""The daily closing: what is left and what was printed are held against the book, and every difference is explained."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date

from inventory.domain.errors import Invalid, NotAllowed, Refusal

KINDS = ("store", "printed")
STATUSES = ("open", "cleared")
WORDS_LENGTH = 240
"""Of a reason."""
DAYS_WATCHED = 5
"""How many of the last working days are looked at for closings that were left out."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The book expected one number and another was found. `kind` is one of KINDS."""

    kind: str
    expected: int
    found: int


def differences(book_store: int, left: int, book_printed: int, printed_by_system: int | None) -> list[Difference]:
    """Where an item's closing and the book disagree. `printed_by_system` is None for what no system counts."""
    pairs = [("store", book_store, left)]
    if printed_by_system is not None:
        pairs.append(("printed", book_printed, printed_by_system))
    return [
        Difference(kind=kind, expected=expected, found=found) for kind, expected, found in pairs if expected != found
    ]


def check_person(person_id: int | None) -> int:
    """Somebody answers for a closing, and for what is cleared: the system does neither. Raises NotAllowed."""
    if person_id is None:
        raise NotAllowed("not_allowed", action="close_day")
    return person_id


def check_may_clear(person_id: int | None, closed_by_id: int) -> int:
    """Who closed the day does not clear its differences. Raises Refusal `own_closing`; NotAllowed for the system."""
    person = check_person(person_id)
    if person == closed_by_id:
        raise Refusal("own_closing")
    return person


def check_complete(held: Collection[str], left: Collection[str], printed: Collection[str], blanks: set[str]) -> None:
    """Everything that the office holds is counted, and of blanks the cards printed are told.

    Raises Invalid `closing_items_differ`.
    """
    if set(left) != set(held) or set(printed) != {code for code in held if code in blanks}:
        raise Invalid("closing_items_differ")


def days_left_out(working_days: Sequence[date], closed: Collection[date], first_closing: date) -> list[date]:
    """Of the working days that are over, those since the office's first closing that were not closed."""
    return [day for day in working_days if day > first_closing and day not in closed]
