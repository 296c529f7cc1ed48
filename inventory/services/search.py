"""Search from anywhere: offices, documents, serial numbers, alerts, plans and items, within what a person may see.

Nothing out of reach is found, and nothing is counted: a group says only whether it goes on. Numbers of documents are
compared by their keys (`domain.keys`), by the beginning of what was typed, and found by index: within each of a few
offices for people who see few, and else in the order of the keys of the whole country.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, literal, or_, select, true, union, union_all

from inventory.db import db
from inventory.domain.access import Action, Actor, Reach, may_somewhere, reach, require
from inventory.domain.audit import Event
from inventory.domain.documents import number_text
from inventory.domain.errors import Invalid
from inventory.domain.keys import key_of, keys_beginning
from inventory.domain.offices import is_code
from inventory.domain.ranges import Range, parse_number
from inventory.models import (
    Alert,
    Delivery,
    DeliveryRequest,
    Destruction,
    Document,
    Item,
    Office,
    OutreachPlan,
    Proposal,
    Stocktake,
    Transfer,
)
from inventory.models.keys import key
from inventory.services import audit, items, numbers, offices
from inventory.services.offices import in_reach
from inventory.services.ranges import as_range, overlapping

WORDS_LENGTH = 120
EACH = 8
"""How many of a group are shown beside the others."""
PAGE = 50
"""And how many when a group is shown by itself."""
LAST_PAGE = 100
FEW_OFFICES = 100
"""Up to so many offices are looked into one by one."""
MOST_NUMBERED = 5
"""Of how many items a serial number is looked for."""

_OF_OFFICE = re.compile(r"0*([0-9]{1,9})/([0-9A-Za-z.]{1,35})(?:/([0-9]{4}))?", re.ASCII)
_ID = re.compile(r"#?0*([0-9]{1,9})", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Hit:
    """One thing that was found. `title` is its number, name or place; what else is known depends on `kind`."""

    kind: str
    title: str
    exact: bool = False
    id: int = 0
    office_code: str = ""
    office_name: str = ""
    to_office: str = ""
    """Of a transfer, the receiver's name."""
    item_code: str = ""
    day: date | None = None
    state: str = ""
    """A status, a level, a place or the kind of a document, as its own pages call it."""
    subject: str = ""
    range: str = ""
    """Of a serial number, the range that holds it, within reach."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """Hits of one kind, exact ones first; `more` says whether there are more of them."""

    kind: str
    hits: tuple[Hit, ...]
    more: bool

    @property
    def exact(self) -> bool:
        return any(hit.exact for hit in self.hits)


@dataclass(frozen=True)
class _Asked:
    """What is looked for, by whom, and which part of it."""

    actor: Actor
    words: str
    key: str
    skip: int
    most: int
    stock: Reach
    few: tuple[int, ...] | None
    """The offices whose stock the person may see, where they are few."""

    def at(self, office_id: Any) -> ColumnElement[bool]:
        if self.few is not None:
            return office_id.in_(self.few)
        if self.stock.everywhere:
            return true()
        return office_id.in_(select(Office.id).where(in_reach(self.stock)))

    def is_exact(self, text: str) -> bool:
        return text.strip().lower() == self.words.lower()

    def page(self, query: Any) -> Sequence[Any]:
        return db.session.execute(query.offset(self.skip).limit(self.most + 1)).all()


def look_up(actor: Actor, now: datetime, words: str, kind: str | None = None, page: int = 1) -> list[Group]:
    """`find`, for somebody who asks: that they were told of a card's number is written into the audit."""
    groups = find(actor, words, kind, page)
    for hit in (hit for group in groups if group.kind == "numbers" for hit in group.hits):
        facts = {"item": hit.item_code, "found": hit.state}
        audit.record(now, actor, Event.NUMBER_LOOKED_UP, subject=hit.title, facts=facts)
    return groups


