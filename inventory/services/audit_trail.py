"""Looking through the audit: who may see which entries, and the pages of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select, true
from sqlalchemy.orm import aliased

from inventory.db import db
from inventory.domain.access import Action, Actor, Reach, may_somewhere, reach
from inventory.domain.audit import SUBJECT_LENGTH, Event, read_facts
from inventory.domain.errors import Invalid, NotAllowed
from inventory.models import AuditEntry, Membership, Office, Person, ServiceAccount
from inventory.models.offices import within
from inventory.services import offices
from inventory.services.offices import ROOT_CODE, in_reach

PAGE = 50
WORDS_LENGTH = 120


@dataclass(frozen=True, kw_only=True)
class EntryView:
    """An entry as the edges see it. `at` is aware UTC; `event` is text, as an entry from a later version may have one
    that this one does not know."""

    id: int
    at: datetime
    event: str
    actor_name: str
    """As it was then; empty for somebody who had not shown who they are."""
    is_person: bool
    about_name: str | None
    way: str
    address: str
    request_id: str
    office_code: str | None
    office_name: str | None
    subject: str
    facts: dict[str, object]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Which entries; all of them where nothing is said. `person` is part of a name or an e-mail address, of whoever
    acted or whose account it was about; `words` part of the subject; `since` and `until` are instants, the second not
    included."""

    person: str = ""
    event: Event | None = None
    office_code: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    words: str = ""


@dataclass(frozen=True)
class Page:
    """Some entries, the newest first; `before` is what the next page is asked for with, None on the last."""

    entries: tuple[EntryView, ...]
    before: int | None


def visible(allowed: Reach) -> ColumnElement[bool]:
    """SQL: the entries that this reach of VIEW_AUDIT includes: those of its offices, and those without an office of
    the people who have a role there and of the machines that work there. What belongs to no office and nobody, such as
    a log-in under an address that nobody has, is for those alone whose reach begins at the root: it may be aimed at any
    office."""
    if allowed.includes(f"{ROOT_CODE}/"):
        return true()
    places = select(Office.id).where(in_reach(allowed))
    people = (
        select(Membership.person_id)
        .join(Office)
        .where(in_reach(allowed))
        .union(
            select(ServiceAccount.person_id)
            .join(Office, Office.id == ServiceAccount.office_id)
            .where(in_reach(allowed))
        )
    )
    theirs = or_(AuditEntry.person_id.in_(people), AuditEntry.about_id.in_(people))
    return or_(AuditEntry.office_id.in_(places), and_(AuditEntry.office_id.is_(None), theirs))


def find(actor: Actor, asked: Asked, before: int | None = None) -> Page:
    """A page of the entries within the actor's reach, those before the entry `before` where that is given.

    Raises NotFound `office_not_found`, NotAllowed; Invalid `period_backwards`.
    """
    if not may_somewhere(actor, Action.VIEW_AUDIT):
        raise NotAllowed("not_allowed", action=Action.VIEW_AUDIT.value)
    if asked.since and asked.until and asked.until <= asked.since:
        raise Invalid("period_backwards")
    conditions = [visible(reach(actor, Action.VIEW_AUDIT)), *_conditions(asked)]
    if asked.office_code:
        path = offices.get(actor, Action.VIEW_AUDIT, asked.office_code).path
        conditions.append(AuditEntry.office_id.in_(select(Office.id).where(within(path))))
    return _page(conditions, before)


def mine(actor: Actor, before: int | None = None) -> Page:
    """A page of what was done under the actor's own name, and to their account. Raises NotAllowed for the system."""
    if actor.person_id is None:
        raise NotAllowed("not_allowed", action=Action.VIEW_AUDIT.value)
    return _page([or_(AuditEntry.person_id == actor.person_id, AuditEntry.about_id == actor.person_id)], before)


def _conditions(asked: Asked) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if asked.event:
        found.append(AuditEntry.event == asked.event.value)
    if asked.since:
        found.append(AuditEntry.at >= asked.since)
    if asked.until:
        found.append(AuditEntry.at < asked.until)
    words = _words(asked.words)
    if words:
        found.append(func.lower(AuditEntry.subject).contains(words, autoescape=True))
    person = _words(asked.person)
    if person:
        named = func.lower(Person.full_name).contains(person, autoescape=True)
        people = select(Person.id).where(or_(named, func.lower(Person.email) == person))
        then = func.lower(AuditEntry.actor_name).contains(person, autoescape=True)
        found.append(or_(then, AuditEntry.person_id.in_(people), AuditEntry.about_id.in_(people)))
    return found


def _words(typed: str) -> str:
    return typed.replace("\x00", "").strip().lower()[:SUBJECT_LENGTH]


_about = aliased(Person)


def _page(conditions: list[ColumnElement[bool]], before: int | None) -> Page:
    if before is not None:
        conditions = [*conditions, AuditEntry.id < before]
    rows = db.session.execute(
        select(AuditEntry, _about.full_name, Office.code, Office.name)
        .outerjoin(_about, _about.id == AuditEntry.about_id)
        .outerjoin(Office, Office.id == AuditEntry.office_id)
        .where(*conditions)
        .order_by(AuditEntry.id.desc())
        .limit(PAGE + 1)
    ).all()
    entries = tuple(_view(*row) for row in rows[:PAGE])
    return Page(entries, entries[-1].id if len(rows) > PAGE else None)


def _view(row: Any, about_name: str | None, office_code: str | None, office_name: str | None) -> EntryView:
    names = ("id", "at", "event", "actor_name", "way", "address", "request_id", "subject")
    return EntryView(
        **{name: getattr(row, name) for name in names},
        is_person=row.person_id is not None,
        about_name=about_name,
        office_code=office_code,
        office_name=office_name,
        facts=read_facts(row.facts),
    )
