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
TRANSFER_OF: Mapping[str, tuple[str | None, ...]] = {
    "draft": (None,),
    "sent": ("dispatched", "received"),
    "recalled": ("cancelled",),
    "dropped": (None, "cancelled"),
}
"""What has become of the transfer that sent a draft last; None where there never was one."""
FIXED = "fixed"
"""The ground of a draft that nothing was worked out for."""
PURPOSES = {"split": "distribution", "loans": "loan"}
"""What a transfer that sends a draft is for, by the plan's mode."""


def check_draft(status: str) -> None:
    """What is sent or dropped waits to be sent no more. Raises Refusal `draft_closed`."""
    if status not in OPEN:
        raise Refusal("draft_closed")


def follows(status: str, transfer_status: str | None) -> bool:
    """Whether a draft can be so when its transfer is so (None: there is none)."""
    return transfer_status in TRANSFER_OF.get(status, ())


def said(
    *,
    mode: str,
    office: str,
    item_code: str,
    quantity: int | None,
    reserve: int,
    pack: int,
    planned: Mapping[tuple[str, str], int],
) -> dict[str, object]:
    """What a plan asks for, apart from what the stocks of the moment make of it; offices by their codes.

    The digest of it is kept with the plan: whether the same is asked twice, and whether the plan still says it, is
    told by that. So this form stays as it is.
    """
    plan = {"mode": mode, "office": office, "item_code": item_code}
    plan |= {"quantity": quantity, "reserve": reserve, "pack": pack}
    return {"plan": plan, "planned": {" > ".join(ends): each for ends, each in sorted(planned.items())}}


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