def find(actor: Actor, words: str, kind: str | None = None, page: int = 1) -> list[Group]:
    """What is found for `words`, groups with an exact hit first; of one `kind` a page of PAGE where it is given.

    Words are cut at WORDS_LENGTH; nothing is found for none. Raises NotAllowed.
    """
    if not may_somewhere(actor, Action.VIEW_OFFICE):
        require(actor, Action.VIEW_OFFICE, "")
    words = words.replace("\x00", "").strip()[:WORDS_LENGTH].strip()
    if not words:
        return []
    asked = _asked(actor, words, kind, min(max(page, 1), LAST_PAGE))
    groups = [_group(name, asked) for name in KINDS if kind in (None, name)]
    return sorted((group for group in groups if group.hits), key=lambda group: not group.exact)


def _asked(actor: Actor, words: str, kind: str | None, page: int) -> _Asked:
    skip, most = ((page - 1) * PAGE, PAGE) if kind else (0, EACH)
    stock = reach(actor, Action.VIEW_STOCK)
    few: tuple[int, ...] | None = None
    if not stock.everywhere:
        ids = db.session.scalars(select(Office.id).where(in_reach(stock)).limit(FEW_OFFICES + 1)).all()
        few = tuple(ids) if len(ids) <= FEW_OFFICES else None
    return _Asked(actor, words, key_of(words), skip, most, stock, few)


def _group(kind: str, asked: _Asked) -> Group:
    found = KINDS[kind](asked)
    hits = sorted(found[: asked.most], key=lambda hit: not hit.exact)
    return Group(kind=kind, hits=tuple(hits), more=len(found) > asked.most)


# --- each kind: one more than asked for, when there are more ----------------------------------------------------


def _offices(asked: _Asked) -> list[Hit]:
    """By a part of the name or the beginning of the code; one that is called just so is never left out."""
    action, typed = Action.VIEW_OFFICE, asked.words.lower()
    called = or_(func.lower(Office.code) == typed, func.lower(Office.name) == typed)
    so_called = select(Office).where(in_reach(reach(asked.actor, action)), called).order_by(Office.code).limit(PAGE)
    exact = [offices.view(row) for row in db.session.scalars(so_called)]
    # One order for all pages: those first, and none of them a second time.
    end = asked.skip + asked.most + 1
    found = offices.search(asked.actor, action, asked.words, end + len(exact))
    ordered = exact + [office for office in found if office not in exact]
    return [
        Hit(
            kind="offices",
            title=office.name,
            exact=office in exact,
            office_code=office.code,
            state=office.kind.value,
        )
        for office in ordered[asked.skip : end]
    ]


def _numbers(asked: _Asked) -> list[Hit]:
    """Of items whose serial numbers are kept: where one is, as far as that is in reach, or where it was."""
    try:
        series, number = parse_number(asked.words)
    except Invalid:
        return []
    if asked.skip or not may_somewhere(asked.actor, Action.VIEW_STOCK):
        return []
    numbered = [item for item in items.active() if item.numbered][:MOST_NUMBERED]
    hits = []
    for item in numbered:
        found = numbers.find(asked.actor, item.code, asked.words)
        been = next((step.office for step in reversed(found.steps) if step.office), None)
        office = found.office or been
        if found.place is None or office is None:
            continue
        held = overlapping(db.session(), item.id, Range(*series, number, number)) if found.office else []
        hits.append(
            Hit(
                kind="numbers",
                title=found.number,
                exact=True,
                office_code=office.code,
                office_name=office.name,
                item_code=item.code,
                state=found.place if found.office else "",
                range=str(as_range(held[0])) if held else "",
            )
        )
    return hits


