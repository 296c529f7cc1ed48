"""The audit: the sole writer of its entries, and how they are searched.

What is written: log-ins and what was refused, second decisions, reversals, settings, people, exports, documents and
numbers of cards that were looked up. What is not: pages that were merely read. They are thousands a day for each
office, nobody would find the one that matters among them, and a page shows what its role may see anyway; what leaves
the house as a file or a paper, and who asked where a certain card is, is what an inquiry asks for.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TypedDict, Unpack

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from inventory.db import write_apart
from inventory.domain.access import Actor
from inventory.domain.audit import SUBJECT_LENGTH, Event, digest, faults_of, masked, one_line, write_facts
from inventory.domain.lockout import network_of
from inventory.models import AuditEntry

log = logging.getLogger(__name__)

MOST_A_MINUTE = 20
"""Of one kind of refusal, for a person, an account or a network: nobody can fill the disk by being refused."""
MOST_OF_ALL = 600
"""And for everybody together who is not known, where it is about no account either."""
LEFT_OUT = "more_left_out"

STRICT = False
"""Whether facts that an entry may not carry stop the program. Tests do; an installation masks them and goes on."""


def note(
    session: Session,
    now: datetime,
    actor: Actor,
    event: Event,
    *,
    office_id: int | None = None,
    subject: str = "",
    facts: Mapping[str, object] | None = None,
    about_id: int | None = None,
) -> None:
    """Write an entry in the caller's own transaction: it stands if and only if the act does.

    `subject` is what it was about as people know it; `facts` are of those that `domain.audit.FACTS` lets the event
    carry; `about_id` is the person whose account it is about, where that is not the actor's own. Secrets and residents'
    numbers are masked.
    """
    facts = facts or {}
    assert not STRICT or not faults_of(event, facts), faults_of(event, facts)
    values: dict[str, object] = {
        "at": now,
        "event": event.value,
        "person_id": actor.person_id,
        "actor_name": one_line(actor.name, 120),
        "about_id": about_id,
        "way": actor.origin.way,
        "address": one_line(actor.origin.address, 64),
        "request_id": one_line(actor.origin.request_id, 64),
        "office_id": office_id,
        "subject": one_line(masked(subject), SUBJECT_LENGTH),
        "facts": write_facts(event, facts),
    }
    session.execute(insert(AuditEntry).values(values | {"digest": digest(values)}))


class About(TypedDict, total=False):
    """What an entry is about: the arguments of `note` by the same names."""

    office_id: int | None
    subject: str
    facts: Mapping[str, object] | None
    about_id: int | None


def record(now: datetime, actor: Actor, event: Event, **about: Unpack[About]) -> None:
    """Write an entry in a transaction and a session of its own, beside whatever the caller's session is doing: for
    what has no effect to stand or fall with, such as a refused log-in. Not from within a write of the caller's, nor
    before one that goes on from what was read already: SQLite lets neither through. Arguments as of `note`."""
    write_apart(lambda session: note(session, now, actor, event, **about))


def record_refusal(now: datetime, actor: Actor, event: Event, **about: Unpack[About]) -> bool:
    """What `record` does for something that was refused, unless too much of the kind came within the last minute: from
    the person, about the account, or from the network of somebody unknown and from all unknown together. One entry then
    says that more was left out. Whether it was written itself."""

    about_id = about.get("about_id")

    def put(session: Session) -> int:
        room = _room(session, now, actor, event, about_id)
        if room > 0:
            note(session, now, actor, event, **about)
        elif room == 0:
            note(session, now, actor, event, facts={"reason": LEFT_OUT}, about_id=about_id)
        return room

    room = write_apart(put)
    if room == 0:
        log.warning("too much was refused within a minute to write all of it into the audit: %s", event.value)
    return room > 0


def _room(session: Session, now: datetime, actor: Actor, event: Event, about_id: int | None) -> int:
    """How many more refusals of the kind are written now; at 0 it is said that more are left out, below it nothing."""
    recent = (AuditEntry.event == event.value, AuditEntry.at > now - timedelta(minutes=1))
    if actor.person_id is not None or about_id is not None:
        known = AuditEntry.person_id == actor.person_id if actor.person_id else AuditEntry.about_id == about_id
        return MOST_A_MINUTE - (session.scalar(select(func.count()).where(*recent, known)) or 0)
    unknown = (AuditEntry.person_id.is_(None), AuditEntry.about_id.is_(None))
    found = session.scalars(select(AuditEntry.address).where(*recent, *unknown).limit(MOST_OF_ALL + 1)).all()
    near = network_of(one_line(actor.origin.address, 64))
    own = sum(1 for address in found if network_of(address) == near)
    # Once for each network and once for all of them: who asks from everywhere hides nobody's account by it.
    return min(MOST_A_MINUTE - own, MOST_OF_ALL - len(found))
