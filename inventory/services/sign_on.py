"""Single sign-on: whose account here belongs to an account at the provider. It makes no accounts and gives no roles."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, exists, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from inventory.db import write
from inventory.domain.access import Actor
from inventory.domain.audit import Event
from inventory.domain.errors import NotAllowed
from inventory.models import Person, SignOnIdentity
from inventory.services import audit, factors, people

VISITOR = Actor(person_id=None, name="")


@dataclass(frozen=True, kw_only=True)
class Told:
    """What the provider says of somebody, once its signature was checked. `email` as the edge normalised it."""

    issuer: str
    subject: str
    email: str
    email_verified: bool
    second_factor: bool
    """That they used more than one factor there."""


@dataclass(frozen=True, kw_only=True)
class Arrival:
    person_id: int
    to_link: bool = False
    """That the account is found by its address for the first time, and has a second factor here: `link` is called once
    that was given. Whoever controls an address at the provider is not the owner of an account here by that alone."""


def person_for(now: datetime, told: Told, actor: Actor = VISITOR) -> Arrival:
    """The active account that belongs to this one at the provider. The first time it is found by its verified e-mail
    address, and after that by the provider's own name for it alone.

    Raises NotAllowed `sign_on_unverified`, and `sign_on_unknown` where there is no such account, one that is shut out,
    or one that already belongs to somebody else at the provider. `actor` is whoever comes, as far as the audit is to
    say."""

    def work(session: Session) -> Arrival:
        person_id, kind = _known(session, now, told), "known"
        if person_id is None:
            person_id, kind = _found(session, now, told), "linked"
            if factors.has_any(person_id):
                return Arrival(person_id=person_id, to_link=True)
            _put(session, now, person_id, told.issuer, told.subject)
        facts = {"provider": told.issuer, "kind": kind}
        audit.note(session, now, actor, Event.SIGNED_ON, facts=facts, about_id=person_id)
        return Arrival(person_id=person_id)

    try:
        return write(work)
    except IntegrityError:  # somebody linked it at the same moment, and now it is known
        return write(work)


def link(actor: Actor, now: datetime, issuer: str, subject: str) -> None:
    """Let the account at the provider belong to the actor from now on, who has given their second factor here. Raises
    NotAllowed `sign_on_unknown` when one of the two belongs to another by now."""
    if actor.person_id is None:
        raise NotAllowed("own_account_only")
    person_id = actor.person_id

    def work(session: Session) -> None:
        this = (SignOnIdentity.issuer == issuer, SignOnIdentity.subject == subject)
        if session.scalar(select(SignOnIdentity.person_id).where(*this)) == person_id:
            return  # in another window, just now
        try:
            _put(session, now, person_id, issuer, subject)
        except IntegrityError:
            raise NotAllowed("sign_on_unknown") from None
        facts = {"provider": issuer, "kind": "linked"}
        audit.note(session, now, actor, Event.SIGNED_ON, facts=facts, about_id=person_id)

    write(work)


def unlink(actor: Actor, now: datetime, person_id: int) -> int:
    """Let no account at a provider belong to this person any more, and end their sessions; how many did. The next
    sign-on with their address links it anew. Raises NotFound, NotAllowed (a person with a role outside the actor's
    reach, too)."""
    whose = people.wholly_managed(actor, person_id)

    def work(session: Session) -> int:
        gone = session.scalars(
            delete(SignOnIdentity).where(SignOnIdentity.person_id == person_id).returning(SignOnIdentity.id)
        ).all()
        if gone:
            factors.end_sessions(session, now, person_id)
            facts = {"count": len(gone)}
            audit.note(
                session, now, actor, Event.SIGN_ON_UNLINKED, subject=whose.full_name, facts=facts, about_id=person_id
            )
        return len(gone)

    return write(work)


def _known(session: Session, now: datetime, told: Told) -> int | None:
    this = (SignOnIdentity.issuer == told.issuer, SignOnIdentity.subject == told.subject)
    person_id = session.scalar(
        update(SignOnIdentity).where(*this).values(used_at=now).returning(SignOnIdentity.person_id)
    )
    if person_id is None:
        return None
    active = session.scalar(select(Person.active).where(Person.id == person_id))
    return person_id if active else _refuse()


def _found(session: Session, now: datetime, told: Told) -> int:
    if not told.email_verified or not told.email:
        raise NotAllowed("sign_on_unverified")
    taken = exists().where(SignOnIdentity.person_id == Person.id, SignOnIdentity.issuer == told.issuer)
    found = session.scalars(
        select(Person.id).where(func.lower(Person.email) == told.email.lower(), Person.active, ~taken)
    ).all()
    if len(found) != 1:
        return _known(session, now, told) or _refuse()  # or somebody has linked it just now
    return found[0]


def _put(session: Session, now: datetime, person_id: int, issuer: str, subject: str) -> None:
    link = {"issuer": issuer, "subject": subject, "linked_at": now, "used_at": now}
    session.add(SignOnIdentity(person_id=person_id, **link))
    session.flush()


def _refuse() -> int:
    raise NotAllowed("sign_on_unknown")
