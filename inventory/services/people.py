"""People: accounts and the roles that they hold at offices."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Select, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from inventory.db import db, write
from inventory.domain.access import Action, Actor, Grant, Role, reach, require
from inventory.domain.audit import Event
from inventory.domain.errors import Invalid, NotAllowed, NotFound, Refusal
from inventory.domain.sessions import End
from inventory.domain.texts import check_text
from inventory.models import Membership, Office, Person
from inventory.services import audit, offices, sessions

PAGE = 50
WORDS_LENGTH = 120


@dataclass(frozen=True, kw_only=True)
class PersonView:
    id: int
    email: str
    full_name: str
    active: bool
    language: str | None
    roles: tuple[tuple[Role, str, str], ...]
    """Role, office code, office name."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """A page of people; `count` of all that were found."""

    people: list[PersonView]
    count: int
    page: int
    pages: int


def actor_for(person: Person) -> Actor:
    """The actor behind an account, with the grants that its roles give; none at offices that are closed down."""
    grants = tuple(Grant(Role(role.name), role.office.path) for role in person.roles if role.office.active)
    return Actor(person_id=person.id, name=person.full_name, grants=grants)


def add(
    actor: Actor,
    now: datetime,
    *,
    email: str,
    full_name: str,
    role: Role,
    office_code: str,
    password_hash: str,
    given: bool = True,
) -> PersonView:
    """Make an account with one role. `email` has been normalised and `password_hash` made by the edge. With `given` the
    person changes the password before they do anything else: somebody else knows it.

    Raises Refusal `email_taken`; Invalid `name_missing`; NotFound, NotAllowed.
    """
    office = offices.get(actor, Action.MANAGE_PEOPLE, office_code)
    full_name = check_text(full_name, 120)
    if not full_name:
        raise Invalid("name_missing")
    person = Person(
        email=email,
        full_name=full_name,
        created_at=now,
        active=True,
        password=password_hash,
        fs_uniquifier=secrets.token_hex(32),
        password_given=given,
    )
    person.roles.append(Membership(office_id=office.id, name=role.value))

    def put(session: Session) -> int:
        session.add(person)
        session.flush()
        facts = {"name": full_name, "email": email, "role": role.value}
        audit.note(
            session,
            now,
            actor,
            Event.PERSON_ADDED,
            office_id=office.id,
            subject=full_name,
            facts=facts,
            about_id=person.id,
        )
        return person.id

    try:
        person_id = write(put)
    except IntegrityError as error:
        raise Refusal("email_taken", email=email) from error
    return get(actor, person_id)


def find(actor: Actor, words: str = "", page: int = 1) -> Found:
    """The people with a role in an office that the actor manages, by name, PAGE at a time; with `words`, those with
    them in their name, their address or the code or name of an office of theirs. A page behind the last is the last."""
    query = select(Person.id).where(Person.id.in_(_ids_managed(actor)))
    if wanted := words.replace("\x00", "").strip().lower()[:WORDS_LENGTH]:
        query = query.where(_named(wanted))
    count = db.session.scalar(select(func.count()).select_from(query.subquery())) or 0
    pages = max(1, -(-count // PAGE))
    page = min(max(page, 1), pages)
    rows = db.session.scalars(
        select(Person)
        .where(Person.id.in_(query))
        .order_by(Person.full_name, Person.id)
        .offset((page - 1) * PAGE)
        .limit(PAGE)
    )
    return Found(people=[_view(row) for row in rows], count=count, page=page, pages=pages)


def managed_among(actor: Actor, person_ids: Collection[int]) -> set[int]:
    """Those of these people whom the actor manages."""
    query = select(Person.id).where(Person.id.in_(person_ids), Person.id.in_(_ids_managed(actor)))
    return set(db.session.scalars(query))


def get(actor: Actor, person_id: int) -> PersonView:
    """Raises NotFound `person_not_found` for one that the actor does not manage."""
    return _view(_managed(actor, person_id))


def id_of(email: str) -> int | None:
    """The account with this address, however it is written; None where nobody has it."""
    if "\x00" in email:
        return None
    return db.session.scalar(select(Person.id).where(func.lower(Person.email) == email.strip().lower()))


def wholly_managed(actor: Actor, person_id: int) -> PersonView:
    """Raises NotFound `person_not_found`, and NotAllowed for a person with a role outside the actor's reach, too."""
    person = _managed(actor, person_id)
    for role in person.roles:
        require(actor, Action.MANAGE_PEOPLE, role.office.path)
    return _view(person)


