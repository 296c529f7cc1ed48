"""Second factors of people: authenticator apps, recovery codes, and tries that are counted before they are looked at.

What is asked after a right passphrase has no actor yet: it is asked of the person whose passphrase it was.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import case, delete, exists, func, insert, or_, select, update
from sqlalchemy.orm import Session

from inventory.db import db, insert_or, write
from inventory.domain.access import Actor
from inventory.domain.audit import Event
from inventory.domain.errors import Invalid, NotAllowed, Refusal
from inventory.domain.factors import (
    FORGOTTEN_AFTER,
    LONGEST_WAIT,
    RECOVERY_CODES,
    RECOVERY_LENGTH,
    RECOVERY_LETTERS,
    SECRET_BYTES,
    TryKind,
    code_typed,
    is_recovery_code,
    matching_step,
    recovery_code,
    recovery_digest,
    wait_after,
)
from inventory.domain.sessions import End
from inventory.models import AuthenticatorApp, FactorTry, Passkey, Person, RecoveryCode, SignOnIdentity
from inventory.services import audit, devices, people, sessions


@dataclass(frozen=True, kw_only=True)
class PasskeyView:
    id: int
    name: str
    added_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Factors:
    """What somebody has beside their passphrase; instants are aware UTC."""

    app_added_at: datetime | None
    app_used_at: datetime | None
    passkeys: tuple[PasskeyView, ...]
    codes_left: int

    @property
    def any(self) -> bool:
        return self.app_added_at is not None or bool(self.passkeys)

    @property
    def number(self) -> int:
        return len(self.passkeys) + (self.app_added_at is not None)


def of_person(person_id: int) -> Factors:
    """For the edge, of the person who is logged in or on the way in; `of_managed` asks for somebody else's."""
    app = db.session.get(AuthenticatorApp, person_id, populate_existing=True)
    keys = db.session.scalars(select(Passkey).where(Passkey.person_id == person_id).order_by(Passkey.id))
    left = select(func.count()).where(RecoveryCode.person_id == person_id, RecoveryCode.used_at.is_(None))
    return Factors(
        app_added_at=app.added_at if app else None,
        app_used_at=app.last_used_at if app else None,
        passkeys=tuple(
            PasskeyView(id=key.id, name=key.name, added_at=key.added_at, last_used_at=key.last_used_at)
            for key in keys.all()
        ),
        codes_left=db.session.scalar(left) or 0,
    )


def of_managed(actor: Actor, person_id: int) -> Factors:
    """What a person that the actor manages has. Raises NotFound `person_not_found`."""
    people.get(actor, person_id)
    return of_person(person_id)


def has_any(person_id: int) -> bool:
    """Whether this person has a second factor; recovery codes alone are none."""
    return bool(db.session.scalar(select(or_(*_held(person_id)))))


def new_secret() -> bytes:
    """A secret to be offered to an app; it counts once `add_app` has seen a code of it."""
    return secrets.token_bytes(SECRET_BYTES)


def sealed(key: bytes, secret: bytes) -> str:
    """A secret as it may be kept. `key` is 32 bytes in URL-safe base64, and not in the database."""
    return Fernet(key).encrypt(secret).decode("ascii")


def opened(key: bytes, kept: str) -> bytes | None:
    """The secret that was sealed; None under another key."""
    try:
        return Fernet(key).decrypt(kept.encode("ascii", "replace"))
    except InvalidToken:
        return None


def add_app(actor: Actor, now: datetime, key: bytes, secret: bytes, typed: str) -> tuple[str, ...]:
    """Let codes of this secret count from now on, in the place of an earlier app's; `typed` shows that the app has it.

    The first factor brings recovery codes: they are returned, this once. All sessions end. Raises Invalid `code_wrong`,
    Refusal `factor_tries_many`.
    """
    person_id = _own(actor)
    reserve_try(person_id, now, TryKind.CONFIRM)
    step = matching_step(secret, code_typed(typed), now, 0)
    if step is None:
        raise Invalid("code_wrong")
    values = {"secret": sealed(key, secret), "last_step": step, "added_at": now, "last_used_at": None}

    def put(session: Session) -> tuple[str, ...]:
        lock(session, person_id)
        statement = insert_or(session, AuthenticatorApp).values(person_id=person_id, **values)
        session.execute(statement.on_conflict_do_update(index_elements=["person_id"], set_=values))
        _forget_tries(session, person_id, TryKind.CONFIRM)
        audit.note(session, now, actor, Event.FACTOR_ADDED, facts={"factor": "app"})
        return first_codes(session, now, person_id)

    return write(put)


def remove_app(actor: Actor, now: datetime, *, must: bool) -> None:
    """Raises Refusal `last_factor` for somebody who must have one. All sessions end; what is not there is removed
    already."""
    found = delete(AuthenticatorApp).where(AuthenticatorApp.person_id == _own(actor))
    _remove(actor, now, found, "app", must=must)


def remove_passkey(actor: Actor, now: datetime, passkey_id: int, *, must: bool) -> None:
    """Raises what `remove_app` raises."""
    found = delete(Passkey).where(Passkey.id == passkey_id, Passkey.person_id == _own(actor))
    _remove(actor, now, found, "passkey", must=must)


