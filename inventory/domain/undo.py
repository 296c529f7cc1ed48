"""Undo: what somebody has just entered themselves is taken back whole, for a few minutes and by one touch.

It is a reversal like any other. Whatever is later, or others have built on, goes the usual way: entry by entry, with a
reason, on the stock card.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from inventory.domain.errors import NotAllowed, Refusal
from inventory.domain.ledger import Kind

UNDOABLE = (Kind.PRINT, Kind.SPOIL, Kind.RETURN)
"""What one person enters and may take back alone. A receipt needs a second person, and documents have steps of their
own."""
LONGEST_MINUTES = 24 * 60


@dataclass(frozen=True, kw_only=True)
class Entered:
    """One posting as the rule sees it: all movements of one request. `recorded_at` is aware.

    `reversed` when any of its movements has been; `newest` unless the same person has entered something here since
    that still stands; `closed` when one of its days is closed.
    """

    actor_id: int | None
    recorded_at: datetime
    kinds: Sequence[Kind]
    origin: str
    is_reversal: bool
    reversed: bool
    newest: bool
    closed: bool


def check_undo(entered: Entered, actor_id: int | None, now: datetime, minutes: int) -> None:
    """Whether `actor_id` may take the posting back at `now` (aware), `minutes` being how long that is possible.

    Raises NotAllowed `undo_of_somebody_else`; Refusal `reversal_of_reversal`, `already_reversed`, `undo_other_kind`,
    `undo_too_late`, `undo_not_newest`, `undo_day_closed`.
    """
    if actor_id is None or entered.actor_id != actor_id:
        raise NotAllowed("undo_of_somebody_else")
    if entered.is_reversal:
        raise Refusal("reversal_of_reversal")
    if entered.reversed:
        raise Refusal("already_reversed")
    if entered.origin != "entered" or any(kind not in UNDOABLE for kind in entered.kinds):
        raise Refusal("undo_other_kind")
    if now >= until(entered.recorded_at, minutes):
        raise Refusal("undo_too_late", minutes=minutes)
    if not entered.newest:
        raise Refusal("undo_not_newest")
    if entered.closed:
        raise Refusal("undo_day_closed")


def until(recorded_at: datetime, minutes: int) -> datetime:
    """The instant from which on it is too late."""
    return recorded_at + timedelta(minutes=minutes)


def request_of(posting: UUID) -> UUID:
    """The request id of a posting's undoing: one for good, so that two presses, or two phones, are one request."""
    return uuid5(posting, "undo")
