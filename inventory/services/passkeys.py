"""Passkeys of people: added, and what they sign taken once."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import and_, delete, func, insert, literal, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from inventory.adapters import passkeys as signatures
from inventory.adapters.passkeys import Key, NotSigned, Site
from inventory.db import db, write
from inventory.domain.access import Actor
from inventory.domain.audit import Event
from inventory.domain.errors import Invalid, NotAllowed, Refusal
from inventory.domain.factors import MOST_PASSKEYS
from inventory.domain.texts import check_text
from inventory.models import Passkey, Person, SpentChallenge
from inventory.services import audit
from inventory.services.factors import first_codes, lock, refused

T = TypeVar("T")

CHALLENGE_BYTES = 32
CHALLENGE_LASTS = timedelta(minutes=5)


def of_person(person_id: int) -> list[Key]:
    """The keys that a browser may answer with."""
    rows = db.session.scalars(select(Passkey).where(Passkey.person_id == person_id).order_by(Passkey.id))
    return [Key(row.credential_id, tuple(row.transports.split())) for row in rows]


def handle_of(person_id: int) -> bytes:
    """What this person's keys know them by; a new one for somebody who has none."""
    found = db.session.scalar(select(Passkey.handle).where(Passkey.person_id == person_id).limit(1))
    return found or secrets.token_bytes(32)


def add(
    actor: Actor, now: datetime, site: Site, challenge: bytes, handle: bytes, name: str, answer: str
) -> tuple[str, ...]:
    """Keep the key of an answer to `ask_for_new`. The first factor brings recovery codes, returned this once. All
    sessions end.

    Raises Invalid `passkey_wrong`, `passkey_name`; Refusal `passkey_known`, `passkeys_many`.
    """
    if actor.person_id is None:
        raise NotAllowed("own_account_only")
    person_id = actor.person_id
    name = check_text(name, 60)
    if not name:
        raise Invalid("passkey_name")
    made = _or_refused(lambda: signatures.read_new(site, challenge, answer))
    row = {
        "person_id": person_id,
        "handle": handle,
        "credential_id": made.credential_id,
        "public_key": made.public_key,
        "sign_count": made.sign_count,
        "transports": " ".join(made.transports),
        "name": name,
        "added_at": now,
    }

    def put(session: Session) -> tuple[str, ...]:
        lock(session, person_id)
        spend(session, now, challenge)
        held = session.scalar(select(func.count()).where(Passkey.person_id == person_id)) or 0
        if held >= MOST_PASSKEYS:
            raise Refusal("passkeys_many", most=MOST_PASSKEYS)
        try:
            session.execute(insert(Passkey).values(row))
        except IntegrityError as error:
            raise Refusal("passkey_known") from error
        audit.note(session, now, actor, Event.FACTOR_ADDED, subject=name, facts={"factor": "passkey"})
        return first_codes(session, now, person_id)

    return write(put)


def check(
    now: datetime,
    site: Site,
    challenge: bytes,
    answer: str,
    *,
    of: Actor | None,
    verified: bool,
    action: str = "log_in",
) -> int:
    """Whose key signed the challenge; it counts once. With `of` nobody else's will do, with `verified` the
    device has made sure who holds it.

    Raises Invalid `passkey_wrong`, also for a key that was removed, one that is copied (its counter went back), and one
    of a person who is shut out.
    """
    try:
        key, counted = _signed(site, challenge, answer, of, verified=verified)
        write(lambda session: _take(session, now, challenge, key.id, counted, of, action))
    except Invalid:
        if of is not None:
            refused(now, of, "passkey", action)
        raise
    return key.person_id


def _signed(site: Site, challenge: bytes, answer: str, of: Actor | None, *, verified: bool) -> tuple[Passkey, int]:
    """The key that signed, and how often it has by now."""
    credential_id, handle = _or_refused(lambda: signatures.key_of(answer))
    key = db.session.scalar(
        select(Passkey).join(Person).where(Passkey.credential_id == credential_id, Person.active.is_(True))
    )
    if key is None or (of is not None and key.person_id != of.person_id):
        raise Invalid("passkey_wrong")
    if handle is not None and handle != key.handle:
        raise Invalid("passkey_wrong")
    signed = _or_refused(
        lambda: signatures.check_signature(
            site, challenge, answer, public_key=key.public_key, sign_count=key.sign_count, verified=verified
        )
    )
    db.session.expunge(key)
    return key, signed.sign_count


def _take(
    session: Session, now: datetime, challenge: bytes, key_id: int, counted: int, of: Actor | None, action: str
) -> None:
    spend(session, now, challenge)
    # A counter only ever goes up; a key that lives in several devices does not count, and stays at 0.
    goes_on = or_(Passkey.sign_count < counted, and_(Passkey.sign_count == 0, literal(counted) == 0))
    taken: Any = session.execute(
        update(Passkey).where(Passkey.id == key_id, goes_on).values(sign_count=counted, last_used_at=now)
    )
    if taken.rowcount != 1:
        raise Invalid("passkey_wrong")
    if of is not None:
        audit.note(session, now, of, Event.FACTOR_CONFIRMED, facts={"factor": "passkey", "action": action})


def spend(session: Session, now: datetime, challenge: bytes) -> None:
    """Let a challenge count once, in the caller's transaction. Raises Invalid `passkey_wrong` the second time."""
    session.execute(delete(SpentChallenge).where(SpentChallenge.spent_at < now - 2 * CHALLENGE_LASTS))
    try:
        session.execute(insert(SpentChallenge).values(digest=hashlib.sha256(challenge).hexdigest(), spent_at=now))
    except IntegrityError as error:
        raise Invalid("passkey_wrong") from error


def _or_refused(work: Callable[[], T]) -> T:
    try:
        return work()
    except NotSigned as error:
        raise Invalid("passkey_wrong") from error