def _deliveries(asked: _Asked) -> list[Hit]:
    if not asked.key:
        return []
    by = key(Delivery.bast_number)
    query = (
        select(Delivery, Office.code, Office.name, Item.code.label("item"))
        .join(Office, Office.id == Delivery.office_id)
        .join(Item, Item.id == Delivery.item_id)
        .where(_begins(by, asked.key), asked.at(Delivery.office_id))
        .order_by(by, Delivery.id)
    )
    return [
        Hit(
            kind="deliveries",
            title=row.Delivery.bast_number,
            exact=asked.is_exact(row.Delivery.bast_number),
            id=row.Delivery.id,
            office_code=row.code,
            office_name=row.name,
            item_code=row.item,
            day=row.Delivery.bast_on,
            state="reversed" if row.Delivery.voided_at else "",
        )
        for row in asked.page(query)
    ]


def _transfers(asked: _Asked) -> list[Hit]:
    """From either end."""
    if not asked.key:
        return []
    by = key(Transfer.bast_number)
    sender, receiver = Office.__table__.alias("sender"), Office.__table__.alias("receiver")
    query = (
        select(Transfer, sender.c.code, sender.c.name, receiver.c.name.label("to_office"))
        .join(sender, sender.c.id == Transfer.sender_id)
        .join(receiver, receiver.c.id == Transfer.receiver_id)
        .where(_transfers_in_reach(asked, by))
        .order_by(by, Transfer.id)
    )
    return [
        Hit(
            kind="transfers",
            title=row.Transfer.bast_number,
            exact=asked.is_exact(row.Transfer.bast_number),
            id=row.Transfer.id,
            office_code=row.code,
            office_name=row.name,
            to_office=row.to_office,
            day=row.Transfer.dispatched_on,
            state=row.Transfer.status,
        )
        for row in asked.page(query)
    ]


def _transfers_in_reach(asked: _Asked, by: ColumnElement[str]) -> ColumnElement[bool]:
    ends = (Transfer.sender_id, Transfer.receiver_id)
    if asked.few is None:
        return and_(_begins(by, asked.key), or_(*(asked.at(end) for end in ends)))
    # Each end has an index of its own, so each is asked by itself.
    parts = [
        select(Transfer.id)
        .where(end.in_(asked.few), _begins(by, asked.key))
        .order_by(by, Transfer.id)
        .limit(asked.skip + asked.most + 1)
        .subquery()
        for end in ends
    ]
    return Transfer.id.in_(union(*(select(part.c.id) for part in parts)))


def _documents(asked: _Asked) -> list[Hit]:
    """Issued ones, by number and office, with or without the year: 00012/51.71/2024."""
    typed = _OF_OFFICE.fullmatch(asked.words)
    if typed is None or not is_code(typed[2]):
        return []
    query = (
        select(Document.id, Document.kind, Document.day, Document.year, Document.number, Office.code, Office.name)
        .join(Office, Office.id == Document.office_id)
        .where(Office.code == typed[2], Document.number == int(typed[1]), in_reach(asked.stock))
        .order_by(Document.year.desc())
    )
    if typed[3]:
        query = query.where(Document.year == int(typed[3]))
    return [
        Hit(
            kind="documents",
            title=number_text(row.number, row.code, row.year),
            exact=bool(typed[3]),
            id=row.id,
            office_code=row.code,
            office_name=row.name,
            day=row.day,
            state=row.kind,
        )
        for row in asked.page(query)
    ]


def _records(asked: _Asked) -> list[Hit]:
    """Stocktakes, requests and records of destruction, by their numbers."""
    number = _number(asked)
    if number is None:
        return []
    parts = [
        select(literal("stocktake").label("kind"), Stocktake.office_id, Stocktake.status).where(Stocktake.id == number),
        select(literal("request"), DeliveryRequest.office_id, DeliveryRequest.status).where(
            DeliveryRequest.id == number
        ),
        select(literal("destruction"), Proposal.office_id, Proposal.status)
        .join(Destruction, Destruction.proposal_id == Proposal.id)
        .where(Proposal.id == number),
    ]
    found = union_all(*parts).subquery()
    query = (
        select(found.c.kind, found.c.status, Office.code, Office.name)
        .join(Office, Office.id == found.c.office_id)
        .where(in_reach(asked.stock))
        .order_by(found.c.kind)
    )
    return [
        Hit(
            kind="records",
            title=str(number),
            id=number,
            office_code=row.code,
            office_name=row.name,
            subject=row.kind,
            state=row.status,
        )
        for row in asked.page(query)
    ]


