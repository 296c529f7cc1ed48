"""Drafts of transfers, as an allotment plan proposes them, and what becomes of them.

| from | to | by |
|---|---|---|
| draft | sent | the dispatch of a transfer that carries it |
| draft | dropped | who planned it |
| sent | recalled | its transfer is cancelled: the blanks are in the sender's store again |
| recalled | sent | the dispatch of another transfer |
| recalled | dropped | who planned it |

A draft or a recalled one is open: it waits to be sent. Nothing follows a drop, nor the arrival of what was sent.
"""

from __future__ import annotations

from collections.abc import Mapping

from inventory.domain.errors import Invalid, Refusal
from inventory.domain.quantities import check_quantity

MODES = ("split", "loans")
STEPS: Mapping[str, tuple[str, ...]] = {
    "draft": ("sent", "dropped"),
    "sent": ("recalled",),
    "recalled": ("sent", "dropped"),
    "dropped": (),
}
DRAFT_STATUSES = tuple(STEPS)
OPEN = tuple(status for status, following in STEPS.items() if "sent" in following)
"""Those that wait to be sent."""
PURPOSES = {"split": "distribution", "loans": "loan"}
"""What a transfer that sends a draft is for, by the plan's mode."""


def check_draft(status: str) -> None:
    """What is sent or dropped waits to be sent no more. Raises Refusal `draft_closed`."""
    if status not in OPEN:
        raise Refusal("draft_closed")


def check_planned(mode: str, planned: Mapping[tuple[str, str], int]) -> None:
    """What a plan sends, by sender and receiver. Raises Invalid `nothing_entered`, `same_office`,
    `lends_and_borrows` (office), and what `check_quantity` raises."""
    if not planned:
        raise Invalid("nothing_entered")
    for (sender, receiver), quantity in planned.items():
        check_quantity(quantity)
        if sender == receiver:
            raise Invalid("same_office")
    both = {sender for sender, _ in planned} & {receiver for _, receiver in planned}
    if mode == "loans" and both:
        raise Invalid("lends_and_borrows", office=min(both))


def check_within(total: int, available: int, office: str) -> None:
    """Raises Refusal `plan_exceeds_stock` when an office would send more than it has for it."""
    if total > available:
        raise Refusal("plan_exceeds_stock", office=office, total=total, available=max(0, available))
