"""What a storekeeper takes along to where there is no network, and what is brought back: entries, one at a time.

An entry was made on a phone hours or days ago, under a request id that the phone made. It is recorded by the very
functions that record the forms, so that no rule stands here a second time, with two things that only lateness brings:

1. The answer to an entry may have been lost, so the phone sends it again. When a rule has changed meanwhile (the item
   is no longer used, the storekeeper has moved on) that rule stops the repetition before the ledger can recognise it.
   What the ledger holds is asked whenever something refuses, so that a phone is never told "not recorded" of an entry
   that is.
2. The day may have been closed meanwhile, by somebody who counted without the entry. A form's late entry is a
   decision of who writes it; an entry that sends itself is not, so it is refused until a person has decided (`late`).
   So is one of a day on which its item was counted: only a person knows whether it was before the count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from uuid import UUID

from sqlalchemy import exists, func, select

from inventory.db import db
from inventory.domain.access import Action, Actor
from inventory.domain.errors import NotAllowed, Refusal
from inventory.domain.ledger import EVERYDAY_CAUSES
from inventory.domain.offices import local_moment
from inventory.domain.ranges import Ranges
from inventory.models import DayClosing, Item, Movement, Stocktake, StocktakeLine
from inventory.services import balances, consumption, offices
from inventory.services.consumption import Printed
from inventory.services.ledger import Posting
from inventory.services.offices import OfficeView

MOST_OFFICES = 20
"""A storekeeper works at one office or a few; somebody with more takes the first ones along."""


class EntryKind(StrEnum):
    """What an entry is about. What is entered on the page of today is both in one."""

    PRINT = "print"
    SPOIL = "spoil"
    USE = "use"


@dataclass(frozen=True)
class Amount:
    """What an entry says of one reason or cause. Printing alone serves requests that waited."""

    quantity: int
    served_waiting: int = 0
    ranges: Ranges = ()


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A day's printing or spoilage, or both, of one item at one office, as somebody entered it without a network.

    `day` is the office's own day; `late` says that a person wants it recorded although that day is closed.
    """

    request_id: UUID
    person_id: int
    kind: EntryKind
    office_code: str
    item_code: str
    day: date
    amounts: Mapping[str, Amount]
    note: str = ""
    late: bool = False


@dataclass(frozen=True)
class Taken:
    """An office as it is taken along: its day of now, and what is in its store by item code."""

    office: OfficeView
    today: date
    store: Mapping[str, int]
    synthetic: bool


def take_along(actor: Actor, now: datetime) -> list[Taken]:
    """The offices at which the actor records consumption, by code, at most MOST_OFFICES."""
    found = offices.search(actor, Action.POST_MOVEMENT, "", limit=MOST_OFFICES)
    return [_taken(actor, now, office) for office in found]


def record(actor: Actor, now: datetime, entry: Entry) -> bool:
    """Record an entry, once; whether it was recorded now and not before.

    Raises NotAllowed `entry_of_somebody_else` unless the actor made it, Refusal `day_closed_meanwhile`, and what
    `consumption.post_printed` and `post_spoiled` raise. A refusal means that the entry is not in the books.
    """
    if actor.person_id is None or entry.person_id != actor.person_id:
        raise NotAllowed("entry_of_somebody_else")
    try:
        if not entry.late:
            _check_open(actor, entry)
        _check_not_counted(actor, entry)
        return not _post(actor, now, entry).replayed
    except Refusal as refusal:
        if refusal.code != "request_id_reused" and _is_recorded(actor, entry.request_id):
            return False
        raise


def _taken(actor: Actor, now: datetime, office: OfficeView) -> Taken:
    held = balances.of_office(actor, office.code)
    return Taken(
        office=office,
        today=office.today(now),
        store={each.item_code: each.store for each in held},
        synthetic=any(each.synthetic for each in held),
    )


def _check_open(actor: Actor, entry: Entry) -> None:
    office = offices.get(actor, Action.POST_MOVEMENT, entry.office_code)
    closed = exists().where(
        DayClosing.office_id == office.id, DayClosing.day == entry.day, DayClosing.reopened_at.is_(None)
    )
    if db.session.scalar(select(closed)):
        raise Refusal("day_closed_meanwhile", day=entry.day)


def _check_not_counted(actor: Actor, entry: Entry) -> None:
    """Whether something was printed before or after a count of that day, only a person can say, on the form that asks
    for the time of day. Without it the entry would stand after the count, and what was printed would be missing."""
    if entry.day == date.max:
        return
    office = offices.get(actor, Action.POST_MOVEMENT, entry.office_code)
    first, end = (local_moment(day, time(), office.time_zone) for day in (entry.day, entry.day + timedelta(days=1)))
    at = func.coalesce(StocktakeLine.recounted_at, StocktakeLine.counted_at)
    counted = (
        select(StocktakeLine.stocktake_id)
        .join(Stocktake, Stocktake.id == StocktakeLine.stocktake_id)
        .join(Item, Item.id == StocktakeLine.item_id)
        .where(Stocktake.office_id == office.id, Stocktake.status != "cancelled")
        .where(Item.code == entry.item_code, at >= first, at < end)
    )
    if db.session.scalar(select(counted.exists())):
        raise Refusal("counted_meanwhile", day=entry.day)


def _post(actor: Actor, now: datetime, entry: Entry) -> Posting:
    stamp = (actor, now, entry.request_id, entry.office_code, entry.item_code, entry.day)
    ranges = {reason: amount.ranges for reason, amount in entry.amounts.items()}
    spoiled = {cause: amount.quantity for cause, amount in entry.amounts.items()}
    if entry.kind is EntryKind.SPOIL:
        return consumption.post_spoiled(*stamp, spoiled, entry.note, ranges=ranges)
    printed = {
        reason: Printed(amount.quantity, amount.served_waiting)
        for reason, amount in entry.amounts.items()
        if reason not in EVERYDAY_CAUSES
    }
    if entry.kind is EntryKind.USE:
        return consumption.post_used(*stamp, printed, spoiled, entry.note, ranges=ranges)
    return consumption.post_printed(*stamp, printed, entry.note, ranges=ranges)


def _is_recorded(actor: Actor, request_id: UUID) -> bool:
    mine = exists().where(Movement.request_id == request_id, Movement.actor_id == actor.person_id)
    return bool(db.session.scalar(select(mine)))
