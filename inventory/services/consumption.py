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
) -> Posting:
    """Record a day's printing of one item in one go, a movement for each reason that is not zero.

    Reasons are those of `ledger.PRINT_REASONS`, or `consumed` for a ribbon or film. `day` is the office's own, and
    `at` what its clock showed, where before or after a count matters. Raises Invalid `nothing_entered`,
    `day_in_future`, `day_too_early`, `reason_not_for_item`, `moment_in_future`, and what `ledger.post` raises.
    """
    office = offices.get(actor, Action.POST_MOVEMENT, office_code)
    item = items.get(item_code)
    check_day(day, office.today(now), FIRST_DAY)
    allowed = PRINT_REASONS if item.is_blank else (CONSUMED,)
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
) -> Posting:
    """Record blanks spoiled without a card for anybody, by cause (`ledger.EVERYDAY_CAUSES`).

    `shift` is one of `ledger.SHIFTS`, or None where the office does not say. Raises Invalid `shift_unknown`,
    `obsolete_needs_write_off`, and what `post_printed` raises.
    """
    office = offices.get(actor, Action.POST_MOVEMENT, office_code)
    item = items.get(item_code)
    check_day(day, office.today(now), FIRST_DAY)
    if spoiled.get("obsolete"):
        raise Invalid("obsolete_needs_write_off")
    lines = [
        Line(
            office_id=office.id,
            item_id=item.id,
            kind=Kind.SPOIL,
            reason=cause,
            quantity=spoiled[cause],
            effective_on=day,
            happened_at=_moment(office, day, at),
            note=note.strip(),
            shift=shift or None,
        )
        for cause in EVERYDAY_CAUSES
        if spoiled.get(cause)
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
) -> Posting:
    """Record blanks sent back to the supplier. Raises Invalid `return_needs_note`, and what `post_printed` raises."""
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
        quantity=quantity,
        effective_on=day,
        note=note.strip(),
    )
    return _post(actor, now, request_id, [line])


def _post(actor: Actor, now: datetime, request_id: UUID, lines: list[Line]) -> Posting:
    if not lines:
        raise Invalid("nothing_entered")
    return post(actor, now, request_id, lines)


def _moment(office: OfficeView, day: date, at: time | None) -> datetime | None:
    return local_moment(day, at, office.time_zone) if at is not None else None