def _alerts(asked: _Asked) -> list[Hit]:
    number = _number(asked)
    if number is None:
        return []
    query = (
        select(Alert.id, Alert.subject, Alert.level, Office.code, Office.name, Item.code.label("item"))
        .join(Office, Office.id == Alert.office_id)
        .outerjoin(Item, Item.id == Alert.item_id)
        .where(Alert.id == number, in_reach(reach(asked.actor, Action.VIEW_ALERT)))
    )
    return [
        Hit(
            kind="alerts",
            title=str(row.id),
            id=row.id,
            office_code=row.code,
            office_name=row.name,
            item_code=row.item or "",
            subject=row.subject,
            state=row.level,
        )
        for row in asked.page(query)
    ]


def _outreach(asked: _Asked) -> list[Hit]:
    """By the place: any part of it within a few offices, else its beginning."""
    if not asked.key:
        return []
    by = key(OutreachPlan.place)
    query = select(OutreachPlan, Office.code, Office.name).join(Office, Office.id == OutreachPlan.office_id)
    query = query.where(asked.at(OutreachPlan.office_id))
    if asked.few is None:
        query = query.where(_begins(by, asked.key)).order_by(by, OutreachPlan.id)
    else:
        query = query.where(by.contains(asked.key, autoescape=True))
        query = query.order_by(OutreachPlan.day.desc(), OutreachPlan.id)
    return [
        Hit(
            kind="outreach",
            title=row.OutreachPlan.place,
            exact=asked.is_exact(row.OutreachPlan.place),
            id=row.OutreachPlan.id,
            office_code=row.code,
            office_name=row.name,
            day=row.OutreachPlan.day,
            state=row.OutreachPlan.status,
        )
        for row in asked.page(query)
    ]


def _items(asked: _Asked) -> list[Hit]:
    """Items in use, with an office of the person's at which to look at them."""
    if not asked.key or asked.skip or not may_somewhere(asked.actor, Action.VIEW_STOCK):
        return []
    hits = []
    for item in items.active():
        known = (item.code, *item.names.values())
        if any(asked.key in key_of(each) for each in known):
            exact = any(asked.is_exact(each) for each in known)
            hits.append(Hit(kind="items", title=item.code, exact=exact, item_code=item.code))
    if not hits:
        return []
    top = offices.tops(asked.actor, Action.VIEW_STOCK)[0]
    whole = any(top.path.startswith(path) for path in asked.stock.subtrees) or asked.stock.everywhere
    told = {"office_code": top.code, "office_name": top.name, "state": "subtree" if whole else "own"}
    return [Hit(**(vars(hit) | told)) for hit in hits]


KINDS: dict[str, Callable[[_Asked], list[Hit]]] = {
    "offices": _offices,
    "numbers": _numbers,
    "deliveries": _deliveries,
    "transfers": _transfers,
    "documents": _documents,
    "records": _records,
    "alerts": _alerts,
    "outreach": _outreach,
    "items": _items,
}
"""What can be found, in the order in which it is shown."""


# --- parts -------------------------------------------------------------------------------------------------------


def _begins(by: ColumnElement[str], typed: str) -> ColumnElement[bool]:
    """A range, not a pattern: the index serves it on both databases, and no character means more than itself."""
    first, last = keys_beginning(typed)
    return and_(by >= first, by < last)


def _number(asked: _Asked) -> int | None:
    typed = _ID.fullmatch(asked.words)
    return int(typed[1]) if typed and not asked.skip else None
