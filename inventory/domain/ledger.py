"""The ledger's law: every blank is always in exactly one place.

Per office and item:  received − sent = store + transit + printed + spoiled + destroyed + missing

A movement has a kind and a reason; together they fix its effect per unit on those eight figures. A reversal is the
same kind and reason with the opposite quantity, so every sum over movements is a plain sum.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple

from inventory.domain.errors import Invalid, Refusal
from inventory.domain.offices import local_day
from inventory.domain.quantities import check_quantity
from inventory.domain.ranges import Ranges, check_ranges
from inventory.domain.texts import check_text

NOTE_LENGTH = 500

PLACES = ("store", "transit", "printed", "spoiled", "destroyed", "missing")
FLOWS = ("received", "sent")
FIGURES = FLOWS + PLACES
NEVER_NEGATIVE = tuple(figure for figure in FIGURES if figure != "missing")
"""`missing` may be negative: a surplus that a stocktake found."""
OUTSIDE = "outside"
"""Where the numbers of blanks are that lie in none of the places: not yet received, or gone back to the supplier."""


class Kind(StrEnum):
    RECEIPT = "receipt"
    PRINT = "print"
    SPOIL = "spoil"
    DISPATCH = "dispatch"
    ARRIVAL = "arrival"
    RETURN = "return"
    DESTROY = "destroy"
    COUNT = "count"


class Effect(NamedTuple):
    """What one unit of a movement adds to each figure."""

    received: int = 0
    sent: int = 0
    store: int = 0
    transit: int = 0
    printed: int = 0
    spoiled: int = 0
    destroyed: int = 0
    missing: int = 0

    def times(self, quantity: int) -> Effect:
        return Effect(*(quantity * part for part in self))

    def plus(self, other: Effect) -> Effect:
        return Effect(*(a + b for a, b in zip(self, other, strict=True)))


NOTHING = Effect()

PRINT_REASONS = ("new", "lost", "damaged", "changed_data", "moved_in")
CONSUMED = "consumed"
"""The one reason of a print movement of a consumable: a ribbon or film used up."""
SPOIL_CAUSES = ("misprint", "encoding_failure", "defective", "obsolete")
EVERYDAY_CAUSES = tuple(cause for cause in SPOIL_CAUSES if cause != "obsolete")
"""What a storekeeper records alone. Obsolete blanks are written off by a record that a second person approves."""
SHIFTS = ("morning", "afternoon", "evening")
RECEIPT_REASONS = ("supplied", "opening", "defective")

OF_DOCUMENTS = (Kind.DISPATCH, Kind.ARRIVAL, Kind.COUNT, Kind.DESTROY)
"""Kinds that only a document makes: they are corrected by its own next step, never by a reversal."""

_PRINT = Effect(store=-1, printed=+1)
_SPOIL = Effect(store=-1, spoiled=+1)
_TAKE_OUT = Effect(store=-1, transit=+1)

EFFECTS: Mapping[tuple[Kind, str], Effect] = {
    (Kind.RECEIPT, "supplied"): Effect(received=+1, store=+1),
    (Kind.RECEIPT, "opening"): Effect(received=+1, store=+1),
    (Kind.RECEIPT, "defective"): Effect(received=+1, spoiled=+1),
    **{(Kind.PRINT, reason): _PRINT for reason in (*PRINT_REASONS, CONSUMED)},
    **{(Kind.SPOIL, cause): _SPOIL for cause in SPOIL_CAUSES},
    **{(Kind.DISPATCH, purpose): _TAKE_OUT for purpose in ("distribution", "loan", "return", "outreach")},
    # An arrival is booked at both ends: three reasons at the sender, two at the receiver.
    (Kind.ARRIVAL, "handed_over"): Effect(transit=-1, sent=+1),
    (Kind.ARRIVAL, "short"): Effect(transit=-1, missing=+1),
    (Kind.ARRIVAL, "cancelled"): Effect(transit=-1, store=+1),
    (Kind.ARRIVAL, "arrived"): Effect(received=+1, store=+1),
    (Kind.ARRIVAL, "arrived_damaged"): Effect(received=+1, spoiled=+1),
    (Kind.RETURN, "to_supplier"): Effect(store=-1, sent=+1),
    (Kind.DESTROY, "destroyed"): Effect(spoiled=-1, destroyed=+1),
    (Kind.COUNT, "found"): Effect(store=+1, missing=-1),
    (Kind.COUNT, "short"): Effect(store=-1, missing=+1),
}


@dataclass(frozen=True, kw_only=True)
class Line:
    """One movement to be written. `quantity` is negative for a reversal only, and then `reverses_id` names what."""

    office_id: int
    item_id: int
    kind: Kind
    reason: str
    quantity: int
    effective_on: date
    served_waiting: int = 0
    note: str = ""
    reverses_id: int | None = None
    shift: str | None = None
    """In which of the SHIFTS cards were spoiled, where the office says."""
    happened_at: datetime | None = None
    """The instant (aware) on `effective_on` when it happened, where that is known."""
    ranges: Ranges = ()
    """The numbers that it moves, of an item whose numbers are kept. A reversal has none: the ledger knows them."""

    @property
    def effect(self) -> Effect:
        return effect_of(self.kind, self.reason).times(self.quantity)


def effect_of(kind: Kind | str, reason: str) -> Effect:
    """The effect of one unit. Raises Invalid `unknown_movement` for a kind and reason that the law does not have."""
    try:
        return EFFECTS[Kind(kind), reason]
    except (KeyError, ValueError):
        raise Invalid("unknown_movement", kind=str(kind), reason=reason) from None


def route_of(kind: Kind | str, reason: str) -> tuple[str, str]:
    """From where to where a movement takes the numbers of its blanks: two of PLACES and OUTSIDE.

    A reversal takes them back. Raises Invalid `unknown_movement`.
    """
    effect = effect_of(kind, reason)
    source = next((place for place in PLACES if getattr(effect, place) < 0), OUTSIDE)
    target = next((place for place in PLACES if getattr(effect, place) > 0), OUTSIDE)
    return source, target


def check_line(line: Line) -> None:
    """Raises Invalid when a line cannot stand by itself, whatever the stock is."""
    effect_of(line.kind, line.reason)
    check_quantity(abs(line.quantity))
    if (line.quantity < 0) != (line.reverses_id is not None):
        raise Invalid("quantity_not_positive")
    check_text(line.note, NOTE_LENGTH)
    check_ranges(line.ranges)
    if not isinstance(line.served_waiting, int):
        raise Invalid("quantity_not_a_number")
    if line.shift is not None and (line.kind is not Kind.SPOIL or line.shift not in SHIFTS):
        raise Invalid("shift_unknown")
    served, printed = abs(line.served_waiting), abs(line.quantity)
    if served and (line.kind is not Kind.PRINT or line.served_waiting * line.quantity < 0):
        raise Invalid("served_waiting_needs_print")
    if served > printed:
        raise Invalid("served_waiting_exceeds_print", served=served, printed=printed)


def check_day(effective_on: date, today: date, first_day: date) -> None:
    """A movement happens on a day from `first_day` to the office's `today`. Raises Invalid `day_in_future`,
    `day_too_early`."""
    if effective_on > today:
        raise Invalid("day_in_future", day=effective_on, today=today)
    if effective_on < first_day:
        raise Invalid("day_too_early", day=effective_on, first=first_day)


def check_moment(line: Line, now: datetime, time_zone: str) -> None:
    """What happened at a known instant happened on its day, and not after `now`. Raises Invalid `moment_in_future`,
    `moment_on_other_day`."""
    if line.happened_at is None:
        return
    if line.happened_at > now:
        raise Invalid("moment_in_future")
    if local_day(line.happened_at, time_zone) != line.effective_on:
        raise Invalid("moment_on_other_day", day=line.effective_on)


def total_effect(lines: Iterable[Line]) -> Effect:
    sums: dict[tuple[Kind, str], int] = defaultdict(int)
    for line in lines:
        sums[line.kind, line.reason] += line.quantity
    total = NOTHING
    for (kind, reason), quantity in sums.items():
        total = total.plus(effect_of(kind, reason).times(quantity))
    return total


def obeys_law(figures: Mapping[str, int]) -> bool:
    """Whether eight figures account for every blank, with the signs that the law asks for."""
    accounted = sum(figures[place] for place in PLACES)
    return figures["received"] - figures["sent"] == accounted and all(figures[f] >= 0 for f in NEVER_NEGATIVE)


def first_day_below_zero(
    now: Mapping[str, int], by_day: Mapping[date, Effect], since: date
) -> tuple[date, str, int] | None:
    """The earliest day from `since` on whose closing balance is negative: (day, figure, closing) or None.

    `now` is the balance after everything; `by_day` the net effect of each day after or on `since`. The closing
    balance of a day is `now` less all that later days did, so only those days are walked, never the past.
    """
    found: tuple[date, str, int] | None = None
    closing = Effect(**{figure: now[figure] for figure in FIGURES})
    for day in sorted((day for day in by_day if day >= since), reverse=True):
        for figure in NEVER_NEGATIVE:
            value = getattr(closing, figure)
            if value < 0:
                found = (day, figure, value)
        closing = closing.plus(by_day[day].times(-1))
    return found


@dataclass(frozen=True, kw_only=True)
class Original:
    """What a reversal needs to know of the movement it names."""

    id: int
    office_id: int
    item_id: int
    kind: Kind
    reason: str
    quantity: int
    served_waiting: int
    effective_on: date
    reverses_id: int | None
    reversed_by_id: int | None
    shift: str | None = None
    proposal_id: int | None = None
    happened_at: datetime | None = None


def reversal_of(original: Original, note: str) -> Line:
    """The line that undoes `original`, on the day that `original` was for, so that the day's figures come right.

    Raises Refusal `reversal_of_reversal`, `already_reversed`, `part_of_document`; Invalid `reversal_needs_reason`.
    """
    if original.reverses_id is not None:
        raise Refusal("reversal_of_reversal")
    if original.reversed_by_id is not None:
        raise Refusal("already_reversed")
    if original.kind in OF_DOCUMENTS or original.proposal_id is not None:
        raise Refusal("part_of_document")
    if not note.strip():
        raise Invalid("reversal_needs_reason")
    return Line(
        office_id=original.office_id,
        item_id=original.item_id,
        kind=original.kind,
        reason=original.reason,
        quantity=-original.quantity,
        served_waiting=-original.served_waiting,
        effective_on=original.effective_on,
        reverses_id=original.id,
        shift=original.shift,
        happened_at=original.happened_at,
        note=note.strip(),
    )


def body_digest(actor_id: int | None, lines: Iterable[Line], extra: Mapping[str, object] | None = None) -> str:
    """SHA-256 (hex) of what a request asks for: equal exactly when the same actor asks for the same thing.

    `extra` holds what the request says beside its lines, such as a record of hand-over's number.
    """
    said = [{name: value for name, value in vars(line).items() if name != "ranges" or value} for line in lines]
    body = {"actor": actor_id, "lines": said, "extra": dict(extra or {})}
    return hashlib.sha256(json.dumps(body, sort_keys=True, default=str).encode()).hexdigest()