def set_active(actor: Actor, now: datetime, person_id: int, active: bool) -> PersonView:
    """Let a person in, or shut them out at once: what their sessions carry stops being valid.

    Raises NotFound, NotAllowed (a person with a role outside the actor's reach, too), Refusal `own_account`.
    """
    person = _managed(actor, person_id)
    for role in person.roles:
        require(actor, Action.MANAGE_PEOPLE, role.office.path)
    if person_id == actor.person_id:
        raise Refusal("own_account")
    values: dict[str, object] = {"active": active}
    if not active:
        values["fs_uniquifier"] = secrets.token_hex(32)
    name, office_id = person.full_name, person.roles[0].office_id

    def put(session: Session) -> None:
        session.execute(update(Person).where(Person.id == person_id).values(values))
        if not active:
            sessions.end_within(session, now, person_id, End.SHUT_OUT)
        event = Event.PERSON_ENABLED if active else Event.PERSON_DISABLED
        audit.note(session, now, actor, event, office_id=office_id, subject=name, about_id=person_id)

    write(put)
    db.session.expire_all()
    return get(actor, person_id)


def log_out(actor: Actor, now: datetime, person_id: int) -> int:
    """End all sessions of a person; how many there were. Raises NotFound, NotAllowed as `set_active` does."""
    person = _managed(actor, person_id)
    for role in person.roles:
        require(actor, Action.MANAGE_PEOPLE, role.office.path)
    name, office_id = person.full_name, person.roles[0].office_id

    def put(session: Session) -> int:
        count = sessions.end_within(session, now, person_id, End.ENDED_BY_ADMINISTRATOR)
        values = {"fs_uniquifier": secrets.token_hex(32)}
        session.execute(update(Person).where(Person.id == person_id).values(values))
        facts = {"count": count}
        audit.note(
            session, now, actor, Event.SESSION_ENDED, office_id=office_id, subject=name, facts=facts, about_id=person_id
        )
        return count

    return write(put)


def set_password(actor: Actor, now: datetime, person_id: int, password_hash: str) -> PersonView:
    """Give a person who has forgotten theirs a new first password, which they change before they do anything else, and
    end all their sessions. `password_hash` was made by the edge.

    Raises NotFound, NotAllowed as `set_active` does; Refusal `own_password`.
    """
    whose = wholly_managed(actor, person_id)
    if person_id == actor.person_id:
        raise Refusal("own_password")
    values = {"password": password_hash, "password_given": True, "fs_uniquifier": secrets.token_hex(32)}

    def put(session: Session) -> None:
        session.execute(update(Person).where(Person.id == person_id).values(values))
        sessions.end_within(session, now, person_id, End.CREDENTIALS_CHANGED)
        audit.note(session, now, actor, Event.PASSWORD_GIVEN, subject=whose.full_name, about_id=person_id)

    write(put)
    db.session.expire_all()
    return whose


def set_language(actor: Actor, language: str) -> None:
    """Remember the language that a person chose for themselves."""
    if actor.person_id is None:
        raise NotAllowed("not_allowed", action=Action.VIEW_OFFICE.value)
    values = {"language": language}
    write(lambda session: session.execute(update(Person).where(Person.id == actor.person_id).values(values)))


def _ids_managed(actor: Actor) -> Select[int]:
    allowed = reach(actor, Action.MANAGE_PEOPLE)
    return select(Membership.person_id).join(Office).where(offices.in_reach(allowed))


def _named(words: str) -> ColumnElement[bool]:
    office = or_(
        func.lower(Office.name).contains(words, autoescape=True),
        func.lower(Office.code).startswith(words, autoescape=True),
    )
    return or_(
        func.lower(Person.full_name).contains(words, autoescape=True),
        func.lower(Person.email).contains(words, autoescape=True),
        Person.id.in_(select(Membership.person_id).join(Office).where(office)),
    )


def _managed(actor: Actor, person_id: int) -> Person:
    person = db.session.get(Person, person_id)
    allowed = reach(actor, Action.MANAGE_PEOPLE)
    if person is None or not any(allowed.includes(role.office.path) for role in person.roles):
        raise NotFound("person_not_found")
    return person


def _view(person: Person) -> PersonView:
    return PersonView(
        id=person.id,
        email=person.email,
        full_name=person.full_name,
        active=person.active,
        language=person.language,
        roles=tuple((Role(role.name), role.office.code, role.office.name) for role in person.roles),
    )