def take_away(actor: Actor, now: datetime, person_id: int) -> None:
    """Take every second factor from a person who has lost it, and the links to accounts at providers with them, and end
    all their sessions. Where they must have one they set up another at the next log-in.

    Raises NotFound, NotAllowed (a person with a role outside the actor's reach, too), Refusal `own_factors`.
    """
    whose = people.wholly_managed(actor, person_id)
    if person_id == actor.person_id:
        raise Refusal("own_factors")

    def take(session: Session) -> None:
        lock(session, person_id)
        for table in (AuthenticatorApp, Passkey, RecoveryCode, FactorTry, SignOnIdentity):
            session.execute(delete(table).where(table.person_id == person_id))
        end_sessions(session, now, person_id)
        facts = {"factor": "all", "reason": "lost"}
        audit.note(session, now, actor, Event.FACTOR_REMOVED, subject=whose.full_name, facts=facts, about_id=person_id)

    write(take)


def renew_recovery_codes(actor: Actor, now: datetime) -> tuple[str, ...]:
    """New recovery codes, to be shown once; the earlier ones stop working. Raises Refusal `no_factor_yet`."""
    person_id = _own(actor)

    def put(session: Session) -> tuple[str, ...]:
        lock(session, person_id)
        if not session.scalar(select(or_(*_held(person_id)))):
            raise Refusal("no_factor_yet")
        audit.note(session, now, actor, Event.FACTOR_ADDED, facts={"factor": "recovery"})
        return _new_codes(session, now, person_id)

    return write(put)


def check(actor: Actor, now: datetime, key: bytes, typed: str, action: str = "log_in", *, device_key: str = "") -> str:
    """Take what somebody typed for a second factor: `code` or `recovery`, whichever it was. Each works once. `action`
    says in the audit what it was asked for, `device_key` is what the browser carries as a known device.

    Raises Invalid `code_wrong`, and Refusal `factor_tries_many` when the like was wrong too often: codes at log-in, on
    known devices and by those who are logged in are counted apart from each other, and from recovery codes.
    """
    if not typed.strip():
        raise Invalid("code_wrong")
    way = "recovery" if is_recovery_code(typed) else "code"
    if way == "recovery":
        taken = _take_recovery_code(actor, now, typed)
    else:
        taken = _take_code(actor, now, key, typed, action, _kind(_own(actor), now, action, device_key))
    if not taken:
        refused(now, actor, way, action)
        raise Invalid("code_wrong")
    return way


def refused(now: datetime, actor: Actor, factor: str, action: str) -> None:
    """Write down that a second factor, or a passphrase in its place, was wrong; so often a minute and not more."""
    audit.record_refusal(now, actor, Event.FACTOR_REFUSED, facts={"factor": factor, "action": action})


def _kind(person_id: int, now: datetime, action: str, device_key: str) -> TryKind:
    if action == "confirm":
        return TryKind.CONFIRM
    return TryKind.KNOWN_DEVICE if devices.is_known(person_id, device_key, now) else TryKind.CODE


def _take_code(actor: Actor, now: datetime, key: bytes, typed: str, action: str, kind: TryKind) -> bool:
    person_id = _own(actor)
    reserve_try(person_id, now, kind)
    app = db.session.get(AuthenticatorApp, person_id, populate_existing=True)
    secret = opened(key, app.secret) if app else None
    step = matching_step(secret, code_typed(typed), now, app.last_step) if app and secret else None
    if app is None or step is None:
        return False
    # Of two who come with the same code at once, the first moves the step past it.
    statement = (
        update(AuthenticatorApp)
        .where(
            AuthenticatorApp.person_id == person_id,
            AuthenticatorApp.secret == app.secret,
            AuthenticatorApp.last_step < step,
        )
        .values(last_step=step, last_used_at=now)
    )

    def put(session: Session) -> bool:
        taken: Any = session.execute(statement)
        if taken.rowcount != 1:
            return False
        _forget_tries(session, person_id, kind)
        audit.note(session, now, actor, Event.FACTOR_CONFIRMED, facts={"factor": "code", "action": action})
        return True

    return write(put)


def _take_recovery_code(actor: Actor, now: datetime, typed: str) -> bool:
    person_id = _own(actor)
    reserve_try(person_id, now, TryKind.RECOVERY)
    mine = RecoveryCode.person_id == person_id
    statement = (
        update(RecoveryCode)
        .where(mine, RecoveryCode.digest == recovery_digest(typed), RecoveryCode.used_at.is_(None))
        .values(used_at=now)
    )

    def put(session: Session) -> bool:
        taken: Any = session.execute(statement)
        if taken.rowcount != 1:
            return False
        _forget_tries(session, person_id, TryKind.RECOVERY)
        left = session.scalar(select(func.count()).where(mine, RecoveryCode.used_at.is_(None)))
        audit.note(session, now, actor, Event.RECOVERY_USED, facts={"left": left})
        return True

    return write(put)


