"""Transfers between offices: dispatched → received, short, damaged or cancelled. Every card sent is accounted for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date

from inventory.domain.errors import Invalid, Refusal
from inventory.domain.ledger import Kind, Line
from inventory.domain.quantities import check_quantity
from inventory.domain.ranges import Ranges, count, less_part

PURPOSES = ("distribution", "loan", "return", "outreach")
STATUSES = ("dispatched", "received", "cancelled")
WORDS_LENGTH = 240
"""Of the note to a transfer, and of the reason why it is cancelled: the ledger keeps both as one note."""


@dataclass(frozen=True, kw_only=True)
class Arrived:
    """What came out of the boxes: good cards and damaged ones. Short is what is missing from `sent`.

    Of an item whose numbers are kept, it says which arrived damaged and which not at all; the rest are good.
    """

    good: int
    damaged: int = 0
    damaged_ranges: Ranges = ()
    short_ranges: Ranges = ()


def check_dispatch(purpose: str, dispatched_on: date, expected_on: date, due_on: date | None, custodian: str) -> None:
    """Raises Invalid `purpose_unknown`, `custodian_missing`, `expected_before_dispatch`, `loan_needs_due_date`."""
    if purpose not in PURPOSES:
        raise Invalid("purpose_unknown")
    if not custodian.strip():
        raise Invalid("custodian_missing")
    if expected_on < dispatched_on:
        raise Invalid("expected_before_dispatch", expected_on=expected_on, dispatched_on=dispatched_on)
    if (purpose == "loan") != (due_on is not None) or (due_on is not None and due_on < expected_on):
        raise Invalid("loan_needs_due_date")


def dispatch_lines(
    sender_id: int, purpose: str, day: date, sent: dict[int, int], ranges: Mapping[int, Ranges] | None = None
) -> list[Line]:
    """The sender's movements for what leaves its store, with its numbers, by item id. Raises Invalid
    `nothing_entered`."""
    if not sent:
        raise Invalid("nothing_entered")
    return [
        Line(
            office_id=sender_id,
            item_id=item_id,
            kind=Kind.DISPATCH,
            reason=purpose,
            quantity=check_quantity(quantity),
            effective_on=day,
            ranges=(ranges or {}).get(item_id, ()),
        )
        for item_id, quantity in sorted(sent.items())
    ]


def check_open(status: str) -> None:
    """A transfer is closed once. Raises Refusal `transfer_closed`."""
    if status != "dispatched":
        raise Refusal("transfer_closed", status=status)


def short_and_over(sent: int, arrived: Arrived) -> tuple[int, int]:
    """What is missing of `sent`, and what came beyond it: one of them is 0. Raises Invalid `quantity_negative`."""
    if min(arrived.good, arrived.damaged) < 0:
        raise Invalid("quantity_negative")
    came = arrived.good + arrived.damaged
    return max(0, sent - came), max(0, came - sent)


def arrival_lines(
    sender_id: int,
    receiver_id: int,
    day: date,
    sent: dict[int, int],
    arrived: dict[int, Arrived],
    ranges: Mapping[int, Ranges] | None = None,
) -> list[Line]:
    """Both ends' movements for what arrived, by item id: sent + over = good + damaged + short, line by line.

    A shortage stays the sender's `missing` until it is explained, and so does, below zero, what came beyond `sent`:
    the sender had more in the box than its book says. `ranges` are the numbers that were sent: those that the sender
    hands over are those that the receiver books, after it; what came beyond them is sent by a transfer of its own.
    Raises Invalid `arrived_items_differ`, `more_arrived_than_sent`, `range_not_part`.
    """
    if set(arrived) != set(sent):
        raise Invalid("arrived_items_differ")
    lines: list[Line] = []
    for item_id in sorted(sent):
        good, damaged = arrived[item_id].good, arrived[item_id].damaged
        short, over = short_and_over(sent[item_id], arrived[item_id])
        numbers = (ranges or {}).get(item_id, ())
        if over and numbers:
            raise Invalid("more_arrived_than_sent", sent=sent[item_id], arrived=good + damaged)
        lines += _found_in_the_box(sender_id, item_id, day, over)
        lost, broken = arrived[item_id].short_ranges, arrived[item_id].damaged_ranges
        came = less_part(numbers, lost)
        whole = less_part(came, broken)
        sender = (("handed_over", good + damaged, came), ("short", short, lost))
        receiver = (("arrived", good, whole), ("arrived_damaged", damaged, broken))
        lines += _lines(sender_id, item_id, day, sender) + _lines(receiver_id, item_id, day, receiver)
    return lines


def _found_in_the_box(sender_id: int, item_id: int, day: date, over: int) -> list[Line]:
    """What the sender put into the box beyond what its book says: found by the receiver's count, and sent off."""
    booked = {"office_id": sender_id, "item_id": item_id, "quantity": over, "effective_on": day}
    found = ((Kind.COUNT, "found"), (Kind.DISPATCH, "distribution"))
    return [Line(kind=kind, reason=reason, **booked) for kind, reason in found] if over else []


def with_damaged_counted(arrived: Arrived) -> Arrived:
    """What arrived, where nobody said how many are damaged but which are. Good cards are always counted."""
    return replace(arrived, damaged=arrived.damaged or count(arrived.damaged_ranges))


def cancel_lines(
    sender_id: int, day: date, sent: dict[int, int], ranges: Mapping[int, Ranges] | None = None
) -> list[Line]:
    """The sender takes back into its store all that it had dispatched."""
    return [
        line
        for item_id, quantity in sorted(sent.items())
        for line in _lines(sender_id, item_id, day, (("cancelled", quantity, (ranges or {}).get(item_id, ())),))
    ]


def _lines(office_id: int, item_id: int, day: date, parts: Iterable[tuple[str, int, Ranges]]) -> list[Line]:
    return [
        Line(
            office_id=office_id,
            item_id=item_id,
            kind=Kind.ARRIVAL,
            reason=reason,
            quantity=quantity,
            effective_on=day,
            ranges=numbers,
        )
        for reason, quantity, numbers in parts
        if quantity
    ]
