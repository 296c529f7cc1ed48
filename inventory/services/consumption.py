"""What an office uses up: cards printed by reason, cards spoiled by cause, blanks sent back to the supplier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from uuid import UUID

from inventory.domain.access import Action, Actor
from inventory.domain.errors import Invalid
from inventory.domain.ledger import CONSUMED, EVERYDAY_CAUSES, PRINT_REASONS, Kind, Line, check_day
from inventory.domain.offices import local_moment
from inventory.domain.ranges import Ranges
from inventory.domain.ranges import count as numbers_in
from inventory.services import items, offices
from inventory.services.ledger import Posting, post
from inventory.services.offices import OfficeView

FIRST_DAY = date(2011, 1, 1)
"""Electronic identity cards began in 2011: nothing in this ledger can have happened before."""


@dataclass(frozen=True)
class Printed:
    """Cards printed for one reason, and how many of them served requests that had waited for stock."""

    quantity: int
    served_waiting: int = 0


def post_printed(
    actor: Actor,
    now: datetime,
    request_id: UUID,
    office_code: str,
    item_code: str,
    day: date,
    printed: Mapping[str, Printed],
    note: str = "",
    at: time | None = None,
    *,
    ranges: Mapping[str, Ranges] | None = None,
) -> Posting:
    """Record a day's printing of one item in one go, a movement for each reason that is not zero.

    Reasons are those of `ledger.PRINT_REASONS`, or `consumed` for a ribbon or film. `day` is the office's own, and
    `at` what its clock showed, where before or after a count matters. `ranges` are the numbers printed for each
    reason, of an item whose numbers are kept; a quantity of 0 is then theirs. Raises Invalid `nothing_entered`,
    `day_in_future`, `day_too_early`, `reason_not_for_item`, `moment_in_future`, and what `ledger.post` raises.
    """
    office = offices.get(actor, Action.POST_MOVEMENT, office_code)
    item = items.get(item_code)
    check_day(day, office.today(now), FIRST_DAY)
    allowed = PRINT_REASONS if item.is_blank else (CONSUMED,)
    numbers = _given(ranges)
    printed = _counted(printed, numbers)
    for reason, count in printed.items():
        if reason not in allowed and (count.quantity or count.served_waiting):
            raise Invalid("reason_not_for_item", reason=reason, item=item.code)
        if count.served_waiting > count.quantity:
            raise Invalid("served_waiting_exceeds_print", served=count.served_waiting, printed=count.quantity)
    lines = [
        Line(
            office_id=office.id,
            item_id=item.id,
            kind=Kind.PRINT,
            reason=reason,
            quantity=printed[reason].quantity,
            served_waiting=printed[reason].served_waiting,
            effective_on=day,
            happened_at=_moment(office, day, at),
            note=note.strip(),
            ranges=numbers.get(reason, ()),
        )
        for reason in allowed
        if reason in printed and printed[reason].quantity
    ]
    return _post(actor, now, request_id, lines)


def post_spoiled(
    actor: Actor,
    now: datetime,
    request_id: UUID,
    office_code: str,
    item_code: str,
    day: date,
    spoiled: Mapping[str, int],
    note: str = "",
    shift: str | None = None,
    at: time | None = None,
    *,
    ranges: Mapping[str, Ranges] | None = None,
) -> Posting:
    """Record blanks spoiled without a card for anybody, by cause (`ledger.EVERYDAY_CAUSES`).

    `shift` is one of `ledger.SHIFTS`, or None where the office does not say; `ranges` are the numbers spoiled by each
    cause, and a quantity of 0 is then theirs. Raises Invalid `shift_unknown`, `obsolete_needs_write_off`, and what
    `post_printed` raises.
    """
    office = offices.get(actor, Action.POST_MOVEMENT, office_code)
    item = items.get(item_code)
    check_day(day, office.today(now), FIRST_DAY)
    if spoiled.get("obsolete"):
        raise Invalid("obsolete_needs_write_off")
    numbers = _given(ranges)
    quantities = {cause: spoiled.get(cause) or numbers_in(numbers.get(cause, ())) for cause in EVERYDAY_CAUSES}
    lines = [
        Line(
            office_id=office.id,
            item_id=item.id,
            kind=Kind.SPOIL,
            reason=cause,
            quantity=quantity,
            effective_on=day,
            happened_at=_moment(office, day, at),
            note=note.strip(),
            shift=shift or None,
            ranges=numbers.get(cause, ()),
        )
        for cause, quantity in quantities.items()
        if quantity
    ]
    return _post(actor, now, request_id, lines)


def post_returned(
    actor: Actor,
    now: datetime,
    request_id: UUID,
    office_code: str,
    item_code: str,
    day: date,
    quantity: int,
    note: str,
    *,
    ranges: Ranges = (),
) -> Posting:
    """Record blanks sent back to the supplier; with `ranges` a quantity of 0 is theirs.

    Raises Invalid `return_needs_note`, and what `post_printed` raises.
    """
    office = offices.get(actor, Action.POST_MOVEMENT, office_code)
    item = items.get(item_code)
    check_day(day, office.today(now), FIRST_DAY)
    if not note.strip():
        raise Invalid("return_needs_note")
    line = Line(
        office_id=office.id,
        item_id=item.id,
        kind=Kind.RETURN,
        reason="to_supplier",
        quantity=quantity or numbers_in(ranges),
        effective_on=day,
        note=note.strip(),
        ranges=ranges,
    )
    return _post(actor, now, request_id, [line])


def _given(ranges: Mapping[str, Ranges] | None) -> dict[str, Ranges]:
    return {reason: given for reason, given in (ranges or {}).items() if given}


def _counted(printed: Mapping[str, Printed], ranges: Mapping[str, Ranges]) -> dict[str, Printed]:
    """What was printed, with the quantity of the numbers where none was said."""
    found = dict(printed)
    for reason, given in ranges.items():
        said = found.get(reason, Printed(0))
        found[reason] = Printed(said.quantity or numbers_in(given), said.served_waiting)
    return found


def _post(actor: Actor, now: datetime, request_id: UUID, lines: list[Line]) -> Posting:
    if not lines:
        raise Invalid("nothing_entered")
    return post(actor, now, request_id, lines)


def _moment(office: OfficeView, day: date, at: time | None) -> datetime | None:
    return local_moment(day, at, office.time_zone) if at is not None else None