def passphrase_right(actor: Actor, now: datetime, action: str) -> None:
    """A passphrase was right in the place of a second factor: the wrong ones before it are forgotten."""
    person_id = _own(actor)

    def put(session: Session) -> None:
        _forget_tries(session, person_id, TryKind.PASSPHRASE)
        audit.note(session, now, actor, Event.FACTOR_CONFIRMED, facts={"factor": "passphrase", "action": action})

    write(put)


def reserve_try(person_id: int, now: datetime, kind: TryKind) -> None:
    """Count a try as wrong before anybody looks at it: many at once are counted one by one. `forget_tries` after a
    right one. Raises Refusal `factor_tries_many` or `passphrase_tries_many`, with `seconds` to wait: then nothing may
    be looked at."""

    def reserve(session: Session) -> int:
        statement = insert_or(session, FactorTry).values(
            person_id=person_id, kind=kind.value, wrong=1, refused_until=now
        )
        statement = statement.on_conflict_do_update(
            index_elements=["person_id", "kind"],
            set_={"wrong": case((FactorTry.refused_until <= now - FORGOTTEN_AFTER, 1), else_=FactorTry.wrong + 1)},
            # A wait that would last longer than any began on a clock that was ahead.
            where=or_(FactorTry.refused_until <= now, FactorTry.refused_until > now + LONGEST_WAIT),
        ).returning(FactorTry.wrong)
        wrong = session.scalar(statement)
        mine = (FactorTry.person_id == person_id, FactorTry.kind == kind.value)
        if wrong is None:
            until = session.scalars(select(FactorTry.refused_until).where(*mine)).one()
            return max(1, int((until - now).total_seconds()) + 1)
        session.execute(update(FactorTry).where(*mine).values(refused_until=now + wait_after(wrong)))
        return 0

    seconds = write(reserve)
    if seconds and kind is TryKind.PASSPHRASE:
        raise Refusal("passphrase_tries_many", minutes=-(-seconds // 60), seconds=seconds)
    if seconds:
        raise Refusal("factor_tries_many", minutes=-(-seconds // 60), seconds=seconds)


def forget_tries(person_id: int, kind: TryKind) -> None:
    """It was right: the wrong ones before it are forgotten."""
    write(lambda session: _forget_tries(session, person_id, kind))


def _forget_tries(session: Session, person_id: int, kind: TryKind) -> None:
    session.execute(delete(FactorTry).where(FactorTry.person_id == person_id, FactorTry.kind == kind.value))


def first_codes(session: Session, now: datetime, person_id: int) -> tuple[str, ...]:
    """In the transaction that gave a factor: end all sessions, and give recovery codes to whoever has had none."""
    end_sessions(session, now, person_id)
    if session.scalar(select(exists().where(RecoveryCode.person_id == person_id))):
        return ()
    return _new_codes(session, now, person_id)


def lock(session: Session, person_id: int) -> None:
    """Let changes of one person's factors come one after the other. First of all: what refers to a person holds on to
    their row, too, and two who do both would wait for each other."""
    session.execute(select(Person.id).where(Person.id == person_id).with_for_update())


def end_sessions(session: Session, now: datetime, person_id: int) -> None:
    """End all sessions of a person, because something changed by which they log in."""
    session.execute(update(Person).where(Person.id == person_id).values(fs_uniquifier=secrets.token_hex(32)))
    sessions.end_within(session, now, person_id, End.CREDENTIALS_CHANGED)


def _new_codes(session: Session, now: datetime, person_id: int) -> tuple[str, ...]:
    codes = tuple(
        recovery_code([secrets.randbelow(len(RECOVERY_LETTERS)) for _ in range(RECOVERY_LENGTH)])
        for _ in range(RECOVERY_CODES)
    )
    # Of two sets that are made at once the second takes away what the first made, and only the second's work.
    session.execute(delete(RecoveryCode).where(RecoveryCode.person_id == person_id))
    rows = [{"person_id": person_id, "digest": recovery_digest(code), "made_at": now} for code in codes]
    session.execute(insert(RecoveryCode), rows)
    return codes


def _remove(actor: Actor, now: datetime, statement: Any, factor: str, *, must: bool) -> None:
    person_id = _own(actor)

    def take(session: Session) -> None:
        lock(session, person_id)
        removed: Any = session.execute(statement)
        if not removed.rowcount:
            return  # sent twice, or somebody else's: there is nothing to remove
        if not session.scalar(select(or_(*_held(person_id)))):
            if must:
                raise Refusal("last_factor")
            session.execute(delete(RecoveryCode).where(RecoveryCode.person_id == person_id))
        end_sessions(session, now, person_id)
        audit.note(session, now, actor, Event.FACTOR_REMOVED, facts={"factor": factor})

    write(take)


def _held(person_id: int) -> Sequence[Any]:
    return (
        exists().where(AuthenticatorApp.person_id == person_id),
        exists().where(Passkey.person_id == person_id),
    )


def _own(actor: Actor) -> int:
    if actor.person_id is None:
        raise NotAllowed("own_account_only")
    return actor.person_id
