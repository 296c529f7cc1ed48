"""What an office uses up: cards printed by reason, cards spoiled by cause, blanks sent back to the supplier."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from typing import Any
from uuid import UUID

from sqlalchemy import and_, bindparam, select

from inventory.db import glance
from inventory.domain.access import Action, Actor, require
from inventory.domain.errors import Invalid, NotFound
from inventory.domain.ledger import CONSUMED, EVERYDAY_CAUSES, PRINT_REASONS, Kind, Line, check_day
from inventory.domain.offices import is_code, local_day, local_moment
from inventory.domain.ranges import Ranges
from inventory.domain.ranges import count as numbers_in
from inventory.models import Item, Office
from inventory.services import items, offices
from inventory.services.ledger import Beside, Facts, Posting, post, post_at_once
from inventory.services.movements import MovementView, view_of

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
    use = _use(actor, now, office_code, item_code, day, note, at, ranges)
    return _post(actor, now, request_id, _printed_lines(use, printed))


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
    use = _use(actor, now, office_code, item_code, day, note, at, ranges)
    return _post(actor, now, request_id, _spoiled_lines(use, spoiled, shift))


def post_used(
    actor: Actor,
    now: datetime,
    request_id: UUID,
    office_code: str,
    item_code: str,
    day: date,
    printed: Mapping[str, Printed],
    spoiled: Mapping[str, int],
    note: str = "",
    at: time | datetime | None = None,
    *,
    shift: str | None = None,
    ranges: Mapping[str, Ranges] | None = None,
) -> Posting:
    """Record what was printed and what was spoiled in one go: all of it or nothing.

    `at` is what the office's clock showed, or an instant (aware) of that day; `shift` that in which cards were spoiled.
    `ranges` are by reason and by cause, which no two share. Raises `moment_on_other_day`, and what `post_printed` and
    `post_spoiled` raise.
    """
    use = _use(actor, now, office_code, item_code, day, note, at, ranges)
    return _post(actor, now, request_id, _printed_lines(use, printed) + _spoiled_lines(use, spoiled, shift))


def post_used_at_once(
    actor: Actor,
    now: datetime,
    request_id: UUID,
    office_code: str,
    item_code: str,
    day: date,
    printed: Mapping[str, Printed],
    spoiled: Mapping[str, int],
    note: str,
    at: datetime | None,
    *,
    shift: str | None,
    beside: Callable[[MovementView], Beside],
) -> MovementView | None:
    """What `post_used` does with one movement, and what is to be written `beside` it: all of it or nothing. `beside`
    is given the movement as it will be, but for its id and its number, which are 0.

    None, and nothing was written, for all that is not that simple, and for what cannot be: `post_used` says why. What
    it raises may have been so a moment ago only: that too `post_used` says.
    """

    def attempt(stock: Facts) -> MovementView | None:
        use = _use_of(stock, now, day, note, at, None)
        lines = _printed_lines(use, printed) + _spoiled_lines(use, spoiled, shift)
        if len(lines) != 1:
            return None
        shown = view_of(actor, now, request_id, office_code, item_code, lines[0])
        written = post_at_once(actor, now, request_id, lines[0], beside(shown), stock)
        return replace(shown, id=written.id, seq=written.seq) if written else None

    remembered = _remembered.get((office_code, item_code))
    if remembered is not None:
        require(actor, Action.POST_MOVEMENT, remembered.path)
        posted = attempt(remembered)
        if posted is not None:
            return posted
    stock = _stock(actor, office_code, item_code)
    if stock == remembered:
        return None
    if len(_remembered) >= REMEMBERED_AT_MOST:
        _remembered.clear()
    _remembered[office_code, item_code] = stock
    return attempt(stock)


REMEMBERED_AT_MOST = 10_000
_remembered: dict[tuple[str, str], Facts] = {}
"""What this process was last told of offices and items. It may have changed since: only a statement that finds out by
itself is given it."""


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


# --- parts -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Use:
    """What the lines of one entry have in common."""

    stock: Facts
    day: date
    at: datetime | None
    note: str
    ranges: Mapping[str, Ranges]

    def line(self, kind: Kind, reason: str, quantity: int, **own: Any) -> Line:
        return Line(
            office_id=self.stock.office_id,
            item_id=self.stock.item_id,
            kind=kind,
            reason=reason,
            quantity=quantity,
            effective_on=self.day,
            happened_at=self.at,
            note=self.note,
            ranges=self.ranges.get(reason, ()),
            **own,
        )


def _use(
    actor: Actor,
    now: datetime,
    office_code: str,
    item_code: str,
    day: date,
    note: str,
    at: time | datetime | None,
    ranges: Mapping[str, Ranges] | None,
) -> _Use:
    return _use_of(_stock(actor, office_code, item_code), now, day, note, at, ranges)


def _use_of(
    stock: Facts,
    now: datetime,
    day: date,
    note: str,
    at: time | datetime | None,
    ranges: Mapping[str, Ranges] | None,
) -> _Use:
    check_day(day, local_day(now, stock.time_zone), FIRST_DAY)
    given = {reason: numbers for reason, numbers in (ranges or {}).items() if numbers}
    return _Use(stock, day, _moment(stock, day, at), note.strip(), given)


_STOCK = (
    select(
        Office.id,
        Office.code,
        Office.path,
        Office.time_zone,
        Item.id.label("item_id"),
        Item.code.label("item_code"),
        Item.prints_per_unit,
    )
    .select_from(Office)
    .outerjoin(Item, and_(Item.code == bindparam("item"), Item.active))
    .where(Office.code == bindparam("office"))
)


def _stock(actor: Actor, office_code: str, item_code: str) -> Facts:
    """What `offices.get` and `items.get` say, asked for at once: every entry begins with it."""
    # No database is asked for what cannot be a code: PostgreSQL breaks off a query with a NUL in it.
    wanted = {"office": office_code, "item": "" if "\x00" in item_code else item_code}
    row = glance(_STOCK, wanted) if is_code(office_code) else None
    if row is None:
        raise NotFound("office_not_found", code=office_code[:40])
    require(actor, Action.POST_MOVEMENT, row.path)
    if row.item_id is None:
        raise NotFound("item_not_found", code=item_code[:40])
    return Facts(
        office_id=row.id,
        office_code=row.code,
        path=row.path,
        time_zone=row.time_zone,
        item_id=row.item_id,
        item_code=row.item_code,
        prints_per_unit=row.prints_per_unit,
    )


def _printed_lines(use: _Use, printed: Mapping[str, Printed]) -> list[Line]:
    allowed = PRINT_REASONS if use.stock.prints_per_unit is None else (CONSUMED,)
    printed = _counted(printed, {reason: use.ranges[reason] for reason in use.ranges if reason not in EVERYDAY_CAUSES})
    for reason, count in printed.items():
        if reason not in allowed and (count.quantity or count.served_waiting):
            raise Invalid("reason_not_for_item", reason=reason, item=use.stock.item_code)
        if count.served_waiting > count.quantity:
            raise Invalid("served_waiting_exceeds_print", served=count.served_waiting, printed=count.quantity)
    return [
        use.line(Kind.PRINT, reason, printed[reason].quantity, served_waiting=printed[reason].served_waiting)
        for reason in allowed
        if reason in printed and printed[reason].quantity
    ]


def _spoiled_lines(use: _Use, spoiled: Mapping[str, int], shift: str | None) -> list[Line]:
    if spoiled.get("obsolete"):
        raise Invalid("obsolete_needs_write_off")
    quantities = {cause: spoiled.get(cause) or numbers_in(use.ranges.get(cause, ())) for cause in EVERYDAY_CAUSES}
    return [
        use.line(Kind.SPOIL, cause, quantity, shift=shift or None) for cause, quantity in quantities.items() if quantity
    ]


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


def _moment(stock: Facts, day: date, at: time | datetime | None) -> datetime | None:
    if isinstance(at, datetime):
        return at
    return local_moment(day, at, stock.time_zone) if at is not None else None
